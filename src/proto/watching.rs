//! The engine's watch over its peers: who has fallen silent, who is heard by unicast only, and who has gone
//! without everybody having heard it.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::event::{Event, Output, PeerState};
use super::peer::{Peer, Standing};
use super::probes::Reason;
use super::reach::Several;
use super::{ring, timing};
use crate::values::{Instant, NodeId, order};

/// What the review of a peer calls for.
enum Finding {
    Ask(NodeId),
    Check(NodeId, Reason),
    Forget(NodeId),
    Deaf(NodeId),
    Copies(NodeId),
    Path(NodeId),
}

impl Finding {
    fn of(&self) -> NodeId {
        match *self {
            Self::Ask(id)
            | Self::Check(id, _)
            | Self::Forget(id)
            | Self::Deaf(id)
            | Self::Copies(id)
            | Self::Path(id) => id,
        }
    }
}

impl Engine {
    /// Looks at every peer; returns when to look again.
    pub(super) fn review_peers(&mut self) -> Instant {
        self.review_clone();
        let (findings, next) = self.find();
        for finding in findings {
            match finding {
                Finding::Ask(id) => self.ask_peer(id),
                Finding::Check(id, reason) => self.begin_check(id, reason),
                Finding::Forget(id) => self.lose(id, PeerState::Left),
                Finding::Deaf(id) => {
                    let here = self.presence(crate::wire::PresenceKind::Here);
                    self.greet_peer(here, id);
                    self.reminder.want();
                }
                Finding::Copies(id) => self.review_copies(id),
                Finding::Path(id) => {
                    if let Some(peer) = self.peers.get(id) {
                        let info = peer.info(id, peer.state(), self.size(), self.now);
                        self.event(Event::Path(info));
                    }
                }
            }
        }
        let soonest = if self.config.visitor { timing::REST_RETRY } else { timing::REVIEW };
        let latest = self.now + timing::review_quiet(self.size());
        next.clamp(self.now + soonest, latest)
    }

    /// Joins all groups anew if this node hardly hears anybody by multicast, or nobody at all.
    pub(super) fn remind_switch(&mut self) {
        let deaf = self.peers.len() == 0 || self.is_mostly_deaf();
        if self.config.multicast && self.reminder.is_due(deaf, self.now) {
            self.out.push_back(Output::Rejoin);
        }
    }

    /// A peer has said goodbye so: others may have missed it.
    pub(super) fn plan_farewell(&mut self, id: NodeId, bytes: &Arc<[u8]>) {
        if !self.config.visitor {
            let has_room = self.farewells.add(id, bytes, self.now, &mut self.rng);
            self.counters.farewells_refused += u64::from(!has_room);
        }
    }

    /// Repeats the goodbyes that are for this node to repeat.
    pub(super) fn pass_farewells_on(&mut self) {
        for (id, bytes) in self.farewells.due(self.now) {
            if self.peers.len() > 0 && ring::is_next(&self.peers, self.id(), id) {
                self.broadcast(bytes, None);
            }
        }
    }

