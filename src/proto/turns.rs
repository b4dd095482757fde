//! When each of those who watch the same peer asks it: in turn.
//!
//! Where announcements are rare, a peer would be asked about as often by each of its watchers as if there were no
//! others, or by all of them at about the same time. So the one that is asked says how long ago another did: who
//! comes too soon after that one comes a little later the next time, and who comes too late a little sooner. So
//! they keep apart without a common clock.

use std::time::Duration;

use super::timing;
use crate::values::{Instant, NodeId, SmallMap};

/// When this node's turn comes to ask those whom it watches; at most [`timing::WATCHERS`] of them.
#[derive(Debug, Default)]
pub(crate) struct Turns(SmallMap<NodeId, Instant>);

impl Turns {
    /// A peer that this node watches and asked at `asked` has answered, and that another had asked it so
    /// long `ago`.
    pub(crate) fn answered(&mut self, id: NodeId, asked: Instant, ago: Option<Duration>) {
        self.0.insert(id, asked + timing::turn(ago));
    }

    /// When the turn comes to ask a peer, if it has answered before.
    pub(crate) fn next(&self, id: NodeId) -> Option<Instant> {
        self.0.get(&id).copied()
    }

    /// Only these are watched.
    pub(crate) fn retain(&mut self, watched: &[NodeId]) {
        self.0.retain(|id, _| watched.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest time between two questions of any of these, who begin at these times, and the mean.
    fn questions(begin: &[u64]) -> (Duration, Duration) {
        let (peer, start) = (NodeId([9; 32]), Instant::from_micros(1_000_000));
        let mut next: Vec<Instant> =
            begin.iter().map(|&ms| start + Duration::from_millis(ms)).collect();
        let mut turns: Vec<Turns> = begin.iter().map(|_| Turns::default()).collect();
        let mut asked: Vec<(Instant, usize)> = Vec::new();
        for _ in 0..120 {
            let who = (0..next.len()).min_by_key(|&n| next[n]).unwrap();
            let now = next[who];
            let another = asked.iter().rev().find(|(_, by)| *by != who);
            turns[who].answered(peer, now, another.map(|(at, _)| now.since(*at)));
            next[who] = turns[who].next(peer).unwrap();
            asked.push((now, who));
        }
        let times: Vec<Instant> = asked[59..].iter().map(|(at, _)| *at).collect();
        let longest = times.windows(2).map(|two| two[1].since(two[0])).max().unwrap();
        (longest, times[60].since(times[0]) / 60)
    }

    #[test]
    fn those_who_watch_one_peer_ask_it_in_turn_whenever_they_began() {
        let (ms, alone) = (Duration::from_millis, timing::turn(None));
        for begin in [[0, 0, 0], [0, 1, 2], [0, 10, 1_350], [0, 900, 1_800], [5, 0, 2_390]] {
            let (longest, mean) = questions(&begin);
            assert!(longest <= ms(1_250) && mean >= ms(750), "{begin:?}: {longest:?}, {mean:?}");
            let (longest, mean) = questions(&begin[..2]);
            assert!(longest <= ms(1_250) && mean >= ms(1_100), "{begin:?}: {longest:?}, {mean:?}");
        }
        assert_eq!(questions(&[0]), (alone, alone));
    }

    #[test]
    fn who_is_watched_no_more_is_forgotten() {
        let mut turns = Turns::default();
        for n in 0..10 {
            turns.answered(NodeId([n; 32]), Instant::ZERO, None);
        }
        turns.retain(&[NodeId([3; 32])]);
        assert_eq!(turns.next(NodeId([3; 32])), Some(Instant::ZERO + timing::turn(None)));
        assert_eq!(turns.next(NodeId([4; 32])), None);
    }
}
