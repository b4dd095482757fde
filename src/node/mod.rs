//! A node as a program sees it: start it, say things, hear things, ask who is there.
//!
//! A [`Node`] is a handle. The work is done by one thread, in which the engine, the sockets and
//! the timers meet in one poll; the handle sends it commands and reads from it what happened.
//! Dropping the handle says goodbye and ends the thread.

mod options;

use std::time::Duration;

pub use options::Options;

use crate::proto::{Event, Outgoing, PeerInfo};
use crate::values::{ChannelName, Epoch, Instant, NodeId, WallTime};
use crate::wire::Profile;

/// A running node.
#[derive(Debug)]
pub struct Node {}

/// Why a node can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// placeholder
    #[error("not there yet")]
    NotYet,
}

/// The node's thread has ended, so nothing can be asked of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// From the protocol.
    Event(Event),
    /// A link came into use.
    LinkUp {
        /// The interface's name.
        name: String,
    },
    /// A link can't be used any more, or something could not be sent on it; said once until it
    /// works again.
    LinkDown {
        /// The interface's name.
        name: String,
        /// Why.
        why: String,
    },
    /// The subscriber was too slow, and this many notices were thrown away.
    Missed(u64),
}

/// What happens at a node, from the moment of subscribing on.
#[derive(Debug)]
pub struct Notices {}

impl Notices {
    /// The next notice; `None` when `timeout` has passed without one. (`Duration::MAX` waits
    /// for ever.)
    pub fn next(&self, _timeout: Duration) -> Result<Option<Notice>, Stopped> {
        Err(Stopped)
    }
}

impl Node {
    /// Opens the sockets, starts the thread, announces the node. What `options.channels` names is
    /// joined before anything else happens, and the returned notices miss nothing.
    pub fn start(_options: Options) -> Result<(Self, Notices), StartError> {
        Err(StartError::NotYet)
    }
    /// This node's id.
    pub fn id(&self) -> NodeId {
        NodeId([0; 32])
    }
    /// This run.
    pub fn epoch(&self) -> Epoch {
        0
    }
    /// What its user should know of how it started (state folder not writable, receive buffer
    /// smaller than asked for), each a sentence.
    pub fn warnings(&self) -> &[String] {
        &[]
    }
    /// The names and addresses of the links in use.
    pub fn links(&self) -> Result<Vec<(String, std::net::Ipv4Addr)>, Stopped> {
        Err(Stopped)
    }
    /// One more subscriber.
    pub fn subscribe(&self) -> Result<Notices, Stopped> {
        Err(Stopped)
    }
    /// Takes part in a channel.
    pub fn join(&self, _channel: &ChannelName) -> Result<(), Stopped> {
        Err(Stopped)
    }
    /// Leaves a channel.
    pub fn leave(&self, _channel: &ChannelName) -> Result<(), Stopped> {
        Err(Stopped)
    }
    /// Says something in a channel (joined or not). Blocks while the node has too much to send.
    pub fn say(&self, _channel: &ChannelName, _what: Outgoing) -> Result<(), Stopped> {
        Err(Stopped)
    }
    /// As [`Node::say`], best effort.
    pub fn cast(&self, _channel: &ChannelName, _what: Outgoing) -> Result<(), Stopped> {
        Err(Stopped)
    }
    /// Tells one peer; returns the ticket of the `Event::Told` or `Event::NotTold` to come.
    pub fn tell(&self, _to: NodeId, _what: Outgoing) -> Result<u64, Stopped> {
        Err(Stopped)
    }
    /// Replaces what the node says of itself.
    pub fn set_profile(&self, _profile: Profile) -> Result<(), Stopped> {
        Err(Stopped)
    }
    /// Everyone known: alive, suspect.
    pub fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        Err(Stopped)
    }
    /// Now, as [`crate::proto::PeerInfo::since`] counts it.
    pub fn now(&self) -> Instant {
        Instant::ZERO
    }
    /// This host's clock.
    pub fn wall(&self) -> WallTime {
        WallTime(0)
    }
    /// Waits until everything that was said has left, says goodbye and ends the thread.
    pub fn stop(self) {}
}
