//! Which of this node's own entries it sends once more, unasked.
//!
//! Among many listeners that each lose a little, nearly every entry is lost by somebody: it is asked
//! for and sent again, and the requests are what could be spared. So while three quarters of the
//! latest entries had to be sent again to all, each is sent twice, [`timing::AGAIN`] apart, and says
//! so, so that nobody asks for it before. (RFC 5740 calls that proactive repair, and sends parity;
//! here it is the entry itself, because everyone is to be able to keep it and pass it on.) Every
//! eighth entry is said once all the same: how many of those are asked for tells when this is to end.

use std::collections::VecDeque;

use super::timing;
use crate::values::{ChannelName, Instant, limits};

/// The share of entries that are asked for at which sending twice begins, and the one at which it
/// ends: halfway it costs as much as it saves.
const BEGIN: f64 = 0.75;
const END: f64 = 0.5;

/// How much one entry counts.
const WEIGHT: f64 = 1.0 / 16.0;

/// While entries are sent twice, one in so many is not.
const SAMPLE: u64 = 8;

/// An entry that was sent once.
#[derive(Debug)]
struct Watched {
    channel: ChannelName,
    seq: u64,
    said: Instant,
    asked: bool,
}

/// What is to be sent once more, and what becomes of that which is not.
#[derive(Debug)]
pub(crate) struct Repeats {
    due: VecDeque<(Instant, ChannelName, u64)>,
    watched: VecDeque<Watched>,
    /// Of the entries that were sent once, how many had to be sent again to all.
    share: f64,
    twice: bool,
    count: u64,
    /// When something was said last.
    said: Instant,
}

impl Repeats {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            due: VecDeque::new(),
            watched: VecDeque::new(),
            share: 0.0,
            twice: false,
            count: 0,
            said: now,
        }
    }

    /// Whether the next entry is to be sent twice.
    pub(crate) fn next_is_twice(&mut self, now: Instant) -> bool {
        if now.since(self.said) > timing::AGAIN_FORGET {
            // Whoever listened and lost things then may not be there any more.
            *self = Self::new(now);
        }
        self.learn(now);
        self.twice && !self.count.is_multiple_of(SAMPLE) && self.due.len() < limits::REPEATS
    }

    /// An entry that begins with this number has gone out.
    pub(crate) fn said(&mut self, channel: &ChannelName, seq: u64, twice: bool, now: Instant) {
        (self.said, self.count) = (now, self.count + 1);
        if twice {
            self.due.push_back((now + timing::AGAIN, channel.clone(), seq));
        } else if self.watched.len() < limits::WATCHED {
            self.watched.push_back(Watched {
                channel: channel.clone(),
                seq,
                said: now,
                asked: false,
            });
        }
    }

    /// An entry had to be sent again to all.
    pub(crate) fn asked(&mut self, channel: &ChannelName, seq: u64) {
        let watched = self.watched.iter_mut().find(|w| w.seq == seq && w.channel == *channel);
        if let Some(watched) = watched {
            watched.asked = true;
        }
    }

    /// What becomes of an entry shows soon, or not at all.
    fn learn(&mut self, now: Instant) {
        while let Some(first) = self.watched.front()
            && now.since(first.said) >= timing::AGAIN_LEARN
        {
            let asked = if first.asked { 1.0 } else { 0.0 };
            self.share += (asked - self.share) * WEIGHT;
            self.twice = self.share >= if self.twice { END } else { BEGIN };
            self.watched.pop_front();
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.due.front().map_or(Instant::NEVER, |(at, ..)| *at)
    }

    /// The next entry that is to be sent once more now.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(ChannelName, u64)> {
        self.due.front().filter(|(at, ..)| *at <= now)?;
        self.due.pop_front().map(|(_, channel, seq)| (channel, seq))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOBBY: fn() -> ChannelName = ChannelName::lobby;

    /// Says `count` entries, one every 5 ms, of which those that `is_asked` names are asked for
    /// if they are sent once; returns how many were sent twice.
    fn talk(
        repeats: &mut Repeats,
        now: &mut Instant,
        count: u64,
        is_asked: fn(u64) -> bool,
    ) -> usize {
        let mut twice = 0;
        for seq in 1..=count {
            *now = *now + Duration::from_millis(5);
            let again = repeats.next_is_twice(*now);
            repeats.said(&LOBBY(), seq, again, *now);
            twice += usize::from(again);
            if again {
                let sent = std::iter::from_fn(|| repeats.pop(*now + timing::AGAIN)).count();
                assert_eq!(sent, 1);
            } else if is_asked(seq) {
                repeats.asked(&LOBBY(), seq);
            }
        }
        twice
    }

    #[test]
    fn while_nearly_all_are_asked_for_each_is_sent_twice() {
        let (mut repeats, mut now) = (Repeats::new(Instant::ZERO), Instant::ZERO);
        assert_eq!(
            talk(&mut repeats, &mut now, 1_000, |seq| seq % 2 == 0),
            0,
            "half is too little"
        );
        let twice = talk(&mut repeats, &mut now, 1_000, |seq| seq % 10 != 0);
        assert!((820..875).contains(&twice), "{twice}");
    }

    #[test]
    fn when_losses_end_it_ends() {
        let (mut repeats, mut now) = (Repeats::new(Instant::ZERO), Instant::ZERO);
        talk(&mut repeats, &mut now, 200, |_| true);
        let twice = talk(&mut repeats, &mut now, 1_000, |_| false);
        assert!((50..150).contains(&twice), "{twice}");
        talk(&mut repeats, &mut now, 200, |_| true);
        now = now + timing::AGAIN_FORGET + timing::AGAIN;
        assert!(!repeats.next_is_twice(now), "that was long ago");
    }

    #[test]
    fn a_burst_of_which_few_are_asked_for_is_no_reason() {
        let (mut repeats, now) = (Repeats::new(Instant::ZERO), Instant::ZERO);
        for seq in 1..=10_000 {
            assert!(!repeats.next_is_twice(now));
            repeats.said(&LOBBY(), seq, false, now);
        }
        for seq in (1..=10_000).step_by(10) {
            repeats.asked(&LOBBY(), seq);
        }
        assert!(!repeats.next_is_twice(now + timing::AGAIN_LEARN));
        assert!(repeats.watched.len() <= limits::WATCHED);
    }

    #[test]
    fn what_waits_to_be_sent_again_is_bounded() {
        let (mut repeats, mut now) = (Repeats::new(Instant::ZERO), Instant::ZERO);
        talk(&mut repeats, &mut now, 200, |_| true);
        for seq in 1..=100_000 {
            let twice = repeats.next_is_twice(now);
            repeats.said(&LOBBY(), seq, twice, now);
        }
        assert_eq!(repeats.due.len(), limits::REPEATS);
    }
}
