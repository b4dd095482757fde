//! The agent's loop: the node, the control socket with its clients, and the signals in one poll.
//!
//! A turn takes in what has arrived, keeps what was said, and only then tells the clients. Each
//! client has a bounded turn of its own, and none is waited for.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mio::Interest;
use mio::net::UnixListener;

use super::asking::Asking;
use super::confirming::Confirming;
use super::entrance::{AgentError, AgentOptions, Signals, listen, raise_limit};
use super::gateway::{self, Gateway};
use super::history::Keeper;
use super::hooks::Hooks;
use super::kept::{Kept, Store};
use super::late::is_signed;
use super::log::Log;
use super::looking_back::LookingBack;
use super::objects::{self, Clocks};
use super::protocol::Reply;
use super::reload::{Configuration, Source};
use super::renewal::{Ended, KEY};
use super::session::Session;
use crate::net::Clock;
use crate::node::{Guest, LocalNode, Notice};
use crate::proto::{Event, Kept as Entry, Message};
use crate::values::{ChannelName, Group, Instant, NodeId, SmallMap, SmallSet, filled};
use crate::wire::Profile;

/// The longest that the agent sleeps: for clients that have stopped reading, and the like.
const TURN: Duration = Duration::from_secs(1);

/// The same while there is nobody to look after.
const IDLE_TURN: Duration = Duration::from_secs(10);

/// Whoever is here has answered by then; or nobody is.
const LOOK: Duration = Duration::from_secs(2);

/// Numbers of the sources in the poll: these, then the clients.
const LISTENER: usize = 0;
const SIGNALS: usize = 1;
pub(super) const FIRST_CLIENT: usize = 2;

/// The agent.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) node: LocalNode,
    pub(super) log: Log,
    pub(super) group: Group,
    pub(super) sealed: bool,
    /// As configured, before what was changed at run time.
    pub(super) configuration: Configuration,
    pub(super) source: Source,
    pub(super) hooks: Hooks,
    /// Channels that the agent is in for its hooks.
    pub(super) hooked: SmallSet<ChannelName>,
    pub(super) profile: Profile,
    pub(super) kept: Kept,
    pub(super) store: Store,
    pub(super) history: Keeper,
    pub(super) listener: UnixListener,
    path: PathBuf,
    signals: Signals,
    pub(super) sessions: BTreeMap<usize, Session>,
    /// Numbers of clients that have gone.
    pub(super) free: Vec<usize>,
    /// Clients of which more is to be read.
    pub(super) busy: SmallSet<usize>,
    /// With whom the next turn begins.
    pub(super) next: usize,
    /// It knows who is here, as far as it can be known so soon: before that nobody is let in, who would be told that
    /// nobody is.
    pub(super) looked: bool,
    /// Somebody waits to be let in, for whom there was no open file left.
    pub(super) crowded: bool,
    /// How many, the agent itself included, want to be in a channel.
    pub(super) members: SmallMap<ChannelName, usize>,
    /// Who said what the engine has yet to number.
    pub(super) saying: SmallMap<(ChannelName, bool), VecDeque<usize>>,
    /// Who waits for the outcome of which direct message: client and its number for it.
    pub(super) telling: SmallMap<u64, (usize, Option<u64>)>,
    pub(super) looking_back: LookingBack,
    /// How many of a channel's last messages are fetched from others when it is joined.
    pub(super) recall: u32,
    /// In which channels others were asked for more of them, and for how many.
    pub(super) recalled: SmallMap<ChannelName, u32>,
    pub(super) asking: Asking,
    pub(super) confirming: Confirming,
    pub(super) started: Instant,
    /// It is to end, and how.
    pub(super) ends: Option<Ended>,
    /// Where its key is kept, under the name [`KEY`].
    pub(super) folder: Option<PathBuf>,
    pub(super) gateway: Option<Gateway>,
    /// How many of its callers the LAN was told of, and when.
    pub(super) shown_callers: (Option<usize>, Instant),
}

