//! What a buyer does: look what is on, hold, book, cancel. Each order gets its result, whatever it is, and
//! counts as done only if the office has done what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

use cooee::{Escaped, Node, Options, PeerInfo, StartError};
use serde_json::{Value, json};

use crate::args::{self, Globals};
use crate::clock::time_of_day;
use crate::desk::Desk;
use crate::failure::{Exit, Failure, note, print};
use crate::stop::{Interrupted, Pending};
use crate::words::{Billing, Deed, Done, Night, No, Order, Reply, Request, SERVICE, outgoing};

/// `shows`: asks every office what it sells.
pub(crate) fn shows(globals: &Globals) -> Result<(), Failure> {
    let (node, _) = Node::start(Options { visitor: true, ..globals.node("visitor") })?;
    let until = Instant::now() + globals.wait;
    let left = || until.saturating_duration_since(Instant::now());
    // Until all who are here have been heard of; then at least for one office.
    node.wait_until_settled(left())?;
    let is_meant = |peer: &PeerInfo| {
        peer.offers(SERVICE) && globals.office.is_none_or(|office| office == peer.id)
    };
    node.wait_for_peer(left(), is_meant)?;
    let offices = node.peers()?.into_iter().filter(is_meant);
    let places: BTreeMap<_, _> = offices.map(|peer| (peer.id, peer.addr)).collect();
    let what = outgoing("what is on?".to_owned(), &Request::Shows);
    let what = what.map_err(|error| Failure::Usage(error.to_string()))?;
    let wait = left().max(Duration::from_secs(1));
    let answers = node.ask_many(places.keys().copied().collect(), what, wait);
    let mut found = false;
    for answer in answers.map_err(|error| Failure::Refused(error.to_string()))? {
        let reply = answer.data.and_then(|data| data.read().ok());
        let Some(Reply::Shows(shows)) = reply else { continue };
        found = true;
        for Billing { name, title, dates, seats } in shows {
            if globals.json {
                let office = answer.from.to_string();
                print(
                    json!({ "event": "show", "show": name, "title": title, "dates": dates, "seats": seats, "office": office }),
                )?;
                continue;
            }
            let [name, title] = [&name, &title].map(|text| Escaped::of(text).to_string());
            let dates = Escaped::of(&dates.join(", ")).to_string();
            let at = places.get(&answer.from).copied().flatten();
            let at = at.map(|at| format!(", sold at {}", at.ip())).unwrap_or_default();
            print(format_args!("{name}  {title} ({seats} seats{at}): {dates}"))?;
        }
    }
    if found {
        return Ok(());
    }
    if let Some(office) = globals.office {
        return Err(Failure::No(format!(
            "the box office {office} is not here; without --office `box_office shows` lists all that are"
        )));
    }
    Err(Failure::No("no box office is here; start one with `box_office serve FILE`".to_owned()))
}

/// `hold`, `book` and `cancel`.
pub(crate) fn order(deed: Deed, order: &args::Order, globals: &Globals) -> Result<(), Failure> {
    let node = start(globals)?;
    let pending = Pending::default();
    let desk = Desk::of(&node, &order.night.show, globals.office)?.telling(&pending);
    pending.on_signals()?;
    let epoch = node.epoch();
    let mut counter =
        Counter { desk, pending, deed, night: &order.night, epoch, orders: 0, globals };
    let exit = if order.seats == ["-"] {
        counter.put_lines()?
    } else {
        let (outcome, told) = counter.put(order.seats.clone());
        match told {
            // Nobody reads it; how it went the exit code still tells.
            Ok(()) | Err(Failure::Closed) => outcome.exit(),
            Err(failure) => return Err(untold(&failure, &outcome)),
        }
    };
    if exit == Exit::Done { Ok(()) } else { Err(Failure::Told(exit)) }
}

