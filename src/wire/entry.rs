//! `say` and `cast`: what is said in a channel. `tell` and `ack`: what is told to one peer.
//!
//! Sequence numbers count messages, and parts of long ones: an entry with three short messages
//! and `"seq":7` takes 7, 8 and 9; a message in three parts takes three entries of one number
//! each.
//!
//! ```text
//! one message     {…,"seq":7,"at":…,"text":"hi"}
//! several         {…,"seq":7,"msgs":[{"at":…,"text":"a"},{"at":…,"text":"b"},…]}
//! part of one     {…,"seq":7,"part":0,"parts":3,"piece":"{\"at\":…,\"text\":\"a long o"}
//! ```

use std::time::Duration;

use super::Sender;
use super::object::{Object, push_string, string_len};
use super::sign::Identity;
use crate::values::{ChannelName, Epoch, Json, Level, NodeId, PeerText, WallTime, limits};

/// What was said, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// When, by the author's clock.
    pub at: WallTime,
    /// In words.
    pub text: PeerText,
    /// For programs.
    pub data: Option<Json>,
    /// How urgent it is.
    pub level: Level,
}

impl Content {
    /// The content as one JSON object.
    pub fn to_json(&self) -> String {
        let mut object = Object::inner();
        self.write(&mut object);
        object.close()
    }

    fn write(&self, object: &mut Object) {
        object.json("at", self.at.0).text("text", self.text.raw());
        if let Some(data) = &self.data {
            object.json("data", data.as_str());
        }
        if self.level != Level::Info {
            object.shown("level", self.level);
        }
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One message, or several short ones.
    Whole(Vec<Content>),
    /// A slice of the JSON text of one long message.
    Part {
        /// Which slice, from 0.
        part: u32,
        /// How many there are; at least 1.
        parts: u32,
        /// The slice.
        piece: Box<str>,
    },
}

impl Payload {
    /// How many sequence numbers the payload takes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(contents) => contents.len() as u64,
            Self::Part { .. } => 1,
        }
    }

    /// How many messages end in it.
    pub fn messages(&self) -> u32 {
        match self {
            Self::Whole(contents) => contents.len() as u32,
            Self::Part { part, parts, .. } => u32::from(part + 1 == *parts),
        }
    }

    /// Whether a message begins in it, so that nothing before it is needed.
    pub fn is_beginning(&self) -> bool {
        !matches!(self, Self::Part { part: 1.., .. })
    }

    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn write(&self, object: &mut Object) {
        match self {
            Self::Whole(contents) => match contents.as_slice() {
                [content] => content.write(object),
                contents => {
                    object.array("msgs", contents.iter().map(Content::to_json));
                }
            },
            Self::Part { part, parts, piece } => {
                object.json("part", part).json("parts", parts).text("piece", piece);
            }
        }
    }
}

/// Which of the two classes an entry belongs to, or that it is for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// Part of the author's log, signed.
    Say,
    /// Best effort.
    Cast,
}

/// An author's log of an earlier run, as far as the author remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Which run: lower than the present one.
    pub run: Epoch,
    /// The number of a message in it; the last one, unless the run ended without a warning.
    pub seq: u64,
    /// How long ago that was said, to the millisecond.
    pub ago: Duration,
}

/// A datagram of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Say or cast.
    pub body: Body,
    /// The author; of a `cast`, and of a `say` without signature, only a claim. `None` where
    /// somebody wrote the datagram by hand.
    pub from: Option<Sender>,
    /// The author's nick when it was said.
    pub nick: PeerText,
    /// Where.
    pub channel: ChannelName,
    /// The number of the first message in the author's log of this channel in this run, from 1.
    pub seq: Option<u64>,
    /// Whether those who have everything up to the end of this entry are to say so.
    pub confirm: bool,
    /// So many milliseconds later the author sends the entry once more, unasked.
    pub again: Option<u16>,
    /// In the first entry of a run: what the author said there in an earlier one.
    pub follows: Option<Earlier>,
    /// The messages.
    pub payload: Payload,
}

