//! The roster of one peer, as it is asked for and comes, page by page.
//!
//! ```text
//!   ask: all ids, 256 parts ──▶ up to 8 pages of the parts that differ ──▶ that was all
//!                                     │ there is more, or something was lost
//!                                     ▼
//!   ask: one slice of the ids, 256 parts ──▶ up to 8 pages ──▶ ask: the next slice … ──▶ that was all
//! ```
//!
//! Where little differs, one question is enough. Where much does, of ten thousand peers nearly each of 256 parts holds
//! one that is missing, and would be told with all the forty in it; in the parts of a slice there are one or two.

use std::collections::BTreeMap;

use super::timing;
use crate::values::{Instant, NodeId, limits};
use crate::wire::{RosterPage, Slice, Summary};

/// How often a question is repeated. Where a fifth of all datagrams is lost, a question or the one page that answers it
/// is lost 36 times in 100, and seven times in a row once in 1,300; a large roster takes some 32 questions.
const TRIES: u8 = 6;

/// Peers to a slice at most: one or two to a part.
const PER_SLICE: u32 = 384;

/// A roster being pulled from a peer.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) from: NodeId,
    pub(crate) nonce: u64,
    /// The ids that are asked for.
    pub(crate) slice: Slice,
    /// Everything in the slice up to this id has come.
    pub(crate) cursor: Option<NodeId>,
    /// Pages that came before their turn, by where they begin: where they end, and whether more
    /// follow.
    ahead: BTreeMap<NodeId, (Option<NodeId>, bool)>,
    /// Pages in their turn since the last question.
    pages: usize,
    /// Questions without an answer, in a row.
    tries: u8,
    /// Whether the question itself is out, or only the one for a token.
    pub(crate) asked: bool,
    /// When to give up waiting.
    pub(crate) until: Instant,
    /// Peers that were told of with the present question, and how many of them were new.
    batch: (usize, usize),
    /// Peers that were new so far.
    pub(crate) found: usize,
    /// Peers that are out of this node's reach, for want of a version of IP.
    pub(crate) far: u32,
    /// One of those who were told of was given up here, and not heard since by the peer either.
    pub(crate) doubtful: bool,
    /// Whom the peer says it knows, with its last page.
    pub(crate) told: Option<Summary>,
}

/// What a page of a roster calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Wait for the next page.
    Wait,
    /// Ask for what is in [`Pull::slice`] behind [`Pull::cursor`].
    Ask,
    /// The same: it is another slice.
    AskNext,
    /// That was all.
    Done,
}

impl Pull {
    /// A peer is asked for its roster with this number; `asked`: itself, not only for a token first.
    pub(crate) fn new(from: NodeId, nonce: u64, asked: bool, now: Instant) -> Self {
        let until = now + timing::PULL_RETRY;
        let (cursor, ahead) = (None, BTreeMap::new());
        Self {
            from,
            nonce,
            slice: Slice::WHOLE,
            cursor,
            ahead,
            pages: 0,
            tries: 0,
            asked,
            until,
            batch: (0, 0),
            found: 0,
            far: 0,
            doubtful: false,
            told: None,
        }
    }

    /// Nothing has come for too long: whether to ask again, for one who knows so many peers.
    pub(crate) fn again(&mut self, known: u32, now: Instant) -> bool {
        let goes_on = self.tries < TRIES;
        if goes_on {
            self.tries += 1;
            self.until = now + timing::pull_again(self.tries);
            self.narrow(known);
        }
        goes_on
    }

    /// There is more to come than one question brings: from here on, slice by slice.
    fn narrow(&mut self, known: u32) {
        let told = self.told.map_or(0, |summary| summary.count).min(limits::PEERS as u32);
        let slices =
            known.max(told).div_ceil(PER_SLICE).next_power_of_two().min(Slice::MOST.into());
        if self.slice == Slice::WHOLE && slices > 1 {
            self.slice = Slice::behind(self.cursor, slices as u16);
        }
    }

    /// A page has come to one who knows so many peers, and to whom so many were new. Datagrams sent together may
    /// arrive in any order, so those before their turn are noted.
    pub(crate) fn page(
        &mut self,
        page: &RosterPage,
        (known, found): (u32, usize),
        pages_per_question: usize,
    ) -> Turn {
        self.tries = 0;
        self.told = Some(page.summary);
        self.found += found;
        self.batch = (self.batch.0 + page.peers.len(), self.batch.1 + found);
        let end = page.peers.last().map(|told| told.id).or(page.after);
        if page.after != self.cursor {
            if let Some(after) = page.after
                && self.ahead.len() < pages_per_question
            {
                self.ahead.insert(after, (end, page.more));
            }
            return Turn::Wait;
        }
        let mut next = Some((end, page.more));
        while let Some((end, more)) = next {
            self.pages += 1;
            self.cursor = end;
            if !more {
                return self.slice_done();
            }
            next = end.and_then(|end| self.ahead.remove(&end));
        }
        if self.pages < pages_per_question {
            return Turn::Wait;
        }
        let (told, new) = self.batch;
        if new * 2 < told {
            self.narrow(known);
        }
        self.begin_question();
        Turn::Ask
    }

