//! The life of a LAN: hosts start, stay, come and go; some crash, one joins, many leave at once, and
//! the LAN falls apart and heals.
//!
//! Every phase begins where the one before has ended, and is left out unless it is asked for.

use std::time::Duration;

use super::host::{HostId, NodeIndex, Spec};
use super::progress::{Phase, Progress};
use super::startup::{Report, Startup};
use super::watch::Watch;
use super::world::World;
use crate::values::{NodeId, order};

/// What is to happen, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// All start, and then stay for a while.
    pub startup: Startup,
    /// So many hosts a minute say goodbye while the others stay, and start again two seconds later.
    pub churn: f64,
    /// A share of the hosts has its cable out for one second in ten all that time.
    pub flapping: f64,
    /// A share of the hosts crashes at once.
    pub crash: f64,
    /// One more host joins.
    pub join: bool,
    /// A share of the hosts leaves at once, with a goodbye.
    pub leave: f64,
    /// The LAN falls into two halves for this time.
    pub part: Duration,
}

/// What joining took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Joined {
    /// Until the newcomer knew everyone.
    pub knows: Option<Duration>,
    /// Until everyone knew the newcomer.
    pub known: Option<Duration>,
    /// Datagrams that the newcomer sent to all until both were so.
    pub to_all: u64,
    /// Datagrams that it alone sent or was sent.
    pub to_one: u64,
}

/// What came of a [`Scenario`]. Times are `None` where it did not come to it within the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was asked for.
    pub scenario: Scenario,
    /// How they started, and what they sent while they stayed.
    pub report: Report,
    /// How often somebody who was there was taken for suspect, and for dead, meanwhile.
    pub accused: (u64, u64),
    /// After coming and going: until everyone knew everyone again.
    pub calmed: Option<Option<Duration>>,
    /// For each host that crashed: until everyone knew it.
    pub crashes: Vec<Option<Duration>>,
    /// What joining took.
    pub joined: Option<Joined>,
    /// Until everyone knew that those who left have left.
    pub left: Option<Option<Duration>>,
    /// From the healing until everyone knew everyone.
    pub healed: Option<Option<Duration>>,
}

/// How exactly times are measured.
const STEP: Duration = Duration::from_millis(20);

/// How long one who starts again was away.
const AWAY: Duration = Duration::from_secs(2);

impl Scenario {
    /// A start, and nothing else.
    pub fn of(startup: Startup) -> Self {
        let part = Duration::ZERO;
        Self { startup, churn: 0.0, flapping: 0.0, join: false, crash: 0.0, leave: 0.0, part }
    }

    /// Runs it, and tells again and again how far it has come.
    pub fn run_watched(&self, mut watch: impl FnMut(Progress)) -> Outcome {
        let watch = &mut watch;
        let (mut world, mut report) = self.startup.begin(&mut *watch);
        let before = world.tally;
        world.watch = Some(Watch::default());
        self.stay(&mut world, watch);
        report.steady = world.tally - before;
        let accused = world.watch.as_ref().map_or((0, 0), Watch::accused);
        let unquiet = self.churn > 0.0 || self.flapping > 0.0;
        let calmed = unquiet.then(|| self.until_all_know_all(&mut world, Phase::Heal, watch));
        let crashes = self.crash(&mut world, watch);
        let joined = self.join.then(|| self.join(&mut world, watch));
        let left = (self.leave > 0.0).then(|| {
            for node in pick(&mut world, self.leave) {
                world.stop(node);
            }
            self.until_all_know_all(&mut world, Phase::Leave, watch)
        });
        let healed = (!self.part.is_zero()).then(|| {
            let hosts: Vec<HostId> = world.running().map(|node| world.host_of(node)).collect();
            for &host in hosts.iter().step_by(2) {
                world.host(host).side = 1;
            }
            world.run_for(self.part);
            for &host in &hosts {
                world.host(host).side = 0;
            }
            self.until_all_know_all(&mut world, Phase::Heal, watch)
        });
        world.look();
        report.violation = world.checker.verdict().err();
        Outcome { scenario: *self, report, accused, calmed, crashes, joined, left, healed }
    }

    /// Runs it.
    pub fn run(&self) -> Outcome {
        self.run_watched(|_| {})
    }

    /// Virtual time that a phase may take: in large groups each host is heard seldom.
    fn limit(&self) -> Duration {
        self.startup.limit + Duration::from_millis(100) * self.startup.hosts as u32
    }

