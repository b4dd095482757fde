//! A datagram's bytes, and what is in them, found out at most once and only on demand.
//!
//! Parsing and checking a signature are pure functions of the bytes, so a packet remembers their
//! results. One packet can be given to any number of receivers (the simulator does), and a
//! receiver that drops it unread has paid for nothing.

use std::sync::{Arc, OnceLock};

use super::decode::{self, DecodeError};
use super::entry::{Ack, Entry, Tell};
use super::log::{Got, Head, LogsPage, Recall, Want};
use super::presence::Presence;
use super::roster::{Ask, RosterPage};
use super::seal::Secret;
use super::watch::{Alive, Probe, Suspect};
use super::{Sender, Verifier, sign};

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// `hello` and `here`.
    Presence(Presence),
    /// `bye`.
    Bye {
        /// Who leaves.
        from: Sender,
        /// The announcement's number.
        n: u64,
        /// Whether it was only passing through.
        visitor: bool,
    },
    /// `ask`.
    Ask(Ask),
    /// `roster`.
    Roster(RosterPage),
    /// `say` and `cast`.
    Entry(Entry),
    /// `head`.
    Head(Head),
    /// `want`.
    Want(Want),
    /// `got`.
    Got(Got),
    /// `recall`.
    Recall(Recall),
    /// `logs`.
    Logs(LogsPage),
    /// `tell`.
    Tell(Tell),
    /// `ack`.
    Ack(Ack),
    /// `probe`.
    Probe(Probe),
    /// `alive`.
    Alive(Alive),
    /// `suspect`.
    Suspect(Suspect),
}

impl Datagram {
    /// Who sent it, or claims to have; `None` where nobody does.
    pub fn from(&self) -> Option<Sender> {
        match self {
            Self::Presence(presence) => Some(presence.from),
            Self::Bye { from, .. } => Some(*from),
            Self::Ask(ask) => Some(ask.from),
            Self::Roster(page) => Some(page.from),
            Self::Entry(entry) => entry.from,
            Self::Head(head) => Some(head.from),
            Self::Want(want) => Some(want.from),
            Self::Got(got) => Some(got.from),
            Self::Recall(recall) => Some(recall.from),
            Self::Logs(page) => Some(page.from),
            Self::Tell(tell) => Some(tell.from),
            Self::Ack(ack) => Some(ack.from),
            Self::Probe(probe) => Some(probe.from),
            Self::Alive(alive) => Some(alive.from),
            Self::Suspect(suspect) => Some(suspect.from),
        }
    }
}

/// Bytes from the network.
#[derive(Debug)]
pub struct Packet {
    bytes: Arc<[u8]>,
    datagram: OnceLock<Result<Datagram, DecodeError>>,
    authentic: OnceLock<bool>,
    inner: OnceLock<Option<Box<Packet>>>,
}

impl Packet {
    /// Takes bytes as they came.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            datagram: OnceLock::new(),
            authentic: OnceLock::new(),
            inner: OnceLock::new(),
        }
    }

    /// The same of a datagram whose signature need not be checked: a simulated node has just
    /// written it.
    pub(crate) fn vouched(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { authentic: OnceLock::from(true), ..Self::new(bytes) }
    }

    /// The bytes, to be kept and passed on.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// What they say.
    pub fn datagram(&self) -> Result<&Datagram, &DecodeError> {
        self.datagram.get_or_init(|| decode::decode(&self.bytes)).as_ref()
    }

    /// The same, to have equal values share what they hold; for simulations of thousands of nodes.
    pub(crate) fn datagram_mut(&mut self) -> Option<&mut Datagram> {
        self.datagram.get_or_init(|| decode::decode(&self.bytes));
        self.datagram.get_mut()?.as_mut().ok()
    }

    /// Whether they end in a signature, good or bad.
    pub fn is_signed(&self) -> bool {
        sign::has_tail(&self.bytes)
    }

    /// Whether they end in a good signature of the node that they name as sender. The costly
    /// question: some 40 µs when it is asked first.
    pub fn is_authentic(&self, verifier: &mut Verifier) -> bool {
        *self.authentic.get_or_init(|| {
            let from = self.datagram().ok().and_then(Datagram::from);
            from.is_some_and(|from| verifier.verify(from.id, &self.bytes))
        })
    }

    /// The datagram that is sealed in this one, if it opens with `secret`. A packet remembers the
    /// first answer, so all who ask must ask with the same secret.
    pub fn open(&self, secret: &Secret) -> Option<&Packet> {
        let open = || {
            let (key, seal) = decode::sealed(&self.bytes)?;
            Some(Box::new(Packet::new(secret.open(&key, &seal)?)))
        };
        self.inner.get_or_init(open).as_deref()
    }
}
