//! The logs that are followed, and when something is due in one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::log::Log;
use super::timing;
use crate::values::{ChannelName, Instant, limits, order};
use crate::wire::Sender;

/// Whose log, of which run and channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LogName {
    pub(crate) channel: ChannelName,
    pub(crate) author: Sender,
}

#[derive(Debug)]
struct Followed {
    log: Log,
    due: Instant,
    used: Instant,
}

/// At most [`limits::AUTHORS`] logs. When there is no room, the eighth part that was used least
/// recently is forgotten, and from then on a log that was not known is followed from where it is:
/// it may be one of those.
#[derive(Debug)]
pub(crate) struct Logs {
    map: BTreeMap<LogName, Followed>,
    due: BTreeSet<(Instant, LogName)>,
    waiting_bytes: usize,
    forgotten: u64,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { map: BTreeMap::new(), due: BTreeSet::new(), waiting_bytes: 0, forgotten: 0 }
    }

    pub(crate) fn get(&self, name: &LogName) -> Option<&Log> {
        self.map.get(name).map(|followed| &followed.log)
    }

    /// Whether some logs were forgotten for want of room.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// Bytes that may still wait for their turn.
    pub(crate) fn room(&self) -> usize {
        limits::EARLY_BYTES.saturating_sub(self.waiting_bytes)
    }

    /// Follows a log that is not followed yet.
    pub(crate) fn follow(&mut self, name: &LogName, log: Log, now: Instant) {
        if self.map.len() >= limits::AUTHORS {
            self.forget_some();
        }
        self.map.insert(name.clone(), Followed { log, due: Instant::NEVER, used: now });
        self.update(name, now, |_| ());
    }

    fn forget_some(&mut self) {
        let mut by_use: Vec<(Instant, &LogName)> =
            self.map.iter().map(|(name, followed)| (followed.used, name)).collect();
        let few = by_use.len() / 8;
        order::sort_by(&mut by_use, Ord::cmp);
        let names: Vec<LogName> = by_use[..few].iter().map(|(_, name)| (*name).clone()).collect();
        self.forgotten += names.len() as u64;
        for name in names {
            self.forget(&name);
        }
    }

    /// Follows a log no more.
    pub(crate) fn forget(&mut self, name: &LogName) {
        if let Some(followed) = self.map.remove(name) {
            self.waiting_bytes -= followed.log.waiting_bytes();
            self.due.remove(&(followed.due, name.clone()));
        }
    }

    /// Forgets all logs of a channel.
    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        let names: Vec<LogName> = self.of(channel).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.forget(&name);
        }
    }

    /// Changes a log, if it is followed, and keeps count of what is due in it.
    pub(crate) fn update<R>(
        &mut self,
        name: &LogName,
        now: Instant,
        change: impl FnOnce(&mut Log) -> R,
    ) -> Option<R> {
        let followed = self.map.get_mut(name)?;
        let before = followed.log.waiting_bytes();
        let result = change(&mut followed.log);
        self.waiting_bytes = self.waiting_bytes + followed.log.waiting_bytes() - before;
        followed.used = now;
        let begins = followed.log.begins().unwrap_or(Instant::NEVER);
        let due = followed.log.gaps.next().min(gives_up(&followed.log)).min(begins);
        if due != followed.due {
            self.due.remove(&(followed.due, name.clone()));
            followed.due = due;
            if due != Instant::NEVER {
                self.due.insert((due, name.clone()));
            }
        }
        Some(result)
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Instant {
        self.due.first().map_or(Instant::NEVER, |(due, _)| *due)
    }

    /// A log in which something is due, and its author.
    pub(crate) fn due(&self, now: Instant) -> Option<LogName> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, name)| name.clone())
    }

    /// The logs of a channel.
    pub(crate) fn of<'a>(
        &'a self,
        channel: &ChannelName,
    ) -> impl Iterator<Item = (&'a LogName, &'a Log)> + use<'a> {
        let least = Sender { id: crate::values::NodeId([0; 32]), epoch: 0 };
        let first = LogName { channel: channel.clone(), author: least };
        let channel = channel.clone();
        self.map
            .range(first..)
            .take_while(move |(name, _)| name.channel == channel)
            .map(|(name, followed)| (name, &followed.log))
    }

    /// Whether nothing is known to be missing of the author's earlier runs in the channel.
    pub(crate) fn is_next_run(&self, name: &LogName) -> bool {
        self.earlier(name).all(|(_, log)| log.gaps.is_empty())
    }

    /// The author's earlier runs in the channel, in order.
    fn earlier(&self, name: &LogName) -> impl Iterator<Item = (&LogName, &Log)> {
        let first = LogName { author: Sender { epoch: 0, ..name.author }, ..name.clone() };
        self.map.range(&first..name).map(|(name, followed)| (name, &followed.log))
    }

    /// Those of them in which something waits for runs before.
    pub(crate) fn waiting_before(&self, name: &LogName) -> Vec<LogName> {
        let waiting = self.earlier(name).filter(|(_, log)| log.begins().is_some());
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// The author's next run in the channel in which something waits for the earlier ones.
    pub(crate) fn waiting_run(&self, name: &LogName) -> Option<LogName> {
        let later = self.map.range((Bound::Excluded(name), Bound::Unbounded));
        let runs = later.take_while(|(later, _)| {
            (later.author.id, &later.channel) == (name.author.id, &name.channel)
        });
        let mut waiting = runs.filter(|(_, followed)| followed.log.begins().is_some());
        waiting.next().map(|(name, _)| name.clone())
    }

    /// The logs of a channel in which something waits for earlier runs, in order.
    pub(crate) fn waiting(&self, channel: &ChannelName) -> Vec<LogName> {
        let waiting = self.of(channel).filter(|(_, log)| log.begins().is_some());
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// The logs in which something is missing.
    pub(crate) fn incomplete(&self) -> Vec<LogName> {
        self.due.iter().map(|(_, name)| name.clone()).collect()
    }
}

/// When the first gap of a log is given up: not while entries before it wait for the log to begin.
pub(crate) fn gives_up(log: &Log) -> Instant {
    let Some((_, gap)) = log.gaps.first().filter(|_| log.begins().is_none()) else {
        return Instant::NEVER;
    };
    (gap.since.max(log.progress) + timing::GIVE_UP).min(gap.since + timing::GIVE_UP_AT_LAST)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::log::Word;
    use super::*;
    use crate::values::NodeId;
    use crate::wire::Span;

    fn name(n: u64, channel: &str) -> LogName {
        let id = NodeId(std::array::from_fn(|i| (n >> (i % 8 * 8)) as u8));
        LogName { channel: channel.parse().unwrap(), author: Sender { id, epoch: 1 } }
    }

    #[test]
    fn what_is_due_is_found_and_the_limit_holds() {
        let mut logs = Logs::new();
        let now = Instant::ZERO + Duration::from_secs(1);
        for n in 0..3 * limits::AUTHORS as u64 {
            let name = name(n, "lobby");
            logs.follow(&name, Log::new(0, Word::Authors, now), now + Duration::from_micros(n));
            let (ask, bytes) = (now + Duration::from_millis(n), Arc::from(*b"x"));
            logs.update(&name, now + Duration::from_micros(n), |log| {
                log.take(Span { from: 2, to: 2 }, &bytes, usize::MAX, now, ask)
            });
            assert!(logs.map.len() <= limits::AUTHORS);
            assert_eq!(logs.waiting_bytes, logs.map.len());
        }
        assert!(logs.has_forgotten());
        let first = logs.due(logs.next()).unwrap();
        logs.update(&first, now, |log| log.give_up(now));
        assert_ne!(logs.due(Instant::NEVER), Some(first));
    }

    #[test]
    fn runs_wait_for_what_is_missing_of_earlier_ones_of_their_author_and_channel() {
        let (mut logs, now) = (Logs::new(), Instant::ZERO);
        let run = |n, channel, epoch| {
            let name = name(n, channel);
            LogName { author: Sender { epoch, ..name.author }, ..name }
        };
        for (name, head) in [
            (run(1, "a", 1), 1),
            (run(1, "a", 2), 0),
            (run(1, "a", 3), 0),
            (run(1, "b", 4), 0),
            (run(2, "a", 5), 0),
        ] {
            logs.follow(&name, Log::new(0, Word::Authors, now), now);
            logs.update(&name, now, |log| log.learn(head, Word::Hearsay, now, now));
            let wait = (!logs.is_next_run(&name)).then_some(Instant::NEVER);
            logs.update(&name, now, |log| log.begin(wait, now));
        }
        let waits = |logs: &Logs, name: &LogName| logs.get(name).unwrap().begins().is_some();
        let held: Vec<_> = logs.map.keys().filter(|name| waits(&logs, name)).collect();
        assert_eq!(held, [&run(1, "a", 2), &run(1, "a", 3)]);
        assert_eq!(logs.waiting_run(&run(1, "a", 1)), Some(run(1, "a", 2)));
        assert_eq!(logs.waiting_run(&run(1, "a", 3)), None);
    }

    #[test]
    fn a_channel_is_left_with_all_its_logs() {
        let mut logs = Logs::new();
        for n in 0..10 {
            for channel in ["a", "b", "c"] {
                logs.follow(
                    &name(n, channel),
                    Log::new(0, Word::Authors, Instant::ZERO),
                    Instant::ZERO,
                );
            }
        }
        let b = "b".parse().unwrap();
        assert_eq!(logs.of(&b).count(), 10);
        logs.leave(&b);
        assert_eq!((logs.of(&b).count(), logs.map.len()), (0, 20));
    }
}
