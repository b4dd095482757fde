//! Logs that had been going on for a while when this node met them, having been alone until then: it does
//! not know what of them is older than itself.
//!
//! ```text
//!   met ──asked, again and again──▶ told: followed from where it was when this node came
//!     └──────── no answer ────────▶ followed as any other that is met
//! ```
//!
//! The author knows best, and nobody else is believed: who tells falsely of its own log hides nothing but
//! its own words. Meanwhile nothing of such a log is taken, only noted how far it goes at least: it is
//! fetched afterwards, as what was lost is.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::logs::LogName;
use super::timing;
use crate::values::{ChannelName, Instant, LinkId, limits};

/// Where an author itself was heard, and when.
pub(crate) type Source = (SocketAddr, LinkId, Instant);

/// A log of which it is not known yet where to begin.
#[derive(Debug)]
pub(crate) struct Met {
    /// The highest number of which the author has told itself.
    pub(crate) head: u64,
    /// Where the author itself was heard last, with something signed.
    pub(crate) source: Option<Source>,
    /// The last question, which alone is to be answered: one from long before would not tell how far
    /// the log went when this node came, but some time later.
    nonce: Option<u64>,
    tries: u8,
    next: Instant,
    until: Instant,
}

/// What is due about a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its author is to be asked.
    Ask(LogName),
    /// That was waited for long enough; the author has told that it goes so far.
    GiveUp(LogName, u64),
}

/// At most [`limits::UNTOLD`] of them; the others are followed as any that is met.
#[derive(Debug, Default)]
pub(crate) struct Untold(BTreeMap<LogName, Met>);

impl Untold {
    /// Whether there is no room for one more.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= limits::UNTOLD
    }

    /// A log is met, and its author is to be asked at `first`.
    pub(crate) fn meet(&mut self, name: &LogName, first: Instant, now: Instant) {
        let until = now + timing::UNTOLD;
        let met = Met { head: 0, source: None, nonce: None, tries: 0, next: first, until };
        self.0.insert(name.clone(), met);
    }

    /// The author has told that a log goes so far. Only it tells of more than is known; the rest may be
    /// what somebody else sends again.
    pub(crate) fn hear(&mut self, name: &LogName, head: u64, source: Option<Source>) {
        if let Some(met) = self.0.get_mut(name).filter(|met| met.head < head) {
            met.head = head;
            met.source = source.or(met.source);
        }
    }

    /// Whether it is not known yet where to begin with a log.
    pub(crate) fn has(&self, name: &LogName) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there is such a log in a channel.
    pub(crate) fn is_in(&self, channel: &ChannelName) -> bool {
        self.0.keys().any(|name| name.channel == *channel)
    }

    pub(crate) fn next(&self) -> Instant {
        self.0.values().map(|met| met.next.min(met.until)).min().unwrap_or(Instant::NEVER)
    }

    /// What is to be done now. Who can't be asked yet is tried soon again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, met) in &mut self.0 {
            if met.until <= now {
                due.push(Due::GiveUp(name.clone(), met.head));
            } else if met.next <= now {
                met.next = now + timing::untold_again(met.tries);
                due.push(Due::Ask(name.clone()));
            }
        }
        due
    }

    /// The author of a log is asked.
    pub(crate) fn asked(&mut self, name: &LogName, nonce: u64) {
        if let Some(met) = self.0.get_mut(name) {
            met.nonce = Some(nonce);
            met.tries = met.tries.saturating_add(1);
        }
    }

    /// Whether this is the answer to the last question about a log.
    pub(crate) fn is_answer(&self, name: &LogName, nonce: u64) -> bool {
        self.0.get(name).is_some_and(|met| met.nonce == Some(nonce))
    }

    /// It is known where to begin with a log, or will not be.
    pub(crate) fn take(&mut self, name: &LogName) -> Option<Met> {
        self.0.remove(name)
    }

    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        self.0.retain(|name, _| name.channel != *channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::NodeId;
    use crate::wire::Sender;

    fn log(n: u64) -> LogName {
        let id = NodeId(std::array::from_fn(|i| (n >> (i % 8 * 8)) as u8));
        LogName { channel: ChannelName::lobby(), author: Sender { id, epoch: 1 } }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1_000)
    }

    #[test]
    fn an_author_is_asked_again_and_again_and_not_for_ever() {
        let mut untold = Untold::default();
        untold.meet(&log(1), at(40), at(0));
        untold.hear(&log(1), 5, None);
        untold.hear(&log(1), 3, None);
        let (mut asked, mut last) = (0, Vec::new());
        while untold.next() < at(0) + timing::UNTOLD {
            last = untold.due(untold.next());
            assert_eq!(last, [Due::Ask(log(1))]);
            asked += 1;
            untold.asked(&log(1), asked);
        }
        assert_eq!((asked, last.len()), (6, 1));
        assert!(!untold.is_answer(&log(1), 5) && untold.is_answer(&log(1), 6));
        assert_eq!(untold.due(untold.next()), [Due::GiveUp(log(1), 5)]);
        assert_eq!(untold.take(&log(1)).map(|met| met.head), Some(5));
        assert_eq!(untold.next(), Instant::NEVER);
    }

    #[test]
    fn who_can_not_be_asked_yet_is_tried_soon_again_and_counts_as_not_asked() {
        let mut untold = Untold::default();
        untold.meet(&log(1), at(0), at(0));
        for n in 0..10 {
            assert_eq!(untold.next(), at(n * 80));
            assert_eq!(untold.due(untold.next()).len(), 1);
        }
    }

    #[test]
    fn there_is_room_for_so_many_and_a_channel_is_left_with_all_of_them() {
        let mut untold = Untold::default();
        for n in 0..limits::UNTOLD as u64 {
            assert!(!untold.is_full());
            untold.meet(&log(n), at(0), at(0));
        }
        assert!(untold.is_full() && untold.has(&log(0)));
        untold.leave(&ChannelName::lobby());
        assert!(!untold.is_in(&ChannelName::lobby()) && !untold.is_full());
    }
}
