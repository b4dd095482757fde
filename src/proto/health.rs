//! How far this node may trust its own finding that somebody does not answer.
//!
//! *(After Lifeguard, see `suspicion`, §IV-A: local health.)* A node whose questions nobody answers, that is accused
//! itself, that was wrong about others, or that is woken late, is likelier to be the one at fault: it takes more
//! time, up to nine times as much. One that stood still (a stopped process, a host that slept) knows nothing of the
//! time in between: nobody was silent then.

use super::timing;
use crate::values::Instant;

/// The score of a node that is as bad as it gets.
const WORST: u32 = 8;

/// A node's opinion of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    score: u32,
    /// When this node wanted to be woken.
    expected: Instant,
    /// When it stood still last.
    awake: Instant,
}

impl Health {
    pub(crate) fn new(now: Instant) -> Self {
        Self { score: 0, expected: Instant::NEVER, awake: now }
    }

    /// This is when it wants to be woken.
    pub(crate) fn expect(&mut self, at: Instant) {
        self.expected = at;
    }

    /// It was woken. `true` if it stood still until now.
    pub(crate) fn wake(&mut self, now: Instant) -> bool {
        let late = now.since(std::mem::replace(&mut self.expected, Instant::NEVER));
        if late < timing::LATE {
            return false;
        }
        self.worsen();
        let stood_still = late >= timing::STOOD_STILL;
        if stood_still {
            self.awake = now;
        }
        stood_still
    }

    /// Something speaks against it.
    pub(crate) fn worsen(&mut self) {
        self.score = (self.score + 1).min(WORST);
    }

    /// Something speaks for it.
    pub(crate) fn mend(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// What spoke against it has a cause, which is gone: its link was out.
    pub(crate) fn recover(&mut self) {
        self.score = 0;
    }

    /// By what its times are multiplied.
    pub(crate) fn factor(self) -> u32 {
        1 + self.score
    }

    /// Since when it has been able to hear others.
    pub(crate) fn awake(self) -> Instant {
        self.awake
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_woken_late_is_less_sure_and_who_stood_still_knows_it() {
        let start = Instant::from_micros(1_000_000);
        let mut health = Health::new(start);
        health.expect(start);
        assert!(!health.wake(start + Duration::from_millis(10)) && health.factor() == 1);
        health.expect(start);
        assert!(!health.wake(start + timing::LATE) && health.factor() == 2);
        // The second input of the same turn is not late again.
        assert!(!health.wake(start + timing::STOOD_STILL) && health.factor() == 2);
        health.expect(start);
        let woken = start + timing::STOOD_STILL;
        assert!(health.wake(woken) && health.awake() == woken);
    }

    #[test]
    fn health_has_a_best_and_a_worst() {
        let mut health = Health::new(Instant::ZERO);
        health.mend();
        assert_eq!(health.factor(), 1);
        (0..20).for_each(|_| health.worsen());
        assert_eq!(health.factor(), 1 + WORST);
        health.mend();
        assert_eq!(health.factor(), WORST);
        health.recover();
        assert_eq!(health.factor(), 1);
    }
}
