//! The engine's way with announcements: others' are believed, answered and compared with what is
//! known; its own go out in time.

use std::net::SocketAddr;
use std::sync::Arc;

use super::answers;
use super::channel_list::Part;
use super::discovery::Asked;
use super::engine::Engine;
use super::event::{Destination, Event, Output, PeerState};
use super::peer::{Peer, Standing};
use super::reach::Heard;
use super::receiving::Arrival;
use super::timing;
use crate::values::{Instant, NodeId, PeerText, order};
use crate::wire::{Hearing, Presence, PresenceKind, Profile, Sender};

/// What an announcement has changed.
#[expect(clippy::struct_excessive_bools, reason = "independent findings")]
struct News {
    /// The peer was not known, or only from hearsay.
    joined: bool,
    /// It was suspect.
    recovered: bool,
    /// It has started again, and knows nobody.
    restarted: bool,
    /// What it shows that the announcement came by multicast, if it did.
    heard: Heard,
    was: Option<PeerText>,
    status: bool,
    /// It was heard announcing itself without having asked: it may not know of us.
    unasked: bool,
}

impl Engine {
    pub(super) fn on_presence(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        if presence.from.id == self.id() {
            return self.on_own(arrival, presence);
        }
        if presence.to.is_some_and(|to| to != self.id()) {
            self.counters.misdirected += 1;
            return;
        }
        if presence.visitor {
            return self.on_visitor(arrival, presence);
        }
        if self.peers.is_stale(presence.from, presence.n) {
            return self.on_repeated(arrival, presence);
        }
        if self.peers.get(presence.from.id).is_none() && self.peers.is_full() {
            self.counters.peers_full += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let known = self.peers.get(presence.from.id);
        if known.is_none() && !self.guard.allows_newcomer(arrival.source, self.now) {
            self.counters.newcomers_over_rate += 1;
            return;
        }
        let first_token =
            given_token(presence).is_some() && known.is_none_or(|p| p.token().is_none());
        let news = self.learn(arrival, presence);
        self.confirm(arrival, presence);
        if news.restarted {
            self.lose_taken_in(presence.from.id);
        }
        self.end_check_by_announcement(presence, news.restarted);
        self.leave_behind(arrival, presence.from.id);
        let met = news.joined;
        let returned = met || news.recovered;
        self.tell_news(presence.from.id, news);
        self.note_heads(presence.from, &presence.logs, met);
        // An answer may have had no room for all of them.
        if presence.kind == PresenceKind::Here
            && presence.to.is_none()
            && let Some(peer) = self.peers.get_mut(presence.from.id)
        {
            peer.note_announced(&presence.logs);
        }
        self.note_orphans(presence.from.id, &presence.logs);
        if returned {
            self.hurry();
        }
        self.note_summary(presence);
        if first_token {
            self.ask_for_the_rest(presence.from.id);
        }
        match presence.kind {
            PresenceKind::Hello => self.plan_answer(arrival, presence),
            PresenceKind::Here if presence.nonce.is_some() => {
                self.answer_at_once(arrival, presence);
            }
            PresenceKind::Here => self.prove_better_path(arrival, presence.from.id),
        }
    }

    /// A peer is heard where it would be reached better, once that is proven: by IPv4, though it has been reached by
    /// IPv6; or where it is now, and no more where it was. Of many, some find that out: the others have hardly
    /// anything to send to it. It could claim to be somewhere else, so it is asked no more often than it announces itself.
    fn prove_better_path(&mut self, arrival: &Arrival<'_>, id: NodeId) {
        let (now, size) = (self.now, self.size());
        let Some(peer) = self.peers.get(id) else { return };
        let Some(best) = peer.paths.best() else { return };
        let by_four = arrival.source.is_ipv4() && best.addr.is_ipv6();
        let before = now - timing::announce(size);
        let moved = arrival.source.is_ipv4() == best.addr.is_ipv4()
            && best.proven
            && !peer.paths.is_proven(arrival.source)
            && best.heard < before
            && !peer.was_asked_since(before);
        if by_four || moved && answers::is_chosen(size, 0, &mut self.rng) {
            let to = Destination::Address(arrival.source, Some(arrival.link));
            self.ask_peer_at(id, vec![to]);
        }
    }

    /// Who passes through is answered and not remembered.
    fn on_visitor(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        let asks = presence.kind == PresenceKind::Hello && !self.config.visitor;
        if asks && self.is_authentic(arrival) {
            if arrival.via == Hearing::Multicast && !self.note_question(arrival, presence) {
                return;
            }
            self.plan_answer(arrival, presence);
        }
    }

    /// A copy of an announcement that has come already shows a further path, if it is genuine; and
    /// that its sender is heard by multicast, though the copy sent to us alone was faster.
    fn on_repeated(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        let known = self.peers.get(presence.from.id).filter(|p| p.epoch == presence.from.epoch);
        let Some(peer) = known else {
            self.counters.stale += 1;
            return;
        };
        self.counters.duplicates += 1;
        let is_new = !peer.paths.has(arrival.link, arrival.source);
        let is_heard = peer.reach.awaits_multicast(self.now, self.size())
            && arrival.via == Hearing::Multicast
            && peer.paths.tells_of_groups(arrival.source);
        let asks_better = arrival.source.is_ipv4()
            && (arrival.via, presence.kind) == (Hearing::Multicast, PresenceKind::Hello)
            && (is_new && peer.paths.best().is_some_and(|path| path.addr.is_ipv6())
                || self.answers.waits_by_six(presence));
        if !(is_new || is_heard || asks_better) || !self.is_authentic(arrival) {
            return;
        }
        if asks_better {
            self.answers.withdraw_by_six(presence);
            self.plan_answer(arrival, presence);
        }
        let (id, now, size) = (presence.from.id, self.now, self.size());
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.paths.heard(Some(arrival.link), arrival.source, now);
        if is_heard {
            let heard = peer.reach.hear_multicast(now, size, false);
            self.on_multicast_heard(heard, id);
        }
        self.review_versions(id);
    }

    /// Takes in what a peer says of itself, and how it was heard.
    fn learn(&mut self, arrival: &Arrival<'_>, presence: &Presence) -> News {
        let (id, now, size) = (presence.from.id, self.now, self.size());
        let multicasts = self.multicasts(arrival.link);
        if self.peers.get(id).is_none() {
            self.peers.insert(id, Peer::new(presence.from.epoch, Standing::Told { asked: 0 }, now));
        }
        let mut news = News {
            joined: false,
            recovered: false,
            restarted: false,
            heard: Heard::AsBefore,
            was: None,
            status: false,
            unasked: presence.kind == PresenceKind::Here && arrival.via == Hearing::Multicast,
        };
        let Some(peer) = self.peers.get_mut(id) else { return news };
        if presence.from.epoch > peer.epoch {
            peer.restart(presence.from.epoch);
            self.orphans.run_ended();
            news.restarted = true;
        }
        let newest = presence.n > peer.seen.top();
        peer.seen.mark(presence.n);
        news.joined = matches!(peer.standing, Standing::Told { .. });
        news.recovered = peer.state() == PeerState::Suspect;
        if news.joined {
            peer.standing = Standing::Alive;
            peer.since = now;
        }
        peer.hear(now);
        peer.paths.heard(Some(arrival.link), arrival.source, now);
        if newest {
            peer.profile_complete |= !presence.partial;
        }
        if newest && let Some(profile) = change(&peer.profile, presence) {
            if !news.joined {
                news.was = (peer.profile.nick != profile.nick).then(|| peer.profile.nick.clone());
                news.status = peer.profile.away != profile.away
                    || peer.profile.tags != profile.tags
                    || peer.profile.services != profile.services;
            }
            peer.profile = profile;
        }
        peer.channels.take(Part {
            n: presence.n,
            at: presence.channels_at,
            of: presence.channels_of,
            names: &presence.channels,
        });
        if !self.config.multicast || news.joined && !multicasts {
            peer.reach.without_multicast();
        }
        match arrival.via {
            Hearing::Multicast if peer.paths.tells_of_groups(arrival.source) => {
                let wary = !self.discovery.group_answered && peer.since < now;
                news.heard = peer.reach.hear_multicast(now, size, wary);
            }
            Hearing::Unicast if presence.kind == PresenceKind::Hello && news.joined => {
                peer.reach.meet_alone(presence.to.is_none());
            }
            Hearing::Multicast | Hearing::Unicast => {}
        }
        if let Some(how) = presence.hears
            && presence.to == Some(self.config.identity.id())
        {
            let is_doubted = peer.reach.is_heard(how, now, size);
            if is_doubted && size <= timing::FEW && self.config.multicast {
                self.announcer.insist(now);
            }
        }
        if arrival.via == Hearing::Unicast && is_announcement(presence) {
            peer.reach.copy_came();
        }
        if size <= timing::FEW && peer.reach.is_unsure() {
            self.next_review = self.next_review.min(now + timing::REVIEW);
        }
        if let Some(token) = given_token(presence) {
            peer.set_token(token);
            peer.paths.note_token(arrival.link, arrival.source, token, now);
            self.asked.token_came(id, token, now);
        }
        news
    }

    /// If the announcement answers a question of ours, the peer is where the question went.
    fn confirm(&mut self, arrival: &Arrival<'_>, presence: &Presence) {
        let Some(re) = presence.re else { return };
        let (id, now) = (presence.from.id, self.now);
        let (asked_all, seed) = match self.discovery.asked(re) {
            Some((at, asked)) => (Some(at), asked == Asked::Seeds),
            None => (None, false),
        };
        let (has_four, mut moved) = (self.has_four(arrival.link), None);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let asked_it = peer.asked(re);
        if asked_it.is_some() {
            peer.hear_answer(now);
        }
        if let Some(asked) = asked_it.or(asked_all) {
            moved = peer.paths.prove(arrival.link, arrival.source, now);
            let held = std::time::Duration::from_micros(presence.held.into());
            let rtt = now.since(asked).saturating_sub(held);
            peer.note_rtt(rtt);
            // Whoever had to be asked alone probably does not hear what goes to the group.
            if (asked_it.is_some() || seed) && presence.hears.is_none() {
                peer.reach.answered_alone();
            }
        }
        let by_six = peer.paths.best().is_some_and(|path| path.addr.is_ipv6());
        if presence.has_ipv4 && has_four && by_six {
            self.discovery.missed(now);
        }
        self.tell_move(id, moved);
        if asked_all.is_some() {
            self.discovery.group_answered |= !seed;
            self.discovery.answered();
        }
    }

    /// A peer is heard on one link, and no more on another: its cable is in another switch now. That is told
    /// as late as that it is not heard by multicast, since one that is on both would be told to move
    /// where much is lost.
    fn leave_behind(&mut self, arrival: &Arrival<'_>, id: NodeId) {
        let before = self.now - timing::deaf_surely(self.size());
        let Some(peer) = self.peers.get_mut(id) else { return };
        let was = peer.paths.leave_behind(arrival.link, arrival.source, before);
        self.tell_move(id, was);
    }

    /// Tells the user that a peer is not where it was, if so.
    pub(super) fn tell_move(&mut self, id: NodeId, was: Option<SocketAddr>) {
        if let Some(was) = was
            && let Some(peer) = self.peers.get(id)
        {
            let peer = peer.info(id, peer.state(), self.size(), self.now);
            self.event(Event::Moved { peer, was });
        }
    }

    fn tell_news(&mut self, id: NodeId, news: News) {
        self.review_copies(id);
        self.review_versions(id);
        self.discovery.asking.remove(&id);
        self.recalls.met(self.now);
        let Some(peer) = self.peers.get(id) else { return };
        let (now, size) = (self.now, self.size());
        let info = || peer.info(id, PeerState::Alive, size, now);
        if news.joined {
            let joined = Event::Joined(info());
            self.event(joined);
            self.announcer.newcomer(now, size, &mut self.rng);
        } else {
            // Nothing new, as a rule: then it costs nothing to have been told.
            let restarted = news.restarted.then(|| Event::Restarted(info()));
            let was = news.was.filter(|_| !news.recovered);
            let renamed = was.map(|was| Event::Renamed { peer: info(), was });
            let status = (news.status && !news.recovered).then(|| Event::Status(info()));
            let told = [restarted, renamed, status].into_iter().flatten();
            self.out.extend(told.map(Output::Event));
        }
        if news.unasked
            && (news.joined || news.restarted)
            && answers::is_chosen(self.size(), 0, &mut self.rng)
        {
            self.ask_peer(id);
        }
        self.on_multicast_heard(news.heard, id);
    }

    pub(super) fn on_multicast_heard(&mut self, heard: Heard, id: NodeId) {
        match heard {
            Heard::AsBefore => {}
            Heard::Something => self.reminder.want(),
            Heard::Again => {
                let here = self.presence(PresenceKind::Here);
                self.greet_peer(here, id);
            }
        }
    }

    fn note_summary(&mut self, presence: &Presence) {
        let summaries = (presence.summary, self.summary());
        let id = presence.from.id;
        let answer = presence.re.is_some_and(|re| self.discovery.asked(re).is_some());
        self.discovery.heard(id, summaries, answer, self.now, &mut self.rng);
        self.pull_with_token(id);
    }

    pub(super) fn on_bye(&mut self, arrival: &Arrival<'_>, from: Sender, n: u64, visitor: bool) {
        if from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        let known = self.peers.get(from.id).is_some_and(|peer| peer.epoch <= from.epoch);
        if visitor || !known || self.peers.is_stale(from, n) {
            self.counters.stale += u64::from(!visitor);
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(from.id) {
            peer.epoch = from.epoch;
            peer.seen.mark(n);
        }
        self.plan_farewell(from.id, arrival.packet.bytes());
        self.lose(from.id, PeerState::Left);
    }

    /// Forgets a peer that has left or died, and says so if it was more than hearsay.
    pub(super) fn lose(&mut self, id: NodeId, state: PeerState) {
        let Some(peer) = self.peers.remove(id, self.now) else { return };
        self.copies.remove(&id);
        self.six.note(id, false);
        self.probes.end(id, self.now);
        self.discovery.forget(id);
        self.lose_asked(id);
        if matches!(peer.standing, Standing::Told { .. }) {
            if state == PeerState::Dead {
                self.probes.note_dead(id, peer.epoch, self.now);
            }
            return;
        }
        if state == PeerState::Dead {
            self.contact.lose(self.now);
        }
        self.orphans.run_ended();
        let info = peer.info(id, state, self.size(), self.now);
        self.event(match state {
            PeerState::Left => Event::Left(info),
            _ => Event::Dead(info),
        });
    }

    pub(super) fn announce_when_due(&mut self) {
        if self.now < self.announcer.next() || self.links.is_empty() {
            return;
        }
        let size = self.size();
        self.announcer.done(self.now, size, &mut self.rng);
        // The first announcement is the first question.
        if self.discovery.next_hello != Instant::NEVER && self.now >= self.discovery.next_hello {
            return;
        }
        let here = self.presence(PresenceKind::Here);
        self.announce(here);
        // Who hears us by unicast only has had a copy; who is heard by unicast only must be told
        // so again, or it stops sending copies; both in one.
        let mut renew: Vec<NodeId> = self
            .peers
            .each()
            .filter(|(_, peer)| self.hears(peer) == Some(Hearing::Unicast))
            .filter(|(_, peer)| peer.paths.best().is_some_and(|path| path.proven))
            .map(|(id, _)| id)
            .collect();
        order::sort_by_key(&mut renew, |id| *id);
        for id in renew {
            let here = self.presence(PresenceKind::Here);
            self.greet_peer(here, id);
        }
        self.prove_who_needs_copies();
    }

    /// Who needs copies gets them only at an address that it has proven: it is asked to.
    fn prove_who_needs_copies(&mut self) {
        let mut unproven: Vec<NodeId> = self
            .peers
            .each()
            .filter(|(_, peer)| peer.reach.asks_for_copies(self.now))
            .filter(|(_, peer)| peer.paths.best().is_some_and(|path| !path.proven))
            .map(|(id, _)| id)
            .collect();
        order::sort_by_key(&mut unproven, |id| *id);
        for id in unproven {
            self.ask_peer(id);
        }
    }
}

/// The token that a peer gives to this node. That in a question is one that it shows, which this node
/// has given to it.
fn given_token(presence: &Presence) -> Option<u64> {
    presence.token.filter(|_| presence.kind == PresenceKind::Here)
}

/// Whether it is for everybody. What came of it by unicast is a copy.
fn is_announcement(presence: &Presence) -> bool {
    presence.kind == PresenceKind::Here && presence.to.is_none() && presence.re.is_none()
}

/// What is known of a peer after its announcement, if that is not what was known before.
fn change(old: &Arc<Profile>, presence: &Presence) -> Option<Arc<Profile>> {
    let said = &presence.profile;
    if !presence.partial {
        return (old != said).then(|| Arc::clone(said));
    }
    let Profile { nick, host, version, .. } = (**said).clone();
    Some(Arc::new(Profile { nick, host, version, ..(**old).clone() }))
}
