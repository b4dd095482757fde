//! What is to happen in a world, in order.
//!
//! A multicast to thousands is one entry, which moves from one arrival to the next: the heap stays
//! as small as the number of datagrams that are on their way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::carry::{Delivery, Round};
use super::host::NodeIndex;
use crate::values::Instant;

/// What is due at a time.
#[derive(Debug)]
pub(super) enum Due {
    Delivery(Delivery),
    Round(Box<Round>),
    Wake { node: NodeIndex, life: u32 },
    Start(NodeIndex),
}

/// An entry of the queue. Those of the same time keep the order in which they were put there.
#[derive(Debug)]
struct Entry {
    at: Instant,
    number: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Everything that is to happen.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, due: Due) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, due }));
    }

    /// The arrivals of one datagram, in the order in which each of them would have been pushed.
    pub(super) fn push_round(&mut self, mut round: Round) {
        let first = self.number + 1;
        self.number += round.len() as u64;
        if let Some((at, order)) = round.begin() {
            let number = first + u64::from(order);
            round.first = first;
            self.heap.push(Reverse(Entry { at, number, due: Due::Round(Box::new(round)) }));
        }
    }

    /// The next thing, if it is due up to `end`. Of a round that is its next delivery.
    pub(super) fn pop(&mut self, end: Instant) -> Option<(Instant, Due)> {
        self.take(end).map(|entry| (entry.at, entry.due))
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Instant {
        self.heap.peek().map_or(Instant::NEVER, |Reverse(entry)| entry.at)
    }

    fn take(&mut self, end: Instant) -> Option<Entry> {
        let mut top = self.heap.peek_mut()?;
        let Reverse(entry) = &mut *top;
        let at = entry.at;
        if at > end {
            return None;
        }
        if let Due::Round(round) = &mut entry.due {
            let (number, delivery) = (entry.number, round.advance()?);
            if let Some((next, order)) = round.next() {
                (entry.at, entry.number) = (next, round.first + u64::from(order));
            } else {
                PeekMut::pop(top);
            }
            return Some(Entry { at, number, due: Due::Delivery(delivery) });
        }
        let Reverse(entry) = PeekMut::pop(top);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_at_one_time_happens_in_the_order_in_which_it_was_planned() {
        let mut queue = Queue::default();
        for n in 0..100 {
            queue.push(Instant::from_micros(n / 10 % 3), Due::Start(NodeIndex(n as usize)));
        }
        let mut last = (Instant::ZERO, 0);
        while let Some((at, Due::Start(node))) = queue.pop(Instant::NEVER) {
            assert!(last <= (at, node.0));
            last = (at, node.0);
        }
    }
}
