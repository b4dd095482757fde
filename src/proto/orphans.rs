//! The logs of those who are gone, and whether the others have the same.
//!
//! Who is present says itself how far its logs go. Of those who have left, died or started again
//! somebody else has to: each says, in its announcements, in one number what it knows of the latest
//! [`limits::ORPHANS`] of a channel. Who hears another number for a while asks for the list behind
//! it. (A digest and then the list, as with the rosters of peers; the latest by the time at which
//! their authors started, which is the same for all.)

use std::collections::VecDeque;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::recent::Recent;
use super::timing;
use crate::values::{ChannelName, Instant, NodeId, SmallMap, limits};
use crate::wire::{Sender, Stretch};

/// Own numbers that are remembered: who says one of them is only behind.
const REMEMBERED: usize = 8;

/// The number for a set of logs and how far each goes; 0 for none.
pub(crate) fn digest(logs: &[(Sender, u64)]) -> u64 {
    logs.iter().fold(0, |digest, (author, done)| {
        let hash = Sha256::new()
            .chain_update(author.id.0)
            .chain_update(author.epoch.to_be_bytes())
            .chain_update(done.to_be_bytes())
            .finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        digest ^ u64::from_be_bytes(bytes)
    })
}

/// The latest of them.
pub(crate) fn latest(mut logs: Vec<(Sender, u64)>) -> Vec<(Sender, u64)> {
    logs.sort_unstable_by_key(|(author, _)| (std::cmp::Reverse(author.epoch), author.id));
    logs.truncate(limits::ORPHANS);
    logs
}

#[derive(Debug)]
struct Question {
    whom: NodeId,
    nonce: u64,
    theirs: u64,
    /// How often it was asked, and when it is to be asked again.
    tries: u8,
    again: Instant,
    pages: SmallMap<u32, Vec<Stretch>>,
}

/// A question that is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Of a peer that has had this other number for long enough.
    First { whom: NodeId, theirs: u64 },
    /// Of a peer that has not answered, with the same number as before.
    Again { whom: NodeId, nonce: u64 },
}

#[derive(Debug, Default)]
struct Channel {
    /// The last numbers of this node's own.
    mine: VecDeque<u64>,
    /// Who has another number, and when it is to be asked about it.
    suspect: Option<(NodeId, u64, Instant)>,
    question: Option<Question>,
}

/// Comparing with others, for each channel.
#[derive(Debug)]
pub(crate) struct Orphans {
    channels: SmallMap<ChannelName, Channel>,
    /// What a peer said and this node had when they were compared last: nothing came of comparing
    /// the same again.
    compared: Recent<(NodeId, ChannelName), (u64, u64)>,
}

