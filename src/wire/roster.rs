//! `ask` and `roster`: peers told by peers.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Sender;
use super::object::{Object, push_string};
use super::presence::{Profile, Summary};
use super::sign::Identity;
use crate::values::{Epoch, NodeId};

/// `ask`: tell me whom you know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The asker.
    pub from: Sender,
    /// Whether the asker is passing through.
    pub visitor: bool,
    /// To be sent back with each page.
    pub nonce: u64,
    /// What the one who is asked gave as proof of the asker's address.
    pub token: u64,
    /// Only peers whose ids are above this one.
    pub after: Option<NodeId>,
    /// What the asker knows already: for each first byte that an id can have, one byte that is
    /// equal if both know the same such peers. Only parts that differ are told.
    pub have: Option<Vec<u8>>,
}

impl Ask {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("ask");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        if self.visitor {
            object.json("visitor", true);
        }
        object.hex("nonce", self.nonce).hex("token", self.token);
        if let Some(after) = self.after {
            object.shown("after", after);
        }
        if let Some(have) = &self.have {
            object.shown("have", data_encoding::BASE64URL_NOPAD.encode_display(have));
        }
        object.sign(identity)
    }
}

/// A peer as another one tells of it: hearsay, until it is heard from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The peer.
    pub id: NodeId,
    /// Where the teller hears it.
    pub addr: SocketAddr,
    /// Its run.
    pub epoch: Epoch,
    /// What it says of itself, of which its nick alone is told. Shared, as in a `Presence`.
    pub profile: Arc<Profile>,
    /// Seconds since somebody heard it last, rounded up: so that what is told on and on grows old
    /// all the same.
    pub age: u32,
    /// Whether the teller reaches it by unicast only: others should expect no more.
    pub unicast: bool,
}

impl Told {
    /// `["id","addr",epoch,"nick",age]`, with a `1` behind it where only unicast reaches the peer.
    fn write(&self, text: &mut String) {
        // Writing to a String can't fail.
        let _ = write!(text, "[\"{}\",\"{}\",{},", self.id, self.addr, self.epoch);
        push_string(text, self.profile.nick.raw());
        let _ = write!(text, ",{}{}", self.age, if self.unicast { ",1]" } else { "]" });
    }
}

/// `roster`: some of the peers that the sender knows, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterPage {
    /// Who tells.
    pub from: Sender,
    /// The nonce of the question.
    pub re: u64,
    /// Whom the sender knows in all.
    pub summary: Summary,
    /// The page begins behind this id.
    pub after: Option<NodeId>,
    /// Whether there are peers behind the last one on this page.
    pub more: bool,
    /// The peers.
    pub peers: Vec<Told>,
}

impl RosterPage {
    /// Writes and signs the page with as many of its peers as fit into `limit` bytes, and returns
    /// how many did.
    pub fn encode(&self, identity: &Identity, limit: usize) -> (Vec<u8>, usize) {
        let mut object = Object::datagram("roster");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).hex("re", self.re);
        object.json("count", self.summary.count).hex("digest", self.summary.digest);
        if let Some(after) = self.after {
            object.shown("after", after);
        }
        let room = limit.saturating_sub(object.signed_len() + ",\"more\":true,\"peers\":[]".len());
        let (mut peers, mut fitted) = (String::with_capacity(limit), 0);
        for told in &self.peers {
            let end = peers.len();
            if fitted > 0 {
                peers.push(',');
            }
            told.write(&mut peers);
            if peers.len() >= room {
                peers.truncate(end);
                break;
            }
            fitted += 1;
        }
        if self.more || fitted < self.peers.len() {
            object.json("more", true);
        }
        object.json("peers", format_args!("[{peers}]"));
        (object.sign(identity), fitted)
    }
}
