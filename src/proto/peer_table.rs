//! The table of peers: by id, in little more room than the peers take.
//!
//! ```text
//!   parts    256, by the first byte of an id: the next four bytes, and a place, in the order of ids
//!              │ 0a 17… → 7 │ 0a 3c… → 2 │ 0a 91… → 5 │        some 40 where ten thousand are known
//!   blocks   64 peers each, in the order in which they came: they stay where they are
//! ```
//!
//! Ids are as good as random, so the first byte says in which part a peer is, and the next four nearly
//! where in that part: among 40 keys, which are a few lines of memory. Peers themselves are large;
//! were they kept in order, half a part would be moved for each that comes. A B-tree would leave a
//! third of its room empty and look up through four levels. Who draws keys until they all fall into one
//! part, or near each other, makes it as slow as to halve one sorted vector of [`limits::PEERS`]
//! again and again, which still is less than a microsecond.
//!
//! [`limits::PEERS`]: crate::values::limits::PEERS

use super::peer::Peer;
use crate::values::NodeId;
use crate::wire::Slice;

/// Parts into which ids are divided by their first byte, for comparing two rosters.
pub(crate) const BUCKETS: usize = Slice::PARTS;

/// What an id adds to a digest.
pub(crate) fn mark(id: NodeId) -> u64 {
    let (mark, _) = id.0.as_chunks::<8>();
    u64::from_be_bytes(mark[0])
}

/// In which part of the ids an id is.
pub(crate) fn bucket(id: NodeId) -> usize {
    usize::from(id.0[0])
}

/// Where a peer is.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The bytes of its id behind the first.
    share: u32,
    place: u32,
}

/// Peers to a block: of the last one half is empty on average.
const BLOCK: usize = 64;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct PeerTable {
    parts: Box<[Vec<Key>]>,
    /// All but the last are full.
    blocks: Vec<Vec<(NodeId, Peer)>>,
    len: usize,
}

