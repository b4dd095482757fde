//! When a node whose links have changed begins anew: asks who is there and announces itself.
//!
//! After a change it does at once, after further ones less and less often, until the links have been
//! quiet for a while: an interface that comes and goes costs the LAN a few datagrams, not a few for each
//! time. (As RFC 2439 damps routes that flap, with a back-off in place of its penalty.)

use std::time::Duration;

use super::timing;
use crate::values::Instant;

/// The damping of a node's new beginnings.
#[derive(Debug, Default)]
pub(crate) struct Flapping {
    /// When the links changed last.
    changed: Option<Instant>,
    /// Since when a beginning waits for its time, if one does, and until when.
    waits: Option<(Instant, Instant)>,
    /// When the next beginning may be.
    may: Instant,
    /// How long after that one the next but one may be.
    wait: Duration,
}

impl Flapping {
    /// The links have changed.
    pub(crate) fn change(&mut self, now: Instant) {
        let before = self.changed.replace(now);
        let quiet = before.is_none_or(|at| now.since(at) >= timing::FLAP_QUIET);
        if quiet && self.may <= now {
            self.wait = timing::FLAP_LEAST;
            self.waits = Some((now, now));
            return;
        }
        let since = self.waits.map_or(now, |(since, _)| since);
        let settled = (now + timing::FLAP_SETTLE).min(since + timing::FLAP_MOST);
        self.waits = Some((since, settled.max(self.may)));
    }

    /// When a beginning is due.
    pub(crate) fn next(&self) -> Instant {
        self.waits.map_or(Instant::NEVER, |(_, until)| until)
    }

    /// Whether it is time to begin anew; it is done then.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let due = self.next() <= now;
        if due {
            self.waits = None;
            self.may = now + self.wait;
            self.wait = (self.wait * 2).min(timing::FLAP_MOST);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    /// When a node begins anew whose links change each `period` from 1 s to 11 s.
    fn begins(flapping: &mut Flapping, period: u64) -> Vec<u64> {
        let mut begun = Vec::new();
        for ms in 1_000..30_000 {
            if ms % period == 0 && ms < 11_000 {
                flapping.change(at(ms));
            }
            if flapping.take(at(ms)) {
                begun.push(ms);
            }
        }
        begun
    }

    #[test]
    fn a_link_that_flaps_begins_anew_at_once_and_then_less_and_less_often() {
        let mut flapping = Flapping::default();
        assert_eq!(begins(&mut flapping, 1_000), [1_000, 2_300, 3_300, 5_300, 9_300, 17_300]);
        let mut flapping = Flapping::default();
        assert_eq!(begins(&mut flapping, 250), [1_000, 9_250, 11_050], "and when it is quiet");
        assert_eq!(flapping.next(), Instant::NEVER);
        // Quiet for long enough: it is as at first.
        for ms in [30_000, 30_001] {
            flapping.change(at(ms));
            assert_eq!(flapping.take(at(ms)), ms == 30_000);
        }
        assert_eq!(flapping.next(), at(30_000) + timing::FLAP_LEAST);
    }
}
