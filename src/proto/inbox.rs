//! What has been received already, and long messages whose parts are still coming.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::recent::Recent;
use super::window::Window;
use crate::values::{ChannelName, Epoch, Instant, NodeId, limits};
use crate::wire::{Body, Sender};

/// One log of one author.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LogKey {
    pub(crate) id: NodeId,
    pub(crate) epoch: Epoch,
    /// `None` for what is told to us alone.
    pub(crate) channel: Option<ChannelName>,
    pub(crate) body: Body,
    /// Set where a claim of authorship comes from an address at which the author was never
    /// heard: it gets a log of its own, and can't spoil the author's.
    pub(crate) claimed_at: Option<IpAddr>,
}

/// Words of 64 numbers each that are told apart of what one author tells us. It counts what it tells
/// all its peers together, so those that are ours may be far apart.
const TOLD_WORDS: usize = limits::UNACKED / 64;

/// Which messages have come already.
#[derive(Debug)]
pub(crate) struct Authors {
    /// What is told to us.
    logs: Recent<LogKey, Window<TOLD_WORDS>>,
    /// Of what is not signed: apart, so that who floods us with names makes us forget none of those
    /// who sign.
    claims: Recent<LogKey, Window<16>>,
    /// The latest run of each author of signed messages.
    epochs: Recent<NodeId, Epoch>,
    /// Who was claimed to be the author of something.
    claimed: Recent<NodeId, ()>,
}

impl Authors {
    pub(crate) fn new() -> Self {
        let (logs, claims) = (Recent::new(limits::AUTHORS), Recent::new(limits::AUTHORS));
        let (epochs, claimed) = (Recent::new(limits::AUTHORS), Recent::new(limits::AUTHORS));
        Self { logs, claims, epochs, claimed }
    }

    /// Whether the message has come already, or lies so far back that it counts as such.
    pub(crate) fn has(&self, key: &LogKey, seq: u64) -> bool {
        if key.body == Body::Cast {
            self.claims.peek(key).is_some_and(|window| window.has(seq))
        } else {
            self.logs.peek(key).is_some_and(|window| window.has(seq))
        }
    }

    /// Whether any of what was told under these numbers has come already, or may have.
    pub(crate) fn has_any(&self, key: &LogKey, mut numbers: std::ops::Range<u64>) -> bool {
        self.logs.peek(key).is_some_and(|window| numbers.any(|n| window.has(n)))
    }

    /// Whether what was told lies so far back that nobody knows any more if it has come.
    pub(crate) fn is_past(&self, key: &LogKey, n: u64) -> bool {
        self.logs.peek(key).is_some_and(|window| window.is_past(n))
    }

    /// Whether anything of this author has come.
    pub(crate) fn knows(&self, id: NodeId) -> bool {
        self.epochs.peek(&id).is_some() || self.claimed.peek(&id).is_some()
    }

    /// Whether a later run of the author has been heard.
    pub(crate) fn is_over(&self, id: NodeId, epoch: Epoch) -> bool {
        self.epochs.peek(&id).is_some_and(|&latest| epoch < latest)
    }

    /// Whether nothing was heard of this run of an author who is known from earlier ones.
    pub(crate) fn is_new_run(&self, author: Sender) -> bool {
        self.epochs.peek(&author.id).is_some_and(|&latest| latest < author.epoch)
    }

    /// An author has said something in this run, and it is genuine.
    pub(crate) fn note_run(&mut self, author: Sender) {
        let latest = self.epochs.entry(&author.id, || author.epoch);
        *latest = (*latest).max(author.epoch);
    }

    /// Marks messages as come. `authentic`: only then may they end the author's earlier runs.
    pub(crate) fn mark(&mut self, key: &LogKey, seq: u64, count: u64, authentic: bool) {
        let numbers = seq..seq.saturating_add(count);
        if key.body == Body::Cast {
            self.claims.entry(key, Window::new).mark_all(numbers);
        } else {
            self.logs.entry(key, Window::new).mark_all(numbers);
        }
        if authentic {
            let latest = self.epochs.entry(&key.id, || key.epoch);
            *latest = (*latest).max(key.epoch);
        } else {
            self.claimed.insert(&key.id, ());
        }
    }
}

