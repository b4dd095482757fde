//! The objects that `--json` prints and the control socket speaks, one a line. Their members are a promise to scripts: added to,
//! never renamed, and always in the order in which they stand here.

pub(crate) mod asking;
pub(crate) mod confirming;
pub(crate) mod read;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::node::Notice;
use crate::proto::{Event, Message, PeerInfo};
use crate::talk::text::called;
use crate::values::{ChannelName, Group, Instant, NodeId, PeerText, WallTime, is_misleading};

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    now: Instant,
    wall: WallTime,
}

impl Clocks {
    /// These.
    pub(crate) fn new(now: Instant, wall: WallTime) -> Self {
        Self { now, wall }
    }

    /// The wall time.
    pub(crate) fn wall(self) -> WallTime {
        self.wall
    }

    /// What the wall clock showed, or would have shown, at that instant.
    fn wall_at(self, instant: Instant) -> WallTime {
        let ago = u64::try_from(self.now.since(instant).as_millis()).unwrap_or(u64::MAX);
        WallTime(self.wall.0.saturating_sub(ago))
    }
}

/// One peer.
#[derive(Debug, Serialize)]
struct Peer<'a> {
    id: String,
    nick: &'a str,
    host: &'a str,
    addr: Option<String>,
    state: &'static str,
    path: &'static str,
    rtt_ms: Option<f64>,
    channels: Vec<&'a str>,
    #[serde(serialize_with = "tags")]
    tags: &'a BTreeMap<PeerText, PeerText>,
    #[serde(serialize_with = "services")]
    services: &'a BTreeMap<PeerText, u16>,
    since: String,
    version: &'a str,
    verified: bool,
    away: Option<&'a str>,
    contact: &'static str,
}

fn tags<S: Serializer>(tags: &BTreeMap<PeerText, PeerText>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(tags.iter().map(|(key, value)| (key.raw(), value.raw())))
}

fn services<S: Serializer>(all: &BTreeMap<PeerText, u16>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(all.iter().map(|(name, port)| (name.raw(), port)))
}

