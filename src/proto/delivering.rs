//! The engine's messages to one peer: sealed for it, sent again until it has acknowledged them, and given up in the end.

use super::command::Outgoing;
use super::direct::{Going, Outcome, Parcel};
use super::engine::Engine;
use super::event::{AnswerEnd, Destination, Event, TellError};
use super::inbox::LogKey;
use super::peer::Peer;
use super::receiving::Arrival;
use super::sending::destination;
use super::talking::content;
use crate::values::NodeId;
use crate::wire::{
    Ack, Body, Hearing, Inside, Matter, Payload, Tell, open_direct, seal_direct, split,
};

impl Engine {
    pub(super) fn tell(&mut self, to: NodeId, what: &Outgoing, ticket: u64) {
        if let Err(refusal) = what.check() {
            return self.event(Event::Refused(refusal));
        }
        if let Err(why) = self.try_tell(to, what, ticket) {
            self.event(Event::NotTold { ticket, why });
        }
    }

    fn try_tell(&mut self, to: NodeId, what: &Outgoing, ticket: u64) -> Result<(), TellError> {
        let peer = self.peers.get(to).ok_or(TellError::Unknown)?;
        peer.paths.best().ok_or(TellError::Unknown)?;
        let payloads =
            split([content(what.clone())], Matter::Told.payload_room(self.datagram_limit()));
        let payloads = payloads.into_iter().map(Some).collect();
        self.send_direct(to, None, Matter::Told, payloads, |_| Parcel::Told(ticket))
    }

