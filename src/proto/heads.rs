//! This node's own logs: how far each goes, and when the others are reminded of it.
//!
//! A lost entry is noticed by the next one; the last of a burst has no next one, so its number is
//! said again a few times ([`timing::remind`]), and with every announcement (RFC 5740 §5.1.2 flushes
//! the end of a transmission for the same reason).

use super::timing;
use crate::values::{ChannelName, Instant, SmallMap, limits, order};
use crate::wire::Earlier;

#[derive(Clone, Copy, Debug)]
struct Own {
    head: u64,
    /// The last number that somebody may have, in this run or later; 0: none.
    reached: u64,
    /// When something was said there last.
    said: Instant,
    /// How often the others were reminded since.
    reminded: usize,
    next: Instant,
}

/// The logs in which this node has said something in this run; at most [`limits::OWN_LOGS`].
#[derive(Debug)]
pub(crate) struct Heads {
    own: SmallMap<ChannelName, Own>,
    /// What it said in earlier runs, seen from `start`.
    earlier: SmallMap<ChannelName, Earlier>,
    start: Instant,
}

impl Heads {
    pub(crate) fn new(earlier: Vec<(ChannelName, Earlier)>, now: Instant) -> Self {
        let earlier = earlier.into_iter().take(limits::OWN_LOGS).collect();
        Self { own: SmallMap::new(), earlier, start: now }
    }

    /// Whether something can be said in a channel.
    pub(crate) fn has_room(&self, channel: &ChannelName) -> bool {
        self.own.len() < limits::OWN_LOGS || self.own.contains_key(channel)
    }

    /// The number of the last message.
    pub(crate) fn head(&self, channel: &ChannelName) -> u64 {
        self.own.get(channel).map_or(0, |own| own.head)
    }

    /// What the first entry of a log has to tell of earlier runs.
    pub(crate) fn earlier(&self, channel: &ChannelName, now: Instant) -> Option<Earlier> {
        let earlier = self.earlier.get(channel).filter(|_| !self.own.contains_key(channel))?;
        Some(Earlier { ago: earlier.ago + now.since(self.start), ..*earlier })
    }

    /// What this node said last in an earlier run, as its user has kept it, seen from now. A run that was
    /// killed may have left a lower number.
    pub(crate) fn resume(&mut self, channel: &ChannelName, said: Earlier, now: Instant) {
        let known = self.earlier.get(channel);
        let is_known = known.is_some_and(|known| (known.run, known.seq) >= (said.run, said.seq));
        let has_room = known.is_some() || self.earlier.len() < limits::OWN_LOGS;
        if !is_known && has_room {
            let ago = said.ago.saturating_sub(now.since(self.start));
            self.earlier.insert(channel.clone(), Earlier { ago, ..said });
        }
    }

    /// Something was said; takes its `count` numbers and returns the first.
    /// `alone`: nobody will ever have it.
    pub(crate) fn say(
        &mut self,
        channel: &ChannelName,
        count: u64,
        alone: bool,
        now: Instant,
    ) -> u64 {
        let first = self.head(channel) + 1;
        // The size of the group has no part in the first time.
        let next = timing::remind(0, 0).map_or(Instant::NEVER, |at| now + at);
        let head = first + count - 1;
        let reached = self.own.get(channel).map_or(0, |own| own.reached);
        let reached = if alone { reached } else { head };
        self.own.insert(channel.clone(), Own { head, reached, said: now, reminded: 0, next });
        first
    }

    pub(crate) fn next(&self) -> Instant {
        self.own.values().map(|own| own.next).min().unwrap_or(Instant::NEVER)
    }

    /// The logs of which the others, a group of `size`, are to be reminded now.
    pub(crate) fn due(&mut self, size: usize, now: Instant) -> Vec<(ChannelName, u64)> {
        let mut due = Vec::new();
        for (channel, own) in self.own.iter_mut().filter(|(_, own)| own.next <= now) {
            due.push((channel.clone(), own.head));
            own.reminded += 1;
            let next = timing::remind(own.reminded, size);
            own.next = next.map_or(Instant::NEVER, |at| own.said + at);
        }
        due
    }

    /// In how many of them there is something that somebody may have.
    pub(crate) fn reached(&self) -> usize {
        self.own.values().filter(|own| own.reached > 0).count()
    }

