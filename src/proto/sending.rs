//! The engine's outgoing side: what is written, to whom it goes, and who gets copies.

use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::event::{Destination, Output};
use super::peer::Peer;
use super::six::Versions;
use super::timing;
use crate::values::{ChannelName, LinkId, NodeId, limits};
use crate::wire::{Hearing, Presence, PresenceKind, Sender, encode_bye};

impl Engine {
    /// Hands a datagram out, sealed if the group is.
    pub(super) fn transmit(&mut self, bytes: impl Into<Arc<[u8]>>, to: Destination) {
        let bytes = self.seal(bytes.into());
        self.emit(bytes, to);
    }

    fn seal(&mut self, bytes: Arc<[u8]>) -> Arc<[u8]> {
        match &self.config.secret {
            None => bytes,
            Some(secret) => secret.seal(&bytes, &mut self.rng).into(),
        }
    }

    fn emit(&mut self, bytes: Arc<[u8]>, to: Destination) {
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += bytes.len() as u64;
        self.out.push_back(Output::Send { bytes, to });
    }

    /// Sends to a channel, or with `None` to the group itself, and copies to those who need them.
    pub(super) fn broadcast(&mut self, bytes: impl Into<Arc<[u8]>>, channel: Option<&ChannelName>) {
        let needs = |id| {
            let peer = self.peers.get(id);
            peer.is_some_and(|peer| channel.is_none_or(|name| peer.channels.may_have(name)))
        };
        let all = !self.config.discover || !self.discovery.settled || self.six.peers().any(needs);
        self.broadcast_by(bytes.into(), channel, if all { Versions::All } else { Versions::One });
    }

    /// The same, by these versions of IP.
    fn broadcast_by(
        &mut self,
        bytes: Arc<[u8]>,
        channel: Option<&ChannelName>,
        versions: Versions,
    ) {
        let bytes = self.seal(bytes);
        if self.config.multicast {
            let group = self.config.group;
            let to = channel.map_or(group.addr(), |channel| group.channel(channel));
            self.emit(Arc::clone(&bytes), Destination::Group(to, versions));
        }
        let copies: Vec<Destination> = self
            .copies
            .iter()
            .filter_map(|&id| {
                let peer = self.peers.get(id)?;
                let hears = channel.is_none_or(|channel| peer.channels.may_have(channel));
                if hears { destination(peer) } else { None }
            })
            .collect();
        for to in copies {
            self.emit(Arc::clone(&bytes), to);
        }
    }

    /// Puts a peer on the list of those who need IPv6, or takes it off.
    pub(super) fn review_versions(&mut self, id: NodeId) {
        let best = self.peers.get(id).and_then(|peer| peer.paths.best());
        self.six.note(id, best.is_some_and(|path| path.addr.is_ipv6()));
    }

    /// The same with the list of those who get copies.
    pub(super) fn review_copies(&mut self, id: NodeId) {
        let wants = self.peers.get(id).is_some_and(|peer| {
            (peer.reach.wants_copies(self.now) || !self.config.multicast)
                && peer.paths.best().is_some_and(|path| path.proven)
        });
        if wants {
            self.copies.insert(id);
        } else {
            self.copies.remove(&id);
        }
    }

    pub(super) fn sender(&self) -> Sender {
        Sender { id: self.id(), epoch: self.epoch() }
    }

    /// An announcement with the next number, to be completed by the caller.
    pub(super) fn presence(&mut self, kind: PresenceKind) -> Presence {
        self.announcements += 1;
        let channels = self.channels.names().to_vec();
        Presence {
            kind,
            from: self.sender(),
            n: self.announcements,
            profile: Arc::clone(&self.profile),
            partial: false,
            channels_at: 0,
            channels_of: channels.len(),
            channels: Arc::new(channels),
            logs: if self.config.visitor { Vec::new() } else { self.channel_logs() },
            visitor: self.config.visitor,
            summary: self.summary(),
            attempt: 0,
            nonce: None,
            re: None,
            held: 0,
            token: None,
            to: None,
            hears: None,
            has_ipv4: false,
        }
    }

    /// Writes an announcement, in several datagrams if the channels need it, and gives each to
    /// `send`.
    pub(super) fn write_presence(
        &mut self,
        mut presence: Presence,
        pad: usize,
        mut send: impl FnMut(&mut Self, Vec<u8>),
    ) {
        let limit = self.datagram_limit();
        loop {
            let (bytes, rest) = presence.encode(&self.config.identity, limit, pad);
            send(self, bytes);
            let Some(at) = rest else { return };
            presence.channels =
                Arc::new(self.channels.names().get(at..).unwrap_or_default().to_vec());
            presence.channels_at = at;
            presence.logs.clear();
            self.announcements += 1;
            presence.n = self.announcements;
        }
    }

