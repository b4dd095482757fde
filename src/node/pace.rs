//! How fast this node says things: not faster than those who listen can check and keep it, and
//! than a LAN should carry for one host.
//!
//! Nothing is delayed here. While more is owed than [`limits::SAY_BURST`], nothing more is taken
//! from whoever speaks, so a pipe into `say -` is slowed down instead of losing what it says. A
//! `cast` is not paced: it is for high rates, and best effort.

use std::time::Duration;

use crate::proto::Outgoing;
use crate::values::{Instant, limits};

/// Bytes that a message takes on the wire besides its text and data, when it shares a datagram.
const OVERHEAD: u64 = 64;

/// What was said lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes said and not yet paid for, at that time.
    owed: u64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { owed: 0, at: now }
    }

    fn owed(&self, now: Instant) -> u64 {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.owed.saturating_sub(micros.saturating_mul(limits::SAY_RATE) / 1_000_000)
    }

    /// Something is said.
    pub(super) fn say(&mut self, what: &Outgoing, now: Instant) {
        let data = what.data.as_ref().map_or(0, |data| data.as_str().len());
        let bytes = (what.text.len() + data) as u64 + OVERHEAD;
        *self = Self { owed: self.owed(now) + bytes, at: now };
    }

    /// Until when nothing more should be said; `None`: something can be.
    pub(super) fn holds_until(&self, now: Instant) -> Option<Instant> {
        let over = self.owed(now).checked_sub(limits::SAY_BURST).filter(|over| *over > 0)?;
        // Rounded up, so that at that time it is over.
        Some(now + Duration::from_micros(over * 1_000_000 / limits::SAY_RATE + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Level, WallTime};

    fn text(bytes: usize) -> Outgoing {
        Outgoing { at: WallTime(1), text: "x".repeat(bytes), data: None, level: Level::Info }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::from_micros(1);
        let (mut now, mut pace, mut said) = (start, Pace::new(start), 0);
        let what = text(936);
        while now.since(start) < Duration::from_secs(10) {
            match pace.holds_until(now) {
                None => {
                    pace.say(&what, now);
                    said += 1_000;
                    if said == 1_000 {
                        assert_eq!(pace.holds_until(now), None, "one is not held");
                    }
                }
                Some(until) => {
                    assert!(until > now);
                    now = until;
                    assert_eq!(pace.holds_until(now), None, "it ends when it says");
                }
            }
        }
        let most = limits::SAY_BURST + 10 * limits::SAY_RATE;
        assert!((most - 10_000..most + 10_000).contains(&said), "{said} of {most}");
    }

    #[test]
    fn the_longest_message_holds_the_next_for_a_moment_only() {
        let now = Instant::from_micros(1);
        let mut pace = Pace::new(now);
        for _ in 0..4 {
            pace.say(&text(limits::TEXT), now);
        }
        let until = pace.holds_until(now).unwrap();
        assert!(until.since(now) < Duration::from_millis(200));
    }
}
