//! `hello`, `here` and `bye`: a node says that it is there, asks who else is, and takes its leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Sender;
use super::log::ChannelLogs;
use super::object::{Object, push_string, string_len};
use super::sign::Identity;
use crate::values::{ChannelName, NodeId, PeerText};

/// Which of the three announcements a [`Presence`] goes out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceKind {
    /// Asks for an answer.
    Hello,
    /// Asks for none.
    Here,
}

/// How one peer hears another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// What is sent to the group arrives.
    Multicast,
    /// Only what is sent to its address arrives: it needs copies.
    Unicast,
}

impl Hearing {
    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Multicast => "multicast",
            Self::Unicast => "unicast",
        }
    }
}

/// What a node says of itself. Shared, since a LAN has one profile per peer and many who know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The user's name.
    pub nick: PeerText,
    /// The host's name.
    pub host: PeerText,
    /// The program's version.
    pub version: PeerText,
    /// Set while the user is away: why.
    pub away: Option<PeerText>,
    /// Free labels.
    pub tags: BTreeMap<PeerText, PeerText>,
    /// What the host offers: a name and a port.
    pub services: BTreeMap<PeerText, u16>,
}

impl Profile {
    /// Bytes that tags and services take in an announcement.
    pub fn tag_bytes(&self) -> usize {
        let tags = self.tags.iter().map(|(k, v)| string_len(k.raw()) + string_len(v.raw()) + 2);
        tags.chain(self.services.keys().map(|name| string_len(name.raw()) + 7)).sum()
    }
}

/// What a node knows of the LAN, in one number each, so that two nodes can tell whether they know
/// the same peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Peers known, the sender included, visitors not.
    pub count: u32,
    /// The exclusive or, over those peers, of the first eight bytes of the id, the first byte the
    /// highest. A hint, no proof: who draws keys until they fit can make two sets look alike.
    pub digest: u64,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Hello or here.
    pub kind: PresenceKind,
    /// Who announces itself.
    pub from: Sender,
    /// The announcement's number: grows by one with each, so that old ones are recognised.
    pub n: u64,
    /// What the node says of itself.
    pub profile: Arc<Profile>,
    /// Whether away text, tags and services were left out for want of room.
    pub partial: bool,
    /// The channels from [`Presence::channels_at`] on, as many as there was room for.
    /// Shared, as the profile is.
    pub channels: Arc<Vec<ChannelName>>,
    /// Where in the node's list of channels [`Presence::channels`] begins.
    pub channels_at: usize,
    /// How many channels there are in all.
    pub channels_of: usize,
    /// What the sender has said and holds in its channels, as far as there was room: in the first of
    /// several datagrams.
    pub logs: Vec<ChannelLogs>,
    /// Whether the sender is only passing through: a command that asks or says something and
    /// goes. It is answered, but nobody lists it.
    pub visitor: bool,
    /// Whom the sender knows.
    pub summary: Summary,
    /// How often this question has been asked already.
    pub attempt: u8,
    /// To be sent back: proves that the one who answers is where the question went.
    pub nonce: Option<u64>,
    /// The nonce of the question that this answers.
    pub re: Option<u64>,
    /// Microseconds between the question's arrival and this answer.
    pub held: u32,
    /// To be shown when asking for more: proves that the asker is where it says.
    pub token: Option<u64>,
    /// The peer that this is meant for, where [`Presence::hears`] is about one.
    pub to: Option<NodeId>,
    /// How the sender hears `to`.
    pub hears: Option<Hearing>,
    /// The question that this answers has come by IPv6 alone, though the sender has IPv4 there.
    pub has_ipv4: bool,
}

