//! What the agent does for its clients.

use serde_json::value::RawValue;

use super::gateway::Gateway;
use super::kept::Kept;
use super::objects;
use super::protocol::{About, LinkAbout, LinkRow, Reply, Request, Status, What};
use super::renewal::Ended;
use super::server::Server;
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::{Event, Message, Outgoing, PeerInfo, TellError};
use crate::values::{ChannelName, Nick, NodeId, PeerText, filled, limits};
use crate::wire::Profile;

/// What this host says of itself: as configured, with what was changed since.
pub(super) fn merged(configured: &Profile, kept: &Kept) -> Profile {
    let mut profile = configured.clone();
    if let Some(nick) = kept.nick.as_deref().and_then(|nick| nick.parse::<Nick>().ok()) {
        profile.nick = nick.as_str().into();
    }
    for (key, value) in &kept.tags {
        let key = PeerText::from(key.as_str());
        match value {
            Some(value) => drop(profile.tags.insert(key, value.as_str().into())),
            None => drop(profile.tags.remove(&key)),
        }
    }
    for (name, port) in &kept.services {
        let name = PeerText::from(name.as_str());
        match port {
            Some(port) => drop(profile.services.insert(name, *port)),
            None => drop(profile.services.remove(&name)),
        }
    }
    profile
}

/// Whether it is short enough to be announced.
pub(super) fn fits(profile: &Profile) -> Result<(), String> {
    if profile.tags.len() > limits::TAGS || profile.services.len() > limits::TAGS {
        return Err(format!("at most {} tags and services are announced", limits::TAGS));
    }
    if profile.tag_bytes() > limits::TAG_BYTES {
        return Err(format!("tags and services have more than {} bytes", limits::TAG_BYTES));
    }
    Ok(())
}

impl Server {
    /// Does what a client asks for, and replies.
    pub(super) fn carry_out(&mut self, client: usize, n: Option<u64>, request: Request) {
        let reply = match request {
            Request::Hello => Ok(Reply { about: Some(self.about()), ..Reply::done(n) }),
            Request::Peers => Ok(self.peers(n)),
            Request::Say { channel, what, cast } => {
                self.say(client, &channel, what, cast);
                Ok(Reply::done(n))
            }
            // Its reply comes with the outcome.
            Request::Tell { to, what } => match self.tell(client, n, &to, what) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
            Request::Ask(inquiry) => self.ask(client, n, inquiry),
            Request::Confirm { channel, need, wait } => {
                self.confirm(client, n, &channel, (need, wait))
            }
            Request::Answer => {
                self.add_answerer(client);
                Ok(Reply::done(n))
            }
            Request::Reply { question, what, exit, last } => {
                self.take_reply(client, question, (what, exit), last)
            }
            Request::Listen { channels, events, history } => {
                return self.listen_for(client, n, &channels, (events, history));
            }
            Request::Join { channel, keep: false, history } => {
                let joined = self.join_for(client, &channel);
                if joined.is_ok() {
                    self.look_back(client, &[channel], history);
                }
                joined
            }
            Request::Leave { channel, keep: false } => self.leave_for(client, &channel),
            Request::Join { channel, keep: true, .. } => self.keep_channel(&channel),
            Request::Leave { channel, keep: true } => self.drop_channel(&channel),
            Request::Channels => Ok(self.channels(n)),
            Request::Links => self.links(n),
            Request::Nick(nick) => {
                let is_configured = self.configuration.profile.nick.raw() == nick.as_str();
                let nick = (!is_configured).then(|| nick.as_str().to_owned());
                self.change(|kept| kept.nick = nick)
            }
            Request::Away(why) => {
                self.profile.away = why.map(PeerText::new);
                self.node.set_profile(self.profile.clone());
                Ok(Reply::done(None))
            }
            Request::Tag(set) => self.change(|kept| kept.tags.extend(set)),
            Request::Service(offer) => self.change(|kept| kept.services.extend(offer)),
            Request::Status => Ok(Reply { status: Some(self.status()), ..Reply::done(n) }),
            Request::Stop => {
                self.ends = Some(Ended::Stopped);
                Ok(Reply::done(n))
            }
        };
        let reply = match reply {
            // Who gives no number does not wait.
            Ok(_) if n.is_none() => return,
            Ok(reply) => Reply { n, ..reply },
            Err(why) => Reply::refused(n, why),
        };
        if let Some(session) = self.session(client) {
            session.reply(&reply);
        }
    }