impl Orphans {
    pub(crate) fn new() -> Self {
        Self { channels: SmallMap::new(), compared: Recent::new(limits::SOURCES) }
    }

    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        self.channels.remove(channel);
    }

    /// This node's own number, just now.
    pub(crate) fn note_own(&mut self, channel: &ChannelName, digest: u64) {
        let mine = &mut self.channels.entry(channel.clone()).or_default().mine;
        if mine.back() != Some(&digest) {
            mine.push_back(digest);
            if mine.len() > REMEMBERED {
                mine.pop_front();
            }
        }
    }

    /// A peer's run is over: lists that told of its log were not followed while it was there, and are
    /// to be now.
    pub(crate) fn run_ended(&mut self) {
        self.compared = Recent::new(limits::SOURCES);
    }

    /// A peer's number. If it is another than this node's for as long as `wait`, it is to be asked.
    pub(crate) fn heard(
        &mut self,
        channel: &ChannelName,
        (from, digest): (NodeId, u64),
        now: Instant,
        wait: Duration,
    ) {
        let state = self.channels.entry(channel.clone()).or_default();
        let knows = digest == 0 || state.mine.contains(&digest);
        if knows {
            if state.suspect.is_some_and(|(whom, _, _)| whom == from) {
                state.suspect = None;
            }
        } else if state.suspect.is_none() {
            state.suspect = Some((from, digest, now + wait));
        }
    }

    pub(crate) fn next(&self) -> Instant {
        let times = self.channels.values().map(|state| {
            let first = state.suspect.map_or(Instant::NEVER, |(_, _, at)| at);
            state.question.as_ref().map_or(first, |question| question.again.min(first))
        });
        times.min().unwrap_or(Instant::NEVER)
    }

    /// The questions that are to be asked now, and in which channel.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(ChannelName, Due)> {
        let mut due = Vec::new();
        for (channel, state) in &mut self.channels {
            if let Some((whom, theirs, _)) = state.suspect.take_if(|(_, _, at)| *at <= now) {
                due.push((channel.clone(), Due::First { whom, theirs }));
            } else if let Some(question) = state.question.as_mut().filter(|q| q.again <= now) {
                question.tries += 1;
                question.again =
                    timing::compare_again(question.tries).map_or(Instant::NEVER, |wait| now + wait);
                let (whom, nonce) = (question.whom, question.nonce);
                due.push((channel.clone(), Due::Again { whom, nonce }));
            }
        }
        due
    }

    /// A peer that has said `theirs` is to be asked for its list; `false` if nothing would come of
    /// that.
    pub(crate) fn ask(
        &mut self,
        channel: &ChannelName,
        (whom, theirs): (NodeId, u64),
        mine: u64,
        nonce: u64,
        now: Instant,
    ) -> bool {
        let Some(state) = self.channels.get_mut(channel) else { return false };
        let before = self.compared.peek(&(whom, channel.clone()));
        if mine == theirs || state.mine.contains(&theirs) || before == Some(&(theirs, mine)) {
            return false;
        }
        let again = timing::compare_again(1).map_or(Instant::NEVER, |wait| now + wait);
        let pages = SmallMap::new();
        state.question = Some(Question { whom, nonce, theirs, tries: 1, again, pages });
        true
    }

    /// A page of the list has come; returns the whole when it was the last that was missing.
    pub(crate) fn page(
        &mut self,
        channel: &ChannelName,
        mine: u64,
        (from, nonce): (NodeId, u64),
        (page, pages): (u32, u32),
        logs: &[Stretch],
    ) -> Option<Vec<Stretch>> {
        let state = self.channels.get_mut(channel)?;
        let question = state.question.as_mut()?;
        if (question.whom, question.nonce) != (from, nonce) || pages > timing::PAGES {
            return None;
        }
        question.pages.insert(page, logs.to_vec());
        if question.pages.len() < pages as usize {
            return None;
        }
        let question = state.question.take()?;
        self.compared.insert(&(from, channel.clone()), (question.theirs, mine));
        Some(question.pages.into_iter().flat_map(|(_, logs)| logs).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);

    fn author(n: u8) -> Sender {
        Sender { id: NodeId([n; 32]), epoch: n.into() }
    }

    #[test]
    fn the_number_stands_for_the_set_and_how_far_each_goes() {
        let (a, b) = ((author(1), 5), (author(2), 7));
        assert_eq!(digest(&[]), 0);
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        assert_ne!(digest(&[a]), digest(&[(author(1), 6)]));
        let many: Vec<_> = (0..=255).map(|n| (author(n), 1)).collect();
        let latest = latest(many);
        assert_eq!((latest.len(), latest[0]), (limits::ORPHANS, (author(255), 1)));
    }

    #[test]
    fn who_says_another_number_for_a_while_is_asked_until_it_has_answered() {
        let (mut orphans, lobby) = (Orphans::new(), ChannelName::lobby());
        let start = Instant::from_micros(1_000_000);
        orphans.note_own(&lobby, 5);
        orphans.note_own(&lobby, 6);
        orphans.heard(&lobby, (PEER, 5), start, timing::COMPARE);
        assert_eq!(orphans.next(), Instant::NEVER, "who is behind is not asked");
        orphans.heard(&lobby, (PEER, 9), start, timing::COMPARE);
        let now = orphans.next();
        assert_eq!(now, start + timing::COMPARE);
        assert_eq!(orphans.due(now), [(lobby.clone(), Due::First { whom: PEER, theirs: 9 })]);
        assert!(orphans.ask(&lobby, (PEER, 9), 6, 77, now));
        let mut asked = 1;
        while orphans.next() != Instant::NEVER {
            let now = orphans.next();
            assert_eq!(orphans.due(now), [(lobby.clone(), Due::Again { whom: PEER, nonce: 77 })]);
            asked += 1;
        }
        assert_eq!(asked, timing::COMPARE_TRIES);
        let row = Stretch { author: author(1), from: 1, to: 2, before: 0 };
        assert_eq!(orphans.page(&lobby, 6, (PEER, 0), (0, 1), &[row]), None);
        assert_eq!(orphans.page(&lobby, 6, (PEER, 77), (0, 1), &[row]), Some(vec![row]));
        assert!(!orphans.ask(&lobby, (PEER, 9), 6, 78, now), "nothing came of it");
        assert!(orphans.ask(&lobby, (PEER, 9), 7, 79, now), "but now it may");
        orphans.run_ended();
        assert!(orphans.ask(&lobby, (PEER, 9), 6, 80, now), "or when somebody is gone");
    }
}
