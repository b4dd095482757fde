//! The world's wires: what a node sends, on its way to those who receive it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use super::host::{HostId, NodeIndex, loses_next};
use super::queue::Due;
use super::segment::Draw;
use super::tally::Kind;
use super::world::{GROUP, World};
use crate::proto::{Destination, Input, Output};
use crate::values::{Instant, LinkId};
use crate::wire::{Hearing, Packet};

/// A datagram on its way to one node.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    to: NodeIndex,
    /// The receiver's run: a socket that was closed receives nothing.
    life: u32,
    link: LinkId,
    via: Hearing,
    source: SocketAddrV4,
    packet: Arc<Packet>,
}

impl Delivery {
    /// What it is to that one's engine.
    pub(super) fn input(&self) -> Input<'_> {
        let (source, link, via) = (SocketAddr::V4(self.source), self.link, self.via);
        Input::Datagram { packet: &self.packet, source, link, via }
    }
}

/// One receiver of a [`Round`].
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    /// Its place among those that were planned together.
    order: u32,
    to: u32,
    life: u32,
    link: LinkId,
}

/// A datagram on its way to all members of a group.
#[derive(Debug)]
pub(super) struct Round {
    arrivals: Vec<Arrival>,
    done: usize,
    source: SocketAddrV4,
    packet: Arc<Packet>,
    /// The number that the first of them has in the queue.
    pub(super) first: u64,
}

impl Round {
    pub(super) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Puts the arrivals in the order in which they happen; returns when the first does.
    pub(super) fn begin(&mut self) -> Option<(Instant, u32)> {
        for (arrival, order) in self.arrivals.iter_mut().zip(0..) {
            arrival.order = order;
        }
        self.arrivals.sort_unstable_by_key(|arrival| (arrival.at, arrival.order));
        self.next()
    }

    /// When the next arrival is, and which.
    pub(super) fn next(&self) -> Option<(Instant, u32)> {
        self.arrivals.get(self.done).map(|arrival| (arrival.at, arrival.order))
    }

    /// The next arrival.
    pub(super) fn advance(&mut self) -> Option<Delivery> {
        let &Arrival { to, life, link, .. } = self.arrivals.get(self.done)?;
        self.done += 1;
        let (to, via, source) = (NodeIndex(to as usize), Hearing::Multicast, self.source);
        Some(Delivery { to, life, link, via, source, packet: Arc::clone(&self.packet) })
    }
}

/// What a datagram takes from one node to another on the same host.
pub(super) const LOOP: Duration = Duration::from_micros(20);

impl World {
    pub(super) fn carry_out(&mut self, node: NodeIndex, output: Output) {
        match output {
            Output::Send { bytes, to } => {
                let packet = if self.quick {
                    self.profiles.vouch(bytes)
                } else {
                    Arc::new(Packet::new(bytes))
                };
                self.send(node, &packet, to, false);
            }
            Output::Join(group) => self.join(node, group),
            Output::Leave(group) => {
                for lan in &mut self.lans {
                    lan.leave(group, node);
                }
            }
            Output::Rejoin => {
                for lan in &mut self.lans {
                    lan.rejoin(node, self.now, &mut self.rng);
                }
            }
            Output::Event(event) => self.event(node, event),
            Output::Wake(_) => {}
        }
    }

    fn join(&mut self, node: NodeIndex, group: Ipv4Addr) {
        let host = self.nodes[node.0].host;
        for i in 0..self.hosts[host.0].interfaces.len() {
            let lan = self.hosts[host.0].interfaces[i].lan;
            self.lans[lan.0].join(group, node, i, self.now, &mut self.rng);
        }
    }

    /// `heard`: the node has heard itself already.
    pub(super) fn send(
        &mut self,
        node: NodeIndex,
        packet: &Arc<Packet>,
        to: Destination,
        heard: bool,
    ) {
        if let Some(record) = &mut self.record {
            record.push(Arc::clone(packet.bytes()));
        }
        let opened = self.opened(node, packet);
        let kind = Kind::of(opened);
        self.tally.sent(kind, packet.bytes().len(), matches!(to, Destination::Group(..)));
        self.checker.sent(node, self.now, packet, opened, to);
        self.watch_sent(node, to);
        if let Some(trace) = &mut self.trace {
            trace.sent(self.now, node, opened, to);
        }
        let host = self.nodes[node.0].host;
        let Some(port) = self.nodes[node.0].run.as_ref().map(|run| run.port) else { return };
        match to {
            Destination::Group(group, _) => {
                for i in 0..self.hosts[host.0].interfaces.len() {
                    let source = SocketAddrV4::new(self.hosts[host.0].interfaces[i].ip, port);
                    self.multicast((host, i), (source, group), packet, heard);
                }
            }
            Destination::Address(to, link) => {
                if let Some(i) = self.route(host, to.ip(), link) {
                    let source = SocketAddrV4::new(self.hosts[host.0].interfaces[i].ip, port);
                    self.unicast((host, i), source, to, packet);
                }
            }
        }
    }

    /// The interface over which an address is reached: the one asked for, or the first that leads
    /// there.
    fn route(&self, host: HostId, to: IpAddr, link: Option<LinkId>) -> Option<usize> {
        let IpAddr::V4(ip) = to else { return None };
        self.hosts[host.0].interfaces.iter().position(|interface| {
            self.lans[interface.lan.0].has(ip) && link.is_none_or(|link| interface.link == link)
        })
    }

