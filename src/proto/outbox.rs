//! What was said and is not sent yet: packed into as few datagrams as it fits.
//!
//! There is no timer for packing. Whatever was said between two drains of the engine's outputs goes
//! out together, so a lone message goes at once and a flood of short ones shares datagrams. What is
//! held up by [`super::flow`] waits here, for each channel in a queue of its own.

use std::collections::VecDeque;

use crate::values::{ChannelName, Instant, SmallMap};
use crate::wire::{Body, Content, Payload, split};

/// Messages of one channel that may share datagrams.
#[derive(Debug)]
struct Batch {
    contents: Vec<Content>,
    /// Everyone is to say when they have come: the numbers under which this node's user asked so.
    confirm: Vec<u64>,
}

/// A payload that is ready to be numbered, signed and sent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) payload: Payload,
    /// The messages that begin in it.
    pub(crate) begun: Vec<Content>,
    /// It is the end of what is to be confirmed under these numbers.
    pub(crate) confirm: Vec<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Batch>,
    ready: VecDeque<Ready>,
}

impl Queue {
    /// Cuts the next batch into payloads of at most `room` bytes.
    fn cut(&mut self, room: usize, echo: bool) {
        let Some(mut batch) = self.batches.pop_front() else { return };
        let mut begun = echo.then(|| batch.contents.clone().into_iter());
        let payloads = split(batch.contents, room);
        let last = payloads.len();
        for (at, payload) in payloads.into_iter().enumerate() {
            let count = match &payload {
                Payload::Whole(contents) => contents.len(),
                Payload::Part { part, .. } => usize::from(*part == 0),
            };
            let begun = begun.iter_mut().flat_map(|begun| begun.take(count)).collect();
            let confirm =
                if at + 1 == last { std::mem::take(&mut batch.confirm) } else { Vec::new() };
            self.ready.push_back(Ready { payload, begun, confirm });
        }
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.ready.is_empty()
    }
}

/// The messages that wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    queues: SmallMap<(ChannelName, Body), Queue>,
    /// Bytes of what is said and waits; casts are not counted, since nothing holds them.
    bytes: usize,
    /// The earliest time at which anything that waits may go.
    pub(crate) next: Instant,
}

fn size(content: &Content) -> usize {
    content.text.raw().len() + content.data.as_ref().map_or(0, |data| data.as_str().len())
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { queues: SmallMap::new(), bytes: 0, next: Instant::NEVER }
    }

    pub(crate) fn push(&mut self, channel: ChannelName, body: Body, content: Content) {
        if body == Body::Say {
            self.bytes += size(&content);
        }
        self.next = Instant::ZERO;
        let queue = self.queues.entry((channel, body)).or_default();
        match queue.batches.back_mut() {
            Some(last) if last.confirm.is_empty() => last.contents.push(content),
            _ => queue.batches.push_back(Batch { contents: vec![content], confirm: Vec::new() }),
        }
    }

    /// What waits in a channel is to be confirmed under this number; `false` if nothing does.
    pub(crate) fn confirm(&mut self, channel: &ChannelName, ticket: u64) -> bool {
        let queue = self.queues.get_mut(&(channel.clone(), Body::Say));
        let Some(queue) = queue else { return false };
        let last = match queue.batches.back_mut() {
            Some(batch) => Some(&mut batch.confirm),
            None => queue.ready.back_mut().map(|ready| &mut ready.confirm),
        };
        last.map(|confirm| confirm.push(ticket)).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Bytes that wait to be said.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where something waits.
    pub(crate) fn waiting(&self) -> Vec<(ChannelName, Body)> {
        self.queues.keys().cloned().collect()
    }

    /// The next payload of a channel; `room`: bytes of it at most.
    pub(crate) fn pop(
        &mut self,
        key: &(ChannelName, Body),
        room: usize,
        echo: bool,
    ) -> Option<Ready> {
        let queue = self.queues.get_mut(key)?;
        if queue.ready.is_empty() {
            // What is cut is counted no more: it is as good as sent.
            if key.1 == Body::Say
                && let Some(batch) = queue.batches.front()
            {
                self.bytes -= batch.contents.iter().map(size).sum::<usize>();
            }
            queue.cut(room, echo);
        }
        let ready = queue.ready.pop_front();
        if queue.is_empty() {
            self.queues.remove(key);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Level, WallTime};

    fn content(text: &str) -> Content {
        Content { at: WallTime(1), text: text.into(), data: None, level: Level::Info }
    }

    #[test]
    fn what_is_to_be_confirmed_ends_an_entry() {
        let mut outbox = Outbox::new();
        let key = (ChannelName::lobby(), Body::Say);
        assert!(!outbox.confirm(&key.0, 1));
        for text in ["a", "b", "c", "d"] {
            outbox.push(key.0.clone(), key.1, content(text));
            if text == "c" {
                assert!(outbox.confirm(&key.0, 7) && outbox.confirm(&key.0, 8));
            }
        }
        let mut came = Vec::new();
        while let Some(ready) = outbox.pop(&key, 1_000, true) {
            let texts: String = ready.begun.iter().map(|c| c.text.raw()).collect();
            came.push((texts, ready.confirm));
        }
        assert_eq!(came, [("abc".to_owned(), vec![7, 8]), ("d".to_owned(), vec![])]);
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }

    #[test]
    fn the_last_part_of_a_long_message_asks_for_confirmation() {
        let mut outbox = Outbox::new();
        let key = (ChannelName::lobby(), Body::Say);
        outbox.push(key.0.clone(), key.1, content(&"x".repeat(5_000)));
        outbox.confirm(&key.0, 1);
        let mut parts = Vec::new();
        while let Some(ready) = outbox.pop(&key, 1_000, true) {
            parts.push((ready.begun.len(), ready.confirm));
        }
        assert!(parts.len() > 5);
        assert_eq!(parts[0], (1, vec![]));
        assert_eq!(parts.last(), Some(&(0, vec![1])));
    }
}
