//! What is to happen in a world, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::carry::Delivery;
use super::host::NodeIndex;
use crate::values::Instant;

/// What is due at a time.
#[derive(Debug)]
pub(super) enum Due {
    Delivery(Delivery),
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

    /// The next thing, if it is due up to `end`.
    pub(super) fn pop(&mut self, end: Instant) -> Option<(Instant, Due)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.due))
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
