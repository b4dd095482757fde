//! The engine's help to others: what they miss is sent again, and what they want confirmed is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::engine::Engine;
use super::event::{Destination, Event};
use super::fetches::Wanted;
use super::following::is_in;
use super::kept::{Kept, Past};
use super::log::Bytes;
use super::logs::LogName;
use super::peer::Peer;
use super::receiving::Arrival;
use super::repairs::Way;
use super::sending::destination;
use super::timing;
use crate::values::{ChannelName, NodeId, limits};
use crate::wire::{Got, Head, Hearing, Sender, Span, Want};

/// A request for repair and what is to be known of who sent it, found out once for all its entries.
struct Asked<'a> {
    want: &'a Want,
    /// Whether this node was asked alone.
    personally: bool,
    /// Where the asker is, if it has proven that.
    at: Option<Destination>,
    /// Peers in the channel besides it.
    others: usize,
}

/// Entries that one request brings at most.
const ENTRIES: usize = limits::ASKED_AT_ONCE as usize;

impl Engine {
    pub(super) fn on_want(&mut self, arrival: &Arrival<'_>, want: &Want) {
        if want.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        let mine = want.author == self.sender();
        if !mine && !self.channels.has(&want.channel) {
            self.counters.other_channel += 1;
            return;
        }
        if !self.guard.allows_want(arrival.source, self.now) {
            self.counters.wants_over_rate += 1;
            return;
        }
        let name = LogName { channel: want.channel.clone(), author: want.author };
        let store = if mine { &self.said } else { &self.store };
        let held: Vec<(Span, Bytes)> = want
            .gaps
            .iter()
            .flat_map(|gap| store.entries(&name, *gap))
            .map(|(span, bytes)| (span, Arc::clone(bytes)))
            .take(ENTRIES)
            .collect();
        let misses = self.logs.get(&name).is_some_and(|log| !log.gaps.is_empty());
        // A visitor is not in the list of peers; nor is who can't be known to be where it says.
        let known = self.peers.get(want.from.id).is_some();
        let may_have = self.config.keep && arrival.via == Hearing::Unicast;
        let concerns = misses || mine || may_have || !held.is_empty();
        if !known || !concerns || !self.is_authentic(arrival) {
            return;
        }
        if misses && arrival.via == Hearing::Multicast {
            self.heard_asking(&name, want);
        }
        if mine {
            self.slow_down(want);
        }
        if !held.is_empty() {
            self.repairs.asked(want.from.id, self.now);
        }
        let asked = Asked {
            want,
            personally: arrival.via == Hearing::Unicast,
            at: self.proven_address(arrival, want.from.id),
            others: self.listeners(&want.channel, Some(want.from.id)),
        };
        if asked.personally && asked.at.is_none() && self.guard.allows_answer(self.now) {
            // What it gets alone it gets only where it has proven to be: by the next time, if it can.
            self.ask_peer(want.from.id);
        }
        if self.config.keep && asked.personally {
            self.look_up(&asked, &held);
        }
        for (span, bytes) in held {
            if !self.guard.allows_repair(arrival.source.ip(), self.now) {
                self.counters.repairs_over_rate += 1;
                return;
            }
            self.repair(&asked, (&name, span), bytes);
        }
    }

    /// What is not in memory may be among what this node's user has kept.
    fn look_up(&mut self, asked: &Asked<'_>, held: &[(Span, Bytes)]) {
        let want = asked.want;
        let missing = want.gaps.iter().find(|gap| {
            let covers = |span: &Span| span.from <= gap.to && gap.from <= span.to;
            let there = held.iter().map(|(span, _)| *span).filter(covers);
            there.map(Span::count).sum::<u64>() < gap.count()
        });
        let (Some(gap), Some(to)) = (missing, asked.at) else { return };
        let by = want.from.id;
        let Some(ticket) = self.fetches.begin(Wanted::Entries { by, to }) else { return };
        let to = gap.to.min(gap.from + limits::ASKED_AT_ONCE - 1);
        let (author, epoch) = (want.author.id, want.author.epoch);
        let past = Past::Entries { author, epoch, from: gap.from, to };
        self.event(Event::Fetch { ticket, channel: want.channel.clone(), past });
    }

    /// Entries that a peer asked for have been looked up.
    pub(super) fn found(&mut self, ticket: u64, entries: &[Kept]) {
        let Some(Wanted::Entries { by, to }) = self.fetches.end(ticket) else { return };
        let Destination::Address(at, _) = to else { return };
        for kept in entries.iter().take(ENTRIES) {
            let author = Sender { id: kept.author, epoch: kept.epoch };
            let name = LogName { channel: kept.channel.clone(), author };
            if !self.repairs.send_to((&name, kept.from), by, self.now) {
                continue;
            }
            if !self.guard.allows_repair(at.ip(), self.now) {
                self.counters.repairs_over_rate += 1;
                return;
            }
            self.counters.repairs += 1;
            self.transmit(Arc::clone(&kept.bytes), to);
        }
    }