    fn multicast(
        &mut self,
        (host, i): (HostId, usize),
        (source, group): (SocketAddrV4, SocketAddrV4),
        packet: &Arc<Packet>,
        heard: bool,
    ) {
        let from = &mut self.hosts[host.0];
        let interface = from.interfaces[i];
        let (mute, side) =
            (from.mute || !interface.up || loses_next(&mut from.lose_out), from.side);
        let mut draw = Draw::of(&mut self.rng, self.quick);
        let lan = &self.lans[interface.lan.0];
        let (now, faults) = (self.now, lan.faults);
        let members = lan.members(*group.ip());
        let mut arrivals = Vec::with_capacity(members.len());
        for member in members {
            let at = self.nodes[member.node.0].host;
            let life = self.nodes[member.node.0].life;
            let receiver = &self.hosts[at.0];
            let before = arrivals.len();
            let delivery = |after: Duration| {
                let link = receiver.interfaces[member.interface].link;
                Arrival { at: now + after, order: 0, to: member.node.0 as u32, life, link }
            };
            if (at, member.interface) == (host, i) {
                arrivals.extend((!heard).then(|| delivery(LOOP)));
                continue;
            }
            let up = receiver.interfaces[member.interface].up;
            let unheard = receiver.unheard.contains(&host);
            if mute || receiver.deaf || !up || unheard || receiver.side != side || member.from > now
            {
                continue;
            }
            let fate = faults.fate(receiver.input_loss, &mut draw);
            arrivals.extend(fate.into_iter().flatten().map(delivery));
            let receiver = &mut self.hosts[at.0];
            if loses_next(&mut receiver.lose_in) {
                arrivals.truncate(before);
            }
        }
        let packet = Arc::clone(packet);
        if self.quick {
            let to = arrivals.iter().map(|a| (NodeIndex(a.to as usize), a.at, a.link));
            return self.post.send(packet, (source, Hearing::Multicast), to);
        }
        self.queue.push_round(Round { arrivals, done: 0, source, packet, first: 0 });
    }

    fn unicast(
        &mut self,
        (host, i): (HostId, usize),
        source: SocketAddrV4,
        to: SocketAddr,
        packet: &Arc<Packet>,
    ) {
        let IpAddr::V4(ip) = to.ip() else { return };
        let Some(&(at, j)) = self.by_ip.get(&ip) else { return };
        let lost = at != host
            && (loses_next(&mut self.hosts[host.0].lose_out)
                || loses_next(&mut self.hosts[at.0].lose_in));
        let from = &self.hosts[host.0];
        let receiver = &self.hosts[at.0];
        let (near, far) = (from.interfaces[i], receiver.interfaces[j]);
        let fate = if lost {
            [None; 2]
        } else if at == host {
            [Some(LOOP), None]
        } else if receiver.unheard.contains(&host) {
            [None; 2]
        } else if near.up && far.up && near.lan == far.lan && from.side == receiver.side {
            let mut draw = Draw::of(&mut self.rng, self.quick);
            self.lans[near.lan.0].faults.fate(receiver.input_loss, &mut draw)
        } else {
            [None; 2]
        };
        // What is sent to the group's port reaches one of those who share it.
        let node = receiver.nodes.iter().copied().rfind(|node| {
            let run = self.nodes[node.0].run.as_ref();
            run.is_some_and(|run| run.port == to.port() || to.port() == GROUP.port())
        });
        let Some(node) = node else { return };
        let life = self.nodes[node.0].life;
        let (link, via, now) = (far.link, Hearing::Unicast, self.now);
        if self.quick {
            let to = fate.into_iter().flatten().map(|after| (node, now + after, link));
            return self.post.send(Arc::clone(packet), (source, via), to);
        }
        for after in fate.into_iter().flatten() {
            let packet = Arc::clone(packet);
            let delivery = Delivery { to: node, life, link, via, source, packet };
            self.schedule(self.now + after, Due::Delivery(delivery));
        }
    }

    /// Lets a datagram from nowhere arrive: what a hostile or foreign program sends.
    pub fn inject(
        &mut self,
        to: NodeIndex,
        source: SocketAddrV4,
        via: Hearing,
        bytes: impl Into<Arc<[u8]>>,
    ) {
        let packet = Arc::new(Packet::new(bytes));
        let state = &self.nodes[to.0];
        let (life, link) = (state.life, self.hosts[state.host.0].interfaces[0].link);
        self.checker.injected(&packet);
        self.deliver(&Delivery { to, life, link, via, source, packet });
    }

    pub(super) fn deliver(&mut self, delivery: &Delivery) {
        let node = delivery.to;
        let state = &self.nodes[node.0];
        if state.run.is_none() || state.life != delivery.life || self.now < state.frozen {
            return;
        }
        let packet = &*delivery.packet;
        let source = SocketAddr::V4(delivery.source);
        let opened = self.opened(node, packet);
        self.tally.received += 1;
        self.checker.received(node, packet, opened, source);
        if let Some(trace) = &mut self.trace {
            trace.received(self.now, node, opened, source, delivery.via);
        }
        self.input(node, delivery.input());
    }
}
