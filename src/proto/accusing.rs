//! The engine's word that a peer does not answer, and that of others; and how it refutes what is said of itself.
//!
//! *(After SWIM and Lifeguard, see `suspicion`.)* One multicast tells everyone, the accused too: it answers by
//! announcing itself. Nobody has to believe an accuser: in a group of few, and where only one host says so, each asks
//! the accused itself first. In a large one those who would all ask one that is dead would cost more than they find
//! out, so two hosts that say so to all are believed, unless the accused refutes it. Who is heard in whatever way is
//! not dead.

use super::engine::Engine;
use super::event::{Event, PeerState};
use super::peer::{Peer, Standing};
use super::probes::Reason;
use super::receiving::Arrival;
use super::sending::destination;
use super::suspicion::Suspicion;
use super::{ring, timing};
use crate::values::{NodeId, limits};
use crate::wire::{Hearing, Suspect};

impl Engine {
    /// This node has found that a peer does not answer.
    pub(super) fn accuse(&mut self, id: NodeId) {
        let now = self.now;
        if let Some(check) = self.probes.get_mut(id) {
            check.suspicion.get_or_insert_with(|| Suspicion::new(now)).accuse_too(now);
        }
        self.probes.plan(id, now);
        self.show_suspect(id);
        self.say_suspect(id);
    }

    /// Tells everyone, if it is for this node to say. A node that hears nobody has nothing to say of others.
    pub(super) fn say_suspect(&mut self, id: NodeId) {
        let watches = ring::watched(&self.peers, self.id()).any(|watched| watched == id);
        if !watches || self.config.visitor || self.contact.is_isolated(self.now) {
            return;
        }
        if let Some(bytes) = self.accusation(id) {
            self.broadcast(bytes.clone(), None);
            self.tell_accused(id, bytes);
        }
    }

    /// An accused peer has answered this node, and may not know of what it has to refute: the others don't know that
    /// it has answered.
    pub(super) fn clear(&mut self, id: NodeId) {
        let accused = self.probes.get(id).and_then(|check| check.suspicion.as_ref());
        if accused.is_some_and(Suspicion::is_own)
            && let Some(bytes) = self.accusation(id)
        {
            self.tell_accused(id, bytes);
        }
    }

    fn accusation(&mut self, id: NodeId) -> Option<Vec<u8>> {
        let of = crate::wire::Sender { id, epoch: self.peers.get(id)?.epoch };
        self.announcements += 1;
        let suspect = Suspect { from: self.sender(), n: self.announcements, of };
        Some(suspect.encode(&self.config.identity))
    }

    fn tell_accused(&mut self, id: NodeId, accusation: Vec<u8>) {
        if let Some(to) = self.peers.get(id).and_then(destination) {
            self.transmit(accusation, to);
        }
    }

    /// Tells the user that a peer is suspect, once.
    pub(super) fn show_suspect(&mut self, id: NodeId) {
        let (now, size) = (self.now, self.size());
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.standing == Standing::Alive {
            peer.standing = Standing::Suspect;
            let info = peer.info(id, PeerState::Suspect, size, now);
            self.contact.lose(now);
            self.event(Event::Suspect(info));
        }
    }

    pub(super) fn on_suspect(&mut self, arrival: &Arrival<'_>, suspect: &Suspect) {
        let Suspect { from, n, of } = *suspect;
        if from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        // Whom others only tell of is heard now: it signs what it says, and to all.
        let is_heard = |peer: &Peer| {
            !matches!(peer.standing, Standing::Told { .. }) || arrival.via == Hearing::Multicast
        };
        let accuser = self.peers.get(from.id);
        let accuser = accuser.filter(|peer| peer.epoch == from.epoch && is_heard(peer));
        let is_self = of == self.sender();
        let run = self.peers.get(of.id).map(|peer| peer.epoch);
        let known = is_self || run.is_none_or(|epoch| epoch == of.epoch);
        if accuser.is_none() || self.config.visitor || !known || self.peers.is_stale(from, n) {
            self.counters.stale += 1;
            return;
        }
        if !is_self && self.size() > timing::FEW && !ring::may_watch(&self.peers, from.id, of.id) {
            self.counters.accusations_refused += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let now = self.now;
        let mut open = false;
        if let Some(accuser) = self.peers.get_mut(from.id) {
            accuser.seen.mark(n);
            accuser.hear(now);
            // What comes to this node alone, though it hears the accuser in the group, the accused has not heard.
            open = arrival.via == Hearing::Multicast || accuser.reach.is_deaf();
        }
        if is_self {
            self.probes.health.worsen();
            // What it announces refutes the word.
            return self.announcer.refute(now);
        }
        if run.is_none() {
            // Not known, or not any more: somebody may yet tell of it who has not heard this.
            return self.probes.note_dead(of.id, of.epoch, now);
        }
        self.take_accusation(from.id, of.id, open.then(|| arrival.source.ip()));
    }

    fn take_accusation(&mut self, by: NodeId, id: NodeId, host: Option<std::net::IpAddr>) {
        let now = self.now;
        if self.probes.accused_by(by) >= limits::ACCUSED_BY_ONE {
            self.counters.accusations_refused += 1;
            return;
        }
        let few = self.size() <= timing::FEW;
        let watches = ring::watched(&self.peers, self.id()).any(|watched| watched == id);
        let asks_already = self.probes.get(id).is_some();
        self.begin_check(id, if watches { Reason::Watch } else { Reason::Accused });
        self.probes.accuse(id, by, host, now);
        if !watches && !asks_already {
            let wait = if few { timing::CHECK_AFTER } else { timing::CHECK_AFTER_OTHERS };
            let later = self.rng.up_to(timing::CHECK_AFTER);
            self.probes.plan(id, now + wait + later);
        }
    }
}
