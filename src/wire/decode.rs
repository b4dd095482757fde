//! Bytes from anybody to values that keep their promises, or a reason why not.
//!
//! Unknown members are ignored and unknown types are told apart from broken datagrams, so that
//! later versions of the protocol can add both.

mod log;
mod told;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use told::ToldMembers;

use super::entry::{Ack, Body, Content, Earlier, Entry, Payload, Tell};
use super::log::ChannelLogs;
use super::packet::Datagram;
use super::presence::{Hearing, Presence, PresenceKind, Profile, Summary};
use super::roster::{Ask, RosterPage, Slice};
use super::sign::has_tail;
use super::{Sender, VERSION};
use crate::values::{ChannelName, Json, NodeId, PeerText, WallTime, filled, limits};

/// Why bytes are not taken as a datagram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More than [`limits::DATAGRAM`] bytes.
    #[error("longer than {} bytes", limits::DATAGRAM)]
    TooLong,
    /// Not a JSON object, or a member of the wrong type.
    #[error("not a datagram of ours: {0}")]
    Malformed(String),
    /// Another version of the protocol.
    #[error("version {0} of the protocol; this is version {VERSION}")]
    Version(u64),
    /// A type that this version does not know.
    #[error("of an unknown type")]
    UnknownType,
    /// A member is missing, or its value is out of bounds.
    #[error("'{0}' is missing or out of bounds")]
    Member(&'static str),
}

/// `["author",run,from,to,before]`
type LogRow = (String, u64, u64, u64, u64);

/// Every member of every type. Which of them a type needs is checked afterwards.
#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the wire's own")]
struct Members<'a> {
    cooee: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    epoch: Option<u64>,
    n: Option<u64>,
    #[serde(default)]
    visitor: bool,
    nick: Option<String>,
    host: Option<String>,
    version: Option<String>,
    away: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    services: Option<BTreeMap<String, u16>>,
    #[serde(default)]
    partial: bool,
    channels: Option<Vec<String>>,
    at: Option<u64>,
    of: Option<usize>,
    count: Option<u32>,
    digest: Option<String>,
    #[serde(rename = "try", default)]
    attempt: u8,
    nonce: Option<String>,
    re: Option<String>,
    #[serde(default)]
    held: u32,
    token: Option<String>,
    to: Option<String>,
    hears: Option<String>,
    #[serde(default)]
    ipv4: bool,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    slice: Option<(u16, u16)>,
    have: Option<String>,
    #[serde(default)]
    more: bool,
    peers: Option<Vec<ToldMembers>>,
    channel: Option<String>,
    seq: Option<u64>,
    text: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    level: Option<String>,
    #[serde(borrow)]
    msgs: Option<Vec<ContentMembers<'a>>>,
    part: Option<u32>,
    parts: Option<u32>,
    piece: Option<String>,
    #[serde(rename = "box")]
    sealed: Option<String>,
    #[serde(default)]
    confirm: bool,
    again: Option<u16>,
    follows: Option<(u64, u64, u64)>,
    author: Option<String>,
    run: Option<u64>,
    gaps: Option<Vec<(u64, u64)>>,
    last: Option<u32>,
    page: Option<u32>,
    pages: Option<u32>,
    logs: Option<Vec<LogRow>>,
    since: Option<u64>,
    #[serde(default)]
    own: bool,
    heads: Option<Vec<(String, u64, String)>>,
    via: Option<String>,
    #[serde(rename = "for")]
    on_behalf: Option<String>,
    #[serde(default)]
    heard: bool,
    #[serde(default)]
    stranger: bool,
    ago: Option<u64>,
    peer: Option<String>,
    sig: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ContentMembers<'a> {
    at: Option<u64>,
    text: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    level: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    cooee: u64,
}

#[derive(Deserialize)]
struct Sealed {
    key: String,
    seal: String,
}

type Result<T> = std::result::Result<T, DecodeError>;

