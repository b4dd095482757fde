//! What the engine does when its time has come, and when that is.
//!
//! Each concern says itself when it is due next. A new one has to be named twice here: where it is done, and where
//! the next time is reckoned.

use super::Engine;
use crate::values::Instant;

impl Engine {
    /// Does what is due.
    pub(super) fn advance(&mut self) {
        if self.stopped || self.next_review == Instant::NEVER {
            return; // not started, or over
        }
        self.give_answers();
        self.begin_anew_when_due();
        self.search();
        self.probe_when_due();
        self.pass_farewells_on();
        self.announce_when_due();
        self.repeat_direct();
        self.ask_when_due();
        self.remind_when_due();
        self.recall_when_due();
        self.find_beginnings_when_due();
        self.follow_when_due();
        self.repair_when_due();
        self.repeat_when_due();
        self.confirm_when_due();
        if self.now >= self.next_review {
            self.next_review = self.review_peers();
            self.remind_switch();
            self.ask_silent_seeds();
            self.assemblies.expire(self.now);
            self.claimed_assemblies.expire(self.now);
            self.expire_questions();
        }
    }

    /// When something is due next, but for [`Engine::probe_when_due`].
    pub(in crate::proto) fn next_but_probes(&self) -> Instant {
        if self.stopped || self.next_review == Instant::NEVER {
            return Instant::NEVER;
        }
        // A visitor without anybody to look for has nothing to review.
        let review = if self.config.discover { self.next_review } else { Instant::NEVER };
        // Without a link nobody is asked and nothing announced until there is one again.
        let (search, announce) = if self.links.is_empty() {
            (self.discovery.next_but_hello(), Instant::NEVER)
        } else {
            let anew = if self.config.discover { self.flapping.next() } else { Instant::NEVER };
            (self.discovery.next().min(self.hints.next()).min(anew), self.announcer.next())
        };
        [
            self.answers.next(),
            search,
            self.discovery.listening_until(self.now),
            self.discovery.next_told(),
            announce,
            self.farewells.next(),
            self.direct.next(),
            self.asked.next(),
            self.outbox.next,
            self.heads.next(),
            self.logs.next().max(self.behind),
            self.repairs.next(),
            self.repeats.next(),
            self.confirms.next(),
            self.receipts.next(),
            self.recalls.next(),
            self.untold.next(),
            self.orphans.next(),
            review,
        ]
        .into_iter()
        .min()
        .unwrap_or(Instant::NEVER)
    }
}
