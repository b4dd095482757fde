//! Whom this node asks whether it is there, and when next: who was silent for too long, and who is said to be dead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::health::Health;
use super::recent::Recent;
use super::suspicion::Suspicion;
use super::timing;
use super::turns::Turns;
use crate::values::{Epoch, Instant, LinkId, NodeId, limits, order};

/// Why a peer is asked; the later ones count more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It may not hear this node, or not be heard: it asks through others, or did not answer itself.
    Question,
    /// Others say that it is dead.
    Accused,
    /// This node watches it.
    Watch,
    /// Nothing came of it for so long that its watchers should have noticed.
    Silence,
}

/// The questions to one peer.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) reason: Reason,
    /// The number that goes to the peer itself, and the one that goes to others who ask it.
    pub(crate) nonce: u64,
    pub(crate) relayed: u64,
    /// When it was asked first.
    pub(crate) begun: Instant,
    pub(crate) asked: u8,
    pub(crate) next: Instant,
    /// Who was asked to ask it, and whether any of them will.
    pub(crate) relays: Vec<NodeId>,
    pub(crate) received: bool,
    pub(crate) suspicion: Option<Suspicion>,
}

/// A question that this node has passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassedOn {
    pub(crate) by: NodeId,
    pub(crate) at: (SocketAddr, LinkId),
    pub(crate) to: NodeId,
}

/// All that a node knows of who may be gone.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) health: Health,
    checks: BTreeMap<NodeId, Check>,
    /// When each of them is due. When a LAN falls apart there are thousands.
    timers: BTreeSet<(Instant, NodeId)>,
    /// How many of them each peer accuses; who accuses nobody is not in it.
    accusers: BTreeMap<NodeId, usize>,
    /// When those whom this node watches are looked at again; later by the slack unless it is awake.
    pub(crate) look: Instant,
    /// Who has asked this node itself, and when last.
    pub(crate) probers: Recent<NodeId, Instant>,
    pub(crate) turns: Turns,
    pub(crate) passed_on: Recent<u64, PassedOn>,
    /// Who was said to be dead, or found to be, though it was never heard here: of which run, and when. Those who
    /// tell of it may not know yet.
    dead: Recent<NodeId, (Epoch, Instant)>,
    /// When one who asks through others may be asked itself.
    may_question: Instant,
}

