//! The world: hosts, the nodes on them, and time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::checker::Checker;
use super::host::{Host, HostId, Interface, Node, NodeIndex, Run, Spec};
use super::memory::Said;
use super::post::Post;
use super::profiles::Profiles;
use super::queue::{Due, Queue};
use super::segment::{Faults, LanId, Segment};
use super::tally::Tally;
use super::trace::Trace;
use super::watch::Watch;
use crate::proto::{Command, Config, Engine, Event, Input, Outgoing, Output};
use crate::values::{
    Attachment, ChannelName, Epoch, Group, Instant, Level, LinkId, NodeId, PeerText, Rng, SmallMap,
    WallTime,
};
use crate::wire::{Identity, Packet, Profile, Secret};

/// LANs, hosts and nodes in virtual time.
#[derive(Debug)]
pub struct World {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) lans: Vec<Segment>,
    pub(super) hosts: Vec<Host>,
    pub(super) nodes: Vec<Node>,
    pub(super) by_ip: SmallMap<Ipv4Addr, (HostId, usize)>,
    pub(super) queue: Queue,
    /// What is on its way, where [`World::quick`] is set.
    pub(super) post: Post,
    starts: u16,
    secret: Option<Secret>,
    /// What must never happen.
    pub checker: Checker,
    /// What it all cost.
    pub tally: Tally,
    /// Whether each node's events are kept, for [`World::events`].
    pub keep_events: bool,
    /// Every datagram that is sent is kept here, if set.
    pub record: Option<Vec<Arc<[u8]>>>,
    /// Written if set.
    pub trace: Option<Trace>,
    /// For worlds of thousands with one node to a host, set before the first node is added: nothing is signed, and
    /// what a node sends is taken for its own, and what is told of a peer is kept once for all. Nor does
    /// the checker keep lists of who is known to whom. Time passes in windows (`windows.rs`).
    pub quick: bool,
    /// How many threads do the engines' work where [`World::quick`] is set. Nothing but the time that it
    /// takes depends on it.
    pub threads: usize,
    /// What a scenario counts.
    pub(super) watch: Option<Watch>,
    /// How many peers each node is to know.
    pub(super) census: Option<usize>,
    pub(super) profiles: Profiles,
}

/// The group of all simulated nodes.
pub(super) const GROUP: Group = Group::DEFAULT;

/// The wall clock of every host when the world begins: 2026-11-22.
const DAWN: u64 = 1_795_305_600_000;

