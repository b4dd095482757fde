//! The command line: what a person or a script sees.
//!
//! A command line is parsed (`args`, touching nothing), resolved (`options`: environment,
//! configuration file, defaults) and run (one file per command). A command returns how it ended
//! (`exit`) and never ends the process itself. Commands don't call each other; what they share
//! stands beside them: starting a node and finding whom a name means (`session`), waiting for
//! several things at once (`hub`), having confirmed what was said (`confirming`), printing (`output`).

mod agent;
mod answer;
mod args;
mod ask;
mod cast;
mod chat;
mod config;
mod confirming;
mod exec;
mod exit;
mod gateway;
mod help;
mod history;
mod hooks;
mod hub;
mod lines;
mod links;
mod listen;
mod options;
mod output;
mod pages;
mod peers;
mod say;
mod seed;
mod session;
mod sim;
mod surroundings;
#[cfg(test)]
mod units;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::values::duration;
use args::{Args, Command, Globals};
use exit::{Exit, Failure};
use options::Settings;
use output::{complain, warn};
use surroundings::Surroundings;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

fn run(line: impl Iterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(line) {
        Ok(args) => args,
        Err(answer) => return explain(&answer),
    };
    // A shell's start-up file calls this: a wrong configuration is none of its business.
    let ended = match &args.command {
        Command::Completions(args) => Some(pages::completions(args)),
        Command::Man(args) => Some(pages::manual(args)),
        _ => None,
    };
    let ended = ended.unwrap_or_else(|| configured(args));
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            if failure != Failure::Closed {
                complain(&failure);
            }
            failure.exit()
        }
    }
}

/// Runs a command that goes by the configuration.
fn configured(args: Args) -> Result<Exit, Failure> {
    let mut settings = options::resolve(&args.globals, &Surroundings::real())?;
    if !settings.quiet {
        settings.warnings.drain(..).for_each(warn);
    }
    command(args.command, &args.globals, settings)
}

fn command(command: Command, typed: &Globals, settings: Settings) -> Result<Exit, Failure> {
    match command {
        Command::Peers(args) => peers::run(&args, settings),
        Command::Say(args) => say::run(args, settings),
        Command::Cast(args) => cast::run(&args, settings),
        Command::Listen(args) => listen::run(args, settings),
        Command::Chat(args) => chat::run(args, settings),
        Command::Agent(args) => agent::serve(&args, settings, typed),
        Command::Ask(args) => ask::run(&args, settings),
        Command::Answer(args) => answer::run(args, settings),
        Command::Join(args) => agent::membership("join", &args.channel, &settings),
        Command::Leave(args) => agent::membership("leave", &args.channel, &settings),
        Command::Channels => agent::channels(&settings),
        Command::Links => links::run(&settings),
        Command::Nick(args) => agent::nick(&args.name, &settings),
        Command::Away(args) => agent::away(&args, &settings),
        Command::Tag(args) => agent::tag(&args, &settings),
        Command::Service(args) => agent::service(&args, &settings),
        Command::Status => agent::status(&settings),
        Command::History(args) => history::run(args, &settings),
        Command::Stop => agent::stop(&settings),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::manual(&args),
        Command::Sim(args) => sim::run(&args, &settings),
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
