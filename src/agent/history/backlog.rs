//! What could not be written yet, because another program has the file, in the order in which it
//! came. Bounded by [`BACKLOG`]: what does not fit is refused.

use std::collections::VecDeque;

use crate::proto::{Kept, Message};
use crate::values::{Json, NodeId, WallTime};

/// Bytes of what waits to be written, at most.
pub(super) const BACKLOG: usize = 16 << 20;

/// Bytes that each message and each entry counts for beyond what it says: a bound for what memory
/// takes.
const EACH: usize = 512;

/// What was to be kept together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<(Message, Option<NodeId>)>,
    pub(super) entries: Vec<Kept>,
    pub(super) arrived: WallTime,
}

impl Batch {
    /// What it counts for.
    pub(super) fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(|(message, _)| {
            let data = message.data.as_ref().map_or("", Json::as_str);
            message.text.raw().len() + data.len()
        });
        let entries = self.entries.iter().map(|entry| entry.bytes.len());
        messages.chain(entries).map(|bytes| bytes + EACH).sum()
    }
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    batches: VecDeque<Batch>,
    messages: usize,
    bytes: usize,
}

impl Backlog {
    /// Takes one more, or does not: then `false`.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        let bytes = batch.bytes();
        let fits = self.bytes + bytes <= BACKLOG;
        if fits {
            self.bytes += bytes;
            self.messages += batch.messages.len();
            self.batches.push_back(batch);
        }
        fits
    }

    /// What came first.
    pub(super) fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.bytes();
        self.messages -= batch.messages.len();
        Some(batch)
    }

    /// Takes back what came first and could not be written.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.bytes += batch.bytes();
        self.messages += batch.messages.len();
        self.batches.push_front(batch);
    }

    /// How many messages wait.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// How many batches wait.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}
