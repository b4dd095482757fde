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
mod job;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::values::{SmallMap, SmallSet};

pub(crate) use job::{Captured, Ended, Job, Outcome, Sink};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Commands that run at a time; 0 stands for 1.
    pub(crate) at_once: usize,
    /// Jobs that wait for their turn. Further ones are refused and counted.
    pub(crate) backlog: usize,
}

/// Bytes of the jobs that wait: their words, variables and standard inputs. A job beyond is refused
/// as one beyond the backlog is.
const WAITING_BYTES: usize = 16 << 20;

/// What a runner has counted, and has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Jobs that have a limit of their own for how many of them run at a time.
pub(crate) type Lane = u64;

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
    state: Mutex<State>,
    /// Something in the state has changed.
    changed: Condvar,
}

/// A job whose turn has not come.
struct Waiting {
    job: Job,
    lane: Option<(Lane, usize)>,
    done: Done,
}

#[derive(Default)]
struct State {
    limits: Limits,
    backlog: VecDeque<Waiting>,
    /// Bytes of the backlog.
    bytes: usize,
    /// The leaders of the groups that run, not reaped yet.
    leaders: SmallSet<i32>,
    /// How many of each lane run.
    lanes: SmallMap<Lane, usize>,
    counts: Counts,
    /// A command is being started, and not among the leaders yet.
    starting: bool,
    /// Nothing is started any more.
    aborted: bool,
    /// Wakes the thread, while there is one.
    waker: Option<Arc<Waker>>,
}

/// A command that runs.
struct Running {
    child: Child,
    lane: Option<(Lane, usize)>,
    done: Done,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Runner {
    /// A runner with nothing to do.
    pub(crate) fn new(limits: Limits) -> Self {
        let state = Mutex::new(State { limits, ..State::default() });
        Self(Arc::new(Shared { state, changed: Condvar::new() }))
    }

    /// Goes by other limits from now on. What runs or waits already is not touched.
    pub(crate) fn limit(&self, limits: Limits) {
        let mut state = self.0.lock();
        state.limits = limits;
        state.wake();
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
        self.take(Waiting { job, lane: None, done: Box::new(done) })
    }

    /// The same, but of the jobs in this lane only `at_once` run at a time. Those of other lanes
    /// overtake them.
    pub(crate) fn add_to(
        &self,
        lane: Lane,
        at_once: usize,
        job: Job,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> bool {
        self.take(Waiting { job, lane: Some((lane, at_once.max(1))), done: Box::new(done) })
    }

    /// Whether one more job would be refused, and counts it as refused then: for who wants to make
    /// a job only if it is taken.
    pub(crate) fn refuses(&self) -> bool {
        let mut state = self.0.lock();
        let full = state.is_full(0);
        state.counts.dropped += u64::from(full);
        full
    }

    fn take(&self, waiting: Waiting) -> bool {
        let mut state = self.0.lock();
        let bytes = waiting.job.bytes();
        if state.is_full(bytes) {
            state.counts.dropped += 1;
            return false;
        }
        state.bytes += bytes;
        state.backlog.push_back(waiting);
        if state.wake() {
            return true;
        }
        match self.begin() {
            Ok(waker) => state.waker = Some(waker),
            Err(error) => {
                // Without a thread nothing else waited.
                state.bytes = 0;
                let waiting = state.backlog.pop_front();
                state.counts.not_started += 1;
                drop(state);
                if let Some(Waiting { done, .. }) = waiting {
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
        let (running, waiting) = (state.running(), state.backlog.len());
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
    /// Kills what runs and forgets what waits; who waits for the outcome of either hears of it.
    pub(crate) fn kill_all(&self) {
        let mut state = self.0.lock();
        state.aborted = true;
        let forgotten = std::mem::take(&mut state.backlog);
        state.bytes = 0;
        state.leaders.iter().for_each(|leader| kill(*leader));
        state.wake();
        // What is being started is killed by the thread that starts it.
        drop(self.0.changed.wait_timeout_while(state, GRACE, |state| state.starting));
        for Waiting { done, .. } in forgotten {
            done(Outcome {
                ended: Ended::Stopped,
                stdout: Captured::default(),
                stderr: Captured::default(),
            });
        }
    }
}

impl State {
    fn at_once(&self) -> usize {
        self.limits.at_once.max(1)
    }

    /// How many run, with the one that is being started.
    fn running(&self) -> usize {
        self.leaders.iter().len() + usize::from(self.starting)
    }

    /// Whether nothing of that size can wait, and nothing would start at once.
    fn is_full(&self, bytes: usize) -> bool {
        let full = self.backlog.len() >= self.limits.backlog
            || self.bytes.saturating_add(bytes) > WAITING_BYTES;
        // A limit of nothing that waits still lets start what has room to run.
        let starts_at_once = self.backlog.is_empty() && self.running() < self.at_once();
        self.aborted || full && !starts_at_once
    }

    /// Wakes the thread; whether there is one.
    fn wake(&self) -> bool {
        // If it fails, the thread still looks into the backlog whenever a command ends.
        self.waker.as_ref().map(|waker| waker.wake()).is_some()
    }

    /// The first job that may run now, and counts it as running in its lane.
    fn next(&mut self) -> Option<Waiting> {
        let has_room = |waiting: &Waiting| {
            let runs = |lane| self.lanes.get(&lane).copied().unwrap_or(0);
            waiting.lane.is_none_or(|(lane, at_once)| runs(lane) < at_once)
        };
        let at = self.backlog.iter().position(has_room)?;
        let waiting = self.backlog.remove(at)?;
        self.bytes = self.bytes.saturating_sub(waiting.job.bytes());
        if let Some((lane, _)) = waiting.lane {
            *self.lanes.entry(lane).or_default() += 1;
        }
        Some(waiting)
    }

    /// One less runs in a lane.
    fn free(&mut self, lane: Option<(Lane, usize)>) {
        let Some((lane, _)) = lane else { return };
        if let Some(runs) = self.lanes.get_mut(&lane) {
            *runs -= 1;
            if *runs == 0 {
                self.lanes.remove(&lane);
            }
        }
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No one panics with the lock held; the state would be consistent all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: looks after all commands until there are none.
    fn work(&self, mut poll: Poll) {
        let mut running: Vec<Running> = Vec::new();
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; 1 << 16];
        loop {
            self.start_some(&mut running, &poll);
            if running.is_empty() && self.retire() {
                return;
            }
            let now = Instant::now();
            let mut wake = None::<Duration>;
            for command in &mut running {
                let next = command.child.turn(now, &mut buffer);
                wake = [wake, next].into_iter().flatten().min();
            }
            let ended: Vec<_> =
                running.extract_if(.., |command| command.child.has_ended()).collect();
            let idle = ended.is_empty();
            for command in ended {
                self.end(command, &mut buffer);
            }
            // If it fails, something is looked at too early.
            let _ = poll.poll(&mut events, if idle { wake } else { Some(Duration::ZERO) });
        }
    }

    /// Starts what may run.
    fn start_some(&self, running: &mut Vec<Running>, poll: &Poll) {
        loop {
            let mut state = self.lock();
            if state.aborted || running.len() >= state.at_once() {
                return;
            }
            let Some(Waiting { job, lane, done }) = state.next() else { return };
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
                    running.push(Running { child, lane, done });
                    None
                }
                Err(error) => {
                    state.free(lane);
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
    fn end(&self, command: Running, buffer: &mut [u8]) {
        let Running { mut child, lane, done } = command;
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
        let mut state = self.lock();
        state.free(lane);
        state.count(&outcome.ended);
        drop(state);
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