    fn stay(&self, world: &mut World, watch: &mut impl FnMut(Progress)) {
        let mut passed = |second| {
            let of = self.startup.steady.as_secs() as usize;
            watch(Progress { phase: Phase::Stay, done: second as usize, of });
        };
        if self.churn == 0.0 && self.flapping == 0.0 {
            for second in 0..self.startup.steady.as_secs() {
                passed(second);
                world.run_for(Duration::from_secs(1));
            }
            return world.run_for(Duration::from_nanos(self.startup.steady.subsec_nanos().into()));
        }
        let flapping = pick(world, self.flapping);
        if let Some(watch) = &mut world.watch {
            // Whoever takes them for suspect is right.
            watch.excused.extend(flapping.iter().map(|node| world.nodes[node.0].id));
        }
        let mut due = 0.0;
        for second in 0..self.startup.steady.as_secs() {
            passed(second);
            for &node in &flapping {
                let host = world.host_of(node);
                match second % 10 {
                    3 => world.cut(host, true),
                    4 => world.cut(host, false),
                    _ => {}
                }
            }
            due += self.churn / 60.0;
            while due >= 1.0 {
                due -= 1.0;
                let nodes: Vec<NodeIndex> = world.running().collect();
                let at = world.rng().below(nodes.len() as u64) as usize;
                if let Some(&node) = nodes.get(at) {
                    world.stop(node);
                    world.start_at(node, world.now() + AWAY);
                }
            }
            world.run_for(Duration::from_secs(1));
        }
        for node in flapping {
            world.cut(world.host_of(node), false);
        }
        world.run_for(AWAY);
    }

    fn join(&self, world: &mut World, watch: &mut impl FnMut(Progress)) -> Joined {
        let lan = world.lan_of(NodeIndex(0));
        let host = world.add_host(&[lan]);
        let node = world.add_node(host, Spec::default());
        if let Some(watch) = &mut world.watch {
            watch.follow(node);
        }
        let begun = world.now();
        world.start(node);
        let id = world.id(node);
        let others: Vec<NodeIndex> = world.running().filter(|&other| other != node).collect();
        let mut joined = Joined::default();
        let mut met = 0;
        while world.now().since(begun) < self.limit() {
            world.run_for(STEP);
            let after = world.now().since(begun);
            let knows = world.engine(node).is_some_and(|e| e.peer_count() == others.len());
            if joined.knows.is_none() && knows {
                joined.knows = Some(after);
            }
            while others.get(met).is_some_and(|&other| world.knows(other, id)) {
                met += 1;
            }
            watch(Progress { phase: Phase::Join, done: met, of: others.len() });
            if met == others.len() && joined.known.is_none() {
                joined.known = Some(after);
            }
            if joined.knows.is_some() && joined.known.is_some() {
                break;
            }
        }
        if let Some(watch) = &world.watch {
            (joined.to_all, joined.to_one) = watch.followed();
        }
        joined
    }

    fn crash(&self, world: &mut World, watch: &mut impl FnMut(Progress)) -> Vec<Option<Duration>> {
        if self.crash == 0.0 {
            return Vec::new();
        }
        let gone = pick(world, self.crash);
        let begun = world.now();
        for &node in &gone {
            world.crash(node);
        }
        let others: Vec<NodeIndex> = world.running().collect();
        // Of each, how many of the others have been seen to know; and when all had.
        let mut known: Vec<(NodeId, usize, Option<Duration>)> =
            gone.iter().map(|&node| (world.id(node), 0, None)).collect();
        while world.now().since(begun) < self.limit() {
            world.run_for(STEP);
            let after = world.now().since(begun);
            for (id, seen, done) in known.iter_mut().filter(|(.., done)| done.is_none()) {
                while others.get(*seen).is_some_and(|&other| !world.knows(other, *id)) {
                    *seen += 1;
                }
                *done = (*seen == others.len()).then_some(after);
            }
            let done = known.iter().filter(|(.., done)| done.is_some()).count();
            watch(Progress { phase: Phase::Crash, done, of: known.len() });
            if done == known.len() {
                break;
            }
        }
        let mut crashes: Vec<Option<Duration>> = known.into_iter().map(|(.., done)| done).collect();
        order::sort_by_key(&mut crashes, |time| time.unwrap_or(Duration::MAX));
        crashes
    }

    fn until_all_know_all(
        &self,
        world: &mut World,
        phase: Phase,
        watch: &mut impl FnMut(Progress),
    ) -> Option<Duration> {
        let begun = world.now();
        let nodes: Vec<NodeIndex> = world.running().collect();
        let knows_all = |world: &World, node: &NodeIndex| {
            world.engine(*node).is_some_and(|engine| engine.peer_count() + 1 == nodes.len())
        };
        let mut seen = 0;
        loop {
            while nodes.get(seen).is_some_and(|node| knows_all(world, node)) {
                seen += 1;
            }
            watch(Progress { phase, done: seen, of: nodes.len() });
            if seen == nodes.len() {
                // Those seen first may have lost somebody since.
                if nodes.iter().all(|node| knows_all(world, node)) {
                    return Some(world.now().since(begun));
                }
                seen = 0;
            }
            if world.now().since(begun) >= self.limit() {
                return None;
            }
            world.run_for(STEP);
        }
    }
}

/// A share of those who run, by chance: at least one, and not all.
fn pick(world: &mut World, share: f64) -> Vec<NodeIndex> {
    let mut nodes: Vec<NodeIndex> = world.running().collect();
    if share <= 0.0 || nodes.len() < 2 {
        return Vec::new();
    }
    let wanted = ((nodes.len() as f64 * share).round() as usize).clamp(1, nodes.len() - 1);
    for i in 0..wanted {
        let j = i + world.rng().below((nodes.len() - i) as u64) as usize;
        nodes.swap(i, j);
    }
    nodes.truncate(wanted);
    nodes
}
