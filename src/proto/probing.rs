//! The engine's questions whether a peer is there: to it, and through others; and its answers to those of others.
//!
//! *(After SWIM, see `wire::watch`.)* Of whoever is heard, announcing itself or answering, nothing is asked. A peer that
//! was silent for too long is asked ([`Check`]), and asked again; then others are asked to ask it:
//!
//! ```text
//!   silent ──▶ probe ──▶ probe on all paths ──▶ hello, and 3 others ──▶ probe, and 3 others ──▶ suspect
//!                 │             │                   │                       │
//!                 └─────────────┴── an answer: it is there ────────────────┘
//!                     only through others: it is there, and the two do not hear each other
//! ```
//!
//! The `hello` is for those who speak no `probe`, and for addresses that have proven nothing.

use super::engine::Engine;
use super::event::{Contact, Destination, Event, PeerState};
use super::peer::{Peer, Standing};
use super::probes::{Check, PassedOn, Reason};
use super::receiving::Arrival;
use super::sending::destination;
use super::{ring, timing};
use crate::values::{Instant, NodeId};
use crate::wire::{Alive, Presence, Probe, Sender};

/// Others who were asked about one peer and are remembered.
const ASKED_RELAYS: usize = 4 * timing::RELAYS;

impl Engine {
    /// Asks whoever is to be asked now.
    pub(super) fn probe_when_due(&mut self) {
        if self.now >= self.probes.look {
            self.look_after_others();
        }
        for id in self.probes.due(self.now) {
            self.check(id);
        }
    }

    /// Looks whether those whom this node watches have been silent for too long.
    fn look_after_others(&mut self) {
        let (now, size) = (self.now, self.size());
        if self.config.visitor || !self.config.discover {
            self.probes.look = Instant::NEVER;
            return;
        }
        let mut next = now + timing::REVIEW_QUIET;
        if self.links.is_empty() || !self.discovery.settled {
            self.probes.look = next;
            return;
        }
        let watched: Vec<NodeId> = ring::watched(&self.peers, self.id()).collect();
        self.probes.turns.retain(&watched);
        for (rank, id) in watched.into_iter().enumerate() {
            if self.probes.get(id).is_some() {
                continue;
            }
            let Some(peer) = self.peers.get_mut(id) else { continue };
            if matches!(peer.standing, Standing::Told { .. }) {
                // Whom others tell of is to be heard before it is watched.
                self.discovery.ask(id, now);
                continue;
            }
            let patience = match peer.contact(timing::suspect(size), now) {
                Contact::Inbound => timing::WATCH_ONE_WAY,
                _ => timing::watch(rank, size),
            };
            let silent = peer.heard.max(self.probes.health.awake());
            let due = match self.probes.turns.next(id).filter(|_| timing::take_turns(size)) {
                Some(turn) => turn.max(silent + timing::WATCH),
                None => silent + patience,
            };
            if due <= now {
                self.begin_check(id, Reason::Watch);
            } else {
                next = next.min(due);
            }
        }
        self.probes.look = next;
        if self.contact.silence(now) > timing::DEAF_TO_ALL && self.peers.len() > 0 {
            self.announcer.unheard(now);
        }
    }

    /// Begins to ask a peer; or goes on, for this reason as well.
    pub(super) fn begin_check(&mut self, id: NodeId, reason: Reason) {
        if let Some(check) = self.probes.get_mut(id) {
            if reason > check.reason {
                check.reason = reason;
                self.probes.plan(id, self.now);
            }
            return;
        }
        if self.probes.is_full() {
            self.counters.checks_refused += 1;
            return;
        }
        let (nonce, relayed, next) = (self.rng.u64(), self.rng.u64(), self.now);
        let (begun, relays, suspicion) = (self.now, Vec::new(), None);
        let check = Check {
            reason,
            nonce,
            relayed,
            begun,
            asked: 0,
            next,
            relays,
            received: false,
            suspicion,
        };
        self.probes.begin(id, check);
    }

