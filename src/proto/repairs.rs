//! What is sent again, to whom and when, so that one loss brings one repair.
//!
//! The author sends at once; others who hold an entry wait for a random time and send nothing if
//! somebody else does (SRM, Floyd et al. 1997, §III). What has just been sent again is not sent
//! again for [`timing::REPAIR_HOLD`]: those who ask meanwhile have not seen it yet.
//!
//! The first repair of an entry goes to all, because who asks mostly stands for several who have
//! heard it ask. Asked again by the same one, it goes to that one alone; so does everything while
//! only one listener misses anything.

use std::collections::{BTreeMap, BTreeSet};

use super::logs::LogName;
use super::recent::Recent;
use super::timing;
use crate::values::{Instant, NodeId, limits};
use crate::wire::Span;

/// To whom a repair goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To everyone in the channel.
    All,
    /// To the one who asked.
    One,
    /// Not at all: it is on its way, or comes from somebody else.
    Nobody,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Until then who asks has not seen it yet.
    hold: Instant,
    /// To whom alone, if not to all.
    to: Option<NodeId>,
    /// Who asked for it then.
    by: NodeId,
}

/// The same listener has asked so often, and nobody else.
const ALONE: u8 = 8;

/// What was sent again lately, and what may have to be.
#[derive(Debug)]
pub(crate) struct Repairs {
    sent: Recent<(LogName, u64), Sent>,
    /// Others' entries that wait for somebody else to send them again.
    waiting: BTreeMap<(LogName, u64), Instant>,
    due: BTreeSet<(Instant, (LogName, u64))>,
    /// Who asked last, how often in a row, and when.
    last: Option<(NodeId, u8, Instant)>,
}

impl Repairs {
    pub(crate) fn new() -> Self {
        Self {
            sent: Recent::new(limits::REPAIRED),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            last: None,
        }
    }

    /// Somebody asks for something that this node has.
    pub(crate) fn asked(&mut self, by: NodeId, now: Instant) {
        self.last = Some(match self.last {
            Some((last, count, at)) if now.since(at) < timing::ALONE_FOR => {
                // Another one starts from nothing: both may stand for several.
                (by, if last == by { count.saturating_add(1) } else { 0 }, now)
            }
            _ => (by, 1, now),
        });
    }

    /// Where an entry of this node's own goes that is asked for, and notes that it goes there.
    pub(crate) fn send_own(&mut self, entry: (&LogName, u64), by: NodeId, now: Instant) -> Way {
        let key = (entry.0.clone(), entry.1);
        let alone = self.last.is_some_and(|(last, count, _)| last == by && count >= ALONE);
        let way = match self.sent.peek(&key) {
            Some(sent) if now < sent.hold => match sent.to {
                None => Way::Nobody,
                Some(to) if to == by => Way::Nobody,
                Some(_) => Way::All,
            },
            Some(sent) if sent.by == by || sent.to == Some(by) => Way::One,
            _ if alone => Way::One,
            _ => Way::All,
        };
        if way != Way::Nobody {
            let to = (way == Way::One).then_some(by);
            self.sent.insert(&key, Sent { hold: now + timing::REPAIR_HOLD, to, by });
        }
        way
    }

    /// Whether an entry of this node's own was sent again lately.
    pub(crate) fn was_sent(&self, entry: (&LogName, u64)) -> bool {
        self.sent.peek(&(entry.0.clone(), entry.1)).is_some()
    }

    /// Notes that an entry goes to all once more, unasked by anybody but `me`; `false` if it has
    /// gone there again already.
    pub(crate) fn repeat(&mut self, entry: (&LogName, u64), me: NodeId, now: Instant) -> bool {
        let key = (entry.0.clone(), entry.1);
        let just = self.sent.peek(&key).is_some_and(|sent| sent.to.is_none());
        if !just {
            // Nobody has asked before that, so who asks now misses it still.
            self.sent.insert(&key, Sent { hold: now, to: None, by: me });
        }
        !just
    }

