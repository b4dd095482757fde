//! The engine's way with the past: what was said before it came, and what is known of the logs of
//! those who are gone.

use std::time::Duration;

use super::engine::Engine;
use super::event::{Destination, Event, Message, sort_by_time};
use super::following::{is_in, said};
use super::log::{Log, Long, Word};
use super::logs::LogName;
use super::peer::Standing;
use super::recalls::Due;
use super::receiving::Arrival;
use super::sending::destination;
use super::{orphans, timing};
use crate::values::{ChannelName, Epoch, NodeId, limits};
use crate::wire::{
    ChannelLogs, Datagram, Earlier, LogsPage, Packet, Payload, Recall, Sender, Span, Stretch, Want,
    decode_content,
};

/// Peers among whom the one that was there first is asked.
const CANDIDATES: usize = 3;

impl Engine {
    /// Does what is due about the past.
    pub(super) fn recall_when_due(&mut self) {
        if self.now >= self.recalls.next() {
            for due in self.recalls.due(self.now) {
                match due {
                    Due::Ask(channel) => self.ask_for_the_past(&channel),
                    Due::Want(whom, name, spans) => self.want_from(whom, &name, spans),
                    Due::Show(channel) => self.show_recalled(&channel),
                }
            }
        }
        if self.now >= self.orphans.next() {
            for (channel, due) in self.orphans.due(self.now) {
                match due {
                    orphans::Due::First { whom, theirs } => {
                        let (mine, nonce) = (self.orphan_digest(&channel), self.rng.u64());
                        if self.orphans.ask(&channel, (whom, theirs), mine, nonce, self.now) {
                            self.send_recall(whom, channel, nonce, Some(0));
                        }
                    }
                    orphans::Due::Again { whom, nonce } => {
                        self.send_recall(whom, channel, nonce, Some(0));
                    }
                }
            }
        }
    }

    fn ask_for_the_past(&mut self, channel: &ChannelName) {
        let may = self.peers.iter().filter(|(_, peer)| {
            is_in(peer, channel) && peer.paths.best().is_some_and(|path| path.proven)
        });
        let may = self.recalls.may_tell(channel, may.map(|(id, _)| id).collect());
        let with_epoch = |id: NodeId| Some((self.peers.get(id)?.epoch, id));
        let mut may: Vec<(Epoch, NodeId)> = may.into_iter().filter_map(with_epoch).collect();
        // Of a few, the one that has been there longest: it has most to tell.
        let mut oldest = None;
        for _ in 0..CANDIDATES.min(may.len()) {
            let at = self.rng.below(may.len() as u64) as usize;
            let one = may.swap_remove(at);
            oldest = Some(oldest.map_or(one, |old: (Epoch, NodeId)| old.min(one)));
        }
        let Some((_, whom)) = oldest else { return };
        let nonce = self.rng.u64();
        self.recalls.asked(channel, whom, nonce);
        let last =
            if self.recalls.is_resumed(channel) { limits::RECALL } else { self.wanted(channel) };
        self.send_recall(whom, channel.clone(), nonce, Some(last));
    }

    /// How many of a channel's last messages are fetched.
    fn wanted(&self, channel: &ChannelName) -> u32 {
        self.config.recall.max(self.recalls.wanted(channel).unwrap_or(0))
    }

    /// Asks a peer for so many of the last messages; or, if for none, how far its own log went when this
    /// node came. Returns whether it could be asked.
    pub(super) fn send_recall(
        &mut self,
        whom: NodeId,
        channel: ChannelName,
        nonce: u64,
        last: Option<u32>,
    ) -> bool {
        let Some(peer) = self.peers.get(whom) else { return false };
        // A token is worth something only at the address that it was given to.
        let Some((path, token)) = peer.paths.best_with_token() else {
            // The one it gave was lost. Its answer brings another, for the next time.
            self.ask_peer(whom);
            return false;
        };
        let to = Destination::Address(path.addr, path.link);
        let since = self.recalls.since(&channel, self.now).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        let (last, own) = (last.unwrap_or(0), last.is_none());
        let recall = Recall { from: self.sender(), channel, nonce, token, since, last, own };
        let bytes = recall.encode(&self.config.identity);
        self.transmit(bytes, to);
        true
    }

    fn want_from(&mut self, whom: NodeId, name: &LogName, spans: Vec<Span>) {
        let Some(to) = self.peers.get(whom).and_then(destination) else { return };
        let gaps = spans.into_iter().take(limits::WANTED_SPANS).collect();
        let (channel, author) = (name.channel.clone(), name.author);
        let want = Want { from: self.sender(), channel, author, attempt: 0, gaps };
        let bytes = want.encode(&self.config.identity, self.datagram_limit());
        self.transmit(bytes, to);
    }