/// The key's name and the sealed bytes of a sealed datagram.
pub(crate) fn sealed(bytes: &[u8]) -> Option<(String, String)> {
    let Sealed { key, seal } = serde_json::from_slice(bytes).ok()?;
    Some((key, seal))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Datagram> {
    if bytes.len() > limits::DATAGRAM {
        return Err(DecodeError::TooLong);
    }
    let members: Members<'_> = serde_json::from_slice(bytes).map_err(|e| {
        // A later version may give a member another type: then the version is what to report.
        match serde_json::from_slice(bytes) {
            Ok(Version { cooee }) if cooee != VERSION => DecodeError::Version(cooee),
            _ => DecodeError::Malformed(e.to_string()),
        }
    })?;
    match members.cooee {
        Some(VERSION) => {}
        Some(other) => return Err(DecodeError::Version(other)),
        None => return Err(DecodeError::Member("cooee")),
    }
    match members.kind.as_deref() {
        Some("hello") => members.presence(PresenceKind::Hello).map(Datagram::Presence),
        Some("here") => members.presence(PresenceKind::Here).map(Datagram::Presence),
        Some("bye") => {
            let (n, visitor) = (need(members.n, "n")?, members.visitor);
            Ok(Datagram::Bye { from: members.sender()?, n, visitor })
        }
        Some("ask") => members.ask().map(Datagram::Ask),
        Some("roster") => members.roster().map(Datagram::Roster),
        Some("head") => members.head().map(Datagram::Head),
        Some("want") => members.want().map(Datagram::Want),
        Some("got") => members.got().map(Datagram::Got),
        Some("recall") => members.recall().map(Datagram::Recall),
        Some("logs") => members.logs().map(Datagram::Logs),
        Some("probe") => members.probe().map(Datagram::Probe),
        Some("alive") => members.alive().map(Datagram::Alive),
        Some("suspect") => members.suspect().map(Datagram::Suspect),
        // What claims to be signed and is not signed as it should be is not taken for unsigned.
        _ if members.sig.is_some() && !has_tail(bytes) => Err(DecodeError::Member("sig")),
        Some("say") => members.entry(Body::Say).map(Datagram::Entry),
        Some("cast") => members.entry(Body::Cast).map(Datagram::Entry),
        Some("tell") => members.tell().map(Datagram::Tell),
        Some("ack") => members.ack().map(Datagram::Ack),
        Some(_) => Err(DecodeError::UnknownType),
        None => Err(DecodeError::Member("type")),
    }
}

/// The nick and the payload of what was sealed for one peer.
pub(super) fn decode_payload(
    json: &str,
    may_be_empty: bool,
) -> Result<(PeerText, Option<Payload>)> {
    let members: Members<'_> = serde_json::from_slice(json.as_bytes())
        .map_err(|e| DecodeError::Malformed(e.to_string()))?;
    let nick = text(members.nick.clone(), limits::NICK, "nick")?.unwrap_or_default();
    let says_something = members.text.is_some()
        || members.data.is_some()
        || members.msgs.is_some()
        || members.piece.is_some();
    if may_be_empty && !says_something {
        return Ok((nick, None));
    }
    Ok((nick, Some(members.payload()?)))
}

/// One message put together from its parts.
pub(crate) fn decode_content(json: &str) -> Result<Content> {
    let content: ContentMembers<'_> = serde_json::from_slice(json.as_bytes())
        .map_err(|e| DecodeError::Malformed(e.to_string()))?;
    content.check()
}

pub(super) fn need<T>(value: Option<T>, name: &'static str) -> Result<T> {
    value.ok_or(DecodeError::Member(name))
}

pub(super) fn hex(value: Option<&str>, name: &'static str) -> Result<Option<u64>> {
    let Some(text) = value else { return Ok(None) };
    if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(DecodeError::Member(name));
    }
    u64::from_str_radix(text, 16).map(Some).map_err(|_| DecodeError::Member(name))
}

fn slice(members: Option<(u16, u16)>) -> Result<Slice> {
    let slice = members.map_or(Some(Slice::WHOLE), |(index, of)| Slice::new(index, of));
    need(slice, "slice")
}

fn parts(text: &str) -> Result<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
    if bytes.len() != Slice::PARTS {
        return Err(DecodeError::Member("have"));
    }
    Ok(bytes)
}

fn id(value: Option<&str>, name: &'static str) -> Result<Option<NodeId>> {
    value.map(|text| text.parse().map_err(|_| DecodeError::Member(name))).transpose()
}

fn channel(value: Option<&str>) -> Result<ChannelName> {
    let name = value.unwrap_or(ChannelName::LOBBY);
    name.parse().map_err(|_| DecodeError::Member("channel"))
}

