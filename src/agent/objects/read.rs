//! The other way round: what another process of this program has printed, taken in again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Clocks;
use crate::node::Notice;
use crate::proto::{Contact, Event, Message, PeerInfo, PeerState};
use crate::values::{Json, PeerText, WallTime, filled};
use crate::wire::{Hearing, Profile};

#[derive(Debug, Deserialize)]
struct Peer {
    id: String,
    nick: String,
    host: String,
    addr: Option<String>,
    state: String,
    path: String,
    rtt_ms: Option<f64>,
    channels: Vec<String>,
    tags: BTreeMap<String, String>,
    services: BTreeMap<String, u16>,
    since: String,
    version: String,
    verified: bool,
    away: Option<String>,
    contact: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Author {
    id: Option<String>,
    nick: String,
    addr: Option<String>,
}

/// Any event; each has some of these.
#[derive(Debug, Deserialize)]
struct Happened {
    event: String,
    peer: Option<Box<RawValue>>,
    was: Option<String>,
    complete: Option<bool>,
    superseded: Option<bool>,
    name: Option<String>,
    nick: Option<String>,
    state: Option<String>,
    why: Option<String>,
    addr: Option<String>,
    count: Option<u64>,
    buffer: Option<usize>,
    channel: Option<String>,
    from: Option<Author>,
    epoch: Option<u64>,
    seq: Option<u64>,
    at: Option<String>,
    text: Option<String>,
    data: Option<Box<RawValue>>,
    level: Option<String>,
    verified: Option<bool>,
    #[serde(default)]
    history: bool,
}

pub(super) fn wall(text: &str) -> Option<WallTime> {
    let ms = text.parse::<Timestamp>().ok()?.as_millisecond();
    u64::try_from(ms).ok().map(WallTime)
}

impl Peer {
    fn info(self, clocks: Clocks) -> Option<PeerInfo> {
        let ago = clocks.wall.0.saturating_sub(wall(&self.since)?.0);
        let text = |text: String| PeerText::new(text);
        Some(PeerInfo {
            id: self.id.parse().ok()?,
            epoch: 0,
            profile: Arc::new(Profile {
                nick: text(self.nick),
                host: text(self.host),
                version: text(self.version),
                away: self.away.map(text),
                tags: filled(self.tags.into_iter().map(|(k, v)| (text(k), text(v)))),
                services: filled(self.services.into_iter().map(|(k, v)| (text(k), v))),
            }),
            channels: Arc::new(self.channels.iter().filter_map(|name| name.parse().ok()).collect()),
            addr: self.addr.and_then(|addr| addr.parse().ok()),
            state: match self.state.as_str() {
                "suspect" => PeerState::Suspect,
                "left" => PeerState::Left,
                "dead" => PeerState::Dead,
                _ => PeerState::Alive,
            },
            path: if self.path == Hearing::Unicast.as_str() {
                Hearing::Unicast
            } else {
                Hearing::Multicast
            },
            contact: Contact::from_word(self.contact.as_deref().unwrap_or_default()),
            rtt: self.rtt_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok()),
            since: clocks.now - Duration::from_millis(ago),
            verified: self.verified,
        })
    }
}

impl Happened {
    fn message(self) -> Option<Message> {
        let from = self.from?;
        Some(Message {
            channel: self.channel.map(|name| name.parse()).transpose().ok()?,
            from: from.id.map(|id| id.parse()).transpose().ok()?,
            source: from.addr.and_then(|addr| addr.parse().ok()),
            nick: PeerText::new(from.nick),
            epoch: self.epoch?,
            seq: self.seq?,
            at: Some(wall(&self.at?)?),
            text: PeerText::new(self.text?),
            data: self.data.and_then(|raw| Json::parse(raw.get()).ok()),
            level: self.level?.parse().ok()?,
            verified: self.verified?,
            history: self.history,
        })
    }

