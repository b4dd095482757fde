//! The engine's way with logs that it meets: where to begin with each.
//!
//! What was said before this node came is of no interest, but for the last of it, which is fetched as the
//! past ([`super::recalling`]); what was said since is to come, all of it. Who is there when this node comes
//! has said before what it has said. Who is met only later, since this node was alone or there are many,
//! may have spoken before and since: it is asked.

use super::engine::Engine;
use super::log::{Log, Word};
use super::logs::LogName;
use super::timing;
use super::untold::{Due, Source};
use crate::values::limits;
use crate::wire::{ChannelLogs, LogsPage, Sender, Span};

impl Engine {
    /// What a peer's announcement says of its own logs. `met`: it was not known before.
    pub(super) fn note_heads(&mut self, from: Sender, logs: &[ChannelLogs], met: bool) {
        for ChannelLogs { channel, head, .. } in logs.iter().filter(|logs| logs.head > 0) {
            if !self.channels.has(channel) || self.authors.is_over(from.id, from.epoch) {
                continue;
            }
            let name = LogName { channel: channel.clone(), author: from };
            let known = self.logs.get(&name).is_some();
            if met && !known && self.recalls.is_new(channel, self.now) {
                // Said before this node came: of that, only the last is of interest.
                self.logs.follow(&name, Log::new(*head, Word::Authors, self.now), self.now);
            } else if known || !self.is_untold(&name, Span { from: *head, to: *head }, met, None) {
                self.learn_head(&name, *head);
            }
        }
    }

    /// Of a log that is met for the first time and goes up to `head`, as far as is known: up to
    /// where it is of no interest here.
    pub(super) fn first_wanted(&self, name: &LogName, head: u64) -> u64 {
        if self.logs.has_forgotten() && !self.authors.is_new_run(name.author) {
            return head; // it may be one of those that were followed already
        }
        let peer = self.peers.get(name.author.id).filter(|p| p.epoch == name.author.epoch);
        if self.recalls.is_new(&name.channel, self.now) {
            // This node came just now. Who was met afterwards has said how far its logs go, and so has
            // who announced itself before.
            let joined = self.recalls.joined(&name.channel);
            match peer {
                Some(peer) if peer.since < joined => {
                    return peer.announced(&name.channel).map_or(head, |said| said.min(head));
                }
                Some(_) => {}
                None => return head,
            }
        } else if let Some(said) = peer.and_then(|peer| peer.announced(&name.channel)) {
            return said.min(head); // the rest was said since
        }
        head.saturating_sub(self.most_of_unknown(name.author))
    }

    /// How many of an author's last messages are taken for said since this node came, where nobody tells: all
    /// if, by the clocks of both, the author's run is the younger one.
    pub(super) fn most_of_unknown(&self, author: Sender) -> u64 {
        if author.epoch > self.epoch() { limits::BACKLOG } else { limits::CATCH_UP }
    }

    /// Whether it has to be found out where to begin with a log that is not followed, of which this is
    /// heard. Until then nothing of it is taken. `met`: its author was not known before.
    pub(super) fn is_untold(
        &mut self,
        name: &LogName,
        heard: Span,
        met: bool,
        source: Option<Source>,
    ) -> bool {
        if !self.untold.has(name) {
            if !self.may_be_older(name, heard.from, met) || self.untold.is_full() {
                return false;
            }
            // By then whoever is asked for the past may have told of the author's earlier runs, which
            // come first.
            let spread = timing::receipt_spread(self.listeners(&name.channel, None));
            let spread = self.rng.up_to(spread.max(timing::RECALL));
            self.untold.meet(name, self.now + timing::RECALL + spread, self.now);
        }
        self.untold.hear(name, heard.to, source);
        self.counters.untold += 1;
        true
    }

    /// Whether some of a log may have been said before this node came, and some since; of which this
    /// number is heard.
    fn may_be_older(&self, name: &LogName, seq: u64, met: bool) -> bool {
        let forgotten = self.logs.has_forgotten() && !self.authors.is_new_run(name.author);
        let was_alone = self.recalls.was_alone(&name.channel, self.now);
        if forgotten || self.recalls.is_resumed(&name.channel) || !(met || was_alone) {
            return false;
        }
        // Who is no peer may be about to be met; but not a command that only says something, nor
        // anybody whose first word comes.
        let passes = || seq == 1 || self.visitors.peek(&name.author).is_some();
        self.is_here(name.author) || !passes()
    }

    /// Does what is due about logs of which it is not known where to begin.
    pub(super) fn find_beginnings_when_due(&mut self) {
        if self.now < self.untold.next() {
            return;
        }
        for due in self.untold.due(self.now) {
            match due {
                Due::Ask(name) if self.is_here(name.author) => {
                    let nonce = self.rng.u64();
                    let (whom, channel) = (name.author.id, name.channel.clone());
                    if self.send_recall(whom, channel, nonce, None) {
                        self.untold.asked(&name, nonce);
                    }
                }
                Due::Ask(_) => {}
                Due::GiveUp(name, head) => {
                    // What its author has announced meanwhile may be what nothing was taken of.
                    let done = head.saturating_sub(self.most_of_unknown(name.author));
                    self.begin_at(&name, done, Word::Authors);
                }
            }
        }
    }

    /// A log of which everything up to `done` is of no interest here, as somebody says, is followed if it
    /// is not yet.
    pub(super) fn begin_at(&mut self, name: &LogName, done: u64, word: Word) {
        if self.logs.get(name).is_none() {
            self.logs.follow(name, Log::new(done, word, self.now), self.now);
        }
        if let Some(met) = self.untold.take(name) {
            self.logs.update(name, self.now, |log| log.source = met.source);
            self.learn_head(name, met.head);
            self.take_up_the_past(&name.channel);
        }
    }

    /// An author tells of its own log: how far it went when this node came.
    pub(super) fn take_own_row(&mut self, page: &LogsPage) {
        let Some(row) = page.logs.iter().find(|row| row.author == page.from) else { return };
        let name = LogName { channel: page.channel.clone(), author: page.from };
        if self.untold.is_answer(&name, page.re) {
            self.begin_at(&name, row.before, Word::Authors);
            self.learn_head(&name, row.to);
        }
    }
}
