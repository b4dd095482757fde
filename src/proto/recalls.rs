//! What was said before this node came: whom to ask for it, and what is still missing.
//!
//! ```text
//!   joined ──▶ Looking ──recall──▶ Asked ──logs──▶ Told ──▶ Fetching ──entries──▶ Over
//!               │ ▲────── no answer ──┘                      (some by want again)
//!               ▼ │ somebody is there
//!              Alone
//! ```
//!
//! One peer is asked, which says which parts of which logs the last messages are in; these are
//! fetched from it, in the authors' own datagrams, and shown together, in the order of their times.

use std::sync::Arc;
use std::time::Duration;

use super::log::Bytes;
use super::logs::LogName;
use super::timing;
use crate::values::{ChannelName, Instant, NodeId, SmallMap};
use crate::wire::{Span, Stretch};

/// A question that waits for its answer, or for more pages of it.
#[derive(Debug)]
struct Asked {
    whom: NodeId,
    nonce: u64,
    pages: SmallMap<u32, Vec<Stretch>>,
}

/// What is being fetched.
#[derive(Debug)]
struct Fetching {
    whom: NodeId,
    missing: Vec<(LogName, Span)>,
    entries: SmallMap<(LogName, u64), Bytes>,
    until: Instant,
}

#[derive(Debug)]
enum State {
    Looking,
    Asked(Asked),
    /// This peer has these; but of some logs it is not known yet what of them is past.
    Told(NodeId, Vec<Stretch>),
    Fetching(Fetching),
    /// There has been nobody to ask.
    Alone,
    Over,
}

/// A channel that this node takes part in.
#[derive(Debug)]
struct Joined {
    at: Instant,
    /// It was in this channel before it started, when something came last so long before: what it has
    /// not got since then is no history to it.
    resumed: Option<Duration>,
    state: State,
    /// So many messages are wanted, if not as many as usual.
    last: Option<u32>,
    tries: u8,
    /// Somebody was asked.
    asked: bool,
    /// Who was asked for it so far, and whether any of them has told of something.
    tellers: Vec<NodeId>,
    told: bool,
    /// When somebody was there at last, after there had been nobody for a while.
    met: Option<Instant>,
    next: Instant,
}

impl Joined {
    fn begin_anew(&mut self, first: Instant) {
        (self.state, self.tries, self.next) = (State::Looking, 0, first);
        (self.tellers, self.told) = (Vec::new(), false);
    }

    /// There has been nobody to ask, for longer than it takes to find those who are there.
    fn is_alone(&self, now: Instant) -> bool {
        !self.asked && now.since(self.at) >= timing::SETTLE
    }
}

/// The channels of this node.
#[derive(Debug, Default)]
pub(crate) struct Recalls(SmallMap<ChannelName, Joined>);

/// What is due in a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Somebody is to be asked what was said.
    Ask(ChannelName),
    /// This peer is to be asked for these.
    Want(NodeId, LogName, Vec<Span>),
    /// What came is to be shown, though it may not be all.
    Show(ChannelName),
}

