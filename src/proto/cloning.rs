//! The engine's way with its own identity, come from elsewhere: its own words, come back by the
//! loop that lets nodes of one host hear each other; recordings of earlier runs; or a clone, that
//! is a copied state folder or disk, whose user has to know.
//!
//! A recording can't answer. So who speaks in this node's name is asked where it spoke from, with a
//! number of the moment, and is a clone if the number comes back signed:
//!
//! ```text
//!   here(epoch 7)   ────────────▶  this node, epoch 5
//!                   ◀────────────  hello(epoch 5, nonce 42)
//!   here(re 42)     ────────────▶  a clone
//! ```

use std::time::Duration;

use super::engine::Engine;
use super::event::Event;
use super::receiving::Arrival;
use super::timing;
use crate::values::Instant;
use crate::wire::{Presence, PresenceKind};

/// Between one such question and the next.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A clone goes on announcing itself; it is reported this often.
const REPORT_AGAIN: Duration = Duration::from_secs(60);

/// A clone has gone when it was silent for so many times as long as a peer may be: a wrong guess has the two
/// displace each other by turns.
const HEIR_MISSED: u32 = 3;

/// What is known of a possible clone.
#[derive(Debug, Default)]
pub(super) struct Clones {
    asked: Option<(u64, Instant)>,
    reported: Option<Instant>,
    /// When one was heard last whose run began later, so that the others take it for this node's next run.
    heir: Option<Instant>,
}

impl Engine {
    /// An announcement that bears this node's own id.
    pub(super) fn on_own(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        self.counters.own += 1;
        if presence.from.epoch == self.epoch() || !self.is_authentic(arrival) {
            return;
        }
        if presence.from.epoch > self.epoch() && self.clones.heir.is_some() {
            self.clones.heir = Some(self.now);
        }
        // A visitor asks nobody but by its question to all, which a clone answers as well.
        let asked = |re| {
            self.clones.asked.is_some_and(|(nonce, _)| nonce == re)
                || self.discovery.asked(re).is_some()
        };
        match (presence.kind, presence.nonce) {
            (PresenceKind::Here, _) if presence.re.is_some_and(asked) => {
                self.clones.asked = None;
                self.report_clone(arrival, presence);
            }
            (PresenceKind::Hello, Some(nonce)) => {
                self.answer_clone(arrival, nonce);
                self.ask_clone(arrival);
            }
            _ => self.ask_clone(arrival),
        }
    }

    fn report_clone(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        self.counters.cloned += 1;
        let recent = |last: Instant| self.now.since(last) < REPORT_AGAIN;
        if !self.clones.reported.is_some_and(recent) {
            self.clones.reported = Some(self.now);
            let superseded = presence.from.epoch > self.epoch();
            if superseded {
                self.clones.heir = Some(self.now);
            }
            let nick = presence.profile.nick.clone();
            self.event(Event::Cloned { addr: arrival.source, nick, superseded });
        }
    }

    /// Whoever was taken for this node's next run may have gone. This run is still heard by nobody then.
    pub(super) fn review_clone(&mut self) {
        let patience = timing::suspect(self.size()) * HEIR_MISSED;
        if self.clones.heir.is_some_and(|at| self.now.since(at) > patience) {
            (self.clones.heir, self.clones.reported) = (None, None);
            self.event(Event::Bereft);
        }
    }

    fn ask_clone(&mut self, arrival: &Arrival<'_>) {
        let recent = |(_, at): (u64, Instant)| self.now.since(at) < ASK_AGAIN;
        if self.config.visitor || self.clones.asked.is_some_and(recent) {
            return;
        }
        let nonce = self.rng.u64();
        self.clones.asked = Some((nonce, self.now));
        let mut hello = self.presence(PresenceKind::Hello);
        hello.nonce = Some(nonce);
        self.reply_within(arrival, &hello);
    }

    fn answer_clone(&mut self, arrival: &Arrival<'_>, nonce: u64) {
        if !self.guard.allows_answer(self.now) {
            return;
        }
        let mut here = self.presence(PresenceKind::Here);
        here.re = Some(nonce);
        self.reply_within(arrival, &here);
    }

    /// Sends an announcement where a datagram came from, no longer than that was.
    fn reply_within(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        let limit = arrival.packet.bytes().len().min(self.datagram_limit());
        let (bytes, _) = presence.encode(&self.config.identity, limit, limit);
        if bytes.len() <= limit {
            self.reply(bytes, arrival.source, arrival.link);
        }
    }
}