impl PeerTable {
    pub(crate) fn new() -> Self {
        let parts = (0..BUCKETS).map(|_| Vec::new()).collect();
        Self { parts, blocks: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Peer> {
        let part = &self.parts[bucket(id)];
        self.find(part, id).ok().map(|at| self.at(part[at]).1)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        let part = &self.parts[bucket(id)];
        let key = part[self.find(part, id).ok()?];
        Some(&mut self.entry(key).1)
    }

    /// Puts a peer there, in the place of any that was known by this id.
    pub(crate) fn insert(&mut self, id: NodeId, peer: Peer) {
        let at = match self.find(&self.parts[bucket(id)], id) {
            Ok(at) => return self.entry(self.parts[bucket(id)][at]).1 = peer,
            Err(at) => at,
        };
        let part = &mut self.parts[bucket(id)];
        if part.len() == part.capacity() {
            // To go on doubling it would leave a quarter of the room empty.
            part.reserve_exact((part.len() / 8).max(8));
        }
        part.insert(at, Key { share: share(id), place: self.len as u32 });
        if self.len.is_multiple_of(BLOCK) {
            // Whoever has few peers needs no whole block.
            self.blocks.push(Vec::with_capacity(if self.len == 0 { 0 } else { BLOCK }));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push((id, peer));
        }
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Peer> {
        let at = self.find(&self.parts[bucket(id)], id).ok()?;
        let key = self.parts[bucket(id)].remove(at);
        if self.parts[bucket(id)].is_empty() {
            self.parts[bucket(id)] = Vec::new();
        }
        // The last of all takes the place that is free now.
        let last = self.blocks.last_mut()?;
        let entry = last.pop()?;
        if last.is_empty() {
            self.blocks.pop();
        }
        self.len -= 1;
        if key.place as usize == self.len {
            return Some(entry.1);
        }
        let moved = &mut self.parts[bucket(entry.0)];
        if let Some(moved) = moved.iter_mut().find(|key| key.place as usize == self.len) {
            moved.place = key.place;
        }
        Some(std::mem::replace(self.entry(key), entry).1)
    }

    /// All of them, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.parts.iter().flatten().map(|key| self.at(*key))
    }

    /// All of them in no order to be relied on, which is quicker.
    pub(crate) fn each(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.blocks.iter().flatten().map(|(id, peer)| (*id, peer))
    }

    /// See [`PeerTable::each`].
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = (NodeId, &mut Peer)> {
        self.blocks.iter_mut().flatten().map(|(id, peer)| (*id, peer))
    }

    /// Those behind an id, in the order of their ids.
    pub(crate) fn after(&self, id: Option<NodeId>) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.after_in(id, |_| true)
    }

    /// The same of some parts only; the others are not looked at.
    pub(crate) fn after_in(
        &self,
        id: Option<NodeId>,
        wanted: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (NodeId, &Peer)> {
        let (first, skipped) = id.map_or((0, 0), |id| {
            let first = bucket(id);
            let place = self.find(&self.parts[first], id);
            (first, place.map_or_else(|at| at, |at| at + 1))
        });
        let parts = self.parts.iter().enumerate().skip(first);
        let wanted = parts.filter(move |(part, _)| wanted(*part));
        let rest = move |part| if part == first { skipped } else { 0 };
        wanted.flat_map(move |(part, keys)| &keys[rest(part)..]).map(|key| self.at(*key))
    }

    fn entry(&mut self, key: Key) -> &mut (NodeId, Peer) {
        let place = key.place as usize;
        &mut self.blocks[place / BLOCK][place % BLOCK]
    }

    fn at(&self, key: Key) -> (NodeId, &Peer) {
        let place = key.place as usize;
        let (id, peer) = &self.blocks[place / BLOCK][place % BLOCK];
        (*id, peer)
    }

    /// Where the key of a peer is in its part, or would be.
    ///
    /// To halve the part again and again would touch memory in six places, and no two lookups are close
    /// in time among ten thousand: that was what took longest of all that is done with a datagram.
    fn find(&self, part: &[Key], id: NodeId) -> Result<usize, usize> {
        let wanted = share(id);
        let compare = |key: &Key| {
            // The share nearly always tells.
            key.share.cmp(&wanted).then_with(|| self.at(*key).0.cmp(&id))
        };
        let is_before = |at: usize| part.get(at).is_some_and(|key| compare(key).is_lt());
        let mut at = guess(part, wanted);
        for _ in 0..STEPS {
            if is_before(at) {
                at += 1;
            } else if at > 0 && !is_before(at - 1) {
                at -= 1;
            } else {
                let is_there = part.get(at).is_some_and(|key| compare(key).is_eq());
                return if is_there { Ok(at) } else { Err(at) };
            }
        }
        part.binary_search_by(compare)
    }
}

/// Steps from where a key should be to where it is: among 40, hardly ever more than ten.
const STEPS: usize = 12;

/// Where a key should be if all are equally far from each other.
fn guess(part: &[Key], share: u32) -> usize {
    ((u64::from(share) * part.len() as u64) >> 32) as usize
}

/// The bytes of an id that tell where it is in its part.
fn share(id: NodeId) -> u32 {
    (mark(id) >> 24) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::peer::Standing;
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
            let mut each: Vec<NodeId> = table.each().map(|(id, _)| id).collect();
            each.sort_unstable();
            prop_assert!(each.iter().eq(tree.keys()));
            prop_assert_eq!(table.blocks.iter().map(Vec::len).sum::<usize>(), tree.len());
            let even = |id: &NodeId| bucket(*id).is_multiple_of(2);
            let some = table.after_in(Some(id(from)), |part: usize| part.is_multiple_of(2)).map(|(id, _)| id);
            prop_assert!(some.eq(behind.iter().copied().filter(even)));
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
        let keys: usize = table.parts.iter().map(|part| part.capacity() * size_of::<Key>()).sum();
        let peers: usize = table.blocks.iter().map(|block| block.capacity() * each).sum();
        let room = keys + peers;
        assert!(each <= 144 && size_of::<Key>() == 8, "{each} bytes each");
        assert!(room < 1_620_000, "{room} bytes");
    }
}