    /// The latest logs of a channel whose authors are gone, and how far they are known.
    pub(super) fn orphan_logs(&self, channel: &ChannelName) -> Vec<(Sender, u64)> {
        let gone = self.logs.of(channel).filter(|(name, log)| {
            let peer = self.peers.get(name.author.id);
            // So is an earlier run of this node itself.
            log.done() > 0
                && peer.is_none_or(|peer| peer.epoch != name.author.epoch)
                && name.author != self.sender()
        });
        orphans::latest(gone.map(|(name, log)| (name.author, log.done())).collect())
    }

    fn orphan_digest(&self, channel: &ChannelName) -> u64 {
        orphans::digest(&self.orphan_logs(channel))
    }

    /// What this node's announcements say of the logs in its channels, those in which it spoke last
    /// first.
    pub(super) fn channel_logs(&mut self) -> Vec<ChannelLogs> {
        let spoken = self.heads.latest().into_iter().map(|(channel, head)| (channel.clone(), head));
        let mut logs: Vec<(ChannelName, u64)> = spoken.take(limits::CHANNELS).collect();
        for channel in self.channels.names() {
            if !logs.iter().any(|(name, _)| name == channel) {
                logs.push((channel.clone(), 0));
            }
        }
        let mut rows = Vec::new();
        for (channel, head) in logs {
            let digest = self.orphan_digest(&channel);
            if self.channels.has(&channel) {
                self.orphans.note_own(&channel, digest);
            }
            if (head, digest) != (0, 0) {
                rows.push(ChannelLogs { channel, head, digest });
            }
        }
        rows
    }

    /// What a peer's announcement says of what it knows of those who are gone.
    pub(super) fn note_orphans(&mut self, from: NodeId, logs: &[ChannelLogs]) {
        for ChannelLogs { channel, digest, .. } in logs {
            if self.channels.has(channel) {
                let mine = self.orphan_digest(channel);
                self.orphans.note_own(channel, mine);
                let wait = self.time_to_compare();
                self.orphans.heard(channel, (from, *digest), self.now, wait);
            }
        }
    }

    /// How long another's logs have to differ from this node's before they are compared.
    fn time_to_compare(&mut self) -> Duration {
        if self.contact.has_returned_within(timing::ISOLATED, self.now) {
            return self.rng.up_to(timing::COMPARE_SOON);
        }
        timing::COMPARE + self.rng.up_to(timing::COMPARE)
    }

