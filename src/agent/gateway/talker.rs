//! A caller that has a nick: its node, what it has to say, and what it is shown.

use std::convert::Infallible;
use std::time::Duration;

use super::output::Output;
use super::{CHANCE, CHANNELS, LISTED, LOOK, OUTCOME};
use crate::agent::roll_call::RollCall;
use crate::agent::survey::Need;
use crate::net::Clock;
use crate::node::{LocalNode, Notice, Options, StartError, Stopped};
use crate::proto::{Event, Outgoing, PeerInfo};
use crate::talk::commands::Action;
use crate::talk::text::Style;
use crate::talk::{Conversation, Place, table, tell_who_is_here};
use crate::values::{ChannelName, Instant, Nick, NodeId};
use crate::wire::Profile;

/// A caller's node and conversation.
#[derive(Debug)]
pub(super) struct Talker {
    node: LocalNode,
    talk: Conversation,
    /// It looks who is there, until then.
    looks: Option<Instant>,
    /// It goes, then at the latest.
    goes: Option<Instant>,
    /// What it has said last is being confirmed, and waited for until then.
    last: Vec<RollCall>,
    parts: Option<Instant>,
}

/// What the other callers are, as far as a line about one of them needs it.
pub(super) trait Company {
    /// How many are connected, if `peer` is or was one of them.
    fn connected(&self, peer: NodeId) -> Option<usize>;
}

/// The caller's way to the LAN, and its lines.
struct Window<'a> {
    node: &'a mut LocalNode,
    output: &'a mut Output,
    style: &'a Style,
    now: Instant,
}

impl Window<'_> {
    fn show(&mut self, line: &str) {
        self.output.line(line, self.now);
    }

    fn lines(&mut self, sign: char, what: &str) {
        let lines: Vec<String> = what.lines().map(|line| format!("{sign} {line}")).collect();
        self.show(&lines.join("\n"));
    }
}

impl Place for Window<'_> {
    type Error = Infallible;

    fn say(&mut self, channel: &ChannelName, what: Outgoing) -> Result<(), Infallible> {
        self.node.say(channel, what);
        Ok(())
    }

    fn join(&mut self, channel: &ChannelName) -> Result<(), Infallible> {
        self.node.join(channel);
        Ok(())
    }

    fn leave(&mut self, channel: &ChannelName) -> Result<(), Infallible> {
        self.node.leave(channel);
        Ok(())
    }

    fn set_profile(&mut self, profile: &Profile) -> Result<(), Infallible> {
        self.node.set_profile(profile.clone());
        Ok(())
    }

    fn tell(&mut self, to: NodeId, what: Outgoing) -> Result<u64, Infallible> {
        Ok(self.node.tell(to, what))
    }

    fn peers(&mut self) -> Result<Vec<PeerInfo>, Infallible> {
        Ok(self.node.peers())
    }

    fn info(&mut self, what: &str) -> Result<(), Infallible> {
        self.lines('*', what);
        Ok(())
    }

    fn error(&mut self, what: &str) -> Result<(), Infallible> {
        self.lines('!', what);
        Ok(())
    }

    fn list(&mut self, peers: &[PeerInfo]) -> Result<(), Infallible> {
        self.show(&table::peers(&peers[..peers.len().min(LISTED)]));
        match peers.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => self.info(&format!("and {more} more")),
        }
    }

    fn nick(&self, peer: &PeerInfo) -> String {
        self.style.nick(&peer.profile.nick, None)
    }
}

impl Talker {
    /// Starts the node of somebody who gives that nick.
    pub(super) fn start(options: &Options, nick: &Nick, now: Instant) -> Result<Self, StartError> {
        let mut options = options.clone();
        options.profile.nick = nick.as_str().into();
        let talk = Conversation::new(options.profile.clone(), ChannelName::lobby());
        let node = LocalNode::start(options)?;
        Ok(Self { node, talk, looks: Some(now + LOOK), goes: None, last: Vec::new(), parts: None })
    }

    pub(super) fn node(&self) -> &LocalNode {
        &self.node
    }

    /// Whether it can take part in that channel, one more perhaps.
    pub(super) fn has_room(&self, channel: &ChannelName) -> bool {
        let joined = self.talk.joined();
        joined.len() < CHANNELS || joined.contains(channel)
    }

