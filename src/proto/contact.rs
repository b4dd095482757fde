//! Whether anybody at all is heard, and whether this node was cut off until just now.
//!
//! A node that hears nobody can't tell whether the others have died or its own cable was pulled: it
//! gives nothing up meanwhile. When it hears somebody again, having lost peers in between, it is the one
//! that has missed something.

use std::time::Duration;

use super::timing;
use crate::values::Instant;

/// What a node knows of its contact with the others.
#[derive(Debug)]
pub(crate) struct Contact {
    /// When anybody was heard last, with something genuine.
    heard: Instant,
    /// Since when there has been no such silence that this node may have been cut off.
    since: Instant,
    /// A peer has fallen silent while nobody was heard.
    lost: bool,
    /// When somebody was heard again after that.
    returned: Option<Instant>,
}

impl Contact {
    pub(crate) fn new(now: Instant) -> Self {
        Self { heard: now, since: now, lost: false, returned: None }
    }

    /// Whether nobody at all has been heard lately: then it is this node that is cut off, or it is
    /// alone.
    pub(crate) fn is_isolated(&self, now: Instant) -> bool {
        now.since(self.heard) > timing::ISOLATED
    }

    /// For how long nobody has been heard.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.since(self.heard)
    }

    /// Something genuine has come. `true` if nobody was heard before, for so long that the others may
    /// have given this node up.
    pub(crate) fn hear(&mut self, now: Instant) -> bool {
        let isolated = self.is_isolated(now);
        if isolated {
            self.since = now;
            self.returned = Some(now).filter(|_| self.lost).or(self.returned);
        }
        (self.heard, self.lost) = (now, false);
        isolated
    }

    /// Since when others have been heard without a long silence.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// A peer is suspect, or given up for dead.
    pub(crate) fn lose(&mut self, now: Instant) {
        self.lost |= self.is_isolated(now);
    }

    /// Whether this node was cut off until `time` ago, or less.
    pub(crate) fn has_returned_within(&self, time: Duration, now: Instant) -> bool {
        self.returned.is_some_and(|at| now < at + time)
    }

    /// Until when a node that was cut off compares what it has with the others, if it does.
    pub(crate) fn compares_until(&self, now: Instant) -> Option<Instant> {
        self.returned.map(|at| at + timing::COMPARE).filter(|at| now < *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_lost_its_peers_and_hears_somebody_again_was_cut_off_and_who_was_alone_was_not() {
        let start = Instant::from_micros(1_000_000);
        let later = start + timing::ISOLATED + Duration::from_secs(1);
        for cut_off in [false, true] {
            let mut contact = Contact::new(start);
            assert!(!contact.is_isolated(start) && contact.is_isolated(later));
            if cut_off {
                contact.lose(later);
            }
            contact.hear(later);
            assert!(!contact.is_isolated(later));
            assert_eq!(contact.since(), later);
            assert_eq!(contact.compares_until(later).is_some(), cut_off);
            assert_eq!(contact.has_returned_within(timing::ISOLATED, later), cut_off);
            let end = later + timing::ISOLATED;
            assert!(!contact.has_returned_within(timing::ISOLATED, end));
            assert_eq!(contact.compares_until(end), None);
        }
    }

    #[test]
    fn a_peer_that_dies_while_others_are_heard_cuts_nobody_off() {
        let start = Instant::from_micros(1_000_000);
        let mut contact = Contact::new(start);
        contact.lose(start);
        let later = start + timing::ISOLATED * 2;
        contact.hear(later);
        assert_eq!(contact.compares_until(later), None);
    }
}
