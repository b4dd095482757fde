//! The engine's questions and answers: this node's go out and come back, others' are handed to its
//! user.
//!
//! An answer may be far larger than its question, so a question has to show the token that this
//! node gave to the address that it comes from; one that does not is not taken, and not
//! acknowledged. The token dies with the run of the node that gave it, and the number of a question
//! is drawn by chance: no recording of either brings anything about.

use super::asked::Step;
use super::command::Outgoing;
use super::direct::Parcel;
use super::engine::Engine;
use super::event::{Answer, AnswerEnd, Destination, Event, Question, TellError};
use super::inbox::LogKey;
use super::pending::Asker;
use super::receiving::Arrival;
use super::talking::content;
use super::timing;
use crate::values::{Instant, NodeId, PeerText};
use crate::wire::{Content, Matter, Payload, decode_content, split};

impl Engine {
    /// Puts a question to each of these.
    pub(super) fn ask(&mut self, to: Vec<NodeId>, what: Outgoing, ticket: u64) {
        if let Err(refusal) = what.check() {
            return self.event(Event::Refused(refusal));
        }
        let number = self.rng.u64();
        let now = self.now;
        if !self.asked.ask(number, ticket, content(what), to.iter().copied(), now) {
            for from in to {
                let end = AnswerEnd::Lost(TellError::Busy);
                self.event(Event::AnswerEnd { ticket, from, end });
            }
        }
    }

    pub(super) fn forget_asked(&mut self, ticket: u64) {
        let Some((number, waiting)) = self.asked.forget(ticket) else { return };
        for id in waiting {
            self.direct.forget(Parcel::Question(number, id));
        }
    }

    /// Puts questions to those whose turn it is.
    pub(super) fn ask_when_due(&mut self) {
        for _ in 0..timing::ASK_AT_ONCE {
            let Some((number, id, step)) = self.asked.due(self.now) else { return };
            self.put_question(number, id, step);
        }
    }

    fn put_question(&mut self, number: u64, id: NodeId, step: Step) {
        if id == self.id() {
            return self.ask_oneself(number);
        }
        let Some(peer) = self.peers.get(id) else {
            return self.end_asked(number, id, AnswerEnd::Lost(TellError::Unknown));
        };
        let Some((path, token)) = peer.paths.best_with_token() else {
            return self.greet_first(number, id, step);
        };
        let at = Destination::Address(path.addr, path.link);
        let Some(content) = self.asked.content(number).cloned() else { return };
        let parcel = Parcel::Question(number, id);
        self.direct.forget(parcel);
        let matter = Matter::Question { number, token };
        let payloads = self.payloads(matter, content);
        match self.send_direct(id, Some(at), matter, payloads, |_| parcel) {
            Ok(()) => self.asked.sent(number, id, token, self.now),
            Err(TellError::Busy) => {
                self.asked.set(number, id, Step::Queued, self.now + timing::ASK_PAUSE);
            }
            Err(why) => self.end_asked(number, id, AnswerEnd::Lost(why)),
        }
    }

    /// A peer that has given no token yet is asked for one.
    fn greet_first(&mut self, number: u64, id: NodeId, step: Step) {
        let tries = match step {
            Step::Greeted(tries) => tries,
            Step::Queued | Step::Sent(_) | Step::Arrived => 0,
        };
        if tries >= timing::TOLD_TRIES {
            return self.end_asked(number, id, AnswerEnd::Lost(TellError::Unanswered));
        }
        let again = self.now + timing::told_again(tries);
        self.asked.set(number, id, Step::Greeted(tries + 1), again);
        self.ask_peer(id);
    }

    fn ask_oneself(&mut self, number: u64) {
        let own = self.id();
        let Some(content) = self.asked.content(number).cloned() else { return };
        if !self.answering {
            return self.end_asked(number, own, AnswerEnd::Nobody);
        }
        self.asked.sent(number, own, 0, self.now);
        let nick = self.profile.nick.clone();
        let ours = self.pending.add(Asker::Own, number, self.now);
        self.event(question(ours, own, nick, content));
    }

    pub(super) fn question_arrived(&mut self, number: u64, to: NodeId) {
        self.asked.set(number, to, Step::Arrived, Instant::NEVER);
    }

    /// No more answers will come from a peer.
    pub(super) fn end_asked(&mut self, number: u64, from: NodeId, end: AnswerEnd) {
        self.direct.forget(Parcel::Question(number, from));
        if let Some(ticket) = self.asked.end(number, from) {
            self.event(Event::AnswerEnd { ticket, from, end });
        }
    }

    /// A peer is gone.
    pub(super) fn lose_asked(&mut self, id: NodeId) {
        for number in self.asked.of(id) {
            self.end_asked(number, id, AnswerEnd::Lost(TellError::Unanswered));
        }
    }

    /// A peer has started again: what its last run had taken in, the new one will not answer.
    pub(super) fn lose_taken_in(&mut self, id: NodeId) {
        for number in self.asked.taken_in_by(id) {
            self.end_asked(number, id, AnswerEnd::Lost(TellError::Unanswered));
        }
    }

    /// Forgets what was asked too long ago, by this node or by others.
    pub(super) fn expire_questions(&mut self) {
        for (number, id) in self.asked.overdue(self.now) {
            self.end_asked(number, id, AnswerEnd::Lost(TellError::Unanswered));
        }
        for number in self.pending.expire(self.now) {
            self.event(Event::QuestionOver { number });
        }
    }

