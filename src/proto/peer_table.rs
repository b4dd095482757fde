//! The table of peers: by id, in the order of ids, in little more room than the peers take.
//!
//! Ids are as good as random, so their first byte says in which of 256 parts a peer is, and the next
//! four nearly where in that part: a sorted vector of some 40 where ten thousand are known. A B-tree
//! would leave a third of its room empty and look up through four levels. Who draws keys until they
//! all fall into one part, or near each other, makes it as slow as to halve one sorted vector of
//! [`limits::PEERS`] again and again, which still is less than a microsecond.
//!
//! [`limits::PEERS`]: crate::values::limits::PEERS

use super::peers::{BUCKETS, Peer, bucket, mark};
use crate::values::NodeId;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct PeerTable {
    parts: Box<[Vec<(NodeId, Peer)>]>,
    len: usize,
}

impl PeerTable {
    pub(crate) fn new() -> Self {
        Self { parts: (0..BUCKETS).map(|_| Vec::new()).collect(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Peer> {
        let part = &self.parts[bucket(id)];
        place(part, id).ok().map(|at| &part[at].1)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        let part = &mut self.parts[bucket(id)];
        place(part, id).ok().map(|at| &mut part[at].1)
    }

    /// Puts a peer there, in the place of any that was known by this id.
    pub(crate) fn insert(&mut self, id: NodeId, peer: Peer) {
        let part = &mut self.parts[bucket(id)];
        match place(part, id) {
            Ok(at) => part[at].1 = peer,
            Err(at) => {
                if part.len() == part.capacity() {
                    // To go on doubling it would leave a quarter of the room empty.
                    part.reserve_exact(part.len().clamp(1, 4).max(part.len() / 8));
                }
                part.insert(at, (id, peer));
                self.len += 1;
            }
        }
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Peer> {
        let part = &mut self.parts[bucket(id)];
        let at = place(part, id).ok()?;
        let (_, peer) = part.remove(at);
        self.len -= 1;
        if part.is_empty() {
            *part = Vec::new();
        }
        Some(peer)
    }

    /// All of them, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.parts.iter().flatten().map(|(id, peer)| (*id, peer))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (NodeId, &mut Peer)> {
        self.parts.iter_mut().flatten().map(|(id, peer)| (*id, peer))
    }

    /// Those behind an id, in the order of their ids.
    pub(crate) fn after(&self, id: Option<NodeId>) -> impl Iterator<Item = (NodeId, &Peer)> {
        let (first, skipped) = id.map_or((0, 0), |id| {
            let first = bucket(id);
            let place = place(&self.parts[first], id);
            (first, place.map_or_else(|at| at, |at| at + 1))
        });
        let rest = self.parts[first..].iter().flatten();
        rest.skip(skipped).map(|(id, peer)| (*id, peer))
    }
}

/// Steps from where a peer should be to where it is: among 40, hardly ever more than ten.
const STEPS: usize = 12;

/// Where a peer is in its part, or would be.
///
/// To halve the part again and again would touch memory in six places, and no two lookups are close in
/// time among ten thousand: that was what took longest of all that is done with a datagram.
fn place(part: &[(NodeId, Peer)], id: NodeId) -> Result<usize, usize> {
    // The first eight bytes nearly always tell, in one comparison of registers.
    let first = mark(id);
    let compare = |other: &NodeId| mark(*other).cmp(&first).then_with(|| other.cmp(&id));
    let is_before = |at: usize| part.get(at).is_some_and(|(other, _)| compare(other).is_lt());
    let share = (first << 8) >> 32;
    let mut at = ((share * part.len() as u64) >> 32) as usize;
    for _ in 0..STEPS {
        if is_before(at) {
            at += 1;
        } else if at > 0 && !is_before(at - 1) {
            at -= 1;
        } else {
            let is_there = part.get(at).is_some_and(|(other, _)| *other == id);
            return if is_there { Ok(at) } else { Err(at) };
        }
    }
    part.binary_search_by(|(other, _)| compare(other))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::peers::Standing;
    use super::*;
    use crate::values::Instant;

    /// Some 300 in each of four parts, close to each other there; and others in many.
    fn id(n: u16) -> NodeId {
        let [high, low] = n.to_be_bytes();
        NodeId(std::array::from_fn(|i| [high, low][i % 2]))
    }

    fn peer(epoch: u64) -> Peer {
        Peer::new(epoch, Standing::Alive, Instant::ZERO)
    }

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would_in_the_same_order(
            steps in prop::collection::vec((0..1_200_u16, any::<bool>()), 1..300),
            from in 0..1_200_u16,
        ) {
            let (mut table, mut tree) = (PeerTable::new(), BTreeMap::new());
            for (epoch, (n, comes)) in steps.into_iter().enumerate() {
                let epoch = epoch as u64;
                if comes {
                    table.insert(id(n), peer(epoch));
                    tree.insert(id(n), epoch);
                } else {
                    let gone = table.remove(id(n)).map(|peer| peer.epoch);
                    prop_assert_eq!(gone, tree.remove(&id(n)));
                }
                prop_assert_eq!(table.len(), tree.len());
                prop_assert_eq!(table.get(id(n)).map(|peer| peer.epoch), tree.get(&id(n)).copied());
            }
            prop_assert!(table.iter().map(|(id, p)| (id, p.epoch)).eq(tree.iter().map(|(&id, &e)| (id, e))));
            let behind: Vec<NodeId> = tree.range(id(from)..).map(|(&id, _)| id).filter(|&i| i != id(from)).collect();
            prop_assert!(table.after(Some(id(from))).map(|(id, _)| id).eq(behind));
        }
    }

    #[test]
    fn ten_thousand_peers_take_less_than_two_megabytes() {
        let mut table = PeerTable::new();
        for n in 0..10_000_u64 {
            let bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            table.insert(NodeId(std::array::from_fn(|i| bits[i % 8])), peer(n));
        }
        assert_eq!(table.len(), 10_000);
        let each = size_of::<(NodeId, Peer)>();
        let room: usize = table.parts.iter().map(|part| part.capacity() * each).sum();
        assert!(each <= 144, "{each} bytes each");
        assert!(room < 1_620_000, "{room} bytes");
    }
}
