//! How a command ends: the exit codes, and the failures that lead to them.
//!
//! "No" is not "failed": a script that asks who is there can tell an empty LAN from a broken one.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::agent::{AgentError, ClientError, DoorError};
use crate::node::{StartError, Stopped};

/// What the program's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// What was asked for is done.
    Done,
    /// It was done, and the answer is no.
    No,
    /// The command was not understood.
    Usage,
    /// The network or the system refused.
    Refused,
}

impl Exit {
    /// All of them with what `--help` says of each.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Done, "done"),
        (Self::No, "the answer is no: nobody there, or fewer than expected in time"),
        (Self::Usage, "wrong usage"),
        (Self::Refused, "the network or the system refused"),
    ];

    /// The number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Refused => 3,
        }
    }

    /// The table of exit codes as `--help` shows it.
    pub(super) fn help() -> String {
        let rows: Vec<String> =
            Self::ALL.iter().map(|(exit, says)| format!("  {}  {says}", exit.code())).collect();
        format!("Exit codes:\n{}", rows.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command stopped before it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Whoever read our output does so no longer. That is no fault: `cooee listen | head -1`.
    Closed,
    /// The answer is no; the text says what to try.
    No(String),
    /// The command line, the environment or the configuration is wrong.
    Usage(String),
    /// The network or the system refused.
    Refused(String),
}

impl Failure {
    /// The exit code that it leads to.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Closed => Exit::Done,
            Self::No(_) => Exit::No,
            Self::Usage(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
        }
    }

    /// What went wrong while writing to standard output.
    pub(super) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Refused(format!("standard output can't be written: {error}")),
        }
    }

    /// What went wrong while reading standard input.
    pub(super) fn input(error: &io::Error) -> Self {
        Self::Refused(format!("standard input can't be read: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => Ok(()),
            Self::No(text) | Self::Usage(text) | Self::Refused(text) => f.write_str(text),
        }
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Refused(stopped.to_string())
    }
}

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_is_not_failed_and_wrong_usage_is_not_the_systems_fault() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3]);
        assert_eq!(Failure::No(String::new()).exit(), Exit::No);
        assert_eq!(Failure::Usage(String::new()).exit(), Exit::Usage);
        assert_eq!(Failure::from(Stopped).exit(), Exit::Refused);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let closed = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((closed.exit(), closed.to_string()), (Exit::Done, String::new()));
        assert_eq!(Failure::output(&io::ErrorKind::StorageFull.into()).exit(), Exit::Refused);
    }
}
