//! `cooee say`: tells everyone in a channel, or one peer; and whether it has arrived, if that is
//! asked for.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::args;
use super::confirming::{self, CHANCE, LAST_CHANCE, Wish};
use super::duration;
use super::exit::{Exit, Failure};
use super::hub::{Happening, Hub};
use super::options::Settings;
use super::output::{Out, json, note};
use super::session::{self, Role};
use crate::agent::{Confirmed, Door, Need, Receipt};
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::{Event, Outgoing, PeerInfo};
use crate::values::{ChannelName, Json, Level, limits};

/// How long peers are looked for, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The same where all of them have to confirm: no node looks for longer.
const LOOK_WELL: Duration = Duration::from_secs(2);

/// How long receipts are waited for.
const RECEIPTS: Duration = Duration::from_secs(5);

/// How long a direct message's outcome is waited for. The node gives up earlier; this is for the
/// case that it says nothing at all.
const OUTCOME: Duration = Duration::from_secs(60);

/// Runs the command.
pub(super) fn run(args: args::Say, mut settings: Settings) -> Result<Exit, Failure> {
    let wish = wish(&args)?;
    let look = if args.confirm { LOOK_WELL } else { args.wait.unwrap_or(LOOK) };
    let until = Instant::now() + look;
    // Whether one who is only told of takes part in the channel is not known.
    let hears_all = args.confirm && args.to.is_none();
    let text = Text::of(&args.words)?;
    // The agent knows who is here; a node of one's own has to look first.
    let (node, looked) = if let Some(client) = session::agent(&settings)? {
        (Door::Agent(client), Ok(()))
    } else {
        let (node, notices) = session::own(&mut settings, Role::Visitor)?;
        let mut looked = session::settle(|left| notices.next(left), until);
        if hears_all {
            looked = looked.and_then(|()| session::hear_all(&node, &notices));
        }
        (Door::Own(node), looked)
    };
    let ended = looked.and_then(|()| {
        let to = match &args.to {
            None => To::Channel(args.words.channel),
            Some(name) => To::Peer(session::addressee(&node, name)?),
        };
        let (level, data) = (args.words.level, args.words.data);
        let outcomes = Outcomes::default();
        let mut speaker =
            Speaker { node: &node, to, level, data, wish, settings: &settings, outcomes };
        let (said, stays) = match text {
            Text::Words(text) => (speaker.send(text)?, Stays::Willingly),
            Text::Input => speaker.say_input()?,
        };
        let arrived = speaker.finish(stays)?;
        Ok(if said == Exit::Done { arrived } else { said })
    });
    session::stop(node, &settings);
    ended
}

/// What is to be confirmed, if anything.
fn wish(args: &args::Say) -> Result<Option<Wish>, Failure> {
    let (need, wait) = (args.need.unwrap_or(Need::All), args.wait.unwrap_or(RECEIPTS));
    if args.confirm && wait > limits::CONFIRM_TIME {
        let most = duration::show(limits::CONFIRM_TIME);
        return Err(Failure::Usage(format!(
            "receipts are waited for at most {most}: --wait {most}"
        )));
    }
    Ok(args.confirm.then_some(Wish { need, wait }))
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

/// Whether the command may take its time to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stays {
    Willingly,
    /// The user wants it to end.
    Hurried,
}

/// What has become of what was said.
#[derive(Default)]
struct Outcomes {
    said: u64,
    /// Of what was told to one peer: how long the last message took, and how many did not arrive.
    took: Duration,
    not_told: u64,
}

struct Speaker<'a> {
    node: &'a Door,
    to: To,
    level: Level,
    data: Option<Json>,
    wish: Option<Wish>,
    settings: &'a Settings,
    outcomes: Outcomes,
}