    fn slice_done(&mut self) -> Turn {
        let Some(next) = self.slice.next() else { return Turn::Done };
        (self.slice, self.cursor) = (next, None);
        self.begin_question();
        Turn::AskNext
    }

    fn begin_question(&mut self) {
        (self.pages, self.batch) = (0, (0, 0));
        self.ahead.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::{Profile, Sender, Told};

    const PAGES: usize = 8;

    fn id(first: u8) -> NodeId {
        NodeId(std::array::from_fn(|i| if i == 0 { first } else { 9 }))
    }

    fn page(after: Option<u8>, peers: &[u8], more: bool, count: u32) -> RosterPage {
        let told = |&first: &u8| Told {
            id: id(first),
            addr: "10.77.0.1:4".parse().unwrap(),
            epoch: 1,
            profile: Arc::new(Profile::default()),
            age: 0,
            unicast: false,
        };
        RosterPage {
            from: Sender { id: id(0), epoch: 1 },
            re: 1,
            summary: Summary { count, digest: 1 },
            after: after.map(id),
            more,
            peers: peers.iter().map(told).collect(),
        }
    }

    fn pull() -> Pull {
        Pull::new(id(0), 1, true, Instant::ZERO)
    }

    /// Eight pages of one peer each, of whom so many were new.
    fn batch(pull: &mut Pull, count: u32, new: usize) -> Turn {
        let mut turn = Turn::Wait;
        for n in 0..8_u8 {
            let after = n.checked_sub(1);
            let found = usize::from(usize::from(n) < new);
            turn = pull.page(&page(after, &[n], true, count), (count, found), PAGES);
        }
        turn
    }

    #[test]
    fn what_is_new_is_asked_for_as_a_whole_and_what_is_mostly_known_slice_by_slice() {
        let mut newcomer = pull();
        assert_eq!(batch(&mut newcomer, 10_000, 8), Turn::Ask);
        assert_eq!((newcomer.slice, newcomer.cursor), (Slice::WHOLE, Some(id(7))));
        let mut resident = pull();
        assert_eq!(batch(&mut resident, 10_000, 3), Turn::Ask);
        assert_eq!(resident.slice, Slice::behind(Some(id(7)), 32));
        assert_eq!(resident.cursor, Some(id(7)));
    }

    #[test]
    fn what_was_lost_is_asked_for_slice_by_slice_unless_they_are_few() {
        for (count, slices) in [(3_000, 8), (1_000, 4), (385, 2), (384, 1)] {
            let mut pull = pull();
            assert!(pull.again(count, Instant::ZERO));
            assert_eq!(pull.slice, Slice::behind(None, slices), "of {count}");
        }
    }

    #[test]
    fn after_one_slice_comes_the_next_from_its_beginning_until_the_last() {
        let mut pull = pull();
        assert!(pull.again(1_000, Instant::ZERO));
        for next in 1..4 {
            assert_eq!(pull.page(&page(None, &[], false, 1_000), (1_000, 0), PAGES), Turn::AskNext);
            assert_eq!((Some(pull.slice), pull.cursor), (Slice::new(next, 4), None));
        }
        let last = page(None, &[200, 201], false, 1_000);
        assert_eq!(pull.page(&last, (1_000, 1), PAGES), Turn::Done);
        assert_eq!(pull.found, 1);
    }

    #[test]
    fn pages_may_come_in_any_order() {
        let mut pull = pull();
        for (after, first, more) in [(Some(1), 2, false), (Some(0), 1, true)] {
            assert_eq!(pull.page(&page(after, &[first], more, 3), (3, 1), PAGES), Turn::Wait);
        }
        assert_eq!(pull.page(&page(None, &[0], true, 3), (3, 1), PAGES), Turn::Done);
    }

    #[test]
    fn one_who_answers_nothing_is_given_up() {
        let mut pull = pull();
        let again = std::iter::repeat_with(|| pull.again(10, Instant::ZERO));
        assert_eq!(again.take_while(|again| *again).count(), usize::from(TRIES));
    }
}