    pub(super) fn on_logs(&mut self, arrival: &Arrival<'_>, page: &LogsPage) {
        if page.from.id == self.id() || !self.channels.has(&page.channel) {
            self.counters.other_channel += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        self.take_own_row(page);
        let (whom, channel) = ((page.from.id, page.re), &page.channel);
        if let Some(rows) = self.recalls.page(channel, whom, page.page, &page.logs) {
            self.recall(channel, page.from.id, rows);
        }
        let mine = self.orphan_digest(channel);
        let listed = self.orphans.page(channel, mine, whom, page.page, &page.logs);
        if let Some(rows) = listed {
            for row in rows.iter().take(2 * limits::ORPHANS) {
                self.catch_up(channel, page.from.id, row);
            }
            self.compared(channel);
        }
    }

    /// Which runs there were is known now, of a peer that was not cut off: whatever waited for that begins.
    fn compared(&mut self, channel: &ChannelName) {
        if self.contact.compared(channel, self.now) {
            for name in self.logs.waiting(channel) {
                self.show_waiting(&name);
            }
        }
    }

    /// A peer has told which logs there are: of what was said before, the last is fetched.
    fn recall(&mut self, channel: &ChannelName, whom: NodeId, mut rows: Vec<Stretch>) {
        if self.recalls.is_resumed(channel) {
            for row in &rows {
                self.catch_up(channel, whom, row);
            }
            if self.recalls.wanted(channel).is_none() {
                return;
            }
        }
        // What an earlier run of this node has said is all history; who keeps it has it.
        let (id, epoch, keeps) = (self.id(), self.epoch(), self.config.keep);
        rows.retain(|row| row.author.id != id || !keeps && row.author.epoch != epoch);
        for row in &rows {
            let own = row.author.id == id;
            let name = LogName { channel: channel.clone(), author: row.author };
            let is_here = self.is_here(row.author);
            // Who is asked itself where to begin is believed, and nobody else.
            let asked = is_here && self.untold.has(&name);
            if self.logs.get(&name).is_none() && !asked {
                self.begin_at(&name, if own { row.to } else { row.before }, Word::Hearsay);
            }
            if row.before < row.to && !own && !is_here {
                self.hear_of_head(&name, row.to, whom);
            }
        }
        self.recalls.put_off(channel, whom, rows);
        self.take_up_the_past(channel);
    }

    /// Fetches the last of what was said before, once it is known of all logs what that is.
    pub(super) fn take_up_the_past(&mut self, channel: &ChannelName) {
        if self.untold.is_in(channel) {
            return;
        }
        let Some((whom, rows)) = self.recalls.resolve(channel) else { return };
        let mut missing = Vec::new();
        let mut left = if self.wanted(channel) > 0 { limits::RECALLED } else { 0 };
        for row in rows {
            let name = LogName { channel: channel.clone(), author: row.author };
            // What came while this node was here is no history.
            let before = self.logs.get(&name).map_or(0, Log::lost);
            let Some(span) = row.span().filter(|span| span.from <= before) else { continue };
            let to = span.to.min(before);
            let span = Span { from: span.from.max(to.saturating_sub(left) + 1), to };
            if left > 0 {
                left -= span.count();
                missing.push((name, span));
            }
        }
        if missing.is_empty() && self.wanted(channel) > 0 {
            return self.recalls.nothing_came(channel, self.now);
        }
        self.recalls.fetch(channel, whom, missing, self.now);
    }

    /// A peer knows a log so far: what is missing here of it is asked for, of that peer.
    fn catch_up(&mut self, channel: &ChannelName, whom: NodeId, row: &Stretch) {
        let name = LogName { channel: channel.clone(), author: row.author };
        // Who is here tells of its own logs itself.
        if row.author.id == self.id() || self.is_here(row.author) {
            return;
        }
        if self.logs.get(&name).is_none() {
            if row.from == 0 || self.logs.has_forgotten() {
                return;
            }
            // What this peer has not, another may have.
            let done = row.before.max(row.to.saturating_sub(self.most_of_unknown(row.author)));
            self.begin_at(&name, done, Word::Hearsay);
        }
        self.hear_of_head(&name, row.to, whom);
    }

    /// Whether an author is a peer, in that run.
    pub(super) fn is_here(&self, author: Sender) -> bool {
        let peer = self.peers.get(author.id);
        peer.is_some_and(|peer| {
            peer.epoch == author.epoch && !matches!(peer.standing, Standing::Told { .. })
        })
    }

    /// An entry that is being fetched has come.
    pub(super) fn take_recalled(&mut self, arrival: &Arrival<'_>, name: &LogName, span: Span) {
        if !self.is_authentic(arrival) {
            return;
        }
        let bytes = arrival.packet.bytes();
        self.store.add(name, span, bytes);
        self.keep(name, span, bytes);
        if self.recalls.fetched(name, span, bytes, self.now) {
            self.show_recalled(&name.channel);
        }
    }

    /// Shows what was fetched, in the order of the authors' clocks, each author's in its own.
    fn show_recalled(&mut self, channel: &ChannelName) {
        let mut messages: Vec<Message> = Vec::new();
        let mut long: Option<(LogName, u64, Long)> = None;
        let entries = self.recalls.take(channel);
        if entries.is_empty() {
            return self.recalls.nothing_came(channel, self.now);
        }
        for ((name, first), bytes) in entries {
            let packet = Packet::new(bytes);
            let Ok(Datagram::Entry(entry)) = packet.datagram() else { continue };
            let span = Span { from: first, to: first + entry.payload.len() - 1 };
            self.store.shown(&name, span, &entry.payload, self.now);
            match &entry.payload {
                Payload::Whole(contents) => {
                    let numbered = (first..).zip(contents);
                    messages.extend(numbered.map(|(seq, c)| said(&name, seq, entry, c.clone())));
                }
                Payload::Part { part, parts, piece } => {
                    // The parts of a message are numbered one after the other, in one log.
                    let follows = |(log, last, _): &(LogName, u64, Long)| {
                        *log == name && last.checked_add(1) == Some(first)
                    };
                    let (.., mut parts_so_far) = long.take().filter(follows).unwrap_or((
                        name.clone(),
                        first,
                        Long::default(),
                    ));
                    if let Some(whole) = parts_so_far.add((*part, *parts), piece)
                        && let Ok(content) = decode_content(&whole)
                    {
                        let begun = first.saturating_sub((*part).into());
                        messages.push(said(&name, begun, entry, content));
                    }
                    long = Some((name, first, parts_so_far));
                }
            }
        }
        sort_by_time(&mut messages);
        let most = self.wanted(channel) as usize;
        for message in messages.split_off(messages.len().saturating_sub(most)) {
            self.event(Event::Message(Message { history: true, ..message }));
        }
    }

    /// This node was in a channel before it started, and has got so far in these logs.
    pub(super) fn resume(
        &mut self,
        channel: &ChannelName,
        logs: &[(NodeId, Epoch, u64)],
        away: Duration,
        said: Option<Earlier>,
    ) {
        if !self.channels.has(channel) {
            return;
        }
        self.recalls.resume(channel, away);
        if let Some(said) = said.filter(|said| said.run < self.epoch()) {
            self.heads.resume(channel, said, self.now);
        }
        for &(id, epoch, done) in logs.iter().filter(|(_, _, done)| *done <= u64::MAX / 2) {
            let name = LogName { channel: channel.clone(), author: Sender { id, epoch } };
            // Of an earlier run of its own, too: there may be something that nobody else was there to hear.
            if name.author != self.sender() && self.logs.get(&name).is_none() {
                self.logs.follow(&name, Log::new(done, Word::Authors, self.now), self.now);
            }
        }
    }
}