impl Presence {
    /// Writes the announcement in at most `limit` bytes, padded to at least `pad`. What does not
    /// fit is left out, the least important first: tags and services, then channels from the end.
    /// Returns the datagram and where the list of channels has to go on, if it was not all.
    pub fn encode(
        &self,
        identity: &Identity,
        limit: usize,
        pad: usize,
    ) -> (Vec<u8>, Option<usize>) {
        let channels: usize = self.channels.iter().map(|c| string_len(c.as_str()) + 1).sum();
        let room_for_some = channels.min(200);
        let mut object = self.head(self.partial);
        if !self.partial && object.signed_len() + self.tail_len() + room_for_some > limit {
            object = self.head(true);
        }
        let mut room = limit.saturating_sub(object.signed_len() + self.tail_len());
        let mut list = String::from("[");
        let mut listed = 0;
        for channel in self.channels.iter() {
            let needs = string_len(channel.as_str()) + 1;
            if needs > room {
                break;
            }
            room -= needs;
            if listed > 0 {
                list.push(',');
            }
            push_string(&mut list, channel.as_str());
            listed += 1;
        }
        list.push(']');
        object.json("channels", list);
        let all = self.channels_at + listed == self.channels_of;
        if self.channels_at > 0 {
            object.json("at", self.channels_at);
        }
        if self.channels_at > 0 || !all {
            object.json("of", self.channels_of);
        }
        let mut room = room.saturating_sub(",\"heads\":[]".len());
        let fits = self.logs.iter().map(ToString::to_string).take_while(|logs| {
            let rest = room.checked_sub(logs.len() + 1);
            room = rest.unwrap_or(0);
            rest.is_some()
        });
        let fits: Vec<String> = fits.collect();
        if !fits.is_empty() {
            object.array("heads", fits);
        }
        self.tail(&mut object);
        object.pad(pad.min(limit));
        (object.sign(identity), (!all && listed > 0).then_some(self.channels_at + listed))
    }

    fn head(&self, partial: bool) -> Object {
        let mut object = Object::datagram(match self.kind {
            PresenceKind::Hello => "hello",
            PresenceKind::Here => "here",
        });
        object.shown("id", self.from.id).json("epoch", self.from.epoch).json("n", self.n);
        if self.visitor {
            object.json("visitor", true);
        }
        let profile = &self.profile;
        object.text("nick", profile.nick.raw()).text("host", profile.host.raw());
        object.text("version", profile.version.raw());
        if partial {
            object.json("partial", true);
            return object;
        }
        if let Some(away) = &profile.away {
            object.text("away", away.raw());
        }
        if !profile.tags.is_empty() {
            let mut tags = Object::inner();
            for (key, value) in &profile.tags {
                tags.text(key.raw(), value.raw());
            }
            object.json("tags", tags.close());
        }
        if !profile.services.is_empty() {
            let mut services = Object::inner();
            for (name, port) in &profile.services {
                services.json(name.raw(), port);
            }
            object.json("services", services.close());
        }
        object
    }

    fn tail(&self, object: &mut Object) {
        object.json("count", self.summary.count).hex("digest", self.summary.digest);
        if self.attempt > 0 {
            object.json("try", self.attempt);
        }
        if let Some(nonce) = self.nonce {
            object.hex("nonce", nonce);
        }
        if let Some(re) = self.re {
            object.hex("re", re).json("held", self.held);
        }
        if let Some(token) = self.token {
            object.hex("token", token);
        }
        if let Some(to) = self.to {
            object.shown("to", to);
        }
        if let Some(hears) = self.hears {
            object.shown("hears", hears.as_str());
        }
        if self.has_ipv4 {
            object.json("ipv4", true);
        }
    }

    /// Bytes that the tail and the empty list of channels take.
    fn tail_len(&self) -> usize {
        let mut object = Object::inner();
        self.tail(&mut object);
        object.close().len() + ",\"channels\":[],\"at\":128,\"of\":128".len()
    }
}

/// Writes and signs `bye`: the sender is leaving.
pub fn encode_bye(identity: &Identity, from: Sender, n: u64, visitor: bool) -> Vec<u8> {
    let mut object = Object::datagram("bye");
    object.shown("id", from.id).json("epoch", from.epoch).json("n", n);
    if visitor {
        object.json("visitor", true);
    }
    object.sign(identity)
}