/// The buyer's node. Another command of the same buyer may run at this moment; it will not take long.
fn start(globals: &Globals) -> Result<Node, Failure> {
    let until = Instant::now() + globals.wait;
    loop {
        match Node::start(globals.buyer()?) {
            Ok((node, _)) => {
                if globals.office.is_none() {
                    // So that a second office is seen beside the first.
                    node.wait_until_settled(until.saturating_duration_since(Instant::now()))?;
                }
                return Ok(node);
            }
            Err(StartError::KeyInUse { .. }) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(StartError::KeyInUse { .. }) => {
                return Err(Failure::Refused(format!(
                    "another command of yours is buying as '{}': wait until it has ended, or end it, or be \
                     another buyer with --as NAME",
                    globals.buyer
                )));
            }
            Err(error @ StartError::Key { .. }) => {
                return Err(Failure::Refused(format!(
                    "{error}; whose the seats are hangs on that key: make its folder writable for this user, \
                     or name another one with --state"
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where one buyer puts orders, one after the other.
struct Counter<'a> {
    desk: Desk<'a>,
    /// The order that is on its way, for Ctrl-C.
    pending: Pending,
    deed: Deed,
    night: &'a Night,
    /// No other run of this buyer has the same, so with a count it makes a number never used before.
    epoch: u64,
    orders: u64,
    globals: &'a Globals,
}

/// What came of an order.
enum Outcome {
    Done(Done),
    No(No),
    Failed(Failure),
}

impl Outcome {
    fn exit(&self) -> Exit {
        match self {
            Self::Done(_) => Exit::Done,
            Self::No(_) => Exit::No,
            Self::Failed(failure) => failure.exit(),
        }
    }
}

impl Counter<'_> {
    /// Each line of standard input is an order, and gets its result; the highest of their exit codes.
    fn put_lines(&mut self) -> Result<Exit, Failure> {
        let mut highest = Exit::Done;
        for (line, bytes) in (1_u64..).zip(io::stdin().lock().split(b'\n')) {
            let bytes = bytes.map_err(|error| {
                Failure::Refused(format!("standard input ended before line {line}: {error}"))
            })?;
            let text = String::from_utf8_lossy(&bytes);
            let seats: Result<Vec<String>, String> =
                text.split_whitespace().map(args::seat).collect();
            let (outcome, told) = match seats {
                Ok(seats) if seats.is_empty() => continue,
                Ok(seats) => self.put(seats),
                Err(why) => {
                    let outcome = Outcome::Failed(Failure::Usage(format!("line {line}: {why}")));
                    let told = self.tell(&[], &outcome, Duration::ZERO);
                    (outcome, told)
                }
            };
            highest = highest.max(outcome.exit());
            if told == Err(Failure::Closed) {
                return Err(Failure::Refused(format!(
                    "nobody reads the results any more; line {line} was the last to be ordered"
                )));
            }
            told.map_err(|failure| untold(&failure, &outcome))?;
        }
        Ok(highest)
    }

    /// Puts one order, and tells what came of it.
    fn put(&mut self, seats: Vec<String>) -> (Outcome, Result<(), Failure>) {
        self.orders += 1;
        let number = format!("{}.{}", self.epoch, self.orders);
        let order = Order { deed: self.deed, night: self.night.clone(), seats, number };
        let (begun, request) = (Instant::now(), Request::Order(order.clone()));
        let interrupted = Outcome::Failed(Failure::Unknown(
            "interrupted before the office had answered; whether it has carried the order out is not known: \
             look at `box_office seats` before ordering again"
                .to_owned(),
        ));
        self.pending.begin(Interrupted {
            text: why(&interrupted).unwrap_or_default(),
            object: self
                .globals
                .json
                .then(|| self.object(&order.seats, &interrupted, Duration::ZERO)),
        });
        let outcome = match self.desk.ask(&request, self.globals.wait) {
            Ok(reply) => outcome(&order.seats, reply),
            Err(failure) => Outcome::Failed(failure),
        };
        let guard = self.pending.tell();
        let told = self.tell(&order.seats, &outcome, begun.elapsed());
        drop(guard);
        (outcome, told)
    }

    /// Tells what came of an order.
    fn tell(&self, seats: &[String], outcome: &Outcome, took: Duration) -> Result<(), Failure> {
        if let Some(text) = why(outcome) {
            note(Escaped::of(&text));
        }
        if self.globals.json {
            return print(self.object(seats, outcome, took));
        }
        let Outcome::Done(done) = outcome else { return Ok(()) };
        let state = match self.deed {
            Deed::Hold => "held for you",
            Deed::Book => "yours",
            Deed::Cancel => "free again",
        };
        let seats = done.seats.join(", ");
        let [show, date, seats] =
            [&self.night.show, &self.night.date, &seats].map(|s| Escaped::of(s));
        let until = done.until.map(|until| format!(" until {}", time_of_day(until)));
        print(format_args!("{show} on {date}: {seats}, {state}{}", until.unwrap_or_default()))
    }

    fn object(&self, seats: &[String], outcome: &Outcome, took: Duration) -> Value {
        let exit = outcome.exit();
        let mut object = json!({
            "event": "order", "order": self.deed, "show": self.night.show, "date": self.night.date,
            "seats": seats, "done": exit == Exit::Done, "kind": exit.kind(), "exit": exit.code(),
            "ms": took.as_millis() as u64,
        });
        match outcome {
            Outcome::Done(done) => {
                object["seats"] = json!(done.seats);
                object["until"] = json!(done.until);
            }
            Outcome::No(no) => object["no"] = json!(no),
            // Neither done nor not done.
            Outcome::Failed(Failure::Unknown(_)) => object["done"] = Value::Null,
            Outcome::Failed(_) => {}
        }
        if let Some(text) = why(outcome) {
            object["error"] = json!(text);
        }
        object
    }
}

/// What came of an order could not be written where it belongs, so the reason why not tells it.
fn untold(failure: &Failure, outcome: &Outcome) -> Failure {
    let (why, kind) = (failure.text().unwrap_or_default(), outcome.exit().kind());
    Failure::Refused(format!("{why}; what came of the order is: {kind}"))
}

/// Why an order is not done, for people.
fn why(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done(_) => None,
        Outcome::No(no) => Some(no.to_string()),
        Outcome::Failed(failure) => failure.text().map(str::to_owned),
    }
}

/// What the office's reply is to an order of these seats. It is done only if it is about the same seats.
fn outcome(asked: &[String], reply: Reply) -> Outcome {
    let answered_otherwise = |what: &str| {
        Outcome::Failed(Failure::Unknown(format!(
            "the office has answered {what}, and not what it was asked; look at `box_office seats`"
        )))
    };
    match reply {
        Reply::Done(done) => {
            let [wanted, got] =
                [asked, &done.seats].map(|seats| seats.iter().collect::<BTreeSet<_>>());
            // Who names none asks for all of its own, and hears which they are.
            if got.is_empty() || !asked.is_empty() && wanted != got {
                return answered_otherwise(&format!("about {:?}", done.seats.join(", ")));
            }
            Outcome::Done(done)
        }
        Reply::No(no) => Outcome::No(no),
        Reply::Shows(_) | Reply::Seats(_) => answered_otherwise("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_done_only_if_the_answer_is_about_the_seats_that_were_asked_for() {
        let names = |seats: &[&str]| seats.iter().map(|&s| s.to_owned()).collect::<Vec<String>>();
        let exit = |asked: &[&str], got: &[&str]| {
            let reply = Reply::Done(Done { seats: names(got), until: None });
            outcome(&names(asked), reply).exit()
        };
        assert_eq!(exit(&["A1"], &["A1"]), Exit::Done);
        assert_eq!(exit(&["A2", "A1", "A2"], &["A1", "A2"]), Exit::Done);
        assert_eq!(exit(&[], &["A1"]), Exit::Done, "all of the buyer's own");
        assert_eq!(exit(&["A1"], &["A2"]), Exit::Unknown);
        assert_eq!(exit(&["A1", "A2"], &["A1"]), Exit::Unknown);
        assert_eq!(exit(&["A1"], &["A1", "A2"]), Exit::Unknown);
        assert_eq!(exit(&["A1"], &[]), Exit::Unknown);
        assert_eq!(exit(&[], &[]), Exit::Unknown);
        assert_eq!(outcome(&[], Reply::Shows(Vec::new())).exit(), Exit::Unknown);
        assert_eq!(outcome(&[], Reply::No(No::Nothing)).exit(), Exit::No);
    }
}
