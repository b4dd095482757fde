//! What a command prints: lines for people, JSON objects for programs.
//!
//! One line at a time, flushed at once, so that a program at the other end of a pipe sees each
//! message when it arrives. What strangers wrote is escaped on both ways.

use std::fmt;
use std::io::{self, Write};

use super::exit::Failure;
pub(super) use crate::agent::objects as json;
use crate::agent::{Who, log};
pub(super) use crate::talk::{table, text};

/// Standard output.
#[derive(Debug)]
pub(super) struct Out {
    stdout: io::Stdout,
}

impl Out {
    /// Standard output.
    pub(super) fn new() -> Self {
        Self { stdout: io::stdout() }
    }

    /// Prints a line (or several) and makes sure that it has left.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock();
        let written = if line.ends_with('\n') {
            stdout.write_all(line.as_bytes())
        } else {
            stdout.write_all(format!("{line}\n").as_bytes())
        };
        written.and_then(|()| stdout.flush()).map_err(|e| Failure::output(&e))
    }
}

/// The names of peers, not too many of them.
pub(super) fn names(who: &[Who]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = who.iter().take(SHOWN).map(|(_, nick)| text::name(nick)).collect();
    let more = who.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

/// Says something to the user on standard error, where nobody may be reading.
pub(super) fn note(what: impl fmt::Display) {
    say(log::NOTICE, &what);
}

/// Says what the user should mend.
pub(super) fn warn(what: impl fmt::Display) {
    say(log::WARNING, &what);
}

/// Says why a command failed.
pub(super) fn complain(what: impl fmt::Display) {
    say(log::ERROR, &what);
}

fn say(priority: u8, what: &dyn fmt::Display) {
    let line = log::noted("cooee", priority, &what.to_string());
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
