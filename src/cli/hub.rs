//! Everything that a command waits for, in one queue: what happens at the node, lines of standard
//! input, signals. Each source has a thread that blocks on it, so the command reacts at once and
//! polls nothing. The queue is bounded: a command that is slow slows its sources down.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit::{Exit, Failure};
use super::lines::{self, Line};
use crate::node::{Notice, Notices};

/// What waits in the queue at most: each may be as long as the longest text and its data.
const QUEUE: usize = 64;

/// How long a command may take to say goodbye after a signal before it is ended all the same.
const GRACE: Duration = Duration::from_millis(900);

/// Something that a command reacts to.
#[derive(Debug)]
pub(super) enum Happening {
    /// At the node.
    Notice(Notice),
    /// A line was typed, or came through a pipe.
    Line(Line),
    /// There will be no more lines; with the reason, if reading failed.
    End(Option<io::Error>),
    /// The node is gone.
    Stopped,
    /// The user or the system wants the command to end.
    Signal,
    /// The time that was given to [`Hub::next`] has come.
    Time,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Hub {
    sender: SyncSender<Happening>,
    receiver: Receiver<Happening>,
    ended: Arc<AtomicBool>,
}

impl Hub {
    /// An empty queue.
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        Self { sender, receiver, ended: Arc::default() }
    }

    /// For sources that are not made here.
    pub(super) fn sender(&self) -> SyncSender<Happening> {
        self.sender.clone()
    }

    /// Takes in what happens at the node.
    pub(super) fn notices(&self, notices: Notices) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            loop {
                let happening = match notices.next(Duration::MAX) {
                    Ok(Some(notice)) => Happening::Notice(notice),
                    Ok(None) => continue,
                    Err(_) => Happening::Stopped,
                };
                let last = matches!(happening, Happening::Stopped);
                if sender.send(happening).is_err() || last {
                    return;
                }
            }
        });
    }

    /// Takes in the lines of standard input.
    pub(super) fn input(&self) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            let mut input = io::stdin().lock();
            loop {
                let happening = match lines::read(&mut input) {
                    Ok(Some(line)) => Happening::Line(line),
                    Ok(None) => Happening::End(None),
                    Err(e) => Happening::End(Some(e)),
                };
                let last = matches!(happening, Happening::End(_));
                if sender.send(happening).is_err() || last {
                    return;
                }
            }
        });
    }

    /// Takes in the signals that end a command. One that does not end within [`GRACE`], because
    /// it hangs in a write that nobody reads, is ended after calling `last`.
    pub(super) fn signals(&self, last: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let mut wanted = vec![SIGINT, SIGTERM];
        if !ignored(SIGHUP) {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted)
            .map_err(|e| Failure::Refused(format!("signals can't be caught: {e}")))?;
        let (sender, ended) = (self.sender.clone(), Arc::clone(&self.ended));
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                ended.store(true, Ordering::Release);
                // A full queue needs no wake-up.
                let _ = sender.try_send(Happening::Signal);
                thread::sleep(GRACE);
                last();
                std::process::exit(Exit::Done.code().into());
            }
        });
        Ok(())
    }

    /// Ends the command when nobody reads its output any more, as in `cooee listen | head -1`:
    /// without this it would learn so only when it has something to print.
    pub(super) fn output(&self) {
        let (sender, ended) = (self.sender.clone(), Arc::clone(&self.ended));
        thread::spawn(move || {
            let output = io::stdout();
            // Errors are told whatever is asked for.
            let mut watched = [PollFd::new(&output, PollFlags::empty())];
            loop {
                match poll(&mut watched, None) {
                    Err(Errno::INTR) => {}
                    Ok(_) if watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                        ended.store(true, Ordering::Release);
                        let _ = sender.try_send(Happening::Signal);
                        return;
                    }
                    // It can't be watched.
                    _ => return,
                }
            }
        });
    }

    /// Whether the command is to end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The next happening; a signal goes before everything else.
    pub(super) fn next(&self, until: Option<Instant>) -> Happening {
        if self.has_ended() {
            return Happening::Signal;
        }
        let next = match until {
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => {
                self.receiver.recv_timeout(until.saturating_duration_since(Instant::now()))
            }
        };
        match next {
            Ok(_) if self.ended.load(Ordering::Acquire) => Happening::Signal,
            Ok(happening) => happening,
            Err(RecvTimeoutError::Timeout) => Happening::Time,
            // Can't be while the hub itself holds a sender.
            Err(RecvTimeoutError::Disconnected) => Happening::Stopped,
        }
    }
}

/// Whether whoever started us wants us to outlive this signal (`nohup`).
fn ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_goes_before_what_waits_and_time_passes_without_anything() {
        let hub = Hub::new();
        assert!(matches!(hub.next(Some(Instant::now())), Happening::Time));
        hub.sender().send(Happening::End(None)).unwrap();
        assert!(matches!(hub.next(None), Happening::End(None)));
        hub.sender().send(Happening::End(None)).unwrap();
        hub.ended.store(true, Ordering::Release);
        assert!(matches!(hub.next(None), Happening::Signal));
    }
}
