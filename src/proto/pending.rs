//! Others' questions that wait for an answer of this node's.
//!
//! The table is bounded as a whole and for each address, so that one host can't keep all others
//! from asking; what nobody answers is forgotten in time.

use std::net::SocketAddr;

use super::recent::Recent;
use crate::values::{Instant, LinkId, NodeId, SmallMap, limits};

/// Where answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// This node asks itself.
    Own,
    /// The address that has shown this node's token; its owner may be listed nowhere.
    At {
        /// Who.
        id: NodeId,
        /// Where.
        addr: SocketAddr,
        /// Over which link.
        link: LinkId,
    },
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) asker: Asker,
    /// The asker's number for it.
    pub(crate) theirs: u64,
    since: Instant,
    /// Answers given so far.
    pub(crate) given: u32,
}

/// The questions, by this node's numbers for them.
#[derive(Debug)]
pub(crate) struct Pending {
    open: SmallMap<u64, Open>,
    last: u64,
    /// Those that were taken up lately: an asker with a new address puts its question again.
    seen: Recent<(NodeId, u64), ()>,
}

impl Pending {
    pub(crate) fn new() -> Self {
        Self { open: SmallMap::new(), last: 0, seen: Recent::new(limits::SOURCES) }
    }

    /// Whether one more question from there is taken.
    pub(crate) fn has_room(&self, from: SocketAddr) -> bool {
        let same =
            |open: &&Open| matches!(open.asker, Asker::At { addr, .. } if addr.ip() == from.ip());
        self.open.len() < limits::QUESTIONS
            && self.open.values().filter(same).count() < limits::QUESTIONS_PER_HOST
    }

    /// Whether the question was taken up before.
    pub(crate) fn has_seen(&self, from: NodeId, theirs: u64) -> bool {
        self.seen.peek(&(from, theirs)).is_some()
    }

    /// A question was dealt with, or is about to be.
    pub(crate) fn note(&mut self, from: NodeId, theirs: u64) {
        self.seen.insert(&(from, theirs), ());
    }

    /// Takes up a question; returns its number. The caller has asked [`Pending::has_room`].
    pub(crate) fn add(&mut self, asker: Asker, theirs: u64, now: Instant) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Open { asker, theirs, since: now, given: 0 });
        self.last
    }

    /// Whether one more answer is taken.
    pub(crate) fn takes_more(&self, number: u64) -> bool {
        self.open.get(&number).is_some_and(|open| open.given < limits::ANSWERS)
    }

    /// A question is answered, with one more answer or none, for the last time or not. `None` if it
    /// is over.
    pub(crate) fn answer(&mut self, number: u64, more: bool, last: bool) -> Option<Open> {
        let open = self.open.get_mut(&number)?;
        open.given += u32::from(more);
        let answered = *open;
        if last {
            self.open.remove(&number);
        }
        Some(answered)
    }

    /// Forgets what has waited for too long; returns the numbers.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<u64> {
        let late = |open: &Open| now.since(open.since) >= limits::QUESTION_TIME;
        let late: Vec<u64> =
            self.open.iter().filter(|(_, open)| late(open)).map(|(&number, _)| number).collect();
        for number in &late {
            self.open.remove(number);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8, port: u16) -> Asker {
        let addr = SocketAddr::from(([10, 0, 0, host], port));
        Asker::At { id: NodeId([host; 32]), addr, link: LinkId(2) }
    }

    fn addr(asker: Asker) -> SocketAddr {
        match asker {
            Asker::At { addr, .. } => addr,
            Asker::Own => unreachable!("not used here"),
        }
    }

    #[test]
    fn one_host_takes_only_its_share_and_all_together_no_more_than_the_limit() {
        let mut pending = Pending::new();
        let mut taken = Vec::new();
        for host in 0..=255 {
            taken.push(0);
            for port in 0..100 {
                let asker = at(host, port);
                if pending.has_room(addr(asker)) {
                    pending.add(asker, 1, Instant::ZERO);
                    taken[usize::from(host)] += 1;
                }
            }
        }
        assert_eq!(taken[0], limits::QUESTIONS_PER_HOST);
        assert_eq!(taken.iter().sum::<usize>(), limits::QUESTIONS);
        let late = Instant::ZERO + limits::QUESTION_TIME;
        assert_eq!(pending.expire(late).len(), limits::QUESTIONS);
        assert!(pending.has_room(addr(at(0, 1))));
    }

    #[test]
    fn a_question_takes_several_answers_but_not_without_end_and_none_after_the_last() {
        let mut pending = Pending::new();
        let number = pending.add(at(1, 1), 7, Instant::ZERO);
        assert_eq!(pending.answer(number, true, false).map(|open| open.given), Some(1));
        assert_eq!(pending.answer(number, false, true).map(|open| open.given), Some(1));
        assert!(!pending.takes_more(number) && pending.answer(number, true, true).is_none());
        let number = pending.add(at(1, 1), 7, Instant::ZERO);
        let mut given = 0;
        while pending.takes_more(number) {
            given += pending.answer(number, true, false).map_or(0, |_| 1);
        }
        assert_eq!(given, limits::ANSWERS);
        assert!(pending.answer(number, false, true).is_some());
    }
}
