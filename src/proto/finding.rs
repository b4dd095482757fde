//! The engine's search for peers: asking the group, asking those who are told of, asking one peer
//! for what it knows and others don't.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::command::Hint;
use super::discovery::{Asked, Verdict};
use super::engine::Engine;
use super::event::{Destination, Event, Output, PeerState};
use super::peer::{Peer, Standing};
use super::pull::Turn;
use super::reach::Reach;
use super::receiving::Arrival;
use super::timing;
use crate::values::{LinkId, NodeId, PeerText, SmallSet, limits};
use crate::wire::{Ask, PresenceKind, RosterPage, Told};

/// Pages of the roster given for one question.
const PAGES: usize = 8;

/// Peers to a page at most: the shortest entries.
const PER_PAGE: usize = 16;

impl Engine {
    /// Does what the search wants done now.
    pub(super) fn search(&mut self) {
        if self.now >= self.discovery.next_hello && !self.links.is_empty() {
            self.hello();
        }
        self.try_hints();
        self.ask_told();
        let ours = self.summary();
        match self.discovery.judge(ours, self.now, &mut self.rng) {
            Verdict::Wait => {}
            Verdict::Pull(peer) => self.pull(peer),
            Verdict::AskAgain => self.pull_again(),
            Verdict::Settled(complete) => self.unfinished = Some((complete, self.now)),
        }
        self.finish();
    }

    /// Says that the search is over, once everyone who was found has said everything of itself.
    fn finish(&mut self) {
        let Some((complete, since)) = self.unfinished else { return };
        let waits = self.config.visitor
            && self.now.since(since) < timing::REST
            && self.peers.each().any(|(_, p)| p.standing == Standing::Alive && !p.is_complete());
        if waits {
            return;
        }
        self.unfinished = None;
        self.event(Event::Settled { complete });
        if self.config.visitor && self.config.multicast {
            // It stays longer than to ask, so it listens from now on.
            self.out.push_back(Output::Join(*self.config.group.addr().ip()));
        }
    }

    /// An answer to an address that has proven nothing is no longer than the question; with the
    /// token that came with it, a visitor gets the rest. (Who stays hears it anyway.)
    pub(super) fn ask_for_the_rest(&mut self, id: NodeId) {
        let waits = |peer: &Peer| peer.token().is_some() && !peer.is_complete();
        if self.config.visitor && self.peers.get(id).is_some_and(waits) {
            self.ask_peer(id);
        }
    }

    /// One round of asking the group and the seeds.
    fn hello(&mut self) {
        let size = self.size();
        let round = self.discovery.begin_round(self.now, size, &mut self.rng);
        if self.config.multicast {
            let nonce = self.rng.u64();
            self.discovery.question(nonce, Asked::Group, self.now);
            let mut hello = self.presence(PresenceKind::Hello);
            hello.nonce = Some(nonce);
            hello.attempt = round;
            self.announce(hello);
        }
        self.greet(&self.config.seeds.clone(), round);
        let size = self.size();
        self.announcer.done(self.now, size, &mut self.rng);
    }

    /// Seeds are for where multicast does not work: whoever is lost there is found again by
    /// nobody else. So a seed at which nobody is heard is asked for as long as this node lives.
    pub(super) fn ask_silent_seeds(&mut self) {
        let is_alone = self.peers.len() == 0;
        let pause = if is_alone { timing::SEED_RETRY_ALONE } else { timing::SEED_RETRY };
        // Who has lost the last peer waits no longer than who never had one.
        self.next_seeds = self.next_seeds.min(self.now + pause);
        if self.now < self.next_seeds || !self.config.discover || self.links.is_empty() {
            return;
        }
        self.next_seeds = self.now + pause;
        let heard = |seed: &SocketAddr| self.peers.each().any(|(_, p)| p.paths.has_ip(*seed));
        let silent: Vec<SocketAddr> =
            self.config.seeds.iter().filter(|seed| !heard(seed)).copied().collect();
        self.greet(&silent, 0);
    }

