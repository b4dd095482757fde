//! `cooee chat`: talking line by line, at a terminal or through pipes.
//!
//! One loop takes what was typed and what happened, in the order in which it came ([`Hub`]); what
//! a line means and does is a [`Conversation`]'s, and where lines go is a [`View`].

mod terminal;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::terminal::Terminal;
use self::view::View;
use super::args;
use super::confirming::{self, CHANCE, LAST_CHANCE};
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::node::Notice;
use crate::proto::{Event, Outgoing, PeerInfo};
use crate::talk::commands::{self, Action};
use crate::talk::{Conversation, Place, tell_who_is_here};
use crate::values::{ChannelName, NodeId};
use crate::wire::Profile;

/// How long a newcomer looks who is there before it says what came through a pipe, and before it
/// tells of comings one by one.
const LOOK: Duration = Duration::from_secs(1);

/// How long the outcome of direct messages is waited for at the end.
const OUTCOME: Duration = Duration::from_secs(10);

/// Runs the command.
pub(super) fn run(args: args::Chat, mut settings: Settings) -> Result<Exit, Failure> {
    let channel = args.channel;
    settings.node.channels = vec![channel.clone()];
    settings.node.recall = settings.recall;
    let mut profile = settings.node.profile.clone();
    let hub = Hub::new();
    let restore = Arc::new(Mutex::new(None::<terminal::Saved>));
    let last = Arc::clone(&restore);
    hub.signals(move || {
        let saved = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(saved) = saved {
            saved.restore();
        }
    })?;
    let (node, notices) = session::start(&mut settings, Role::Resident)?;
    hub.notices(notices);
    if let Some(nick) = node.agents_nick() {
        profile.nick = nick.into();
    }
    let (view, terminal) = open(&settings, &hub, &channel);
    if let Some(terminal) = &terminal {
        *restore.lock().unwrap_or_else(PoisonError::into_inner) = Some(terminal.saved());
    }
    let mut chat = Chat {
        place: Window { node: &node, view },
        talk: Conversation::new(profile, channel),
        newcomer: true,
        quiet: settings.quiet,
    };
    let ended = chat.greet(&settings, &node).and_then(|()| chat.run(&hub, terminal.as_ref()));
    let said = chat.talk.said_lately();
    drop(chat);
    if let Some(terminal) = terminal {
        terminal.close();
    }
    let ended = ended.and_then(|()| {
        let wait = if hub.has_ended() { LAST_CHANCE } else { CHANCE };
        confirming::linger(&node, &said, wait, &settings)
    });
    session::stop(node, &settings);
    ended.map(|()| Exit::Done)
}

/// Where lines come from and go to.
fn open(settings: &Settings, hub: &Hub, channel: &ChannelName) -> (View, Option<Terminal>) {
    if !settings.json && terminal::usable() {
        let opened = Terminal::open(prompt(Some(channel)), hub.sender());
        if let Some((terminal, printer)) = opened {
            let view = View::Terminal(printer, Style::new(terminal::colours()));
            return (view, Some(terminal));
        }
    }
    let view = if settings.json {
        View::Json(Out::new())
    } else {
        View::Lines(Out::new(), Style::new(false))
    };
    (view, None)
}

fn prompt(channel: Option<&ChannelName>) -> String {
    channel.map_or_else(|| "> ".to_owned(), |channel| format!("#{channel}> "))
}

struct Chat<'a> {
    place: Window<'a>,
    talk: Conversation,
    /// It is not known yet who is here.
    newcomer: bool,
    quiet: bool,
}

/// The chat's way to the LAN, and its lines.
struct Window<'a> {
    node: &'a Door,
    view: View,
}

impl Place for Window<'_> {
    type Error = Failure;

    fn say(&mut self, channel: &ChannelName, what: Outgoing) -> Result<(), Failure> {
        Ok(self.node.say(channel, what)?)
    }

    fn join(&mut self, channel: &ChannelName) -> Result<(), Failure> {
        Ok(self.node.join(channel)?)
    }

    fn leave(&mut self, channel: &ChannelName) -> Result<(), Failure> {
        Ok(self.node.leave(channel)?)
    }

    fn set_profile(&mut self, profile: &Profile) -> Result<(), Failure> {
        Ok(self.node.set_profile(profile.clone())?)
    }

    fn tell(&mut self, to: NodeId, what: Outgoing) -> Result<u64, Failure> {
        Ok(self.node.tell(to, what)?)
    }

    fn peers(&mut self) -> Result<Vec<PeerInfo>, Failure> {
        Ok(self.node.peers()?)
    }

    fn info(&mut self, what: &str) -> Result<(), Failure> {
        self.view.info(what)
    }

    fn error(&mut self, what: &str) -> Result<(), Failure> {
        self.view.error(what)
    }

    fn list(&mut self, peers: &[PeerInfo]) -> Result<(), Failure> {
        self.view.peers(peers, self.node.clocks())
    }

    fn nick(&self, peer: &PeerInfo) -> String {
        self.view.nick(peer)
    }
}

