//! What the agent tells whoever looks after it: notes on standard error, with the priorities that
//! journald reads (`sd-daemon(3)`) where it writes there, and its state to a service manager that
//! has asked for it (`sd_notify(3)`).
//!
//! Nothing here may hold the agent up or end it: what nobody takes is lost.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::Instant;

/// Something failed, and what was to be done is not done.
pub(crate) const ERROR: u8 = 3;
/// Something that somebody should look at.
pub(crate) const WARNING: u8 = 4;
/// Something that somebody may want to see.
pub(crate) const NOTICE: u8 = 5;
/// Something that is good to know.
const INFO: u8 = 6;
/// Something for those who want to know how it comes about.
const DEBUG: u8 = 7;

/// How long the service manager may take to make room for what it is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How notes are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Only warnings.
    quiet: bool,
    /// Details, too.
    verbose: bool,
    /// Standard error goes to journald.
    journal: bool,
    /// How often the service manager wants to hear that the agent is alive, if it does.
    watchdog: Option<Duration>,
}

/// When the service manager was last told that the agent is alive, in microseconds.
static TOLD: AtomicU64 = AtomicU64::new(0);

impl Log {
    /// As the environment says.
    pub(crate) fn from_environment(quiet: bool, verbose: bool) -> Self {
        let var = |name| std::env::var(name).ok();
        let (micros, pid) = (var("WATCHDOG_USEC"), var("WATCHDOG_PID"));
        let watchdog = watchdog(micros.as_deref(), pid.as_deref(), std::process::id());
        Self { quiet, verbose, journal: goes_to_journald(), watchdog }
    }

    /// Something that somebody should look at.
    pub(crate) fn warn(&self, what: &str) {
        self.write(WARNING, what);
    }

    /// Something that is good to know.
    pub(crate) fn info(&self, what: &str) {
        if !self.quiet {
            self.write(INFO, what);
        }
    }

    /// Something for those who want to know how it comes about.
    pub(crate) fn detail(&self, what: &str) {
        if self.verbose {
            self.write(DEBUG, what);
        }
    }

    /// Whether details are wanted.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Writes as much as is said here from now on.
    pub(crate) fn set(&mut self, quiet: bool, verbose: bool) {
        (self.quiet, self.verbose) = (quiet, verbose);
    }

    fn write(&self, priority: u8, what: &str) {
        let line = line(self.journal, "cooee agent", priority, what);
        // Nobody may be reading.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    /// The agent serves from now on; `status` says as whom.
    pub(crate) fn ready(status: &str) {
        notify(&format!("READY=1\nSTATUS={}\n", status.replace('\n', " ")));
    }

    /// The agent reads its configuration again; [`Log::ready`] follows. systemd wants to know when
    /// that was (`Type=notify-reload`).
    pub(crate) fn reloading() {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The agent is about to end.
    pub(crate) fn stopping() {
        notify("STOPPING=1\n");
    }

    /// The agent's loop turns.
    pub(crate) fn alive(&self, now: Instant) {
        let Some(interval) = self.watchdog else { return };
        let last = Instant::from_micros(TOLD.load(Ordering::Relaxed));
        if now.since(last) >= interval {
            TOLD.store(now.as_micros(), Ordering::Relaxed);
            notify("WATCHDOG=1\n");
        }
    }

    /// How long the agent's loop may sleep, so that [`Log::alive`] is in time.
    pub(crate) fn nap(&self) -> Duration {
        self.watchdog.map_or(Duration::MAX, |interval| interval / 2)
    }
}

/// How often a watchdog wants to hear of this process: half of the time that it waits, as
/// `sd_watchdog_enabled(3)` advises. One that watches another process is none of ours.
fn watchdog(micros: Option<&str>, pid: Option<&str>, ours: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(ours)) {
        return None;
    }
    let micros: u64 = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros / 2))
}

/// A note as whoever reads standard error takes it.
pub(crate) fn noted(who: &str, priority: u8, what: &str) -> String {
    line(goes_to_journald(), who, priority, what)
}

/// For people with the name of who says so; for journald, which knows that, with its priority.
fn line(journal: bool, who: &str, priority: u8, what: &str) -> String {
    if journal { for_journald(priority, what) } else { format!("{who}: {what}\n") }
}

/// Whether what this process writes to standard error arrives at journald. The variable alone does
/// not say so: whatever a service has started inherits it, a terminal as well.
fn goes_to_journald() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() else { return false };
    let is = |meta: std::fs::Metadata| stream == format!("{}:{}", meta.dev(), meta.ino());
    std::fs::File::from(stderr).metadata().is_ok_and(is)
}

/// The note as journald takes it: a priority before each of its lines, which are entries of their own.
fn for_journald(priority: u8, what: &str) -> String {
    let mut lines = String::new();
    for line in what.lines() {
        let _ = writeln!(lines, "<{priority}>{line}");
    }
    lines
}

/// Tells the service manager, if there is one.
fn notify(what: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let _ = socket.set_write_timeout(Some(PATIENCE));
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        if let Ok(addr) = std::os::unix::net::SocketAddr::from_abstract_name(name) {
            let _ = socket.send_to_addr(what.as_bytes(), &addr);
        }
        return;
    }
    let _ = socket.send_to(what.as_bytes(), path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_hears_of_this_process_twice_in_its_time() {
        let half = Some(Duration::from_millis(500));
        assert_eq!(watchdog(Some("1000000"), None, 7), half);
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), half);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None, "it watches another");
        for nonsense in [None, Some(""), Some("0"), Some("-1"), Some("soon")] {
            assert_eq!(watchdog(nonsense, None, 7), None, "{nonsense:?}");
        }
        let log = Log { quiet: false, verbose: false, journal: false, watchdog: half };
        assert!(log.nap() < Duration::from_millis(500));
    }

    #[test]
    fn each_line_for_journald_has_its_priority() {
        assert_eq!(for_journald(WARNING, "one\ntwo"), "<4>one\n<4>two\n");
    }
}
