//! The engine's way with others' logs: entries come in once and in order, what is missing is asked
//! for, and given up when nobody has it.

use std::time::Duration;

use super::engine::Engine;
use super::event::{Destination, Event, Message};
use super::kept::Kept;
use super::log::{Bytes, Log, Taken, Word};
use super::logs::{LogName, gives_up};
use super::peer::{Peer, Standing};
use super::receiving::Arrival;
use super::sending::destination;
use super::timing;
use crate::values::{ChannelName, Instant, NodeId, limits};
use crate::wire::{Content, Entry, Head, Hearing, Payload, Sender, Span, Want, decode_content};

impl Engine {
    /// A signed `say` has come, from its author or from somebody who has it.
    pub(super) fn on_said(
        &mut self,
        arrival: &Arrival<'_>,
        entry: &Entry,
        author: Sender,
        seq: u64,
    ) {
        let name = LogName { channel: entry.channel.clone(), author };
        let span = Span { from: seq, to: seq + entry.payload.len() - 1 };
        if self.recalls.wants(&name, span) {
            return self.take_recalled(arrival, &name, span);
        }
        match self.logs.get(&name) {
            Some(log) if log.has(span) => {
                self.counters.duplicates += 1;
                if arrival.via == Hearing::Multicast {
                    self.repairs.seen(&name, span);
                }
                return;
            }
            // What is missing of a run that is over may still come.
            Some(_) => {}
            None if self.authors.is_over(author.id, author.epoch) => {
                self.counters.stale += 1;
                return;
            }
            None => {
                if !self.may_speak(arrival, author.id) {
                    return;
                }
            }
        }
        if !self.is_authentic(arrival) {
            return;
        }
        if self.logs.get(&name).is_none() {
            let source = (arrival.source, arrival.link, self.now);
            if self.is_untold(&name, span, false, Some(source)) {
                return;
            }
            let done = self.first_wanted(&name, seq - 1);
            self.logs.follow(&name, Log::new(done, Word::Authors, self.now), self.now);
        }
        if let Some(earlier) = &entry.follows {
            self.hear_of_earlier(&name, earlier);
        }
        self.authors.note_run(author);
        self.take_entry(arrival, &name, span, entry);
    }

    fn take_entry(&mut self, arrival: &Arrival<'_>, name: &LogName, span: Span, entry: &Entry) {
        let (now, room) = (self.now, self.logs.room());
        // Nothing turns out to be missing before one that is next.
        let next = self.logs.get(name).is_some_and(|log| span.from == log.done() + 1);
        let again = Duration::from_millis(entry.again.unwrap_or_default().into());
        let again = again.min(timing::AGAIN_MOST);
        // What is said twice is waited for: what is missing before it will come once more, too.
        let ask = if next { now } else { self.first_request(&name.channel) + again };
        let bytes = arrival.packet.bytes();
        let from = (arrival.source, arrival.link, now);
        if next {
            self.begin(name);
        }
        if self.logs.get(name).is_some_and(|log| span.from > log.head()) {
            // Nobody sends again what nobody knows of: this is the author itself.
            self.hear_author(name.author, arrival);
        }
        let taken = self.logs.update(name, now, |log| {
            if span.from > log.head() {
                log.source = Some(from);
            }
            log.take(span, bytes, room, now, ask)
        });
        let taken = taken.unwrap_or(Taken::Duplicate);
        self.counters.early_refused += u64::from(taken == Taken::Refused);
        if taken.is_new() {
            self.store.add(name, span, bytes);
        }
        if taken == Taken::Next {
            self.show_entry(name, span, entry, bytes);
            self.show_waiting(name);
        }
    }