impl World {
    /// An empty world. Everything that happens by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_micros(1_000_000),
            rng: Rng::from_number(seed),
            lans: Vec::new(),
            hosts: Vec::new(),
            nodes: Vec::new(),
            by_ip: SmallMap::new(),
            queue: Queue::default(),
            post: Post::default(),
            starts: 0,
            secret: None,
            checker: Checker::default(),
            tally: Tally::default(),
            keep_events: true,
            record: None,
            trace: None,
            quick: false,
            threads: 1,
            watch: None,
            census: None,
            profiles: Profiles::default(),
        }
    }

    /// Gives this world a secret: nodes that hold it make a sealed group.
    pub fn seal(&mut self, shared: &str) {
        self.secret = Secret::derive(shared.as_bytes(), GROUP);
    }

    /// What a packet says to those who hold the node's secret, if it has one.
    pub(super) fn opened<'a>(&self, node: NodeIndex, packet: &'a Packet) -> &'a Packet {
        let secret = self.secret.as_ref().filter(|_| self.nodes[node.0].spec.sealed);
        secret.and_then(|secret| packet.open(secret)).unwrap_or(packet)
    }

    /// A further LAN.
    pub fn add_lan(&mut self, faults: Faults) -> LanId {
        self.lans.push(Segment::new(self.lans.len(), faults));
        LanId(self.lans.len() - 1)
    }

    /// A LAN's properties.
    pub fn lan(&mut self, lan: LanId) -> &mut Segment {
        &mut self.lans[lan.0]
    }

    /// A further host, with a link to each of the LANs, which may be the same one twice.
    pub fn add_host(&mut self, lans: &[LanId]) -> HostId {
        let host = HostId(self.hosts.len());
        let mut interfaces = Vec::new();
        for (i, &lan) in lans.iter().enumerate() {
            let ip = self.lans[lan.0].attach();
            self.by_ip.insert(ip, (host, i));
            interfaces.push(Interface { link: LinkId(2 + i as u32), lan, ip, up: true });
        }
        self.hosts.push(Host { interfaces, ..Host::default() });
        host
    }

    /// A host's properties.
    pub fn host(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.0]
    }

    /// The address that a user would give as `--peer` to reach a host, on its first link.
    pub fn seed_address(&self, host: HostId) -> SocketAddr {
        SocketAddr::from((self.hosts[host.0].interfaces[0].ip, GROUP.port()))
    }

    /// A node that has not started yet.
    pub fn add_node(&mut self, host: HostId, spec: Spec) -> NodeIndex {
        let node = NodeIndex(self.nodes.len());
        let key = spec.key.unwrap_or_else(|| self.rng.bytes());
        let id = Identity::from_secret(key).id();
        let (run, life, events, clock) = (None, 0, Vec::new(), 0);
        let (started, frozen, said) = (Instant::ZERO, Instant::ZERO, Said::default());
        let complete = None;
        let node_state =
            Node { host, id, key, spec, run, life, started, frozen, clock, said, events, complete };
        self.nodes.push(node_state);
        self.post.add();
        self.hosts[host.0].nodes.push(node);
        node
    }

    /// A resident that starts now.
    pub fn start_on(&mut self, host: HostId) -> NodeIndex {
        self.start_with(host, Spec::default())
    }

    /// A node that starts now.
    pub fn start_with(&mut self, host: HostId, spec: Spec) -> NodeIndex {
        let node = self.add_node(host, spec);
        self.start(node);
        node
    }

    /// Starts a node, for the first time or again: the same identity, a new run.
    pub fn start(&mut self, node: NodeIndex) {
        self.crash(node);
        let randomness = self.rng.bytes();
        self.starts = (self.starts + 1) % 40_000;
        let port = 20_000 + self.starts;
        let state = &mut self.nodes[node.0];
        state.life += 1;
        (state.started, state.frozen) = (self.now, Instant::ZERO);
        let epoch = DAWN + self.now.as_micros() / 1_000 + u64::from(state.life);
        let spec = &state.spec;
        let identity = Identity::from_secret(state.key);
        let config = Config {
            identity: if self.quick { identity.without_signing() } else { identity },
            epoch,
            group: GROUP,
            profile: Arc::new(profile(node)),
            visitor: spec.visitor,
            discover: spec.discover,
            multicast: spec.multicast,
            echo: false,
            keep: false,
            recall: spec.recall,
            seeds: spec.seeds.clone(),
            secret: self.secret.clone().filter(|_| spec.sealed),
            earlier: state.said.earlier(self.now),
            randomness,
        };
        let engine = Box::new(Engine::new(config, self.now));
        state.run = Some(Run { engine, port, wake: Instant::NEVER, queued: Instant::NEVER });
        self.checker.quick = self.quick;
        self.checker.started(node, state.id, spec.visitor);
        for channel in spec.channels.clone() {
            self.handle(node, Input::Command(Command::Join(channel)));
        }
        self.tell_links(node);
    }

    /// Starts a node later.
    pub fn start_at(&mut self, node: NodeIndex, at: Instant) {
        self.schedule(at, Due::Start(node));
    }

    /// Lets a node know which links there are.
    pub fn tell_links(&mut self, node: NodeIndex) {
        let interfaces = &self.hosts[self.nodes[node.0].host.0].interfaces;
        let links: Vec<_> = interfaces.iter().map(|i| Attachment::v4(i.link)).collect();
        self.input(node, Input::Links(&links));
    }

    /// Lets a node say goodbye and end.
    pub fn stop(&mut self, node: NodeIndex) {
        self.command(node, Command::Stop);
        self.remember(node, true);
        self.crash(node);
    }

    /// When a node was started last.
    pub fn started(&self, node: NodeIndex) -> Instant {
        self.nodes[node.0].started
    }

    /// From now on, notes when each node first knows `peers` peers.
    pub fn begin_census(&mut self, peers: usize) {
        self.census = Some(peers);
        for node in &mut self.nodes {
            node.complete = None;
        }
    }

    /// When each node that has known enough first did, see [`World::begin_census`].
    pub fn census(&self) -> impl Iterator<Item = Instant> {
        self.nodes.iter().filter_map(|node| node.complete)
    }

    /// Has the checker look at every node.
    pub fn look(&mut self) {
        for (i, node) in self.nodes.iter().enumerate() {
            if let Some(run) = &node.run {
                self.checker.look(NodeIndex(i), self.now, &run.engine);
            }
        }
    }

    /// Gives a node a command.
    pub fn command(&mut self, node: NodeIndex, command: Command) {
        self.input(node, Input::Command(command));
    }

    /// Lets a node say something in the lobby.
    pub fn say(&mut self, node: NodeIndex, text: &str) {
        self.say_in(node, &ChannelName::lobby(), text);
    }

    /// Lets a node say something in a channel.
    pub fn say_in(&mut self, node: NodeIndex, channel: &ChannelName, text: &str) {
        let mut what = self.outgoing(text);
        what.at = WallTime(what.at.0.saturating_add_signed(self.nodes[node.0].clock));
        if let Some(epoch) = self.epoch(node) {
            self.checker.said(self.nodes[node.0].id, epoch, Some(channel), &what);
            self.command(node, Command::Say(channel.clone(), what));
        }
    }

    /// Lets a node tell a peer something.
    pub fn tell(&mut self, node: NodeIndex, to: NodeId, text: &str, ticket: u64) {
        let what = self.outgoing(text);
        if let Some(epoch) = self.epoch(node) {
            self.checker.said(self.nodes[node.0].id, epoch, None, &what);
            self.command(node, Command::Tell { to, what, ticket });
        }
    }

    pub(super) fn outgoing(&self, text: &str) -> Outgoing {
        let at = WallTime(DAWN + self.now.as_micros() / 1_000);
        Outgoing { at, text: text.to_owned(), data: None, level: Level::default() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The world's own generator, for what a scenario leaves to chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A node's id.
    pub fn id(&self, node: NodeIndex) -> NodeId {
        self.nodes[node.0].id
    }

    /// The engine of a node that runs.
    pub fn engine(&self, node: NodeIndex) -> Option<&Engine> {
        self.nodes[node.0].run.as_ref().map(|run| &*run.engine)
    }

    /// Whether a node that runs knows a peer.
    pub fn knows(&self, node: NodeIndex, id: NodeId) -> bool {
        self.engine(node).is_some_and(|engine| engine.knows(id))
    }

    /// The LAN to which a node's first link leads.
    pub fn lan_of(&self, node: NodeIndex) -> LanId {
        self.hosts[self.nodes[node.0].host.0].interfaces[0].lan
    }

    /// The current run of a node.
    pub fn epoch(&self, node: NodeIndex) -> Option<Epoch> {
        self.engine(node).map(Engine::epoch)
    }

    /// Where what a node sends over its first link comes from.
    pub fn address(&self, node: NodeIndex) -> Option<SocketAddr> {
        let state = &self.nodes[node.0];
        let ip = self.hosts[state.host.0].interfaces.first()?.ip;
        Some(SocketAddr::from((ip, state.run.as_ref()?.port)))
    }

    /// What a node has told its user, over all its runs.
    pub fn events(&self, node: NodeIndex) -> &[(Instant, Event)] {
        &self.nodes[node.0].events
    }

    /// How often a node has shown its user a message of this text.
    pub fn heard(&self, node: NodeIndex, text: &str) -> usize {
        let events = self.events(node).iter();
        events
            .filter(|(_, event)| matches!(event, Event::Message(m) if m.text.raw() == text))
            .count()
    }

    /// The nodes that run, visitors too.
    pub fn running(&self) -> impl Iterator<Item = NodeIndex> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.run.is_some()).map(|(i, _)| NodeIndex(i))
    }

    /// The host of a node.
    pub fn host_of(&self, node: NodeIndex) -> HostId {
        self.nodes[node.0].host
    }

    /// Whether a node is only passing through.
    pub fn is_visitor(&self, node: NodeIndex) -> bool {
        self.nodes[node.0].spec.visitor
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_to(end);
    }

    /// Lets time pass up to `end`.
    pub fn run_to(&mut self, end: Instant) {
        if self.quick {
            self.run_windows(end);
        } else {
            while self.step(end) {}
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until something holds, at most for `limit`; returns how long it took. Looks
    /// once a millisecond.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let begun = self.now;
        while !holds(self) {
            if self.now.since(begun) >= limit {
                return None;
            }
            self.run_for(Duration::from_millis(1));
        }
        Some(self.now.since(begun))
    }

    /// Does the next thing that is due up to `end`; `false` if there is none.
    fn step(&mut self, end: Instant) -> bool {
        let Some((at, due)) = self.queue.pop(end) else { return false };
        self.now = at;
        match due {
            Due::Delivery(delivery) => self.deliver(&delivery),
            Due::Round(_) => {} // comes out of the queue as deliveries
            Due::Start(node) => self.start(node),
            Due::Wake { node, life } => self.wake(node, life),
        }
        true
    }

    pub(super) fn schedule(&mut self, at: Instant, due: Due) {
        self.queue.push(at, due);
    }

    fn wake(&mut self, node: NodeIndex, life: u32) {
        let now = self.now;
        let state = &mut self.nodes[node.0];
        let Some(run) = state.run.as_mut().filter(|_| state.life == life) else { return };
        if run.queued == now {
            run.queued = Instant::NEVER;
        }
        if now < state.frozen {
            let (at, life) = (state.frozen, state.life);
            run.queued = at;
            self.schedule(at, Due::Wake { node, life });
        } else if run.wake <= now {
            self.checker.ticked(node, now);
            self.input(node, Input::Tick);
        } else {
            self.queue_wake(node);
        }
    }

    fn queue_wake(&mut self, node: NodeIndex) {
        let state = &mut self.nodes[node.0];
        let Some(run) = &mut state.run else { return };
        if run.wake < run.queued {
            run.queued = run.wake;
            let (at, life) = (run.wake, state.life);
            self.schedule(at, Due::Wake { node, life });
        }
    }

    fn handle(&mut self, node: NodeIndex, input: Input<'_>) {
        if let Some(run) = &mut self.nodes[node.0].run {
            run.engine.handle(self.now, input);
        }
    }

    /// Gives an engine an input and does what it wants done.
    pub(super) fn input(&mut self, node: NodeIndex, input: Input<'_>) {
        let Some(run) = &mut self.nodes[node.0].run else { return };
        run.engine.handle(self.now, input);
        let mut outputs = Vec::new();
        let wake = loop {
            match run.engine.poll() {
                Output::Wake(at) => break at,
                output => outputs.push(output),
            }
        };
        run.wake = wake;
        let peers = run.engine.peer_count();
        self.checker.drained(node, self.now, wake, outputs.len());
        if self.census == Some(peers) {
            self.nodes[node.0].complete.get_or_insert(self.now);
        }
        for output in outputs {
            self.carry_out(node, output);
        }
        if self.quick {
            self.post.plan(node, wake);
        } else {
            self.queue_wake(node);
        }
    }

    pub(super) fn event(&mut self, node: NodeIndex, event: Event) {
        self.watch_event(&event);
        self.checker.event(node, self.now, &event);
        if let Some(trace) = &mut self.trace {
            trace.event(self.now, node, &event);
        }
        if self.keep_events {
            let now = self.now;
            self.nodes[node.0].events.push((now, event));
        }
    }
}

fn profile(node: NodeIndex) -> Profile {
    Profile {
        nick: PeerText::new(format!("n{}", node.0)),
        host: PeerText::new(format!("host{}", node.0)),
        version: PeerText::new("0.1.0"),
        ..Profile::default()
    }
}