    /// Notes that an entry goes to one who asked this node for it personally; `false` if it has
    /// just gone there.
    pub(crate) fn send_to(&mut self, entry: (&LogName, u64), by: NodeId, now: Instant) -> bool {
        let key = (entry.0.clone(), entry.1);
        let just = self
            .sent
            .peek(&key)
            .is_some_and(|sent| now < sent.hold && sent.to.is_none_or(|to| to == by));
        if !just {
            self.sent.insert(&key, Sent { hold: now + timing::REPAIR_HOLD, to: Some(by), by });
        }
        !just
    }

    /// Another author's entry is to be sent to all at `at`, unless somebody else does before.
    pub(crate) fn wait(&mut self, entry: (&LogName, u64), at: Instant, now: Instant) {
        let key = (entry.0.clone(), entry.1);
        let just = self.sent.peek(&key).is_some_and(|sent| now < sent.hold);
        if just || self.waiting.contains_key(&key) || self.waiting.len() >= limits::REPAIRED {
            return;
        }
        self.waiting.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    /// An entry has come by: nobody needs to send it again for now.
    pub(crate) fn seen(&mut self, name: &LogName, span: Span) {
        if self.waiting.is_empty() {
            return;
        }
        let key = (name.clone(), span.from);
        if let Some(at) = self.waiting.remove(&key) {
            self.due.remove(&(at, key));
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.due.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// The next of others' entries that nobody else has sent.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(LogName, u64)> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.waiting.remove(&key);
        let (hold, by) = (now + timing::REPAIR_HOLD, NodeId([0; 32]));
        self.sent.insert(&key, Sent { hold, to: None, by });
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::values::ChannelName;
    use crate::wire::Sender;

    const A: NodeId = NodeId([1; 32]);
    const B: NodeId = NodeId([2; 32]);

    fn name() -> LogName {
        let author = Sender { id: NodeId([9; 32]), epoch: 1 };
        LogName { channel: ChannelName::lobby(), author }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1_000)
    }

    #[test]
    fn the_first_repair_is_for_all_and_the_next_for_who_still_misses_it() {
        let (mut repairs, name) = (Repairs::new(), name());
        assert_eq!(repairs.send_own((&name, 5), A, at(0)), Way::All);
        assert_eq!(repairs.send_own((&name, 5), B, at(1)), Way::Nobody);
        let later = at(1) + timing::REPAIR_HOLD;
        assert_eq!(repairs.send_own((&name, 5), A, later), Way::One);
        assert_eq!(repairs.send_own((&name, 5), B, later), Way::All, "several miss it");
        assert_eq!(repairs.send_own((&name, 6), B, later), Way::All);
    }

    #[test]
    fn who_alone_misses_things_again_and_again_gets_them_alone() {
        let (mut repairs, name) = (Repairs::new(), name());
        let mut ways = Vec::new();
        for seq in 1..=12 {
            repairs.asked(A, at(10 * seq));
            ways.push(repairs.send_own((&name, seq), A, at(10 * seq)));
        }
        assert_eq!(ways[..7], [Way::All; 7]);
        assert_eq!(ways[7..], [Way::One; 5]);
        repairs.asked(B, at(130));
        assert_eq!(repairs.send_own((&name, 13), B, at(130)), Way::All);
    }

    #[test]
    fn what_somebody_else_sends_is_not_sent() {
        let (mut repairs, name) = (Repairs::new(), name());
        for seq in [1, 2] {
            repairs.wait((&name, seq), at(5), at(0));
            repairs.wait((&name, seq), at(1), at(0));
        }
        repairs.seen(&name, Span { from: 1, to: 1 });
        assert_eq!(repairs.pop(at(4)), None);
        assert_eq!(repairs.next(), at(5));
        assert_eq!(repairs.pop(at(5)), Some((name.clone(), 2)));
        repairs.wait((&name, 2), at(6), at(6));
        assert_eq!((repairs.pop(at(9)), repairs.next()), (None, Instant::NEVER));
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let (mut repairs, name) = (Repairs::new(), name());
        for seq in 1..=100_000 {
            repairs.wait((&name, seq), at(seq), at(0));
            repairs.send_to((&name, seq), A, at(0) + Duration::from_micros(seq));
        }
        assert!(repairs.waiting.len() <= limits::REPAIRED);
        assert_eq!(repairs.due.len(), repairs.waiting.len());
    }
}