impl Entry {
    fn head(&self) -> Object {
        let mut object = Object::datagram(match self.body {
            Body::Say => "say",
            Body::Cast => "cast",
        });
        if let Some(from) = self.from {
            object.shown("id", from.id).json("epoch", from.epoch);
        }
        object.text("channel", self.channel.as_str());
        if let Some(seq) = self.seq {
            object.json("seq", seq);
        }
        object.text("nick", self.nick.raw());
        if self.confirm {
            object.json("confirm", true);
        }
        if let Some(again) = self.again {
            object.json("again", again);
        }
        if let Some(Earlier { run, seq, ago }) = self.follows {
            object.json("follows", format_args!("[{run},{seq},{}]", ago.as_millis()));
        }
        object
    }

    /// Writes the entry; a `say` is signed.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = self.head();
        self.payload.write(&mut object);
        match self.body {
            Body::Say if self.confirm => {
                object.pad(limits::CONFIRM);
                object.sign(identity)
            }
            Body::Say => object.sign(identity),
            Body::Cast => object.close().into_bytes(),
        }
    }

    /// Bytes that a payload may take in an entry with this head, in a datagram of `limit` bytes.
    pub fn room(&self, limit: usize) -> usize {
        // At its longest, so that the room does not change along a log.
        let (seq, again) = (Some(u64::MAX), Some(u16::MAX));
        let head = Self { seq, again, confirm: true, ..self.clone() }.head();
        limit.saturating_sub(head.signed_len())
    }
}

/// Cuts and packs messages into payloads of at most `room` bytes each, in order: short ones
/// together, a long one into parts.
pub fn split(contents: impl IntoIterator<Item = Content>, room: usize) -> Vec<Payload> {
    const BRACKETS: usize = ",\"msgs\":[]".len();
    let mut payloads = Vec::new();
    let (mut waiting, mut used) = (Vec::new(), BRACKETS);
    for content in contents {
        let json = content.to_json();
        let needs = json.len() + 1;
        if used + needs > room && !waiting.is_empty() {
            payloads.push(Payload::Whole(std::mem::take(&mut waiting)));
            used = BRACKETS;
        }
        if used + needs <= room {
            waiting.push(content);
            used += needs;
        } else {
            cut(&json, room, &mut payloads);
        }
    }
    if !waiting.is_empty() {
        payloads.push(Payload::Whole(waiting));
    }
    payloads
}

fn cut(json: &str, room: usize, payloads: &mut Vec<Payload>) {
    const AROUND: usize = ",\"part\":12345,\"parts\":12345,\"piece\":\"\"".len();
    let room = room.saturating_sub(AROUND).max(8);
    let mut pieces: Vec<&str> = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, c) in json.char_indices() {
        let needs = string_len(c.encode_utf8(&mut [0; 4])) - 2;
        if used + needs > room {
            pieces.push(&json[start..at]);
            (start, used) = (at, 0);
        }
        used += needs;
    }
    pieces.push(&json[start..]);
    let parts = pieces.len() as u32;
    let part = |(part, piece): (usize, &str)| Payload::Part {
        part: part as u32,
        parts,
        piece: piece.into(),
    };
    payloads.extend(pieces.into_iter().enumerate().map(part));
}

/// A message for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// The author.
    pub from: Sender,
    /// The number of the datagram among the author's direct ones in this run, from 1.
    pub n: u64,
    /// For whom.
    pub to: NodeId,
    /// An [`super::Inside`] as JSON, for the eyes of `to` only.
    pub sealed: Vec<u8>,
}

impl Tell {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("tell");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).json("n", self.n);
        object.shown("to", self.to);
        object.shown("box", data_encoding::BASE64URL_NOPAD.encode_display(&self.sealed));
        object.sign(identity)
    }

    /// Bytes of payload that fit into a `tell` of `limit` bytes.
    pub fn room(limit: usize) -> usize {
        const AROUND: usize =
            "{\"cooee\":1,\"type\":\"tell\",\"id\":\"\",\"epoch\":,\"n\":,\"to\":\"\",\"box\":\"\"}"
                .len()
                + 2 * NodeId::TEXT_LEN + 2 * 20;
        let text = limit.saturating_sub(AROUND + super::sign::TAIL);
        (text / 4 * 3).saturating_sub(super::direct::OVERHEAD)
    }

    /// Bytes of a payload that fit into what is sealed, under the longest nick.
    pub(super) fn payload_room(limit: usize) -> usize {
        Self::room(limit).saturating_sub("{\"nick\":\"\"}".len() + 2 * limits::NICK)
    }
}