#[derive(Debug)]
struct Assembly {
    /// When a new part came last.
    grown: Instant,
    pieces: Vec<Option<Box<str>>>,
    missing: usize,
    bytes: usize,
}

/// Long messages being put together, their parts in any order.
#[derive(Debug)]
pub(crate) struct Assemblies {
    map: BTreeMap<(LogKey, u64), Assembly>,
    bytes: usize,
    /// How many were given up for want of room or time.
    pub(crate) given_up: u64,
}

impl Assemblies {
    pub(crate) fn new() -> Self {
        Self { map: BTreeMap::new(), bytes: 0, given_up: 0 }
    }

    /// Into how many parts the message is cut that is being put together there, if one is.
    pub(crate) fn parts(&self, key: &LogKey, first: u64) -> Option<usize> {
        self.map.get(&(key.clone(), first)).map(|assembly| assembly.pieces.len())
    }

    /// Adds a part; returns the whole when it is the last that was missing. `first` is the number
    /// of the message's first part.
    pub(crate) fn add(
        &mut self,
        key: LogKey,
        first: u64,
        (part, parts): (u32, u32),
        piece: &str,
        now: Instant,
    ) -> Option<String> {
        let key = (key, first);
        let assembly = self.map.entry(key.clone()).or_insert_with(|| Assembly {
            grown: now,
            pieces: vec![None; parts as usize],
            missing: parts as usize,
            bytes: 0,
        });
        // Parts of another cut of the message do not fit; they are as good as lost.
        if assembly.pieces.len() == parts as usize {
            let slot = &mut assembly.pieces[part as usize];
            if slot.is_none() {
                *slot = Some(piece.into());
                assembly.grown = now;
                assembly.missing -= 1;
                assembly.bytes += piece.len();
                self.bytes += piece.len();
            }
        }
        if assembly.missing == 0 {
            let assembly = self.map.remove(&key)?;
            self.bytes -= assembly.bytes;
            return Some(assembly.pieces.into_iter().flatten().collect());
        }
        while self.map.len() > limits::ASSEMBLIES {
            self.make_room(|_| 1);
        }
        while self.bytes > limits::ASSEMBLY_BYTES {
            self.make_room(|assembly| assembly.bytes);
        }
        None
    }

    /// Of the author who takes most, what has not grown for the longest time is given up: who sends
    /// without end pushes out its own, and nobody else's.
    fn make_room(&mut self, size: impl Fn(&Assembly) -> usize) {
        let mut taken: BTreeMap<NodeId, usize> = BTreeMap::new();
        for ((key, _), assembly) in &self.map {
            *taken.entry(key.id).or_default() += size(assembly);
        }
        let most = taken.values().copied().max();
        let stalest = self
            .map
            .iter()
            .filter(|((key, _), _)| taken.get(&key.id).copied() == most)
            .min_by_key(|(_, assembly)| assembly.grown)
            .map(|(key, _)| key.clone());
        if let Some(assembly) = stalest.and_then(|key| self.map.remove(&key)) {
            self.bytes -= assembly.bytes;
            self.given_up += 1;
        }
    }

