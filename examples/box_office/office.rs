//! `serve`: the office. One thread, one loop: a question comes in, the ledger decides and commits, the
//! answer goes to the asker, and the change to everyone.
//!
//! There is one office for a show because there is one key and one database: the file that says what is
//! sold names the key's id, and the database can be open in one process only. What is done beyond that is
//! courtesy to people who make mistakes: whoever is about to start a second office is told so.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use cooee::{Event, Node, NodeId, Notice, Notices, Options, PeerInfo, Question};
use serde_json::json;

use crate::args::{Globals, Serve};
use crate::failure::{Failure, note, print};
use crate::ledger::{Ledger, OpenError, Outcome};
use crate::plan::{Plan, Show};
use crate::stop::Stop;
use crate::words::{News, Night, No, Order, Reply, Request, Snapshot, State, channel, say};

/// How soon a signal or the end of a hold is noticed.
const TICK: Duration = Duration::from_millis(100);

/// How often each show's version is said though nothing has changed: whoever missed the last change,
/// or was told of none while the office was away, finds out by it.
const REPEAT: Duration = Duration::from_secs(2);

/// How often outcomes that nobody will ask for are forgotten.
const TIDY: Duration = Duration::from_secs(3_600);

/// How long to look around for another office before starting.
const LOOK: Duration = Duration::from_secs(3);

/// How long an office that has found its copy stays to be found by it.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long an office that is listed may take to show that it runs. It is asked some six times meanwhile,
/// and where a tenth of everything is lost, all of them are once in twenty thousand starts.
const SIGN_OF_LIFE: Duration = Duration::from_millis(600);

/// An order's number is no longer than this.
const NUMBER: usize = 64;

/// Runs the office until a signal ends it.
pub(crate) fn serve(args: &Serve, globals: &Globals) -> Result<(), Failure> {
    let plan = Plan::read(&args.file)?;
    let folder = args.office_dir.clone().unwrap_or_else(|| args.file.with_extension("office"));
    // Who buys there recognises it by its key, so it is this node or none.
    let mut options = Options {
        state_dir: Some(folder.clone()),
        key: Some("office".to_owned()),
        same: true,
        ..globals.node("box office")
    };
    plan.announce(&mut options);
    let id = options.id()?;
    must_be_named(&plan, id, args, &folder)?;
    let ledger = open(&folder.join("ledger.db"), id)?;
    let stop = Stop::on_signals()?;
    look_for_rivals(&plan, id, args.anyway, globals)?;

    let (node, notices) = Node::start(options)?;
    node.warnings().iter().for_each(note);
    node.set_answering(true)?;
    let mut office = Office { node, plan, ledger, rivals: BTreeSet::new() };
    office.introduce(globals.json)?;
    office.run(&notices, &stop)
}

/// What the file sells is sold by the office that it names, so two copies of it can't be two offices.
fn must_be_named(plan: &Plan, id: NodeId, args: &Serve, folder: &Path) -> Result<(), Failure> {
    let (file, folder) = (args.file.display(), folder.display());
    match plan.office {
        Some(named) if named == id => Ok(()),
        Some(named) => Err(Failure::Usage(format!(
            "{file} is sold by the office {named}, and the key in {folder} makes this one {id}; run it \
             where the other's folder is, or move that folder here once the other has ended for good"
        ))),
        None => Err(Failure::Usage(format!(
            "{file} does not say which office sells it; if it is this one, whose key is in {folder}, add \
             as the first line:\n\noffice = \"{id}\"\n"
        ))),
    }
}

fn open(path: &Path, id: NodeId) -> Result<Ledger, Failure> {
    // What was sold is known from the database alone: one that has gone must not be made anew unnoticed.
    let made = path.with_extension("made");
    if made.exists() && !path.exists() {
        return Err(Failure::Refused(format!(
            "{} is missing, and with it what this office has sold; put it back from a copy, or, if nothing was \
             sold yet, remove {} to begin anew",
            path.display(),
            made.display()
        )));
    }
    let ledger = Ledger::open(path, id).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        match error {
            OpenError::InUse => Failure::No(text),
            OpenError::OfAnother(_) => Failure::Usage(text),
            OpenError::Database(_) => Failure::Refused(text),
        }
    })?;
    let refused = |error| Failure::Refused(format!("{}: {error}", made.display()));
    fs::write(&made, "this office has a ledger\n").map_err(refused)?;
    Ok(ledger)
}

/// Whether somebody on the LAN sells one of these shows already: another office, or this very one
/// from a copy of its folder.
///
/// It looks as a node that is nobody in particular: if it came with the office's own key, all would
/// take it for the office's next run, and the one that is there would be heard no more.
fn look_for_rivals(
    plan: &Plan,
    id: NodeId,
    anyway: bool,
    globals: &Globals,
) -> Result<(), Failure> {
    let (node, _) = Node::start(Options { visitor: true, ..globals.node("visitor") })?;
    node.wait_until_settled(LOOK)?;
    for peer in node.peers()? {
        let Some(show) = sold_by(plan, &peer).filter(|_| !anyway || peer.id == id) else {
            continue;
        };
        let Ok(question) = say("are you there?".to_owned(), &Request::Shows) else { continue };
        // One that was killed a moment ago, such as this office itself, is still listed.
        if node.ask_one(peer.id, question, SIGN_OF_LIFE).is_err() {
            continue;
        }
        let (show, at) = (&show.name, place(&peer));
        return Err(Failure::No(if peer.id == id {
            format!(
                "this very office runs at {at}, from a copy of its folder: use one, delete the other"
            )
        } else {
            format!(
                "the office {} at {at} sells '{show}' already; end it first, or, if it has no right to, --anyway",
                peer.id
            )
        }));
    }
    Ok(())
}