    /// What the review of all peers calls for, and when one of them may call for something again.
    fn find(&mut self) -> (Vec<Finding>, Instant) {
        let (now, size) = (self.now, self.size());
        let suspect = timing::suspect(size);
        let (multicast, visitor) = (self.config.multicast, self.config.visitor);
        let asking = &self.discovery.asking;
        let awake = self.probes.health.awake();
        // While it hears nobody at all, it can't tell what comes by multicast.
        let hears_since = awake.max(self.contact.since());
        let multicast_counts = multicast && !self.contact.is_isolated(now);
        let (mut findings, mut next) = (Vec::new(), Instant::NEVER);
        let several = self.several();
        let quiet = (multicast_counts && !visitor).then(|| self.quiet(hears_since)).flatten();
        if let Some(quiet) = &quiet {
            next = quiet.next;
        }
        for (id, peer) in self.peers.each_mut() {
            let silence = now.since(peer.heard.max(awake));
            let unfinished = visitor && !peer.is_complete();
            match &mut peer.standing {
                Standing::Told { asked } => {
                    // Nobody vouches for it any more; in large groups it is asked once, late.
                    let patience = timing::told_patience(size);
                    if silence > patience * 2 {
                        findings.push(Finding::Forget(id));
                    } else if silence > patience && !asking.contains_key(&id) {
                        if *asked >= timing::told_tries(size) {
                            findings.push(Finding::Forget(id));
                        } else {
                            *asked += 1;
                            findings.push(Finding::Ask(id));
                        }
                    }
                }
                Standing::Alive | Standing::Suspect if silence > suspect => {
                    findings.push(Finding::Check(id, Reason::Silence));
                }
                // Who stays hears the rest with the next announcements.
                Standing::Alive if unfinished => {
                    findings.push(Finding::Ask(id));
                }
                Standing::Alive | Standing::Suspect => {
                    if peer.is_to_be_asked_again(now) {
                        findings.push(Finding::Check(id, Reason::Question));
                    }
                    let since = peer.since.max(hears_since);
                    let is_open = !peer.reach.is_deaf() && peer.reach.heard().is_some();
                    if let Some(quiet) = quiet.as_ref().filter(|_| is_open) {
                        if quiet.is_deaf && peer.reach.miss_with_all() {
                            findings.push(Finding::Deaf(id));
                        } else if quiet.asks(peer, since, now) {
                            findings.push(Finding::Ask(id));
                        }
                    }
                    if multicast_counts && peer.reach.miss(since, now, size) {
                        findings.push(Finding::Deaf(id));
                    }
                }
            }
            if peer.reach.expire(now) {
                findings.push(Finding::Copies(id));
            }
            let is_heard = matches!(peer.standing, Standing::Alive);
            let since = peer.since.max(hears_since);
            if multicast && is_heard && peer.reach.has_changed(since, now, size, several) {
                findings.push(Finding::Path(id));
                if peer.reach.is_deaf() {
                    // It has said so before, when it was not sure.
                    findings.push(Finding::Deaf(id));
                }
            }
            next = next.min(match peer.standing {
                // Nobody waits for the end of its time.
                Standing::Told { .. } => Instant::NEVER,
                // A visitor asks for what had no room in the first answers.
                Standing::Alive if unfinished => now + timing::REST_RETRY,
                _ => (peer.heard + suspect).min(peer.reach.next(peer.since, size)),
            });
        }
        // Whoever is found at the same time, the same comes of it wherever the table keeps them.
        order::sort_by_key(&mut findings, Finding::of);
        (findings, next)
    }

    /// What the peers together show of multicast, see [`Several`].
    fn several(&self) -> Several {
        let (mut all, mut deaf, mut unheard) = (0, 0, 0);
        for (_, peer) in self.peers.each().filter(|(_, peer)| peer.reach.counts()) {
            all += 1;
            deaf += usize::from(peer.reach.is_deaf());
            unheard += usize::from(peer.reach.asks_for_copies(self.now));
        }
        let are_several = |count: usize| count >= 2 && count * 2 >= all;
        Several { deaf: are_several(deaf), unheard: are_several(unheard) }
    }

    /// What it shows that multicast comes from nobody: in a small group, where everybody announces itself
    /// often.
    fn quiet(&self, since: Instant) -> Option<Quiet> {
        let (now, size) = (self.now, self.size());
        if size > timing::FEW {
            return None;
        }
        let open = |&(_, peer): &(NodeId, &Peer)| {
            peer.standing == Standing::Alive && !peer.reach.is_deaf()
        };
        let heard = |(_, peer): (NodeId, &Peer)| peer.reach.heard();
        let last = self.peers.each().filter(open).filter_map(heard).max()?;
        let begun = last.max(since);
        let open = self.peers.each().filter(open).filter(|(_, peer)| peer.reach.heard().is_some());
        let (mut peers, mut there) = (0, 0);
        for (_, peer) in open {
            peers += 1;
            there += usize::from(peer.heard > begun);
        }
        let (round, patience) = (timing::latest(size), timing::deaf_to_groups(peers, size));
        let silence = now.since(begun);
        // One alone is no sign of others; and who has said nothing by unicast either may have gone.
        let is_deaf = peers >= 2 && there * 2 >= peers && silence > patience;
        let next = if silence > round { now } else { begun + round };
        Some(Quiet { is_deaf, is_odd: silence > round, round, next })
    }
}

/// What a silence of the group shows.
struct Quiet {
    /// Nobody is heard by multicast any more.
    is_deaf: bool,
    /// Every peer should have announced itself meanwhile.
    is_odd: bool,
    /// The time within which each does.
    round: Duration,
    /// When there may be more to say.
    next: Instant,
}

impl Quiet {
    /// Whether a peer is to be asked how far its logs go: what it says by multicast may be lost, and that
    /// need not wait until it is sure.
    fn asks(&self, peer: &Peer, since: Instant, now: Instant) -> bool {
        let heard = peer.reach.heard().unwrap_or(since).max(since);
        (self.is_odd || now.since(heard) > self.round * 2)
            && !peer.was_asked_since(now - self.round)
    }
}
