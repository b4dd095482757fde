//! Where the chat's lines go: standard output, or the part of the terminal above the line that is
//! being typed.

use std::sync::mpsc::SyncSender;

use crate::agent::objects::{self as json, Clocks};
use crate::cli::exit::Failure;
use crate::cli::output::text::Style;
use crate::cli::output::{Out, note, table};
use crate::node::Notice;
use crate::proto::{Message, PeerInfo};

/// Where lines go.
pub(super) enum View {
    /// Lines for people, through a pipe or to a terminal that can do no more.
    Lines(Out, Style),
    /// JSON objects.
    Json(Out),
    /// Above the line being typed.
    Terminal(SyncSender<String>, Style),
}

impl View {
    /// A message.
    pub(super) fn message(&mut self, message: &Message, clocks: Clocks) -> Result<(), Failure> {
        let line = match self {
            Self::Json(_) => json::message(message, clocks),
            Self::Lines(_, style) | Self::Terminal(_, style) if message.history => {
                style.quiet(style.dated(message, None))
            }
            Self::Lines(_, style) | Self::Terminal(_, style) => {
                style.message(message, clocks.wall())
            }
        };
        self.print(line)
    }

    /// Something that happened, quietly.
    pub(super) fn notice(&mut self, notice: &Notice, clocks: Clocks) -> Result<(), Failure> {
        let line = match self {
            Self::Json(_) => json::notice(notice, clocks),
            Self::Lines(_, style) | Self::Terminal(_, style) => {
                style.notice(notice).map(|line| style.quiet(format!("* {line}")))
            }
        };
        line.map_or(Ok(()), |line| self.print(line))
    }

    /// Something that the chat itself has to say. It is not for programs.
    pub(super) fn info(&mut self, what: &str) -> Result<(), Failure> {
        match self {
            Self::Json(_) => {
                note(what);
                Ok(())
            }
            Self::Lines(_, style) | Self::Terminal(_, style) => {
                let lines: Vec<String> =
                    what.lines().map(|line| style.quiet(format!("* {line}"))).collect();
                self.print(lines.join("\n"))
            }
        }
    }

    /// Something that could not be done.
    pub(super) fn error(&mut self, what: &str) -> Result<(), Failure> {
        match self {
            Self::Json(_) | Self::Lines(..) => {
                note(what);
                Ok(())
            }
            Self::Terminal(..) => self.print(format!("! {what}")),
        }
    }

    /// A list of peers, of at least one.
    pub(super) fn peers(&mut self, peers: &[PeerInfo], clocks: Clocks) -> Result<(), Failure> {
        let text = match self {
            Self::Json(_) => {
                let lines: Vec<String> =
                    peers.iter().map(|peer| json::peer(peer, clocks)).collect();
                lines.join("\n")
            }
            Self::Lines(..) | Self::Terminal(..) => table::peers(peers).trim_end().to_owned(),
        };
        self.print(text)
    }

    /// A nick, as this view shows them.
    pub(super) fn nick(&self, peer: &PeerInfo) -> String {
        match self {
            Self::Json(_) => peer.profile.nick.escaped().to_string(),
            Self::Lines(_, style) | Self::Terminal(_, style) => {
                style.nick(&peer.profile.nick, Some(&peer.id))
            }
        }
    }

    fn print(&mut self, text: String) -> Result<(), Failure> {
        match self {
            Self::Lines(out, _) | Self::Json(out) => out.line(&text),
            // The terminal has gone; the end of the input says so as well.
            Self::Terminal(printer, _) => printer.send(text).map_err(|_| Failure::Closed),
        }
    }
}
