//! What is to be run, and what came of it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::values::duration;

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

impl Job {
    /// What it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.words.iter().map(|word| word.len()).sum();
        let env: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + words + env + self.input.len()
    }
}

impl Outcome {
    pub(super) fn not_started(error: io::Error) -> Self {
        let ended = Ended::NotStarted(error);
        Self { ended, stdout: Captured::default(), stderr: Captured::default() }
    }
}
