//! The engine itself: its contract, and the way of an input to the concern that it is about.

mod due;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::announcer::Announcer;
use super::answers::Answers;
use super::asked::Asked;
use super::channels::Channels;
use super::cloning::Clones;
use super::command::Command;
use super::config::Config;
use super::confirms::Confirms;
use super::contact::Contact;
use super::direct::Direct;
use super::discovery::Discovery;
use super::event::{Event, Input, Output, PeerInfo, Refusal};
use super::farewells::Farewells;
use super::fetches::Fetches;
use super::flapping::Flapping;
use super::flow::Flow;
use super::guard::{Bucket, Counters, Guard};
use super::heads::{Casts, Heads};
use super::hints::Hints;
use super::inbox::{Assemblies, Authors};
use super::logs::Logs;
use super::orphans::Orphans;
use super::outbox::Outbox;
use super::peers::Peers;
use super::pending::Pending;
use super::probes::Probes;
use super::recalls::Recalls;
use super::receipts::Receipts;
use super::recent::Recent;
use super::reminder::Reminder;
use super::repairs::Repairs;
use super::repeats::Repeats;
use super::six::Six;
use super::store::Store;
use super::timing;
use super::untold::Untold;
use crate::values::{Attachment, ChannelName, Epoch, Instant, LinkId, NodeId, Rng, limits};
use crate::wire::{PresenceKind, Profile, Secret, Sender, Summary, Verifier};

/// One node's protocol.
///
/// # How to drive it
///
/// 1. Give it the links in use: [`Engine::handle`] with [`Input::Links`]. Until then it does
///    nothing.
/// 2. Call [`Engine::handle`] with whatever happens. `now` never runs backwards.
/// 3. After one or several inputs, call [`Engine::poll`] and carry out what it returns, until it
///    returns [`Output::Wake`]; then wait for that time or for the next input.
///
/// Several inputs before a drain are allowed and useful: what they make the node say is packed
/// together. One input causes a bounded number of outputs, but outputs not drained pile up.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) profile: Arc<Profile>,
    pub(super) rng: Rng,
    pub(super) now: Instant,
    pub(super) links: Vec<Attachment>,
    flapping: Flapping,
    pub(super) stopped: bool,
    /// The number of the last announcement.
    pub(super) announcements: u64,
    /// What makes this node's tokens unforgeable.
    pub(super) token_key: [u8; 16],
    pub(super) peers: Peers,
    /// The peers that get copies of what goes to the group.
    pub(super) copies: BTreeSet<NodeId>,
    pub(super) six: Six,
    pub(super) channels: Channels,
    pub(super) guard: Guard,
    pub(super) verifier: Verifier,
    pub(super) answers: Answers,
    /// Who passes through and was heard by multicast: the number of the latest question that came by
    /// IPv4.
    pub(super) visitors: Recent<Sender, Option<u64>>,
    pub(super) discovery: Discovery,
    pub(super) hints: Hints,
    pub(super) announcer: Announcer,
    pub(super) outbox: Outbox,
    pub(super) flow: Flow,
    /// The numbers of this node's casts.
    pub(super) casts: Casts,
    pub(super) heads: Heads,
    /// This node's own entries, and those of others.
    pub(super) said: Store,
    pub(super) store: Store,
    pub(super) logs: Logs,
    pub(super) repairs: Repairs,
    pub(super) repeats: Repeats,
    pub(super) confirms: Confirms,
    pub(super) receipts: Receipts,
    pub(super) recalls: Recalls,
    pub(super) untold: Untold,
    pub(super) orphans: Orphans,
    pub(super) fetches: Fetches,
    /// What this node misses may be waiting to be read, until then.
    pub(super) behind: Instant,
    /// This node can't keep up, until then.
    pub(super) strained: Instant,
    /// Requests that may be sent for logs of which nothing comes.
    pub(super) asks: Bucket,
    pub(super) contact: Contact,
    pub(super) probes: Probes,
    pub(super) farewells: Farewells,
    pub(super) authors: Authors,
    /// Of signed messages.
    pub(super) assemblies: Assemblies,
    /// Of unsigned ones, so that a stranger's can't push out a known author's.
    pub(super) claimed_assemblies: Assemblies,
    /// Datagrams that claim an author who is not known here, by content: when each came last.
    pub(super) claims: Recent<u64, Instant>,
    /// Datagrams written by hand, by source and content: where each came first, and when.
    pub(super) by_hand: Recent<(SocketAddr, u64), (LinkId, Instant)>,
    pub(super) direct: Direct,
    /// Whether this node's user answers questions.
    pub(super) answering: bool,
    pub(super) asked: Asked,
    pub(super) pending: Pending,
    /// The search has ended, so; and when. What had no room in the answers is still awaited.
    pub(super) unfinished: Option<(bool, Instant)>,
    pub(super) next_review: Instant,
    /// Nothing is due before this, as was found when the engine was drained last; [`Instant::ZERO`] if
    /// something may be. And when it wants to be woken then.
    nothing_until: Instant,
    deadline: Instant,
    pub(super) reminder: Reminder,
    /// When seeds at which nobody is heard are asked again.
    pub(super) next_seeds: Instant,
    pub(super) clones: Clones,
    pub(super) counters: Counters,
    pub(super) out: VecDeque<Output>,
}

