//! A history that may fail: the agent lives on without one, says so, and tries again.
//!
//! What holds always:
//! - What goes wrong is told once, and again only when it is something else. Messages are passed on
//!   whatever becomes of the file.
//! - Nobody's turn is held up for long: where another program has locked the file, what comes waits
//!   in memory, up to [`BACKLOG`], and is written in the order in which it came once the file is
//!   free.
//! - What waited is told to be new once at most, and only when it is in the file: by
//!   [`Keeper::catch_up`].

mod reading;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::backlog::{BACKLOG, Backlog, Batch};
use super::place::{self, Lost};
use super::{History, HistoryError, Keeping};
use crate::proto::{Kept, Message};
use crate::values::{NodeId, WallTime};

/// Seconds between one attempt to open a failing history and the next.
const RETRY: u64 = 30;

/// Seconds between one attempt to write a locked history and the next.
const LOCKED: u64 = 1;

/// Seconds after which a lock is told of.
const LONG: u64 = 5;

/// Seconds between one look whether the file is where it was and the next.
const LOOK: u64 = 2;

/// Bytes of what had to wait, as [`BACKLOG`] counts them, after which one turn of the agent writes
/// no more of it: some 250 short messages, each of which may have come alone.
const STEP: usize = 128 << 10;

/// The history of an agent, whether it works or not.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// `None`: nothing is kept, and nothing is wrong.
    path: Option<PathBuf>,
    open: Option<History>,
    trouble: Option<String>,
    /// Another program has locked the file.
    lock: Option<Lock>,
    /// When to try again, in seconds since some start.
    retry: u64,
    /// When to look again whether the file is where it was.
    look: u64,
    /// What became of what was added last.
    fate: Fate,
    backlog: Backlog,
    /// It was told that the backlog is full.
    told_full: bool,
    /// Messages that were not kept.
    lost: u64,
    /// How much is kept.
    pub(crate) keeping: Keeping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    NotKept,
    Waits,
    Kept,
}

#[derive(Debug)]
struct Lock {
    since: u64,
    told: bool,
}

/// Why something is not in the file.
enum Unwritten {
    /// Another program has locked it.
    Locked,
    /// It does not work.
    Failed,
}

impl Keeper {
    /// Opens the history. What goes wrong is told by `warn`, here and later.
    pub(crate) fn open(path: PathBuf, keeping: Keeping, warn: &mut dyn FnMut(String)) -> Self {
        let mut keeper = Self { path: Some(path), keeping, ..Self::nowhere() };
        keeper.reopen(0, warn);
        keeper
    }

    /// Keeps nothing.
    pub(crate) fn nowhere() -> Self {
        Self::default()
    }

    /// Keeps messages, each with whom this node told it, and entries of channels' logs, if it can;
    /// after [`Keeper::catch_up`], so that they are kept in the order in which they came. Returns
    /// for each message whether it is new, as far as can be told.
    pub(crate) fn add(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        entries: &[&Kept],
        wall: WallTime,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) -> Vec<bool> {
        self.fate = Fate::NotKept;
        let as_far_as_can_be_told = vec![true; messages.len()];
        if self.path.is_none() {
            return as_far_as_can_be_told;
        }
        self.prepare(now, warn);
        let is_locked = self.lock.is_some() && now < self.retry;
        let has_to_queue = self.open.is_some() && !self.backlog.is_empty();
        let written = if is_locked || has_to_queue {
            Err(Unwritten::Locked)
        } else {
            self.write(messages, entries, wall, now, warn)
        };
        match written {
            Ok(new) => {
                self.fate = Fate::Kept;
                return new;
            }
            Err(Unwritten::Locked) if self.wait(messages, entries, wall, warn) => {
                self.fate = Fate::Waits;
            }
            Err(_) => self.lost += messages.len() as u64,
        }
        as_far_as_can_be_told
    }

