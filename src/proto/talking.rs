//! The engine's talk: what is said goes out, what others say comes in, once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::command::Outgoing;
use super::engine::Engine;
use super::event::{Event, Message, Output, Refusal};
use super::inbox::LogKey;
use super::logs::LogName;
use super::receiving::Arrival;
use super::timing;
use crate::values::{ChannelName, Instant, NodeId, PeerText, limits};
use crate::wire::{Body, Content, Entry, Payload, Span, decode_content};

/// Within this time the same datagram again is a copy, come by another link.
const COPIES: Duration = Duration::from_secs(1);

fn content_hash(arrival: &Arrival<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    arrival.packet.bytes().hash(&mut hasher);
    hasher.finish()
}

impl Engine {
    pub(super) fn say(&mut self, channel: ChannelName, body: Body, what: Outgoing) {
        if let Err(refusal) = what.check() {
            return self.event(Event::Refused(refusal));
        }
        if body == Body::Say && !self.heads.has_room(&channel) {
            return self.event(Event::Refused(Refusal::TooManyLogs));
        }
        self.outbox.push(channel, body, content(what));
    }

    /// Packs and sends what waits, as far as it may go now.
    pub(super) fn flush_outbox(&mut self) {
        self.outbox.next = Instant::NEVER;
        for key in self.outbox.waiting() {
            loop {
                if key.1 == Body::Say
                    && let Some(until) = self.flow.holds_until(&key.0, self.now)
                {
                    self.outbox.next = self.outbox.next.min(until);
                    break;
                }
                if !self.say_next(&key) {
                    break;
                }
            }
        }
    }

    /// In how many channels this node has said something in this run, to anybody.
    pub fn spoken_in(&self) -> usize {
        self.heads.reached()
    }

    /// These channels, and the number of the last message in each.
    pub fn spoken(&self) -> impl Iterator<Item = (&ChannelName, u64)> {
        self.heads.all_reached()
    }

    /// Sends everything that waits, however fast: there is no later.
    pub(super) fn say_all(&mut self) {
        for key in self.outbox.waiting() {
            while self.say_next(&key) {}
        }
    }