impl Engine {
    /// An engine that has not started yet.
    pub fn new(mut config: Config, now: Instant) -> Self {
        config.seeds.truncate(limits::SEEDS);
        let mut rng = Rng::new(config.randomness);
        let token_key = rng.bytes();
        Self {
            profile: Arc::clone(&config.profile),
            now,
            links: Vec::new(),
            flapping: Flapping::default(),
            stopped: false,
            announcements: 0,
            token_key,
            peers: Peers::new(),
            copies: BTreeSet::new(),
            six: Six::default(),
            channels: Channels::new(config.group),
            guard: Guard::new(now),
            verifier: Verifier::default(),
            answers: Answers::default(),
            visitors: Recent::new(limits::SOURCES),
            discovery: Discovery::new(now, config.discover, config.visitor, config.identity.id()),
            hints: Hints::new(),
            announcer: Announcer::new(now, config.discover && !config.visitor),
            outbox: Outbox::new(),
            flow: Flow::new(now),
            casts: Casts::default(),
            heads: Heads::new(std::mem::take(&mut config.earlier), now),
            said: Store::new(limits::OWN_STORE_BYTES),
            store: Store::new(limits::STORE_BYTES),
            logs: Logs::new(),
            repairs: Repairs::new(),
            repeats: Repeats::new(now),
            confirms: Confirms::default(),
            receipts: Receipts::default(),
            recalls: Recalls::default(),
            untold: Untold::default(),
            orphans: Orphans::new(),
            fetches: Fetches::default(),
            behind: Instant::ZERO,
            strained: Instant::ZERO,
            asks: Bucket::full(now, limits::IDLE_ASK_BURST),
            contact: Contact::new(now),
            probes: Probes::new(now),
            farewells: Farewells::default(),
            authors: Authors::new(),
            assemblies: Assemblies::new(),
            claimed_assemblies: Assemblies::new(),
            claims: Recent::new(limits::SOURCES),
            by_hand: Recent::new(limits::SOURCES),
            direct: Direct::default(),
            answering: false,
            asked: Asked::default(),
            pending: Pending::new(),
            unfinished: None,
            next_review: Instant::NEVER,
            nothing_until: Instant::ZERO,
            deadline: Instant::NEVER,
            reminder: Reminder::new(now),
            next_seeds: now + timing::SEED_RETRY,
            clones: Clones::default(),
            counters: Counters::default(),
            out: VecDeque::new(),
            config,
            rng,
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(now >= self.now, "time runs backwards: {now:?} after {:?}", self.now);
        self.now = self.now.max(now);
        if self.stopped {
            return;
        }
        if self.probes.health.wake(now) {
            self.probes.forgive(now);
        }
        match input {
            Input::Datagram { packet, source, link, via } => {
                if self.receive(packet, source, link, via) && now < self.nothing_until {
                    debug_assert_eq!(self.nexts(), (self.nothing_until, self.deadline));
                    return;
                }
            }
            Input::Command(command) => self.command(command),
            Input::Links(links) => self.use_links(links),
            Input::Tick => {}
        }
        self.nothing_until = Instant::ZERO;
        self.advance();
    }

    /// The next thing to do. Ends with [`Output::Wake`].
    pub fn poll(&mut self) -> Output {
        if self.out.is_empty() && self.outbox.next <= self.now {
            self.flush_outbox();
        }
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        if self.nothing_until <= self.now {
            (self.nothing_until, self.deadline) = self.nexts();
        }
        // Whatever is overdue was done in the last `handle`; nothing is to be asked for twice
        // within a microsecond.
        let wake = self.deadline.max(self.now + Duration::from_micros(1));
        self.probes.health.expect(wake);
        Output::Wake(wake)
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.config.identity.id()
    }

    /// This run.
    pub fn epoch(&self) -> Epoch {
        self.config.epoch
    }

    /// The channels of this node, in the order in which they were joined.
    pub fn channels(&self) -> &[ChannelName] {
        self.channels.names()
    }

    /// Everyone known.
    pub fn peers(&self) -> impl Iterator<Item = PeerInfo> {
        self.peers.iter().map(|(id, peer)| peer.info(id, peer.state(), self.size(), self.now))
    }

    /// How many are known.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Whether somebody is known.
    pub fn knows(&self, id: NodeId) -> bool {
        self.peers.get(id).is_some()
    }

    /// Whether others are still being asked for a channel's last messages, and anybody might tell.
    pub fn is_recalling(&self, channel: &ChannelName) -> bool {
        let has_it = || self.peers.each().any(|(_, peer)| peer.channels.may_have(channel));
        self.recalls.is_under_way(channel) && (!self.discovery.settled || has_it())
    }

    /// The ids of everyone known, which costs less.
    pub fn peer_ids(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().map(|(id, _)| id)
    }

    /// Whether so much waits to be said that nothing more should be, for now. When it does not any
    /// more, the engine is woken by one of its deadlines, or by a datagram.
    pub fn is_congested(&self) -> bool {
        self.outbox.bytes() > limits::OUTBOX
    }

    /// How often what has happened.
    pub fn counters(&self) -> Counters {
        Counters {
            assemblies_given_up: self.assemblies.given_up + self.claimed_assemblies.given_up,
            ..self.counters
        }
    }

    /// Nodes of the group, as far as they are known, this one included.
    pub(super) fn size(&self) -> usize {
        self.peers.len() + 1
    }

    pub(super) fn summary(&self) -> Summary {
        self.peers.summary((!self.config.visitor).then(|| self.id()))
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn use_links(&mut self, links: &[Attachment]) {
        let first = self.links.is_empty();
        self.links = links.iter().copied().take(limits::LINKS).collect();
        if first && self.next_review == Instant::NEVER {
            if self.config.multicast && !self.config.visitor {
                self.out.push_back(Output::Join(*self.config.group.addr().ip()));
            }
            self.next_review = self.now + timing::REVIEW;
            self.probes.look = self.now;
            return;
        }
        for (_, peer) in self.peers.each_mut() {
            peer.paths.retain_links(links);
        }
        for id in self.peer_ids().collect::<Vec<_>>() {
            self.review_versions(id);
        }
        if !self.links.is_empty() {
            self.hurry();
        }
        self.flapping.change(self.now);
    }

    /// Begins anew where the links have changed, but not each time that one flaps.
    fn begin_anew_when_due(&mut self) {
        if self.config.discover && !self.links.is_empty() && self.flapping.take(self.now) {
            self.discovery.restart(self.now);
            self.announcer.changed(self.now);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Hints(hints) => self.take_hints(hints),
            Command::Join(name) => self.join(name),
            Command::Leave(name) => self.leave(&name),
            Command::Found { ticket, entries } => self.found(ticket, &entries),
            Command::Recalled { ticket, logs } => self.recalled(ticket, &logs),
            Command::Resume { channel, logs, away, said } => {
                self.resume(&channel, &logs, away, said);
            }
            Command::Recall { channel, last } => {
                self.recalls.want(&channel, last.min(limits::RECALL), self.now);
            }
            Command::Say(channel, what) => self.say(channel, crate::wire::Body::Say, what),
            Command::Cast(channel, what) => self.say(channel, crate::wire::Body::Cast, what),
            Command::Tell { to, what, ticket } => self.tell(to, &what, ticket),
            Command::Ask { to, what, ticket } => self.ask(to, what, ticket),
            Command::Confirm { channel, ticket } => self.confirm_said(channel, ticket),
            Command::Forget { ticket } => {
                self.confirms.forget(ticket);
                self.forget_asked(ticket);
            }
            Command::Answering(answering) => self.answering = answering,
            Command::Answer { question, what, exit, last } => {
                self.answer(question, what, exit, last);
            }
            Command::Behind => self.behind = self.now + timing::UNREAD,
            Command::Strained => self.strained = self.now + timing::STRAIN,
            Command::Pace(rate) => self.flow.set_rate(rate, self.now),
            Command::Profile(profile) => self.set_profile(profile),
            Command::Stop => self.stop(),
        }
    }

    fn join(&mut self, name: ChannelName) {
        if self.channels.has(&name) {
            return;
        }
        if self.channels.is_full() {
            return self.event(Event::Refused(Refusal::TooManyChannels));
        }
        if !self.config.visitor {
            self.recalls.join(&name, self.now);
        }
        if let Some(group) = self.channels.join(name)
            && self.config.multicast
        {
            self.out.push_back(Output::Join(group));
        }
        self.announcer.changed(self.now);
    }

    fn leave(&mut self, name: &ChannelName) {
        if !self.channels.has(name) {
            return;
        }
        self.recalls.leave(name);
        self.untold.leave(name);
        self.orphans.leave(name);
        self.logs.leave(name);
        if let Some(group) = self.channels.leave(name)
            && self.config.multicast
        {
            self.out.push_back(Output::Leave(group));
        }
        self.announcer.changed(self.now);
    }

    fn set_profile(&mut self, profile: Arc<Profile>) {
        if profile.tags.len() > limits::TAGS
            || profile.services.len() > limits::TAGS
            || profile.tag_bytes() > limits::TAG_BYTES
        {
            return self.event(Event::Refused(Refusal::TooManyTags));
        }
        if *self.profile != *profile {
            self.profile = profile;
            self.announcer.changed(self.now);
        }
    }

    fn stop(&mut self) {
        self.say_all();
        if self.announcer.has_news() && !self.links.is_empty() {
            let here = self.presence(PresenceKind::Here);
            self.announce(here);
        }
        if self.config.discover {
            self.say_bye();
        }
        self.event(Event::Stopped);
        self.stopped = true;
    }

    /// Bytes of the longest datagram that this node may write, before it is sealed.
    pub(super) fn datagram_limit(&self) -> usize {
        match self.config.secret {
            None => limits::DATAGRAM,
            Some(_) => Secret::room(limits::DATAGRAM),
        }
    }
}