impl Server {
    /// Opens everything.
    pub(crate) fn start(mut options: AgentOptions) -> Result<Self, AgentError> {
        let log = options.log;
        let mut warn = |warning: String| log.warn(&warning);
        raise_limit();
        let listener = listen(&options.socket)?;
        let in_folder = |name: &str| options.folder.as_ref().map(|folder| folder.join(name));
        let (store, kept) = Store::open(in_folder("agent.json"), &mut warn);
        let configuration = options.configuration;
        let kept = kept.unwrap_or_else(|| Kept {
            channels: filled([ChannelName::LOBBY.to_owned()]),
            ..Kept::default()
        });
        let profile = super::requests::merged(&configuration.profile, &kept);
        let channels: Vec<ChannelName> =
            kept.channels.iter().filter_map(|name| name.parse().ok()).collect();
        options.node.profile = profile.clone();
        options.node.channels.clone_from(&channels);
        options.node.echo = true;
        options.node.keep = true;
        options.node.key = Some(KEY.to_owned());
        let (group, sealed) = (options.node.group, options.node.secret.is_some());
        let history = match in_folder("history.db") {
            Some(path) => Keeper::open(path, configuration.keeping, &mut warn),
            None => Keeper::nowhere(),
        };
        let gateway = options
            .gateway
            .map(|gateway| gateway::listen(gateway.addr).map(|listener| (gateway, listener)));
        let gateway = gateway.transpose().inspect_err(|_| {
            let _ = fs::remove_file(&options.socket);
        })?;
        let callers = crate::node::Options { keep: false, recall: 0, ..options.node.clone() };
        let recall = options.node.recall;
        let started = LocalNode::start(options.node);
        let node = match started {
            Ok(node) => node,
            Err(error) => {
                let _ = fs::remove_file(&options.socket);
                return Err(error.into());
            }
        };
        node.warnings().iter().for_each(|warning| log.warn(warning));
        let mut server = Self {
            started: node.now(),
            node,
            log,
            group,
            sealed,
            hooks: Hooks::new(&configuration.hooks, &options.socket, group),
            hooked: SmallSet::new(),
            configuration,
            source: options.source,
            profile,
            kept,
            store,
            history,
            listener,
            path: options.socket,
            signals: Signals::catch()?,
            sessions: BTreeMap::new(),
            free: Vec::new(),
            busy: SmallSet::new(),
            next: 0,
            looked: false,
            crowded: false,
            members: SmallMap::new(),
            saying: SmallMap::new(),
            telling: SmallMap::new(),
            looking_back: LookingBack::default(),
            recall,
            recalled: SmallMap::new(),
            asking: Asking::default(),
            confirming: Confirming::default(),
            ends: None,
            folder: options.folder,
            gateway: None,
            shown_callers: (None, Instant::ZERO),
        };
        if let Some((options, listener)) = gateway {
            server.gateway = Some(Gateway::start(listener, options, callers, log)?);
        }
        server.node.watch(&mut server.listener, LISTENER, Interest::READABLE)?;
        server.node.watch(&mut server.signals.stream, SIGNALS, Interest::READABLE)?;
        for channel in channels {
            server.resume(&channel);
            server.members.insert(channel, 1);
        }
        server.join_for_hooks();
        Ok(server)
    }

    /// Serves until a signal or a client ends it.
    pub(crate) fn run(mut self) -> Result<Ended, AgentError> {
        self.log.info(&self.who());
        Log::ready(&self.who());
        let ended = loop {
            if let Some(ended) = self.ends {
                break ended;
            }
            let hurry = !self.busy.is_empty() && !self.node.is_congested();
            let idle =
                self.sessions.is_empty() && self.gateway.is_none() && !self.crowded && self.looked;
            let nap = if idle { IDLE_TURN } else { TURN }.min(self.log.nap());
            let due = self.asking.next().min(self.confirming.next()).min(self.looking_back.next());
            let patience =
                nap.min(due.since(self.node.now())).min(self.history.patience(self.up()));
            let turn = self.node.turn(if hurry { Duration::ZERO } else { patience })?;
            for guest in turn.ready {
                self.take_in(guest)?;
            }
            let settled = |notice: &Notice| matches!(notice, Notice::Event(Event::Settled { .. }));
            let looked = self.looked;
            self.looked |=
                turn.notices.iter().any(settled) || self.node.now().since(self.started) >= LOOK;
            if self.crowded || self.looked && !looked {
                self.accept()?;
            }
            self.catch_up();
            self.notices(turn.notices);
            // Before anything is asked of the node, so that nothing is brought that was not seen.
            self.show_past();
            self.serve();
            self.conclude_due();
            self.confirm_due();
            if self.saying.values().any(|waiting| !waiting.is_empty()) {
                // Who hears that it is said may rely on its being kept.
                let said = self.node.carry_out();
                self.notices(said);
            }
            self.flush();
            self.show_callers();
            self.log.alive(self.node.now());
        };
        if ended == Ended::Stopped {
            self.log.info("stopping");
            Log::stopping();
        }
        self.hooks.stop(self.log);
        self.gateway = None;
        // What was asked for last still goes out, and who asked still hears of it.
        let turn = self.node.turn(Duration::ZERO)?;
        self.notices(turn.notices);
        self.flush();
        Ok(ended)
    }

