//! How fast this node says things: not faster than a LAN should carry for one host, nor than those
//! who listen can take in.
//!
//! Two brakes. The *pace* is a rate for all channels together. The *window* is for each channel how
//! far a listener may be behind: as long as somebody asks for what was said more than
//! [`limits::WINDOW`] bytes ago, nothing more is said there. A listener that does not get on within
//! [`timing::PATIENCE`] is waited for no longer, until it does. (A window and not a rate that
//! follows losses: where a fifth of all datagrams is lost to the air, saying less loses no less.)
//!
//! A `cast` is not held: it is for high rates, and best effort.

use std::collections::VecDeque;
use std::time::Duration;

use super::timing;
use crate::values::{ChannelName, Instant, NodeId, SmallMap, limits};

/// A listener that has asked for something.
#[derive(Clone, Copy, Debug)]
struct Behind {
    /// The first number that it misses.
    lowest: u64,
    /// Since when it misses that.
    since: Instant,
    /// When it asked last.
    asked: Instant,
}

#[derive(Debug, Default)]
struct Window {
    /// The last entries, which may be missing: first number, and bytes said up to there.
    said: VecDeque<(u64, u64)>,
    bytes: u64,
    behind: SmallMap<NodeId, Behind>,
}

/// What was said lately, and who is behind.
#[derive(Debug)]
pub(crate) struct Flow {
    rate: u64,
    /// Bytes said and not yet paid for, at that time.
    owed: u64,
    at: Instant,
    windows: SmallMap<ChannelName, Window>,
}

impl Flow {
    pub(crate) fn new(now: Instant) -> Self {
        Self { rate: limits::SAY_RATE, owed: 0, at: now, windows: SmallMap::new() }
    }

    /// Says so many bytes a second at most from now on.
    pub(crate) fn set_rate(&mut self, rate: u64, now: Instant) {
        (self.owed, self.at) = (self.owed(now), now);
        self.rate = rate.max(1);
    }

    fn owed(&self, now: Instant) -> u64 {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.owed.saturating_sub(micros.saturating_mul(self.rate) / 1_000_000)
    }

    /// An entry goes out.
    pub(crate) fn said(&mut self, channel: &ChannelName, first: u64, bytes: usize, now: Instant) {
        (self.owed, self.at) = (self.owed(now) + bytes as u64, now);
        if self.windows.len() >= limits::WINDOWS && !self.windows.contains_key(channel) {
            self.windows.retain(|_, window| !window.behind.is_empty());
            if self.windows.len() >= limits::WINDOWS {
                return; // hundreds of channels at once: this one is not held
            }
        }
        let window = self.windows.entry(channel.clone()).or_default();
        window.said.push_back((first, window.bytes));
        window.bytes += bytes as u64;
        while window.said.front().is_some_and(|(_, at)| window.bytes - at > 2 * limits::WINDOW) {
            window.said.pop_front();
        }
    }

    /// An entry goes out again.
    pub(crate) fn repaired(&mut self, bytes: usize, now: Instant) {
        (self.owed, self.at) = (self.owed(now) + bytes as u64, now);
    }

    /// A listener asks for what it misses, from `lowest` on.
    pub(crate) fn wanted(&mut self, channel: &ChannelName, by: NodeId, lowest: u64, now: Instant) {
        let Some(window) = self.windows.get_mut(channel) else { return };
        if window.behind.len() >= limits::BEHIND && !window.behind.contains_key(&by) {
            return;
        }
        let behind = window.behind.entry(by).or_insert(Behind { lowest, since: now, asked: now });
        if lowest > behind.lowest {
            (behind.lowest, behind.since) = (lowest, now);
        }
        behind.asked = now;
    }

