//! The way of a datagram to the concern that it is about: what costs least to find out comes first.

use std::net::SocketAddr;

use super::engine::Engine;
use super::timing;
use crate::values::{LinkId, limits};
use crate::wire::{Datagram, DecodeError, Hearing, Packet};

/// A datagram with the circumstances of its arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) packet: &'a Packet,
    pub(super) source: SocketAddr,
    pub(super) link: LinkId,
    pub(super) via: Hearing,
}

impl Engine {
    /// Routes a datagram to those it is about. What costs least to find out comes first. Returns
    /// whether nothing is due for it that was not before.
    pub(super) fn receive(
        &mut self,
        packet: &Packet,
        source: SocketAddr,
        link: LinkId,
        via: Hearing,
    ) -> bool {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += packet.bytes().len() as u64;
        if packet.bytes().len() > limits::DATAGRAM {
            self.counters.too_long += 1;
            return false;
        }
        if self.guard.is_rude(source, self.now) {
            self.counters.rude_source += 1;
            return false;
        }
        let packet = match &self.config.secret {
            None => packet,
            Some(secret) => {
                let Some(inner) = packet.open(secret) else {
                    self.counters.not_sealed += 1;
                    self.guard.note_bad(source, self.now);
                    return false;
                };
                inner
            }
        };
        let arrival = Arrival { packet, source, link, via };
        match packet.datagram() {
            Err(error) => self.count_undecodable(error, source),
            Ok(Datagram::Presence(presence)) if self.take_routine(&arrival, presence) => {
                return true;
            }
            Ok(Datagram::Presence(presence)) => self.on_presence(&arrival, presence),
            Ok(Datagram::Bye { from, n, visitor }) => self.on_bye(&arrival, *from, *n, *visitor),
            Ok(Datagram::Ask(ask)) => self.on_ask(&arrival, ask),
            Ok(Datagram::Roster(page)) => self.on_roster(&arrival, page),
            Ok(Datagram::Entry(entry)) => self.on_entry(&arrival, entry),
            Ok(Datagram::Head(head)) => self.on_head(&arrival, head),
            Ok(Datagram::Want(want)) => self.on_want(&arrival, want),
            Ok(Datagram::Got(got)) => self.on_got(&arrival, got),
            Ok(Datagram::Recall(recall)) => self.on_recall(&arrival, recall),
            Ok(Datagram::Logs(page)) => self.on_logs(&arrival, page),
            Ok(Datagram::Tell(tell)) => self.on_tell(&arrival, tell),
            Ok(Datagram::Ack(ack)) => self.on_ack(&arrival, *ack),
            Ok(Datagram::Probe(probe)) => self.on_probe(&arrival, probe),
            Ok(Datagram::Alive(alive)) => self.on_alive(&arrival, alive),
            Ok(Datagram::Suspect(suspect)) => self.on_suspect(&arrival, suspect),
        }
        false
    }

    fn count_undecodable(&mut self, error: &DecodeError, source: SocketAddr) {
        match error {
            DecodeError::TooLong => self.counters.too_long += 1,
            DecodeError::Malformed(_) | DecodeError::Member(_) => self.counters.malformed += 1,
            // Newer programs may speak these; they are not rude.
            DecodeError::Version(_) => return self.counters.wrong_version += 1,
            DecodeError::UnknownType => return self.counters.unknown_type += 1,
        }
        self.guard.note_bad(source, self.now);
    }

    /// Whether the datagram is signed by who it says; counts it if not.
    pub(super) fn is_authentic(&mut self, arrival: &Arrival<'_>) -> bool {
        let authentic = arrival.packet.is_authentic(&mut self.verifier);
        if authentic {
            self.hear_somebody();
            self.hear(arrival);
        } else {
            self.counters.bad_signature += 1;
            self.guard.note_bad(arrival.source, self.now);
        }
        authentic
    }

    /// Something genuine has come. If it is the first for long, others may have given this node up.
    pub(super) fn hear_somebody(&mut self) {
        if !self.contact.hear(self.now) {
            return;
        }
        self.probes.health.recover();
        let size = self.size();
        if size <= timing::FEW {
            self.announcer.changed(self.now);
            if self.config.discover && self.contact.has_returned_within(timing::ISOLATED, self.now)
            {
                // Each asks back once, and that may be lost.
                self.discovery.restart(self.now);
            }
        } else {
            self.announcer.newcomer(self.now, size, &mut self.rng);
        }
    }

    /// Something genuine has come by multicast. If it is its sender's own, that one is heard so:
    /// where much is lost, announcements alone would be too few to tell.
    fn hear(&mut self, arrival: &Arrival<'_>) {
        let from = arrival.packet.datagram().ok().and_then(Datagram::from);
        let (Some(from), Hearing::Multicast) = (from, arrival.via) else { return };
        let (now, size) = (self.now, self.size());
        let Some(peer) = self.peers.get_mut(from.id) else { return };
        if peer.epoch == from.epoch
            && peer.paths.has(arrival.link, arrival.source)
            && peer.paths.tells_of_groups(arrival.source)
        {
            let heard = peer.reach.hear_multicast(now, size, false);
            self.on_multicast_heard(heard, from.id);
        }
    }
}
