//! `serve`: the office. One thread, one loop: a question comes in, the ledger decides and commits, the
//! answer goes to the asker, and the change to everyone.
//!
//! There is one office for a show because there is one key and one database: the file that says what is
//! sold names the key's id, and the database can be open in one process only. What is done beyond that is
//! courtesy to people who make mistakes: whoever is about to start a second office is told so (`rivals`).

mod opening;
mod rivals;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cooee::{Event, Node, NodeId, Notice, Notices, Options, PeerInfo, Question};
use serde_json::json;

use self::opening::{must_be_listed, must_be_named, no_database, no_key};
use self::rivals::{give_way, look_for_rivals, place, sold_by};
use crate::args::{Globals, Serve};
use crate::clock::now;
use crate::failure::{Failure, note, print, warn};
use crate::ledger::{Ledger, Outcome};
use crate::plan::{Plan, Show};
use crate::stop::Stop;
use crate::words::{
    Change, News, Night, No, Order, Place, Reply, Request, Snapshot, State, channel, outgoing,
};

/// How soon a signal or the end of a hold is noticed.
const TICK: Duration = Duration::from_millis(100);

/// How often each show's version is said though nothing has changed: whoever missed the last change,
/// or was told of none while the office was away, finds out by it.
const REPEAT: Duration = Duration::from_secs(2);

/// How often outcomes that nobody will ask for are forgotten.
const TIDY: Duration = Duration::from_secs(3_600);

/// How long an office that has found its copy stays to be found by it.
const FAREWELL: Duration = Duration::from_secs(5);

/// An order's number is no longer than this.
const NUMBER: usize = 64;

/// Others of whom people are warned; anybody may claim to sell the same, under any number of ids.
const RIVALS: usize = 16;

/// Runs the office until a signal ends it. What needs nobody else is looked at first: the key, the database, the
/// file; then the LAN, once before the office is here itself and once after.
pub(crate) fn serve(args: &Serve, globals: &Globals) -> Result<(), Failure> {
    let plan = Plan::read(&args.file).map_err(Failure::Usage)?;
    let folder = args.office_dir.clone().unwrap_or_else(|| args.file.with_extension("office"));
    // Who buys there recognises it by its key, so it is this node or none.
    let mut options = Options {
        state_dir: Some(folder.clone()),
        key: Some("office".to_owned()),
        same: true,
        ..globals.node("box office")
    };
    plan.announce(&mut options);
    let id = options.id().map_err(|error| no_key(&error))?;
    must_be_named(&plan, id, args, &folder)?;
    let database = folder.join("ledger.db");
    let mut ledger = opening::open(&database, id)?;
    must_be_listed(&plan, &mut ledger, args, globals.json)?;
    let stop = Stop::on_signals()?;
    let gone = look_for_rivals(&plan, id, args.anyway, globals)?;

    let (node, notices) = Node::start(options)?;
    node.warnings().iter().for_each(|text| warn(text, globals.json));
    if !args.anyway {
        give_way(&plan, &node, &gone)?;
    }
    node.set_answering(true)?;
    let as_json = globals.json;
    let mut office = Office { node, plan, ledger, database, rivals: BTreeSet::new(), as_json };
    // It sells whether or not somebody reads what it prints.
    if let Err(failure) = office.introduce() {
        note(
            failure
                .text()
                .unwrap_or("nobody reads standard output; the office is open all the same"),
        );
    }
    let ended = office.run(&notices, &stop);
    if ended.is_ok() && as_json {
        // Nobody may be reading any more; it is closed all the same.
        let _ = print(json!({ "event": "closed" }));
    }
    ended
}

struct Office {
    node: Node,
    plan: Plan,
    ledger: Ledger,
    /// Where the ledger is.
    database: PathBuf,
    /// Others who say that they sell the same.
    rivals: BTreeSet<NodeId>,
    as_json: bool,
}