    /// Whether a question is taken now, in this datagram; everything else always is.
    pub(super) fn may_ask(&mut self, arrival: &Arrival<'_>, from: NodeId, matter: Matter) -> bool {
        let Matter::Question { number, token } = matter else { return true };
        if token != self.token(arrival.source) {
            self.counters.questions_unproven += 1;
            return false;
        }
        if self.pending.has_seen(from, number) {
            return true;
        }
        if !self.answering && !self.guard.allows_answer(self.now) {
            self.counters.answers_over_rate += 1;
            return false;
        }
        let has_room = self.pending.has_room(arrival.source);
        self.counters.questions_over_limit += u64::from(!has_room);
        has_room
    }

    /// Takes in a question, an answer, or a part of one; the datagram has not come before.
    pub(super) fn take_matter(
        &mut self,
        arrival: &Arrival<'_>,
        key: &LogKey,
        n: u64,
        nick: PeerText,
        matter: Matter,
        payload: Option<Payload>,
    ) {
        let whole = match payload {
            None => None,
            Some(payload) => match self.whole(key, n, payload) {
                Some(content) => Some(content),
                None => return, // there are parts to come, or it is none
            },
        };
        match (matter, whole) {
            (Matter::Question { number, .. }, Some(content)) => {
                self.on_question(arrival, key.id, nick, number, content);
            }
            (Matter::Answer { number, count, exit }, content) => {
                self.on_answer(key.id, nick, (number, count, exit), content);
            }
            (Matter::Told | Matter::Question { .. }, _) => {}
        }
    }

    /// The one message of a payload, once all of its parts have come.
    fn whole(&mut self, key: &LogKey, n: u64, payload: Payload) -> Option<Content> {
        let content = match payload {
            Payload::Whole(contents) => contents.into_iter().next(),
            Payload::Part { part, parts, piece } => {
                let first = n.checked_sub(part.into())?;
                let parts = (part, parts);
                let json = self.assemblies.add(key.clone(), first, parts, &piece, self.now)?;
                decode_content(&json).ok()
            }
        };
        self.counters.malformed += u64::from(content.is_none());
        content
    }

    fn on_question(
        &mut self,
        arrival: &Arrival<'_>,
        from: NodeId,
        nick: PeerText,
        number: u64,
        content: Content,
    ) {
        if self.pending.has_seen(from, number) {
            self.counters.duplicates += 1;
            return;
        }
        let asker = Asker::At { id: from, addr: arrival.source, link: arrival.link };
        if !self.answering {
            self.pending.note(from, number);
            return self.send_answer(asker, number, None, None, Some(0));
        }
        // Of a question in parts, others may have come in between.
        if !self.pending.has_room(arrival.source) {
            self.counters.questions_over_limit += 1;
            return;
        }
        self.pending.note(from, number);
        let ours = self.pending.add(asker, number, self.now);
        self.event(question(ours, from, nick, content));
    }

    fn on_answer(
        &mut self,
        from: NodeId,
        nick: PeerText,
        (number, count, exit): (u64, Option<u32>, Option<i32>),
        content: Option<Content>,
    ) {
        if let Some(Content { at, text, data, .. }) = content {
            let Some((ticket, took)) = self.asked.answer(number, from, self.now) else {
                self.counters.stale += 1;
                return;
            };
            self.event(Event::Answer(Answer { ticket, from, nick, at, text, data, exit, took }));
        }
        if let Some(count) = count {
            self.asked.count(number, from, count);
        }
        if let Some((ticket, got)) = self.asked.finish(number, from) {
            // That the answer has come says that the question has.
            self.direct.forget(Parcel::Question(number, from));
            let end = if got == 0 { AnswerEnd::Nobody } else { AnswerEnd::Given };
            self.event(Event::AnswerEnd { ticket, from, end });
        }
    }

    /// This node's user answers.
    pub(super) fn answer(
        &mut self,
        question: u64,
        what: Option<Outgoing>,
        exit: Option<i32>,
        last: bool,
    ) {
        if let Some(Err(refusal)) = what.as_ref().map(Outgoing::check) {
            return self.event(Event::Refused(refusal));
        }
        let what = what.filter(|_| self.pending.takes_more(question));
        if what.is_none() && !last {
            return;
        }
        let Some(open) = self.pending.answer(question, what.is_some(), last) else { return };
        let count = last.then_some(open.given);
        self.send_answer(open.asker, open.theirs, what.map(content), exit, count);
    }

    fn send_answer(
        &mut self,
        asker: Asker,
        number: u64,
        content: Option<Content>,
        exit: Option<i32>,
        count: Option<u32>,
    ) {
        let Asker::At { id, addr, link } = asker else {
            let (own, nick) = (self.id(), self.profile.nick.clone());
            return self.on_answer(own, nick, (number, count, exit), content);
        };
        let matter = Matter::Answer { number, count, exit };
        let payloads = match content {
            Some(content) => self.payloads(matter, content),
            None => vec![None],
        };
        let at = Destination::Address(addr, Some(link));
        if self.send_direct(id, Some(at), matter, payloads, Parcel::Answer).is_err() {
            self.counters.answers_over_rate += 1;
        }
    }

    fn payloads(&self, matter: Matter, content: Content) -> Vec<Option<Payload>> {
        let room = matter.payload_room(self.datagram_limit());
        split([content], room).into_iter().map(Some).collect()
    }
}

fn question(number: u64, from: NodeId, nick: PeerText, content: Content) -> Event {
    let Content { at, text, data, .. } = content;
    Event::Question(Question { number, from, nick, at, text, data })
}