impl<'a> Peer<'a> {
    fn of(peer: &'a PeerInfo, clocks: Clocks) -> Self {
        let profile = &peer.profile;
        Self {
            id: peer.id.to_string(),
            nick: profile.nick.raw(),
            host: profile.host.raw(),
            addr: peer.addr.map(|addr| addr.to_string()),
            state: peer.state.as_str(),
            path: peer.path.as_str(),
            rtt_ms: peer.rtt.map(|rtt| rtt.as_micros() as f64 / 1_000.0),
            channels: peer.channels.iter().map(ChannelName::as_str).collect(),
            tags: &profile.tags,
            services: &profile.services,
            since: clocks.wall_at(peer.since).to_string(),
            version: profile.version.raw(),
            verified: peer.verified,
            away: profile.away.as_ref().map(PeerText::raw),
            contact: peer.contact.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Author<'a> {
    id: Option<String>,
    nick: &'a str,
    /// Of an unverified message, of which nothing else is sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<String>,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    event: &'static str,
    channel: Option<&'a str>,
    from: Author<'a>,
    epoch: u64,
    seq: u64,
    at: String,
    text: &'a str,
    data: Option<&'a RawValue>,
    level: &'static str,
    direct: bool,
    verified: bool,
    /// Said before this node took part in the channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    history: bool,
    /// In the history: whom this host told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Happened<'a> {
    Joined { peer: Peer<'a> },
    Left { peer: Peer<'a> },
    Suspect { peer: Peer<'a> },
    Dead { peer: Peer<'a> },
    Alive { peer: Peer<'a> },
    Path { peer: Peer<'a> },
    Status { peer: Peer<'a> },
    Renamed { peer: Peer<'a>, was: &'a str },
    Moved { peer: Peer<'a>, was: SocketAddr },
    Gap { channel: &'a str, peer: Author<'a>, count: u64 },
    Settled { complete: bool },
    Link { name: &'a str, state: &'static str, why: Option<&'a str> },
    Cloned { addr: String, nick: &'a str, superseded: bool },
    Missed { count: u64 },
    Dropped { count: u64, buffer: usize },
}

#[derive(Debug, Serialize)]
struct Link<'a> {
    name: &'a str,
    addr: IpAddr,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Done<'a> {
    Ready { id: String, nick: &'a str, group: String, links: Vec<Link<'a>> },
    Said { channel: &'a str, level: &'static str, bytes: usize, peers: usize },
    Told { id: String, nick: &'a str, took_ms: f64 },
    NotTold { id: String, nick: &'a str, why: String },
}

/// A line of JSON in which nothing steers a terminal or hides: what misleads is written as `\uXXXX`,
/// which every reader of JSON turns back.
fn line(value: &impl Serialize) -> String {
    // Only maps with keys that are no strings, and failing writers, can't be serialised.
    let plain = serde_json::to_string(value).unwrap_or_default();
    let misleads = |c: char| c == '\x7f' || !c.is_ascii() && is_misleading(c);
    if !plain.contains(misleads) {
        return plain;
    }
    let mut safe = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        // Outside its strings JSON is ASCII without DEL, so this is inside one.
        if misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A peer.
pub(crate) fn peer(peer: &PeerInfo, clocks: Clocks) -> String {
    line(&Peer::of(peer, clocks))
}

/// A message. One without a time is given that of its arrival.
pub(crate) fn message(message: &Message, clocks: Clocks) -> String {
    kept(message, None, clocks)
}

/// A message of the history, and to whom this host told it if it did.
pub(crate) fn kept(message: &Message, to: Option<NodeId>, clocks: Clocks) -> String {
    line(&Said {
        event: "message",
        channel: message.channel.as_ref().map(ChannelName::as_str),
        from: Author {
            id: message.from.map(|id| id.to_string()),
            nick: message.nick.raw(),
            addr: message.source.map(|addr| addr.to_string()),
        },
        epoch: message.epoch,
        seq: message.seq,
        at: message.at.unwrap_or(clocks.wall).to_string(),
        text: message.text.raw(),
        data: message
            .data
            .as_ref()
            .and_then(|data| serde_json::from_slice(data.as_str().as_bytes()).ok()),
        level: message.level.as_str(),
        direct: message.channel.is_none(),
        verified: message.verified,
        history: message.history,
        to: to.map(|id| id.to_string()),
    })
}

/// Anything that happened; `None` for what a script has no use for.
pub(crate) fn notice(notice: &Notice, clocks: Clocks) -> Option<String> {
    let peer = |peer| Peer::of(peer, clocks);
    let named;
    let happened = match notice {
        Notice::Event(Event::Message(said) | Event::Said(said)) => {
            return Some(message(said, clocks));
        }
        Notice::Event(Event::Joined(p)) => Happened::Joined { peer: peer(p) },
        Notice::Event(Event::Left(p)) => Happened::Left { peer: peer(p) },
        Notice::Event(Event::Suspect(p)) => Happened::Suspect { peer: peer(p) },
        Notice::Event(Event::Dead(p)) => Happened::Dead { peer: peer(p) },
        Notice::Event(Event::Alive(p)) => Happened::Alive { peer: peer(p) },
        Notice::Event(Event::Path(p)) => Happened::Path { peer: peer(p) },
        Notice::Event(Event::Status(p)) => Happened::Status { peer: peer(p) },
        Notice::Event(Event::Renamed { peer: p, was }) => {
            Happened::Renamed { peer: peer(p), was: was.raw() }
        }
        Notice::Event(Event::Moved { peer: p, was }) => {
            Happened::Moved { peer: peer(p), was: *was }
        }
        Notice::Event(Event::Settled { complete }) => Happened::Settled { complete: *complete },
        Notice::Event(Event::Cloned { addr, nick, superseded }) => Happened::Cloned {
            addr: addr.to_string(),
            nick: nick.raw(),
            superseded: *superseded,
        },
        Notice::LinkUp { name } => Happened::Link { name, state: "up", why: None },
        Notice::LinkDown { name, why } => Happened::Link { name, state: "down", why: Some(why) },
        Notice::Dropped { count, buffer } => Happened::Dropped { count: *count, buffer: *buffer },
        Notice::Missed(count) => Happened::Missed { count: *count },
        Notice::Event(Event::Gap { author, nick, channel, count }) => {
            named = called(nick, author);
            Happened::Gap {
                channel: channel.as_str(),
                peer: Author { id: Some(author.to_string()), nick: named.raw(), addr: None },
                count: *count,
            }
        }
        Notice::Event(
            Event::Restarted(_)
            | Event::Entry(_)
            | Event::Fetch { .. }
            | Event::Expecting { .. }
            | Event::Receipt { .. }
            | Event::Told { .. }
            | Event::NotTold { .. }
            | Event::Refused(_)
            | Event::Bereft
            | Event::Stopped
            // Of questions and answers only those hear who ask and answer.
            | Event::Question(_)
            | Event::QuestionOver { .. }
            | Event::Answer(_)
            | Event::AnswerEnd { .. },
        ) => return None,
    };
    Some(line(&happened))
}

/// A node listens from now on.
pub(crate) fn ready(id: NodeId, nick: &str, group: Group, links: &[(String, IpAddr)]) -> String {
    let links = links.iter().map(|(name, addr)| Link { name, addr: *addr }).collect();
    line(&Done::Ready { id: id.to_string(), nick, group: group.to_string(), links })
}

/// Something was said in a channel.
pub(crate) fn said(channel: &str, level: &'static str, bytes: usize, peers: usize) -> String {
    line(&Done::Said { channel, level, bytes, peers })
}

/// Something was told to a peer.
pub(crate) fn told(peer: &PeerInfo, took: std::time::Duration) -> String {
    line(&Done::Told {
        id: peer.id.to_string(),
        nick: peer.profile.nick.raw(),
        took_ms: took.as_micros() as f64 / 1_000.0,
    })
}

/// Something did not reach a peer.
pub(crate) fn not_told(peer: &PeerInfo, why: &impl std::fmt::Display) -> String {
    line(&Done::NotTold {
        id: peer.id.to_string(),
        nick: peer.profile.nick.raw(),
        why: why.to_string(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