    /// Numbers, signs and sends the next entry of a channel; `false` if nothing waits there.
    fn say_next(&mut self, key: &(ChannelName, Body)) -> bool {
        let (channel, body) = (&key.0, key.1);
        let mut entry = Entry {
            body,
            from: Some(self.sender()),
            nick: self.profile.nick.clone(),
            channel: channel.clone(),
            seq: None,
            confirm: false,
            again: None,
            follows: None,
            payload: Payload::Whole(Vec::new()),
        };
        if body == Body::Say {
            entry.follows = self.heads.earlier(channel, self.now);
        }
        let room = entry.room(self.datagram_limit());
        let Some(ready) = self.outbox.pop(key, room, self.config.echo) else { return false };
        let count = ready.payload.len();
        let first = match body {
            Body::Say => {
                // What this node's user keeps can be fetched in later runs, too.
                let alone = self.peers.len() == 0 && !self.config.keep;
                self.heads.say(channel, count, alone, self.now)
            }
            Body::Cast => self.casts.number(channel, count),
        };
        for (seq, content) in (first..).zip(ready.begun) {
            self.said(channel, body, seq, content);
        }
        (entry.seq, entry.payload, entry.confirm) =
            (Some(first), ready.payload, !ready.confirm.is_empty());
        let twice = body == Body::Say && self.repeats.next_is_twice(self.now);
        entry.again = twice.then_some(timing::AGAIN.as_millis() as u16);
        let bytes: Arc<[u8]> = entry.encode(&self.config.identity).into();
        if body == Body::Say {
            self.repeats.said(channel, first, twice, self.now);
            let span = Span { from: first, to: first + count - 1 };
            let name = LogName { channel: channel.clone(), author: self.sender() };
            self.flow.said(channel, first, bytes.len(), self.now);
            self.said.add(&name, span, &bytes);
            self.said.shown(&name, span, &entry.payload, self.now);
            self.keep(&name, span, &bytes);
            self.expect(channel, span.to, ready.confirm);
        }
        self.broadcast(bytes, Some(channel));
        true
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
            history: false,
        })));
    }

    pub(super) fn on_entry(&mut self, arrival: &Arrival<'_>, entry: &Entry) {
        if entry.from.is_some_and(|from| from.id == self.id()) && !self.is_fetching(arrival, entry)
        {
            self.counters.own += 1;
            return;
        }
        if !self.channels.has(&entry.channel) {
            self.counters.other_channel += 1;
            return;
        }
        match (entry.from, entry.seq) {
            (Some(from), Some(seq)) if entry.body == Body::Say && arrival.packet.is_signed() => {
                self.on_said(arrival, entry, from, seq);
            }
            _ if arrival.packet.is_signed() && !self.is_authentic(arrival) => {}
            (Some(from), Some(seq)) if entry.body == Body::Cast => {
                // Who is known is heard at an address of its own; else it is only a claim, by
                // whoever is at that address, and disturbs nobody else's numbers.
                let known = self.peers.get(from.id);
                let at_home = known.is_some_and(|peer| peer.paths.has_ip(arrival.source));
                let key = log_key(from, entry, (!at_home).then(|| arrival.source.ip()));
                if self.authors.has(&key, seq) || !at_home && self.is_copy(arrival) {
                    self.counters.duplicates += 1;
                } else if self.may_speak(arrival, from.id) {
                    self.authors.mark(&key, seq, entry.payload.len(), false);
                    let source = Some(arrival.source);
                    self.take_payload(&key, seq, &entry.nick, &entry.payload, source);
                }
            }
            _ => self.take_by_hand(arrival, entry),
        }
    }

    /// Whether this author is listened to: keys and names cost nothing, so only so many new ones
    /// are at one address.
    pub(super) fn may_speak(&mut self, arrival: &Arrival<'_>, author: NodeId) -> bool {
        let known = self.peers.get(author).is_some() || self.authors.knows(author);
        let may = known || self.guard.allows_newcomer(arrival.source, self.now);
        self.counters.newcomers_over_rate += u64::from(!may);
        may
    }

    /// Whether an entry is of the past and was asked for; so may be this node's own, of an earlier run.
    fn is_fetching(&self, arrival: &Arrival<'_>, entry: &Entry) -> bool {
        let (Some(author), Some(from)) = (entry.from, entry.seq) else { return false };
        // Of what has no signature anybody may say that it is ours.
        if entry.body != Body::Say || !arrival.packet.is_signed() {
            return false;
        }
        let name = LogName { channel: entry.channel.clone(), author };
        self.recalls.wants(&name, Span { from, to: from + entry.payload.len() - 1 })
    }

    /// Whether the same datagram has come just now, from wherever: an author with several links
    /// sends it from an address on each.
    fn is_copy(&mut self, arrival: &Arrival<'_>) -> bool {
        let now = self.now;
        let last = self.claims.entry(&content_hash(arrival), || Instant::ZERO);
        let before = std::mem::replace(last, now);
        before > Instant::ZERO && now.since(before) < COPIES
    }

    /// Shows what a payload carries, or keeps it until its other parts have come. `source`: where it
    /// came from, unless a signature shows who said it.
    pub(super) fn take_payload(
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
            history: false,
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
        let (now, link) = (self.now, arrival.link);
        let first = self.by_hand.entry(&(arrival.source, content_hash(arrival)), || (link, now));
        if first.0 != link && now.since(first.1) < COPIES {
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
                history: false,
            };
            self.event(Event::Message(message));
        }
    }
}

impl Outgoing {
    /// Whether it is taken, or why it would be refused.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.text.len() > limits::TEXT {
            return Err(Refusal::TextTooLong(self.text.len()));
        }
        Ok(())
    }
}

pub(super) fn content(what: Outgoing) -> Content {
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
