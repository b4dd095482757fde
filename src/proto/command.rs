//! What the node's user can ask of an engine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::kept::{Kept, KeptLog};
use crate::values::{ChannelName, Epoch, Json, Level, LinkId, NodeId, WallTime};
use crate::wire::{Earlier, Profile};

/// Where somebody may be, though nobody has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The address.
    pub addr: SocketAddr,
    /// The link beyond which it is, if that leads to single hosts. It is tried as long as nobody is
    /// known there, and any other one only as long as nobody at all is known: who is found on a LAN
    /// knows all that are there, and nobody beyond a tunnel.
    pub tunnel: Option<LinkId>,
}

impl From<SocketAddr> for Hint {
    /// Somewhere on a LAN.
    fn from(addr: SocketAddr) -> Self {
        Self { addr, tunnel: None }
    }
}

/// What the node's user can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tells where somebody may be; at most [`crate::values::limits::HINTS`] are tried.
    Hints(Vec<Hint>),
    /// Takes part in a channel.
    Join(ChannelName),
    /// Leaves a channel.
    Leave(ChannelName),
    /// Tells, right after a channel was joined, that this node was there before it started, and how
    /// far it got in whose logs: so that what it missed meanwhile is no history to it.
    Resume {
        /// The channel.
        channel: ChannelName,
        /// Whose log, of which run, and the number up to which everything is known here.
        logs: Vec<(NodeId, Epoch, u64)>,
        /// How long ago something came last: what was said since then was missed.
        away: Duration,
        /// The last that this node said there itself, in an earlier run, as far as it was kept.
        said: Option<Earlier>,
    },
    /// Has so many of a channel's last messages fetched from others, if that is more than were
    /// before; at most [`crate::values::limits::RECALL`].
    Recall {
        /// The channel.
        channel: ChannelName,
        /// How many.
        last: u32,
    },
    /// Gives what an [`super::Event::Fetch`] asked for: entries.
    Found {
        /// The ticket.
        ticket: u64,
        /// The entries that are kept, as far as they were asked for.
        entries: Vec<Kept>,
    },
    /// Gives what an [`super::Event::Fetch`] asked for: logs.
    Recalled {
        /// The ticket.
        ticket: u64,
        /// The logs.
        logs: Vec<KeptLog>,
    },
    /// Says something in a channel.
    Say(ChannelName, Outgoing),
    /// Asks everyone present in a channel to confirm what this node has said there so far. What
    /// comes of it is one [`super::Event::Expecting`] and then an [`super::Event::Receipt`] of each who does,
    /// until [`Command::Forget`], for at most [`crate::values::limits::CONFIRM_TIME`].
    Confirm {
        /// The channel.
        channel: ChannelName,
        /// The caller's number for it.
        ticket: u64,
    },
    /// Says something in a channel, best effort.
    Cast(ChannelName, Outgoing),
    /// Tells one peer something. The outcome is [`super::Event::Told`] or [`super::Event::NotTold`] with the
    /// same `ticket`.
    Tell {
        /// The peer.
        to: NodeId,
        /// What.
        what: Outgoing,
        /// The caller's number for it.
        ticket: u64,
    },
    /// Puts a question to each of these peers; this node itself may be among them. What comes of it
    /// are any number of [`super::Event::Answer`], and for each of `to` exactly one [`super::Event::AnswerEnd`],
    /// unless [`Command::Forget`] comes first. A text that is too long is refused, as it is by
    /// [`Command::Say`].
    Ask {
        /// The peers.
        to: Vec<NodeId>,
        /// The question.
        what: Outgoing,
        /// The caller's number for it.
        ticket: u64,
    },
    /// Waits no longer for answers to the question with this ticket, or for receipts.
    Forget {
        /// The number from [`Command::Ask`] or [`Command::Confirm`].
        ticket: u64,
    },
    /// Whether this node answers questions. As long as it does not, which is how it starts, those
    /// who ask are told so at once.
    Answering(bool),
    /// Answers an [`super::Event::Question`]. Nothing happens if it is over.
    Answer {
        /// The question's number.
        question: u64,
        /// The answer; `None`: none, or no more.
        what: Option<Outgoing>,
        /// The exit code of the command that gave the answer.
        exit: Option<i32>,
        /// Whether it is the last: a question takes several answers, at most
        /// [`crate::values::limits::ANSWERS`].
        last: bool,
    },
    /// Tells that more has arrived than this node has read so far: what it misses may be there
    /// already, so for a moment it asks for nothing.
    Behind,
    /// Tells that the system has dropped datagrams, because this node does not read them fast enough:
    /// for a while it asks for less.
    Strained,
    /// Says so many bytes a second in channels at most, see [`crate::values::limits::SAY_RATE`].
    Pace(u64),
    /// Replaces what the node says of itself.
    Profile(Arc<Profile>),
    /// Says goodbye and stops.
    Stop,
}

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// When it was said, by this host's clock.
    pub at: WallTime,
    /// In words; at most [`crate::values::limits::TEXT`] bytes.
    pub text: String,
    /// For programs.
    pub data: Option<Json>,
    /// How urgent it is.
    pub level: Level,
}
