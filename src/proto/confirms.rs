//! Messages of this node's that everyone present is to confirm, and who has not yet.
//!
//! Receipts come by themselves; who has sent none after a while is asked alone, with the number that
//! is to be confirmed, which also tells it what it misses. So a confirmation costs one datagram a
//! listener where nothing is lost, and never asks everyone for a second one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::timing;
use crate::values::{ChannelName, Instant, NodeId, SmallMap, limits};

#[derive(Debug)]
struct Confirm {
    channel: ChannelName,
    seq: u64,
    begun: Instant,
    missing: BTreeSet<NodeId>,
    next: Instant,
    tries: u8,
    /// Whom to ask next: of many only some at a time.
    after: Option<NodeId>,
}

/// By the number that this node's user gave; at most [`limits::CONFIRMS`].
#[derive(Debug, Default)]
pub(crate) struct Confirms(SmallMap<u64, Confirm>);

impl Confirms {
    /// Whether one more can be waited for.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < limits::CONFIRMS
    }

    /// The message with this number was said to these.
    pub(crate) fn begin(
        &mut self,
        ticket: u64,
        (channel, seq): (ChannelName, u64),
        missing: BTreeSet<NodeId>,
        now: Instant,
    ) {
        if missing.is_empty() {
            return;
        }
        let next = now + first_wait(missing.len());
        let confirm = Confirm { channel, seq, begun: now, missing, next, tries: 0, after: None };
        self.0.insert(ticket, confirm);
    }

    /// A peer has everything of a channel from behind a number up to another one: which messages that confirms, and how long
    /// after they were said.
    pub(crate) fn got(
        &mut self,
        channel: &ChannelName,
        by: NodeId,
        (after, upto): (u64, u64),
        now: Instant,
    ) -> Vec<(u64, Duration)> {
        let mut confirmed = Vec::new();
        for (&ticket, confirm) in &mut self.0 {
            let has = confirm.channel == *channel && after < confirm.seq && confirm.seq <= upto;
            if has && confirm.missing.remove(&by) {
                confirmed.push((ticket, now.since(confirm.begun)));
            }
        }
        self.0.retain(|_, confirm| !confirm.missing.is_empty());
        confirmed
    }

    /// Nobody waits for this any more.
    pub(crate) fn forget(&mut self, ticket: u64) {
        self.0.remove(&ticket);
    }

    /// Whether all that was to be confirmed has been.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn next(&self) -> Instant {
        self.0.values().map(|confirm| confirm.next).min().unwrap_or(Instant::NEVER)
    }

    /// Who is to be asked now, for which number of which channel. What nobody has confirmed or
    /// forgotten for [`limits::CONFIRM_TIME`] is forgotten here.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(ChannelName, u64, Vec<NodeId>)> {
        self.0.retain(|_, confirm| now.since(confirm.begun) < limits::CONFIRM_TIME);
        let mut due = Vec::new();
        for (_, confirm) in self.0.iter_mut().filter(|(_, confirm)| confirm.next <= now) {
            let rest = confirm.missing.iter().copied().filter(|id| Some(*id) > confirm.after);
            let some: Vec<NodeId> = rest.take(timing::ASK_AT_ONCE).collect();
            if some.len() == timing::ASK_AT_ONCE {
                confirm.after = some.last().copied();
                confirm.next = now + timing::ASK_PAUSE;
            } else {
                confirm.after = None;
                confirm.tries = confirm.tries.saturating_add(1);
                let wait = timing::CONFIRM_AGAIN * (1 << confirm.tries.min(8));
                confirm.next = now + wait.min(timing::CONFIRM_AGAIN_MOST);
            }
            due.push((confirm.channel.clone(), confirm.seq, some));
        }
        due
    }
}

/// How long receipts are waited for before anybody is asked: as long as they are spread.
fn first_wait(listeners: usize) -> Duration {
    timing::CONFIRM_AGAIN + timing::receipt_spread(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn ids(n: u8) -> BTreeSet<NodeId> {
        (0..n).map(|n| NodeId([n; 32])).collect()
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1_000)
    }

    #[test]
    fn a_receipt_confirms_everything_up_to_its_number() {
        let (mut confirms, lobby) = (Confirms::default(), ChannelName::lobby());
        confirms.begin(1, (lobby.clone(), 5), ids(2), at(0));
        confirms.begin(2, (lobby.clone(), 9), ids(2), at(1));
        let ops = "ops".parse().unwrap();
        assert_eq!(confirms.got(&ops, NodeId([0; 32]), (0, 9), at(2)), []);
        let some = confirms.got(&lobby, NodeId([0; 32]), (0, 7), at(2));
        assert_eq!(some, [(1, Duration::from_millis(2))]);
        assert_eq!(confirms.got(&lobby, NodeId([0; 32]), (0, 7), at(2)), []);
        let behind = confirms.got(&lobby, NodeId([1; 32]), (5, 9), at(3));
        assert_eq!(behind, [(2, Duration::from_millis(2))], "the first is lost there");
        assert_eq!(confirms.got(&lobby, NodeId([0; 32]), (0, 9), at(3)).len(), 1);
        assert_eq!(confirms.got(&lobby, NodeId([1; 32]), (0, 9), at(3)).len(), 1);
        assert!(confirms.is_empty());
    }

    #[test]
    fn who_is_missing_is_asked_some_at_a_time_again_and_again_and_not_for_ever() {
        let (mut confirms, lobby) = (Confirms::default(), ChannelName::lobby());
        confirms.begin(1, (lobby, 5), ids(40), at(0));
        let mut asked: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut last = at(0);
        while confirms.next() != Instant::NEVER {
            assert!(confirms.next() > last);
            last = confirms.next();
            for (_, seq, some) in confirms.due(last) {
                assert!(seq == 5 && some.len() <= timing::ASK_AT_ONCE);
                for id in some {
                    *asked.entry(id).or_default() += 1;
                }
            }
        }
        assert!(last.since(at(0)) <= limits::CONFIRM_TIME + timing::CONFIRM_AGAIN_MOST);
        let times: Vec<u32> = asked.into_values().collect();
        assert!(times.len() == 40 && times.iter().all(|n| (20..100).contains(n)), "{times:?}");
    }
}