    /// Announces this node to everyone.
    pub(super) fn announce(&mut self, presence: Presence) {
        let asks = presence.nonce.is_some();
        let pad = if asks { limits::QUESTION } else { 0 };
        let all = asks || self.six.is_turn();
        self.write_presence(presence, pad, |engine, bytes| {
            if all {
                engine.broadcast_by(bytes.into(), None, Versions::All);
            } else {
                engine.broadcast(bytes, None);
            }
        });
    }

    /// Asks an address that nothing is known of.
    pub(super) fn greet_address(&mut self, presence: &Presence, to: SocketAddr) {
        let limit = self.datagram_limit();
        let (bytes, _) = presence.encode(&self.config.identity, limit, limits::QUESTION);
        self.transmit(bytes, Destination::Address(to, None));
    }

    /// Sends an announcement to one peer, saying how this node hears it.
    pub(super) fn greet_peer(&mut self, mut presence: Presence, id: NodeId) {
        let Some(peer) = self.peers.get(id) else { return };
        let Some(to) = destination(peer) else { return };
        presence.to = Some(id);
        presence.hears = self.hears(peer);
        let pad = if presence.nonce.is_some() { limits::QUESTION } else { 0 };
        self.write_presence(presence, pad, |engine, bytes| engine.transmit(bytes, to));
    }

    /// Asks a peer alone, on all its paths, whether it is there.
    pub(super) fn ask_peer(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get(id) else { return };
        let paths = peer.paths.iter().map(|path| Destination::Address(path.addr, path.link));
        self.ask_peer_at(id, paths.collect());
    }

    /// The same, at these addresses.
    pub(super) fn ask_peer_at(&mut self, id: NodeId, paths: Vec<Destination>) {
        let nonce = self.rng.u64();
        let now = self.now;
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.ask(nonce, now);
        let mut presence = self.presence(PresenceKind::Hello);
        presence.nonce = Some(nonce);
        presence.to = Some(id);
        if let Some(peer) = self.peers.get(id) {
            presence.hears = self.hears(peer);
            presence.token = peer.token();
        }
        let limit = self.datagram_limit();
        let (bytes, _) = presence.encode(&self.config.identity, limit, limits::QUESTION);
        let bytes: Arc<[u8]> = bytes.into();
        for to in paths {
            self.transmit(Arc::clone(&bytes), to);
        }
    }

    /// How this node hears a peer, if it can tell yet.
    pub(super) fn hears(&self, peer: &Peer) -> Option<Hearing> {
        if self.config.multicast { peer.reach.hears() } else { Some(Hearing::Unicast) }
    }

    /// Takes leave of everyone, twice, since nobody would ask for it again.
    pub(super) fn say_bye(&mut self) {
        self.announcements += 1;
        let bytes = encode_bye(
            &self.config.identity,
            self.sender(),
            self.announcements,
            self.config.visitor,
        );
        if self.config.visitor {
            return; // nobody lists it
        }
        // To a peer that has not said yet that it hears this node by multicast, alone as well.
        let unsure: Vec<Destination> = self
            .peers
            .iter()
            .filter(|(id, peer)| !peer.reach.is_sure() && !self.copies.contains(id))
            .filter_map(|(_, peer)| destination(peer))
            .take(timing::FEW)
            .collect();
        for to in unsure {
            self.transmit(bytes.clone(), to);
        }
        self.broadcast(bytes.clone(), None);
        self.broadcast(bytes, None);
    }

    /// The proof of address that this node gives to whoever asks from `addr`.
    pub(super) fn token(&self, addr: SocketAddr) -> u64 {
        let hash = Sha256::new()
            .chain_update(self.token_key)
            .chain_update(addr.to_string().as_bytes())
            .finalize();
        let mut token = [0; 8];
        token.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(token)
    }

    /// Answers a datagram where it came from.
    pub(super) fn reply(&mut self, bytes: Vec<u8>, source: SocketAddr, link: LinkId) {
        self.transmit(bytes, Destination::Address(source, Some(link)));
    }
}

pub(super) fn destination(peer: &Peer) -> Option<Destination> {
    peer.paths.best().map(|path| Destination::Address(path.addr, path.link))
}
