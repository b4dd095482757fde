//! How a node finds out who is there: it asks the group and its seeds, compares what it knows
//! with what those who answer say that they know, and pulls the difference from one of them.
//!
//! ```text
//! hello ─▶ (answers) ─▶ do we agree? ──yes──▶ settled
//!            ▲              │ no
//!            └── hello ◀── pull ─▶ told of new peers ─▶ hello to each, where they are few
//! ```
//!
//! Afterwards the same comparison goes on for ever, by the summaries in everyone's announcements:
//! whoever lost a datagram, slept or was cut off finds the difference and pulls it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::answers::spread;
use super::timing;
use crate::values::{Instant, NodeId, Rng};
use crate::wire::Summary;

/// How many answerers' summaries are compared with ours.
const COMPARED: usize = 64;

/// How many numbers sent to the group, or to seeds, may still be answered.
const OPEN_QUESTIONS: usize = 16;

/// A roster being pulled from a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pull {
    pub(crate) from: NodeId,
    pub(crate) nonce: u64,
    /// Everything up to this id has come.
    pub(crate) cursor: Option<NodeId>,
    /// Pages that came since the last question.
    pub(crate) pages: usize,
    /// Whether the question itself is out, or only the one for a token.
    pub(crate) asked: bool,
    /// When to give up waiting.
    pub(crate) until: Instant,
    /// Peers that were new so far.
    pub(crate) found: usize,
}

/// The state of a node's search.
#[derive(Debug)]
pub(crate) struct Discovery {
    started: Instant,
    round: usize,
    pub(crate) next_hello: Instant,
    /// Not before this are the first answers all in.
    listen_until: Instant,
    questions: Vec<(u64, Instant)>,
    answers: BTreeMap<NodeId, Summary>,
    pub(crate) settled: bool,
    pub(crate) pull: Option<Pull>,
    pub(crate) next_pull: Instant,
    backoff: u32,
    /// A peer that knows something else, since the last comparison.
    differs: Option<NodeId>,
    /// Peers that were told of and are being asked themselves.
    pub(crate) asking: BTreeSet<NodeId>,
}

/// What to do next, see [`Discovery::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait.
    Wait,
    /// Pull from this peer.
    Pull(NodeId),
    /// It is done; whether with agreement.
    Settled(bool),
}

impl Discovery {
    /// `active`: whether to look for anybody.
    pub(crate) fn new(now: Instant, active: bool) -> Self {
        Self {
            started: now,
            round: 0,
            next_hello: if active { now } else { Instant::NEVER },
            listen_until: now,
            questions: Vec::new(),
            answers: BTreeMap::new(),
            settled: !active,
            pull: None,
            next_pull: Instant::NEVER,
            backoff: 0,
            differs: None,
            asking: BTreeSet::new(),
        }
    }