/// Numbers leave room above them, so that adding to them can't overflow.
fn number(seq: u64, name: &'static str) -> Result<u64> {
    if seq == 0 || seq > u64::MAX / 2 { Err(DecodeError::Member(name)) } else { Ok(seq) }
}

fn earlier(from: Option<Sender>, (run, seq, ago): (u64, u64, u64)) -> Result<Earlier> {
    if from.is_none_or(|from| run >= from.epoch) {
        return Err(DecodeError::Member("follows"));
    }
    Ok(Earlier { run, seq: number(seq, "follows")?, ago: Duration::from_millis(ago) })
}

fn text(value: Option<String>, limit: usize, name: &'static str) -> Result<Option<PeerText>> {
    match value {
        Some(text) if text.len() > limit => Err(DecodeError::Member(name)),
        other => Ok(other.map(PeerText::new)),
    }
}

fn map<V, W>(
    value: Option<BTreeMap<String, V>>,
    name: &'static str,
    convert: impl Fn(V) -> W,
) -> Result<BTreeMap<PeerText, W>> {
    let value = value.unwrap_or_default();
    if value.len() > limits::TAGS || value.keys().any(|key| key.len() > limits::SHORT_TEXT) {
        return Err(DecodeError::Member(name));
    }
    Ok(filled(value.into_iter().map(|(key, value)| (PeerText::new(key), convert(value)))))
}

