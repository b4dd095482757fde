//! What the stories on simulated LANs share.

use std::time::Duration;

use cooee::proto::{Event, PeerInfo};
use cooee::sim::{Faults, HostId, LanId, NodeIndex, Spec, World};

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A LAN of residents that all started within a second, and have known each other for a while.
pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) lan: LanId,
    pub(crate) hosts: Vec<HostId>,
    pub(crate) nodes: Vec<NodeIndex>,
}

impl Story {
    /// `count` hosts on a quiet LAN.
    pub(crate) fn of(count: usize) -> Self {
        Self::with(count, Faults::default(), 1)
    }

    pub(crate) fn with(count: usize, faults: Faults, seed: u64) -> Self {
        let mut world = World::new(seed);
        let lan = world.add_lan(faults);
        let mut story = Self { world, lan, hosts: Vec::new(), nodes: Vec::new() };
        let begun = story.world.now();
        for _ in 0..count {
            let host = story.world.add_host(&[lan]);
            let node = story.world.add_node(host, Spec::default());
            let at = begun + story.world.rng().up_to(secs(1));
            story.world.start_at(node, at);
            story.hosts.push(host);
            story.nodes.push(node);
        }
        story.world.run_for(secs(8));
        story
    }

    /// So many hosts that have known each other for a while, on a quiet LAN; what they were told
    /// of each other's coming is not kept.
    pub(crate) fn quietly(count: usize, seed: u64) -> Self {
        let mut story = Self::with(0, Faults::default(), seed);
        story.world.keep_events = false;
        for _ in 0..count {
            let host = story.host();
            let node = story.world.add_node(host, Spec::default());
            let at = story.world.now() + story.world.rng().up_to(secs(1));
            story.world.start_at(node, at);
            story.nodes.push(node);
        }
        story.world.run_for(secs(8));
        assert!(story.all_know_all());
        story.world.keep_events = true;
        story
    }

    /// A further host.
    pub(crate) fn host(&mut self) -> HostId {
        let host = self.world.add_host(&[self.lan]);
        self.hosts.push(host);
        host
    }

    /// A further host with a resident on it.
    pub(crate) fn join(&mut self) -> NodeIndex {
        let host = self.host();
        self.start(host, Spec::default())
    }

    pub(crate) fn start(&mut self, host: HostId, spec: Spec) -> NodeIndex {
        let node = self.world.start_with(host, spec);
        if !self.world.is_visitor(node) {
            self.nodes.push(node);
        }
        node
    }

    /// Whether all residents that run know each other, and nobody else.
    pub(crate) fn all_know_all(&self) -> bool {
        let live = self.live();
        live.iter().all(|&node| self.known(node) == live.len() - 1)
    }

    pub(crate) fn live(&self) -> Vec<NodeIndex> {
        let runs = |node: &NodeIndex| self.world.engine(*node).is_some();
        self.nodes.iter().copied().filter(runs).collect()
    }

    pub(crate) fn known(&self, node: NodeIndex) -> usize {
        self.world.engine(node).expect("a running node").peer_count()
    }

    pub(crate) fn peer(&self, node: NodeIndex, of: NodeIndex) -> Option<PeerInfo> {
        let id = self.world.id(of);
        self.world.engine(node)?.peers().find(|peer| peer.id == id)
    }

    /// How many events of a node's pass the filter.
    pub(crate) fn count(&self, node: NodeIndex, filter: impl Fn(&Event) -> bool) -> usize {
        self.world.events(node).iter().filter(|(_, event)| filter(event)).count()
    }

    /// Lets everyone say something, and checks that everyone else hears it once.
    #[track_caller]
    pub(crate) fn everyone_hears_everyone(&mut self, word: &str) {
        let live = self.live();
        for &node in &live {
            self.world.say(node, &format!("{word} {}", node.0));
        }
        self.world.run_for(ms(500));
        for &node in &live {
            for author in live.iter().filter(|&&author| author != node) {
                let heard = self.world.heard(node, &format!("{word} {}", author.0));
                assert_eq!(heard, 1, "{node:?} heard {author:?} {heard} times");
            }
        }
    }

    /// Ends the story: nothing may have happened that must never happen.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.world.look();
        if let Err(what) = self.world.checker.verdict() {
            panic!("{what}");
        }
    }
}

pub(crate) fn visitor() -> Spec {
    Spec { visitor: true, ..Spec::default() }
}

pub(crate) fn settled(story: &Story, node: NodeIndex) -> Option<(bool, Duration)> {
    let events = story.world.events(node);
    events.iter().find_map(|(at, event)| match event {
        Event::Settled { complete } => Some((*complete, Duration::from_micros(at.as_micros()))),
        _ => None,
    })
}
