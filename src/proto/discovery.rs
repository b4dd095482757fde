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

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::answers::spread;
use super::peer_table::mark;
use super::pull::Pull;
use super::timing;
use crate::values::{Instant, NodeId, Rng};
use crate::wire::Summary;

/// How many answerers' summaries are compared with ours.
const COMPARED: usize = 64;

/// How many of those who answered are asked once more after a node of many has settled.
const LOOKS: usize = 4;

/// How many numbers sent to the group, or to seeds, may still be answered.
const OPEN_QUESTIONS: usize = 16;

/// To whom a question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To the group.
    Group,
    /// To the addresses that this node was told to try.
    Seeds,
}

/// The state of a node's search.
#[derive(Debug)]
pub(crate) struct Discovery {
    started: Instant,
    round: usize,
    pub(crate) next_hello: Instant,
    /// Not before this are the first answers all in.
    listen_until: Instant,
    /// The group is asked once more, though somebody has answered.
    again: bool,
    questions: Vec<(u64, Instant, Asked)>,
    /// Whether anybody has ever answered a question to the group.
    pub(crate) group_answered: bool,
    answers: BTreeMap<NodeId, Summary>,
    pub(crate) settled: bool,
    pub(crate) pull: Option<Pull>,
    pub(crate) next_pull: Instant,
    backoff: u32,
    /// A peer that knows something else, since the last comparison.
    differs: Option<NodeId>,
    /// Peers that are asked once more after this node has settled, and when the next one is.
    looks: Vec<NodeId>,
    look_at: Instant,
    /// The most peers that anyone knew whose whole roster has come.
    covered: u32,
    /// What this node's own id adds to a digest, if it is a visitor: others may know it still, from
    /// a run of the same identity that was killed.
    own_mark: u64,
    /// Pairs of digests, theirs and ours, that differ for reasons that asking does not change, and
    /// when that was found: a peer with a second LAN knows those there.
    compared: BTreeMap<NodeId, (u64, u64, Instant)>,
    /// Peers that were told of and are being asked themselves, and when each is next.
    pub(crate) asking: BTreeMap<NodeId, Instant>,
    /// When the first of them is to be asked, or before that.
    asking_next: Instant,
}

/// What to do next, see [`Discovery::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait.
    Wait,
    /// Pull from this peer.
    Pull(NodeId),
    /// Ask again for what is missing of the present pull.
    AskAgain,
    /// It is done; whether with agreement.
    Settled(bool),
}

