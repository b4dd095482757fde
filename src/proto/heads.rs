//! This node's own logs: how far each goes, and when the others are reminded of it.
//!
//! A lost entry is noticed by the next one; the last of a burst has no next one, so its number is
//! said again a few times ([`timing::remind`]), and with every announcement (RFC 5740 §5.1.2 flushes
//! the end of a transmission for the same reason).

use super::timing;
use crate::values::{ChannelName, Instant, SmallMap, limits, order};

#[derive(Clone, Copy, Debug)]
struct Own {
    head: u64,
    /// When something was said there last.
    said: Instant,
    /// How often the others were reminded since.
    reminded: usize,
    next: Instant,
}

/// The logs in which this node has said something in this run; at most [`limits::OWN_LOGS`].
#[derive(Debug, Default)]
pub(crate) struct Heads(SmallMap<ChannelName, Own>);

impl Heads {
    /// Whether something can be said in a channel.
    pub(crate) fn has_room(&self, channel: &ChannelName) -> bool {
        self.0.len() < limits::OWN_LOGS || self.0.contains_key(channel)
    }

    /// The number of the last message.
    pub(crate) fn head(&self, channel: &ChannelName) -> u64 {
        self.0.get(channel).map_or(0, |own| own.head)
    }

    /// Something was said; takes its `count` numbers and returns the first.
    pub(crate) fn say(&mut self, channel: &ChannelName, count: u64, now: Instant) -> u64 {
        let first = self.head(channel) + 1;
        // The size of the group has no part in the first time.
        let next = timing::remind(0, 0).map_or(Instant::NEVER, |at| now + at);
        let head = first + count - 1;
        self.0.insert(channel.clone(), Own { head, said: now, reminded: 0, next });
        first
    }

    pub(crate) fn next(&self) -> Instant {
        self.0.values().map(|own| own.next).min().unwrap_or(Instant::NEVER)
    }

    /// The logs of which the others, a group of `size`, are to be reminded now.
    pub(crate) fn due(&mut self, size: usize, now: Instant) -> Vec<(ChannelName, u64)> {
        let mut due = Vec::new();
        for (channel, own) in self.0.iter_mut().filter(|(_, own)| own.next <= now) {
            due.push((channel.clone(), own.head));
            own.reminded += 1;
            let next = timing::remind(own.reminded, size);
            own.next = next.map_or(Instant::NEVER, |at| own.said + at);
        }
        due
    }

    /// All of them, the one in which something was said last first.
    pub(crate) fn latest(&self) -> Vec<(&ChannelName, u64)> {
        let mut all: Vec<_> = self.0.iter().collect();
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
            let (mut heads, lobby) = (Heads::default(), ChannelName::lobby());
            let start = Instant::from_micros(1_000_000);
            assert_eq!(heads.say(&lobby, 3, start), 1);
            assert_eq!(heads.say(&lobby, 1, start), 4);
            let mut times = Vec::new();
            while heads.next() != Instant::NEVER {
                let now = heads.next();
                assert_eq!(heads.due(size, now), [(lobby.clone(), 4)]);
                times.push(now.since(start).as_millis());
            }
            assert_eq!(times, expected);
            assert_eq!(heads.latest(), [(&lobby, 4)]);
        }
    }
}
