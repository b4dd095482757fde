//! The engine's talk: what is said goes out, what others say comes in, once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use super::direct::Outcome;
use super::engine::{Arrival, Engine};
use super::event::{Destination, Event, Message, Outgoing, Output, Refusal, TellError};
use super::inbox::LogKey;
use crate::values::{ChannelName, NodeId, PeerText, limits};
use crate::wire::{
    Ack, Body, Content, Entry, Hearing, Payload, Tell, decode_content, decode_inside, open_direct,
    seal_direct, split,
};

impl Engine {
    pub(super) fn say(&mut self, channel: ChannelName, body: Body, what: Outgoing) {
        if let Err(refusal) = check(&what) {
            return self.event(Event::Refused(refusal));
        }
        self.outbox.push(channel, body, content(what));
    }

    /// Packs and sends what waits.
    pub(super) fn flush_outbox(&mut self) {
        let limit = self.datagram_limit();
        for (channel, body, contents) in self.outbox.take() {
            let mut entry = Entry {
                body,
                from: Some(self.sender()),
                nick: self.profile.nick.clone(),
                channel,
                seq: None,
                payload: Payload::Whole(Vec::new()),
            };
            let mut said = self.config.echo.then(|| contents.clone().into_iter());
            for payload in split(contents, entry.room(limit)) {
                let first = self.outbox.number(&entry.channel, body, payload.len());
                entry.seq = Some(first);
                if let Some(said) = &mut said {
                    let begun = match &payload {
                        Payload::Whole(contents) => contents.len(),
                        Payload::Part { part, .. } => usize::from(*part == 0),
                    };
                    for (seq, content) in (first..).zip(said.by_ref().take(begun)) {
                        self.said(&entry.channel, body, seq, content);
                    }
                }
                entry.payload = payload;
                let bytes = entry.encode(&self.config.identity);
                self.broadcast(bytes, Some(&entry.channel));
            }
        }
    }

    fn said(&mut self, channel: &ChannelName, body: Body, seq: u64, content: Content) {
        self.out.push_back(Output::Event(Event::Said(Message {
            channel: Some(channel.clone()),
            from: Some(self.id()),
            source: None,
            nick: self.profile.nick.clone(),
            epoch: self.epoch(),
            seq,
            at: Some(content.at),
            text: content.text,
            data: content.data,
            level: content.level,
            verified: body == Body::Say,
        })));
    }

    pub(super) fn on_entry(&mut self, arrival: &Arrival<'_>, entry: &Entry) {
        if entry.from.is_some_and(|from| from.id == self.id()) {
            self.counters.own += 1;
            return;
        }
        if !self.channels.has(&entry.channel) {
            self.counters.other_channel += 1;
            return;
        }
        match (entry.from, entry.seq) {
            (Some(from), Some(seq)) if entry.body == Body::Say && arrival.packet.is_signed() => {
                let key = log_key(from, entry, None);
                if self.authors.has(&key, seq) {
                    self.counters.duplicates += 1;
                } else if self.authors.is_over(from.id, from.epoch) {
                    self.counters.stale += 1;
                } else if self.is_authentic(arrival) {
                    self.take_entry(&key, seq, entry, None);
                }
            }
            _ if arrival.packet.is_signed() && !self.is_authentic(arrival) => {}
            (Some(from), Some(seq)) if entry.body == Body::Cast => {
                // Who is known is heard at an address of its own; else it is only a claim.
                let known = self.peers.get(from.id);
                let elsewhere = known.is_some_and(|peer| !peer.paths.has_ip(arrival.source));
                let key = log_key(from, entry, elsewhere.then(|| arrival.source.ip()));
                if self.authors.has(&key, seq) {
                    self.counters.duplicates += 1;
                } else {
                    self.take_entry(&key, seq, entry, Some(arrival.source));
                }
            }
            _ => self.take_by_hand(arrival, entry),
        }
    }

    /// `source`: where it came from, unless a signature shows who said it.
    fn take_entry(&mut self, key: &LogKey, seq: u64, entry: &Entry, source: Option<SocketAddr>) {
        self.authors.mark(key, seq, entry.payload.len(), source.is_none());
        self.take_payload(key, seq, &entry.nick, &entry.payload, source);
    }

    /// Shows what a payload carries, or keeps it until its other parts have come.
    fn take_payload(
        &mut self,
        key: &LogKey,
        seq: u64,
        nick: &PeerText,
        payload: &Payload,
        source: Option<SocketAddr>,
    ) {
        let verified = source.is_none();
        let message = |seq, content: &Content| Message {
            channel: key.channel.clone(),
            from: Some(key.id),
            source,
            nick: nick.clone(),
            epoch: key.epoch,
            seq,
            at: Some(content.at),
            text: content.text.clone(),
            data: content.data.clone(),
            level: content.level,
            verified,
        };
        match payload {
            Payload::Whole(contents) => {
                for (seq, content) in (seq..).zip(contents) {
                    self.event(Event::Message(message(seq, content)));
                }
            }
            Payload::Part { part, parts, piece } => {
                let Some(first) = seq.checked_sub((*part).into()) else { return };
                let assemblies =
                    if verified { &mut self.assemblies } else { &mut self.claimed_assemblies };
                let whole = assemblies.add(key.clone(), first, (*part, *parts), piece, self.now);
                let Some(whole) = whole else { return };
                match decode_content(&whole) {
                    Ok(content) => self.event(Event::Message(message(first, &content))),
                    Err(_) => self.counters.malformed += 1,
                }
            }
        }
    }