impl Discovery {
    /// `active`: whether to look for anybody.
    pub(crate) fn new(now: Instant, active: bool, visitor: bool, own: NodeId) -> Self {
        Self {
            started: now,
            round: 0,
            next_hello: if active { now } else { Instant::NEVER },
            listen_until: now,
            again: false,
            questions: Vec::new(),
            group_answered: false,
            answers: BTreeMap::new(),
            settled: !active,
            pull: None,
            next_pull: Instant::NEVER,
            backoff: 0,
            differs: None,
            looks: Vec::new(),
            look_at: Instant::NEVER,
            covered: 0,
            own_mark: if visitor { mark(own) } else { 0 },
            compared: BTreeMap::new(),
            asking: BTreeMap::new(),
            asking_next: Instant::NEVER,
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
        self.again = false;
        if round == 0 {
            self.listen_until = now + spread(size.max(timing::FEW)) + timing::ANSWER_GRACE;
        }
        self.next_hello = match (timing::HELLOS.get(round), timing::HELLOS.get(round + 1)) {
            (Some(&this), Some(&next)) => {
                let pause = next.saturating_sub(this);
                now + pause + rng.up_to(pause / 4)
            }
            _ => Instant::NEVER,
        };
        round as u8
    }

    /// Somebody was not reached by IPv4 with the first question, though both have it. A switch that
    /// knows of a membership by IPv6 already learns of that by IPv4 soon, so one more question shows
    /// the better path.
    pub(crate) fn missed(&mut self, now: Instant) {
        if self.round == 1 && !self.again {
            self.again = true;
            if self.next_hello == Instant::NEVER {
                self.next_hello = now + timing::HELLOS[1];
            }
            self.listen_until = self.next_hello + spread(timing::FEW) + timing::ANSWER_GRACE;
        }
    }

    /// Asking the group again is of no use: somebody has answered.
    pub(crate) fn answered(&mut self) {
        if !self.again {
            self.next_hello = Instant::NEVER;
        }
    }

    /// Remembers a number that was sent to many.
    pub(crate) fn question(&mut self, nonce: u64, asked: Asked, now: Instant) {
        if self.questions.len() >= OPEN_QUESTIONS {
            self.questions.remove(0);
        }
        self.questions.push((nonce, now, asked));
    }

    /// When the question with this number was asked, and whom, if it was.
    pub(crate) fn asked(&self, nonce: u64) -> Option<(Instant, Asked)> {
        self.questions.iter().find(|(n, ..)| *n == nonce).map(|&(_, at, asked)| (at, asked))
    }

    /// Whether a peer that knows the same as this node (`theirs`, `ours`) calls for nothing, and nothing
    /// waits for it.
    pub(crate) fn agrees(&self, (theirs, ours): (Summary, Summary)) -> bool {
        let rests = self.pull.is_none() && self.next_pull == Instant::NEVER;
        self.settled && rests && theirs.digest == ours.digest
    }

    /// A peer has said whom it knows. `answer`: because it was asked; before this node has settled
    /// nothing else counts, since others who are new themselves know less.
    pub(crate) fn heard(
        &mut self,
        from: NodeId,
        (theirs, ours): (Summary, Summary),
        answer: bool,
        now: Instant,
        rng: &mut Rng,
    ) {
        if !self.settled {
            if !answer {
                return;
            }
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
        let in_vain = self.compared.get(&from).is_some_and(|&(a, b, at)| {
            (a, b) == (theirs.digest, ours.digest) && now.since(at) < timing::COMPARE_AGAIN
        });
        if in_vain {
            return;
        }
        self.differs = Some(from);
        // Who knows more has probably something to tell, though the last one had not: then a long
        // pause after pulls that brought nothing does not hold.
        let knows_more = theirs.count > ours.count;
        let wait = timing::COMPARE * (1 << self.backoff.min(if knows_more { 1 } else { 6 }));
        let soon = now + wait * 3 / 2;
        if self.next_pull == Instant::NEVER || knows_more && self.next_pull > soon {
            self.next_pull = now + wait / 2 + rng.up_to(wait);
        }
    }

    /// A peer has gone: what it said counts no more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.answers.remove(&id);
        self.asking.remove(&id);
        self.compared.remove(&id);
        if self.pull.as_ref().is_some_and(|pull| pull.from == id) {
            self.pull = None;
        }
    }

    /// What to do now.
    pub(crate) fn judge(&mut self, ours: Summary, now: Instant, rng: &mut Rng) -> Verdict {
        if let Some(pull) = self.pull.as_mut().filter(|pull| now >= pull.until) {
            if pull.again(ours.count, now) {
                return Verdict::AskAgain;
            }
            self.end_pull(false, ours, now);
        }
        if self.settled {
            let due = now >= self.next_pull && self.pull.is_none();
            if now >= self.look_at && self.pull.is_none() {
                self.look_at = now + timing::COMPARE + rng.up_to(timing::COMPARE);
                match self.looks.pop() {
                    Some(peer) => return Verdict::Pull(peer),
                    None => self.look_at = Instant::NEVER,
                }
            }
            if let Some(peer) = self.differs.take_if(|_| due) {
                return Verdict::Pull(peer);
            }
            if due {
                self.next_pull = Instant::NEVER;
            }
            return Verdict::Wait;
        }
        if self.pull.is_none() && now >= self.next_pull {
            // The pause after the last pull is over. Noted, or it would be due for ever.
            self.next_pull = Instant::NEVER;
        }
        // While many start at once no two of them know the same. Who knew no more than somebody
        // whose whole roster has come since has nothing to add.
        let covered = self.covered;
        let agrees = |s: &Summary| {
            let same = s.digest == ours.digest || s.digest == ours.digest ^ self.own_mark;
            same || s.count <= covered
        };
        let same = self.answers.values().filter(|s| agrees(s)).count();
        let enough = same * 2 > self.answers.len();
        if now >= self.started + timing::SETTLE
            || self.answers.is_empty() && now >= self.started + timing::ALONE
        {
            return self.settle(enough, ours, now, rng);
        }
        if self.answers.is_empty() || now < self.listen_until {
            return Verdict::Wait;
        }
        if enough {
            return if self.asking.is_empty() {
                self.settle(true, ours, now, rng)
            } else {
                Verdict::Wait
            };
        }
        if self.pull.is_some() || self.next_pull != Instant::NEVER {
            return Verdict::Wait;
        }
        let others: Vec<NodeId> = self
            .answers
            .iter()
            .filter(|(_, summary)| !agrees(summary))
            .map(|(&id, _)| id)
            .collect();
        let choice = others.get(rng.below(others.len() as u64) as usize);
        choice.map_or(Verdict::Wait, |&peer| Verdict::Pull(peer))
    }

    fn settle(&mut self, complete: bool, ours: Summary, now: Instant, rng: &mut Rng) -> Verdict {
        self.settled = true;
        self.next_pull = Instant::NEVER;
        if ours.count as usize > timing::FEW {
            // Many rarely announce themselves, so what was missed while a membership took effect,
            // or was lost, would be missed for long. Another look costs next to nothing.
            self.looks = self.answers.keys().copied().take(LOOKS).collect();
            self.look_at = now + timing::COMPARE + rng.up_to(timing::COMPARE);
        }
        self.backoff = 0;
        self.answers.clear();
        Verdict::Settled(complete)
    }

    /// A pull begins.
    pub(crate) fn begin_pull(&mut self, from: NodeId, nonce: u64, asked: bool, now: Instant) {
        self.pull = Some(Pull::new(from, nonce, asked, now));
    }

    /// A peer that was told of is to be asked itself, if it is not being asked already.
    pub(crate) fn ask(&mut self, id: NodeId, at: Instant) {
        if let Entry::Vacant(place) = self.asking.entry(id) {
            place.insert(at);
            self.asking_next = self.asking_next.min(at);
        }
    }

    /// Who is to be asked by now of those that were told of.
    pub(crate) fn due_to_be_asked(&self, now: Instant) -> Vec<NodeId> {
        self.asking.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect()
    }

    /// All who were due have been asked.
    pub(crate) fn reckon_asking(&mut self) {
        self.asking_next = self.asking.values().copied().min().unwrap_or(Instant::NEVER);
    }

    /// When the next of those that were told of is to be asked.
    pub(crate) fn next_told(&self) -> Instant {
        if self.asking.is_empty() { Instant::NEVER } else { self.asking_next }
    }

    /// A peer whose roster was pulled knew so many; all of them have come.
    pub(crate) fn cover(&mut self, count: u32) {
        self.covered = self.covered.max(count);
    }

    /// A pull has ended; whether with everything. `ours` is what is known now.
    pub(crate) fn end_pull(&mut self, whole: bool, ours: Summary, now: Instant) {
        let Some(pull) = self.pull.take() else { return };
        // What is in doubt will be known at the next time.
        if whole && pull.found == 0 && !pull.doubtful {
            if let Some(theirs) = pull.told {
                self.compared.insert(pull.from, (theirs.digest, ours.digest, now));
                // Who knows fewer had nothing to tell, and says nothing of what the next one has.
                self.backoff += u32::from(theirs.count >= ours.count && self.backoff < u32::MAX);
            }
        } else if pull.found > 0 {
            self.backoff = 0;
        }
        let pause = timing::PULL_RETRY * (1 << self.backoff.min(5)) / 2;
        self.next_pull = if self.settled { Instant::NEVER } else { now + pause };
    }

    /// When there is something to do at the latest.
    pub(crate) fn next(&self) -> Instant {
        self.next_hello.min(self.next_but_hello())
    }

    /// When [`Discovery::judge`] has something to say at the latest.
    pub(crate) fn next_but_hello(&self) -> Instant {
        // One pull at a time: the next one waits for the end of this one.
        let look = self.next_pull.min(self.look_at);
        let mut next = self.pull.as_ref().map_or(look, |pull| pull.until);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_fewer_had_nothing_to_tell_and_does_not_make_the_next_question_wait() {
        let now = Instant::ZERO;
        let id = |n: u8| NodeId([n; 32]);
        let summary = |count| Summary { count, digest: count.into() };
        let mut discovery = Discovery::new(now, true, false, id(0));
        discovery.settled = true;
        for (count, backoff) in [(9, 0), (10, 1), (9, 1), (11, 2)] {
            discovery.begin_pull(id(1), 1, true, now);
            discovery.pull.as_mut().unwrap().told = Some(summary(count));
            discovery.end_pull(true, summary(10), now);
            assert_eq!(discovery.backoff, backoff, "after one who knows {count}");
        }
    }
}
