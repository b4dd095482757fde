//! What a node has said last in each channel: a file in the state folder beside its key, so that the next
//! run can tell what it follows.
//!
//! What nobody was there to hear, and nobody keeps, is left out. It is written when the node begins to
//! speak in a channel, now and then, and when it stops: a node that
//! is killed leaves a number that it had reached at least.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::identity::replace;
use crate::net::Clock;
use crate::values::{ChannelName, Epoch, Group, NodeId, WallTime, limits, order};
use crate::wire::Earlier;

/// The last that was said somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    run: Epoch,
    seq: u64,
    at: WallTime,
}

/// At most [`limits::OWN_LOGS`] logs, of all groups together: the latest.
#[derive(Debug)]
pub(super) struct Spoken {
    path: PathBuf,
    id: NodeId,
    group: String,
    run: Epoch,
    logs: BTreeMap<(String, ChannelName), Last>,
    /// In how many channels something has been said in this run, as far as it was kept.
    kept: usize,
}

impl Spoken {
    /// What earlier runs of the node have left at `path`. What another identity has left there is of no
    /// interest.
    pub(super) fn load(path: PathBuf, id: NodeId, group: Group, run: Epoch) -> Self {
        let group = group.to_string();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = text.lines();
        let is_own = lines.next().is_some_and(|line| line.parse() == Ok(id));
        let logs = lines.filter(|_| is_own).filter_map(log).take(limits::OWN_LOGS).collect();
        Self { path, id, group, run, logs, kept: 0 }
    }

    /// What was said last in each channel of the group, seen from now. Where the clock has been put back
    /// since, nobody can tell how long ago it was.
    pub(super) fn earlier(&self, now: WallTime) -> Vec<(ChannelName, Earlier)> {
        let here = self.logs.iter().filter(|((group, _), _)| *group == self.group);
        let earlier = here.filter_map(|((_, channel), last)| {
            let ago = Duration::from_millis(now.0.checked_sub(last.at.0)?);
            Some((channel.clone(), Earlier { run: last.run, seq: last.seq, ago }))
        });
        earlier.filter(|(_, earlier)| earlier.run < self.run).collect()
    }

    /// In how many channels it is kept that something was said in this run.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Keeps how far this run has got in each channel.
    pub(super) fn note<'a>(&mut self, spoken: impl IntoIterator<Item = (&'a ChannelName, u64)>) {
        let mut news = false;
        self.kept = 0;
        for (channel, seq) in spoken {
            self.kept += 1;
            let last = Last { run: self.run, seq, at: Clock::wall() };
            let before = self.logs.get(&(self.group.clone(), channel.clone()));
            if before.is_none_or(|before| (before.run, before.seq) != (last.run, last.seq)) {
                self.logs.insert((self.group.clone(), channel.clone()), last);
                news = true;
            }
        }
        if news {
            self.forget_oldest();
            // Only a help: where it can't be written, the next run tells of no other.
            let _ = self.write();
        }
    }

    fn forget_oldest(&mut self) {
        let mut times: Vec<WallTime> = self.logs.values().map(|last| last.at).collect();
        if let Some(most) = times.len().checked_sub(limits::OWN_LOGS + 1) {
            order::sort_by(&mut times, Ord::cmp);
            let oldest = times[most];
            self.logs.retain(|_, last| last.at > oldest);
        }
    }

    fn write(&self) -> io::Result<()> {
        replace(&self.path, |file| {
            writeln!(file, "{}", self.id)?;
            for ((group, channel), Last { run, seq, at }) in &self.logs {
                writeln!(file, "{group} {channel} {run} {seq} {}", at.0)?;
            }
            Ok(())
        })
    }
}

fn log(line: &str) -> Option<((String, ChannelName), Last)> {
    let mut words = line.split(' ');
    let (group, channel) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let mut number = || words.next()?.parse::<u64>().ok().filter(|&number| number < u64::MAX / 2);
    let (run, seq, at) = (number()?, number()?, WallTime(number()?));
    Some(((group, channel), Last { run, seq: seq.max(1), at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NodeId = NodeId([7; 32]);

    fn file(name: &str) -> PathBuf {
        let name = format!("cooee-spoken-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        path
    }

    fn load(path: &std::path::Path, run: Epoch) -> Spoken {
        Spoken::load(path.to_owned(), ID, Group::DEFAULT, run)
    }

    #[test]
    fn the_next_run_knows_what_was_said_last_in_each_channel_and_when() {
        let path = file("next");
        let (lobby, ops) = (ChannelName::lobby(), "ops".parse().unwrap());
        let mut first = load(&path, 5);
        first.note([(&lobby, 1)]);
        first.note([(&lobby, 9), (&ops, 2)]);
        assert_eq!(first.kept(), 2);
        let mut second = load(&path, 6);
        second.note([(&ops, 1)]);
        let third = load(&path, 7);
        let later = WallTime(Clock::wall().0 + 60_000);
        let earlier = third.earlier(later);
        let what: Vec<_> = earlier.iter().map(|(c, e)| (c.as_str(), e.run, e.seq)).collect();
        assert_eq!(what, [("lobby", 5, 9), ("ops", 6, 1)]);
        assert!(earlier.iter().all(|(_, earlier)| earlier.ago >= Duration::from_secs(60)));
        assert_eq!(third.earlier(WallTime(1_000)), [], "the clock was put back");
        assert_eq!(
            load(&path, 5).earlier(later),
            [],
            "nor does a run follow itself or a later one"
        );
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn neither_another_identity_nor_another_group_nor_rubbish_is_believed() {
        let path = file("odd");
        load(&path, 5).note([(&ChannelName::lobby(), 3)]);
        let later = WallTime(u64::MAX / 4);
        let other = Spoken::load(path.clone(), NodeId([8; 32]), Group::DEFAULT, 6);
        assert_eq!(other.earlier(later), []);
        let elsewhere = Spoken::load(path.clone(), ID, "239.1.1.1:7".parse().unwrap(), 6);
        assert_eq!(elsewhere.earlier(later), []);
        let group = Group::DEFAULT;
        let line = |words: &str| format!("{ID}\n{group} {words}\n");
        for odd in ["", "lobby", "lobby 1 2", "lobby x 2 3", "a b 1 2 3", "lobby 9 2 3"] {
            fs::write(&path, line(odd)).unwrap();
            assert_eq!(load(&path, 6).earlier(later), [], "{odd}");
        }
        fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(load(&path, 6).earlier(later), []);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn only_the_latest_logs_are_kept() {
        let path = file("many");
        let line = |n| format!("{} c{n} 1 1 {}\n", Group::DEFAULT, 1_000 + n);
        let lines: String = (0..limits::OWN_LOGS).map(line).collect();
        fs::write(&path, format!("{ID}\n{lines}")).unwrap();
        let mut spoken = load(&path, 5);
        spoken.note([(&ChannelName::lobby(), 1)]);
        let earlier = load(&path, 6).earlier(WallTime(u64::MAX / 4));
        assert_eq!(earlier.len(), limits::OWN_LOGS);
        let knows = |name: &str| earlier.iter().any(|(channel, _)| channel.as_str() == name);
        assert!(knows("lobby") && knows("c1") && !knows("c0"));
        fs::remove_file(path).unwrap();
    }
}
