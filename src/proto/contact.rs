//! Whether anybody at all is heard, and whether this node was cut off until just now.
//!
//! A node that hears nobody can't tell whether the others have died or its own cable was pulled: it
//! gives nothing up meanwhile. When it hears somebody again, having lost peers in between, it is the one
//! that has missed something.

use std::time::Duration;

use super::timing;
use crate::values::{ChannelName, Epoch, Instant, SmallSet};

/// What a node knows of its contact with the others.
#[derive(Debug)]
pub(crate) struct Contact {
    /// When this node began.
    begun: Instant,
    /// When anybody was heard last, with something genuine.
    heard: Instant,
    /// Since when there has been no such silence that this node may have been cut off.
    since: Instant,
    /// A peer has fallen silent while nobody was heard.
    lost: bool,
    /// When somebody was heard again after that, and when somebody was heard before it.
    returned: Option<Instant>,
    left: Instant,
    /// In these channels one of the others has told since then what was said meanwhile.
    compared: SmallSet<ChannelName>,
}

impl Contact {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            heard: now,
            since: now,
            lost: false,
            returned: None,
            left: now,
            compared: SmallSet::new(),
        }
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
            if self.lost {
                (self.returned, self.left) = (Some(now), self.heard);
                self.compared = SmallSet::new();
            }
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

    /// So long ago something was said that comes only now, by an author whose run began then, by the clocks
    /// of both: this node's own run is of `epoch`. Clocks may be wrong; who was not cut off has heard it at
    /// once, and who was can't have missed it before.
    pub(crate) fn age(&self, author: Epoch, epoch: Epoch, now: Instant) -> Duration {
        if !self.has_returned_within(timing::ISOLATED, now) {
            return Duration::ZERO;
        }
        let younger = Duration::from_millis(author.saturating_sub(epoch));
        let older = Duration::from_millis(epoch.saturating_sub(author));
        let by_clock = (now.since(self.begun) + older).saturating_sub(younger);
        by_clock.min(now.since(self.left))
    }

    /// Until when a node that was cut off compares what it has in a channel with the others, if it does.
    pub(crate) fn compares_until(&self, channel: &ChannelName, now: Instant) -> Option<Instant> {
        let until = self
            .returned
            .filter(|_| !self.compared.contains(channel))
            .map(|at| at + timing::COMPARE);
        until.filter(|at| now < *at)
    }

    /// One of the others has told all that it knows of a channel. `true` if that was waited for.
    pub(crate) fn compared(&mut self, channel: &ChannelName, now: Instant) -> bool {
        let waited = self.compares_until(channel, now).is_some();
        if waited {
            self.compared.insert(channel.clone());
        }
        waited
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
            assert_eq!(contact.compares_until(&ChannelName::lobby(), later).is_some(), cut_off);
            assert_eq!(contact.has_returned_within(timing::ISOLATED, later), cut_off);
            let end = later + timing::ISOLATED;
            assert!(!contact.has_returned_within(timing::ISOLATED, end));
            assert_eq!(contact.compares_until(&ChannelName::lobby(), end), None);
        }
    }

    #[test]
    fn who_was_cut_off_compares_until_one_of_the_others_has_told_all() {
        let start = Instant::from_micros(1_000_000);
        let mut contact = Contact::new(start);
        let mut later = start;
        for _ in 0..2 {
            later = later + timing::ISOLATED * 2;
            contact.lose(later);
            contact.hear(later);
            let (lobby, ops) = (ChannelName::lobby(), "ops".parse().unwrap());
            assert!(contact.compared(&lobby, later) && !contact.compared(&lobby, later));
            assert_eq!(contact.compares_until(&lobby, later), None);
            assert!(contact.compares_until(&ops, later).is_some());
        }
    }

    #[test]
    fn what_comes_to_who_was_cut_off_is_as_old_as_clocks_say_but_no_older_than_that() {
        let (start, epoch) = (Instant::from_micros(1_000_000), 1_000_000);
        let mut contact = Contact::new(start);
        let left = start + Duration::from_secs(60);
        contact.hear(left);
        assert_eq!(contact.age(epoch, epoch, left), Duration::ZERO, "it comes when it is said");
        let now = left + Duration::from_secs(30);
        contact.lose(now);
        contact.hear(now);
        // By the author's clock, so many seconds after this node began.
        for (said, age) in [(80, 10), (90, 0), (95, 0), (60, 30), (50, 30), (0, 30)] {
            let author = epoch + said * 1_000;
            assert_eq!(contact.age(author, epoch, now), Duration::from_secs(age), "{said}");
        }
        assert_eq!(contact.age(0, epoch, now), Duration::from_secs(30));
        assert_eq!(contact.age(u64::MAX, epoch, now), Duration::ZERO);
        assert_eq!(contact.age(0, epoch, now + timing::ISOLATED), Duration::ZERO);
    }

    #[test]
    fn a_peer_that_dies_while_others_are_heard_cuts_nobody_off() {
        let start = Instant::from_micros(1_000_000);
        let mut contact = Contact::new(start);
        contact.lose(start);
        let later = start + timing::ISOLATED * 2;
        contact.hear(later);
        assert_eq!(contact.compares_until(&ChannelName::lobby(), later), None);
    }
}