    /// The next step with one who is being asked.
    fn check(&mut self, id: NodeId) {
        let (now, size) = (self.now, self.size());
        let Some(peer) = self.peers.get(id) else { return drop(self.probes.end(id, now)) };
        let one_way = peer.contact(timing::suspect(size), now) != Contact::Both;
        let (wait, silence) = (timing::probe_again(peer.rtt()), self.silence(peer));
        let factor = self.probes.health.factor();
        let few = self.probes.len() <= timing::ACCUSED_AT_ONCE;
        let Some(check) = self.probes.get_mut(id) else { return };
        // Who heard nothing of it for that long may be sure.
        let factor = if check.reason == Reason::Silence { 1 } else { factor };
        let leaves_it_to_others = check.reason == Reason::Accused && size > timing::FEW && !one_way;
        let mut again = false;
        if let Some(suspicion) = &mut check.suspicion {
            again = suspicion.repeats(now) && few;
            let believed = leaves_it_to_others && suspicion.hosts() >= 2;
            // Those who found it out have taken their time. (Lifeguard multiplies that of questions only.)
            let until = suspicion.until(size, if believed { 1 } else { factor });
            let enough = if leaves_it_to_others { timing::CHECKS_ALONE } else { timing::CHECKS };
            if until <= now && (believed || check.asked >= enough) {
                return self.lose(id, PeerState::Dead);
            }
            if believed {
                self.show_suspect(id);
                return self.probes.plan(id, until);
            }
        }
        let (asked, reason) = (check.asked, check.reason);
        let is_own = check.suspicion.as_ref().is_some_and(super::suspicion::Suspicion::is_own);
        if asked >= timing::PROBES && !is_own && reason != Reason::Accused {
            return self.conclude(id, silence > timing::suspect(size));
        }
        check.asked = asked.saturating_add(1);
        self.probes.plan(id, now + wait * factor);
        if again {
            self.say_suspect(id);
        }
        if reason == Reason::Accused && asked == timing::CHECKS - 1 {
            self.show_suspect(id);
        }
        self.probe(id, asked);
        if asked >= 2 && !leaves_it_to_others || one_way {
            self.ask_others(id);
        }
    }

    /// So long a peer has not been heard, of the time that this node could hear.
    pub(super) fn silence(&self, peer: &Peer) -> std::time::Duration {
        self.now.since(peer.heard.max(self.probes.health.awake()))
    }

    /// Asks a peer itself, having asked so often before.
    fn probe(&mut self, id: NodeId, asked: u8) {
        let Some(peer) = self.peers.get(id) else { return };
        let proven = peer.paths.best().is_some_and(|path| path.proven);
        let Some(check) = self.probes.get(id) else { return };
        // An address that has proven nothing, and from which only one word ever came, gets little: three
        // times as many bytes as came from there (RFC 9000 §8.1), so a hello and two probes, or six of these.
        let timid = !proven && peer.heard <= peer.since;
        let accused = check.reason == Reason::Accused;
        if timid && asked >= if accused { 6 } else { 3 } {
            return;
        }
        let first = asked == 0 && (!proven && !accused || check.reason == Reason::Silence);
        if self.config.visitor || first || asked % 4 == 2 && !timid {
            return self.ask_peer(id);
        }
        let (nonce, from) = (check.nonce, self.sender());
        let all = || peer.paths.iter().map(|path| Destination::Address(path.addr, path.link));
        let to: Vec<Destination> =
            if asked == 0 { destination(peer).into_iter().collect() } else { all().collect() };
        let bytes = Probe { from, to: id, nonce, via: None, on_behalf: None }.encode();
        for to in to {
            self.transmit(bytes.clone(), to);
        }
    }

    /// Asks others to ask a peer.
    fn ask_others(&mut self, id: NodeId) {
        if self.config.visitor {
            return;
        }
        let begin = NodeId(self.rng.bytes());
        let Some(check) = self.probes.get(id) else { return };
        let (nonce, asked) = (check.relayed, &check.relays);
        let patience = timing::suspect(self.size());
        let all =
            self.peers.after(Some(begin)).chain(self.peers.after(None)).take(self.peers.len());
        let relays: Vec<(NodeId, Destination)> = all
            .filter(|(other, peer)| {
                *other != id
                    && peer.standing == Standing::Alive
                    && peer.contact(patience, self.now) == Contact::Both
                    && !asked.contains(other)
                    && self.probes.get(*other).is_none()
            })
            .filter_map(|(other, peer)| Some((other, destination(peer)?)))
            .take(timing::RELAYS)
            .collect();
        let from = self.sender();
        for (relay, to) in relays {
            let probe = Probe { from, to: id, nonce, via: Some(relay), on_behalf: None };
            self.transmit(probe.encode(), to);
            if let Some(check) = self.probes.get_mut(id) {
                if check.relays.len() >= ASKED_RELAYS {
                    check.relays.remove(0);
                }
                check.relays.push(relay);
            }
        }
    }

