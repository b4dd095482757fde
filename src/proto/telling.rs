//! The engine's answers to those who come late, and ask what was said before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::engine::Engine;
use super::event::Event;
use super::fetches::Wanted;
use super::kept::{KeptLog, Past};
use super::logs::LogName;
use super::receiving::Arrival;
use super::store::Shown;
use super::timing;
use crate::values::{ChannelName, Instant, SmallMap, limits, order};
use crate::wire::{Hearing, LogsPage, Recall, Sender, Stretch};

impl Engine {
    /// Somebody wants to know what was said.
    pub(super) fn on_recall(&mut self, arrival: &Arrival<'_>, recall: &Recall) {
        if recall.from.id == self.id() {
            self.counters.own += 1;
            return;
        }
        if arrival.via == Hearing::Multicast || recall.token != self.token(arrival.source) {
            self.counters.misdirected += 1;
            return;
        }
        // Who speaks in a channel in which it does not take part knows of its own log only.
        let knows = recall.own && self.heads.head(&recall.channel) > 0;
        if !self.channels.has(&recall.channel) && !knows {
            self.counters.other_channel += 1;
            return;
        }
        if !self.guard.allows_answer(self.now) {
            self.counters.answers_over_rate += 1;
            return;
        }
        if !self.is_authentic(arrival) {
            return;
        }
        // Who is not known here could be told which logs there are, but gets nothing of them: it asks
        // somebody else. Its token shows that it is where it asks from.
        let Some(peer) = self.peers.get_mut(recall.from.id) else { return };
        let was = peer.paths.prove(arrival.link, arrival.source, self.now);
        self.tell_move(recall.from.id, was);
        self.review_versions(recall.from.id);
        let since = self.now - Duration::from_millis(recall.since);
        let rows = if recall.own {
            self.own_row(&recall.channel, since).into_iter().collect()
        } else {
            self.rows(&recall.channel, recall.last, since)
        };
        let (channel, nonce) = (recall.channel.clone(), recall.nonce);
        let (source, link) = (arrival.source, arrival.link);
        let wanted = Wanted::Logs { channel, nonce, source, link, rows };
        if !self.config.keep || recall.own {
            return self.tell_logs(wanted);
        }
        // Where there is no room to look it up, the asker asks somebody else.
        let Some(ticket) = self.fetches.begin(wanted) else { return };
        let since = Duration::from_millis(recall.since);
        let past = Past::Logs { last: recall.last.min(limits::RECALL), since };
        self.event(Event::Fetch { ticket, channel: recall.channel.clone(), past });
    }

    /// The logs that were asked for have been looked up.
    pub(super) fn recalled(&mut self, ticket: u64, logs: &[KeptLog]) {
        let Some(mut wanted) = self.fetches.end(ticket) else { return };
        if let Wanted::Logs { rows, .. } = &mut wanted {
            for log in logs.iter().filter(|log| log.from > 0 && log.from <= log.to) {
                let author = Sender { id: log.author, epoch: log.epoch };
                match rows.iter_mut().find(|row| row.author == author) {
                    Some(row) => {
                        row.from = if row.from == 0 { log.from } else { row.from.min(log.from) };
                        row.to = row.to.max(log.to);
                        row.before = row.before.max(log.before).min(row.to);
                    }
                    None => rows.push(Stretch {
                        author,
                        from: log.from,
                        to: log.to,
                        before: log.before.min(log.to),
                    }),
                }
            }
        }
        self.tell_logs(wanted);
    }

    /// Answers the question which logs there are.
    fn tell_logs(&mut self, wanted: Wanted) {
        let Wanted::Logs { channel, nonce, source, link, rows } = wanted else { return };
        let mut cut = LogsPage::cut(&rows, self.datagram_limit());
        cut.truncate(timing::PAGES as usize);
        let pages = cut.len() as u32;
        for (page, logs) in (0..).zip(cut) {
            let (from, channel) = (self.sender(), channel.clone());
            let logs = logs.to_vec();
            let page = LogsPage { from, re: nonce, channel, page: (page, pages), logs };
            let bytes = page.encode(&self.config.identity);
            self.reply(bytes, source, link);
        }
    }

