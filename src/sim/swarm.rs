//! Random worlds: everything, down to how bad the network is, follows from one seed.
//!
//! First a time in which anything may happen, then the faults end, then everyone has to agree
//! with the truth. What came out wrong is one line, with the seed that shows it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::host::{HostId, NodeIndex, Spec};
use super::segment::{Faults, LanId};
use super::trace::Trace;
use super::world::World;
use crate::proto::{AnswerEnd, Command, Event, PeerState};
use crate::values::{ChannelName, Instant, NodeId, Rng, SmallSet, filled};
use crate::wire::Hearing;

/// Once the faults have ended, everyone has to agree within this virtual time: a peer that the
/// faults made suspect everything must have been found dead or alive, what was told of it must have
/// grown too old to be told on, and who hears nobody must have reminded its switch, which it does
/// every 120 s at least.
pub const HEALING: Duration = Duration::from_secs(160);

/// A random world.
#[derive(Debug)]
pub struct Swarm {
    seed: u64,
    world: World,
    rng: Rng,
    lan: LanId,
    hosts: Vec<HostId>,
    /// Of every node: the channels it takes part in.
    channels: Vec<SmallSet<ChannelName>>,
    said: u32,
    /// What was said in the lobby: when, by whom, and the text.
    talk: Vec<(Instant, NodeIndex, String)>,
}

/// A node that was started so long before something was said has to have it: it has found the
/// others, if it could.
const PRESENT: Duration = Duration::from_secs(2);

/// What came out wrong, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The world's seed.
    pub seed: u64,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COOEE_SWARM_SEED={} cargo test --test pure swarm: {}", self.seed, self.why)
    }
}

impl std::error::Error for Failure {}