/// Whether the chat goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Go,
    Quit,
}

impl Chat<'_> {
    fn greet(&mut self, settings: &Settings, node: &Door) -> Result<(), Failure> {
        if settings.quiet {
            return Ok(());
        }
        let nick = self.talk.profile.nick.escaped();
        let line = format!("you are {nick} on {}; /help lists the commands", session::links(node)?);
        match self.place.view {
            View::Terminal(..) => self.place.view.info(&line),
            View::Lines(..) | View::Json(_) => {
                note(line);
                Ok(())
            }
        }
    }

    fn run(&mut self, hub: &Hub, terminal: Option<&Terminal>) -> Result<(), Failure> {
        let mut until = Some(Instant::now() + LOOK);
        let mut ending = false;
        loop {
            match hub.next(until) {
                Happening::Notice(notice) => self.notice(&notice)?,
                Happening::Line(line) => {
                    let next = match line.text() {
                        Ok(text) => self.line(&text)?,
                        Err(cause) => {
                            self.place.view.error(&format!("the line {cause}; it was not said"))?;
                            Next::Go
                        }
                    };
                    if let Some(terminal) = terminal.filter(|_| next == Next::Go) {
                        terminal.prompt(prompt(self.talk.current.as_ref()));
                    }
                    ending |= next == Next::Quit;
                }
                // A terminal that has gone reads as an error.
                Happening::End(Some(e)) if terminal.is_none() => return Err(Failure::input(&e)),
                Happening::End(_) => ending = true,
                Happening::Time if self.newcomer => self.arrived()?,
                Happening::Time | Happening::Signal => return Ok(()),
                Happening::Stopped => return Err(Failure::Refused(self.place.node.why_silent())),
            }
            if ending && !self.talk.waits() {
                return Ok(());
            }
            if until.is_some() && !self.newcomer {
                until = None;
                if terminal.is_none() {
                    hub.input();
                }
            }
            if ending && until.is_none() {
                until = Some(Instant::now() + OUTCOME);
            }
        }
    }

    /// Whoever was there before is known by now.
    fn arrived(&mut self) -> Result<(), Failure> {
        self.newcomer = false;
        if self.quiet || matches!(self.place.view, View::Json(_)) {
            return Ok(());
        }
        tell_who_is_here(&mut self.place)
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Failure> {
        let clocks = self.place.node.clocks();
        let json = matches!(self.place.view, View::Json(_));
        let is_news = self.talk.is_news(notice);
        let view = &mut self.place.view;
        match notice {
            Notice::Event(Event::Message(message)) => view.message(message, clocks),
            Notice::Event(Event::Settled { .. }) => {
                if json {
                    view.notice(notice, clocks)?;
                }
                if self.newcomer { self.arrived() } else { Ok(()) }
            }
            Notice::Event(Event::NotTold { why, .. }) => view.error(&format!("not told: {why}")),
            Notice::Event(Event::Refused(refusal)) => view.error(&refusal.to_string()),
            // Who was there before is told of in one line.
            Notice::Event(Event::Joined(_)) if self.newcomer && !json => Ok(()),
            Notice::Event(
                Event::Joined(_)
                | Event::Left(_)
                | Event::Dead(_)
                | Event::Renamed { .. }
                | Event::Moved { .. }
                | Event::Status(_),
            ) if self.quiet => Ok(()),
            _ if !is_news && !json => Ok(()),
            _ => view.notice(notice, clocks),
        }
    }

    /// Does what a line wants.
    fn line(&mut self, line: &str) -> Result<Next, Failure> {
        match commands::read(line) {
            Ok(None) => {}
            Ok(Some(Action::Quit)) => return Ok(Next::Quit),
            Ok(Some(action)) => self.talk.act(action, &mut self.place)?,
            Err(cause) => self.place.view.error(&cause)?,
        }
        Ok(Next::Go)
    }
}