    pub(super) fn show_entry(&mut self, name: &LogName, span: Span, entry: &Entry, bytes: &Bytes) {
        if entry.confirm {
            self.logs.update(name, self.now, |log| log.confirm = log.confirm.max(Some(span.to)));
            self.give_receipt(name);
        }
        self.keep(name, span, bytes);
        self.store.shown(name, span, &entry.payload, self.now);
        match &entry.payload {
            Payload::Whole(contents) => {
                for (seq, content) in (span.from..).zip(contents) {
                    self.show_said(name, seq, entry, content.clone());
                }
            }
            Payload::Part { part, parts, piece } => {
                let (part, room) = ((*part, *parts), self.logs.room());
                let whole = self.logs.update(name, self.now, |log| log.part(part, piece, room));
                let Some(whole) = whole.flatten() else { return };
                match decode_content(&whole) {
                    Ok(content) => {
                        let first = (span.from + 1).saturating_sub(part.1.into());
                        self.show_said(name, first, entry, content);
                    }
                    Err(_) => self.counters.malformed += 1,
                }
            }
        }
    }

    fn show_said(&mut self, name: &LogName, seq: u64, entry: &Entry, content: Content) {
        self.event(Event::Message(said(name, seq, entry, content)));
    }

    /// Lets this node's user keep an entry for those who come later.
    pub(super) fn keep(&mut self, name: &LogName, span: Span, bytes: &Bytes) {
        if self.config.keep {
            self.event(Event::Entry(Kept {
                channel: name.channel.clone(),
                author: name.author.id,
                epoch: name.author.epoch,
                from: span.from,
                to: span.to,
                bytes: std::sync::Arc::clone(bytes),
            }));
        }
    }

    pub(super) fn on_head(&mut self, arrival: &Arrival<'_>, head: &Head) {
        if head.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        if !self.channels.has(&head.channel) {
            self.counters.other_channel += 1;
            return;
        }
        let name = LogName { channel: head.channel.clone(), author: head.from };
        let known = self.logs.get(&name);
        let is_news = head.confirm
            || known.is_none_or(|log| log.head() < head.seq || log.contradicts(head.seq));
        if !is_news {
            return;
        }
        if self.authors.is_over(head.from.id, head.from.epoch) {
            self.counters.stale += 1;
            return;
        }
        let known = known.is_some();
        let may = known || self.may_speak(arrival, head.from.id);
        if !may || !self.is_authentic(arrival) {
            return;
        }
        let from = (arrival.source, arrival.link, self.now);
        let last = Span { from: head.seq, to: head.seq };
        if !known && self.is_untold(&name, last, false, Some(from)) {
            return;
        }
        if head.confirm {
            self.want_last(&name, head.seq);
        }
        self.learn_head(&name, head.seq);
        self.authors.note_run(head.from);
        self.logs.update(&name, self.now, |log| {
            log.source = Some(from);
            if head.confirm {
                log.confirm = log.confirm.max(Some(head.seq));
            }
        });
        if head.confirm {
            self.give_receipt(&name);
        }
    }

    /// Who is expected to have the last entry of a log is to have it, though it may take all of the log
    /// for said before it came.
    fn want_last(&mut self, name: &LogName, seq: u64) {
        let (now, Some(before)) = (self.now, seq.checked_sub(1)) else { return };
        let forgotten = self.logs.has_forgotten();
        match self.logs.get(name) {
            None if !forgotten || self.authors.is_new_run(name.author) => {
                let done = self.first_wanted(name, seq).min(before);
                self.logs.follow(name, Log::new(done, Word::Authors, now), now);
            }
            // Nothing of it was shown.
            Some(log) if !forgotten && (log.lost(), log.done(), log.head()) == (seq, seq, seq) => {
                self.logs.update(name, now, |log| *log = Log::new(before, Word::Authors, now));
            }
            _ => {}
        }
    }

    /// A log goes so far, as its author says.
    pub(super) fn learn_head(&mut self, name: &LogName, head: u64) {
        let now = self.now;
        if self.logs.get(name).is_none_or(|log| log.contradicts(head)) {
            let done = self.first_wanted(name, head);
            self.logs.forget(name);
            self.logs.follow(name, Log::new(done, Word::Authors, now), now);
        }
        self.learn_more(name, head);
    }

