//! `cooee say`: tells everyone in a channel, or one peer.

use std::time::{Duration, Instant};

use super::args;
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::agent::Door;
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::{Event, Outgoing, PeerInfo};
use crate::values::{ChannelName, Json, Level};

/// How long a direct message's outcome is waited for. The node gives up earlier; this is for the
/// case that it says nothing at all.
const OUTCOME: Duration = Duration::from_secs(60);

/// Runs the command.
pub(super) fn run(args: args::Say, mut settings: Settings) -> Result<Exit, Failure> {
    let until = Instant::now() + args.wait;
    let text = Text::of(&args.words)?;
    // The agent knows who is here; a node of one's own has to look first.
    let (node, looked) = if let Some(client) = session::agent(&settings)? {
        (Door::Agent(client), Ok(()))
    } else {
        let (node, notices) = session::own(&mut settings, Role::Visitor)?;
        (Door::Own(node), session::settle(|left| notices.next(left), until))
    };
    let direct = args.to.is_some();
    let ended = looked.and_then(|()| {
        let to = match &args.to {
            None => To::Channel(args.words.channel),
            Some(name) => To::Peer(session::addressee(&node, name)?),
        };
        let (level, data) = (args.words.level, args.words.data);
        let mut speaker = Speaker { node: &node, to, level, data, settings: &settings };
        match text {
            Text::Words(text) => speaker.send(text),
            Text::Input => speaker.say_input(),
        }
    });
    let ended = ended.and_then(|exit| {
        let alone = node.settle()? == 0;
        if alone && !direct && !settings.quiet {
            note("said, but nobody is here to hear it; `cooee peers` tells more");
        }
        Ok(exit)
    });
    session::stop(node, &settings);
    ended
}

/// What is to be said.
enum Text {
    /// This.
    Words(String),
    /// Each line of standard input.
    Input,
}

impl Text {
    fn of(words: &args::Words) -> Result<Self, Failure> {
        if words.text == ["-"] {
            return Ok(Self::Input);
        }
        words.joined().map(Self::Words)
    }
}

/// Where messages go.
enum To {
    Channel(ChannelName),
    Peer(PeerInfo),
}

struct Speaker<'a> {
    node: &'a Door,
    to: To,
    level: Level,
    data: Option<Json>,
    settings: &'a Settings,
}

impl Speaker<'_> {
    /// Says each line of standard input as it comes.
    fn say_input(&mut self) -> Result<Exit, Failure> {
        let hub = Hub::new();
        hub.signals(|| {})?;
        hub.input();
        let (mut number, mut worst) = (0_u64, Exit::Done);
        loop {
            let line = match hub.next(None) {
                Happening::Line(line) => line,
                Happening::End(None) | Happening::Signal => break,
                Happening::End(Some(e)) => return Err(Failure::input(&e)),
                Happening::Notice(_) | Happening::Stopped | Happening::Time => continue,
            };
            number += 1;
            match line.said(number) {
                Ok(Some(text)) => {
                    if self.send(text)? != Exit::Done && worst == Exit::Done {
                        worst = Exit::No;
                    }
                }
                Ok(None) => {}
                Err(cause) => {
                    note(cause);
                    worst = Exit::Usage;
                }
            }
        }
        Ok(worst)
    }

    /// Says one thing.
    fn send(&mut self, text: String) -> Result<Exit, Failure> {
        let bytes = text.len();
        let what = Outgoing { at: Clock::wall(), text, data: self.data.clone(), level: self.level };
        match &self.to {
            To::Channel(channel) => {
                self.node.say(channel, what)?;
                if self.settings.json {
                    let peers = self.node.peers()?.len();
                    let said = json::said(channel.as_str(), self.level.as_str(), bytes, peers);
                    Out::new().line(&said)?;
                }
                Ok(Exit::Done)
            }
            To::Peer(peer) => self.tell(peer, what),
        }
    }

    /// Tells the peer and waits for the outcome.
    fn tell(&self, peer: &PeerInfo, what: Outgoing) -> Result<Exit, Failure> {
        let notices = self.node.subscribe()?;
        let wanted = self.node.tell(peer.id, what)?;
        let until = Instant::now() + OUTCOME;
        let why = loop {
            let left = until.saturating_duration_since(Instant::now());
            match notices.next(left)? {
                Some(Notice::Event(Event::Told { ticket, took })) if ticket == wanted => {
                    if self.settings.json {
                        Out::new().line(&json::told(peer, took))?;
                    }
                    return Ok(Exit::Done);
                }
                Some(Notice::Event(Event::NotTold { ticket, why })) if ticket == wanted => {
                    break why.to_string();
                }
                Some(_) if left > Duration::ZERO => {}
                _ => break "the outcome is not known".to_owned(),
            }
        };
        if self.settings.json {
            Out::new().line(&json::not_told(peer, &why))?;
        }
        note(format_args!("{} was not told: {why}", peer.profile.nick.escaped()));
        Ok(Exit::No)
    }
}
