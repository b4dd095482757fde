//! What the node's user keeps of others' logs, and what peers want of it.

use std::sync::Arc;
use std::time::Duration;

use crate::values::{ChannelName, Epoch, NodeId};

/// What a peer wants of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Entries that carry these numbers.
    Entries {
        /// Whose.
        author: NodeId,
        /// In which run of the author.
        epoch: Epoch,
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// The logs in which the last so many messages are.
    Logs {
        /// How many; 0: just any logs, the latest first.
        last: u32,
        /// For how long the peer has been in the channel.
        since: Duration,
    },
}

/// What is kept of an author's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptLog {
    /// Whose it is.
    pub author: NodeId,
    /// In which run of the author.
    pub epoch: Epoch,
    /// The first number that is kept, or of interest.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// The last one that came before the peer was in the channel; below `from` if none did.
    pub before: u64,
}

/// An entry of an author's log in a channel, to be kept for those who come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it was said.
    pub channel: ChannelName,
    /// Whose it is.
    pub author: NodeId,
    /// In which run of the author.
    pub epoch: Epoch,
    /// The number of its first message.
    pub from: u64,
    /// The number of its last message.
    pub to: u64,
    /// The author's own signed datagram.
    pub bytes: Arc<[u8]>,
}
