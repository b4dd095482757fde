//! When this node announces itself to the group.

use super::timing;
use crate::values::{Instant, Rng};

/// The schedule of a node's own announcements.
#[derive(Debug)]
pub(crate) struct Announcer {
    last: Instant,
    next: Instant,
    /// What this node says of itself has changed since the last announcement.
    changed: bool,
    /// So many announcements are to follow the next one soon.
    repeats: u8,
}

impl Announcer {
    /// A visitor announces nothing by itself.
    pub(crate) fn new(now: Instant, active: bool) -> Self {
        Self {
            last: now,
            next: if active { now } else { Instant::NEVER },
            changed: false,
            repeats: 0,
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    fn is_active(&self) -> bool {
        self.next != Instant::NEVER
    }

    /// Something was announced just now.
    pub(crate) fn done(&mut self, now: Instant, size: usize, rng: &mut Rng) {
        self.changed = false;
        if self.is_active() {
            self.last = now;
            let interval = timing::announce(size);
            // Nine to eleven tenths, so that nodes that started together drift apart.
            self.next = now + interval * 9 / 10 + rng.up_to(interval / 5);
            if self.repeats > 0 {
                self.repeats -= 1;
                self.next = now + timing::CHANGE_SPACING;
            }
        }
    }

    /// Somebody new has come, who wants to know how it hears us.
    pub(crate) fn newcomer(&mut self, now: Instant, size: usize, rng: &mut Rng) {
        let soon = timing::announce_soon(size);
        self.sooner((self.last + soon / 2).max(now) + soon / 5 + rng.up_to(soon / 2));
    }

    /// This node itself has changed.
    pub(crate) fn changed(&mut self, now: Instant) {
        self.changed = self.is_active();
        self.sooner(now.max(self.last + timing::CHANGE_SPACING));
    }

    /// Others say that this node is dead: it announces itself, and twice again, as any may be lost.
    pub(crate) fn refute(&mut self, now: Instant) {
        self.repeats = if self.is_active() { timing::REFUTE_AGAIN } else { 0 };
        self.changed(now);
    }

    /// Somebody does not hear this node's announcements: they follow each other now, so that it soon knows
    /// whether some were lost or all are filtered.
    pub(crate) fn insist(&mut self, now: Instant) {
        if self.is_active() {
            self.repeats = self.repeats.max(timing::MISSED_COPIES);
            self.sooner(now.max(self.last + timing::CHANGE_SPACING));
        }
    }

    /// This node hears nobody, and others may know of it by its announcements alone.
    pub(crate) fn unheard(&mut self, now: Instant) {
        self.sooner((self.last + timing::ANNOUNCE_DEAF).max(now));
    }

    /// Whether a change waits to be announced.
    pub(crate) fn has_news(&self) -> bool {
        self.changed
    }

    fn sooner(&mut self, at: Instant) {
        if self.is_active() {
            self.next = self.next.min(at);
        }
    }

    /// How long ago the last announcement was.
    #[cfg(test)]
    fn age(&self, now: Instant) -> std::time::Duration {
        now.since(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn announcements_slow_down_with_the_group_and_come_sooner_for_a_reason() {
        let mut rng = Rng::from_number(1);
        let now = Instant::ZERO + Duration::from_secs(100);
        let mut announcer = Announcer::new(now, true);
        announcer.done(now, 10, &mut rng);
        let wait = announcer.next().since(now);
        assert!((1.8..=2.2).contains(&wait.as_secs_f64()), "{wait:?}");
        announcer.done(now, 1_000, &mut rng);
        let wait = announcer.next().since(now);
        assert!((18.0..=22.0).contains(&wait.as_secs_f64()), "{wait:?}");
        announcer.newcomer(now, 10, &mut rng);
        assert!(announcer.next().since(now) <= Duration::from_millis(1_200));
        announcer.changed(now);
        assert_eq!(announcer.next(), now + timing::CHANGE_SPACING);
        assert_eq!(announcer.age(now), Duration::ZERO);
    }

    #[test]
    fn who_refutes_announces_itself_three_times_in_a_row() {
        let mut rng = Rng::from_number(1);
        let mut now = Instant::ZERO + Duration::from_secs(100);
        let mut announcer = Announcer::new(now, true);
        announcer.done(now, 1_000, &mut rng);
        announcer.refute(now);
        for _ in 0..3 {
            assert_eq!(announcer.next(), now + timing::CHANGE_SPACING);
            now = announcer.next();
            announcer.done(now, 1_000, &mut rng);
        }
        assert!(announcer.next() > now + Duration::from_secs(10));
    }

    #[test]
    fn a_visitor_never_announces_itself() {
        let mut announcer = Announcer::new(Instant::ZERO, false);
        announcer.changed(Instant::ZERO);
        announcer.done(Instant::ZERO, 1, &mut Rng::from_number(1));
        assert_eq!(announcer.next(), Instant::NEVER);
    }
}