    /// Writes what waits, as much of it as one turn may take, if it is time to try. Returns those
    /// messages among it that are in the file now and were not before; none is returned twice.
    pub(crate) fn catch_up(
        &mut self,
        wall: WallTime,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) -> Vec<Message> {
        let mut new = Vec::new();
        if !self.is_behind() || now < self.retry {
            return new;
        }
        self.prepare(now, warn);
        if self.backlog.is_empty() && self.open.is_some() {
            // Nothing to write, but that tells whether it could be.
            let _ = self.write(&[], &[], wall, now, warn);
        }
        let mut step = 0;
        while step < STEP
            && self.open.is_some()
            && let Some(batch) = self.backlog.pop()
        {
            let messages: Vec<_> = batch.messages.iter().map(|(what, to)| (what, *to)).collect();
            let entries: Vec<_> = batch.entries.iter().collect();
            let written = self.write(&messages, &entries, batch.arrived, now, warn);
            let Ok(are_new) = written else {
                self.backlog.put_back(batch);
                break;
            };
            step += batch.bytes();
            let found = batch.messages.into_iter().zip(are_new);
            new.extend(found.filter_map(|((message, _), is_new)| is_new.then_some(message)));
        }
        self.told_full &= !self.backlog.is_empty();
        new
    }

    /// How long the agent may sleep before [`Keeper::catch_up`] is due.
    pub(crate) fn patience(&self, now: u64) -> Duration {
        if !self.is_behind() {
            return Duration::MAX;
        }
        Duration::from_secs(self.retry.saturating_sub(now))
    }

    /// Writes what still waits before the agent ends, which is held up for it: a little.
    pub(crate) fn close(&mut self, wall: WallTime, warn: &mut dyn FnMut(String)) {
        if let Some(history) = &self.open {
            history.be_patient();
        }
        while !self.backlog.is_empty() {
            let before = self.backlog.len();
            // Who would hear what is new among it ends as well.
            self.catch_up(wall, self.retry, warn);
            if self.backlog.len() == before {
                break;
            }
        }
        let lost = self.backlog.messages();
        if lost > 0 {
            warn(format!(
                "messages that waited for {} and are lost with the agent's end: {lost}",
                self.shown()
            ));
        }
    }

    /// Something waits, or would have to.
    fn is_behind(&self) -> bool {
        self.lock.is_some() || !self.backlog.is_empty()
    }

    /// Sees to it that the file is open, and the one that its path names.
    fn prepare(&mut self, now: u64, warn: &mut dyn FnMut(String)) {
        if self.open.is_none() && now >= self.retry {
            self.reopen(now, warn);
        }
        self.look(now, warn);
    }

    fn reopen(&mut self, now: u64, warn: &mut dyn FnMut(String)) {
        let Some(path) = self.path.clone() else { return };
        match History::open(&path) {
            Ok(history) => {
                self.open = Some(history);
                if self.trouble.take().is_some() {
                    warn("the history works again".to_owned());
                }
            }
            Err(error) if is_locked(&error) => self.lock(now, warn),
            Err(error) if is_damaged(&error) => self.begin_anew(&path, &error, now, warn),
            Err(error) => self.fail(&error, now, warn),
        }
    }

    /// Begins anew where the file is not what its path names any more.
    fn look(&mut self, now: u64, warn: &mut dyn FnMut(String)) {
        if now < self.look {
            return;
        }
        self.look = now + LOOK;
        let Some(lost) = self.open.as_ref().and_then(History::lost) else { return };
        let what = match lost {
            Lost::Removed => "removed while the agent was writing it; a new one is begun",
            Lost::Replaced => "replaced while the agent was writing it; the one there is goes on",
        };
        warn(format!("{} was {what}", self.shown()));
        if let Some(history) = self.open.take() {
            history.leave();
        }
        self.reopen(now, warn);
    }

    /// Puts a damaged file aside, and begins a new one.
    fn begin_anew(
        &mut self,
        path: &Path,
        error: &HistoryError,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) {
        let (aside, moved) = place::put_aside(path);
        warn(format!(
            "the history {} is damaged ({error}); it was put aside as {}",
            path.display(),
            aside.display()
        ));
        match moved.map_err(HistoryError::from).and_then(|()| History::open(path)) {
            Ok(history) => self.open = Some(history),
            Err(error) => self.fail(&error, now, warn),
        }
    }

