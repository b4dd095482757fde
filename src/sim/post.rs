//! Datagrams on their way in a world of thousands: what each node waits for, ordered only when it is
//! looked at.
//!
//! ```text
//!   parcels   what was sent, once:       … │ 17: hello of n4 │ 18: page for n9 │ …
//!   letters   for each that it reaches:  n1 ← 17 at 1.2 ms    n2 ← 17 at 1.3 ms    n9 ← 18 at 1.2 ms
//! ```

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

use super::host::NodeIndex;
use crate::values::{Instant, LinkId};
use crate::wire::{Hearing, Packet};

/// What was sent, to one or to many.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) packet: Arc<Packet>,
    pub(super) source: SocketAddrV4,
    pub(super) via: Hearing,
    /// When the last of those whom it reaches has it.
    last: Instant,
}

/// That it reaches a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) at: Instant,
    /// Its number: what was sent first comes first of what arrives at the same time.
    pub(super) parcel: u32,
    pub(super) link: LinkId,
}

/// The letters to one node's present run.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<Letter>);

/// Room that an inbox keeps when it is empty.
const KEPT: usize = 64;

impl Inbox {
    /// Takes what arrives up to `until` out, in order; returns when the next arrives.
    pub(super) fn take(&mut self, until: Instant, into: &mut Vec<Letter>) -> Instant {
        into.clear();
        let mut next = Instant::NEVER;
        self.0.retain(|letter| {
            let later = letter.at > until;
            if later {
                next = next.min(letter.at);
            } else {
                into.push(*letter);
            }
            later
        });
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = Vec::new();
        }
        into.sort_unstable();
        next
    }
}

/// Everything on its way.
#[derive(Debug, Default)]
pub(super) struct Post {
    parcels: VecDeque<Parcel>,
    /// The number of the first of them.
    first: u32,
    pub(super) inboxes: Vec<Inbox>,
    /// By node: nothing happens to it before, neither a letter nor what it has planned itself.
    pub(super) due: Vec<Instant>,
}

impl Post {
    /// A node that has not started yet.
    pub(super) fn add(&mut self) {
        self.inboxes.push(Inbox::default());
        self.due.push(Instant::NEVER);
    }

    /// A run has ended: nothing reaches it any more.
    pub(super) fn end(&mut self, node: NodeIndex) {
        self.inboxes[node.0] = Inbox::default();
        self.due[node.0] = Instant::NEVER;
    }

    /// Something happens to a node at this time.
    pub(super) fn plan(&mut self, node: NodeIndex, at: Instant) {
        let due = &mut self.due[node.0];
        *due = at.min(*due);
    }

    /// When anything happens next.
    pub(super) fn next(&self) -> Instant {
        self.due.iter().copied().min().unwrap_or(Instant::NEVER)
    }

    /// Sends a datagram to those it reaches.
    pub(super) fn send(
        &mut self,
        packet: Arc<Packet>,
        (source, via): (SocketAddrV4, Hearing),
        to: impl Iterator<Item = (NodeIndex, Instant, LinkId)>,
    ) {
        let number = self.first + self.parcels.len() as u32;
        let mut last = Instant::ZERO;
        for (node, at, link) in to {
            last = last.max(at);
            self.inboxes[node.0].0.push(Letter { at, parcel: number, link });
            self.plan(node, at);
        }
        self.parcels.push_back(Parcel { packet, source, via, last });
    }

    /// What a letter brings.
    pub(super) fn parcel(&self, letter: Letter) -> &Parcel {
        &self.parcels[(letter.parcel - self.first) as usize]
    }

    /// Forgets what everybody had before this time.
    pub(super) fn forget(&mut self, before: Instant) {
        while self.parcels.front().is_some_and(|parcel| parcel.last < before) {
            self.parcels.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    /// A post in which the first of two nodes is sent what arrives at these times.
    fn post(times: &[u64]) -> Post {
        let mut post = Post::default();
        post.add();
        post.add();
        for (n, &time) in times.iter().enumerate() {
            let packet = Arc::new(Packet::new([n as u8]));
            let source = SocketAddrV4::new([10, 77, 0, 1].into(), 26_000);
            let to = [(NodeIndex(0), at(time), LinkId(2))];
            post.send(packet, (source, Hearing::Unicast), to.into_iter());
        }
        post
    }

    fn said(post: &Post, letters: &[Letter]) -> Vec<u8> {
        letters.iter().map(|letter| post.parcel(*letter).packet.bytes()[0]).collect()
    }

    #[test]
    fn what_arrives_by_a_time_is_taken_in_order_and_the_rest_stays() {
        let mut post = post(&[30, 10, 40, 10, 20]);
        assert_eq!((post.next(), post.due[1]), (at(10), Instant::NEVER));
        let mut letters = Vec::new();
        assert_eq!(post.inboxes[0].take(at(25), &mut letters), at(30));
        assert_eq!(said(&post, &letters), [1, 3, 4]);
        assert_eq!(post.inboxes[0].take(at(40), &mut letters), Instant::NEVER);
        assert_eq!(said(&post, &letters), [0, 2]);
    }

    #[test]
    fn what_everybody_has_is_forgotten_and_the_others_keep_their_numbers() {
        let mut post = post(&[10, 20, 30]);
        let mut letters = Vec::new();
        post.inboxes[0].take(at(20), &mut letters);
        post.forget(at(21));
        assert_eq!(post.parcels.len(), 1);
        post.inboxes[0].take(at(30), &mut letters);
        assert_eq!(said(&post, &letters), [2]);
    }

    #[test]
    fn nothing_reaches_a_run_that_has_ended() {
        let mut post = post(&[10]);
        post.end(NodeIndex(0));
        assert_eq!(post.next(), Instant::NEVER);
        let mut letters = Vec::new();
        assert_eq!(post.inboxes[0].take(at(10), &mut letters), Instant::NEVER);
        assert!(letters.is_empty());
    }
}