impl Office {
    fn introduce(&self) -> Result<(), Failure> {
        let id = self.node.id().to_string();
        let shows: Vec<&str> = self.plan.shows.iter().map(|show| show.name.as_str()).collect();
        if self.as_json {
            return print(json!({ "event": "open", "office": id, "shows": shows }));
        }
        print(format_args!("the office {id} sells {}; Ctrl-C closes it", shows.join(", ")))
    }

    fn run(&mut self, notices: &Notices, stop: &Stop) -> Result<(), Failure> {
        let (mut repeat, mut tidy) = (Instant::now(), Instant::now());
        while !stop.is_wanted() {
            let at = Instant::now();
            if at >= tidy {
                tidy = at + TIDY;
                self.must_be_in_place()?;
                self.ledger.forget(now()).map_err(|error| self.broken(&error))?;
            }
            if at >= repeat {
                repeat = at + REPEAT;
                self.repeat()?;
            }
            match notices.next(TICK)? {
                Some(Notice::Event(Event::Question(question))) => self.answer(&question)?,
                Some(Notice::Event(Event::Joined(peer) | Event::Status(peer))) => self.meet(&peer),
                Some(Notice::Event(Event::Cloned { addr, .. })) => {
                    return self.close_beside_a_copy(notices, addr.ip());
                }
                Some(_) => {}
                None => self.end_holds()?,
            }
        }
        Ok(()) // the node says goodbye when it is dropped
    }

    /// Another office has this one's key, so it comes from a copy of this one's folder. Nothing is sold
    /// any more; the node stays for a moment, so that the other one finds the same and closes, too.
    fn close_beside_a_copy(&self, notices: &Notices, at: IpAddr) -> Result<(), Failure> {
        self.node.set_answering(false)?;
        let until = Instant::now() + FAREWELL;
        while notices.next(until.saturating_duration_since(Instant::now()))?.is_some() {}
        Err(Failure::Refused(format!(
            "closed, so that nothing is sold twice: an office with this very key runs at {at}, from a copy \
             of this one's folder; compare what both have sold, and keep one folder"
        )))
    }

    /// Somebody asks. What an order has changed is on the disk before anyone hears of it; if it can't
    /// be put there, the office ends without an answer, and the buyer asks the next run.
    fn answer(&mut self, question: &Question) -> Result<(), Failure> {
        let request = question.data.as_ref().and_then(|data| data.read().ok());
        let (reply, change) = match request {
            Some(Request::Shows) => {
                (Reply::Shows(self.plan.shows.iter().map(Show::billing).collect()), None)
            }
            Some(Request::Seats(night)) => (self.seats(&night)?, None),
            Some(Request::Order(order)) if order.number.len() <= NUMBER => {
                let (outcome, change) = self.order(&order, question.from)?;
                let reply = match outcome {
                    Outcome::Done(done) => Reply::Done(done),
                    Outcome::No(no) => Reply::No(no),
                };
                (reply, change)
            }
            // A question of something else's, such as `cooee ask`.
            _ => return Ok(self.node.pass(question.number)?),
        };
        match outgoing("from the box office".to_owned(), &reply) {
            Ok(answer) => self.node.reply(question.number, answer)?,
            Err(_) => self.node.pass(question.number)?,
        }
        change.into_iter().try_for_each(|change| self.tell(&News::Change(change)))
    }

    fn order(
        &mut self,
        order: &Order,
        buyer: NodeId,
    ) -> Result<(Outcome, Option<Change>), Failure> {
        let Some(show) = self.plan.find(&order.night) else {
            return Ok((Outcome::No(No::NotOn), None));
        };
        self.must_be_in_place()?;
        let came = self.ledger.order(show, order, buyer, &self.plan.rules, now());
        let came = came.map_err(|error| self.broken(&error))?;
        // What is lost already is not answered.
        self.must_be_in_place()?;
        Ok(came)
    }