    /// Somebody else asks for what this node misses, too: the answer will do for both.
    fn heard_asking(&mut self, name: &LogName, want: &Want) {
        let now = self.now;
        let rtt = self.peers.get(name.author.id).and_then(Peer::rtt);
        let listeners = self.listeners(&name.channel, Some(name.author.id));
        let most = timing::heard_asking(listeners);
        let (strained, rng) = (now < self.strained, &mut self.rng);
        self.logs.update(name, now, |log| {
            let patience = (log.patience.get(), strained);
            for gap in &want.gaps {
                let next = |tries| now + timing::ask_again(tries, rtt, listeners, patience, rng);
                log.gaps.heard(*gap, most, now, next);
            }
        });
    }

    /// Sends one entry again, now or perhaps later.
    fn repair(&mut self, asked: &Asked<'_>, (name, span): (&LogName, Span), bytes: Bytes) {
        let (by, now) = (asked.want.from.id, self.now);
        let entry = (name, span.from);
        if name.author == self.sender() {
            let first = !self.repairs.was_sent(entry);
            // What goes to all may not reach who asks alone after it has asked all.
            let alone = asked.personally && asked.want.attempt >= timing::ALONE_AFTER;
            let way = match (alone, asked.at.is_some()) {
                (true, true) if self.repairs.send_to(entry, by, now) => Way::One,
                (true, true) => Way::Nobody,
                _ => self.repairs.send_own(entry, by, now),
            };
            let length = bytes.len();
            if first && way == Way::All {
                self.repeats.asked(&name.channel, span.from);
            }
            if way != Way::Nobody {
                self.flow.repaired(length, now); // the less is said that is new
            }
            match (way, asked.at) {
                (Way::Nobody, _) => return,
                (Way::All, _) if asked.others > 0 => self.broadcast(bytes, Some(&name.channel)),
                (_, Some(to)) => self.transmit(bytes, to),
                (_, None) => self.broadcast(bytes, Some(&name.channel)),
            }
        } else if asked.personally {
            // Nothing goes to an address that may be somebody else's.
            let Some(to) = asked.at else { return };
            if !self.repairs.send_to(entry, by, now) {
                return;
            }
            self.transmit(bytes, to);
        } else {
            if self.may_stand_in(name, asked.want.attempt) {
                let at = now + timing::first_request(asked.others + 1, &mut self.rng);
                self.repairs.wait(entry, at, now);
            }
            return;
        }
        self.counters.repairs += 1;
    }

    /// Where a peer is that is known to be there: the address that it asks from, if it has proven
    /// that, or another one.
    fn proven_address(&self, arrival: &Arrival<'_>, id: NodeId) -> Option<Destination> {
        let peer = self.peers.get(id)?;
        if peer.paths.is_proven(arrival.source) {
            return Some(Destination::Address(arrival.source, Some(arrival.link)));
        }
        peer.paths.best().filter(|path| path.proven).and_then(|_| destination(peer))
    }

    /// Whether somebody else than the author may send what was asked for so often: when it is gone,
    /// silent, or does not answer for long.
    fn may_stand_in(&self, name: &LogName, attempt: u8) -> bool {
        let peer = self.peers.get(name.author.id).filter(|p| p.epoch == name.author.epoch);
        let source = self.logs.get(name).and_then(|log| log.source);
        let heard = source.map(|(_, _, at)| at);
        let silent = |time| heard.is_none_or(|at| self.now.since(at) > time);
        match peer {
            // One that has started again has nothing of an earlier run.
            None if self.authors.is_over(name.author.id, name.author.epoch) => true,
            None => silent(timing::PASSING),
            Some(_) if silent(timing::SILENT) => attempt >= timing::OTHERS_AFTER,
            Some(_) => attempt >= timing::OTHERS_AT_LAST,
        }
    }

    /// Sends others' entries that nobody else has sent.
    pub(super) fn repair_when_due(&mut self) {
        while let Some((name, from)) = self.repairs.pop(self.now) {
            let span = Span { from, to: from };
            let bytes = self.store.entries(&name, span).next().map(|(_, bytes)| Arc::clone(bytes));
            if let Some(bytes) = bytes {
                self.counters.repairs += 1;
                self.broadcast(bytes, Some(&name.channel));
            }
        }
    }

    /// Sends this node's own entries once more of which it has said that it will.
    pub(super) fn repeat_when_due(&mut self) {
        while let Some((channel, seq)) = self.repeats.pop(self.now) {
            let name = LogName { channel, author: self.sender() };
            let span = Span { from: seq, to: seq };
            let bytes = self.said.entries(&name, span).next().map(|(_, bytes)| Arc::clone(bytes));
            let Some(bytes) = bytes else { continue };
            if self.repairs.repeat((&name, seq), self.id(), self.now) {
                self.counters.repeats += 1;
                self.flow.repaired(bytes.len(), self.now);
                self.broadcast(bytes, Some(&name.channel));
            }
        }
    }