    fn about(&self) -> About {
        let links = self.node.links();
        About {
            id: self.node.id().to_string(),
            nick: self.profile.nick.raw().to_owned(),
            group: self.group.to_string(),
            sealed: self.sealed,
            links: links.into_iter().map(|(name, addr)| LinkAbout { name, addr }).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            peers: self.node.peer_count(),
        }
    }

    fn peers(&self, n: Option<u64>) -> Reply {
        let clocks = self.clocks();
        let peers: Vec<String> =
            self.node.peers().iter().map(|peer| objects::peer(peer, clocks)).collect();
        let list = RawValue::from_string(format!("[{}]", peers.join(",")));
        Reply { peers: list.ok(), count: Some(peers.len()), ..Reply::done(n) }
    }

    fn say(&mut self, client: usize, channel: &ChannelName, what: What, cast: bool) {
        self.saying.entry((channel.clone(), cast)).or_default().push_back(client);
        if cast {
            self.node.cast(channel, outgoing(what));
        } else {
            self.node.say(channel, outgoing(what));
        }
    }

    fn tell(&mut self, client: usize, n: Option<u64>, to: &str, what: What) -> Result<(), String> {
        let peers = self.node.peers();
        let peer = addressee(&peers, to)?;
        let id = peer.id;
        let what = outgoing(what);
        let ticket = self.node.tell(id, what.clone());
        self.telling.insert(ticket, (client, n));
        self.keep_told(id, ticket, what);
        Ok(())
    }

    fn keep_told(&mut self, to: NodeId, ticket: u64, what: Outgoing) {
        let told = Message {
            channel: None,
            from: Some(self.node.id()),
            source: None,
            nick: self.profile.nick.clone(),
            epoch: self.node.epoch(),
            seq: ticket,
            at: Some(what.at),
            text: what.text.as_str().into(),
            data: what.data,
            level: what.level,
            verified: true,
            history: false,
        };
        self.keep(&[(&told, Some(to))], &[]);
    }

    fn listen_for(
        &mut self,
        client: usize,
        n: Option<u64>,
        channels: &[ChannelName],
        (events, history): (bool, u32),
    ) {
        for channel in channels {
            if let Err(why) = self.join_for(client, channel) {
                if let Some(session) = self.session(client) {
                    session.reply(&Reply::refused(n, why));
                }
                return;
            }
        }
        let clocks = self.clocks();
        let mut here: Vec<Notice> = Vec::new();
        if events {
            let peers = self.node.peers();
            here.extend(peers.into_iter().map(|peer| Notice::Event(Event::Joined(peer))));
            here.push(Notice::Event(Event::Settled { complete: true }));
        }
        let now = self.node.now();
        let Some(session) = self.session(client) else { return };
        session.listens = true;
        session.events = events;
        if n.is_some() {
            session.reply(&Reply::done(n));
        }
        for line in here.iter().filter_map(|notice| objects::notice(notice, clocks)) {
            session.tell(&(line + "\n").into_bytes().into(), now);
        }
        self.look_back(client, channels, history);
    }

    fn join_for(&mut self, client: usize, channel: &ChannelName) -> Result<Reply, String> {
        self.has_room(channel)?;
        let Some(session) = self.session(client) else { return Ok(Reply::done(None)) };
        if session.channels.insert(channel.clone()) {
            self.take_part(channel);
        }
        Ok(Reply::done(None))
    }

    fn leave_for(&mut self, client: usize, channel: &ChannelName) -> Result<Reply, String> {
        let left = self.session(client).is_some_and(|session| session.channels.remove(channel));
        if !left {
            return Err(format!("this client is not in #{channel}"));
        }
        self.part(channel);
        Ok(Reply::done(None))
    }

    fn keep_channel(&mut self, channel: &ChannelName) -> Result<Reply, String> {
        self.has_room(channel)?;
        self.change(|kept| {
            kept.channels.insert(channel.as_str().to_owned());
        })
    }

    fn drop_channel(&mut self, channel: &ChannelName) -> Result<Reply, String> {
        if !self.kept.channels.contains(channel.as_str()) {
            return Err(format!("#{channel} is not one of the channels that are kept"));
        }
        self.change(|kept| {
            kept.channels.remove(channel.as_str());
        })
    }