    /// Gives up what has not grown for too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        let before = self.map.len();
        self.map.retain(|_, assembly| {
            let keep = now.since(assembly.grown) < limits::ASSEMBLY_TIME;
            if !keep {
                self.bytes -= assembly.bytes;
            }
            keep
        });
        self.given_up += (before - self.map.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> LogKey {
        let channel = Some(ChannelName::lobby());
        LogKey { id: NodeId([n; 32]), epoch: 1, channel, body: Body::Say, claimed_at: None }
    }

    #[test]
    fn each_message_is_new_once_and_earlier_runs_are_over() {
        let mut authors = Authors::new();
        assert!(!authors.has(&key(1), 1));
        authors.mark(&key(1), 1, 3, true);
        assert!(authors.has(&key(1), 3) && !authors.has(&key(1), 4) && !authors.has(&key(2), 1));
        assert!(!authors.is_over(key(1).id, 1));
        authors.mark(&LogKey { epoch: 2, ..key(1) }, 1, 1, true);
        assert!(authors.is_over(key(1).id, 1));
        authors.mark(&LogKey { epoch: 9, ..key(1) }, 1, 1, false);
        assert!(!authors.is_over(key(1).id, 2));
    }

    #[test]
    fn a_flood_of_claims_makes_no_signed_message_new_again() {
        let mut authors = Authors::new();
        authors.mark(&key(1), 1, 1, true);
        for n in 0..20_000_u64 {
            let id = NodeId(std::array::from_fn(|i| (n >> (i % 8 * 8)) as u8));
            authors.mark(&LogKey { id, body: Body::Cast, ..key(0) }, 1, 1, false);
        }
        assert!(authors.has(&key(1), 1));
    }

    #[test]
    fn parts_make_a_whole_in_any_order_and_twice_is_once() {
        let mut assemblies = Assemblies::new();
        let now = Instant::ZERO;
        let mut add = |part, piece| assemblies.add(key(1), 5, (part, 3), piece, now);
        assert_eq!(add(2, "c"), None);
        assert_eq!(add(2, "c"), None);
        assert_eq!(add(0, "a"), None);
        assert_eq!(add(1, "b").as_deref(), Some("abc"));
        assert_eq!((assemblies.map.len(), assemblies.bytes), (0, 0));
    }

    #[test]
    fn unfinished_messages_take_bounded_room_and_time() {
        let mut assemblies = Assemblies::new();
        let piece = "x".repeat(1_000);
        for first in 0..2_000 {
            assemblies.add(key(1), first, (0, 2), &piece, Instant::from_micros(first));
            assert!(assemblies.map.len() <= limits::ASSEMBLIES);
        }
        assert_eq!(assemblies.given_up, 2_000 - limits::ASSEMBLIES as u64);
        assemblies.expire(Instant::ZERO + limits::ASSEMBLY_TIME * 2);
        assert_eq!((assemblies.map.len(), assemblies.bytes), (0, 0));
        assert_eq!(assemblies.given_up, 2_000);
    }

    #[test]
    fn what_grows_is_kept_however_long_it_takes_and_what_does_not_is_given_up() {
        let mut assemblies = Assemblies::new();
        let mut now = Instant::ZERO;
        assemblies.add(key(2), 5, (0, 9), "still", now);
        for part in 0..8 {
            assemblies.add(key(1), 5, (part, 9), "grows", now);
            now = now + limits::ASSEMBLY_TIME * 2 / 3;
            assemblies.expire(now);
        }
        assert_eq!((assemblies.parts(&key(1), 5), assemblies.parts(&key(2), 5)), (Some(9), None));
        assert!(assemblies.add(key(1), 5, (8, 9), "grows", now).is_some());
    }

    #[test]
    fn who_sends_beginnings_without_end_pushes_out_its_own() {
        let mut assemblies = Assemblies::new();
        let (piece, now) = ("x".repeat(1_000), Instant::ZERO);
        assemblies.add(key(1), 1, (0, 2), &piece, now);
        for first in 0..2_000 {
            assemblies.add(key(2), first, (0, 2), "y", now);
        }
        for part in 0..30_000 {
            assemblies.add(key(3), u64::from(part / 2_000), (part % 2_000, 2_048), &piece, now);
            assert!(assemblies.bytes <= limits::ASSEMBLY_BYTES);
        }
        assert_eq!(assemblies.parts(&key(1), 1), Some(2));
        assert_eq!(assemblies.parts(&key(3), 14), Some(2_048), "its latest");
    }
}
