//! Addresses at which somebody may be, without anybody having said so: those where peers were heard
//! in earlier runs, and the host's neighbours.
//!
//! They are for LANs on which multicast does not work, and for tunnels, where nobody has named a seed. So they are tried
//! only when the group has not answered, a few at a time, each once; whoever answers tells of
//! the others.

use super::command::Hint;
use super::timing;
use crate::values::{Instant, limits};

/// What is left to be tried.
#[derive(Debug)]
pub(crate) struct Hints {
    left: Vec<Hint>,
    next: Instant,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { left: Vec::new(), next: Instant::NEVER }
    }

    /// These may be tried, the likeliest first; at most [`limits::HINTS`] of them are.
    pub(crate) fn set(&mut self, mut hints: Vec<Hint>, now: Instant) {
        hints.truncate(limits::HINTS);
        hints.reverse();
        self.next = if hints.is_empty() { Instant::NEVER } else { now + timing::HINTS_AFTER };
        self.left = hints;
    }

    /// What is left.
    pub(crate) fn left(&self) -> &[Hint] {
        &self.left
    }

    /// Somebody has been found: only these are still worth trying.
    pub(crate) fn retain(&mut self, is_worth: impl FnMut(&Hint) -> bool) {
        self.left.retain(is_worth);
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// The next few, if it is time for them.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Hint> {
        if now < self.next {
            return Vec::new();
        }
        let rest = self.left.len().saturating_sub(timing::HINTS_AT_ONCE);
        let due = self.left.split_off(rest);
        self.next = if rest == 0 { Instant::NEVER } else { now + timing::HINTS_PAUSE };
        due.into_iter().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn addrs(count: u16) -> Vec<Hint> {
        (1..=count).map(|port| SocketAddr::from(([10, 0, 0, 1], port)).into()).collect()
    }

    #[test]
    fn a_few_are_tried_at_a_time_the_likeliest_first_and_each_once() {
        let (mut hints, mut now) = (Hints::new(), Instant::ZERO);
        hints.set(addrs(20), now);
        assert!(hints.due(now).is_empty(), "the group is asked first");
        let mut tried = Vec::new();
        while hints.next() != Instant::NEVER {
            now = hints.next();
            let due = hints.due(now);
            assert!(due.len() <= timing::HINTS_AT_ONCE);
            tried.extend(due);
        }
        assert_eq!(tried, addrs(20));
        assert!(now.since(Instant::ZERO) < timing::ALONE, "before a visitor gives up");
    }

    #[test]
    fn they_are_bounded_and_forgotten_when_somebody_is_found() {
        let mut hints = Hints::new();
        hints.set(addrs(10_000), Instant::ZERO);
        assert_eq!(hints.left.len(), limits::HINTS);
        hints.retain(|_| false);
        assert!(hints.due(hints.next()).is_empty());
        assert_eq!(hints.next(), Instant::NEVER);
    }
}
