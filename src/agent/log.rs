//! What the agent tells whoever looks after it: on standard error, with the priorities that
//! journald reads (`sd-daemon(3)`) where it writes there, and to systemd where that has asked for it
//! (`sd_notify(3)`).

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::values::Instant;

/// How notes are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Only warnings.
    quiet: bool,
    /// Details, too.
    verbose: bool,
    /// Standard error goes to journald.
    journal: bool,
    /// How often systemd wants to hear that the agent is alive, if it does.
    watchdog: Option<Duration>,
}

/// When systemd was last told that the agent is alive, in microseconds.
static TOLD: AtomicU64 = AtomicU64::new(0);

impl Log {
    /// As the environment says.
    pub(crate) fn from_environment(quiet: bool, verbose: bool) -> Self {
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Self {
            quiet,
            verbose,
            journal: std::env::var_os("JOURNAL_STREAM").is_some(),
            // Half of the time, as `sd_watchdog_enabled(3)` advises.
            watchdog: micros.map(|micros: u64| Duration::from_micros(micros / 2)),
        }
    }

    /// Something that somebody should look at.
    pub(crate) fn warn(&self, what: &str) {
        self.write(4, what);
    }

    /// Something that is good to know.
    pub(crate) fn info(&self, what: &str) {
        if !self.quiet {
            self.write(6, what);
        }
    }

    /// Something for those who want to know how it comes about.
    pub(crate) fn detail(&self, what: &str) {
        if self.verbose {
            self.write(7, what);
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
        let line = if self.journal {
            format!("<{priority}>{what}\n")
        } else {
            format!("cooee agent: {what}\n")
        };
        // Nobody may be reading.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    /// The agent serves from now on.
    pub(crate) fn ready() {
        notify("READY=1\n");
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
}

fn notify(what: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
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
