//! Line editing on a terminal. One thread edits lines; another prints above the line being typed,
//! in the order in which lines were given to it, so that the chat itself never waits for either.
//!
//! However the chat ends, the terminal is as it was before: [`Saved`] restores it, also when the
//! editor is still in the middle of a line.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};

use crate::cli::hub::Happening;
use crate::cli::lines::Line;

/// Lines that wait to be printed at most; who adds more waits.
const WAITING: usize = 1_024;

/// Lines of history.
const HISTORY: usize = 1_000;

/// How long the editor waits for what a line changes of the prompt. Whatever takes longer must not
/// keep the user from typing.
const PROMPT_WAIT: Duration = Duration::from_millis(200);

/// A terminal with a line editor.
pub(super) struct Terminal {
    saved: Saved,
    prompts: Sender<String>,
    printer: JoinHandle<()>,
}

/// The terminal's settings as they were.
#[derive(Clone, Debug)]
pub(super) struct Saved(Termios);

/// Whether lines can be edited here.
pub(super) fn usable() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

/// Whether the user wants colours (<https://no-color.org>).
pub(super) fn colours() -> bool {
    usable() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Terminal {
    /// Begins to edit lines, which go to `lines`. Returns where to put what is to be printed;
    /// `None` where the terminal can't do it.
    pub(super) fn open(
        prompt: String,
        lines: SyncSender<Happening>,
    ) -> Option<(Self, SyncSender<String>)> {
        let saved = Saved(tcgetattr(io::stdin()).ok()?);
        let config = Config::builder().max_history_size(HISTORY).ok()?.auto_add_history(true);
        let mut editor = DefaultEditor::with_config(config.build()).ok()?;
        let external = editor.create_external_printer().ok()?;
        let (prompts, new_prompts) = mpsc::channel();
        thread::spawn(move || edit(editor, prompt, &new_prompts, &lines));
        let (sender, waiting) = mpsc::sync_channel(WAITING);
        let printer = thread::spawn(move || print(external, &waiting));
        Some((Self { saved, prompts, printer }, sender))
    }

    /// The last line was dealt with; this is the prompt for the next.
    pub(super) fn prompt(&self, prompt: String) {
        let _ = self.prompts.send(prompt);
    }

    /// What restores the terminal, for whoever ends the process from elsewhere.
    pub(super) fn saved(&self) -> Saved {
        self.saved.clone()
    }

    /// Stops editing and puts the terminal back. What was to be printed before has to have lost
    /// its sender.
    pub(super) fn close(self) {
        // Without prompts to come the editor ends; if it is in the middle of a line, the line is
        // given up with the terminal's mode.
        drop(self.prompts);
        if !self.saved.restore() {
            let _ = self.printer.join();
        }
    }
}

impl Saved {
    /// Puts the terminal back as it was. Returns whether a line was being edited.
    pub(super) fn restore(&self) -> bool {
        let editing = tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes != self.0.local_modes);
        if editing {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
            // The editor switches bracketed paste on.
            let _ = io::stdout().lock().write_all(b"\x1b[?2004l\r\n");
            let _ = io::stdout().lock().flush();
        }
        editing
    }
}

/// The thread that edits lines.
fn edit(
    mut editor: DefaultEditor,
    mut prompt: String,
    prompts: &Receiver<String>,
    lines: &SyncSender<Happening>,
) {
    loop {
        let text = match editor.readline(&prompt) {
            Ok(text) => text,
            Err(ReadlineError::Io(e)) => {
                let _ = lines.send(Happening::End(Some(e)));
                return;
            }
            Err(_) => {
                let _ = lines.send(Happening::End(None));
                return;
            }
        };
        // Lines that were pasted at once are as many messages.
        let mut sent = 0;
        for line in text.lines() {
            if lines.send(Happening::Line(Line::Text(line.to_owned()))).is_err() {
                return;
            }
            sent += 1;
        }
        for _ in 0..sent {
            match prompts.recv_timeout(PROMPT_WAIT) {
                Ok(new) => prompt = new,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        while let Ok(new) = prompts.try_recv() {
            prompt = new;
        }
    }
}

/// The thread that prints above the line being typed.
fn print(mut printer: impl ExternalPrinter, waiting: &Receiver<String>) {
    while let Ok(mut text) = waiting.recv() {
        text.push('\n');
        // More that waits already is one redrawing of the line.
        for more in waiting.try_iter().take(WAITING) {
            text.push_str(&more);
            text.push('\n');
        }
        if printer.print(text).is_err() {
            return;
        }
    }
}
