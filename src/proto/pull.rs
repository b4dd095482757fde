//! The roster of one peer, as it is asked for and comes, page by page.

use std::collections::BTreeMap;

use super::timing;
use crate::values::{Instant, NodeId};
use crate::wire::{RosterPage, Summary};

/// How often a question is repeated.
const TRIES: u8 = 4;

/// A roster being pulled from a peer.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) from: NodeId,
    pub(crate) nonce: u64,
    /// Everything up to this id has come.
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
    /// Ask for the pages behind [`Pull::cursor`].
    Ask,
    /// That was all.
    Done,
}

impl Pull {
    pub(crate) fn new(from: NodeId, nonce: u64, asked: bool, now: Instant) -> Self {
        let until = now + timing::PULL_RETRY;
        let (cursor, ahead) = (None, BTreeMap::new());
        Self {
            from,
            nonce,
            cursor,
            ahead,
            pages: 0,
            tries: 0,
            asked,
            until,
            found: 0,
            far: 0,
            doubtful: false,
            told: None,
        }
    }

    /// Nothing has come for too long: whether to ask again.
    pub(crate) fn again(&mut self, now: Instant) -> bool {
        let goes_on = self.tries < TRIES;
        if goes_on {
            self.tries += 1;
            self.until = now + timing::PULL_RETRY * (1 << self.tries);
        }
        goes_on
    }

    /// A page has come. Datagrams sent together may arrive in any order, so those before their
    /// turn are noted.
    pub(crate) fn page(&mut self, page: &RosterPage, pages_per_question: usize) -> Turn {
        self.tries = 0;
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
                return Turn::Done;
            }
            next = end.and_then(|end| self.ahead.remove(&end));
        }
        if self.pages < pages_per_question {
            return Turn::Wait;
        }
        self.pages = 0;
        self.ahead.clear();
        Turn::Ask
    }
}