impl Members<'_> {
    fn sender(&self) -> Result<Sender> {
        let id = need(id(self.id.as_deref(), "id")?, "id")?;
        Ok(Sender { id, epoch: need(self.epoch, "epoch")? })
    }

    fn summary(&self) -> Result<Summary> {
        let digest = hex(self.digest.as_deref(), "digest")?.unwrap_or_default();
        Ok(Summary { count: self.count.unwrap_or_default(), digest })
    }

    fn presence(self, kind: PresenceKind) -> Result<Presence> {
        let from = self.sender()?;
        let summary = self.summary()?;
        let channels = self.channels.unwrap_or_default();
        let channels: Vec<ChannelName> = channels
            .iter()
            .map(|name| name.parse().map_err(|_| DecodeError::Member("channels")))
            .collect::<Result<_>>()?;
        let channels_at = usize::try_from(self.at.unwrap_or_default()).unwrap_or(usize::MAX);
        let channels_of = self.of.unwrap_or(channels.len());
        if channels_of > limits::CHANNELS
            || channels_at.saturating_add(channels.len()) > channels_of
        {
            return Err(DecodeError::Member("of"));
        }
        let hears = match self.hears.as_deref() {
            None => None,
            Some("multicast") => Some(Hearing::Multicast),
            Some("unicast") => Some(Hearing::Unicast),
            Some(_) => return Err(DecodeError::Member("hears")),
        };
        let spoken = self.heads.unwrap_or_default();
        if spoken.len() > limits::CHANNELS {
            return Err(DecodeError::Member("heads"));
        }
        let logs = |(name, head, digest): (String, u64, String)| -> Result<ChannelLogs> {
            let channel = name.parse().map_err(|_| DecodeError::Member("heads"))?;
            let head = if head == 0 { 0 } else { number(head, "heads")? };
            let digest = hex(Some(&digest), "heads")?.unwrap_or_default();
            Ok(ChannelLogs { channel, head, digest })
        };
        let profile = Profile {
            nick: need(text(self.nick, limits::NICK, "nick")?, "nick")?,
            host: text(self.host, limits::SHORT_TEXT, "host")?.unwrap_or_default(),
            version: text(self.version, limits::SHORT_TEXT, "version")?.unwrap_or_default(),
            away: text(self.away, limits::SHORT_TEXT, "away")?,
            tags: map(self.tags, "tags", PeerText::new)?,
            services: map(self.services, "services", |port| port)?,
        };
        Ok(Presence {
            kind,
            from,
            n: need(self.n, "n")?,
            profile: Arc::new(profile),
            partial: self.partial,
            channels: Arc::new(channels),
            channels_at,
            channels_of,
            logs: spoken.into_iter().map(logs).collect::<Result<_>>()?,
            visitor: self.visitor,
            summary,
            attempt: self.attempt,
            nonce: hex(self.nonce.as_deref(), "nonce")?,
            re: hex(self.re.as_deref(), "re")?,
            held: self.held,
            token: hex(self.token.as_deref(), "token")?,
            to: id(self.to.as_deref(), "to")?,
            hears,
            has_ipv4: self.ipv4,
        })
    }

    /// `after` where it is an id.
    fn after_id(&self) -> Result<Option<NodeId>> {
        let Some(raw) = self.after else { return Ok(None) };
        let text = serde_json::from_slice(raw.get().as_bytes())
            .map_err(|_| DecodeError::Member("after"))?;
        id(Some(text), "after")
    }

    fn ask(&self) -> Result<Ask> {
        Ok(Ask {
            from: self.sender()?,
            visitor: self.visitor,
            nonce: need(hex(self.nonce.as_deref(), "nonce")?, "nonce")?,
            token: need(hex(self.token.as_deref(), "token")?, "token")?,
            after: self.after_id()?,
            slice: slice(self.slice)?,
            have: self.have.as_deref().map(parts).transpose()?,
        })
    }

    fn roster(self) -> Result<RosterPage> {
        Ok(RosterPage {
            from: self.sender()?,
            re: need(hex(self.re.as_deref(), "re")?, "re")?,
            summary: self.summary()?,
            after: self.after_id()?,
            more: self.more,
            peers: need(self.peers, "peers")?
                .into_iter()
                .map(ToldMembers::told)
                .collect::<Result<_>>()?,
        })
    }

    fn entry(self, body: Body) -> Result<Entry> {
        let from = if self.id.is_some() { Some(self.sender()?) } else { None };
        let channel = channel(self.channel.as_deref())?;
        let nick = text(self.nick.clone(), limits::NICK, "nick")?.unwrap_or_default();
        let seq = self.seq.map(|seq| number(seq, "seq")).transpose()?;
        let follows = self.follows.map(|follows| earlier(from, follows)).transpose()?;
        let (confirm, again) = (self.confirm, self.again);
        let payload = self.payload()?;
        Ok(Entry { body, from, nick, channel, seq, confirm, again, follows, payload })
    }

    fn payload(self) -> Result<Payload> {
        match (self.msgs, self.piece) {
            (Some(msgs), _) => {
                if msgs.is_empty() {
                    return Err(DecodeError::Member("msgs"));
                }
                let contents = msgs.into_iter().map(ContentMembers::check).collect::<Result<_>>();
                Ok(Payload::Whole(contents?))
            }
            (None, Some(piece)) => {
                let (part, parts) = (need(self.part, "part")?, need(self.parts, "parts")?);
                if part >= parts || parts as usize > limits::PARTS {
                    return Err(DecodeError::Member("parts"));
                }
                Ok(Payload::Part { part, parts, piece: piece.into() })
            }
            (None, None) => {
                let (at, text, data, level) = (self.at, self.text, self.data, self.level);
                let content = ContentMembers { at, text, data, level }.check()?;
                Ok(Payload::Whole(vec![content]))
            }
        }
    }

    fn tell(&self) -> Result<Tell> {
        let sealed = need(self.sealed.as_deref(), "box")?;
        Ok(Tell {
            from: self.sender()?,
            n: need(self.n, "n")?,
            to: need(id(self.to.as_deref(), "to")?, "to")?,
            sealed: BASE64URL_NOPAD
                .decode(sealed.as_bytes())
                .map_err(|_| DecodeError::Member("box"))?,
        })
    }

    fn ack(&self) -> Result<Ack> {
        let id = need(id(self.to.as_deref(), "to")?, "to")?;
        let to = Sender { id, epoch: need(self.run, "run")? };
        Ok(Ack { from: self.sender()?, to, n: need(self.n, "n")? })
    }
}

impl ContentMembers<'_> {
    fn check(self) -> Result<Content> {
        let level = match self.level {
            None => None,
            Some(level) => Some(level.parse().map_err(|_| DecodeError::Member("level"))?),
        };
        let data = match self.data {
            None => None,
            Some(raw) => Some(Json::from_raw(raw).map_err(|_| DecodeError::Member("data"))?),
        };
        Ok(Content {
            // Zero, where somebody wrote the datagram by hand: the receiver's clock serves.
            at: WallTime(self.at.unwrap_or_default()).min(WallTime::MAX),
            text: need(text(self.text, limits::TEXT, "text")?, "text")?,
            data,
            level: level.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