    /// A listener is behind: more is said only when it gets on.
    fn slow_down(&mut self, want: &Want) {
        let Some(lowest) = want.gaps.first() else { return };
        self.flow.wanted(&want.channel, want.from.id, lowest.from, self.now);
        if !self.outbox.is_empty() {
            self.outbox.next = self.now; // it may be nearer than it was
        }
    }

    /// Says again how far this node's own logs go.
    pub(super) fn remind_when_due(&mut self) {
        if self.now < self.heads.next() {
            return;
        }
        for (channel, seq) in self.heads.due(self.size(), self.now) {
            let head = Head { from: self.sender(), channel, seq, confirm: false };
            let bytes = head.encode(&self.config.identity);
            self.broadcast(bytes, Some(&head.channel));
        }
    }

    /// Everyone present is to confirm what was said in a channel so far.
    pub(super) fn confirm_said(&mut self, channel: ChannelName, ticket: u64) {
        if self.outbox.confirm(&channel, ticket) {
            return; // with the last entry that waits
        }
        let seq = self.heads.head(&channel);
        self.expect(&channel, seq, vec![ticket]);
        if seq > 0 {
            let head = Head { from: self.sender(), channel, seq, confirm: true };
            let bytes = head.encode(&self.config.identity);
            self.broadcast(bytes, Some(&head.channel));
        }
    }

    /// Receipts for everything up to a number are asked for just now.
    pub(super) fn expect(&mut self, channel: &ChannelName, seq: u64, tickets: Vec<u64>) {
        // Where nothing was said there is nothing to confirm, for anybody.
        let present = self.peers.each().filter(|(_, peer)| seq > 0 && is_in(peer, channel));
        let present: BTreeSet<NodeId> = present.map(|(id, _)| id).collect();
        let unheard = if seq > 0 { self.unheard() } else { Vec::new() };
        for ticket in tickets {
            if self.confirms.has_room() {
                self.confirms.begin(ticket, (channel.clone(), seq), present.clone(), self.now);
            }
            let from = present.iter().copied().collect();
            self.event(Event::Expecting { ticket, from, unheard: unheard.clone() });
        }
    }

    /// Asks those alone who have confirmed nothing.
    pub(super) fn confirm_when_due(&mut self) {
        if self.now >= self.confirms.next() {
            for (channel, seq, missing) in self.confirms.due(self.now) {
                let head = Head { from: self.sender(), channel, seq, confirm: true };
                let bytes: Arc<[u8]> = head.encode(&self.config.identity).into();
                for id in missing {
                    if let Some(to) = self.peers.get(id).and_then(destination) {
                        self.transmit(Arc::clone(&bytes), to);
                    }
                }
            }
        }
        if self.now >= self.receipts.next() {
            for name in self.receipts.due(self.now) {
                self.send_receipt(&name);
            }
        }
    }

    /// Owes the author of a log a receipt, if it wants one and everything has come.
    pub(super) fn give_receipt(&mut self, name: &LogName) {
        let Some(log) = self.logs.get(name) else { return };
        if log.confirm.is_some_and(|seq| log.lost() < seq && seq <= log.done()) {
            let spread = timing::receipt_spread(self.listeners(&name.channel, None));
            let at = self.now + self.rng.up_to(spread);
            self.logs.update(name, self.now, |log| log.confirm = None);
            self.receipts.owe(name, at);
        }
    }

    fn send_receipt(&mut self, name: &LogName) {
        let Some(log) = self.logs.get(name) else { return };
        let peer = self.peers.get(name.author.id).filter(|p| p.epoch == name.author.epoch);
        let heard = log.source.map(|(addr, link, _)| Destination::Address(addr, Some(link)));
        let Some(to) = peer.and_then(destination).or(heard) else { return };
        let (author, channel) = (name.author, name.channel.clone());
        let got = Got { from: self.sender(), author, channel, after: log.lost(), seq: log.done() };
        let bytes = got.encode(&self.config.identity);
        self.transmit(bytes, to);
    }

    pub(super) fn on_got(&mut self, arrival: &Arrival<'_>, got: &Got) {
        if got.author != self.sender() || got.from.id == self.id() {
            self.counters.misdirected += 1;
            return;
        }
        if self.confirms.is_empty() || !self.is_authentic(arrival) {
            return;
        }
        let confirmed =
            self.confirms.got(&got.channel, got.from.id, (got.after, got.seq), self.now);
        for (ticket, took) in confirmed {
            self.event(Event::Receipt { ticket, from: got.from.id, took });
        }
    }
}