impl Recalls {
    /// A channel was joined.
    pub(crate) fn join(&mut self, channel: &ChannelName, now: Instant) {
        let joined = Joined {
            at: now,
            resumed: None,
            state: State::Looking,
            last: None,
            tries: 0,
            asked: false,
            tellers: Vec::new(),
            told: false,
            met: None,
            next: now + timing::RECALL,
        };
        self.0.insert(channel.clone(), joined);
    }

    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        self.0.remove(channel);
    }

    /// This node has been in the channel before, and something came there last so long ago.
    pub(crate) fn resume(&mut self, channel: &ChannelName, away: Duration) {
        if let Some(joined) = self.0.get_mut(channel) {
            joined.resumed = Some(away);
        }
    }

    /// So many of the last messages are wanted, whatever was fetched so far.
    pub(crate) fn want(&mut self, channel: &ChannelName, last: u32, now: Instant) {
        let Some(joined) = self.0.get_mut(channel).filter(|joined| joined.last < Some(last)) else {
            return;
        };
        joined.last = Some(last);
        // Who was asked for fewer is asked again. What has only just been joined is not known yet.
        if !matches!(joined.state, State::Looking) {
            joined.begin_anew(now);
        }
    }

    /// How many of the last messages are wanted, if not as many as usual.
    pub(crate) fn wanted(&self, channel: &ChannelName) -> Option<u32> {
        self.0.get(channel).and_then(|joined| joined.last)
    }

    /// Whether something may still come.
    pub(crate) fn is_under_way(&self, channel: &ChannelName) -> bool {
        self.0
            .get(channel)
            .is_some_and(|joined| !matches!(joined.state, State::Alone | State::Over))
    }

    pub(crate) fn is_resumed(&self, channel: &ChannelName) -> bool {
        self.0.get(channel).is_some_and(|joined| joined.resumed.is_some())
    }

    /// When the channel was joined.
    pub(crate) fn joined(&self, channel: &ChannelName) -> Instant {
        self.0.get(channel).map_or(Instant::ZERO, |joined| joined.at)
    }

    /// What was said within this time is of interest here: for so long this node has been in the
    /// channel, or has been there and away.
    pub(crate) fn since(&self, channel: &ChannelName, now: Instant) -> Duration {
        let away = self.0.get(channel).and_then(|joined| joined.resumed).unwrap_or_default();
        now.since(self.joined(channel)).saturating_add(away)
    }

    /// Whether it was joined just now, so that what is met there is from before.
    pub(crate) fn is_new(&self, channel: &ChannelName, now: Instant) -> bool {
        self.0
            .get(channel)
            .is_some_and(|joined| joined.resumed.is_none() && now.since(joined.at) < timing::SETTLE)
    }

    /// Whether there has been nobody, since it was joined and for longer than it takes to find those who
    /// are there; until just now, when all that is met there may be from before and from since.
    pub(crate) fn was_alone(&self, channel: &ChannelName, now: Instant) -> bool {
        self.0.get(channel).is_some_and(|joined| match joined.met {
            None => joined.is_alone(now),
            Some(met) => now < met + timing::MEETING,
        })
    }

    pub(crate) fn next(&self) -> Instant {
        self.0.values().map(|joined| joined.next).min().unwrap_or(Instant::NEVER)
    }

    /// What is to be done now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (channel, joined) in self.0.iter_mut().filter(|(_, joined)| joined.next <= now) {
            match &mut joined.state {
                State::Alone | State::Told(..) | State::Over => joined.next = Instant::NEVER,
                State::Looking | State::Asked(_) if joined.tries >= timing::RECALL_TRIES => {
                    joined.state = if joined.asked { State::Over } else { State::Alone };
                    joined.met = joined.met.filter(|_| joined.asked);
                    joined.next = Instant::NEVER;
                }
                State::Looking | State::Asked(_) => {
                    joined.state = State::Looking;
                    due.push(Due::Ask(channel.clone()));
                    joined.tries += 1;
                    joined.next = now + timing::RECALL * (1 << joined.tries.min(6));
                }
                State::Fetching(fetching) if now >= fetching.until => {
                    due.push(Due::Show(channel.clone()));
                    joined.next = Instant::NEVER;
                }
                State::Fetching(fetching) => {
                    let mut by_log: SmallMap<&LogName, Vec<Span>> = SmallMap::new();
                    for (name, span) in &fetching.missing {
                        by_log.entry(name).or_default().push(*span);
                    }
                    let wants = by_log.into_iter();
                    due.extend(
                        wants.map(|(name, spans)| Due::Want(fetching.whom, name.clone(), spans)),
                    );
                    joined.next = (now + timing::FETCH_AGAIN).min(fetching.until);
                }
            }
        }
        due
    }

    /// A peer is asked.
    pub(crate) fn asked(&mut self, channel: &ChannelName, whom: NodeId, nonce: u64) {
        if let Some(joined) = self.0.get_mut(channel) {
            joined.state = State::Asked(Asked { whom, nonce, pages: SmallMap::new() });
            joined.asked = true;
            joined.tellers.push(whom);
        }
    }

    /// Of these, those who are to be asked next: who has not been asked yet. Where all have been, all
    /// are, unless one has told already.
    pub(crate) fn may_tell(&mut self, channel: &ChannelName, mut all: Vec<NodeId>) -> Vec<NodeId> {
        let Some(joined) = self.0.get_mut(channel) else { return Vec::new() };
        let is_fresh = |id: &NodeId| !joined.tellers.contains(id);
        if joined.told || all.iter().any(is_fresh) {
            all.retain(is_fresh);
        }
        if joined.told && all.is_empty() {
            (joined.state, joined.next) = (State::Over, Instant::NEVER);
        }
        all
    }

    /// What was told has brought nothing: one who knows of nothing, or says so, may not be the only one
    /// there. A few are asked.
    pub(crate) fn nothing_came(&mut self, channel: &ChannelName, now: Instant) {
        let Some(joined) = self.0.get_mut(channel) else { return };
        if joined.tellers.len() < timing::TELLERS {
            (joined.state, joined.next) = (State::Looking, now);
        }
    }

    /// Whether this node has been alone until now, see [`Recalls::met`].
    pub(crate) fn has_waited(&self, now: Instant) -> bool {
        self.0.values().any(|joined| joined.is_alone(now) && joined.met.is_none())
    }

    /// Somebody is there, and may be the first whom this node can ask: it may have started long before
    /// its network.
    pub(crate) fn met(&mut self, now: Instant) {
        for (_, joined) in &mut self.0 {
            if !joined.is_alone(now) || joined.met.is_some() {
                continue;
            }
            joined.begin_anew(now + timing::RECALL);
            joined.met = Some(now);
        }
    }

    /// A page has come; returns all of them when it was the last that was missing.
    pub(crate) fn page(
        &mut self,
        channel: &ChannelName,
        (from, nonce): (NodeId, u64),
        (page, pages): (u32, u32),
        logs: &[Stretch],
    ) -> Option<Vec<Stretch>> {
        let joined = self.0.get_mut(channel)?;
        let State::Asked(asked) = &mut joined.state else { return None };
        if (asked.whom, asked.nonce) != (from, nonce) || pages > timing::PAGES {
            return None;
        }
        asked.pages.insert(page, logs.to_vec());
        if asked.pages.len() < pages as usize {
            return None;
        }
        joined.told = true;
        let all = std::mem::take(&mut asked.pages).into_iter().flat_map(|(_, logs)| logs).collect();
        (joined.state, joined.next) = (State::Over, Instant::NEVER);
        Some(all)
    }

    /// This peer has these, and it will be known later what of them is past.
    pub(crate) fn put_off(&mut self, channel: &ChannelName, whom: NodeId, rows: Vec<Stretch>) {
        if let Some(joined) = self.0.get_mut(channel) {
            joined.state = State::Told(whom, rows);
        }
    }

    /// It is known now: what there is, and who has it.
    pub(crate) fn resolve(&mut self, channel: &ChannelName) -> Option<(NodeId, Vec<Stretch>)> {
        let joined = self.0.get_mut(channel)?;
        match std::mem::replace(&mut joined.state, State::Over) {
            State::Told(whom, rows) => Some((whom, rows)),
            other => {
                joined.state = other;
                None
            }
        }
    }

    /// These are to be fetched from a peer.
    pub(crate) fn fetch(
        &mut self,
        channel: &ChannelName,
        whom: NodeId,
        missing: Vec<(LogName, Span)>,
        now: Instant,
    ) {
        let Some(joined) = self.0.get_mut(channel).filter(|_| !missing.is_empty()) else { return };
        let (entries, until) = (SmallMap::new(), now + timing::FETCH);
        joined.state = State::Fetching(Fetching { whom, missing, entries, until });
        joined.next = now;
    }

    /// Whether an entry is one that is being fetched.
    pub(crate) fn wants(&self, name: &LogName, span: Span) -> bool {
        let joined = self.0.get(&name.channel);
        let Some(State::Fetching(fetching)) = joined.map(|joined| &joined.state) else {
            return false;
        };
        fetching
            .missing
            .iter()
            .any(|(log, missing)| log == name && missing.from <= span.to && span.from <= missing.to)
    }

    /// An entry has come that was being fetched, and is genuine; whether it was the last.
    pub(crate) fn fetched(
        &mut self,
        name: &LogName,
        span: Span,
        bytes: &Bytes,
        now: Instant,
    ) -> bool {
        let joined = self.0.get_mut(&name.channel);
        let Some(Joined { state: State::Fetching(fetching), .. }) = joined else { return false };
        let mut rest = Vec::new();
        for (log, missing) in fetching.missing.drain(..) {
            if log != *name || missing.to < span.from || span.to < missing.from {
                rest.push((log, missing));
                continue;
            }
            if missing.from < span.from {
                rest.push((log.clone(), Span { from: missing.from, to: span.from - 1 }));
            }
            if span.to < missing.to {
                rest.push((log, Span { from: span.to + 1, to: missing.to }));
            }
        }
        fetching.missing = rest;
        fetching.entries.insert((name.clone(), span.from), Arc::clone(bytes));
        fetching.until = fetching.until.max(now + timing::FETCH_MORE);
        fetching.missing.is_empty()
    }

    /// What was fetched, by log and in order; it is over then.
    pub(crate) fn take(&mut self, channel: &ChannelName) -> SmallMap<(LogName, u64), Bytes> {
        let Some(joined) = self.0.get_mut(channel) else { return SmallMap::new() };
        joined.next = Instant::NEVER;
        match std::mem::replace(&mut joined.state, State::Over) {
            State::Fetching(fetching) => fetching.entries,
            _ => SmallMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Sender;

    const WHOM: NodeId = NodeId([1; 32]);

    fn author(n: u8) -> Sender {
        Sender { id: NodeId([n; 32]), epoch: 1 }
    }

    fn log(n: u8) -> LogName {
        LogName { channel: ChannelName::lobby(), author: author(n) }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1_000)
    }

    #[test]
    fn who_has_had_nobody_to_ask_asks_when_somebody_is_there() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        let exhaust = |recalls: &mut Recalls, whom: Option<NodeId>| {
            let mut tries = 0_u8;
            while recalls.next() != Instant::NEVER {
                for _ in recalls.due(recalls.next()) {
                    tries += 1;
                    if let Some(whom) = whom {
                        recalls.asked(&lobby, whom, tries.into());
                    }
                }
            }
            tries
        };
        for hours in 1..=3 {
            assert_eq!(exhaust(&mut recalls, None), timing::RECALL_TRIES);
            assert!(!recalls.is_under_way(&lobby), "nobody waits for it");
            recalls.met(at(hours * 3_600_000));
        }
        assert!(recalls.is_under_way(&lobby));
        assert_eq!(exhaust(&mut recalls, Some(WHOM)), timing::RECALL_TRIES);
        recalls.met(at(20_000_000));
        assert_eq!(recalls.next(), Instant::NEVER, "it has had its chance");
    }

    #[test]
    fn who_has_met_nobody_for_a_while_was_alone_until_a_while_after_somebody_is_there() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        let (late, met) = (at(0) + timing::SETTLE, at(4_000));
        assert!(!recalls.was_alone(&lobby, at(1)) && recalls.was_alone(&lobby, late));
        recalls.met(at(1));
        assert!(recalls.was_alone(&lobby, late), "it has not found it in time");
        recalls.met(met);
        assert_eq!(recalls.next(), met + timing::RECALL, "now there is somebody to ask");
        recalls.met(at(5_000));
        recalls.asked(&lobby, WHOM, 7);
        assert!(recalls.was_alone(&lobby, at(8_999)), "not all are met at once");
        assert!(!recalls.was_alone(&lobby, met + timing::MEETING));
        let mut fresh = Recalls::default();
        fresh.join(&lobby, at(0));
        fresh.asked(&lobby, WHOM, 7);
        assert!(!fresh.was_alone(&lobby, late), "somebody was there when it came");
    }

    #[test]
    fn what_is_put_off_is_taken_up_once() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        assert_eq!(recalls.resolve(&lobby), None);
        let rows = vec![Stretch { author: author(1), from: 1, to: 2, before: 2 }];
        recalls.put_off(&lobby, WHOM, rows.clone());
        assert!(recalls.is_under_way(&lobby));
        assert_eq!(recalls.resolve(&lobby), Some((WHOM, rows)));
        assert_eq!((recalls.resolve(&lobby), recalls.is_under_way(&lobby)), (None, false));
    }

    #[test]
    fn one_peer_after_the_other_is_asked_and_then_none() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        assert!(recalls.is_new(&lobby, at(1)));
        let mut asked = 0;
        while recalls.next() != Instant::NEVER {
            let now = recalls.next();
            for due in recalls.due(now) {
                assert_eq!(due, Due::Ask(lobby.clone()));
                recalls.asked(&lobby, WHOM, asked.into());
                asked += 1;
            }
        }
        assert_eq!(asked, timing::RECALL_TRIES);
    }

    #[test]
    fn who_tells_of_nothing_or_does_not_answer_is_not_asked_again_while_there_are_others() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        let ids = |ns: &[u8]| -> Vec<NodeId> { ns.iter().map(|&n| NodeId([n; 32])).collect() };
        recalls.join(&lobby, at(0));
        assert_eq!(recalls.may_tell(&lobby, ids(&[1, 2, 3])), ids(&[1, 2, 3]));
        recalls.asked(&lobby, NodeId([1; 32]), 7);
        assert_eq!(recalls.due(at(40)), [Due::Ask(lobby.clone())]);
        assert_eq!(recalls.may_tell(&lobby, ids(&[1, 2, 3])), ids(&[2, 3]));
        assert_eq!(recalls.may_tell(&lobby, ids(&[1])), ids(&[1]), "its answer may be lost");
        for (n, most) in [(2, true), (3, false)] {
            recalls.asked(&lobby, NodeId([n; 32]), 8);
            let answer = recalls.page(&lobby, (NodeId([n; 32]), 8), (0, 1), &[]);
            assert!(answer.is_some());
            recalls.nothing_came(&lobby, at(50));
            assert_eq!(recalls.is_under_way(&lobby), most, "three are asked at most");
        }
        recalls.nothing_came(&lobby, at(60));
        assert_eq!(
            recalls.may_tell(&lobby, ids(&[1, 2])),
            [],
            "one has told: that is all there is"
        );
    }

    #[test]
    fn who_wants_more_than_was_fetched_has_somebody_asked_again() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.want(&lobby, 500, at(0));
        assert!(!recalls.is_under_way(&lobby), "nothing is fetched where this node is not");
        recalls.join(&lobby, at(0));
        recalls.want(&lobby, 100, at(1));
        assert_eq!(recalls.next(), at(0) + timing::RECALL, "who has just come knows nobody yet");
        recalls.due(recalls.next());
        recalls.asked(&lobby, WHOM, 7);
        assert!(recalls.page(&lobby, (WHOM, 7), (0, 1), &[]).is_some());
        assert!(!recalls.is_under_way(&lobby));
        recalls.want(&lobby, 100, at(2_000));
        assert_eq!(recalls.next(), Instant::NEVER);
        recalls.want(&lobby, 500, at(2_000));
        assert_eq!(recalls.due(at(2_000)), [Due::Ask(lobby.clone())]);
        assert_eq!(recalls.wanted(&lobby), Some(500));
    }

    #[test]
    fn what_the_pages_name_is_fetched_and_asked_for_again() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        recalls.asked(&lobby, WHOM, 7);
        let row = |n, from, to| Stretch { author: author(n), from, to, before: to };
        let page = |recalls: &mut Recalls, from, nonce, page, rows: &[Stretch]| {
            recalls.page(&ChannelName::lobby(), (from, nonce), (page, 2), rows)
        };
        assert_eq!(page(&mut recalls, NodeId([9; 32]), 7, 0, &[row(3, 1, 1)]), None);
        assert_eq!(page(&mut recalls, WHOM, 8, 0, &[row(3, 1, 1)]), None);
        assert_eq!(page(&mut recalls, WHOM, 7, 1, &[row(3, 4, 5)]), None);
        let all = page(&mut recalls, WHOM, 7, 0, &[row(2, 1, 2)]);
        assert_eq!(all, Some(vec![row(2, 1, 2), row(3, 4, 5)]));
        let span = |from, to| Span { from, to };
        recalls.fetch(&lobby, WHOM, vec![(log(2), span(1, 9)), (log(3), span(4, 5))], at(0));
        let due = recalls.due(at(0));
        assert_eq!(due[0], Due::Want(WHOM, log(2), vec![span(1, 9)]));
        let bytes = Arc::from(*b"x");
        assert!(recalls.wants(&log(2), span(4, 4)) && !recalls.wants(&log(9), span(4, 4)));
        assert!(!recalls.fetched(&log(2), span(4, 4), &bytes, at(1)));
        assert!(!recalls.wants(&log(2), span(4, 4)));
        let due = recalls.due(recalls.next());
        assert_eq!(due[0], Due::Want(WHOM, log(2), vec![span(1, 3), span(5, 9)]));
        assert!(!recalls.fetched(&log(2), span(1, 3), &bytes, at(2)));
        assert!(!recalls.fetched(&log(3), span(3, 6), &bytes, at(2)));
        assert!(recalls.fetched(&log(2), span(5, 9), &bytes, at(2)));
        assert_eq!(recalls.take(&lobby).len(), 4);
        assert_eq!(recalls.next(), Instant::NEVER);
    }

    #[test]
    fn what_does_not_come_is_not_waited_for_for_ever() {
        let (mut recalls, lobby) = (Recalls::default(), ChannelName::lobby());
        recalls.join(&lobby, at(0));
        recalls.fetch(&lobby, WHOM, vec![(log(2), Span { from: 1, to: 9 })], at(0));
        let mut shown = false;
        while recalls.next() != Instant::NEVER {
            let now = recalls.next();
            assert!(now <= at(0) + timing::FETCH);
            shown = recalls.due(now) == [Due::Show(lobby.clone())];
        }
        assert!(shown);
    }
}