    /// Sells nothing that nobody would know of tomorrow: what is written to a file that was removed,
    /// replaced or overwritten is gone when the office ends. This one has it all, so it writes it down before it ends.
    fn must_be_in_place(&self) -> Result<(), Failure> {
        let Some(missing) = self.ledger.missing() else { return Ok(()) };
        let (missing, database) = (missing.display(), self.database.display());
        let saved = match self.ledger.rescue(&self.database, now()) {
            Ok(copy) => {
                format!("all that it has sold is in {}; move it to {database}", copy.display())
            }
            Err(why) => format!("what it has sold could not be saved either ({why})"),
        };
        Err(Failure::Refused(format!(
            "closed, since {missing} was removed, replaced or written by another while the office ran; {saved}, remove \
             ledger.db-journal where it lies beside it, and start again"
        )))
    }

    fn broken(&self, error: &rusqlite::Error) -> Failure {
        // Perhaps because somebody has taken it away; then that is to be told.
        self.must_be_in_place().err().unwrap_or_else(|| no_database(&self.database, error))
    }

    fn seats(&self, night: &Night) -> Result<Reply, Failure> {
        let Some(show) = self.plan.find(night) else { return Ok(Reply::No(No::NotOn)) };
        let broken = |error| self.broken(&error);
        let version = self.ledger.version(&show.name).map_err(broken)?;
        let taken = self.ledger.taken(night).map_err(broken)?;
        let of = |state| {
            let places = taken.iter().filter(move |place: &&Place| place.state == state);
            places.map(|place| (place.seat.clone(), place.mark.clone())).collect()
        };
        let (title, seating) = (show.title.clone(), show.picture.clone());
        let (held, sold) = (of(State::Held), of(State::Sold));
        Ok(Reply::Seats(Snapshot { title, seating, version, held, sold }))
    }

    fn end_holds(&mut self) -> Result<(), Failure> {
        self.must_be_in_place()?;
        for show in &self.plan.shows {
            let ended = self.ledger.expire(show, now()).map_err(|error| self.broken(&error))?;
            ended.into_iter().try_for_each(|change| self.tell(&News::Change(change)))?;
        }
        Ok(())
    }

    /// Says how far each show has got.
    fn repeat(&mut self) -> Result<(), Failure> {
        self.end_holds()?;
        for show in &self.plan.shows {
            let version = self.ledger.version(&show.name).map_err(|error| self.broken(&error))?;
            self.tell(&News::Still { show: show.name.clone(), version })?;
        }
        Ok(())
    }

    /// Tells everyone who watches the show.
    fn tell(&self, news: &News) -> Result<(), Failure> {
        let (News::Change(Change { show, .. }) | News::Still { show, .. }) = news;
        let Some(channel) = channel(show) else { return Ok(()) };
        // What can't be said is found missing by its number, and asked for.
        if let Ok(said) = outgoing(in_words(news), news) {
            self.node.say(&channel, said)?;
        }
        Ok(())
    }

    /// Somebody has come. Nobody can say which office is the right one but the people who run them.
    fn meet(&mut self, peer: &PeerInfo) {
        let Some(show) = sold_by(&self.plan, peer) else { return };
        if peer.id == self.node.id() || self.rivals.len() >= RIVALS {
            return;
        }
        if self.rivals.insert(peer.id) {
            let (id, at, show) = (peer.id, place(peer), &show.name);
            let text = format!(
                "{id} at {at} says that it sells '{show}' too; buyers are asked to choose with --office"
            );
            warn(text, self.as_json);
        }
    }
}

/// What is said, for people who listen to the channel: `sold: A1 on 2026-12-01`.
fn in_words(news: &News) -> String {
    let change = match news {
        News::Still { version, .. } => return format!("still at change {version}"),
        News::Change(change) => change,
    };
    let of = |state| {
        let places = change.places.iter().filter(move |place| place.state == state);
        let places: Vec<String> =
            places.map(|place| format!("{} on {}", place.seat, place.date)).collect();
        (!places.is_empty()).then(|| format!("{}: {}", State::as_str(state), places.join(", ")))
    };
    let parts: Vec<String> =
        [State::Sold, State::Held, State::Free].into_iter().filter_map(of).collect();
    parts.join("; ")
}