    /// Asks addresses at which somebody is said to be, or may be.
    fn greet(&mut self, addrs: &[SocketAddr], attempt: u8) {
        if addrs.is_empty() {
            return;
        }
        let nonce = self.rng.u64();
        self.discovery.question(nonce, Asked::Seeds, self.now);
        for &addr in addrs {
            let mut hello = self.presence(PresenceKind::Hello);
            hello.nonce = Some(nonce);
            hello.attempt = attempt;
            self.greet_address(&hello, addr);
        }
    }

    /// Takes up addresses at which somebody may be.
    pub(super) fn take_hints(&mut self, hints: Vec<Hint>) {
        if self.config.discover {
            self.hints.set(hints, self.now);
            self.drop_hints();
        }
    }

    /// Tries them, as long as nobody is known whom they may lead to.
    fn try_hints(&mut self) {
        if self.now < self.hints.next() || self.links.is_empty() {
            return;
        }
        self.drop_hints();
        let due: Vec<SocketAddr> =
            self.hints.due(self.now).into_iter().map(|hint| hint.addr).collect();
        self.greet(&due, 0);
    }

    /// Drops those that are not worth trying any more, see [`Hint`].
    fn drop_hints(&mut self) {
        if self.peers.len() == 0 || self.hints.left().is_empty() {
            return;
        }
        let tunnels: SmallSet<LinkId> =
            self.hints.left().iter().filter_map(|hint| hint.tunnel).collect();
        let is_known = |link: LinkId| {
            self.peers.each().any(|(_, peer)| peer.paths.iter().any(|p| p.link == Some(link)))
        };
        let silent: SmallSet<LinkId> =
            tunnels.into_iter().filter(|link| !is_known(*link)).collect();
        self.hints.retain(|hint| hint.tunnel.is_some_and(|link| silent.contains(&link)));
    }

    /// Asks those who are only told of whether they are there.
    fn ask_told(&mut self) {
        if self.now < self.discovery.next_told() {
            return;
        }
        let now = self.now;
        let tries = timing::told_tries(self.size());
        let mut silent = Vec::new();
        for id in self.discovery.due_to_be_asked(now) {
            match self.peers.get_mut(id).map(|peer| &mut peer.standing) {
                Some(Standing::Told { asked }) if *asked < tries => {
                    let again = now + timing::told_again(*asked);
                    *asked += 1;
                    self.discovery.asking.insert(id, again);
                    self.ask_peer(id);
                }
                Some(Standing::Told { .. }) => silent.push(id),
                _ => {
                    self.discovery.asking.remove(&id);
                }
            }
        }
        // Whoever told of them does not know yet that they have gone, or has a link that we have
        // not.
        for id in silent {
            self.lose(id, PeerState::Left);
        }
        self.discovery.reckon_asking();
    }

    fn pull(&mut self, from: NodeId) {
        let Some(token) = self.peers.get(from).map(Peer::token) else {
            return self.discovery.forget(from);
        };
        let nonce = self.rng.u64();
        self.discovery.begin_pull(from, nonce, token.is_some(), self.now);
        match token {
            Some(token) => self.ask_roster(from, token),
            None => self.ask_peer(from), // its answer brings a token
        }
    }

    /// Asks for the rest of a roster again: a question or an answer was lost.
    fn pull_again(&mut self) {
        let Some(pull) = &self.discovery.pull else { return };
        let from = pull.from;
        let token = self.peers.get(from).and_then(Peer::token).filter(|_| pull.asked);
        match token {
            Some(token) => self.ask_roster(from, token),
            None => self.ask_peer(from),
        }
    }

    /// The peer from which a pull waits for a token has been heard.
    pub(super) fn pull_with_token(&mut self, id: NodeId) {
        let Some(pull) = &mut self.discovery.pull else { return };
        let Some(token) = self.peers.get(id).and_then(Peer::token) else { return };
        if pull.from == id && !pull.asked {
            pull.asked = true;
            self.ask_roster(id, token);
        }
    }

