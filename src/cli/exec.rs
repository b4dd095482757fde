//! `listen --exec`: a command run for each message, without a shell.
//!
//! Bounded in every direction: [`AT_ONCE`] commands run at a time, [`BACKLOG`] messages wait, each
//! command has a time limit. A command is the leader of a process group; when it ends, or its time
//! is up, or `listen` is stopped, the whole group is killed, so nothing is left behind. A leader
//! that has ended is reaped only after its group was killed, so that its number can't mean
//! somebody else's processes by then.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::exit::Failure;
use super::output::{json, note};
use crate::agent::objects::Clocks;
use crate::proto::Message;
use crate::values::Escaped;

/// Commands that run at a time.
const AT_ONCE: usize = 4;

/// Messages that wait for their command. Further ones are dropped, counted and reported.
const BACKLOG: usize = 1_000;

/// How often a runner that finishes looks whether it is to be cut short.
const GLANCE: Duration = Duration::from_millis(50);

/// What a command is told of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    json: String,
    env: Vec<(&'static str, String)>,
}

impl Job {
    /// What is told of this message.
    pub(super) fn of(message: &Message, clocks: Clocks) -> Self {
        // The environment can't carry NUL; the JSON does.
        let safe = |text: &str| text.replace('\0', "?");
        let channel = message.channel.as_ref().map_or("", |channel| channel.as_str());
        let at = message.at.unwrap_or(clocks.wall());
        let env = vec![
            ("COOEE_TEXT", safe(message.text.raw())),
            ("COOEE_CHANNEL", channel.to_owned()),
            ("COOEE_FROM", message.from.map(|id| id.to_string()).unwrap_or_default()),
            // Not COOEE_NICK: a `cooee` run by the command would speak under the author's nick.
            ("COOEE_FROM_NICK", safe(message.nick.raw())),
            ("COOEE_LEVEL", message.level.to_string()),
            ("COOEE_AT", at.to_string()),
            ("COOEE_VERIFIED", message.verified.to_string()),
        ];
        Self { json: json::message(message, clocks) + "\n", env }
    }
}

/// Runs the commands.
#[derive(Debug)]
pub(super) struct Runner {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    clock: JoinHandle<()>,
}

/// Ends every command from wherever the process ends.
#[derive(Clone, Debug)]
pub(super) struct Killer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    words: Vec<OsString>,
    timeout: Duration,
    state: Mutex<State>,
    /// Something in the state has changed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    backlog: VecDeque<Job>,
    /// The leaders of the groups that run, and when their time is up; `None`: it is up.
    running: BTreeMap<i32, Option<Instant>>,
    /// Messages dropped since the last report.
    dropped: u64,
    /// No more jobs come.
    closed: bool,
    /// Nothing is started any more.
    aborted: bool,
    /// Workers that have not ended.
    working: usize,
}

/// How a command ended.
enum Ran {
    Exited(ExitStatus),
    TimedOut,
    NotStarted(io::Error),
}

impl Runner {
    /// Starts the workers. `words` is the command and its arguments.
    pub(super) fn start(words: Vec<OsString>, timeout: Duration) -> Result<Self, Failure> {
        if timeout.is_zero() {
            let cause = "--exec-timeout: no command ends in no time; give at least 1ms";
            return Err(Failure::Usage(cause.to_owned()));
        }
        let state = Mutex::new(State { working: AT_ONCE, ..State::default() });
        let shared = Arc::new(Shared { words, timeout, state, changed: Condvar::new() });
        let spawn = |work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || work(&shared))
        };
        let workers = (0..AT_ONCE).map(|_| spawn(Shared::work)).collect();
        let clock = spawn(Shared::watch_time);
        Ok(Self { shared, workers, clock })
    }

    /// For ending everything from another thread.
    pub(super) fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.shared))
    }

    /// Has the command run for one more message, or drops it when too many wait.
    pub(super) fn add(&self, job: Job) {
        let mut state = self.shared.lock();
        if state.backlog.len() >= BACKLOG {
            state.dropped += 1;
            if state.dropped == 1 {
                let program = self.shared.program();
                note(format_args!(
                    "{program} is too slow: {BACKLOG} messages wait, more are dropped"
                ));
            }
            return;
        }
        state.backlog.push_back(job);
        self.shared.changed.notify_all();
    }

    /// Runs what still waits, unless `cut_short` says to stop.
    pub(super) fn finish(self, mut cut_short: impl FnMut() -> bool) {
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.changed.notify_all();
        while state.working > 0 {
            let waited = self.shared.changed.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if cut_short() {
                break;
            }
        }
        drop(state);
        self.abort();
    }

    /// Kills what runs and forgets what waits.
    pub(super) fn abort(self) {
        self.killer().kill_all();
        let dropped = self.shared.lock().dropped;
        if dropped > 0 {
            let program = self.shared.program();
            note(format_args!("{program} was too slow: {dropped} messages were dropped"));
        }
        for thread in self.workers.into_iter().chain([self.clock]) {
            let _ = thread.join();
        }
    }
}