    /// A log that is followed goes so far at least, as its author says.
    pub(super) fn learn_more(&mut self, name: &LogName, head: u64) {
        let now = self.now;
        if self.logs.get(name).is_none_or(|log| log.head() >= head) {
            self.logs.update(name, now, |log| log.learn(head, Word::Authors, now, now));
            return;
        }
        let ask = self.first_request(&name.channel);
        let skipped = self.logs.update(name, now, |log| {
            log.learn(head, Word::Authors, now, ask);
            log.skip_to(head.saturating_sub(limits::BACKLOG))
        });
        if let Some(skipped @ 1..) = skipped {
            self.tell_gap(name, skipped);
            self.show_waiting(name);
        }
    }

    /// A log goes so far, as somebody says who has it, or some of it.
    pub(super) fn hear_of_head(&mut self, name: &LogName, head: u64, holder: NodeId) {
        let (now, ask) = (self.now, self.first_request(&name.channel));
        self.logs.update(name, now, |log| {
            log.holder = Some(holder);
            log.learn(head, Word::Hearsay, now, ask);
        });
    }

    /// Asks for what is missing, and gives up what has been asked for long enough.
    pub(super) fn follow_when_due(&mut self) {
        if self.now < self.behind {
            return;
        }
        while let Some(name) = self.logs.due(self.now) {
            let Some(log) = self.logs.get(&name) else { return };
            if log.begins().is_some_and(|at| at <= self.now) {
                self.show_waiting(&name);
                continue;
            }
            if gives_up(log) <= self.now {
                if self.contact.is_isolated(self.now) {
                    let now = self.now;
                    self.logs.update(&name, now, |log| log.wait(now));
                    continue;
                }
                let gap = self.logs.update(&name, self.now, |log| log.give_up(self.now)).flatten();
                if let Some(gap) = gap {
                    self.tell_gap(&name, gap.count());
                }
                self.show_waiting(&name);
                continue;
            }
            self.ask_for(&name);
        }
    }

    fn tell_gap(&mut self, name: &LogName, count: u64) {
        self.counters.given_up += count;
        let (author, channel) = (name.author.id, name.channel.clone());
        let nick = self.peers.get(author).map(|peer| peer.profile.nick.clone());
        self.event(Event::Gap { author, nick: nick.unwrap_or_default(), channel, count });
    }

    fn ask_for(&mut self, name: &LogName) {
        let now = self.now;
        let Some(log) = self.logs.get(name) else { return };
        // Of a log of which nothing comes, nobody may have anything: such logs share what they ask.
        let idle = now.since(log.progress) > timing::IDLE;
        let may = !idle || self.asks.take(now, limits::IDLE_ASK_RATE, limits::IDLE_ASK_BURST);
        let may = may
            && self
                .logs
                .update(name, now, |log| log.asks.take(now, limits::ASK_RATE, limits::ASK_BURST))
                .unwrap_or(false);
        if !may {
            self.logs.update(name, now, |log| log.gaps.put_off(now, now + timing::ASK_LATER));
            return;
        }
        let listeners = self.listeners(&name.channel, Some(name.author.id));
        let Some(log) = self.logs.get(name) else { return };
        let patience = (log.patience.get(), now < self.strained);
        let room = limits::ASKED_AT_ONCE.saturating_sub(log.gaps.on_their_way(now));
        let due = log.gaps.due(now, room);
        let rtt = self.peers.get(name.author.id).and_then(Peer::rtt);
        let rng = &mut self.rng;
        self.logs.update(name, now, |log| {
            for (span, _) in &due {
                let next = |tries| now + timing::ask_again(tries, rtt, listeners, patience, rng);
                log.gaps.asked(*span, now, next);
            }
            // What had no room waits for its turn.
            log.gaps.put_off(now, now + timing::ASK_LATER);
        });
        let Some(attempt) = due.iter().map(|(_, gap)| gap.tries).max() else { return };
        let gaps = due.into_iter().map(|(span, _)| span).collect();
        let (channel, author) = (name.channel.clone(), name.author);
        let want = Want { from: self.sender(), channel, author, attempt, gaps };
        self.send_want(&want, listeners);
    }