    fn notice(self, clocks: Clocks) -> Option<Notice> {
        let peer = |peer: Option<Box<RawValue>>| {
            serde_json::from_slice::<Peer>(peer?.get().as_bytes()).ok()?.info(clocks)
        };
        let event = match self.event.as_str() {
            "message" => Event::Message(self.message()?),
            "joined" => Event::Joined(peer(self.peer)?),
            "left" => Event::Left(peer(self.peer)?),
            "suspect" => Event::Suspect(peer(self.peer)?),
            "dead" => Event::Dead(peer(self.peer)?),
            "alive" => Event::Alive(peer(self.peer)?),
            "path" => Event::Path(peer(self.peer)?),
            "status" => Event::Status(peer(self.peer)?),
            "renamed" => Event::Renamed { peer: peer(self.peer)?, was: PeerText::new(self.was?) },
            "moved" => Event::Moved { peer: peer(self.peer)?, was: self.was?.parse().ok()? },
            "gap" => {
                let of: Author = serde_json::from_slice(self.peer?.get().as_bytes()).ok()?;
                Event::Gap {
                    author: of.id?.parse().ok()?,
                    nick: PeerText::new(of.nick),
                    channel: self.channel?.parse().ok()?,
                    count: self.count?,
                }
            }
            "settled" => Event::Settled { complete: self.complete? },
            "cloned" => Event::Cloned {
                addr: self.addr?.parse().ok()?,
                nick: PeerText::new(self.nick.unwrap_or_default()),
                superseded: self.superseded.unwrap_or_default(),
            },
            "link" if self.state.as_deref() == Some("up") => {
                return Some(Notice::LinkUp { name: self.name? });
            }
            "link" => {
                return Some(Notice::LinkDown {
                    name: self.name?,
                    why: self.why.unwrap_or_default(),
                });
            }
            "dropped" => {
                return Some(Notice::Dropped { count: self.count?, buffer: self.buffer? });
            }
            "missed" => return Some(Notice::Missed(self.count?)),
            _ => return None,
        };
        Some(Notice::Event(event))
    }
}

/// An event; `None` where the line is of a kind that is not known here.
pub(crate) fn notice(line: &str, clocks: Clocks) -> Option<Notice> {
    serde_json::from_slice::<Happened>(line.as_bytes()).ok()?.notice(clocks)
}

/// A list of peers.
pub(crate) fn peers(list: &RawValue, clocks: Clocks) -> Option<Vec<PeerInfo>> {
    let list: Vec<Peer> = serde_json::from_slice(list.get().as_bytes()).ok()?;
    list.into_iter().map(|peer| peer.info(clocks)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{a_message, a_peer, clocks};
    use super::super::{message, notice as print, peer};
    use super::*;

    #[test]
    fn what_was_printed_is_read_again() {
        let mut known = a_peer();
        known.epoch = 0; // is not printed
        let list = format!("[{}]", peer(&known, clocks()));
        let list: Box<RawValue> = serde_json::from_str(&list).unwrap();
        assert_eq!(peers(&list, clocks()), Some(vec![known.clone()]));
        let mut unsigned = a_message();
        (unsigned.from, unsigned.verified) = (None, false);
        unsigned.source = Some(([10, 0, 0, 1], 7).into());
        for said in [a_message(), unsigned] {
            let line = message(&said, clocks());
            assert_eq!(notice(&line, clocks()), Some(Notice::Event(Event::Message(said))));
        }
        for happened in [
            Notice::Event(Event::Joined(known.clone())),
            Notice::Event(Event::Dead(known.clone())),
            Notice::Event(Event::Renamed { peer: known.clone(), was: "bob\u{202e}".into() }),
            Notice::Event(Event::Moved { peer: known, was: ([10, 0, 0, 9], 7).into() }),
            Notice::Event(Event::Settled { complete: true }),
            Notice::LinkDown { name: "eth0".into(), why: "no \"carrier\"".into() },
            Notice::LinkUp { name: "eth0".into() },
            Notice::Event(Event::Gap {
                author: a_peer().id,
                nick: "ada".into(),
                channel: crate::values::ChannelName::lobby(),
                count: 3,
            }),
            Notice::Missed(7),
            Notice::Dropped { count: 1, buffer: 2 },
        ] {
            let line = print(&happened, clocks()).unwrap();
            assert_eq!(notice(&line, clocks()), Some(happened));
        }
    }

    #[test]
    fn what_is_not_known_or_not_whole_is_nothing() {
        for line in [
            "",
            "{}",
            "[]",
            r#"{"event":"tomorrow"}"#,
            r#"{"event":"joined"}"#,
            r#"{"event":"message","from":{"id":null,"nick":"x"}}"#,
        ] {
            assert_eq!(notice(line, clocks()), None, "{line}");
        }
    }
}
