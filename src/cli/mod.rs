//! The command line: what a person or a script sees.
//!
//! A command line is parsed (`args`, touching nothing), resolved (`options`: environment,
//! configuration file, defaults) and run (one file per command). A command returns how it ended
//! (`exit`) and never ends the process itself. Commands don't call each other; what they share
//! stands beside them: starting a node (`session`), waiting for several things at once
//! (`hub`), finding whom a name means (`whom`), printing (`output`).

mod agent;
mod answer;
mod args;
mod ask;
mod cast;
mod chat;
mod config;
mod exec;
mod exit;
mod gateway;
mod help;
mod history;
mod hooks;
mod hub;
mod lines;
mod listen;
mod options;
mod output;
mod peers;
mod say;
mod session;
mod sim;
mod whom;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::values::duration;
use args::{Args, Command, Globals};
use exit::{Exit, Failure};
use options::{Settings, Surroundings};
use output::note;

use crate::talk::find;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

fn run(line: impl Iterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(line) {
        Ok(args) => args,
        Err(answer) => return explain(&answer),
    };
    let ended = options::resolve(&args.globals, &Surroundings::real()).and_then(|mut settings| {
        if !settings.quiet {
            settings.warnings.drain(..).for_each(note);
        }
        command(args.command, &args.globals, settings)
    });
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            if failure != Failure::Closed {
                note(&failure);
            }
            failure.exit()
        }
    }
}

fn command(command: Command, typed: &Globals, settings: Settings) -> Result<Exit, Failure> {
    match command {
        Command::Peers(args) => peers::run(&args, settings),
        Command::Say(args) => say::run(args, settings),
        Command::Cast(args) => cast::run(&args, settings),
        Command::Listen(args) => listen::run(args, settings),
        Command::Chat(args) => chat::run(args, settings),
        Command::Ask(args) => ask::run(&args, settings),
        Command::Answer(args) => answer::run(args, settings),
        Command::Agent(args) => agent::serve(&args, settings, typed),
        Command::Join(args) => agent::membership("join", &args.channel, &settings),
        Command::Leave(args) => agent::membership("leave", &args.channel, &settings),
        Command::Channels => agent::channels(&settings),
        Command::Nick(args) => agent::nick(&args.name, &settings),
        Command::Away(args) => agent::away(&args, &settings),
        Command::Tag(args) => agent::tag(&args, &settings),
        Command::Service(args) => agent::service(&args, &settings),
        Command::Status => agent::status(&settings),
        Command::History(args) => history::run(args, &settings),
        Command::Stop => agent::stop(&settings),
        Command::Sim(args) => sim::run(&args, &mut std::io::stdout().lock()),
    }
}

/// Prints what the parser answers: help and version where they were asked for, else what is wrong.
fn explain(answer: &clap::Error) -> Exit {
    if !answer.use_stderr() {
        return match answer.print() {
            Ok(()) => Exit::Done,
            Err(e) => Failure::output(&e).exit(),
        };
    }
    let text = answer.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // What was typed is quoted in it: nothing of that may steer the terminal.
    let safe: String = text
        .split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => format!("{}\n", crate::values::Escaped::of(line)),
            None => crate::values::Escaped::of(line).to_string(),
        })
        .collect();
    let _ = std::io::stderr().lock().write_all(format!("cooee: {safe}").as_bytes());
    Exit::Usage
}