impl Speaker<'_> {
    /// Says each line of standard input as it comes.
    fn say_input(&mut self) -> Result<(Exit, Stays), Failure> {
        let hub = Hub::new();
        let confirms = self.wish.is_some();
        hub.signals(move || {
            if confirms {
                // What was not confirmed is not done.
                std::process::exit(Exit::No.code().into());
            }
        })?;
        hub.input();
        let (mut number, mut worst) = (0_u64, Exit::Done);
        loop {
            let line = match hub.next(None) {
                Happening::Line(line) => line,
                Happening::End(None) => return Ok((worst, Stays::Willingly)),
                Happening::Signal => {
                    if !std::io::stdin().is_terminal() {
                        note(format_args!(
                            "interrupted after {number} lines: no further one is said"
                        ));
                        worst = if worst == Exit::Done { Exit::No } else { worst };
                    }
                    return Ok((worst, Stays::Hurried));
                }
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
    }

    /// Says one thing.
    fn send(&mut self, text: String) -> Result<Exit, Failure> {
        let bytes = text.len();
        let what = Outgoing { at: Clock::wall(), text, data: self.data.clone(), level: self.level };
        self.outcomes.said += 1;
        match &self.to {
            To::Channel(channel) => {
                self.node.say(channel, what)?;
                if self.settings.json && self.wish.is_none() {
                    let peers = self.node.peers()?.len();
                    let said = json::said(channel.as_str(), self.level.as_str(), bytes, peers);
                    Out::new().line(&said)?;
                }
                Ok(Exit::Done)
            }
            To::Peer(peer) => {
                let told = self.tell(peer, what)?;
                match told {
                    Some(took) => self.outcomes.took = took,
                    None => self.outcomes.not_told += 1,
                }
                Ok(if told.is_some() { Exit::Done } else { Exit::No })
            }
        }
    }

    /// Tells the peer and waits for the outcome; how long it took, if it has arrived.
    fn tell(&self, peer: &PeerInfo, what: Outgoing) -> Result<Option<Duration>, Failure> {
        let notices = self.node.subscribe()?;
        let wanted = self.node.tell(peer.id, what)?;
        let until = Instant::now() + self.wish.map_or(OUTCOME, |wish| wish.wait);
        let prints = self.settings.json && self.wish.is_none();
        let why = loop {
            let left = until.saturating_duration_since(Instant::now());
            match notices.next(left)? {
                Some(Notice::Event(Event::Told { ticket, took })) if ticket == wanted => {
                    if prints {
                        Out::new().line(&json::told(peer, took))?;
                    }
                    return Ok(Some(took));
                }
                Some(Notice::Event(Event::NotTold { ticket, why })) if ticket == wanted => {
                    break why.to_string();
                }
                Some(_) if left > Duration::ZERO => {}
                _ => break "the outcome is not known".to_owned(),
            }
        };
        if prints {
            Out::new().line(&json::not_told(peer, &why))?;
        }
        note(format_args!("{} was not told: {why}", peer.profile.nick.escaped()));
        Ok(None)
    }

    /// Sees to it that what was said arrives, and tells whether it has if that is asked for.
    fn finish(&self, stays: Stays) -> Result<Exit, Failure> {
        let Some(wish) = self.wish else {
            self.linger(stays)?;
            return Ok(Exit::Done);
        };
        if self.outcomes.said == 0 {
            note("nothing was said, so there is nothing to confirm");
            return Ok(Exit::No);
        }
        match &self.to {
            // Who was told has confirmed it already.
            To::Peer(peer) => self.confirm_told(peer, wish),
            To::Channel(_) if stays == Stays::Hurried => {
                note("interrupted; whether it has arrived is not known");
                Ok(Exit::No)
            }
            To::Channel(channel) => confirming::confirm(self.node, channel, wish, self.settings),
        }
    }

    fn linger(&self, stays: Stays) -> Result<(), Failure> {
        let To::Channel(channel) = &self.to else { return Ok(()) };
        let wait = if stays == Stays::Willingly { CHANCE } else { LAST_CHANCE };
        if self.outcomes.said > 0 {
            confirming::linger(self.node, std::slice::from_ref(channel), wait, self.settings)?;
        }
        let alone = self.node.settle()? == 0;
        if alone && !self.settings.quiet {
            note("said, but nobody is here to hear it; `cooee peers` tells more");
        }
        Ok(())
    }

    /// An acknowledgement is a receipt.
    fn confirm_told(&self, peer: &PeerInfo, wish: Wish) -> Result<Exit, Failure> {
        let who = (peer.id, peer.profile.nick.clone());
        let mut confirmed = Confirmed { received: 0, expected: 1, missing: Vec::new() };
        if self.outcomes.not_told == 0 {
            confirmed.received = 1;
            let (from, nick) = who;
            let receipt = Receipt { from, nick, took: self.outcomes.took };
            confirming::show_receipt(&receipt, self.settings)?;
        } else {
            confirmed.missing.push(who);
        }
        confirming::conclude(&confirmed, wish.need, self.settings)
    }
}
