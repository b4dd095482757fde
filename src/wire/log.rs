//! `head`, `want` and `got`: what holds an author's log together. `recall` and `logs`: what late-comers
//! ask and are told.
//!
//! A log is named by its author, the author's run and the channel; its entries are `say` datagrams.
//!
//! ```text
//! author    {"type":"head",…,"channel":"lobby","seq":17}                    so far it goes
//! receiver  {"type":"want",…,"author":A,"run":E,"gaps":[[5,7],[12,12]]}      send these again
//! receiver  {"type":"got",…,"to":A,"run":E,"channel":"lobby","seq":17}       all up to here is there
//! late-comer {"type":"recall",…,"channel":"lobby","last":50}                 what was said before?
//! anybody   {"type":"logs",…,"logs":[["A",E,1,17,9],…]}                        these, from and to
//! ```

use std::fmt;

use super::Sender;
use super::object::Object;
use super::sign::Identity;
use crate::values::{ChannelName, NodeId, limits};

/// `head`: how far its author's log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The author.
    pub from: Sender,
    /// Where.
    pub channel: ChannelName,
    /// The number of the last message.
    pub seq: u64,
    /// Whether those who have everything up to there are to say so.
    pub confirm: bool,
}

impl Head {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("head");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.text("channel", self.channel.as_str()).json("seq", self.seq);
        if self.confirm {
            object.json("confirm", true).pad(limits::CONFIRM);
        }
        object.sign(identity)
    }
}

/// Numbers of a log, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first.
    pub from: u64,
    /// The last; not below the first.
    pub to: u64,
}

impl Span {
    /// How many numbers.
    pub fn count(self) -> u64 {
        self.to - self.from + 1
    }
}

impl fmt::Display for Span {
    /// As on the wire: `[5,7]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{}]", self.from, self.to)
    }
}

/// `want`: what is missing here of somebody's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Who misses it.
    pub from: Sender,
    /// Of which channel.
    pub channel: ChannelName,
    /// Whose log, of which run.
    pub author: Sender,
    /// How often it was asked for before.
    pub attempt: u8,
    /// What is missing, in ascending order; at most [`limits::WANTED_SPANS`].
    pub gaps: Vec<Span>,
}

impl Want {
    /// Writes and signs it. A `want` of any allowed number of gaps fits into `limit` bytes, if that
    /// is a datagram's; what does not fit is left out from the end.
    pub fn encode(&self, identity: &Identity, limit: usize) -> Vec<u8> {
        let mut object = Object::datagram("want");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.text("channel", self.channel.as_str());
        object.shown("author", self.author.id).json("run", self.author.epoch);
        if self.attempt > 0 {
            object.json("try", self.attempt);
        }
        let mut room = limit.saturating_sub(object.signed_len() + ",\"gaps\":[]".len());
        let fits = self.gaps.iter().take(limits::WANTED_SPANS).map(Span::to_string);
        let fits = fits.take_while(|span| {
            let rest = room.checked_sub(span.len() + 1);
            room = rest.unwrap_or(0);
            rest.is_some()
        });
        let fits: Vec<String> = fits.collect();
        object.array("gaps", fits);
        object.sign(identity)
    }
}

/// `got`: everything of a log up to a number is here, at least what is not further back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// Who has it.
    pub from: Sender,
    /// Whose log, of which run.
    pub author: Sender,
    /// Of which channel.
    pub channel: ChannelName,
    /// From behind which number on; 0: from the beginning.
    pub after: u64,
    /// Up to where.
    pub seq: u64,
}

impl Got {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("got");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.shown("to", self.author.id).json("run", self.author.epoch);
        object.text("channel", self.channel.as_str());
        if self.after > 0 {
            object.json("after", self.after);
        }
        object.json("seq", self.seq);
        object.sign(identity)
    }
}

/// `recall`: what was said in a channel lately?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Who asks.
    pub from: Sender,
    /// In which channel.
    pub channel: ChannelName,
    /// To be sent back with each page.
    pub nonce: u64,
    /// What the one who is asked gave as proof of the asker's address.
    pub token: u64,
    /// For how many milliseconds the asker has been in the channel.
    pub since: u64,
    /// How many of the last messages are of interest; 0: the logs of those who are gone, as far as
    /// [`limits::ORPHANS`] of them go.
    pub last: u32,
    /// Instead of all that, how far the log of the one who is asked went when the asker came.
    pub own: bool,
}

impl Recall {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("recall");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.text("channel", self.channel.as_str());
        object.hex("nonce", self.nonce).hex("token", self.token);
        object.json("since", self.since).json("last", self.last);
        if self.own {
            object.json("own", true);
        }
        object.sign(identity)
    }
}

/// What somebody knows and has of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Whose log, of which run.
    pub author: Sender,
    /// The first number that is there, or of interest; 0: none, but the log is known.
    pub from: u64,
    /// The last number that is known to exist.
    pub to: u64,
    /// The last number that came before the asker was in the channel, as far as is known.
    pub before: u64,
}

impl Stretch {
    /// What is there of the log.
    pub fn span(&self) -> Option<Span> {
        (self.from > 0).then_some(Span { from: self.from, to: self.to })
    }
}

impl fmt::Display for Stretch {
    /// As on the wire: `["author",run,from,to,before]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { author: Sender { id, epoch }, from, to, before } = self;
        write!(f, "[\"{id}\",{epoch},{from},{to},{before}]")
    }
}

/// `logs`: one page of an answer to a [`Recall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogsPage {
    /// Who tells.
    pub from: Sender,
    /// The nonce of the question.
    pub re: u64,
    /// Of which channel.
    pub channel: ChannelName,
    /// The number of this page, from 0, and how many there are.
    pub page: (u32, u32),
    /// What is there.
    pub logs: Vec<Stretch>,
}

impl LogsPage {
    /// Cuts logs into pages that take up to `limit` bytes each, in a channel of whatever name; one page if
    /// there are none.
    pub fn cut(logs: &[Stretch], limit: usize) -> Vec<&[Stretch]> {
        const AROUND: usize =
            "{\"cooee\":1,\"type\":\"logs\",\"id\":\"\",\"epoch\":,\"re\":\"\",\"channel\":\"\",\"page\":,\"pages\":,\"logs\":[]}"
                .len()
                + NodeId::TEXT_LEN + 20 + 16 + 2 * limits::CHANNEL_NAME + 2 * 10;
        let room = limit.saturating_sub(AROUND + super::sign::TAIL);
        let (mut pages, mut begin, mut filled) = (Vec::new(), 0, 0);
        for (at, row) in logs.iter().enumerate() {
            let length = row.to_string().len() + 1;
            if filled + length > room && begin < at {
                pages.push(&logs[begin..at]);
                (begin, filled) = (at, 0);
            }
            filled += length;
        }
        pages.push(&logs[begin..]);
        pages
    }

    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("logs");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).hex("re", self.re);
        object.text("channel", self.channel.as_str());
        object.json("page", self.page.0).json("pages", self.page.1);
        object.array("logs", &self.logs);
        object.sign(identity)
    }
}

/// What an announcement says of a channel's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLogs {
    /// The channel.
    pub channel: ChannelName,
    /// The number of the last message that the sender said there in this run; 0: none.
    pub head: u64,
    /// What the sender has of those who are gone, in one number, so that two can compare it; 0:
    /// nothing.
    pub digest: u64,
}

impl fmt::Display for ChannelLogs {
    /// As on the wire: `["channel",head,"digest"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = super::entry::json_string(self.channel.as_str());
        write!(f, "[{channel},{},\"{:016x}\"]", self.head, self.digest)
    }
}
