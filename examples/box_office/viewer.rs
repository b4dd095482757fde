//! `seats`: the map of one night, once or live.
//!
//! A live map is the office's own map (asked for) and every change since (said to all), in the order
//! of their numbers. cooee repairs what the network loses; but a viewer may come late, or the office be
//! killed between writing a change down and saying it. So whenever a number is missing, whenever the
//! office has started again, and whenever it has been silent for too long, the whole map is asked for.
//! Nothing else is needed to be right in the end.

use std::time::{Duration, Instant};

use cooee::{Event, Message, Node, Notice, Options};

use crate::args::{Globals, Seats};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::map::{Map, Step};
use crate::screen::Screen;
use crate::stop::Stop;
use crate::words::{Change, News, Night, No, Reply, Request, channel, mark};

/// How soon Ctrl-C, another size of the terminal, or that nobody reads any more, is noticed.
const TICK: Duration = Duration::from_millis(100);

/// The office says something at least every two seconds. Who hears nothing for so long asks.
const SILENCE: Duration = Duration::from_secs(5);

/// How long one attempt to get the whole map takes at most.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn seats(args: &Seats, globals: &Globals) -> Result<(), Failure> {
    // A viewer is a node of its own, so that the buyer can buy while it looks; who the buyer is it
    // knows without being it.
    let mine = globals.buyer()?.id().map(|buyer| mark(&args.night, buyer)).unwrap_or_default();
    let mut screen = Screen::new(globals.json, args.watch, mine);
    if args.watch {
        return watch(&args.night, globals, screen);
    }
    let (node, _) = Node::start(Options { visitor: true, ..globals.node("viewer") })?;
    node.wait_until_settled(globals.wait)?;
    let mut desk = Desk::of(&node, &args.night.show, globals.office)?;
    let map = fetch(&mut desk, &args.night, globals.wait)?;
    screen.map(&map.map_err(|no| Failure::No(no.to_string()))?)
}

fn watch(night: &Night, globals: &Globals, mut screen: Screen) -> Result<(), Failure> {
    // Listening before asking: what is said meanwhile waits, and is applied to the map afterwards.
    let channels = channel(&night.show).into_iter().collect();
    let (node, notices) = Node::start(Options { channels, ..globals.node("viewer") })?;
    node.wait_until_settled(globals.wait)?; // what is said by then is in the map that is asked for
    let mut desk = Desk::of(&node, &night.show, globals.office)?;
    let map = fetch(&mut desk, night, globals.wait)?;
    let map = map.map_err(|no| Failure::No(no.to_string()))?;
    // Until here there is nothing to be tidied up, and Ctrl-C ends it at once.
    let end = Stop::on_signals()?;
    screen.map(&map)?;

    let mut viewer =
        Viewer { desk, map, screen, heard: Instant::now(), is_right: true, here: true };
    while !end.is_wanted() {
        if let Some(notice) = notices.next(TICK)? {
            viewer.hear(&notice)?;
        }
        if !viewer.is_right || viewer.heard.elapsed() >= SILENCE {
            viewer.ask()?;
        }
        viewer.screen.tick(&viewer.map)?;
    }
    Ok(())
}

/// A live map.
struct Viewer<'a> {
    desk: Desk<'a>,
    map: Map,
    screen: Screen,
    /// When the office was heard last.
    heard: Instant,
    /// Nothing is known to be missing in the map.
    is_right: bool,
    /// The office has answered when it was asked last.
    here: bool,
}

impl Viewer<'_> {
    /// Something has happened: the map changes by it, is known not to be right, or stays.
    fn hear(&mut self, notice: &Notice) -> Result<(), Failure> {
        match notice {
            Notice::Event(Event::Message(message)) => {
                let Some(news) = self.news(message) else { return Ok(()) };
                self.heard = Instant::now();
                match self.map.hear(&news) {
                    Step::Next(changes) => self.screen.changes(&self.map, &changes)?,
                    Step::Known => {}
                    Step::Gap => self.is_right = false,
                }
            }
            // It may have been killed between writing a change down and saying it.
            Notice::Event(Event::Restarted(peer) | Event::Joined(peer)) => {
                self.is_right &= Some(peer.id) != self.desk.office();
            }
            Notice::Missed(_) => self.is_right = false,
            _ => {}
        }
        Ok(())
    }

    /// What a message says, if it is the office's own word on this show.
    fn news(&self, message: &Message) -> Option<News> {
        if !message.verified || message.from != self.desk.office() {
            return None;
        }
        let news: News = message.data.as_ref()?.read().ok()?;
        let (News::Change(Change { show, .. }) | News::Still { show, .. }) = &news;
        (*show == self.map.night.show).then_some(news)
    }

    /// Asks for the whole map, and tells where the office has gone or come back.
    fn ask(&mut self) -> Result<(), Failure> {
        let here = match fetch(&mut self.desk, &self.map.night, ATTEMPT) {
            Ok(Ok(newer)) => {
                let changes = self.map.replace(newer);
                (self.heard, self.is_right) = (Instant::now(), true);
                match changes {
                    Some(changes) => self.screen.changes(&self.map, &changes)?,
                    None => self.screen.map(&self.map)?,
                }
                true
            }
            // The night has been taken off: there will be nothing to see any more.
            Ok(Err(no)) => return Err(Failure::No(no.to_string())),
            Err(Failure::No(_)) => false,
            Err(failure) => return Err(failure),
        };
        if here != self.here {
            self.here = here;
            self.screen.office(&self.map, here)?;
        }
        Ok(())
    }
}

/// The whole map, from the office; or its word that there is none.
fn fetch(desk: &mut Desk<'_>, night: &Night, wait: Duration) -> Result<Result<Map, No>, Failure> {
    match desk.ask(&Request::Seats(night.clone()), wait)? {
        Reply::Seats(snapshot) => Map::new(night.clone(), snapshot).map(Ok).ok_or_else(|| {
            Failure::Refused("the office's map can't be read: is it of this version?".to_owned())
        }),
        Reply::No(why) => Ok(Err(why)),
        Reply::Shows(_) | Reply::Done(_) => {
            Err(Failure::Refused("the office answered something else than was asked".to_owned()))
        }
    }
}
