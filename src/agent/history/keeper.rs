//! A history that may fail: the agent lives on without one, says so, and tries again.
//!
//! What goes wrong is told once, and again only when it is something else. Messages are passed on
//! whatever becomes of the file.

use std::path::{Path, PathBuf};

use super::entries::Stretch;
use super::place::{self, Lost};
use super::{History, HistoryError, Keeping};
use crate::proto::{Kept, Message};
use crate::values::{ChannelName, Epoch, NodeId, WallTime};

/// The history of an agent, whether it works or not.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// `None`: nothing is kept, and nothing is wrong.
    path: Option<PathBuf>,
    open: Option<History>,
    trouble: Option<String>,
    /// When to try again, in seconds since some start.
    retry: u64,
    /// When to look again whether the file is where it was.
    look: u64,
    /// What was added last is in the file.
    kept: bool,
    /// How much is kept.
    pub(crate) keeping: Keeping,
}

/// Seconds between one attempt to open a failing history and the next.
const RETRY: u64 = 30;

/// Seconds between one look whether the file is where it was and the next.
const LOOK: u64 = 2;

impl Keeper {
    /// Opens the history. What goes wrong is told by `warn`, here and later.
    pub(crate) fn open(path: PathBuf, keeping: Keeping, warn: &mut dyn FnMut(String)) -> Self {
        let mut keeper = Self { path: Some(path), keeping, ..Self::nowhere() };
        keeper.reopen(0, warn);
        keeper
    }

    /// Keeps nothing.
    pub(crate) fn nowhere() -> Self {
        let keeping = Keeping::default();
        Self { path: None, open: None, trouble: None, retry: 0, look: 0, kept: false, keeping }
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
        let path = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        warn(format!("the history {path} was {what}"));
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
        self.open = None;
        self.retry = now + RETRY;
        let trouble = error.to_string();
        if self.trouble.as_ref() != Some(&trouble) {
            warn(format!(
                "the history{} can't be written ({trouble}): messages are passed on and NOT kept; \
                 make room, or mend the permissions; it is tried again every {RETRY} s",
                self.path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
            ));
        }
        self.trouble = Some(trouble);
    }

    /// Keeps messages, each with whom this node told it, and entries of channels' logs, if it can.
    /// Returns for each message whether it is new, as far as can be told.
    pub(crate) fn add(
        &mut self,
        messages: &[(&Message, Option<NodeId>)],
        entries: &[&Kept],
        wall: WallTime,
        now: u64,
        warn: &mut dyn FnMut(String),
    ) -> Vec<bool> {
        if self.open.is_none() && now >= self.retry {
            self.reopen(now, warn);
        }
        self.look(now, warn);
        self.kept = false;
        // Twice: a damage may show only now, though the file could be opened.
        for _ in 0..2 {
            let Some(history) = &mut self.open else { break };
            match history.add(messages, entries, self.keeping, wall) {
                Ok(new) => {
                    self.kept = true;
                    return new;
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
        vec![true; messages.len()]
    }

    /// Whether what was added last is in the file. Only then is what [`Keeper::add`]
    /// said of them sure.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept
    }

    /// How many messages are kept.
    pub(crate) fn count(&self) -> Option<u64> {
        self.open.as_ref().and_then(|history| history.count().ok())
    }

    /// What is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }
}

/// What a node reads that serves those who come later: nothing, where the history does not work.
#[cfg_attr(not(test), expect(dead_code, reason = "for the node that serves those who come later"))]
impl Keeper {
    /// See [`History::entries`].
    pub(crate) fn entries(
        &self,
        channel: &ChannelName,
        author: NodeId,
        epoch: Epoch,
        from: u64,
        to: u64,
        most: usize,
    ) -> Vec<Kept> {
        self.read(|history| history.entries(channel, author, epoch, from, to, most))
    }

    /// See [`History::logs`].
    pub(crate) fn logs(&self, channel: &ChannelName, most: usize) -> Vec<Stretch> {
        self.read(|history| history.logs(channel, most))
    }

    /// See [`History::latest`].
    pub(crate) fn latest(&self, channel: &ChannelName, messages: usize) -> Vec<Stretch> {
        self.read(|history| history.latest(channel, messages))
    }

    /// See [`History::resumes`].
    pub(crate) fn resumes(&self, channel: &ChannelName, most: usize) -> Vec<(NodeId, Epoch, u64)> {
        self.read(|history| history.resumes(channel, most))
    }

    fn read<T>(&self, read: impl FnOnce(&History) -> Result<Vec<T>, HistoryError>) -> Vec<T> {
        self.open.as_ref().and_then(|history| read(history).ok()).unwrap_or_default()
    }
}

fn is_damaged(error: &HistoryError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let HistoryError::Database(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(test)]
mod tests;