    /// A peer has answered none of the questions. `silent`: nor announced itself when it should have.
    fn conclude(&mut self, id: NodeId, silent: bool) {
        let Some(check) = self.probes.get_mut(id) else { return };
        // Where none of those who were asked to ask it answers either, it may be this node that is not heard.
        let doubtful = !check.relays.is_empty() && !check.received;
        let (reason, accused) = (check.reason, check.suspicion.is_some());
        let drops = doubtful && !silent;
        if drops && accused {
            // Those who accuse it may be right.
            check.reason = Reason::Accused;
            self.probes.plan(id, self.now);
        }
        if doubtful {
            self.probes.health.worsen();
        }
        if drops && accused {
            return;
        }
        if drops || reason == Reason::Question {
            self.probes.end(id, self.now);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.asked_in_vain(self.now);
            }
            return;
        }
        self.accuse(id);
    }

    pub(super) fn on_probe(&mut self, arrival: &Arrival<'_>, probe: &Probe) {
        let own = self.id();
        if probe.from.id == own {
            self.counters.own += 1;
            return;
        }
        if self.config.visitor || probe.via.unwrap_or(probe.to) != own {
            self.counters.misdirected += 1;
            return;
        }
        let known = self.peers.get(probe.from.id).is_some_and(|peer| {
            peer.epoch == probe.from.epoch && peer.paths.iter().any(|p| p.addr == arrival.source)
        });
        if probe.via.is_some() && !known {
            self.counters.misdirected += 1;
            return;
        }
        // Whomever this node knows it answers always, where it costs nothing but that.
        let own_word = known && probe.via.is_none() && probe.on_behalf.is_none();
        if !own_word && !self.guard.allows_probe(self.now) {
            self.counters.probes_over_rate += 1;
            return;
        }
        if own_word {
            self.probes.probers.insert(&probe.from.id, self.now);
        }
        let (from, re) = (self.sender(), probe.nonce);
        let through = probe.on_behalf.map(|asker| (asker, self.was_probed_by(asker)));
        let in_turn = own_word && timing::take_turns(self.size());
        let ago =
            if in_turn { self.probes.asked_by_another(probe.from.id, self.now) } else { None };
        let alive = Alive { from, re, stranger: !known, ago, through };
        self.reply(alive.encode(&self.config.identity), arrival.source, arrival.link);
        if probe.via.is_some() {
            self.pass_on(arrival, probe);
        }
        if let Some(asker) = probe.on_behalf {
            self.question_asker(asker);
        }
    }

    fn was_probed_by(&self, asker: NodeId) -> bool {
        let last = self.probes.probers.peek(&asker);
        last.is_some_and(|last| self.now.since(*last) < timing::PROBED_LATELY)
    }

    /// Asks a peer on behalf of another one.
    fn pass_on(&mut self, arrival: &Arrival<'_>, probe: &Probe) {
        let Some(to) = self.peers.get(probe.to).and_then(destination) else { return };
        let (by, at) = (probe.from.id, (arrival.source, arrival.link));
        self.probes.passed_on.insert(&probe.nonce, PassedOn { by, at, to: probe.to });
        let from = self.sender();
        let passed = Probe { from, via: None, on_behalf: Some(by), ..*probe };
        self.transmit(passed.encode(), to);
    }

    /// Who asks through others whether this node is there may be one that this node hears, and that does not
    /// hear it: that one does not know, and this one has to find out.
    fn question_asker(&mut self, asker: NodeId) {
        let known = self.peers.get(asker).is_some_and(|peer| peer.standing == Standing::Alive);
        if known && self.probes.get(asker).is_none() && self.probes.allows_question(self.now) {
            self.begin_check(asker, Reason::Question);
        }
    }

    pub(super) fn on_alive(&mut self, arrival: &Arrival<'_>, alive: &Alive) {
        let id = alive.from.id;
        match alive.through {
            None => self.on_own_answer(arrival, alive),
            Some((to, heard)) if to == self.id() => {
                let asked = self.probes.get(id).is_some_and(|check| check.relayed == alive.re);
                let known = self.peers.get(id).is_some_and(|p| p.epoch == alive.from.epoch);
                if !asked || !known {
                    self.counters.stale += 1;
                    return;
                }
                if !self.is_authentic(arrival) {
                    return;
                }
                let now = self.now;
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.hear_through_another(heard, now);
                }
                self.clear(id);
                self.end_check(id);
            }
            Some((to, _)) => {
                let passed = self.probes.passed_on.peek(&alive.re);
                match passed.copied().filter(|passed| passed.to == id && passed.by == to) {
                    None => self.counters.stale += 1,
                    Some(PassedOn { at: (addr, link), .. }) => {
                        self.probes.passed_on.remove(&alive.re);
                        let bytes = arrival.packet.bytes().clone();
                        self.transmit(bytes, Destination::Address(addr, Some(link)));
                    }
                }
            }
        }
    }

    /// An answer to a question of this node's: of the one that was asked, or of one who will ask it.
    fn on_own_answer(&mut self, arrival: &Arrival<'_>, alive: &Alive) {
        let (id, now) = (alive.from.id, self.now);
        if let Some(asked) = self.probes.asked_through(id, alive.re)
            && let Some(check) = self.probes.get_mut(asked)
        {
            check.received = true;
            return self.hear_somebody();
        }
        let check = self.probes.get(id).filter(|check| check.nonce == alive.re);
        let peer = self.peers.get_mut(id).filter(|peer| peer.epoch == alive.from.epoch);
        let (Some(check), Some(peer)) = (check, peer) else {
            self.counters.stale += 1;
            return;
        };
        peer.hear_answer(now);
        if peer.paths.has(arrival.link, arrival.source) {
            peer.paths.heard(Some(arrival.link), arrival.source, now);
        }
        let (asked, begun, reason) = (check.asked, check.begun, check.reason);
        if reason == Reason::Watch {
            self.probes.turns.answered(id, begun, alive.ago);
        }
        if asked == 1 {
            peer.note_rtt(now.since(begun));
            self.probes.health.mend();
        }
        self.hear_somebody();
        self.clear(id);
        self.end_check(id);
        if alive.stranger {
            // It has given this node up, and may not hear it announce itself.
            self.ask_peer_at(id, vec![Destination::Address(arrival.source, Some(arrival.link))]);
        }
    }

    /// A peer has announced itself, maybe in answer to a question that was for it alone. `again`: it has
    /// started again, so it was not the one that was asked.
    pub(super) fn end_check_by_announcement(&mut self, presence: &Presence, again: bool) {
        let (id, now) = (presence.from.id, self.now);
        let asked = self.probes.get(id).map_or(0, |check| check.asked);
        if asked >= timing::PROBES
            && !again
            && let Some(peer) = self.peers.get_mut(id)
            && presence.re.is_none_or(|re| peer.asked(re).is_none())
        {
            peer.hear_only(now);
        }
        self.end_check(id);
    }

    /// A peer has said something that nobody else could have said before: it is there, though it may be too
    /// busy to answer.
    pub(super) fn hear_author(&mut self, author: Sender, arrival: &Arrival<'_>) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(author.id)
            && peer.epoch == author.epoch
            && peer.paths.has(arrival.link, arrival.source)
        {
            peer.hear(now);
            self.end_check(author.id);
        }
    }

    /// A peer that was being asked is there.
    pub(super) fn end_check(&mut self, id: NodeId) {
        let (now, size) = (self.now, self.size());
        let Some(check) = self.probes.end(id, now) else { return };
        let was_cut_off = self.contact.has_returned_within(timing::ISOLATED, now);
        if !was_cut_off && check.suspicion.is_some_and(|suspicion| suspicion.is_own()) {
            self.probes.health.worsen();
        }
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.standing == Standing::Suspect {
            peer.standing = Standing::Alive;
            let info = peer.info(id, PeerState::Alive, size, now);
            self.event(Event::Alive(info));
        }
    }
}
