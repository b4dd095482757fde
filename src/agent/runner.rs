//! Runs commands, without a shell, within bounds.
//!
//! ```text
//!   add ──▶ backlog ──▶ running (so many at a time) ──▶ done: how it ended, what it printed
//!             │ full: refused and counted
//! ```
//!
//! [`Limits`] say how many commands run at a time and how much waits; each [`Job`] says how long it
//! may run and how much of its output is kept. A command is the leader of a process group. When it
//! ends, or its time is up, or everything is to end, the whole group is killed, so nothing is left
//! behind but what has left its group on purpose (`setsid`). A leader that has ended is reaped only
//! after its group was killed, so that its number can't mean somebody else's processes by then.
//!
//! One thread looks after all commands. It starts when there is something to do and ends when there
//! is nothing left, so who never runs a command has none. It waits for nothing but its poll: a
//! command that does not read, or prints without end, holds nobody up.

mod child;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::values::duration;
use child::{Child, kill};

/// How often somebody who waits for the end looks whether it is to be cut short.
const GLANCE: Duration = Duration::from_millis(50);

/// How long to wait for what was killed to be gone. Only a process that hangs in the kernel takes
/// longer; it is left to the system then.
const GRACE: Duration = Duration::from_secs(2);

/// The poll's tokens: something was added, or something has happened to a command.
const WAKE: Token = Token(0);
const COMMAND: Token = Token(1);

/// How much is run, and how much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Commands that run at a time; 0 stands for 1.
    pub(crate) at_once: usize,
    /// Jobs that wait for their turn. Further ones are refused and counted.
    pub(crate) backlog: usize,
}

/// Bytes of the jobs that wait: their words, variables and standard inputs. A job beyond is refused
/// as one beyond the backlog is.
const WAITING_BYTES: usize = 16 << 20;

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    /// What it reads from its standard input.
    pub(crate) input: String,
    /// Variables that it has besides those of this process.
    pub(crate) env: Vec<(&'static str, String)>,
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// Where what it prints goes.
    pub(crate) stdout: Sink,
    /// Where its complaints go.
    pub(crate) stderr: Sink,
}

/// Where an output of a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "`listen --exec` only inherits")]
pub(crate) enum Sink {
    /// Where this process's own goes.
    Inherit,
    /// Nowhere.
    Discard,
    /// Into the [`Outcome`], so many bytes at most. The rest is read and thrown away.
    Capture(usize),
}

/// What came of a job.
#[derive(Debug)]
#[allow(dead_code, reason = "`listen --exec` does not capture")]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) ended: Ended,
    /// What it printed, where that is captured.
    pub(crate) stdout: Captured,
    /// What it complained about, where that is captured.
    pub(crate) stderr: Captured,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself, or by a signal that is not ours.
    Exited(ExitStatus),
    /// Killed, because it ran for longer than this.
    TimedOut(Duration),
    /// Killed, because everything was to end.
    Stopped,
    /// It was never started.
    NotStarted(io::Error),
}

/// The beginning of what a command printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// As many bytes as were wanted.
    pub(crate) bytes: Vec<u8>,
    /// There were more.
    pub(crate) cut: bool,
}

/// What a runner has counted, and has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "`listen --exec` counts only what was dropped")]
pub(crate) struct Counts {
    /// Commands started.
    pub(crate) started: u64,
    /// Commands that ended with something other than success, of themselves.
    pub(crate) failed: u64,
    /// Commands killed because their time was up.
    pub(crate) timed_out: u64,
    /// Commands that could not be started.
    pub(crate) not_started: u64,
    /// Jobs refused because too much waited.
    pub(crate) dropped: u64,
    /// Commands that run just now.
    pub(crate) running: usize,
    /// Jobs that wait just now.
    pub(crate) waiting: usize,
}

impl Ended {
    /// It went well.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// As it continues a sentence that begins with the command's name.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with {status}"),
            Self::TimedOut(limit) => {
                write!(f, "was killed: it ran for more than {}", duration::show(*limit))
            }
            Self::Stopped => write!(f, "was killed: everything ends"),
            Self::NotStarted(error) => write!(f, "can't be started: {error}"),
        }
    }
}

