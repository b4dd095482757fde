//! Whether the host has slept: suspended to memory or to disk, and resumed.
//!
//! The monotonic clock stands still meanwhile, so nothing that is timed by it notices. Linux has a
//! clock that goes on, `CLOCK_BOOTTIME` (`clock_gettime(2)`); and a timer that is cancelled when the
//! calendar jumps, as it does on resuming, wakes who waits in a poll (`TFD_TIMER_CANCEL_ON_SET`,
//! `timerfd_create(2)`).

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Sleep;
#[cfg(target_os = "linux")]
pub use linux::Sleep;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use mio::event::Source;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
        clock_gettime, timerfd_create, timerfd_settime,
    };

    /// A sleep that is worth a word. The two clocks are not read at the same moment.
    const WORTH: Duration = Duration::from_secs(1);

    /// A watch over the host's sleep.
    #[derive(Debug)]
    pub struct Sleep {
        timer: OwnedFd,
        /// How long the host had slept in all, when this was last looked at.
        asleep: Duration,
    }

    impl Sleep {
        /// Watches from now on: the token is seen when the host resumes, or its calendar is set.
        ///
        /// # Errors
        /// The system or a sandbox refuses.
        pub fn watch(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
            let sleep = Self { timer, asleep: asleep() };
            sleep.arm()?;
            SourceFd(&sleep.timer.as_raw_fd()).register(registry, token, Interest::READABLE)?;
            Ok(sleep)
        }

        /// Whether the host has slept since this was last asked.
        pub fn has_slept(&mut self) -> bool {
            // It says ECANCELED, once for each time that it is armed.
            if rustix::io::read(&self.timer, &mut [0_u8; 8]) != Err(rustix::io::Errno::AGAIN) {
                let _ = self.arm(); // without it, it is only noticed later
            }
            self.compare(asleep())
        }

        fn compare(&mut self, asleep: Duration) -> bool {
            let before = std::mem::replace(&mut self.asleep, asleep);
            asleep.saturating_sub(before) >= WORTH
        }

        /// A time that never comes: only that the calendar jumps is of interest.
        fn arm(&self) -> io::Result<()> {
            let never = Timespec { tv_sec: i64::MAX / 4, tv_nsec: 0 };
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            let time = Itimerspec { it_interval: once, it_value: never };
            timerfd_settime(&self.timer, flags, &time)?;
            Ok(())
        }
    }

    /// How long the host has slept since it was booted.
    fn asleep() -> Duration {
        let read = |clock| {
            let time = clock_gettime(clock);
            let (seconds, nanoseconds) = (time.tv_sec.max(0), time.tv_nsec.max(0));
            Duration::from_secs(seconds as u64) + Duration::from_nanos(nanoseconds as u64)
        };
        let awake = read(ClockId::Monotonic);
        read(ClockId::Boottime).saturating_sub(awake)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_sleep_is_noticed_once_and_the_pause_between_two_readings_is_none() {
            let poll = mio::Poll::new().unwrap();
            let mut sleep = Sleep::watch(poll.registry(), Token(0)).unwrap();
            assert!(!sleep.has_slept());
            let before = sleep.asleep;
            let hour = Duration::from_secs(3_600);
            assert!(sleep.compare(before + hour));
            assert!(!sleep.compare(before + hour + WORTH / 2));
            assert!(!sleep.compare(before), "however the clocks are read");
        }

        #[test]
        fn nobody_is_woken_while_the_host_is_awake() {
            let mut poll = mio::Poll::new().unwrap();
            let sleep = Sleep::watch(poll.registry(), Token(0)).unwrap();
            let mut events = mio::Events::with_capacity(1);
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            assert!(events.is_empty(), "{sleep:?}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;

    use mio::{Registry, Token};

    /// Elsewhere nothing tells.
    #[derive(Debug)]
    pub struct Sleep;

    impl Sleep {
        /// Always fails.
        ///
        /// # Errors
        /// There is nothing to watch.
        pub fn watch(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Not as far as is known.
        pub fn has_slept(&mut self) -> bool {
            false
        }
    }
}
