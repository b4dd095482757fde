//! The engine's way with an author's runs: what is said in one follows what was said in the run before.
//!
//! A log begins where its run does, so nothing in a later log tells by its numbers that something of an
//! earlier one is missing. Its first entry tells, in the author's own words; and who was cut off hears
//! from the others which runs there were meanwhile. A run waits for what is missing of those before it,
//! within bounds.

use super::engine::Engine;
use super::log::{Log, Word};
use super::logs::LogName;
use crate::values::Instant;
use crate::wire::{Datagram, Earlier, Packet, Sender};

impl Engine {
    /// An author whose run begins has said something in an earlier one: that is to come first, unless it
    /// was said before this node was there.
    pub(super) fn hear_of_earlier(&mut self, name: &LogName, earlier: &Earlier) {
        if self.logs.get(name).is_some_and(Log::has_begun) {
            return;
        }
        let author = Sender { epoch: earlier.run, ..name.author };
        let before = LogName { author, ..name.clone() };
        if self.logs.get(&before).is_none() {
            let age = self.contact.age(name.author.epoch, self.epoch(), self.now);
            if age.saturating_add(earlier.ago) >= self.recalls.since(&name.channel, self.now) {
                return;
            }
            let done = self.first_wanted(&before, earlier.seq);
            self.begin_at(&before, done, Word::Authors);
        }
        self.learn_more(&before, earlier.seq);
        // Who speaks of it may have kept it; a command that says something has not, and is no peer.
        self.logs.update(&before, self.now, |log| {
            log.holder.get_or_insert(name.author.id);
        });
    }

    /// Whether the entries of a log are shown: it waits, within bounds, for what is missing of the
    /// author's earlier runs.
    pub(super) fn begin(&mut self, name: &LogName) -> bool {
        if self.logs.get(name).is_some_and(Log::has_begun) {
            return true;
        }
        let now = self.now;
        // Who was cut off hears within this time which runs there were meanwhile.
        let compares = self.contact.compares_until(&name.channel, now);
        let wait = if self.logs.is_next_run(name) { compares } else { Some(Instant::NEVER) };
        let begins = self.logs.update(name, now, |log| log.begin(wait, now)).unwrap_or(false);
        if begins {
            self.begin_earlier(name);
        }
        begins
    }

    /// A run begins, though something may be missing of the author's earlier ones: what has come of them
    /// waits no longer either, and comes first.
    fn begin_earlier(&mut self, name: &LogName) {
        for earlier in self.logs.waiting_before(name) {
            self.logs.update(&earlier, self.now, |log| log.begin(None, self.now));
            self.show_run(&earlier);
        }
    }

    /// Shows what waited and whose turn has come, and the author's later runs that waited for it.
    pub(super) fn show_waiting(&mut self, name: &LogName) {
        if !self.begin(name) {
            return;
        }
        self.show_run(name);
        let mut last = name.clone();
        while let Some(next) = self.logs.waiting_run(&last) {
            if !self.begin(&next) {
                break;
            }
            self.show_run(&next);
            last = next;
        }
    }

    fn show_run(&mut self, name: &LogName) {
        while let Some((span, bytes)) = self.logs.update(name, self.now, Log::pop).flatten() {
            let packet = Packet::new(bytes);
            // It was parsed when it came, too.
            if let Ok(Datagram::Entry(entry)) = packet.datagram() {
                self.show_entry(name, span, entry, packet.bytes());
            }
        }
        self.give_receipt(name);
    }
}