    /// Starts over: the links have changed.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.round = 0;
        self.next_hello = now;
    }

    /// Counts a round of asking; returns which it is, and plans the next.
    pub(crate) fn begin_round(&mut self, now: Instant, size: usize, rng: &mut Rng) -> u8 {
        let round = self.round;
        self.round += 1;
        if round == 0 {
            self.listen_until = now + spread(size.max(timing::FEW)) + timing::ANSWER_GRACE;
        }
        self.next_hello = match (timing::HELLOS.get(round), timing::HELLOS.get(round + 1)) {
            (Some(&this), Some(&next)) => now + (next - this) + rng.up_to((next - this) / 4),
            _ => Instant::NEVER,
        };
        round as u8
    }

    /// Asking the group again is of no use: somebody has answered.
    pub(crate) fn answered(&mut self) {
        self.next_hello = Instant::NEVER;
    }

    /// Remembers a number that was sent to many.
    pub(crate) fn question(&mut self, nonce: u64, now: Instant) {
        if self.questions.len() >= OPEN_QUESTIONS {
            self.questions.remove(0);
        }
        self.questions.push((nonce, now));
    }

    /// When the question with this number was asked, if it was.
    pub(crate) fn asked(&self, nonce: u64) -> Option<Instant> {
        self.questions.iter().find(|(n, _)| *n == nonce).map(|&(_, at)| at)
    }

    /// A peer has said whom it knows.
    pub(crate) fn heard(
        &mut self,
        from: NodeId,
        theirs: Summary,
        ours: Summary,
        now: Instant,
        rng: &mut Rng,
    ) {
        if !self.settled {
            if self.answers.len() < COMPARED || self.answers.contains_key(&from) {
                self.answers.insert(from, theirs);
            }
            return;
        }
        // Who knows fewer pulls from us; of two who know equally many, both pull.
        if theirs.digest == ours.digest || theirs.count < ours.count {
            if theirs.digest == ours.digest {
                self.backoff = 0;
                self.differs = None;
                if self.pull.is_none() {
                    self.next_pull = Instant::NEVER;
                }
            }
            return;
        }
        self.differs = Some(from);
        if self.next_pull == Instant::NEVER {
            let wait = timing::COMPARE * (1 << self.backoff.min(6));
            self.next_pull = now + wait / 2 + rng.up_to(wait);
        }
    }

    /// A peer has gone: what it said counts no more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.answers.remove(&id);
        self.asking.remove(&id);
        if self.pull.is_some_and(|pull| pull.from == id) {
            self.pull = None;
        }
    }

    /// What to do now.
    pub(crate) fn judge(&mut self, ours: Summary, now: Instant, rng: &mut Rng) -> Verdict {
        if self.pull.is_some_and(|pull| now >= pull.until) {
            self.end_pull(now);
        }
        if self.settled {
            let due = now >= self.next_pull && self.pull.is_none();
            return match self.differs.take_if(|_| due) {
                Some(peer) => Verdict::Pull(peer),
                None => {
                    if due {
                        self.next_pull = Instant::NEVER;
                    }
                    Verdict::Wait
                }
            };
        }
        if self.pull.is_none() && now >= self.next_pull {
            // The pause after the last pull is over. Noted, or it would be due for ever.
            self.next_pull = Instant::NEVER;
        }
        let agreeing = self.answers.values().filter(|s| s.digest == ours.digest).count();
        let agreed = agreeing * 2 > self.answers.len();
        if now >= self.started + timing::SETTLE
            || self.answers.is_empty() && now >= self.started + timing::ALONE
        {
            return self.settle(agreed);
        }
        if self.answers.is_empty() || now < self.listen_until {
            return Verdict::Wait;
        }
        if agreed {
            return if self.asking.is_empty() { self.settle(true) } else { Verdict::Wait };
        }
        if self.pull.is_some() || self.next_pull != Instant::NEVER {
            return Verdict::Wait;
        }
        let others: Vec<NodeId> = self
            .answers
            .iter()
            .filter(|(_, summary)| summary.digest != ours.digest)
            .map(|(&id, _)| id)
            .collect();
        let choice = others.get(rng.below(others.len() as u64) as usize);
        choice.map_or(Verdict::Wait, |&peer| Verdict::Pull(peer))
    }

    fn settle(&mut self, complete: bool) -> Verdict {
        self.settled = true;
        self.next_pull = Instant::NEVER;
        self.backoff = 0;
        self.answers.clear();
        Verdict::Settled(complete)
    }

    /// A pull begins.
    pub(crate) fn begin_pull(&mut self, from: NodeId, nonce: u64, asked: bool, now: Instant) {
        let until = now + self.pull_patience();
        let pull = Pull { from, nonce, cursor: None, pages: 0, asked, until, found: 0 };
        self.pull = Some(pull);
    }

    /// How long to wait for the next page.
    pub(crate) fn pull_patience(&self) -> Duration {
        timing::PULL_RETRY * (1 << self.backoff.min(5))
    }

    /// A pull has ended, with everything or without an answer.
    pub(crate) fn end_pull(&mut self, now: Instant) {
        let Some(pull) = self.pull.take() else { return };
        self.backoff = if pull.found > 0 { 0 } else { self.backoff.saturating_add(1) };
        self.next_pull = if self.settled { Instant::NEVER } else { now + self.pull_patience() / 2 };
    }

    /// When there is something to do at the latest.
    pub(crate) fn next(&self) -> Instant {
        self.next_hello.min(self.next_but_hello())
    }

    /// When [`Discovery::judge`] has something to say at the latest.
    pub(crate) fn next_but_hello(&self) -> Instant {
        // One pull at a time: the next one waits for the end of this one.
        let mut next = self.pull.map_or(self.next_pull, |pull| pull.until);
        if !self.settled {
            next = next.min(if self.answers.is_empty() {
                self.started + timing::ALONE
            } else {
                self.started + timing::SETTLE
            });
        }
        next
    }

    /// While the first answers are awaited: when they should all be in.
    pub(crate) fn listening_until(&self, now: Instant) -> Instant {
        if self.settled || now >= self.listen_until { Instant::NEVER } else { self.listen_until }
    }
}