    /// Sends a request to whoever may have what is missing, and to those who may miss it, too.
    fn send_want(&mut self, want: &Want, listeners: usize) {
        let name = LogName { channel: want.channel.clone(), author: want.author };
        let bytes = want.encode(&self.config.identity, self.datagram_limit());
        // An author keeps less of what it has said than all who have heard it do together.
        let others_turn = want.attempt > timing::ALONE_AFTER && want.attempt.is_multiple_of(2);
        let stands_in = if others_turn { self.any_listener(want) } else { None };
        let author = self.peers.get(want.author.id).filter(|p| p.epoch == want.author.epoch);
        let log = self.logs.get(&name);
        // Who has started again is not where it was.
        let may_pass = author.is_none() && !self.authors.is_over(want.author.id, want.author.epoch);
        let passing = log
            .and_then(|log| log.source)
            .filter(|(_, _, at)| may_pass && self.now.since(*at) < timing::PASSING);
        let holder = log.and_then(|log| log.holder).and_then(|id| self.peers.get(id));
        let in_vain = want.attempt >= timing::ALONE_AFTER;
        let alone = match (author, passing) {
            _ if stands_in.is_some() => stands_in,
            // Among several it hears what goes to all, if it is in the channel.
            (Some(peer), _)
                if listeners > 0 && peer.channels.may_have(&want.channel) && !in_vain =>
            {
                None
            }
            (Some(peer), _) => destination(peer),
            (None, Some((source, link, _))) => Some(Destination::Address(source, Some(link))),
            (None, None) if in_vain => self.any_listener(want),
            (None, None) => holder.and_then(destination),
        };
        // A holder is asked alone at first: it has said that it has it all.
        let to_all = listeners > 0 && (alone.is_none() || passing.is_some() || want.attempt > 1);
        if let Some(alone) = alone {
            self.transmit(bytes.clone(), alone);
        }
        if to_all {
            self.broadcast(bytes, Some(&want.channel));
        }
    }

    /// Somebody else than the author, in that run, who may have what is missing of its log.
    fn any_listener(&mut self, want: &Want) -> Option<Destination> {
        let listens = |(id, peer): &(NodeId, &Peer)| {
            (*id, peer.epoch) != (want.author.id, want.author.epoch) && is_in(peer, &want.channel)
        };
        let count = self.peers.each().filter(listens).count() as u64;
        let at = self.rng.below(count.max(1)) as usize;
        self.peers.iter().filter(listens).nth(at).and_then(|(_, peer)| destination(peer))
    }

    /// When a gap that becomes known now is to be asked for.
    fn first_request(&mut self, channel: &ChannelName) -> Instant {
        let listeners = self.listeners(channel, None);
        self.now + timing::first_request(listeners, &mut self.rng)
    }

    /// Peers that take part in a channel, not counting `but`.
    pub(super) fn listeners(&self, channel: &ChannelName, but: Option<NodeId>) -> usize {
        let listens = |(id, peer): &(NodeId, &Peer)| Some(*id) != but && is_in(peer, channel);
        self.peers.each().filter(listens).count()
    }

    /// Asks at once for everything that is missing: somebody who may have it is there again.
    pub(super) fn hurry(&mut self) {
        let now = self.now;
        for name in self.logs.incomplete() {
            let soon = self.first_request(&name.channel);
            self.logs.update(&name, now, |log| log.gaps.hurry(soon));
        }
    }
}

/// A message of an entry, as it is shown.
pub(super) fn said(name: &LogName, seq: u64, entry: &Entry, content: Content) -> Message {
    Message {
        channel: Some(name.channel.clone()),
        from: Some(name.author.id),
        source: None,
        nick: entry.nick.clone(),
        epoch: name.author.epoch,
        seq,
        at: Some(content.at),
        text: content.text,
        data: content.data,
        level: content.level,
        verified: true,
        history: false,
    }
}

/// Whether a peer takes part in a channel, as far as is known.
pub(super) fn is_in(peer: &Peer, channel: &ChannelName) -> bool {
    !matches!(peer.standing, Standing::Told { .. }) && peer.channels.may_have(channel)
}