/// A show of the plan that the peer sells.
fn sold_by<'a>(plan: &'a Plan, peer: &PeerInfo) -> Option<&'a Show> {
    let sells = |show: &&Show| channel(&show.name).is_some_and(|name| peer.offers(name.as_str()));
    plan.shows.iter().find(sells)
}

fn place(peer: &PeerInfo) -> String {
    peer.addr.map_or_else(|| "an unknown address".to_owned(), |addr| addr.ip().to_string())
}

struct Office {
    node: Node,
    plan: Plan,
    ledger: Ledger,
    /// Others who say that they sell the same.
    rivals: BTreeSet<NodeId>,
}

impl Office {
    fn introduce(&self, as_json: bool) -> Result<(), Failure> {
        let id = self.node.id().to_string();
        let shows: Vec<&str> = self.plan.shows.iter().map(|show| show.name.as_str()).collect();
        if as_json {
            return print(json!({ "event": "open", "office": id, "shows": shows }));
        }
        print(format_args!("the office {id} sells {}; Ctrl-C closes it", shows.join(", ")))
    }

    fn run(&mut self, notices: &Notices, stop: &Stop) -> Result<(), Failure> {
        let (mut repeat, mut tidy) = (Instant::now(), Instant::now());
        while !stop.is_wanted() {
            let now = Instant::now();
            if now >= tidy {
                tidy = now + TIDY;
                self.ledger.forget(self.now())?;
            }
            if now >= repeat {
                repeat = now + REPEAT;
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
        let (reply, news) = match request {
            Some(Request::Shows) => {
                (Reply::Shows(self.plan.shows.iter().map(Show::billing).collect()), None)
            }
            Some(Request::Seats(night)) => (self.seats(&night)?, None),
            Some(Request::Order(order)) if order.number.len() <= NUMBER => {
                let Outcome { answer, news } = self.order(&order, question.from)?;
                (answer.map_or_else(Reply::No, Reply::Done), news)
            }
            // A question of something else's, such as `cooee ask`.
            _ => return Ok(self.node.pass(question.number)?),
        };
        match say("from the box office".to_owned(), &reply) {
            Ok(answer) => self.node.reply(question.number, answer)?,
            Err(_) => self.node.pass(question.number)?,
        }
        news.iter().try_for_each(|news| self.tell(news))
    }

    fn order(&mut self, order: &Order, buyer: NodeId) -> Result<Outcome, Failure> {
        let Some(show) = self.plan.find(&order.night) else {
            return Ok(Outcome { answer: Err(No::NotOn), news: None });
        };
        let now = self.now();
        Ok(self.ledger.order(show, order, buyer, &self.plan.rules, now)?)
    }

    fn seats(&self, night: &Night) -> Result<Reply, Failure> {
        let Some(show) = self.plan.find(night) else { return Ok(Reply::No(No::NotOn)) };
        Ok(Reply::Seats(Snapshot {
            title: show.title.clone(),
            seating: show.picture.clone(),
            version: self.ledger.version(&show.name)?,
            taken: self.ledger.taken(night)?,
        }))
    }

    /// This host's clock, as the ledger counts.
    fn now(&self) -> i64 {
        i64::try_from(self.node.wall().0).unwrap_or(i64::MAX)
    }

    fn end_holds(&mut self) -> Result<(), Failure> {
        let now = self.now();
        for show in &self.plan.shows {
            if let Some(news) = self.ledger.expire(show, now)? {
                self.tell(&news)?;
            }
        }
        Ok(())
    }

    /// Says how far each show has got.
    fn repeat(&mut self) -> Result<(), Failure> {
        self.end_holds()?;
        for show in &self.plan.shows {
            let (show, version) = (show.name.clone(), self.ledger.version(&show.name)?);
            self.tell(&News { show, version, changes: Vec::new() })?;
        }
        Ok(())
    }

    /// Tells everyone who watches the show.
    fn tell(&self, news: &News) -> Result<(), Failure> {
        let Some(channel) = channel(&news.show) else { return Ok(()) };
        // What can't be said is found missing by its number, and asked for.
        if let Ok(news) = say(in_words(news), news) {
            self.node.say(&channel, news)?;
        }
        Ok(())
    }

    /// Somebody has come. Nobody can say which office is the right one but the people who run them.
    fn meet(&mut self, peer: &PeerInfo) {
        let Some(show) = sold_by(&self.plan, peer) else { return };
        if peer.id != self.node.id() && self.rivals.insert(peer.id) {
            note(format_args!(
                "{} at {} says that it sells '{}' too; buyers are asked to choose with --office",
                peer.id,
                place(peer),
                show.name
            ));
        }
    }
}

/// What has changed, for people who listen to the channel: `sold: A1 A2 on 2026-12-01`.
fn in_words(news: &News) -> String {
    let of = |state| {
        let places = news.changes.iter().filter(move |place| place.state == state);
        let places: Vec<String> =
            places.map(|place| format!("{} on {}", place.seat, place.date)).collect();
        (!places.is_empty()).then(|| format!("{}: {}", State::as_str(state), places.join(", ")))
    };
    let parts: Vec<String> =
        [State::Sold, State::Held, State::Free].into_iter().filter_map(of).collect();
    if parts.is_empty() { format!("still at change {}", news.version) } else { parts.join("; ") }
}
