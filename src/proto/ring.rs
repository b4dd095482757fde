//! Who watches whom.
//!
//! The ids of all nodes, in their order, are a ring, and each node watches the few behind it. So everyone is
//! watched by as many, whoever knows the same peers knows by whom, and how long a crash goes unnoticed is
//! bounded. (SWIM asks one member after the other by chance: then it is bounded on average.) Ids are keys, and so
//! as good as drawn by chance. Who draws keys until one falls right before somebody else's can watch it, and so say
//! nothing when it dies: then the others, which hear it no more, find out later.

use super::peers::Peers;
use super::timing;
use crate::values::{NodeId, limits};

/// Those behind a node on the ring, the nearest first, without this node itself.
fn behind(peers: &Peers, id: NodeId) -> impl Iterator<Item = NodeId> {
    let all = peers.after(Some(id)).chain(peers.after(None)).map(|(id, _)| id);
    all.take(peers.len()).filter(move |other| *other != id)
}

/// Whom this node watches; their place is the rank that it has among their watchers.
pub(crate) fn watched(peers: &Peers, own: NodeId) -> impl Iterator<Item = NodeId> {
    behind(peers, own).take(timing::WATCHERS)
}

/// Whether this node would be one of the watchers of another one, if that were a peer.
pub(crate) fn is_next(peers: &Peers, own: NodeId, other: NodeId) -> bool {
    are_fewer_between(peers, own, other, timing::WATCHERS)
}

/// Whether a peer may be a watcher of another one, as far as one can tell who knows not quite the same ring, and maybe
/// not the other.
pub(crate) fn may_watch(peers: &Peers, watcher: NodeId, other: NodeId) -> bool {
    watcher != other && are_fewer_between(peers, watcher, other, limits::ACCUSERS_REACH)
}

/// Whether there are fewer than so many peers between one and another, along the ring.
fn are_fewer_between(peers: &Peers, one: NodeId, other: NodeId, limit: usize) -> bool {
    let way = |id: NodeId| (id <= one, id);
    behind(peers, one).take(limit).take_while(|id| way(*id) < way(other)).count() < limit
}

#[cfg(test)]
mod tests {
    use super::super::peer::{Peer, Standing};
    use super::*;
    use crate::values::Instant;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    /// What node `own` of a ring of 1 to `count` knows.
    fn known(own: u8, count: u8) -> Peers {
        let mut peers = Peers::new();
        for n in (1..=count).filter(|&n| n != own) {
            peers.insert(id(n), Peer::new(1, Standing::Alive, Instant::ZERO));
        }
        peers
    }

    #[test]
    fn each_node_watches_the_three_behind_it_and_is_watched_by_three() {
        let watched_by = |own: u8| -> Vec<NodeId> { watched(&known(own, 20), id(own)).collect() };
        assert_eq!(watched_by(5), [id(6), id(7), id(8)]);
        assert_eq!(watched_by(19), [id(20), id(1), id(2)]);
        for n in 1..=20 {
            let watchers = (1..=20).filter(|&own| watched_by(own).contains(&id(n)));
            assert_eq!(watchers.count(), timing::WATCHERS);
        }
    }

    #[test]
    fn where_there_are_few_each_watches_all_others_once() {
        assert_eq!(watched(&known(1, 1), id(1)).count(), 0);
        assert_eq!(watched(&known(2, 2), id(2)).collect::<Vec<_>>(), [id(1)]);
        assert_eq!(watched(&known(2, 3), id(2)).collect::<Vec<_>>(), [id(3), id(1)]);
    }

    #[test]
    fn of_those_who_stay_the_nearest_three_are_next_to_one_who_has_gone() {
        let next_to_four = |gone: &[u8]| -> Vec<u8> {
            let stay = (1..=20).filter(|n| !gone.contains(n));
            let is_next = |&own: &u8| {
                let mut peers = known(own, 20);
                for &n in gone {
                    peers.remove(id(n), Instant::ZERO);
                }
                super::is_next(&peers, id(own), id(4))
            };
            stay.filter(is_next).collect()
        };
        assert_eq!(next_to_four(&[4]), [1, 2, 3]);
        assert_eq!(next_to_four(&[1, 3, 4, 20]), [2, 18, 19]);
    }

    #[test]
    fn who_is_far_off_on_the_ring_may_not_accuse() {
        let peers = known(100, 90);
        assert!(may_watch(&peers, id(5), id(6)) && may_watch(&peers, id(85), id(3)));
        assert!(!may_watch(&peers, id(5), id(40)) && !may_watch(&peers, id(6), id(5)));
        assert!(!may_watch(&peers, id(5), id(5)));
        assert!(
            may_watch(&peers, id(85), id(95)),
            "who is not known is somewhere on the ring, too"
        );
        assert!(!may_watch(&peers, id(60), id(95)));
    }
}
