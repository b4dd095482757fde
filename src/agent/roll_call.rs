//! Who is to confirm what was said, and who has: made of what a node tells after it was asked to
//! confirm.
//!
//! ```text
//!   expected ──receipt──▶ has it
//!      ╰───left, dead───▶ gone ──receipt──▶ has it
//! ```
//!
//! Who is expected is known once everything has gone out. Who is gone is missing and not waited for;
//! so is who is told of by others and does not answer, and, where that counts, who is only told of at
//! all: nobody knows whether it takes part.

use std::time::Duration;

use super::survey::{Need, Who};
use crate::proto::{Event, PeerInfo};
use crate::values::{NodeId, PeerText, SmallMap, SmallSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Expected,
    Has,
    Gone,
}

/// One confirmation under way.
#[derive(Debug)]
pub(crate) struct RollCall {
    ticket: u64,
    need: Need,
    /// What those are called who may be expected.
    nicks: SmallMap<NodeId, PeerText>,
    /// Those of them who have not been heard themselves.
    told_of: SmallSet<NodeId>,
    /// Who is; `None` as long as not everything has gone out.
    expected: Option<SmallMap<NodeId, State>>,
}

/// A peer has everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) from: NodeId,
    pub(crate) nick: PeerText,
    /// How long after it was said.
    pub(crate) took: Duration,
}

/// What has come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// Peers that have confirmed.
    pub(crate) received: usize,
    /// Peers that were there to do so.
    pub(crate) expected: usize,
    /// Those that have not.
    pub(crate) missing: Vec<Who>,
}

impl RollCall {
    /// Of the confirmation with that ticket, at a node that knew these peers when it was asked.
    pub(crate) fn new(ticket: u64, need: Need, peers: &[PeerInfo]) -> Self {
        let mut nicks = SmallMap::new();
        for peer in peers {
            nicks.insert(peer.id, peer.profile.nick.clone());
        }
        Self { ticket, need, nicks, told_of: SmallSet::new(), expected: None }
    }

