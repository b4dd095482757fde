//! The engine's answers to questions: who is answered, how soon, and with how much.
//!
//! What goes to an address that has not proven itself is never longer than the question, so that
//! nobody can be flooded in somebody else's name.

use super::answers::{self, Answer};
use super::engine::Engine;
use super::receiving::Arrival;
use super::timing;
use crate::values::LinkId;
use crate::wire::{Hearing, Presence, PresenceKind};

impl Engine {
    /// Somebody who passes through asks all. Where it and this node have both versions of IP, the
    /// question comes by each; `true` if this copy is the one to be answered.
    pub(super) fn note_question(&mut self, arrival: &Arrival<'_>, hello: &Presence) -> bool {
        let answered = self.visitors.entry(&hello.from, || None);
        if arrival.source.is_ipv4() {
            *answered = hello.nonce;
            self.answers.withdraw_by_six(hello);
            return true;
        }
        answered.is_none() || *answered != hello.nonce
    }

    /// Plans the answer to a `hello`, if this node is among those to answer.
    pub(super) fn plan_answer(&mut self, arrival: &Arrival<'_>, hello: &Presence) {
        if self.config.visitor {
            return;
        }
        let size = self.size();
        let to_all = arrival.via == Hearing::Multicast;
        // Who has just started does not know yet whether few or many are here, and if all who have
        // just started answered, a start of many would cost a flood of answers that say nothing.
        let undecided = (to_all && !self.discovery.settled).then_some(hello.attempt);
        if to_all && undecided.is_none() && !answers::is_chosen(size, hello.attempt, &mut self.rng)
        {
            return;
        }
        let mut delay = std::time::Duration::ZERO;
        if to_all {
            delay += self.rng.up_to(answers::spread(size));
        }
        if undecided.is_some() {
            delay += timing::UNDECIDED;
        }
        if to_all && arrival.source.is_ipv6() {
            delay += timing::OTHER_COPY;
        }
        let answer = Answer {
            to: hello.from,
            visitor: hello.visitor,
            addr: arrival.source,
            link: arrival.link,
            nonce: hello.nonce,
            asked: self.now,
            budget: arrival.packet.bytes().len(),
            missed_by_four: arrival.source.is_ipv6() && self.has_four(arrival.link),
            proven: hello.token == Some(self.token(arrival.source)),
            undecided,
        };
        if !self.guard.allows_answer(self.now) || !self.answers.push(answer, delay) {
            self.counters.answers_over_rate += 1;
        }
    }

    /// Whether this node has IPv4 on a link.
    pub(super) fn has_four(&self, link: LinkId) -> bool {
        self.links.iter().any(|at| at.link == link && at.v4)
    }

    /// A `here` that asks back: its sender wants to know that this node is where it seems to be.
    pub(super) fn answer_at_once(&mut self, arrival: &Arrival<'_>, here: &Presence) {
        if self.config.visitor || !self.guard.allows_answer(self.now) {
            self.counters.answers_over_rate += u64::from(!self.config.visitor);
            return;
        }
        let answer = Answer {
            to: here.from,
            visitor: false,
            addr: arrival.source,
            link: arrival.link,
            nonce: here.nonce,
            asked: self.now,
            budget: arrival.packet.bytes().len(),
            missed_by_four: false,
            proven: false,
            undecided: None,
        };
        self.give(&answer);
    }

    pub(super) fn give_answers(&mut self) {
        while let Some(answer) = self.answers.pop(self.now) {
            let size = self.size();
            let chosen = answer
                .undecided
                .is_none_or(|attempt| answers::is_chosen(size, attempt, &mut self.rng));
            if chosen {
                self.give(&answer);
            }
        }
    }

    fn give(&mut self, answer: &Answer) {
        let mut here = self.presence(PresenceKind::Here);
        here.re = answer.nonce;
        here.held = u32::try_from(self.now.since(answer.asked).as_micros()).unwrap_or(u32::MAX);
        here.token = Some(self.token(answer.addr));
        here.to = Some(answer.to.id);
        here.has_ipv4 = answer.missed_by_four;
        let mut proven = answer.proven;
        if answer.visitor {
            let heard = self.visitors.peek(&answer.to).is_some() && !self.is_mostly_deaf();
            here.hears = Some(if heard { Hearing::Multicast } else { Hearing::Unicast });
        } else if let Some(peer) = self.peers.get_mut(answer.to.id) {
            proven |= peer.paths.is_proven(answer.addr);
            if !peer.paths.is_proven(answer.addr) {
                let nonce = self.rng.u64();
                peer.ask(nonce, self.now);
                here.nonce = Some(nonce);
            }
            here.hears = self.peers.get(answer.to.id).and_then(|peer| self.hears(peer));
        }
        if proven {
            return self.write_presence(here, 0, |engine, bytes| {
                engine.reply(bytes, answer.addr, answer.link);
            });
        }
        let limit = answer.budget.min(self.datagram_limit());
        let (bytes, _) = here.encode(&self.config.identity, limit, 0);
        if bytes.len() <= limit {
            self.reply(bytes, answer.addr, answer.link);
        }
    }

    /// Whether at most half of the peers are heard by multicast, of those who might be: then one
    /// question heard that way does not mean that its channels will be, see
    /// [`timing::MULTICAST_BACK`]. Who has not been heard so yet counts if the group has never
    /// answered either.
    pub(super) fn is_mostly_deaf(&self) -> bool {
        let trusting = self.discovery.group_answered;
        let (mut all, mut deaf) = (0, 0);
        for (_, peer) in self.peers.each() {
            let link = peer.paths.best().and_then(|path| path.link);
            if link.is_some_and(|link| !self.multicasts(link)) {
                continue;
            }
            all += 1;
            deaf += usize::from(match peer.reach.hears() {
                Some(how) => how == Hearing::Unicast,
                None => !trusting,
            });
        }
        deaf > 0 && deaf * 2 >= all
    }

    /// Whether what goes to the group goes out on a link.
    pub(super) fn multicasts(&self, link: LinkId) -> bool {
        self.links.iter().find(|at| at.link == link).is_none_or(|at| at.multicast)
    }
}