/// `tell` number `n` has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Who has it.
    pub from: Sender,
    /// Whose message it was, in which run: in each, numbers begin anew.
    pub to: Sender,
    /// Its number.
    pub n: u64,
}

impl Ack {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("ack");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.shown("to", self.to.id).json("run", self.to.epoch).json("n", self.n);
        object.sign(identity)
    }
}

/// A text as a JSON string.
pub(super) fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_string(&mut json, text);
    json
}

#[cfg(test)]
mod tests {
    use super::super::inside::{Inside, Matter};
    use super::*;

    fn content(text: &str) -> Content {
        Content { at: WallTime(1), text: text.into(), data: None, level: Level::Info }
    }

    fn entry(payload: Payload) -> Entry {
        let identity = Identity::from_secret([3; 32]);
        Entry {
            body: Body::Say,
            from: Some(Sender { id: identity.id(), epoch: 1_795_383_240_123 }),
            nick: "ada".into(),
            channel: ChannelName::lobby(),
            seq: Some(7),
            confirm: false,
            again: None,
            follows: None,
            payload,
        }
    }

    #[test]
    fn short_messages_share_an_entry_and_long_ones_are_cut() {
        let room = entry(Payload::Whole(vec![])).room(limits::DATAGRAM);
        let texts = ["a", "b", &"long ".repeat(2_000), "c", &"x".repeat(600), &"y".repeat(600)];
        let payloads = split(texts.iter().map(|t| content(t)), room);
        let shape: Vec<String> = payloads
            .iter()
            .map(|p| match p {
                Payload::Whole(contents) => format!("{}", contents.len()),
                Payload::Part { part, parts, .. } => format!("{part}/{parts}"),
            })
            .collect();
        assert_eq!(shape[0], "2");
        assert!(shape[1].starts_with("0/"));
        assert_eq!(shape[shape.len() - 2..], ["2", "1"]);
    }

    #[test]
    fn no_entry_is_longer_than_a_datagram_whatever_its_characters() {
        let identity = Identity::from_secret([3; 32]);
        let most = Duration::from_millis(u64::MAX);
        let earlier = Earlier { run: u64::MAX, seq: u64::MAX, ago: most };
        for follows in [None, Some(earlier)] {
            let entry = |payload| Entry { follows, ..entry(payload) };
            let room = entry(Payload::Whole(vec![])).room(limits::DATAGRAM);
            for c in ["a", "\"", "\\", "\u{1}", "語", "\u{10ffff}", "\n"] {
                for n in [1, 500, 900, 20_000, limits::TEXT / c.len()] {
                    let payloads = split([content(&c.repeat(n))], room);
                    assert!(payloads.len() <= limits::PARTS);
                    for payload in payloads {
                        let entry = Entry { confirm: true, again: Some(10), ..entry(payload) };
                        let longest = Entry { seq: Some(u64::MAX), ..entry };
                        let bytes = longest.encode(&identity);
                        assert!(bytes.len() <= limits::DATAGRAM, "{c:?} x {n}: {}", bytes.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_direct_message_fits_under_the_longest_nick() {
        let identity = Identity::from_secret([3; 32]);
        let nick = PeerText::new("\"".repeat(limits::NICK));
        let payloads = split([content(&"\"".repeat(5_000))], Tell::payload_room(limits::DATAGRAM));
        for payload in payloads {
            let (nick, payload) = (nick.clone(), Some(payload));
            let inside = Inside { nick, matter: Matter::Told, payload }.to_json();
            let sealed = vec![0; inside.len() + super::super::direct::OVERHEAD];
            let from = Sender { id: identity.id(), epoch: u64::MAX };
            let tell = Tell { from, n: u64::MAX, to: identity.id(), sealed };
            assert!(tell.encode(&identity).len() <= limits::DATAGRAM);
        }
    }
}