    /// A message that somebody wrote by hand: anyone's, so only so many are shown.
    fn take_by_hand(&mut self, arrival: &Arrival<'_>, entry: &Entry) {
        let Payload::Whole(contents) = &entry.payload else {
            self.counters.malformed += 1;
            return;
        };
        // It has no number, so a copy that came by another link is known by its content only.
        let mut hasher = DefaultHasher::new();
        arrival.packet.bytes().hash(&mut hasher);
        let (now, link) = (self.now, arrival.link);
        let first = self.by_hand.entry(&(arrival.source, hasher.finish()), || (link, now));
        if first.0 != link && now.since(first.1) < std::time::Duration::from_secs(1) {
            self.counters.duplicates += 1;
            return;
        }
        *first = (link, now);
        for content in contents {
            if !self.guard.allows_unsigned(arrival.source, self.now) {
                self.counters.unsigned_over_rate += 1;
                return;
            }
            let message = Message {
                channel: Some(entry.channel.clone()),
                from: None,
                source: Some(arrival.source),
                nick: entry.nick.clone(),
                epoch: 0,
                seq: entry.seq.unwrap_or_default(),
                at: (content.at.0 > 0).then_some(content.at),
                text: content.text.clone(),
                data: content.data.clone(),
                level: content.level,
                verified: false,
            };
            self.event(Event::Message(message));
        }
    }

    pub(super) fn tell(&mut self, to: NodeId, what: &Outgoing, ticket: u64) {
        if let Err(refusal) = check(what) {
            return self.event(Event::Refused(refusal));
        }
        if let Err(why) = self.try_tell(to, what, ticket) {
            self.event(Event::NotTold { ticket, why });
        }
    }

    fn try_tell(&mut self, to: NodeId, what: &Outgoing, ticket: u64) -> Result<(), TellError> {
        let peer = self.peers.get(to).ok_or(TellError::Unknown)?;
        let rtt = peer.rtt;
        let path = *peer.paths.best().ok_or(TellError::Unknown)?;
        let limit = self.datagram_limit();
        let payloads = split([content(what.clone())], Tell::payload_room(limit));
        if !self.direct.has_room(payloads.len()) {
            return Err(TellError::Busy);
        }
        for payload in payloads {
            let inside = Tell::inside(&self.profile.nick, &payload);
            let sealed = seal_direct(inside.as_bytes(), self.id(), to, &mut self.rng)
                .map_err(|_| TellError::BadKey)?;
            let n = self.direct.number();
            let bytes = Tell { from: self.sender(), n, to, sealed }.encode(&self.config.identity);
            let bytes: std::sync::Arc<[u8]> = bytes.into();
            self.direct.sent(n, to, bytes.clone(), ticket, rtt, self.now);
            self.transmit(bytes, Destination::Address(path.addr, path.link));
        }
        Ok(())
    }

    /// Sends again what has not been acknowledged.
    pub(super) fn repeat_direct(&mut self) {
        if self.now < self.direct.next() {
            return;
        }
        let (again, failed) = self.direct.due(self.now);
        for (to, bytes) in again {
            let path = self.peers.get(to).and_then(|peer| peer.paths.best()).copied();
            if let Some(path) = path {
                self.transmit(bytes, Destination::Address(path.addr, path.link));
            }
        }
        for outcome in failed {
            self.outcome(outcome);
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        self.event(match outcome {
            Outcome::Arrived(ticket, took) => Event::Told { ticket, took },
            Outcome::Failed(ticket, why) => Event::NotTold { ticket, why },
        });
    }

    pub(super) fn on_tell(&mut self, arrival: &Arrival<'_>, tell: &Tell) {
        if tell.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        if tell.to != self.id() || arrival.via == Hearing::Multicast {
            self.counters.misdirected += 1;
            return;
        }
        if self.authors.is_over(tell.from.id, tell.from.epoch) {
            self.counters.stale += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        let key = LogKey {
            id: tell.from.id,
            epoch: tell.from.epoch,
            channel: None,
            body: Body::Say,
            claimed_at: None,
        };
        if self.authors.has(&key, tell.n) {
            self.counters.duplicates += 1;
        } else {
            let opened = open_direct(&tell.sealed, tell.from.id, &self.config.identity).ok();
            let inside = opened.and_then(|plain| String::from_utf8(plain).ok());
            let Some((nick, payload)) = inside.and_then(|json| decode_inside(&json).ok()) else {
                self.counters.undecryptable += 1;
                return; // not acknowledged: what can't be read has not arrived
            };
            self.authors.mark(&key, tell.n, 1, true);
            self.take_payload(&key, tell.n, &nick, &payload, None);
        }
        let ack = Ack { from: self.sender(), to: tell.from.id, n: tell.n };
        let bytes = ack.encode(&self.config.identity);
        self.reply(bytes, arrival.source, arrival.link);
    }

    pub(super) fn on_ack(&mut self, arrival: &Arrival<'_>, ack: Ack) {
        if ack.to != self.id() {
            self.counters.misdirected += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        if let Some(outcome) = self.direct.acked(ack.n, ack.from.id, self.now) {
            self.outcome(outcome);
        }
    }
}

fn check(what: &Outgoing) -> Result<(), Refusal> {
    if what.text.len() > limits::TEXT {
        return Err(Refusal::TextTooLong(what.text.len()));
    }
    Ok(())
}

fn content(what: Outgoing) -> Content {
    Content { at: what.at, text: PeerText::new(what.text), data: what.data, level: what.level }
}

fn log_key(
    from: crate::wire::Sender,
    entry: &Entry,
    claimed_at: Option<std::net::IpAddr>,
) -> LogKey {
    let channel = Some(entry.channel.clone());
    LogKey { id: from.id, epoch: from.epoch, channel, body: entry.body, claimed_at }
}