    /// Who this is, in a line.
    pub(super) fn who(&self) -> String {
        format!(
            "{} is {} in group {}, at {}",
            self.profile.nick.escaped(),
            self.node.id(),
            self.group,
            self.path.display()
        )
    }

    pub(super) fn clocks(&self) -> Clocks {
        Clocks::new(self.node.now(), Clock::wall())
    }

    pub(super) fn clients(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn session(&mut self, client: usize) -> Option<&mut Session> {
        self.sessions.get_mut(&client)
    }

    fn take_in(&mut self, guest: Guest) -> Result<(), AgentError> {
        match guest.number {
            LISTENER if self.looked => self.accept(),
            LISTENER => Ok(()), // they wait
            SIGNALS => {
                let (stop, reload) = self.signals.take();
                if stop {
                    self.ends = Some(Ended::Stopped);
                }
                if reload && !stop {
                    self.reload();
                }
                Ok(())
            }
            number => {
                let client = number - FIRST_CLIENT;
                if guest.readable {
                    self.busy.insert(client);
                }
                let now = self.node.now();
                let gone = guest.writable
                    && self.sessions.get_mut(&client).is_some_and(|s| s.flush(now).is_err());
                if gone {
                    self.close(client);
                }
                Ok(())
            }
        }
    }

    /// One more wants to be in a channel, for as long as it is there. To a client what was said
    /// before is the past, even if the agent was there before.
    pub(super) fn take_part(&mut self, channel: &ChannelName) -> bool {
        let members = self.members.entry(channel.clone()).or_default();
        *members += 1;
        let is_first = *members == 1;
        if is_first {
            self.node.join(channel);
        }
        is_first
    }

    /// The agent itself wants to be in a channel: what was said since it was there last is news.
    pub(super) fn take_part_again(&mut self, channel: &ChannelName) {
        if self.take_part(channel) {
            self.resume(channel);
        }
    }

    /// One less wants to be in a channel.
    pub(super) fn part(&mut self, channel: &ChannelName) {
        let Some(members) = self.members.get_mut(channel) else { return };
        *members -= 1;
        if *members == 0 {
            self.members.remove(channel);
            self.recalled.remove(channel);
            self.node.leave(channel);
        }
    }

    /// Keeps what was said, then tells everyone who wants to know.
    fn notices(&mut self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        let said: Vec<(&Message, Option<NodeId>)> = notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Event(Event::Message(message) | Event::Said(message)) => {
                    Some((message, None))
                }
                _ => None,
            })
            .collect();
        let entries: Vec<&Entry> = notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Event(Event::Entry(entry)) => Some(entry),
                _ => None,
            })
            .collect();
        let mut new = self.keep(&said, &entries).into_iter();
        let (kept, clocks, log) = (self.history.has_kept(), self.clocks(), self.log);
        let has_to_wait = self.history.has_to_wait();
        for notice in notices {
            let speaker = match &notice {
                Notice::Event(Event::Message(_)) => {
                    // Heard before, in an earlier run.
                    if new.next() == Some(false) {
                        continue;
                    }
                    None
                }
                Notice::Event(Event::Said(message)) => {
                    new.next();
                    let channel = message.channel.clone().unwrap_or_else(ChannelName::lobby);
                    let waiting = self.saying.get_mut(&(channel, !message.verified));
                    waiting.and_then(VecDeque::pop_front)
                }
                _ => None,
            };
            // What was said before this agent came is kept, and news to nobody.
            if let Notice::Event(Event::Message(message)) = &notice
                && message.history
            {
                self.note_past(message);
                continue;
            }
            self.note(&notice);
            if let Notice::Event(Event::Fetch { ticket, channel, past }) = &notice {
                self.fetch(*ticket, channel, *past);
            }
            // Of what is signed and can't be written yet, `catch_up` tells the hooks.
            if !(has_to_wait && is_signed(&notice)) {
                self.hooks.on(&notice, kept, clocks, log);
            }
            self.spread(&notice, speaker);
        }
    }

    /// Keeps messages, each with whom it was told, and entries. Returns for each message whether it is
    /// new.
    pub(super) fn keep(
        &mut self,
        said: &[(&Message, Option<NodeId>)],
        entries: &[&Entry],
    ) -> Vec<bool> {
        if said.is_empty() && entries.is_empty() {
            return Vec::new();
        }
        self.catch_up();
        let (log, up) = (self.log, self.up());
        self.history.add(said, entries, Clock::wall(), up, &mut |warning| log.warn(&warning))
    }

    /// Seconds since the agent began.
    pub(super) fn up(&self) -> u64 {
        self.node.now().since(self.started).as_secs()
    }

    /// What the agent itself has to do with it.
    fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Event(Event::Told { ticket, took }) => {
                if let Some((client, n @ Some(_))) = self.telling.remove(ticket)
                    && let Some(session) = self.sessions.get_mut(&client)
                {
                    let took_ms = Some(took.as_micros() as f64 / 1_000.0);
                    session.reply(&Reply { took_ms, ..Reply::done(n) });
                }
            }
            Notice::Event(Event::NotTold { ticket, why }) => {
                if let Some((client, n)) = self.telling.remove(ticket)
                    && let Some(session) = self.sessions.get_mut(&client)
                {
                    session.reply(&Reply::refused(n, why.to_string()));
                }
            }
            Notice::Event(Event::Cloned { addr, nick, superseded }) => {
                self.log.warn(&crate::talk::text::cloned(*addr, nick));
                if *superseded {
                    self.renew_identity();
                }
            }
            Notice::Event(Event::Bereft) => self.resume_identity(),
            Notice::LinkDown { name, why } => self.log.warn(&format!("link {name} is down: {why}")),
            Notice::LinkUp { name } => self.log.info(&format!("link {name} is up")),
            Notice::Dropped { count, .. } => self.log.warn(&format!(
                "this host could not keep up, and the kernel has dropped {count} datagrams"
            )),
            Notice::Event(event) => {
                self.note_asking(event);
                self.note_confirming(event);
            }
            Notice::Missed(_) => {}
        }
    }

    /// Tells the clients.
    fn spread(&mut self, notice: &Notice, speaker: Option<usize>) {
        let channel = match notice {
            Notice::Event(Event::Message(message) | Event::Said(message)) => {
                Some(message.channel.as_ref())
            }
            _ => None,
        };
        let now = self.node.now();
        let clocks = self.clocks();
        let mut line: Option<Arc<[u8]>> = None;
        for (client, session) in &mut self.sessions {
            let wants = session.listens
                && match channel {
                    Some(Some(channel)) => session.channels.contains(channel),
                    Some(None) => true,
                    None => session.events,
                };
            if !wants || Some(*client) == speaker {
                continue;
            }
            if line.is_none() {
                let Some(text) = objects::notice(notice, clocks) else { return };
                line = Some((text + "\n").into_bytes().into());
            }
            match (&line, channel) {
                (Some(line), Some(Some(_))) => session.tell_said(line, now),
                (Some(line), _) => drop(session.tell(line, now)),
                (None, _) => {}
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let log = self.log;
        self.history.close(Clock::wall(), &mut |warning| log.warn(&warning));
    }
}