impl Swarm {
    /// The world of a seed.
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut world = World::new(seed);
        world.trace = trace.then(Trace::default);
        let mut rng = Rng::from_number(seed ^ 0x5_1a4b);
        let share = |rng: &mut Rng, most: u64| rng.below(most) as f64 / 100.0;
        let faults = Faults {
            loss: share(&mut rng, 41),
            duplicates: share(&mut rng, 10),
            reordering: share(&mut rng, 20),
            hold_up: Duration::from_millis(1 + rng.below(50)),
            latency: Duration::from_micros(50 + rng.below(1_000)),
            jitter: Duration::from_micros(rng.below(2_000)),
        };
        let lan = world.add_lan(faults);
        let mut swarm = Self {
            seed,
            world,
            rng,
            lan,
            hosts: Vec::new(),
            channels: Vec::new(),
            said: 0,
            talk: Vec::new(),
        };
        swarm.populate();
        swarm
    }

    fn populate(&mut self) {
        let count = 2 + self.rng.below(14) as usize;
        for i in 0..count {
            // The seed has one link: whom it hears on one of two by unicast alone, it does not tell
            // to those who ask over the other, though both may lead to the same LAN.
            let twice = self.rng.chance(0.1) && i > 0;
            let lans = vec![self.lan; 1 + usize::from(twice)];
            let host = self.world.add_host(&lans);
            self.hosts.push(host);
            // The first host is whole, and the seed of those who are not.
            let spec = if i == 0 { Spec::default() } else { self.handicap(host) };
            self.add(host, spec.clone());
            if self.rng.chance(0.1) {
                self.add(host, spec);
            }
        }
    }

    /// Takes something away from some hosts.
    fn handicap(&mut self, host: HostId) -> Spec {
        let recall = if self.rng.chance(0.5) { 50 } else { 0 };
        let mut spec = Spec { recall, ..Spec::default() };
        let kind = self.rng.below(12);
        let host = self.world.host(host);
        match kind {
            0 => (host.deaf, host.mute) = (true, true),
            1 => host.deaf = true,
            2 => host.mute = true,
            3 => spec.multicast = false,
            _ => {}
        }
        if kind < 4 {
            spec.seeds = vec![self.world.seed_address(self.hosts[0])];
        }
        spec
    }

    fn add(&mut self, host: HostId, spec: Spec) {
        self.channels.push(filled(spec.channels.iter().cloned()));
        let node = self.world.add_node(host, spec);
        let at = self.world.now() + self.rng.up_to(Duration::from_secs(3));
        self.world.start_at(node, at);
    }

    /// Runs the world to its end.
    pub fn run(&mut self) -> Result<(), Failure> {
        self.disturb();
        self.heal();
        self.converge().map_err(|why| Failure { seed: self.seed, why })
    }

    /// What was recorded, if anything was.
    pub fn trace(&self) -> &str {
        self.world.trace.as_ref().map_or("", Trace::as_str)
    }

    fn disturb(&mut self) {
        self.world.run_for(Duration::from_secs(3));
        for _ in 0..10 + self.rng.below(40) {
            let node = NodeIndex(self.rng.below(self.channels.len() as u64) as usize);
            self.strike(node);
            let pause = self.rng.up_to(Duration::from_millis(1_500));
            self.world.run_for(pause);
        }
    }

    /// Something happens to a node or its host.
    fn strike(&mut self, node: NodeIndex) {
        let runs = self.world.engine(node).is_some();
        let host = self.world.host_of(node);
        match self.rng.below(20) {
            0 if runs => self.world.stop(node),
            1 if runs => self.world.crash(node),
            2 => self.restart(node),
            3 => self.world.cut(host, true),
            4 => self.world.cut(host, false),
            5 => self.world.host(host).side ^= 1,
            6 => self.world.host(host).side = 0,
            7 | 8 if runs => self.change_channel(node),
            9 => {
                let spec = Spec { visitor: true, ..Spec::default() };
                self.channels.push(SmallSet::new());
                self.world.start_with(host, spec);
            }
            10 if runs && !self.world.is_visitor(node) => {
                let to = NodeIndex(self.rng.below(self.channels.len() as u64) as usize);
                self.said += 1;
                let (to, text) = (self.world.id(to), format!("tell {}", self.said));
                self.world.tell(node, to, &text, self.said.into());
            }
            11 => self.world.forget_memberships(host),
            12 => {
                let time = self.rng.up_to(Duration::from_secs(30));
                self.world.freeze(node, time);
            }
            13 => {
                let wrong = self.rng.below(200_000_000).cast_signed() - 100_000_000;
                self.world.set_clock(node, wrong);
            }
            _ if runs && !self.world.is_frozen(node) => self.speak(node),
            _ => {}
        }
    }

    /// A node says something in the lobby: once, or a lot, or at length.
    fn speak(&mut self, node: NodeIndex) {
        let (count, length) = match self.rng.below(4) {
            0 => (1 + self.rng.below(30), 1),
            1 => (1, 1 + self.rng.below(8_000)),
            _ => (1, 1),
        };
        for _ in 0..count {
            self.said += 1;
            let text = format!("say {} {}", self.said, "x".repeat(length as usize));
            self.world.say(node, &text);
            if !self.world.is_visitor(node) {
                self.talk.push((self.world.now(), node, text));
            }
            if self.rng.chance(0.3) {
                let pause = self.rng.up_to(Duration::from_millis(5));
                self.world.run_for(pause);
            }
        }
    }

    fn restart(&mut self, node: NodeIndex) {
        if !self.world.is_visitor(node) {
            self.channels[node.0] = filled([ChannelName::lobby()]);
            self.world.start(node);
        }
    }

    fn change_channel(&mut self, node: NodeIndex) {
        let Ok(channel) = format!("c{}", self.rng.below(3)).parse::<ChannelName>() else { return };
        if self.channels[node.0].remove(&channel) {
            self.world.command(node, Command::Leave(channel));
        } else if !self.world.is_visitor(node) {
            self.channels[node.0].insert(channel.clone());
            self.world.command(node, Command::Join(channel));
        }
    }

    /// Ends all faults but deafness, which nobody repairs, and all visits.
    fn heal(&mut self) {
        self.world.lan(self.lan).faults = Faults::default();
        for &host in &self.hosts {
            self.world.cut(host, false);
            self.world.host(host).side = 0;
        }
        // Those who need a seed need it to be there.
        if self.world.engine(NodeIndex(0)).is_none() {
            self.restart(NodeIndex(0));
        }
        for node in self.world.running().collect::<Vec<_>>() {
            if self.world.is_visitor(node) {
                self.world.stop(node);
            }
        }
        if let Some(trace) = &mut self.world.trace {
            trace.note(self.world.now, "the faults end");
        }
    }

    fn converge(&mut self) -> Result<(), String> {
        self.world.run_for(HEALING);
        self.world.look();
        self.world.checker.verdict()?;
        let live: Vec<NodeIndex> = self.world.running().collect();
        let ids: BTreeSet<NodeId> = filled(live.iter().map(|&node| self.world.id(node)));
        for &node in &live {
            self.agree(node, &ids)?;
        }
        for &node in &live {
            self.look_at(node, &live)?;
        }
        self.agree_on_talk(&live)?;
        self.talk(&live)?;
        self.ask(&live)
    }

    /// Whether a node knows exactly those who are there.
    fn agree(&self, node: NodeIndex, live: &BTreeSet<NodeId>) -> Result<(), String> {
        let Some(engine) = self.world.engine(node) else { return Ok(()) };
        let mut known: BTreeSet<NodeId> = filled(engine.peer_ids());
        known.insert(engine.id());
        if let Some(ghost) = known.difference(live).next() {
            return Err(format!("node {} ({:?}) knows the ghost {ghost:?}", node.0, engine.id()));
        }
        match live.difference(&known).next() {
            Some(id) => Err(format!("node {} ({:?}) does not know {id:?}", node.0, engine.id())),
            None => Ok(()),
        }
    }

    /// Whether a node has the others right: alive, verified, with their channels and paths.
    fn look_at(&mut self, node: NodeIndex, live: &[NodeIndex]) -> Result<(), String> {
        let impaired = |swarm: &mut Self, node: NodeIndex| {
            let at = swarm.world.host_of(node);
            let multicast = swarm.world.nodes[node.0].spec.multicast;
            let host = swarm.world.host(at);
            (at, host.deaf || !multicast, host.mute || !multicast)
        };
        let (here, deaf, mute) = impaired(self, node);
        for &other in live.iter().filter(|&&other| other != node) {
            let (there, other_deaf, other_mute) = impaired(self, other);
            let Some(engine) = self.world.engine(node) else { continue };
            let id = self.world.id(other);
            let Some(info) = engine.peers().find(|info| info.id == id) else { continue };
            let who = format!("node {} has node {} ({id:?})", node.0, other.0);
            if info.state != PeerState::Alive || !info.verified {
                return Err(format!("{who} as {:?}, verified: {}", info.state, info.verified));
            }
            let channels: SmallSet<ChannelName> = filled(info.channels.iter().cloned());
            if channels != self.channels[other.0] {
                return Err(format!("{who} in {channels:?}"));
            }
            // What stays within a host does not care for the wire.
            let unicast = deaf || mute || other_deaf || other_mute;
            let expected = if unicast { Hearing::Unicast } else { Hearing::Multicast };
            if here != there && info.path != expected {
                return Err(format!("{who} by {}", info.path.as_str()));
            }
        }
        Ok(())
    }

    /// Whether everyone who was present has what any of them has.
    fn agree_on_talk(&self, live: &[NodeIndex]) -> Result<(), String> {
        let lobby = ChannelName::lobby();
        let heard: BTreeMap<NodeIndex, BTreeSet<&str>> =
            live.iter().map(|&node| (node, self.heard_since_start(node))).collect();
        for (at, author, text) in &self.talk {
            let id = self.world.id(*author);
            let has = |node: &NodeIndex| {
                let own = node == author && self.world.started(*node) <= *at;
                own || heard[node].contains(text.as_str())
            };
            let Some(holder) = live.iter().find(|node| has(node)) else { continue };
            for node in live.iter().filter(|node| self.channels[node.0].contains(&lobby)) {
                let present = self.world.started(*node) + PRESENT < *at;
                let other = node != author;
                if present && other && !has(node) && !self.world.checker.misses(*node, id) {
                    let (node, holder, author) = (node.0, holder.0, author.0);
                    let text: String = text.chars().take(12).collect();
                    let at = at.as_micros() as f64 / 1e6;
                    return Err(format!(
                        "node {node} lacks “{text}” of node {author} ({id:?}), said at {at:.3} s, \
                         which node {holder} has"
                    ));
                }
            }
        }
        Ok(())
    }

    fn heard_since_start(&self, node: NodeIndex) -> BTreeSet<&str> {
        let started = self.world.started(node);
        let events = self.world.events(node).iter().filter(|(at, _)| *at >= started);
        let texts = events.filter_map(|(_, event)| match event {
            Event::Message(message) => Some(message.text.raw()),
            _ => None,
        });
        texts.collect()
    }

    /// Whether what is said now arrives everywhere.
    fn talk(&mut self, live: &[NodeIndex]) -> Result<(), String> {
        // The first word of a run may wait 2 s for what is missing of the run before, in vain.
        for (word, within) in [("first of all", 4), ("at last", 2)] {
            for &node in live {
                self.world.say(node, &format!("{word} {}", node.0));
            }
            self.world.run_for(Duration::from_secs(within));
            self.world.checker.verdict()?;
            self.all_heard(live, word)?;
        }
        Ok(())
    }

    /// Whether everyone has heard this word of everyone.
    fn all_heard(&self, live: &[NodeIndex], word: &str) -> Result<(), String> {
        let lobby = ChannelName::lobby();
        for &node in live.iter().filter(|node| self.channels[node.0].contains(&lobby)) {
            for &author in live.iter().filter(|&&author| author != node) {
                let text = format!("{word} {}", author.0);
                let heard = self.world.heard(node, &text);
                if heard != 1 {
                    let (node, author) = (node.0, author.0);
                    return Err(format!("node {node} heard node {author} {heard} times"));
                }
            }
        }
        Ok(())
    }

    /// Whether a question reaches everybody, and each says that nobody there answers.
    fn ask(&mut self, live: &[NodeIndex]) -> Result<(), String> {
        for &node in live {
            let to: Vec<NodeId> =
                live.iter().filter(|&&n| n != node).map(|&n| self.world.id(n)).collect();
            let what = self.world.outgoing("does anybody answer?");
            let ticket = u64::MAX;
            self.world.command(node, Command::Ask { to: to.clone(), what, ticket });
            self.world.run_for(Duration::from_secs(1));
            let silent = to.iter().find(|&&id| {
                let end = Event::AnswerEnd { ticket, from: id, end: AnswerEnd::Nobody };
                !self.world.events(node).iter().any(|(_, event)| *event == end)
            });
            if let Some(silent) = silent {
                return Err(format!("node {}'s question to {silent:?} has no end", node.0));
            }
        }
        self.world.checker.verdict()
    }
}
