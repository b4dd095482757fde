//! Who is known: one entry per peer, whatever its addresses and however often it restarts.
//!
//! The table keeps its own digest, so that two nodes can compare what they know without listing
//! it. A peer that has gone leaves a tombstone, by which its old announcements are recognised; no
//! tombstone is ever told to others.

use super::peer::{Peer, Standing};
use super::peer_table::{BUCKETS, PeerTable, bucket, mark};
use super::recent::Recent;
use crate::values::{Epoch, Instant, NodeId, PeerText, limits, order};
use crate::wire::{Sender, Slice, Summary};

/// What is remembered of a peer that has gone.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) epoch: Epoch,
    /// Its last announcement.
    pub(crate) n: u64,
    pub(crate) at: Instant,
    /// What others call it, if it was never more than hearsay.
    pub(crate) hearsay: Option<PeerText>,
}

/// All peers.
#[derive(Debug)]
pub(crate) struct Peers {
    map: PeerTable,
    gone: Recent<NodeId, Gone>,
    /// The exclusive or of the marks, for each part of the ids and for all.
    buckets: Box<[u64; BUCKETS]>,
    digest: u64,
}

impl Peers {
    pub(crate) fn new() -> Self {
        let buckets = Box::new([0; BUCKETS]);
        Self { map: PeerTable::new(), gone: Recent::new(limits::TOMBSTONES), buckets, digest: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.map.len() >= limits::PEERS
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Peer> {
        self.map.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        self.map.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.iter()
    }

    /// All of them in no order to be relied on, which is quicker.
    pub(crate) fn each(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.each()
    }

    /// See [`Peers::each`].
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = (NodeId, &mut Peer)> {
        self.map.each_mut()
    }

    /// The peers behind an id, in the order of their ids.
    pub(crate) fn after(&self, id: Option<NodeId>) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.after(id)
    }

    /// The same of one slice of the ids, and of that only the parts that are wanted.
    pub(crate) fn after_in(
        &self,
        id: Option<NodeId>,
        slice: Slice,
        wanted: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (NodeId, &Peer)> {
        let is_wanted = move |id| slice.part(id).is_some_and(&wanted);
        self.map.after_in(id, move |first| slice.holds(first)).filter(move |(id, _)| is_wanted(*id))
    }

    /// Takes up a peer that is not known; the caller has asked [`Peers::is_full`].
    pub(crate) fn insert(&mut self, id: NodeId, peer: Peer) {
        debug_assert!(self.map.get(id).is_none() && !self.is_full());
        self.buckets[bucket(id)] ^= mark(id);
        self.digest ^= mark(id);
        self.gone.remove(&id);
        self.map.insert(id, peer);
    }

    /// Forgets a peer but for its tombstone.
    pub(crate) fn remove(&mut self, id: NodeId, now: Instant) -> Option<Peer> {
        let peer = self.map.remove(id)?;
        self.buckets[bucket(id)] ^= mark(id);
        self.digest ^= mark(id);
        let told = matches!(peer.standing, Standing::Told { .. });
        let hearsay = told.then(|| peer.profile.nick.clone());
        let gone = Gone { epoch: peer.epoch, n: peer.seen.top(), at: now, hearsay };
        self.gone.insert(&id, gone);
        Some(peer)
    }

    /// The tombstone of a peer.
    pub(crate) fn gone(&self, id: NodeId) -> Option<&Gone> {
        self.gone.peek(&id)
    }

    /// Everyone of whom others tell and who answers nothing, in the order of their ids: who has been
    /// asked in vain, and who was given up for it since this time.
    pub(crate) fn unheard(&self, since: Instant) -> Vec<(NodeId, PeerText)> {
        let asked = self.each().filter_map(|(id, peer)| match peer.standing {
            Standing::Told { asked: 2.. } => Some((id, peer.profile.nick.clone())),
            _ => None,
        });
        let lately = self.gone.iter().filter(|(_, gone)| gone.at >= since);
        let given_up = lately.filter_map(|(id, gone)| Some((*id, gone.hearsay.clone()?)));
        let mut unheard: Vec<(NodeId, PeerText)> = asked.chain(given_up).collect();
        order::sort_by(&mut unheard, |(a, _), (b, _)| a.cmp(b));
        unheard
    }

    /// Whether announcement `n` of a sender is old news, by what is known of its number alone.
    pub(crate) fn is_stale(&self, from: Sender, n: u64) -> bool {
        match (self.map.get(from.id), self.gone.peek(&from.id)) {
            (Some(peer), _) => {
                from.epoch < peer.epoch || from.epoch == peer.epoch && peer.seen.has(n)
            }
            (None, Some(gone)) => {
                from.epoch < gone.epoch || from.epoch == gone.epoch && n <= gone.n
            }
            (None, None) => false,
        }
    }

    /// Whom this node knows, itself included unless it is a visitor.
    pub(crate) fn summary(&self, own: Option<NodeId>) -> Summary {
        let digest = self.digest ^ own.map_or(0, mark);
        Summary { count: (self.map.len() + usize::from(own.is_some())) as u32, digest }
    }

    /// The exclusive or of the marks of each part of a slice.
    fn marks(&self, slice: Slice) -> [u64; Slice::PARTS] {
        let mut marks = [0; Slice::PARTS];
        for (id, _) in self.map.after_in(None, |first| slice.holds(first)) {
            if let Some(part) = slice.part(id) {
                marks[part] ^= mark(id);
            }
        }
        marks
    }

    /// The same of each part of a slice, one byte each. Which one depends on the number in the question, so
    /// that what looks alike by chance does so only once; 0 says that nobody is known there, so that
    /// who knows nobody is told everything.
    pub(crate) fn parts(&self, slice: Slice, own: Option<NodeId>, nonce: u64) -> Vec<u8> {
        let mut parts = if slice == Slice::WHOLE { *self.buckets } else { self.marks(slice) };
        if let Some((part, id)) = own.and_then(|id| Some((slice.part(id)?, id))) {
            parts[part] ^= mark(id);
        }
        // The first two bytes say no more than in which part an id is.
        let byte = 2 + (nonce % 6) as usize;
        let one = |&bits: &u64| if bits == 0 { 0 } else { bits.to_be_bytes()[byte].max(1) };
        parts.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId(std::array::from_fn(|i| n.wrapping_mul(31).wrapping_add(i as u8)))
    }

    #[test]
    fn two_nodes_with_the_same_peers_have_the_same_summary_whoever_they_are() {
        let now = Instant::ZERO;
        let peer = || Peer::new(1, Standing::Alive, now);
        let (mut a, mut b) = (Peers::new(), Peers::new());
        a.insert(id(2), peer());
        a.insert(id(3), peer());
        b.insert(id(3), peer());
        b.insert(id(1), peer());
        assert_eq!(a.summary(Some(id(1))), b.summary(Some(id(2))));
        for slice in [Slice::WHOLE, Slice::behind(Some(id(3)), 4)] {
            assert_eq!(a.parts(slice, Some(id(1)), 5), b.parts(slice, Some(id(2)), 5));
        }
        assert_ne!(a.summary(None), b.summary(None));
        a.remove(id(3), now);
        assert_eq!(a.summary(None).digest, mark(id(2)));
        assert_eq!(a.summary(None).count, 1);
    }

    #[test]
    fn who_is_told_of_and_does_not_answer_is_unheard_for_a_while_or_until_it_is_heard() {
        let mut peers = Peers::new();
        let at = |millis: u64| Instant::from_micros(millis * 1_000);
        let told = |asked| Peer::new(1, Standing::Told { asked }, at(0));
        let called = |n: u8| (id(n), PeerText::from(format!("n{n}").as_str()));
        for (n, standing) in [(1, told(1)), (2, told(2)), (3, told(6))] {
            let mut peer = standing;
            Arc::make_mut(&mut peer.profile).nick = called(n).1;
            peers.insert(id(n), peer);
        }
        peers.insert(id(4), Peer::new(1, Standing::Alive, at(0)));
        assert_eq!(peers.unheard(at(0)), [called(2), called(3)], "one may still answer");
        peers.remove(id(3), at(900));
        peers.remove(id(4), at(900));
        assert_eq!(peers.unheard(at(900)), [called(2), called(3)], "one has said goodbye itself");
        assert_eq!(peers.unheard(at(901)), [called(2)]);
        peers.insert(id(3), Peer::new(1, Standing::Alive, at(950)));
        assert_eq!(peers.unheard(at(0)), [called(2)]);
    }

    #[test]
    fn a_peer_that_has_gone_is_known_by_its_old_announcements() {
        let mut peers = Peers::new();
        let mut peer = Peer::new(5, Standing::Alive, Instant::ZERO);
        peer.seen.mark(7);
        peers.insert(id(1), peer);
        let from = |epoch| Sender { id: id(1), epoch };
        assert!(peers.is_stale(from(5), 7) && peers.is_stale(from(4), 9));
        assert!(!peers.is_stale(from(5), 6) && !peers.is_stale(from(5), 8));
        peers.remove(id(1), Instant::ZERO);
        assert!(peers.is_stale(from(5), 6) && peers.is_stale(from(5), 7));
        assert!(!peers.is_stale(from(5), 8) && !peers.is_stale(from(6), 1));
    }
}