impl Killer {
    /// Kills what runs and forgets what waits.
    pub(super) fn kill_all(&self) {
        let mut state = self.0.lock();
        state.aborted = true;
        state.backlog.clear();
        state.running.keys().for_each(|leader| kill(*leader));
        self.0.changed.notify_all();
    }
}

fn kill(leader: i32) {
    if let Some(group) = Pid::from_raw(leader) {
        // The only way for this to fail is that nobody of the group is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No one panics with the lock held; the state would be consistent all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn program(&self) -> String {
        let program = self.words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        Escaped::of(&program).to_string()
    }

    /// A worker: one command after another.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            let why = match self.run(&job) {
                Ran::Exited(status) if status.success() => continue,
                _ if self.lock().aborted => continue,
                Ran::Exited(status) => format!("ended with {status}"),
                Ran::TimedOut => format!(
                    "was killed: it ran for more than {}",
                    super::duration::show(self.timeout)
                ),
                Ran::NotStarted(e) => format!("can't be started: {e}"),
            };
            note(format_args!("{} {why}", self.program()));
        }
        self.lock().working -= 1;
        self.changed.notify_all();
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.aborted {
                return None;
            }
            if let Some(job) = state.backlog.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn run(&self, job: &Job) -> Ran {
        let (mut child, leader) = match self.spawn(job) {
            Ok(started) => started,
            Err(e) => return Ran::NotStarted(e),
        };
        if let Some(mut input) = child.stdin.take() {
            // In a thread of its own, for which nobody waits: a command need not read what it is
            // given. The killing of its group ends the writing.
            let json = job.json.clone();
            thread::spawn(move || input.write_all(json.as_bytes()));
        }
        if let Some(leader) = Pid::from_raw(leader) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(leader), options), Err(Errno::INTR)) {}
        }
        kill(leader);
        let timed_out = self.lock().running.remove(&leader) == Some(None);
        self.changed.notify_all();
        match child.wait() {
            Ok(_) if timed_out => Ran::TimedOut,
            Ok(status) => Ran::Exited(status),
            Err(e) => Ran::NotStarted(e),
        }
    }

    /// Starts the command and enters it among those that run.
    fn spawn(&self, job: &Job) -> io::Result<(Child, i32)> {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().map_or("".as_ref(), |word| word.as_os_str()));
        command.args(words).envs(job.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).process_group(0);
        // With the lock held, so that nothing starts after everything was killed.
        let mut state = self.lock();
        if state.aborted {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let child = command.spawn()?;
        let leader = i32::try_from(child.id()).unwrap_or(0);
        state.running.insert(leader, Some(Instant::now() + self.timeout));
        drop(state);
        self.changed.notify_all();
        Ok((child, leader))
    }

    /// The thread that ends commands whose time is up.
    fn watch_time(&self) {
        let mut state = self.lock();
        while state.working > 0 {
            let now = Instant::now();
            for (leader, until) in &mut state.running {
                if until.is_some_and(|until| until <= now) {
                    *until = None;
                    kill(*leader);
                }
            }
            state = match state.running.values().flatten().min() {
                None => self.wait(state),
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests;
