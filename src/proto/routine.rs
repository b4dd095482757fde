//! What nearly all is that a node of a large group hears: the announcement of one who is known, by which
//! nothing changes but when it was heard last.
//!
//! Nothing is due for it sooner or later than before. So it is taken in at once, and nobody looks whether
//! anything is due: each of ten thousand nodes hears fifty of these a second.

use super::channel_list::Part;
use super::engine::Engine;
use super::peer::{Peer, Standing};
use super::reach::Heard;
use super::receiving::Arrival;
use crate::values::Instant;
use crate::wire::{Hearing, Presence, PresenceKind};

impl Engine {
    /// Takes an announcement in, if it is one of these.
    pub(super) fn take_routine(&mut self, arrival: &Arrival<'_>, presence: &Presence) -> bool {
        let (id, now, size) = (presence.from.id, self.now, self.size());
        if !says_nothing_new(presence) || arrival.via != Hearing::Multicast || !self.is_at_rest() {
            return false;
        }
        let Some(peer) = self.peers.get(id) else { return false };
        let summaries = (presence.summary, self.summary());
        if !is_as_before(peer, arrival, presence)
            || !self.discovery.agrees(summaries)
            || self.discovery.asking.contains_key(&id)
            || self.probes.get(id).is_some()
            || self.copies.contains(&id)
            || self.six.has(id)
        {
            return false;
        }
        if !self.is_authentic(arrival) {
            return true;
        }
        let Some(peer) = self.peers.get_mut(id) else { return true };
        peer.seen.mark(presence.n);
        peer.hear(now);
        peer.profile_complete = true;
        let (n, names) = (presence.n, &presence.channels);
        peer.channels.take(Part { n, at: presence.channels_at, of: presence.channels_of, names });
        let heard = peer.reach.hear_multicast(now, size, false);
        debug_assert_eq!(heard, Heard::AsBefore);
        peer.note_announced(&presence.logs);
        self.discovery.heard(id, summaries, false, now, &mut self.rng);
        true
    }

    /// Whether an announcement of one who is known brings no work about others.
    fn is_at_rest(&self) -> bool {
        self.unfinished.is_none()
            && self.config.multicast
            && !self.contact.is_isolated(self.now)
            && !self.recalls.has_waited(self.now)
    }

    /// When something is due next: as far as it is done with whatever wakes the node, and when it has to be
    /// woken for it.
    pub(super) fn nexts(&self) -> (Instant, Instant) {
        let others = self.next_but_probes();
        let soonest = others.min(self.probes.first()).min(self.next_review);
        (soonest, others.min(self.probes.deadline()))
    }
}

/// It asks nothing, answers nothing, and tells of no log.
fn says_nothing_new(presence: &Presence) -> bool {
    let Presence { kind, partial, logs, visitor, nonce, re, token, to, .. } = presence;
    *kind == PresenceKind::Here
        && !partial
        && !visitor
        && logs.is_empty()
        && nonce.or(*re).or(*token).is_none()
        && to.is_none()
}

/// It comes from where its sender is known to be, by multicast as always, and says what was known.
fn is_as_before(peer: &Peer, arrival: &Arrival<'_>, presence: &Presence) -> bool {
    peer.epoch == presence.from.epoch
        && peer.standing == Standing::Alive
        && peer.seen.top() < presence.n
        && peer.paths.is_only(arrival.link, arrival.source)
        && peer.reach.is_open()
        && peer.profile == presence.profile
}