    /// Has those count as missing, too, who are only told of.
    pub(crate) fn and_hearsay(mut self, peers: &[PeerInfo]) -> Self {
        self.told_of = peers.iter().filter(|peer| !peer.verified).map(|peer| peer.id).collect();
        self
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Takes in what has happened at the node; a receipt if it is one.
    pub(crate) fn note(&mut self, event: &Event) -> Option<Receipt> {
        match event {
            Event::Joined(peer) | Event::Renamed { peer, .. } => {
                self.told_of.remove(&peer.id);
                self.nicks.insert(peer.id, peer.profile.nick.clone());
            }
            Event::Expecting { ticket, from, unheard } if *ticket == self.ticket => {
                let mut expected = SmallMap::new();
                for (id, nick) in unheard {
                    expected.insert(*id, State::Gone);
                    self.nicks.insert(*id, nick.clone());
                }
                for id in self.told_of.iter() {
                    expected.insert(*id, State::Gone);
                }
                for id in from {
                    expected.insert(*id, State::Expected);
                }
                self.expected = Some(expected);
            }
            Event::Receipt { ticket, from, took } if *ticket == self.ticket => {
                let state = self.expected.as_mut()?.get_mut(from)?;
                *state = State::Has;
                return Some(Receipt { from: *from, nick: self.nick(*from), took: *took });
            }
            Event::Left(peer) | Event::Dead(peer) => {
                let state = self.expected.as_mut()?.get_mut(&peer.id)?;
                if *state == State::Expected {
                    *state = State::Gone;
                }
            }
            _ => {}
        }
        None
    }

    fn nick(&self, id: NodeId) -> PeerText {
        self.nicks.get(&id).cloned().unwrap_or_default()
    }

    fn count(&self, is: State) -> usize {
        let all = self.expected.iter().flat_map(SmallMap::values);
        all.filter(|state| **state == is).count()
    }

    /// Whether everything has gone out.
    pub(crate) fn has_begun(&self) -> bool {
        self.expected.is_some()
    }

    /// Whether there is nothing to wait for any more.
    pub(crate) fn is_over(&self) -> bool {
        let Some(expected) = &self.expected else { return false };
        let enough = self.count(State::Has) >= self.need.of(expected.len()).max(1);
        enough || self.count(State::Expected) == 0
    }

    /// What has come of it so far.
    pub(crate) fn summary(&self) -> Confirmed {
        let all = self.expected.iter().flatten();
        let missing = all.filter(|(_, state)| **state != State::Has);
        let mut missing: Vec<Who> = missing.map(|(&id, _)| (id, self.nick(id))).collect();
        super::survey::sort(&mut missing);
        let expected = self.expected.as_ref().map_or(0, SmallMap::len);
        Confirmed { received: self.count(State::Has), expected, missing }
    }
}

impl Confirmed {
    /// Whether as many have confirmed as had to; somebody has to.
    pub(crate) fn is_met(&self, need: Need) -> bool {
        self.received >= need.of(self.expected).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_peer;
    use std::sync::Arc;

    fn peer(n: u8) -> PeerInfo {
        let mut peer = a_peer();
        peer.id = NodeId([n; 32]);
        Arc::make_mut(&mut peer.profile).nick = format!("n{n}").as_str().into();
        peer
    }

    fn who(n: u8) -> Who {
        (peer(n).id, peer(n).profile.nick.clone())
    }

    fn receipt(n: u8) -> Event {
        Event::Receipt { ticket: 7, from: peer(n).id, took: Duration::from_millis(1) }
    }

    fn expecting(from: Vec<NodeId>) -> Event {
        Event::Expecting { ticket: 7, from, unheard: Vec::new() }
    }

    /// A roll call of so many, that has begun.
    fn called(need: &str, count: u8) -> RollCall {
        let peers: Vec<PeerInfo> = (0..count).map(peer).collect();
        let mut roll = RollCall::new(7, need.parse().unwrap(), &peers);
        assert!(!roll.has_begun() && !roll.is_over());
        let from = peers.iter().map(|peer| peer.id).collect();
        roll.note(&expecting(from));
        assert!(roll.has_begun());
        roll
    }

    #[test]
    fn all_have_to_confirm_and_each_is_told_of_once() {
        let mut roll = called("all", 2);
        let other = Event::Receipt { ticket: 8, from: peer(0).id, took: Duration::ZERO };
        assert_eq!(roll.note(&other), None);
        assert_eq!(roll.note(&receipt(9)), None, "it was not expected");
        let told = roll.note(&receipt(1)).unwrap();
        assert_eq!((told.from, told.nick), who(1));
        assert!(!roll.is_over());
        let so_far = Confirmed { received: 1, expected: 2, missing: vec![who(0)] };
        assert_eq!(roll.summary(), so_far);
        assert!(!so_far.is_met(Need::All));
        roll.note(&receipt(0));
        assert!(roll.is_over() && roll.summary().is_met(Need::All));
    }

    #[test]
    fn as_many_as_are_needed_are_enough() {
        for (need, enough) in [("3", 3), ("80%", 4), ("81%", 5), ("1%", 1), ("all", 5)] {
            let mut roll = called(need, 5);
            for n in 0..enough {
                let met = roll.summary().is_met(need.parse().unwrap());
                assert!(!roll.is_over() && !met, "{need}");
                roll.note(&receipt(n));
            }
            assert!(roll.is_over() && roll.summary().is_met(need.parse().unwrap()), "{need}");
        }
        let mut few = called("3", 2);
        few.note(&receipt(0));
        few.note(&receipt(1));
        let summary = few.summary();
        assert!(few.is_over() && summary.missing.is_empty() && !summary.is_met(Need::Count(3)));
    }

    #[test]
    fn who_leaves_or_dies_is_missing_and_is_not_waited_for_but_its_receipt_counts() {
        let mut roll = called("all", 3);
        roll.note(&Event::Left(peer(9)));
        roll.note(&receipt(0));
        roll.note(&Event::Left(peer(0)));
        roll.note(&Event::Left(peer(1)));
        assert!(!roll.is_over());
        roll.note(&Event::Dead(peer(2)));
        assert!(roll.is_over());
        assert_eq!(roll.summary().missing, [who(1), who(2)]);
        roll.note(&receipt(2));
        assert_eq!(roll.summary().missing, [who(1)]);
    }

    #[test]
    fn who_comes_before_it_has_gone_out_is_expected_under_its_name() {
        let mut roll = RollCall::new(7, Need::All, &[]);
        roll.note(&Event::Joined(peer(3)));
        roll.note(&Event::Left(peer(3)));
        roll.note(&expecting(vec![peer(3).id]));
        assert_eq!(roll.summary().missing, [who(3)]);
    }

    #[test]
    fn who_is_only_told_of_is_missing_where_that_counts_unless_it_is_heard_in_time() {
        let mut peers: Vec<PeerInfo> = (0..3).map(peer).collect();
        peers[1].verified = false;
        peers[2].verified = false;
        for (counts, missing) in [(false, vec![]), (true, vec![who(2)])] {
            let roll = RollCall::new(7, Need::All, &peers);
            let mut roll = if counts { roll.and_hearsay(&peers) } else { roll };
            roll.note(&Event::Joined(peer(1)));
            roll.note(&expecting(vec![peer(0).id, peer(1).id]));
            roll.note(&receipt(0));
            assert!(!roll.is_over());
            roll.note(&receipt(1));
            assert!(roll.is_over());
            assert_eq!(roll.summary().missing, missing);
        }
    }

    #[test]
    fn who_does_not_answer_is_missing_by_name_and_not_waited_for() {
        for (need, met) in [(Need::All, false), (Need::Count(1), true)] {
            let mut roll = RollCall::new(7, need, &[peer(0)]);
            let (from, unheard) = (vec![peer(0).id], vec![who(1)]);
            roll.note(&Event::Expecting { ticket: 7, from, unheard });
            assert!(!roll.is_over());
            roll.note(&receipt(0));
            assert!(roll.is_over());
            let summary = roll.summary();
            assert_eq!((summary.received, summary.expected), (1, 2));
            assert_eq!((summary.missing.as_slice(), summary.is_met(need)), (&[who(1)][..], met));
        }
    }

    #[test]
    fn nobody_is_not_enough() {
        let nobody = called("all", 0);
        assert!(nobody.is_over() && !nobody.summary().is_met(Need::All));
    }
}
