//! How a command ends that is not done: "no" is not "failed", and each says what to do about it.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use cooee::{StartError, Stopped};

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Whoever read our output does so no longer: `box_office seats … | head -1`.
    Closed,
    /// The answer is no, and was printed.
    Answered,
    /// The answer is no.
    No(String),
    /// The file or the command line is wrong.
    Usage(String),
    /// The network or the system refused.
    Refused(String),
}

impl Failure {
    /// Says what went wrong; the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (code, text) = match self {
            Self::Closed => return ExitCode::SUCCESS,
            Self::Answered => return ExitCode::from(1),
            Self::No(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::Refused(text) => (3, text),
        };
        note(text);
        ExitCode::from(code)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Stopped> for Failure {
    fn from(error: Stopped) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(format!("the database refused: {error}; nothing was sold that is not in it"))
    }
}

/// Says something on standard error, where nobody may be reading.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "box_office: {text}");
}

/// Prints a line, and makes sure that it has left.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{line}").and_then(|()| out.flush());
    printed.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Refused(format!("standard output can't be written: {error}")),
    })
}