    /// When the next thing may be said in a channel; `None`: now.
    pub(crate) fn holds_until(&mut self, channel: &ChannelName, now: Instant) -> Option<Instant> {
        let over = self.owed(now).checked_sub(limits::SAY_BURST).filter(|over| *over > 0);
        // Rounded up, so that at that time it is over.
        let paced = over.map(|over| now + Duration::from_micros(over * 1_000_000 / self.rate + 1));
        let windowed = self.windows.get_mut(channel).and_then(|window| window.holds_until(now));
        paced.max(windowed)
    }
}

impl Window {
    fn holds_until(&mut self, now: Instant) -> Option<Instant> {
        self.behind.retain(|_, behind| now.since(behind.asked) < timing::BEHIND);
        let far = |lowest: u64| {
            // The entry that carries the number begins at it or before; one that is not kept here
            // any more is further away than the window.
            let behind = self.said.partition_point(|(first, _)| *first <= lowest);
            let entry = behind.checked_sub(1).and_then(|at| self.said.get(at));
            entry.is_none_or(|(_, at)| self.bytes - at > limits::WINDOW)
        };
        let waits = self.behind.values().filter(|behind| far(behind.lowest)).filter_map(|behind| {
            let (asks, patience) = (behind.asked + timing::BEHIND, behind.since + timing::PATIENCE);
            Some(asks.min(patience)).filter(|until| *until > now)
        });
        waits.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);
    const OTHER: NodeId = NodeId([2; 32]);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1_000)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (mut now, mut flow, lobby) = (at(0), Flow::new(at(0)), ChannelName::lobby());
        let mut said = 0;
        while now.since(at(0)) < Duration::from_secs(10) {
            match flow.holds_until(&lobby, now) {
                None => {
                    said += 1;
                    flow.said(&lobby, said, 1_000, now);
                }
                Some(until) => {
                    assert!(until > now);
                    now = until;
                    assert_eq!(flow.holds_until(&lobby, now), None, "it ends when it says");
                }
            }
        }
        let most = (limits::SAY_BURST + 10 * limits::SAY_RATE) / 1_000;
        assert!((most - 10..most + 10).contains(&said), "{said} of {most}");
    }

    #[test]
    fn who_is_far_behind_is_waited_for_as_long_as_it_gets_on() {
        let (mut flow, lobby) = (Flow::new(at(0)), ChannelName::lobby());
        let entries = limits::WINDOW / 1_000;
        for seq in 1..=entries {
            flow.said(&lobby, seq, 1_000, at(0));
        }
        let later = at(60_000);
        flow.wanted(&lobby, PEER, 1, later);
        assert_eq!(flow.holds_until(&lobby, later), None, "it is within the window");
        flow.said(&lobby, entries + 1, 1_000, later);
        let held = flow.holds_until(&lobby, later);
        assert!(held.is_some_and(|until| until <= later + timing::BEHIND));
        flow.wanted(&lobby, PEER, 3, later);
        assert_eq!(flow.holds_until(&lobby, later), None, "it has got on");
        assert_eq!(flow.holds_until(&"ops".parse().unwrap(), later), None);
    }

    #[test]
    fn who_does_not_get_on_is_not_waited_for_and_others_still_are() {
        let (mut flow, lobby) = (Flow::new(at(0)), ChannelName::lobby());
        for seq in 1..=2 * limits::WINDOW / 1_000 {
            flow.said(&lobby, seq, 1_000, at(0));
        }
        let (mut now, mut held) = (60_000, 0);
        while now < 120_000 {
            flow.wanted(&lobby, PEER, 1, at(now));
            held += u64::from(flow.holds_until(&lobby, at(now)).is_some());
            now += 50;
        }
        assert!(held * 50 <= timing::PATIENCE.as_millis() as u64 + 50, "{held}");
        flow.wanted(&lobby, OTHER, 2, at(now));
        assert!(flow.holds_until(&lobby, at(now)).is_some());
        now += timing::BEHIND.as_millis() as u64;
        assert_eq!(flow.holds_until(&lobby, at(now)), None, "who asks no more has it");
    }
}