/// What is done when a job is over.
type Done = Box<dyn FnOnce(Outcome) + Send>;

/// Runs commands. Dropping it kills what runs and forgets what waits.
#[derive(Debug)]
pub(crate) struct Runner(Arc<Shared>);

/// Ends every command from wherever the process ends.
#[derive(Clone, Debug)]
pub(crate) struct Killer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    state: Mutex<State>,
    /// Something in the state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    backlog: VecDeque<(Job, Done)>,
    /// Bytes of the backlog.
    bytes: usize,
    /// The leaders of the groups that run, not reaped yet.
    leaders: BTreeSet<i32>,
    counts: Counts,
    /// A command is being started, and not among the leaders yet.
    starting: bool,
    /// Nothing is started any more.
    aborted: bool,
    /// Wakes the thread, while there is one.
    waker: Option<Arc<Waker>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Runner {
    /// A runner with nothing to do.
    pub(crate) fn new(limits: Limits) -> Self {
        let changed = Condvar::new();
        Self(Arc::new(Shared { limits, state: Mutex::default(), changed }))
    }

    /// For ending everything from another thread.
    pub(crate) fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.0))
    }

    /// Has a command run, as soon as it is its turn. Whether it was taken: it is refused, and
    /// counted, when too much waits.
    ///
    /// `done` is called once, in another thread, for each job that was taken, unless the job is
    /// forgotten before its turn comes because everything ends. It should not take long.
    pub(crate) fn add(&self, job: Job, done: impl FnOnce(Outcome) + Send + 'static) -> bool {
        let mut state = self.0.lock();
        let bytes = job.bytes();
        let full = state.backlog.len() >= self.0.limits.backlog
            || state.bytes.saturating_add(bytes) > WAITING_BYTES;
        // A limit of nothing that waits still lets start what has room to run.
        let starts_at_once = state.backlog.is_empty() && state.leaders.len() < self.0.at_once();
        if state.aborted || full && !starts_at_once {
            state.counts.dropped += 1;
            return false;
        }
        state.bytes += bytes;
        state.backlog.push_back((job, Box::new(done)));
        if let Some(waker) = &state.waker {
            // The thread looks into the backlog whenever a command ends, too.
            let _ = waker.wake();
            return true;
        }
        match self.begin() {
            Ok(waker) => state.waker = Some(waker),
            Err(error) => {
                let job = state.next();
                state.counts.not_started += 1;
                drop(state);
                if let Some((_, done)) = job {
                    done(Outcome::not_started(error));
                }
            }
        }
        true
    }

    /// Starts the thread.
    fn begin(&self) -> io::Result<Arc<Waker>> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("runner".to_owned()).spawn(move || shared.work(poll))?;
        Ok(waker)
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.0.lock();
        let (running, waiting) = (state.leaders.len(), state.backlog.len());
        Counts { running, waiting, ..state.counts }
    }

    /// Waits until everything that was added has run, unless `cut_short` says to stop. Then kills
    /// what is left.
    pub(crate) fn finish(&self, mut cut_short: impl FnMut() -> bool) {
        let mut state = self.0.lock();
        while state.waker.is_some() {
            let waited = self.0.changed.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if cut_short() {
                break;
            }
        }
        drop(state);
        self.abort();
    }

    /// Kills what runs, forgets what waits, and waits until it is gone.
    pub(crate) fn abort(&self) {
        self.killer().kill_all();
        let state = self.0.lock();
        drop(self.0.changed.wait_timeout_while(state, GRACE, |state| state.waker.is_some()));
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Killer {
    /// Kills what runs and forgets what waits.
    pub(crate) fn kill_all(&self) {
        let mut state = self.0.lock();
        state.aborted = true;
        state.backlog.clear();
        state.bytes = 0;
        state.leaders.iter().for_each(|leader| kill(*leader));
        if let Some(waker) = &state.waker {
            let _ = waker.wake();
        }
        // What is being started is killed by the thread that starts it.
        drop(self.0.changed.wait_timeout_while(state, GRACE, |state| state.starting));
    }
}

impl State {
    fn next(&mut self) -> Option<(Job, Done)> {
        let (job, done) = self.backlog.pop_front()?;
        self.bytes = self.bytes.saturating_sub(job.bytes());
        Some((job, done))
    }

    fn count(&mut self, ended: &Ended) {
        match ended {
            Ended::Exited(status) if status.success() => {}
            Ended::Exited(_) => self.counts.failed += 1,
            Ended::TimedOut(_) => self.counts.timed_out += 1,
            Ended::NotStarted(_) => self.counts.not_started += 1,
            Ended::Stopped => {}
        }
    }
}

impl Job {
    /// What it takes to keep it.
    fn bytes(&self) -> usize {
        let words: usize = self.words.iter().map(|word| word.len()).sum();
        let env: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + words + env + self.input.len()
    }
}

impl Outcome {
    fn not_started(error: io::Error) -> Self {
        let ended = Ended::NotStarted(error);
        Self { ended, stdout: Captured::default(), stderr: Captured::default() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No one panics with the lock held; the state would be consistent all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_once(&self) -> usize {
        self.limits.at_once.max(1)
    }

    /// The thread: looks after all commands until there are none.
    fn work(&self, mut poll: Poll) {
        let mut running: Vec<(Child, Done)> = Vec::new();
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; 1 << 16];
        loop {
            self.start_some(&mut running, &poll);
            if running.is_empty() && self.retire() {
                return;
            }
            let now = Instant::now();
            let mut wake = None::<Duration>;
            for (child, _) in &mut running {
                let next = child.turn(now, &mut buffer);
                wake = [wake, next].into_iter().flatten().min();
            }
            let ended: Vec<_> = running.extract_if(.., |(child, _)| child.has_ended()).collect();
            let idle = ended.is_empty();
            for (child, done) in ended {
                self.end(child, done, &mut buffer);
            }
            // If it fails, something is looked at too early.
            let _ = poll.poll(&mut events, if idle { wake } else { Some(Duration::ZERO) });
        }
    }

    /// Starts what may run.
    fn start_some(&self, running: &mut Vec<(Child, Done)>, poll: &Poll) {
        while running.len() < self.at_once() {
            let mut state = self.lock();
            if state.aborted {
                return;
            }
            let Some((job, done)) = state.next() else { return };
            // Without the lock: a slow disk must not hold up whoever adds jobs.
            state.starting = true;
            drop(state);
            let started = Child::start(job, poll);
            let mut state = self.lock();
            state.starting = false;
            let failed = match started {
                Ok(child) => {
                    state.counts.started += 1;
                    state.leaders.insert(child.leader());
                    if state.aborted {
                        kill(child.leader());
                    }
                    running.push((child, done));
                    None
                }
                Err(error) => {
                    state.counts.not_started += 1;
                    Some((error, done))
                }
            };
            self.changed.notify_all();
            drop(state);
            if let Some((error, done)) = failed {
                done(Outcome::not_started(error));
            }
        }
    }

    /// A command has ended: so does whatever it has started.
    fn end(&self, mut child: Child, done: Done, buffer: &mut [u8]) {
        kill(child.leader());
        child.read_rest(buffer);
        let aborted = {
            let mut state = self.lock();
            state.leaders.remove(&child.leader());
            state.aborted
        };
        // Reaped only now: its number is no longer among those that may be killed.
        let mut outcome = child.reap();
        if aborted && !outcome.ended.is_success() {
            outcome.ended = Ended::Stopped;
        }
        self.lock().count(&outcome.ended);
        self.changed.notify_all();
        done(outcome);
    }

    /// Ends the thread unless something came in since.
    fn retire(&self) -> bool {
        let mut state = self.lock();
        if !state.backlog.is_empty() && !state.aborted {
            return false;
        }
        state.waker = None;
        self.changed.notify_all();
        true
    }
}

#[cfg(test)]
mod tests;
