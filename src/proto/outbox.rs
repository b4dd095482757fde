//! What was said and is not sent yet: packed into as few datagrams as it fits.
//!
//! There is no timer. Whatever was said between two drains of the engine's outputs goes out
//! together, so a lone message goes at once and a flood of short ones shares datagrams.

use std::collections::BTreeMap;

use crate::values::ChannelName;
use crate::wire::{Body, Content};

/// The messages that wait for the next drain, and the numbers of those before.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// In the order in which their first message was said.
    waiting: Vec<(ChannelName, Body, Vec<Content>)>,
    /// The number of the last message of each of our logs.
    last: BTreeMap<(ChannelName, Body), u64>,
}

impl Outbox {
    pub(crate) fn push(&mut self, channel: ChannelName, body: Body, content: Content) {
        let same = |(c, b, _): &(ChannelName, Body, Vec<Content>)| *c == channel && *b == body;
        match self.waiting.iter().position(same) {
            Some(at) => self.waiting[at].2.push(content),
            None => self.waiting.push((channel, body, vec![content])),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Everything that waits.
    pub(crate) fn take(&mut self) -> Vec<(ChannelName, Body, Vec<Content>)> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes the next `count` numbers of a log; returns the first.
    pub(crate) fn number(&mut self, channel: &ChannelName, body: Body, count: u64) -> u64 {
        let last = self.last.entry((channel.clone(), body)).or_default();
        let first = *last + 1;
        *last += count;
        first
    }
}