    /// Whether what the caller types is to be read.
    pub(super) fn hears(&self) -> bool {
        self.looks.is_none() && self.goes.is_none() && !self.node.is_congested()
    }

    /// Goes, as soon as it is known what became of what it has said last.
    pub(super) fn go(&mut self, now: Instant) {
        if self.goes.is_some() {
            return;
        }
        (self.goes, self.parts) = (Some(now + OUTCOME), Some(now + CHANCE));
        for channel in self.talk.said_lately() {
            self.last.push(RollCall::new(self.node.confirm(&channel), Need::All, &[]));
        }
    }

    /// Whether everything is said and done.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        let Some(until) = self.goes else { return false };
        now >= until || self.stays(now).is_none() && !self.talk.waits()
    }

    /// Until when it stays for what it has said last to arrive, if that has not.
    fn stays(&self, now: Instant) -> Option<Instant> {
        let arrived = self.last.iter().all(RollCall::is_over);
        self.parts.filter(|until| now < *until && !arrived)
    }

    /// When it wants a turn even if nothing happens before.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let node = self.node.deadline().since(self.node.now());
        [self.looks, self.goes, self.stays(now)]
            .into_iter()
            .flatten()
            .map(|until| until.since(now))
            .fold(node, Duration::min)
    }

    /// Does what a line wants.
    pub(super) fn act(&mut self, action: Action, output: &mut Output, style: &Style, now: Instant) {
        let mut window = Window { node: &mut self.node, output, style, now };
        let Ok(()) = self.talk.act(action, &mut window);
    }

    /// Gives the node a turn, and shows what has happened.
    pub(super) fn turn(
        &mut self,
        output: &mut Output,
        style: &Style,
        now: Instant,
        company: &impl Company,
    ) -> Result<(), Stopped> {
        for notice in self.node.turn(Duration::ZERO)?.notices {
            self.notice(&notice, output, style, now, company);
        }
        if self.looks.is_some_and(|until| now >= until) {
            self.arrived(output, style, now);
        }
        Ok(())
    }

    /// Whoever was there before is known by now.
    fn arrived(&mut self, output: &mut Output, style: &Style, now: Instant) {
        self.looks = None;
        let mut window = Window { node: &mut self.node, output, style, now };
        let Ok(()) = tell_who_is_here(&mut window);
        let nick = &self.talk.profile.nick;
        if window.node.peers().iter().any(|peer| peer.profile.nick == *nick) {
            let nick = nick.escaped();
            window.lines('*', &format!("somebody else is called {nick} too; /rename NAME helps"));
        }
    }

    fn notice(
        &mut self,
        notice: &Notice,
        output: &mut Output,
        style: &Style,
        now: Instant,
        company: &impl Company,
    ) {
        if let Notice::Event(event) = notice {
            for roll in &mut self.last {
                roll.note(event);
            }
        }
        if !self.talk.is_news(notice) {
            return;
        }
        let line = match notice {
            Notice::Event(Event::Message(message)) => style.message(message, Clock::wall()),
            Notice::Event(Event::Settled { .. }) => {
                if self.looks.is_some() {
                    self.arrived(output, style, now);
                }
                return;
            }
            Notice::Event(Event::NotTold { why, .. }) => format!("! not told: {why}"),
            Notice::Event(Event::Refused(refusal)) => format!("! {refusal}"),
            // Who was there before is told of in one line.
            Notice::Event(Event::Joined(_)) if self.looks.is_some() => return,
            // Whose messages can't be read and what links are up is the agent's business.
            Notice::Dropped { .. } | Notice::LinkUp { .. } | Notice::LinkDown { .. } => return,
            _ => match company_news(notice, style, company).or_else(|| style.notice(notice)) {
                Some(line) => format!("* {line}"),
                None => return,
            },
        };
        output.line(&line, now);
    }
}

/// That another caller has come or gone, and how many there are now.
fn company_news(notice: &Notice, style: &Style, company: &impl Company) -> Option<String> {
    let (peer, what) = match notice {
        Notice::Event(Event::Joined(peer)) => (peer, "joined"),
        Notice::Event(Event::Left(peer) | Event::Dead(peer)) => (peer, "left"),
        _ => return None,
    };
    let count = company.connected(peer.id)?;
    Some(format!("{} {what} ({count} connected)", style.nick(&peer.profile.nick, None)))
}