    /// Asks for what is missing of the present pull.
    fn ask_roster(&mut self, of: NodeId, token: u64) {
        let Some(pull) = &self.discovery.pull else { return };
        let Some(path) = self.peers.get(of).and_then(|peer| peer.paths.best()) else {
            return;
        };
        let (visitor, nonce, slice, after) =
            (self.config.visitor, pull.nonce, pull.slice, pull.cursor);
        let have = Some(self.peers.parts(slice, (!visitor).then(|| self.id()), nonce));
        let ask = Ask { from: self.sender(), visitor, nonce, token, after, slice, have };
        let bytes = ask.encode(&self.config.identity);
        self.transmit(bytes, Destination::Address(path.addr, path.link));
    }

    pub(super) fn on_ask(&mut self, arrival: &Arrival<'_>, ask: &Ask) {
        if ask.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        if self.config.visitor || ask.token != self.token(arrival.source) {
            // A token of an earlier run: the asker will hear the new one when it greets again.
            self.counters.misdirected += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        if !self.guard.allows_answer(self.now) {
            self.counters.answers_over_rate += 1;
            return;
        }
        let theirs = ask.have.as_deref();
        let ours = self.peers.parts(ask.slice, Some(self.id()), ask.nonce);
        let differs = |part: usize| theirs.is_none_or(|have| have[part] != ours[part]);
        let told = |(id, peer): (NodeId, &Peer)| self.told(id, peer, arrival);
        let peers: Vec<Told> = self
            .peers
            .after_in(ask.after, ask.slice, differs)
            .filter(|&(id, _)| id != ask.from.id)
            .filter_map(told)
            .take(PAGES * PER_PAGE + 1)
            .collect();
        let summary = self.summary();
        let limit = self.datagram_limit();
        let (from, re, after, more) = (self.sender(), ask.nonce, ask.after, false);
        let mut rest = RosterPage { from, re, summary, after, more, peers };
        for page in 0..PAGES {
            let (bytes, fitted) = rest.encode(&self.config.identity, limit);
            if fitted == 0 && page > 0 {
                return;
            }
            self.reply(bytes, arrival.source, arrival.link);
            rest.after = rest.peers.drain(..fitted).next_back().map(|told| told.id).or(rest.after);
            if rest.peers.is_empty() {
                return;
            }
        }
    }

    /// What to tell of a peer to somebody at `arrival`, if it can be reached from there.
    fn told(&self, id: NodeId, peer: &Peer, arrival: &Arrival<'_>) -> Option<Told> {
        let age = self.now.since(peer.heard);
        let patience = timing::told_patience(self.size());
        if matches!(peer.standing, Standing::Told { .. }) && age > patience {
            return None;
        }
        // What was heard on another link is out of the asker's reach; so is an address of this
        // host's own loop for those who do not share it.
        let path = peer
            .paths
            .iter()
            .filter(|path| path.link.is_none_or(|link| link == arrival.link))
            .filter(|path| !path.addr.ip().is_loopback() || arrival.source.ip().is_loopback())
            .max_by_key(|path| (path.addr.is_ipv6() == arrival.source.is_ipv6(), path.rank()))?;
        Some(Told {
            id,
            // Which of its links an address is on says nothing to others.
            addr: LinkId(0).scoped(path.addr),
            epoch: peer.epoch,
            profile: Arc::clone(&peer.profile),
            age: age.as_millis().div_ceil(1_000) as u32,
            unicast: peer.reach.expects_unicast(self.now),
        })
    }

    pub(super) fn on_roster(&mut self, arrival: &Arrival<'_>, page: &RosterPage) {
        let expected = self
            .discovery
            .pull
            .as_ref()
            .is_some_and(|pull| pull.from == page.from.id && pull.nonce == page.re);
        if !expected {
            self.counters.stale += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let mut found = 0;
        let far = page.peers.iter().filter(|told| !self.reaches(told.addr, arrival.link)).count();
        // How many they are is for the teller to say: it knows more than we do.
        let told_size = (page.summary.count as usize).min(limits::PEERS);
        let size = self.peers.len().max(told_size);
        for told in &page.peers {
            found += usize::from(self.hear_of(told, arrival.link, size));
        }
        let (now, ours) = (self.now, self.summary());
        let Some(pull) = &mut self.discovery.pull else { return };
        pull.far += far as u32;
        pull.until = now + timing::PULL_RETRY;
        let from = pull.from;
        match pull.page(page, (ours.count, found), PAGES) {
            Turn::Wait => {}
            turn @ (Turn::Ask | Turn::AskNext) => {
                if turn == Turn::AskNext {
                    // What is late of the slice before is not taken for this one's.
                    pull.nonce = self.rng.u64();
                }
                if let Some(token) = self.peers.get(from).and_then(Peer::token) {
                    self.ask_roster(from, token);
                }
            }
            Turn::Done => {
                // A part that looked alike by chance was not told: then there is more to ask for.
                if ours.count + pull.far >= page.summary.count {
                    self.discovery.cover(page.summary.count);
                }
                self.discovery.end_pull(true, ours, now);
            }
        }
        self.discovery.heard(from, (page.summary, ours), true, now, &mut self.rng);
    }

    /// Who is told of by others and answers nothing. One that was given up is told of again, if it is
    /// at all, when the rosters are compared the next time; until then it is taken for one still.
    pub(super) fn unheard(&self) -> Vec<(NodeId, PeerText)> {
        self.peers.unheard(self.now - timing::COMPARE_AGAIN)
    }

    /// Whether this node has the version of IP on a link by which a peer there is told to be reached.
    fn reaches(&self, addr: SocketAddr, link: LinkId) -> bool {
        let at = self.links.iter().find(|at| at.link == link);
        at.map_or(addr.is_ipv4(), |at| at.carries(addr.ip()))
    }

    /// Takes up a peer of a group of `size` from hearsay, if it is news; `true` if so.
    fn hear_of(&mut self, told: &Told, link: LinkId, size: usize) -> bool {
        let few = size <= timing::FEW;
        let is_known = told.id == self.id() || self.peers.get(told.id).is_some();
        if is_known || !self.reaches(told.addr, link) || told.addr.ip().is_multicast() {
            return false;
        }
        if self.peers.is_full() {
            self.counters.peers_full += 1;
            return false;
        }
        let (now, age) = (self.now, Duration::from_secs(told.age.into()));
        // The teller may not know yet that it has gone, or reach what is out of our reach.
        let gone = self.peers.gone(told.id).is_some_and(|gone| {
            let still = if gone.hearsay.is_some() {
                now.since(gone.at) < timing::TOLD_AGAIN
            } else {
                now - age <= gone.at
            };
            told.epoch < gone.epoch || told.epoch == gone.epoch && still
        });
        let gone = gone || self.probes.is_dead(told.id, told.epoch, now - age);
        if gone || age > timing::told_patience(size) {
            // Or it is there again, and the teller will soon have heard it.
            if few && let Some(pull) = &mut self.discovery.pull {
                pull.doubtful |= gone;
            }
            return false;
        }
        let mut peer = Peer::new(told.epoch, Standing::Told { asked: 0 }, now);
        peer.heard = now - age;
        // Where the teller is in reach, the peer will be.
        peer.paths.heard(Some(link), link.scoped(told.addr), peer.heard);
        peer.profile = Arc::clone(&told.profile);
        peer.reach = Reach::told(told.unicast);
        self.peers.insert(told.id, peer);
        self.review_versions(told.id);
        if (few || told.unicast || !self.config.multicast)
            && self.discovery.asking.len() < limits::PEERS
        {
            // One after the other, so that a long roster does not set off a burst of questions.
            let place = self.discovery.asking.len() as u32;
            self.discovery.ask(told.id, now + Duration::from_micros(50) * place);
        }
        true
    }
}