    /// Those, and the number of the last message that somebody may have.
    pub(crate) fn all_reached(&self) -> impl Iterator<Item = (&ChannelName, u64)> {
        let reached = self.own.iter().map(|(channel, own)| (channel, own.reached));
        reached.filter(|(_, reached)| *reached > 0)
    }

    /// All of them, the one in which something was said last first.
    pub(crate) fn latest(&self) -> Vec<(&ChannelName, u64)> {
        let mut all: Vec<_> = self.own.iter().collect();
        order::sort_by_key(&mut all, |(_, own)| std::cmp::Reverse(own.said));
        all.into_iter().map(|(channel, own)| (channel, own.head)).collect()
    }
}

/// The numbers of this node's casts. Best effort: a channel that was forgotten for others begins
/// again behind all numbers that were ever used.
#[derive(Debug, Default)]
pub(crate) struct Casts {
    last: SmallMap<ChannelName, u64>,
    highest: u64,
    /// Where a channel begins.
    begin: u64,
}

impl Casts {
    /// Takes the next `count` numbers of a channel; returns the first.
    pub(crate) fn number(&mut self, channel: &ChannelName, count: u64) -> u64 {
        if self.last.len() >= limits::OWN_LOGS && !self.last.contains_key(channel) {
            self.last.clear();
            self.begin = self.highest;
        }
        let last = self.last.entry(channel.clone()).or_insert(self.begin);
        let first = *last + 1;
        *last += count;
        self.highest = self.highest.max(*last);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_reminded_after_the_last_message_until_announcements_do_it() {
        for (size, expected) in
            [(2, &[20, 100, 500][..]), (1_000, &[20, 100, 500, 1_000, 2_000, 4_000, 8_000])]
        {
            let (mut heads, lobby) = (Heads::new(Vec::new(), Instant::ZERO), ChannelName::lobby());
            let start = Instant::from_micros(1_000_000);
            assert_eq!(heads.say(&lobby, 3, false, start), 1);
            assert_eq!(heads.say(&lobby, 1, true, start), 4);
            let mut times = Vec::new();
            while heads.next() != Instant::NEVER {
                let now = heads.next();
                assert_eq!(heads.due(size, now), [(lobby.clone(), 4)]);
                times.push(now.since(start).as_millis());
            }
            assert_eq!(times, expected);
            assert_eq!(heads.latest(), [(&lobby, 4)]);
            assert_eq!(heads.all_reached().collect::<Vec<_>>(), [(&lobby, 3)]);
        }
    }
    #[test]
    fn the_first_entry_of_a_log_tells_of_the_run_before() {
        let lobby = ChannelName::lobby();
        let second = std::time::Duration::from_secs(1);
        let said = Earlier { run: 5, seq: 7, ago: second };
        let start = Instant::from_micros(1_000_000);
        let mut heads = Heads::new(vec![(lobby.clone(), said)], start);
        let other = "ops".parse().unwrap();
        assert_eq!(heads.earlier(&other, start), None);
        let now = start + second;
        assert_eq!(heads.earlier(&lobby, now), Some(Earlier { ago: 2 * second, ..said }));
        heads.say(&lobby, 1, false, now);
        assert_eq!(heads.earlier(&lobby, now), None);
    }

    #[test]
    fn what_is_kept_of_earlier_runs_counts_if_it_goes_further_than_what_they_have_left() {
        let (lobby, start) = (ChannelName::lobby(), Instant::from_micros(1_000_000));
        let ago = std::time::Duration::from_secs(9);
        let left = Earlier { run: 5, seq: 1, ago };
        for (kept, follows) in
            [((5, 4), (5, 4)), ((6, 1), (6, 1)), ((5, 1), (5, 1)), ((4, 9), (5, 1))]
        {
            let mut heads = Heads::new(vec![(lobby.clone(), left)], start);
            heads.resume(&lobby, Earlier { run: kept.0, seq: kept.1, ago }, start);
            let earlier = heads.earlier(&lobby, start).unwrap();
            assert_eq!((earlier.run, earlier.seq), follows, "{kept:?}");
        }
        let mut heads = Heads::new(Vec::new(), start);
        let (kept, later) = (Earlier { run: 5, seq: 3, ago }, start + ago / 9);
        heads.resume(&lobby, kept, later);
        assert_eq!(heads.earlier(&lobby, later), Some(kept));
    }
}
