//! The questions that this node has put, and how far each peer has got with each.
//!
//! ```text
//!  Queued ──its turn──▶ Greeted ──token──▶ Sent ──ack──▶ Arrived ──all answers──▶ gone
//!     └───────────token is known──────────▶ ↑
//! ```
//!
//! A question shows a token that its recipient has given before; a peer that has given none, as in
//! a large group, is greeted first. Each peer is in the table until it has come to its end, and has
//! just one end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::timing;
use crate::values::{Instant, NodeId, SmallMap, limits};
use crate::wire::Content;

/// How far a question has got with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It waits for its turn.
    Queued,
    /// The peer was asked so often for a token.
    Greeted(u8),
    /// It is on its way, with this token.
    Sent(u64),
    /// It is there.
    Arrived,
}

#[derive(Debug)]
struct Target {
    step: Step,
    /// When something is to be done about it.
    due: Instant,
    /// When it was sent first.
    begun: Option<Instant>,
    /// Answers that have come.
    got: u32,
    /// How many there are, once the peer has said so.
    count: Option<u32>,
}

#[derive(Debug)]
struct Question {
    ticket: u64,
    content: Content,
    begun: Instant,
    targets: BTreeMap<NodeId, Target>,
}

/// The open questions, by the number under which they were put.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    open: SmallMap<u64, Question>,
    timers: BTreeSet<(Instant, u64, NodeId)>,
}

impl Asked {
    /// Takes up a question; `false` if there are too many.
    pub(crate) fn ask(
        &mut self,
        number: u64,
        ticket: u64,
        content: Content,
        to: impl IntoIterator<Item = NodeId>,
        now: Instant,
    ) -> bool {
        if self.open.len() >= limits::ASKED || self.open.contains_key(&number) {
            return false;
        }
        let mut targets = BTreeMap::new();
        for id in to {
            let pauses = (targets.len() / timing::ASK_AT_ONCE) as u32;
            let due = now + timing::ASK_PAUSE * pauses;
            let target = Target { step: Step::Queued, due, begun: None, got: 0, count: None };
            // Who is named twice is asked once.
            if let Entry::Vacant(vacant) = targets.entry(id) {
                vacant.insert(target);
                self.timers.insert((due, number, id));
            }
        }
        if !targets.is_empty() {
            self.open.insert(number, Question { ticket, content, begun: now, targets });
        }
        true
    }

    fn target(&mut self, number: u64, id: NodeId) -> Option<&mut Target> {
        self.open.get_mut(&number)?.targets.get_mut(&id)
    }

    /// A question about which something is to be done now, with the peer and the step.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, NodeId, Step)> {
        loop {
            let &(at, number, id) = self.timers.first()?;
            if at > now {
                return None;
            }
            self.timers.pop_first();
            if let Some(target) = self.target(number, id)
                && target.due == at
            {
                target.due = Instant::NEVER;
                return Some((number, id, target.step));
            }
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.timers.first().map_or(Instant::NEVER, |(at, ..)| *at)
    }

    /// What is asked.
    pub(crate) fn content(&self, number: u64) -> Option<&Content> {
        self.open.get(&number).map(|question| &question.content)
    }

    /// A question has got to this step, and is to be looked at again at that time.
    pub(crate) fn set(&mut self, number: u64, id: NodeId, step: Step, due: Instant) {
        let Some(target) = self.target(number, id) else { return };
        target.step = step;
        let before = std::mem::replace(&mut target.due, due);
        self.timers.remove(&(before, number, id));
        if due != Instant::NEVER {
            self.timers.insert((due, number, id));
        }
    }

    /// A question is on its way.
    pub(crate) fn sent(&mut self, number: u64, id: NodeId, token: u64, now: Instant) {
        self.set(number, id, Step::Sent(token), Instant::NEVER);
        if let Some(target) = self.target(number, id) {
            target.begun.get_or_insert(now);
        }
    }

