//! What peers want of the past that only this node's user may have kept, while it is looked up.

use std::net::SocketAddr;

use super::event::Destination;
use crate::values::{ChannelName, LinkId, NodeId, SmallMap, limits};
use crate::wire::Stretch;

/// Who waits for what.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Entries, at an address that has proven itself.
    Entries { by: NodeId, to: Destination },
    /// A list of logs, in answer to the question with this number.
    Logs {
        channel: ChannelName,
        nonce: u64,
        source: SocketAddr,
        link: LinkId,
        /// What is known without looking it up.
        rows: Vec<Stretch>,
    },
}

/// At most [`limits::FETCHES`]; for more, nothing is looked up.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    waiting: SmallMap<u64, Wanted>,
    last: u64,
}

impl Fetches {
    /// Something is looked up; the number under which, if there is room.
    pub(crate) fn begin(&mut self, wanted: Wanted) -> Option<u64> {
        if self.waiting.len() >= limits::FETCHES {
            return None;
        }
        self.last += 1;
        self.waiting.insert(self.last, wanted);
        Some(self.last)
    }

    /// It was looked up.
    pub(crate) fn end(&mut self, ticket: u64) -> Option<Wanted> {
        self.waiting.remove(&ticket)
    }
}
