//! `cooee chat`: talking line by line, at a terminal or through pipes.
//!
//! One loop takes what was typed and what happened, in the order in which it came ([`Hub`]); what
//! a line means stands in one table ([`commands`]), and where lines go is a [`View`].

mod commands;
mod terminal;
mod view;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::commands::Action;
use self::terminal::Terminal;
use self::view::View;
use super::args;
use super::exit::{Exit, Failure};
use super::find::{self, Found};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::text::Style;
use super::output::{Out, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::net::Clock;
use crate::node::{Notice, Stopped};
use crate::proto::{Event, Outgoing, PeerInfo, Refusal};
use crate::values::{ChannelName, Escaped, Level, Nick, PeerText, limits};
use crate::wire::Profile;

/// How long a newcomer looks who is there before it says what came through a pipe, and before it
/// tells of comings one by one.
const LOOK: Duration = Duration::from_secs(1);

/// How long the outcome of direct messages is waited for at the end.
const OUTCOME: Duration = Duration::from_secs(10);

/// More peers than this are counted and not named when the chat begins.
const NAMED: usize = 10;

/// Runs the command.
pub(super) fn run(args: args::Chat, mut settings: Settings) -> Result<Exit, Failure> {
    let channel = args.channel;
    settings.node.channels = vec![channel.clone()];
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
        node: &node,
        view,
        profile,
        current: Some(channel.clone()),
        joined: vec![channel],
        tickets: BTreeSet::new(),
        newcomer: true,
        quiet: settings.quiet,
    };
    let ended = chat.greet(&settings, &node).and_then(|()| chat.run(&hub, terminal.as_ref()));
    drop(chat);
    if let Some(terminal) = terminal {
        terminal.close();
    }
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
    node: &'a Door,
    view: View,
    profile: Profile,
    /// Where plain lines are said.
    current: Option<ChannelName>,
    joined: Vec<ChannelName>,
    /// Direct messages whose outcome is not known yet.
    tickets: BTreeSet<u64>,
    /// It is not known yet who is here.
    newcomer: bool,
    quiet: bool,
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
        let nick = self.profile.nick.escaped();
        let line = format!("you are {nick} on {}; /help lists the commands", session::links(node)?);
        match self.view {
            View::Terminal(..) => self.view.info(&line),
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
                            self.view.error(&format!("the line {cause}; it was not said"))?;
                            Next::Go
                        }
                    };
                    if let Some(terminal) = terminal.filter(|_| next == Next::Go) {
                        terminal.prompt(prompt(self.current.as_ref()));
                    }
                    ending |= next == Next::Quit;
                }
                // A terminal that has gone reads as an error.
                Happening::End(Some(e)) if terminal.is_none() => return Err(Failure::input(&e)),
                Happening::End(_) => ending = true,
                Happening::Time if self.newcomer => self.arrived()?,
                Happening::Time | Happening::Signal => return Ok(()),
                Happening::Stopped => return Err(Stopped.into()),
            }
            if ending && self.tickets.is_empty() {
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
        if self.quiet || matches!(self.view, View::Json(_)) {
            return Ok(());
        }
        let peers = self.sorted_peers()?;
        let line = match peers.len() {
            0 => "nobody else is here yet".to_owned(),
            1..=NAMED => {
                let nicks: Vec<String> = peers.iter().map(|peer| self.view.nick(peer)).collect();
                format!("here: {}", nicks.join(", "))
            }
            count => format!("{count} peers are here; /who lists them"),
        };
        self.view.info(&line)
    }

    fn sorted_peers(&self) -> Result<Vec<PeerInfo>, Failure> {
        let mut peers = self.node.peers()?;
        peers.sort_by(|a, b| (&a.profile.nick, a.id).cmp(&(&b.profile.nick, b.id)));
        Ok(peers)
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Failure> {
        let clocks = self.node.clocks();
        let json = matches!(self.view, View::Json(_));
        match notice {
            Notice::Event(Event::Message(message)) => self.view.message(message, clocks),
            Notice::Event(Event::Settled { .. }) => {
                if self.newcomer {
                    self.arrived()?;
                }
                if json { self.view.notice(notice, clocks) } else { Ok(()) }
            }
            Notice::Event(Event::Told { ticket, .. }) => {
                self.tickets.remove(ticket);
                Ok(())
            }
            Notice::Event(Event::NotTold { ticket, why }) => {
                self.tickets.remove(ticket);
                self.view.error(&format!("not told: {why}"))
            }
            Notice::Event(Event::Refused(refusal)) => self.view.error(&refusal.to_string()),
            // Who was there before is told of in one line.
            Notice::Event(Event::Joined(_)) if self.newcomer && !json => Ok(()),
            Notice::Event(
                Event::Joined(_)
                | Event::Left(_)
                | Event::Dead(_)
                | Event::Renamed { .. }
                | Event::Status(_),
            ) if self.quiet => Ok(()),
            // Suspicions come and go; they mean nothing to somebody who talks.
            Notice::Event(Event::Suspect(_) | Event::Alive(_)) if !json => Ok(()),
            _ => self.view.notice(notice, clocks),
        }
    }

    /// Does what a line wants.
    fn line(&mut self, line: &str) -> Result<Next, Failure> {
        match commands::read(line) {
            Ok(None) => {}
            Ok(Some(Action::Quit)) => return Ok(Next::Quit),
            Ok(Some(action)) => self.act(action)?,
            Err(cause) => self.view.error(&cause)?,
        }
        Ok(Next::Go)
    }

    fn act(&mut self, action: Action) -> Result<(), Failure> {
        match action {
            Action::Say(text) => match &self.current {
                Some(channel) => Ok(self.node.say(channel, outgoing(text))?),
                None => self.view.error("you are in no channel; /join one"),
            },
            Action::Nick(nick) => self.rename(&nick),
            Action::Msg(rest) => self.tell(&rest),
            Action::Join(channel) => self.join(channel),
            Action::Leave(channel) => self.leave(channel),
            Action::Who => {
                let peers = self.sorted_peers()?;
                self.view.peers(&peers, self.node.clocks())
            }
            Action::Away(why) => self.away(why),
            Action::Help => self.view.info(&commands::help()),
            Action::Quit => Ok(()),
        }
    }

    fn rename(&mut self, nick: &Nick) -> Result<(), Failure> {
        self.profile.nick = nick.as_str().into();
        self.node.set_profile(self.profile.clone())?;
        self.view.info(&format!("you are {nick} now"))
    }

    fn away(&mut self, why: Option<String>) -> Result<(), Failure> {
        self.profile.away = match (why, self.profile.away.take()) {
            (Some(why), _) => Some(PeerText::new(why)),
            (None, Some(_)) => None,
            (None, None) => Some("away".into()),
        };
        self.node.set_profile(self.profile.clone())?;
        self.view.info(match self.profile.away {
            Some(_) => "you are away; /away brings you back",
            None => "you are back",
        })
    }

    fn tell(&mut self, rest: &str) -> Result<(), Failure> {
        let peers = self.node.peers()?;
        let (found, name, text) = find::find_first(&peers, rest);
        let name = Escaped::of(name);
        match found {
            Found::Nobody => self.view.error(&format!("nobody here is called '{name}'; see /who")),
            Found::Several(found) => {
                let candidates = find::candidates(&found);
                self.view.error(&format!("'{name}' may be any of these; give the id:{candidates}"))
            }
            Found::One(_) if text.is_empty() => {
                self.view.error(&format!("say what '{name}' is to be told: /msg NAME TEXT"))
            }
            Found::One(peer) => {
                let ticket = self.node.tell(peer.id, outgoing(text.to_owned()))?;
                self.tickets.insert(ticket);
                Ok(())
            }
        }
    }

    fn join(&mut self, channel: ChannelName) -> Result<(), Failure> {
        if !self.joined.contains(&channel) {
            if self.joined.len() >= limits::CHANNELS {
                return self.view.error(&Refusal::TooManyChannels.to_string());
            }
            self.node.join(&channel)?;
            self.joined.push(channel.clone());
        }
        self.view.info(&format!("you speak in #{channel} now"))?;
        self.current = Some(channel);
        Ok(())
    }

    fn leave(&mut self, channel: Option<ChannelName>) -> Result<(), Failure> {
        let Some(channel) = channel.or_else(|| self.current.clone()) else {
            return self.view.error("you are in no channel; /join one");
        };
        if !self.joined.contains(&channel) {
            return self.view.error(&format!("you are not in #{channel}"));
        }
        self.node.leave(&channel)?;
        self.joined.retain(|joined| *joined != channel);
        if self.current.as_ref() == Some(&channel) {
            self.current = self.joined.last().cloned();
        }
        self.view.info(&match &self.current {
            Some(current) => format!("you have left #{channel} and speak in #{current}"),
            None => format!("you have left #{channel} and are in no channel; /join one"),
        })
    }
}

fn outgoing(text: String) -> Outgoing {
    Outgoing { at: Clock::wall(), text, data: None, level: Level::Info }
}
