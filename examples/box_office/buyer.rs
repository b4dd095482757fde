//! What a buyer does: look what is on, hold, book, cancel.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

use cooee::{Escaped, Node, Options, StartError};
use serde_json::json;

use crate::args::{self, Globals};
use crate::desk::Desk;
use crate::failure::{Failure, note, print};
use crate::words::{Billing, Deed, Night, No, Order, Reply, Request, SERVICE, say};

/// `shows`: asks every office what it sells.
pub(crate) fn shows(globals: &Globals) -> Result<(), Failure> {
    let (node, _) = Node::start(Options { visitor: true, ..globals.node("visitor") })?;
    let until = Instant::now() + globals.wait;
    let left = || until.saturating_duration_since(Instant::now());
    // Until all who are here have been heard of; then at least for one office.
    node.wait_until_settled(left())?;
    node.wait_for_peer(left(), |peer| peer.offers(SERVICE))?;
    let offices = node.peers()?.into_iter().filter(|peer| peer.offers(SERVICE));
    let places: BTreeMap<_, _> = offices.map(|peer| (peer.id, peer.addr)).collect();
    let what = say("what is on?".to_owned(), &Request::Shows);
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
                    json!({ "show": name, "title": title, "dates": dates, "seats": seats, "office": office }),
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
    Err(Failure::No("no box office is here; start one with `box_office serve FILE`".to_owned()))
}

/// `hold`, `book` and `cancel`.
pub(crate) fn order(deed: Deed, order: &args::Order, globals: &Globals) -> Result<(), Failure> {
    let node = start(globals)?;
    let mut desk = Desk::of(&node, &order.night.show, globals.office)?;
    // No other run of this buyer has the same epoch, so it makes a number that was never used.
    let mut numbers = (1_u64..).map(|count| format!("{}.{count}", node.epoch()));
    let mut put = |seats: Vec<String>| {
        let seats = seats.iter().map(|seat| seat.to_uppercase()).collect();
        let number = numbers.next().unwrap_or_default();
        let order = Order { deed, night: order.night.clone(), seats, number };
        let (begun, request) = (Instant::now(), Request::Order(order.clone()));
        let reply = desk.ask(&request, globals.wait)?;
        show(&order, reply, begun.elapsed(), globals.json)
    };
    if order.seats != ["-"] {
        let done = put(order.seats.clone())?;
        return if done { Ok(()) } else { Err(Failure::Answered) };
    }
    let mut all = true;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| Failure::Refused(format!("standard input: {e}")))?;
        let seats: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if !seats.is_empty() {
            all &= put(seats)?;
        }
    }
    if all { Ok(()) } else { Err(Failure::Answered) }
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
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints what came of an order; whether it was carried out.
fn show(order: &Order, reply: Reply, took: Duration, as_json: bool) -> Result<bool, Failure> {
    let Night { show, date } = &order.night;
    let ms = took.as_millis() as u64;
    match reply {
        Reply::Done(done) if as_json => {
            print(json!({
                "done": true, "order": order.deed, "show": show, "date": date, "seats": done.seats,
                "until": done.until, "ms": ms,
            }))?;
            Ok(true)
        }
        Reply::Done(done) => {
            let state = match order.deed {
                Deed::Hold => "held for you",
                Deed::Book => "yours",
                Deed::Cancel => "free again",
            };
            let seats = Escaped::of(&done.seats.join(", ")).to_string();
            let (show, date) = (Escaped::of(show), Escaped::of(date));
            let until = done.until.map(crate::screen::clock);
            let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
            print(format_args!("{show} on {date}: {seats}, {state}{until}"))?;
            Ok(true)
        }
        Reply::No(why) if as_json => {
            let mut line = json!({
                "done": false, "order": order.deed, "show": show, "date": date,
                "seats": order.seats, "ms": ms, "text": why.to_string(),
            });
            line["no"] = json!(why);
            print(line)?;
            Ok(false)
        }
        Reply::No(why) => {
            note(no(&why));
            Ok(false)
        }
        Reply::Shows(_) | Reply::Seats(_) => {
            Err(Failure::Refused("the office answered something else than was asked".to_owned()))
        }
    }
}

/// Why an order was refused: it may bear names that the office has made up.
fn no(why: &No) -> String {
    Escaped::of(&why.to_string()).to_string()
}