    /// A peer has given a token: what waited for one, or was sent with another and has not arrived,
    /// can be sent now.
    pub(crate) fn token_came(&mut self, id: NodeId, token: u64, now: Instant) {
        let waits = |question: &Question| match question.targets.get(&id)?.step {
            Step::Greeted(_) => Some(()),
            Step::Sent(other) if other != token => Some(()),
            _ => None,
        };
        let waiting: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, question)| waits(question).is_some())
            .map(|(&number, _)| number)
            .collect();
        for number in waiting {
            self.set(number, id, Step::Queued, now);
        }
    }

    /// The questions that this peer has taken in, and not answered in full.
    pub(crate) fn taken_in_by(&self, id: NodeId) -> Vec<u64> {
        let is_in = |question: &Question| {
            question.targets.get(&id).is_some_and(|target| target.step == Step::Arrived)
        };
        self.open.iter().filter(|(_, question)| is_in(question)).map(|(&n, _)| n).collect()
    }

    /// An answer has come: the ticket of the question, and how long it took. `None` if nobody waits
    /// for it.
    pub(crate) fn answer(
        &mut self,
        number: u64,
        from: NodeId,
        now: Instant,
    ) -> Option<(u64, Duration)> {
        let question = self.open.get_mut(&number)?;
        let target = question.targets.get_mut(&from)?;
        if target.got >= limits::ANSWERS {
            return None;
        }
        target.got += 1;
        Some((question.ticket, target.begun.map_or(Duration::ZERO, |begun| now.since(begun))))
    }

    /// A peer has said how many answers it gives in all.
    pub(crate) fn count(&mut self, number: u64, from: NodeId, count: u32) {
        if let Some(target) = self.target(number, from) {
            target.count.get_or_insert(count);
        }
    }

    /// Whether all answers of the peer have come: then the ticket, and how many they were.
    pub(crate) fn finish(&mut self, number: u64, from: NodeId) -> Option<(u64, u32)> {
        let target = self.target(number, from)?;
        let got = target.got;
        if target.count.is_none_or(|count| got < count.min(limits::ANSWERS)) {
            return None;
        }
        Some((self.end(number, from)?, got))
    }

    /// Ends the matter with one peer; the ticket, if there was any.
    pub(crate) fn end(&mut self, number: u64, id: NodeId) -> Option<u64> {
        let question = self.open.get_mut(&number)?;
        let target = question.targets.remove(&id)?;
        let ticket = question.ticket;
        if question.targets.is_empty() {
            self.open.remove(&number);
        }
        self.timers.remove(&(target.due, number, id));
        Some(ticket)
    }

    /// The questions that wait for this peer.
    pub(crate) fn of(&self, id: NodeId) -> Vec<u64> {
        let waits = self.open.iter().filter(|(_, question)| question.targets.contains_key(&id));
        waits.map(|(&number, _)| number).collect()
    }

    /// Waits no longer for anybody's answers; the number of the question and those who were asked.
    pub(crate) fn forget(&mut self, ticket: u64) -> Option<(u64, Vec<NodeId>)> {
        let number = *self.open.iter().find(|(_, question)| question.ticket == ticket)?.0;
        let question = self.open.remove(&number)?;
        self.timers.retain(|(_, other, _)| *other != number);
        Some((number, question.targets.into_keys().collect()))
    }

    /// Those whose answers have been waited for too long.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<(u64, NodeId)> {
        let late = |question: &Question| now.since(question.begun) >= limits::QUESTION_TIME;
        let late = self.open.iter().filter(|(_, question)| late(question));
        late.flat_map(|(&number, question)| question.targets.keys().map(move |&id| (number, id)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Level, WallTime};

    fn asked(count: u8) -> Asked {
        let mut asked = Asked::default();
        let content = Content { at: WallTime(1), text: "?".into(), data: None, level: Level::Info };
        let to = (0..count).map(|n| NodeId([n; 32]));
        assert!(asked.ask(7, 1, content, to, Instant::ZERO));
        asked
    }

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    #[test]
    fn a_question_goes_to_some_at_once_and_to_others_after_a_pause() {
        let mut asked = asked(40);
        let mut now = Instant::ZERO;
        let mut turns = Vec::new();
        while asked.next() != Instant::NEVER {
            now = asked.next();
            turns.push(std::iter::from_fn(|| asked.due(now)).count());
        }
        assert_eq!(turns, [16, 16, 8]);
        assert_eq!(now, Instant::ZERO + timing::ASK_PAUSE * 2);
    }

    #[test]
    fn a_peer_has_ended_when_as_many_answers_came_as_it_gives_in_any_order() {
        let mut asked = asked(2);
        asked.count(7, id(0), 2);
        assert_eq!(asked.finish(7, id(0)), None);
        assert!(asked.answer(7, id(0), Instant::ZERO).is_some());
        assert_eq!(asked.finish(7, id(0)), None);
        assert!(asked.answer(7, id(0), Instant::ZERO).is_some());
        assert_eq!(asked.finish(7, id(0)), Some((1, 2)));
        assert_eq!(asked.answer(7, id(0), Instant::ZERO), None, "it has ended");
        asked.count(7, id(1), 0);
        assert_eq!(asked.finish(7, id(1)), Some((1, 0)));
        assert!(asked.content(7).is_none() && asked.open.is_empty());
    }

    #[test]
    fn nobody_answers_without_end() {
        let mut asked = asked(1);
        let taken = (0..1_000).filter(|_| asked.answer(7, id(0), Instant::ZERO).is_some()).count();
        assert_eq!(taken, limits::ANSWERS as usize);
        assert_eq!(asked.answer(7, id(9), Instant::ZERO), None, "who was not asked");
        assert_eq!(asked.answer(8, id(0), Instant::ZERO), None, "what was not asked");
        asked.count(7, id(0), u32::MAX);
        assert!(asked.finish(7, id(0)).is_some());
    }

    #[test]
    fn a_token_wakes_what_waits_for_one() {
        let mut asked = asked(1);
        let later = Instant::ZERO + Duration::from_secs(1);
        assert_eq!(asked.due(Instant::ZERO), Some((7, id(0), Step::Queued)));
        asked.set(7, id(0), Step::Greeted(1), later);
        asked.token_came(id(0), 5, Instant::ZERO);
        assert_eq!(asked.due(Instant::ZERO), Some((7, id(0), Step::Queued)));
        asked.sent(7, id(0), 5, Instant::ZERO);
        asked.token_came(id(0), 5, Instant::ZERO);
        assert_eq!(asked.next(), Instant::NEVER);
        asked.token_came(id(0), 6, Instant::ZERO);
        assert_eq!(asked.next(), Instant::ZERO);
        asked.forget(1);
        assert_eq!((asked.next(), asked.open.len()), (Instant::NEVER, 0));
    }

    #[test]
    fn only_what_a_peer_has_taken_in_is_lost_with_its_run() {
        let mut asked = asked(2);
        asked.sent(7, id(0), 5, Instant::ZERO);
        assert!(asked.taken_in_by(id(0)).is_empty(), "it is on its way, and goes to the next run");
        asked.set(7, id(0), Step::Arrived, Instant::NEVER);
        assert_eq!((asked.taken_in_by(id(0)), asked.taken_in_by(id(1))), (vec![7], vec![]));
    }

    #[test]
    fn there_are_no_more_than_the_limit() {
        let mut asked = Asked::default();
        let content = Content { at: WallTime(1), text: "?".into(), data: None, level: Level::Info };
        let taken = (0..1_000)
            .filter(|&n| asked.ask(n, n, content.clone(), [id(1), id(1)], Instant::ZERO))
            .count();
        assert_eq!(taken, limits::ASKED);
        assert_eq!(asked.overdue(Instant::ZERO).len(), 0);
        let late = Instant::ZERO + limits::QUESTION_TIME;
        assert_eq!(asked.overdue(late).len(), limits::ASKED);
    }
}