    fn fail(&mut self, error: &HistoryError, now: u64, warn: &mut dyn FnMut(String)) {
        (self.open, self.lock) = (None, None);
        self.retry = now + RETRY;
        let trouble = error.to_string();
        if self.trouble.as_ref() != Some(&trouble) {
            warn(format!(
                "{} can't be written ({trouble}): messages are passed on and NOT kept; make room, \
                 or mend the permissions; it is tried again every {RETRY} s",
                self.shown()
            ));
        }
        self.trouble = Some(trouble);
    }

    /// Another program has locked the file. Most do so for a moment, which is not worth a word.
    fn lock(&mut self, now: u64, warn: &mut dyn FnMut(String)) {
        self.retry = now + LOCKED;
        let lock = self.lock.get_or_insert(Lock { since: now, told: false });
        if now.saturating_sub(lock.since) >= LONG && !lock.told {
            lock.told = true;
            warn(format!(
                "another program has locked {}: what is said waits in memory, and so do hooks for \
                 what is signed",
                self.shown()
            ));
        }
    }

    fn unlock(&mut self, warn: &mut dyn FnMut(String)) {
        if self.lock.take().is_some_and(|lock| lock.told) {
            warn("the history is free again".to_owned());
        }
    }

    /// Has it wait for the file; `false`: too much waits already.
    fn wait(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        entries: &[&Kept],
        arrived: WallTime,
        warn: &mut dyn FnMut(String),
    ) -> bool {
        let batch = Batch {
            messages: messages.iter().map(|&(message, to)| (message.clone(), to)).collect(),
            entries: entries.iter().map(|&entry| entry.clone()).collect(),
            arrived,
        };
        let fits = self.backlog.push(batch);
        if !fits && !std::mem::replace(&mut self.told_full, true) {
            warn(format!(
                "{} MiB wait for {} already, which another program has locked: messages are passed \
                 on and NOT kept",
                BACKLOG >> 20,
                self.shown()
            ));
        }
        fits
    }

    fn write(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        entries: &[&Kept],
        arrived: WallTime,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) -> Result<Vec<bool>, Unwritten> {
        // Twice: a damage may show only now, though the file could be opened.
        for _ in 0..2 {
            let Some(history) = &mut self.open else { break };
            match history.add(messages, entries, self.keeping, arrived) {
                Ok(new) => {
                    self.unlock(warn);
                    return Ok(new);
                }
                Err(error) if is_locked(&error) => {
                    self.lock(now, warn);
                    break;
                }
                Err(error) => {
                    self.open = None;
                    match self.path.clone() {
                        Some(path) if is_damaged(&error) => {
                            self.begin_anew(&path, &error, now, warn);
                        }
                        _ => self.fail(&error, now, warn),
                    }
                }
            }
        }
        Err(if self.lock.is_some() { Unwritten::Locked } else { Unwritten::Failed })
    }

    /// Whether what was added last is in the file. Only then is what [`Keeper::add`] said of the
    /// messages sure.
    pub(crate) fn has_kept(&self) -> bool {
        self.fate == Fate::Kept
    }

    /// Whether what was added last waits to be written: then [`Keeper::catch_up`] will tell of it.
    pub(crate) fn has_to_wait(&self) -> bool {
        self.fate == Fate::Waits
    }

    /// How many messages are kept.
    pub(crate) fn count(&self) -> Option<u64> {
        self.open.as_ref().and_then(|history| history.count().ok())
    }

    /// How many messages could not be kept.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// What is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.lock.as_ref().is_some_and(|lock| lock.told) {
            let waiting = self.backlog.messages();
            return Some(format!(
                "another program has locked it; messages that wait in memory: {waiting}"
            ));
        }
        self.trouble.clone()
    }

    fn shown(&self) -> String {
        let path = self.path.as_ref().map(|path| format!(" {}", path.display()));
        format!("the history{}", path.unwrap_or_default())
    }
}

fn is_locked(error: &HistoryError) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let HistoryError::Database(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn is_damaged(error: &HistoryError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let HistoryError::Database(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(test)]
mod tests;