    /// Seals a message for one peer, datagram by datagram, and sends as much of it as may be on its
    /// way. `at`: where to, if not wherever the peer is. `parcel` is given the number of the first.
    pub(super) fn send_direct(
        &mut self,
        to: NodeId,
        at: Option<Destination>,
        matter: Matter,
        payloads: Vec<Option<Payload>>,
        parcel: impl FnOnce(u64) -> Parcel,
    ) -> Result<(), TellError> {
        if !self.direct.has_room(payloads.len()) {
            return Err(TellError::Busy);
        }
        let rtt = self.peers.get(to).and_then(Peer::rtt);
        let mut sealed = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let inside = Inside { nick: self.profile.nick.clone(), matter, payload }.to_json();
            let inside = seal_direct(inside.as_bytes(), self.id(), to, &mut self.rng);
            sealed.push(inside.map_err(|_| TellError::BadKey)?);
        }
        let numbered: Vec<(u64, Vec<u8>)> =
            sealed.into_iter().map(|sealed| (self.direct.number(), sealed)).collect();
        let Some(&(first, _)) = numbered.first() else { return Ok(()) };
        let parcel = parcel(first);
        for (n, sealed) in numbered {
            let tell = Tell { from: self.sender(), n, to, sealed };
            let bytes = tell.encode(&self.config.identity).into();
            let going = Going { to, at, bytes, parcel, tries: 0 };
            if let Some(going) = self.direct.add(n, going, rtt, self.now) {
                self.send_going(going);
            }
        }
        Ok(())
    }

    fn send_going(&mut self, going: Going) {
        let at = going.at.or_else(|| self.peers.get(going.to).and_then(destination));
        if let Some(at) = at {
            self.transmit(going.bytes, at);
        }
    }

    /// Sends again what has not been acknowledged.
    pub(super) fn repeat_direct(&mut self) {
        if self.now < self.direct.next() {
            return;
        }
        let (again, failed) = self.direct.due(self.now);
        for going in again {
            if let Parcel::Question(..) = going.parcel
                && going.tries == 2
            {
                // The token that it shows may be worth nothing any more.
                self.ask_peer(going.to);
            }
            self.send_going(going);
        }
        for outcome in failed {
            self.outcome(outcome);
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Arrived(Parcel::Told(ticket), took) => {
                self.event(Event::Told { ticket, took });
            }
            Outcome::Failed(Parcel::Told(ticket), why) => {
                self.event(Event::NotTold { ticket, why });
            }
            Outcome::Arrived(Parcel::Question(number, to), _) => self.question_arrived(number, to),
            Outcome::Failed(Parcel::Question(number, to), why) => {
                self.end_asked(number, to, AnswerEnd::Lost(why));
            }
            // Who asked will say that nothing came.
            Outcome::Arrived(Parcel::Answer(_), _) | Outcome::Failed(Parcel::Answer(_), _) => {}
        }
    }

    pub(super) fn on_tell(&mut self, arrival: &Arrival<'_>, tell: &Tell) {
        if tell.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        if tell.to != self.id() || arrival.via == Hearing::Multicast {
            self.counters.misdirected += 1;
            return;
        }
        if self.authors.is_over(tell.from.id, tell.from.epoch) {
            self.counters.stale += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let key = LogKey {
            id: tell.from.id,
            epoch: tell.from.epoch,
            channel: None,
            body: Body::Say,
            claimed_at: None,
        };
        if self.authors.is_past(&key, tell.n) {
            self.counters.stale += 1;
            return; // not acknowledged, since nobody knows whether it has been shown
        }
        if self.authors.has(&key, tell.n) {
            self.counters.duplicates += 1;
        } else {
            let opened = open_direct(&tell.sealed, tell.from.id, &self.config.identity).ok();
            let inside = opened.and_then(|plain| String::from_utf8(plain).ok());
            let Some(inside) = inside.and_then(|json| Inside::read(&json).ok()) else {
                self.counters.undecryptable += 1;
                return; // not acknowledged: what can't be read has not arrived
            };
            if !self.may_speak(arrival, tell.from.id)
                || !self.may_ask(arrival, tell.from.id, inside.matter)
            {
                return; // nor has what is not taken: it is sent again
            }
            if !self.is_of_use(&key, tell.n, inside.payload.as_ref()) {
                self.counters.stale += 1;
                return; // nor what will never be shown: its author is to know
            }
            self.authors.mark(&key, tell.n, 1, true);
            match (inside.matter, inside.payload) {
                (Matter::Told, Some(payload)) => {
                    self.take_payload(&key, tell.n, &inside.nick, &payload, None);
                }
                (matter, payload) => {
                    self.take_matter(arrival, &key, tell.n, inside.nick, matter, payload);
                }
            }
        }
        let ack = Ack { from: self.sender(), to: tell.from, n: tell.n };
        let bytes = ack.encode(&self.config.identity);
        self.reply(bytes, arrival.source, arrival.link);
    }

    /// Whether something told can be shown, now or with its other parts. What was acknowledged of a
    /// message before it was given up would not be sent again.
    fn is_of_use(&self, key: &LogKey, n: u64, payload: Option<&Payload>) -> bool {
        let Some(&Payload::Part { part, parts, .. }) = payload else { return true };
        let Some(first) = n.checked_sub(part.into()) else { return false };
        match self.assemblies.parts(key, first) {
            Some(known) => known == parts as usize,
            None => !self.authors.has_any(key, first..first.saturating_add(parts.into())),
        }
    }

    pub(super) fn on_ack(&mut self, arrival: &Arrival<'_>, ack: Ack) {
        if ack.to.id != self.id() {
            self.counters.misdirected += 1;
            return;
        }
        if ack.to != self.sender() {
            self.counters.stale += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let restarted = self.peers.get(ack.from.id).is_some_and(|peer| peer.epoch > ack.from.epoch);
        if restarted || self.authors.is_over(ack.from.id, ack.from.epoch) {
            self.counters.stale += 1;
            return;
        }
        let (outcome, next) = self.direct.acked(ack.n, ack.from, self.now);
        for going in next {
            self.send_going(going);
        }
        if let Some(outcome) = outcome {
            self.outcome(outcome);
        }
    }
}