    pub(super) fn has_room(&self, channel: &ChannelName) -> Result<(), String> {
        if self.members.contains_key(channel) || self.members.len() < limits::CHANNELS {
            return Ok(());
        }
        Err(format!("a node takes part in at most {} channels", limits::CHANNELS))
    }

    fn links(&self, n: Option<u64>) -> Result<Reply, String> {
        let all = self.node.interfaces().map_err(|e| format!("the system does not tell: {e}"))?;
        let rows = all.iter().map(|(interface, usage)| LinkRow::new(interface, *usage));
        Ok(Reply { links: Some(rows.collect()), ..Reply::done(n) })
    }

    fn channels(&self, n: Option<u64>) -> Reply {
        let joined = self.members.keys().map(|channel| channel.as_str().to_owned()).collect();
        let kept = self.kept.channels.iter().cloned().collect();
        let hooked = self.hooked.iter().map(|channel| channel.as_str().to_owned()).collect();
        let (kept, joined, hooked) = (Some(kept), Some(joined), Some(hooked));
        Reply { kept, joined, hooked, ..Reply::done(n) }
    }

    /// Changes what is kept, in the file and on the LAN, or nowhere.
    fn change(&mut self, change: impl FnOnce(&mut Kept)) -> Result<Reply, String> {
        let mut kept = self.kept.clone();
        change(&mut kept);
        let mut profile = merged(&self.configuration.profile, &kept);
        profile.away.clone_from(&self.profile.away);
        fits(&profile)?;
        self.add_callers(&mut profile);
        self.store.write(&kept).map_err(|e| format!("it can't be kept: {e}"))?;
        let before = std::mem::replace(&mut self.kept, kept);
        let named = |name: &String| name.parse::<ChannelName>().ok();
        let (after, gone) = (&self.kept.channels, &before.channels);
        let joined: Vec<_> = after.difference(gone).filter_map(named).collect();
        let left: Vec<_> = gone.difference(after).filter_map(named).collect();
        for channel in &joined {
            self.take_part_again(channel);
        }
        for channel in &left {
            self.part(channel);
        }
        if profile != self.profile {
            self.profile = profile;
            self.node.set_profile(self.profile.clone());
        }
        Ok(Reply::done(None))
    }

    fn status(&self) -> Status {
        let text = |text: &PeerText| text.raw().to_owned();
        let profile = &self.profile;
        let counted = self.node.stats().protocol.rows();
        let gateways = self.gateway.as_ref().map(Gateway::counters);
        let lost = [("history_lost", self.history.lost())];
        let all = counted.iter().chain(gateways.iter().flatten()).chain(&lost);
        let happened = all.filter(|(_, count)| *count > 0);
        Status {
            pid: std::process::id(),
            up: self.up(),
            peers: self.node.peer_count(),
            clients: self.clients(),
            history: self.history.count(),
            trouble: self.history.trouble(),
            away: profile.away.as_ref().map(text),
            tags: filled(profile.tags.iter().map(|(key, value)| (text(key), text(value)))),
            services: filled(profile.services.iter().map(|(name, port)| (text(name), *port))),
            gateway: self.gateway_status(),
            counters: filled(happened.map(|&(name, count)| (name.to_owned(), count))),
            hooks: self.hooks.counts(),
        }
    }
}

/// Whom a client means by an id or a nick.
pub(super) fn addressee<'a>(peers: &'a [PeerInfo], to: &str) -> Result<&'a PeerInfo, String> {
    let by_id = to.parse().ok().and_then(|id| peers.iter().find(|peer| peer.id == id));
    let named: Vec<&PeerInfo> = peers.iter().filter(|p| p.profile.nick.raw() == to).collect();
    match (by_id, &named[..]) {
        (Some(peer), _) => Ok(peer),
        (None, [peer]) => Ok(peer),
        (None, []) => Err(TellError::Unknown.to_string()),
        (None, _) => Err("several peers have that nick; give the id".to_owned()),
    }
}

pub(super) fn outgoing(what: What) -> Outgoing {
    Outgoing { at: Clock::wall(), text: what.text, data: what.data, level: what.level }
}
