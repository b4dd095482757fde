//! A live box office: a visitor picks a show, sees its free seats, sees at once what others take, and
//! books one. Everyone on the LAN finds the office by itself; no seat is sold twice.
//!
//! It is an example of a whole program on the library `cooee`. Read it in this order:
//!
//! - `words`: what is asked, answered, and told to all
//! - `rules`: who may have which seat; `ledger`: the database that remembers it; nothing of the network
//! - `office`: `serve`, one loop: a question comes in, the ledger decides, the answer goes to the
//!   asker and the change to everyone; below it `opening` and `rivals`: why it may have to stay closed
//! - `desk`: a buyer's way to the office, though that may be killed and started again meanwhile
//! - `buyer`: the commands `shows`, `hold`, `book` and `cancel`
//! - `viewer`: `seats`, with `--watch` live, and right after any loss
//! - `map`: what a viewer knows, and the picture of it; `screen`: how that gets on a terminal
//! - `plan`: the file that says what is sold; `seating`: its picture of the seats
//! - `args`, `clock`, `stop`, `failure`: what was typed, what time it is, and how a command ends
//!
//! ```text
//!  buyer ──question (to the office alone, encrypted)──▶ office ──▶ ledger: commit
//!        ◀──answer────────────────────────────────────    │
//!  viewers ◀──change number n, in the channel of the show─┘      n missed? ask for the whole map
//! ```
//!
//! `README.md` beside this file says how to use it and what its promise rests on.

mod args;
mod buyer;
mod clock;
mod desk;
mod failure;
mod ledger;
mod map;
mod office;
mod plan;
mod rules;
mod screen;
mod seating;
mod stop;
mod viewer;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::failure::{Exit, failed, print};
use crate::words::Deed;

fn main() -> ExitCode {
    let Args { command, globals } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return wrong_usage(&error),
    };
    let done = match &command {
        Command::Serve(serve) => office::serve(serve, &globals),
        Command::Shows => buyer::shows(&globals),
        Command::Seats(seats) => viewer::seats(seats, &globals),
        Command::Hold(order) => buyer::order(Deed::Hold, order, &globals),
        Command::Book(order) => buyer::order(Deed::Book, order, &globals),
        Command::Cancel(order) => buyer::order(Deed::Cancel, order, &globals),
    };
    done.map_or_else(|failure| failure.report(globals.json), |()| ExitCode::SUCCESS)
}

/// What was typed is not understood; or it was `--help`, which arrives here as well.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    // Where nobody reads it, it can't be helped.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        // The first paragraph, which may be a list; after it clap explains the usage.
        let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let what: Vec<&str> = what.split_whitespace().collect();
        let _ = print(failed(&what.join(" "), Exit::Usage));
    }
    ExitCode::from(Exit::Usage.code())
}
