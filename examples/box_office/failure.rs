//! How a command ends: the exit codes, and the failures that lead to them.
//!
//! "No" is not "failed", and "nobody knows" is neither. Each failure says what to do about it: in prose on
//! standard error, and with `--json` as an object on standard output, too.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use cooee::{StartError, Stopped};
use serde_json::{Value, json};

/// What the exit code says. Of several orders the last of these that happened to one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done,
    No,
    Usage,
    Refused,
    Unknown,
}

impl Exit {
    /// All of them: what it is called in JSON, and what `--help` says of it.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Done, "done", "done"),
        (Self::No, "no", "the answer is no: the seat is taken, no office is here"),
        (Self::Usage, "usage", "wrong usage, or a wrong file"),
        (Self::Refused, "refused", "the network or the system refused"),
        (
            Self::Unknown,
            "unknown",
            "no answer, in time or before Ctrl-C: whether the order was carried out is not known",
        ),
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// What it is called in JSON.
    pub(crate) fn kind(self) -> &'static str {
        Self::ALL[usize::from(self.code())].1
    }

    /// The table of exit codes, for `--help`.
    pub(crate) fn help() -> String {
        let rows = Self::ALL.map(|(exit, _, says)| format!("  {}  {says}", exit.code()));
        format!("Exit codes:\n{}", rows.join("\n"))
    }
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Whoever read our output does so no longer: `box_office seats … | head -1`.
    Closed,
    /// It was told already, with each order.
    Told(Exit),
    /// The answer is no.
    No(String),
    /// The file or the command line is wrong.
    Usage(String),
    /// The network or the system refused.
    Refused(String),
    /// An order was put and not answered.
    Unknown(String),
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Closed => Exit::Done,
            Self::Told(exit) => *exit,
            Self::No(_) => Exit::No,
            Self::Usage(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Unknown(_) => Exit::Unknown,
        }
    }

    /// What went wrong; `None` where nobody has to be told.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Closed | Self::Told(_) => None,
            Self::No(text) | Self::Usage(text) | Self::Refused(text) | Self::Unknown(text) => {
                Some(text)
            }
        }
    }

    /// Says what went wrong; the exit code.
    pub(crate) fn report(&self, as_json: bool) -> ExitCode {
        if let Some(text) = self.text() {
            note(text);
            if as_json {
                // Where that can't be written the exit code still tells.
                let _ = print(failed(text, self.exit()));
            }
        }
        ExitCode::from(self.exit().code())
    }
}

/// A failure as an object.
pub(crate) fn failed(text: &str, exit: Exit) -> Value {
    json!({ "event": "failed", "error": text, "kind": exit.kind(), "exit": exit.code() })
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

/// Says something on standard error, where nobody may be reading.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "box_office: {text}");
}

/// Says what people should know of though the command goes on.
pub(crate) fn warn(text: impl Display, as_json: bool) {
    note(&text);
    if as_json {
        let _ = print(json!({ "event": "warning", "text": text.to_string() }));
    }
}

/// Prints a line, and makes sure that it has left.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    write(&format!("{line}\n"))
}

/// Writes to standard output, and makes sure that it has left.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Refused(format!("standard output can't be written: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_the_same_in_the_type_and_in_the_readme() {
        let readme = include_str!("README.md");
        for (at, (exit, kind, says)) in Exit::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(exit.code()), exit.kind()), (at, kind));
            let row = format!("| {at} | `{kind}` | {says} |");
            assert!(readme.contains(&row), "not in README.md: {row}");
            assert!(Exit::help().contains(&format!("{at}  {says}")));
        }
    }
}
