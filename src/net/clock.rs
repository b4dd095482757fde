//! The only reader of the clock and of entropy: everything below gets time and randomness as
//! values.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::values::{Instant, WallTime};

/// What a clock shows when it is made.
const START: Instant = Instant::from_micros(3_600_000_000);

/// Monotonic time, an hour ahead when the clock is made: so that what others heard before is a time,
/// too, and not before the beginning of it.
///
/// It stands still while the host sleeps, so a deadline is not missed by the length of the sleep.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts now, at one hour.
    #[expect(clippy::new_without_default, reason = "each clock has another start")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// The time, in microseconds.
    pub fn now(&self) -> Instant {
        START + self.start.elapsed()
    }

    /// What the host's calendar shows; 1970 if it is set to before that.
    pub fn wall() -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(u64::try_from(since.as_millis()).unwrap_or(WallTime::MAX.0))
    }
}

/// 256 bits from the system: the seed of a node's generator, or a new key.
///
/// # Errors
/// The system refused; nothing that would be guessable is put in place of it.
pub fn entropy() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards_and_leaves_room_before_its_start() {
        let clock = Clock::new();
        let first = clock.now();
        assert!(first >= START && first.since(START) < std::time::Duration::from_secs(60));
        assert!((0..1_000).all(|_| clock.now() >= first));
    }

    #[test]
    fn the_calendar_is_past_2026_and_no_seed_comes_twice() {
        assert!(Clock::wall() > WallTime(1_767_225_600_000));
        assert_ne!(entropy().unwrap(), entropy().unwrap());
    }
}