impl Probes {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            health: Health::new(now),
            checks: BTreeMap::new(),
            timers: BTreeSet::new(),
            accusers: BTreeMap::new(),
            look: Instant::NEVER,
            probers: Recent::new(limits::PASSED_ON),
            turns: Turns::default(),
            passed_on: Recent::new(limits::PASSED_ON),
            dead: Recent::new(limits::DEAD_UNHEARD),
            may_question: now,
        }
    }

    /// A peer that was never heard here is dead, or is said to be.
    pub(crate) fn note_dead(&mut self, id: NodeId, epoch: Epoch, now: Instant) {
        self.dead.insert(&id, (epoch, now));
    }

    /// Whether a peer of whom others tell, who was heard by somebody at this time, is one of those.
    pub(crate) fn is_dead(&self, id: NodeId, epoch: Epoch, heard: Instant) -> bool {
        self.dead.peek(&id).is_some_and(|&(run, at)| epoch <= run && heard <= at)
    }

    /// How many are being asked.
    pub(crate) fn len(&self) -> usize {
        self.checks.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.checks.len() >= limits::CHECKS
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Check> {
        self.checks.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Check> {
        self.checks.get_mut(&id)
    }

    /// Begins to ask a peer that is not being asked; the caller has asked [`Probes::is_full`].
    pub(crate) fn begin(&mut self, id: NodeId, check: Check) {
        debug_assert!(!self.is_full() && check.suspicion.is_none());
        self.timers.insert((check.next, id));
        self.checks.insert(id, check);
    }

    /// A peer is asked no more. Whom this node watches is looked at again.
    pub(crate) fn end(&mut self, id: NodeId, now: Instant) -> Option<Check> {
        let check = self.checks.remove(&id)?;
        self.timers.remove(&(check.next, id));
        for accuser in check.suspicion.iter().flat_map(Suspicion::accusers) {
            if let Some(accused) = self.accusers.get_mut(&accuser) {
                *accused -= 1;
                if *accused == 0 {
                    self.accusers.remove(&accuser);
                }
            }
        }
        self.look = self.look.min(now);
        Some(check)
    }

    /// A peer is to be asked at this time.
    pub(crate) fn plan(&mut self, id: NodeId, at: Instant) {
        if let Some(check) = self.checks.get_mut(&id) {
            self.timers.remove(&(check.next, id));
            self.timers.insert((at, id));
            check.next = at;
        }
    }

    /// Who is to be asked now, in the order of their ids; each is to be planned anew, or ended.
    pub(crate) fn due(&self, now: Instant) -> Vec<NodeId> {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now);
        let mut due: Vec<NodeId> = due.map(|(_, id)| *id).collect();
        order::sort_by_key(&mut due, |id| *id);
        due
    }

    /// A peer that is being asked is accused by another, at an address where that counts.
    pub(crate) fn accuse(&mut self, id: NodeId, by: NodeId, host: Option<IpAddr>, now: Instant) {
        let Some(check) = self.checks.get_mut(&id) else { return };
        if check.suspicion.get_or_insert_with(|| Suspicion::new(now)).accuse(by, host) {
            *self.accusers.entry(by).or_default() += 1;
        }
    }

    /// How many a peer accuses.
    pub(crate) fn accused_by(&self, id: NodeId) -> usize {
        self.accusers.get(&id).copied().unwrap_or(0)
    }

    /// The peer that is being asked through others with this number, one of whom is `relay`.
    pub(crate) fn asked_through(&self, relay: NodeId, nonce: u64) -> Option<NodeId> {
        let through = |check: &Check| check.relayed == nonce && check.relays.contains(&relay);
        self.checks.iter().find(|(_, check)| through(check)).map(|(id, _)| *id)
    }

    /// How long ago somebody else than this one has asked this node.
    pub(crate) fn asked_by_another(&self, id: NodeId, now: Instant) -> Option<Duration> {
        let others = self.probers.iter().filter(|(prober, _)| **prober != id);
        others.map(|(_, at)| now.since(*at)).min()
    }

    /// Whether one who asks through others may be asked itself now; counts it if so.
    pub(crate) fn allows_question(&mut self, now: Instant) -> bool {
        let allowed = self.may_question <= now;
        if allowed {
            self.may_question = now + Duration::from_secs(1);
        }
        allowed
    }

    /// This node stood still: whatever it was about to find of others it finds anew.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.timers.clear();
        for (&id, check) in &mut self.checks {
            (check.asked, check.next) = (0, now + timing::CHECK_AFTER);
            self.timers.insert((check.next, id));
            if let Some(suspicion) = &mut check.suspicion {
                suspicion.restart(now);
            }
        }
    }

    fn next(&self) -> Instant {
        self.timers.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// When there is something to do if this node is awake.
    pub(crate) fn first(&self) -> Instant {
        self.next().min(self.look)
    }

    /// When there is something to do at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.next().min(self.look + timing::WATCH_SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn check(next: Instant) -> Check {
        Check {
            reason: Reason::Watch,
            nonce: 1,
            relayed: 2,
            begun: Instant::ZERO,
            asked: 3,
            next,
            relays: vec![id(9)],
            received: false,
            suspicion: None,
        }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    #[test]
    fn the_first_deadline_is_that_of_the_first_who_is_due() {
        let mut probes = Probes::new(at(0));
        assert_eq!(probes.deadline(), Instant::NEVER);
        probes.begin(id(1), check(at(30)));
        probes.begin(id(2), check(at(20)));
        assert_eq!(probes.deadline(), at(20));
        assert_eq!((probes.due(at(19)), probes.due(at(25))), (vec![], vec![id(2)]));
        probes.plan(id(2), at(50));
        assert_eq!(probes.deadline(), at(30));
        probes.end(id(1), at(26));
        assert_eq!(probes.look, at(26), "it is looked whom else there is to watch");
    }

    #[test]
    fn who_was_asked_through_others_is_found_by_the_number_and_the_one_who_asks() {
        let mut probes = Probes::new(at(0));
        probes.begin(id(1), check(at(30)));
        assert_eq!(probes.asked_through(id(9), 2), Some(id(1)));
        assert_eq!(probes.asked_through(id(9), 1), None);
        assert_eq!(probes.asked_through(id(8), 2), None);
    }

    #[test]
    fn who_is_said_to_be_dead_is_until_somebody_has_heard_it_since_or_it_has_started_again() {
        let mut probes = Probes::new(at(0));
        probes.note_dead(id(1), 5, at(100));
        assert!(probes.is_dead(id(1), 5, at(100)) && probes.is_dead(id(1), 4, at(20)));
        assert!(!probes.is_dead(id(1), 5, at(101)) && !probes.is_dead(id(1), 6, at(20)));
        assert!(!probes.is_dead(id(2), 5, at(20)));
    }

    #[test]
    fn who_stood_still_begins_anew_to_ask() {
        let mut probes = Probes::new(at(0));
        probes.begin(id(1), check(at(30)));
        probes.accuse(id(1), id(7), None, at(5));
        probes.forgive(at(5_000));
        assert_eq!(probes.due(at(30)), []);
        let check = probes.get(id(1)).unwrap();
        assert_eq!((check.asked, check.next), (0, at(5_000) + timing::CHECK_AFTER));
        let time = timing::suspicion(0, 10);
        assert_eq!(check.suspicion.as_ref().unwrap().until(10, 1), at(5_000) + time);
    }

    #[test]
    fn it_is_counted_how_many_each_accuses_as_long_as_they_are_asked() {
        let mut probes = Probes::new(at(0));
        for n in [1, 2] {
            probes.begin(id(n), check(at(30)));
            probes.accuse(id(n), id(7), None, at(5));
            probes.accuse(id(n), id(7), None, at(6));
        }
        probes.accuse(id(3), id(7), None, at(5));
        assert_eq!((probes.accused_by(id(7)), probes.accused_by(id(1))), (2, 0));
        probes.end(id(1), at(7));
        assert_eq!(probes.accused_by(id(7)), 1);
        probes.end(id(2), at(7));
        assert!(probes.accusers.is_empty() && probes.timers.is_empty());
    }
}