    /// The logs in which the last messages of a channel are, and those of who is gone. `since`: when
    /// the asker came.
    fn rows(&self, channel: &ChannelName, last: u32, since: Instant) -> Vec<Stretch> {
        let mut rows: SmallMap<Sender, Stretch> = SmallMap::new();
        let mut entries: Vec<&Shown> = Vec::new();
        for store in [&self.store, &self.said] {
            // Those that are wanted, and as many more as the beginning of a long message needs.
            let mut wanted = last.min(limits::RECALL);
            let mut more = if wanted > 0 { limits::PARTS } else { 0 };
            entries.extend(store.latest(channel).take_while(|shown| {
                let is_news = shown.at >= since;
                let take = wanted > 0 || more > 0 || is_news;
                if wanted == 0 {
                    more = more.saturating_sub(1);
                }
                // What came since the asker is there is not what it wants.
                if !is_news {
                    wanted = wanted.saturating_sub(shown.messages);
                }
                take
            }));
        }
        order::sort_by_key(&mut entries, |shown| {
            (Reverse(shown.at), shown.name.author, Reverse(shown.span))
        });
        let mut left = last.min(limits::RECALL);
        let mut unfinished: BTreeSet<Sender> = BTreeSet::new();
        let mut since_then: BTreeMap<Sender, u64> = BTreeMap::new();
        for Shown { name, span, at, messages, begins } in entries {
            let author = name.author;
            let is_news = *at >= since;
            if is_news {
                let first = since_then.entry(author).or_insert(span.from);
                *first = span.from.min(*first);
            }
            if left > 0 || unfinished.contains(&author) {
                if !is_news {
                    left = left.saturating_sub(*messages);
                }
                let row = Stretch { author, from: span.from, to: span.to, before: span.to };
                let row = rows.entry(author).or_insert(row);
                (row.from, row.to) = (row.from.min(span.from), row.to.max(span.to));
                if *begins {
                    unfinished.remove(&author);
                } else {
                    unfinished.insert(author);
                }
            }
        }
        for (author, done) in self.orphan_logs(channel) {
            rows.entry(author).or_insert_with(|| {
                let name = LogName { channel: channel.clone(), author };
                let held = self.store.extent(&name).filter(|_| last == 0);
                let from = held.map_or(0, |held| held.from);
                Stretch { author, from, to: done, before: done }
            });
        }
        let was_here_first = since < self.recalls.joined(channel);
        for (_, row) in &mut rows {
            let first = since_then.get(&row.author);
            row.before = first.map_or(row.to, |first| (first - 1).min(row.to));
            let name = LogName { channel: channel.clone(), author: row.author };
            let log = self.logs.get(&name);
            let (unknown, given_up) = log.map_or((0, 0), |log| (log.lost(), log.given_up()));
            if was_here_first && row.before <= unknown || row.before <= given_up {
                // That was before this node's time, but not before the asker's; or this node never
                // had it, and does not know.
                row.before = 0;
            }
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// How far this node's own log in a channel went at a time, if there is any.
    pub(super) fn own_row(&self, channel: &ChannelName, since: Instant) -> Option<Stretch> {
        let to = self.heads.head(channel);
        let mut before = to;
        // A long message of which some was said before and some since is said since.
        let mut begins = true;
        let mut goes_back = false;
        for shown in self.said.latest(channel) {
            if shown.at < since && begins {
                goes_back = true;
                break;
            }
            (before, begins) = (shown.span.from - 1, shown.begins);
        }
        if !goes_back {
            before = 0; // what is kept no more may have been said since as well
        }
        (to > 0).then_some(Stretch { author: self.sender(), from: 0, to, before })
    }
}
