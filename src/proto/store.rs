//! The datagrams of what was said lately, kept so that they can be sent again, verbatim.
//!
//! The oldest go first, whoever's they are. What this node says itself is in a store of its own, so
//! that nobody's talk pushes it out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::log::Bytes;
use super::logs::LogName;
use crate::values::{ChannelName, Instant};
use crate::wire::{Payload, Span};

/// Entries by log and first number.
#[derive(Debug)]
pub(crate) struct Store {
    logs: BTreeMap<LogName, BTreeMap<u64, (u64, Bytes)>>,
    /// In the order in which they came.
    order: VecDeque<(LogName, u64)>,
    /// Those that were handed up, in that order: in a log, the order of its numbers.
    shown: VecDeque<Shown>,
    bytes: usize,
    most: usize,
}

/// An entry that was handed up.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Whose.
    pub(crate) name: LogName,
    /// Its numbers.
    pub(crate) span: Span,
    /// When.
    pub(crate) at: Instant,
    /// How many messages end in it.
    pub(crate) messages: u32,
    /// A message begins in it: what is wanted is whole from there on.
    pub(crate) begins: bool,
}

/// What an entry takes besides its datagram, in bytes.
const AROUND: usize = 300;

impl Store {
    /// A store of so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            logs: BTreeMap::new(),
            order: VecDeque::new(),
            shown: VecDeque::new(),
            bytes: 0,
            most,
        }
    }

    /// Keeps an entry, unless it is there.
    pub(crate) fn add(&mut self, name: &LogName, span: Span, bytes: &Bytes) {
        let log = match self.logs.get_mut(name) {
            Some(log) => log,
            None => self.logs.entry(name.clone()).or_default(),
        };
        if log.contains_key(&span.from) {
            return;
        }
        log.insert(span.from, (span.to, Arc::clone(bytes)));
        self.order.push_back((name.clone(), span.from));
        self.bytes += bytes.len() + AROUND;
        while self.bytes > self.most {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((name, from)) = self.order.pop_front() else { return };
        let Some(log) = self.logs.get_mut(&name) else { return };
        if let Some((_, bytes)) = log.remove(&from) {
            self.bytes -= bytes.len() + AROUND;
        }
        if log.is_empty() {
            self.logs.remove(&name);
        }
        while self.shown.front().is_some_and(|shown| !self.has(shown)) {
            self.shown.pop_front();
        }
    }

    /// An entry was handed up.
    pub(crate) fn shown(&mut self, name: &LogName, span: Span, payload: &Payload, now: Instant) {
        let (messages, begins) = (payload.messages(), payload.is_beginning());
        let shown = Shown { name: name.clone(), span, at: now, messages, begins };
        if self.has(&shown) {
            self.shown.push_back(shown);
        }
    }

    fn has(&self, shown: &Shown) -> bool {
        self.logs.get(&shown.name).is_some_and(|log| log.contains_key(&shown.span.from))
    }

    /// The entries that carry any of these numbers, in order.
    pub(crate) fn entries(
        &self,
        name: &LogName,
        span: Span,
    ) -> impl Iterator<Item = (Span, &Bytes)> {
        let log = self.logs.get(name);
        let first = log.and_then(|log| {
            let (from, (to, _)) = log.range(..=span.from).next_back()?;
            (*to >= span.from).then_some(*from)
        });
        let from = first.unwrap_or(span.from);
        log.into_iter()
            .flat_map(move |log| log.range(from..=span.to.max(from)))
            .map(|(&from, (to, bytes))| (Span { from, to: *to }, bytes))
    }

    /// The entries of a channel that were handed up, the last one first.
    pub(crate) fn latest(&self, channel: &ChannelName) -> impl Iterator<Item = &Shown> {
        let of = self.shown.iter().rev().filter(move |shown| shown.name.channel == *channel);
        of.filter(|shown| self.has(shown))
    }

    /// The numbers of a log from the first to the last that is kept.
    pub(crate) fn extent(&self, name: &LogName) -> Option<Span> {
        let log = self.logs.get(name)?;
        let (from, (to, _)) = (log.first_key_value()?.0, log.last_key_value()?.1);
        Some(Span { from: *from, to: *to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::NodeId;
    use crate::wire::Sender;

    const NOW: Instant = Instant::ZERO;

    fn name(n: u8) -> LogName {
        let author = Sender { id: NodeId([n; 32]), epoch: 1 };
        LogName { channel: ChannelName::lobby(), author }
    }

    #[test]
    fn entries_are_found_by_any_of_their_numbers() {
        let mut store = Store::new(10_000);
        for (from, to) in [(1, 3), (4, 4), (8, 9)] {
            store.add(&name(1), Span { from, to }, &Arc::from(*b"x"));
            store.add(&name(1), Span { from, to }, &Arc::from(*b"again"));
        }
        let found = |from, to| -> Vec<u64> {
            let name = name(1);
            let entries = store.entries(&name, Span { from, to });
            entries.map(|(span, _)| span.from).collect()
        };
        assert_eq!(found(2, 2), [1]);
        assert_eq!(found(3, 8), [1, 4, 8]);
        assert_eq!(found(5, 7), [0; 0]);
        assert_eq!(found(9, 100), [8]);
        assert_eq!(store.entries(&name(2), Span { from: 1, to: 9 }).count(), 0);
        assert_eq!(store.extent(&name(1)), Some(Span { from: 1, to: 9 }));
    }

    #[test]
    fn the_latest_are_those_that_were_handed_up_last_and_no_others() {
        let (mut store, lobby) = (Store::new(10_000), ChannelName::lobby());
        let part = |part| Payload::Part { part, parts: 2, piece: "x".into() };
        let span = |n| Span { from: n, to: n };
        for n in [3, 4, 1, 2] {
            store.add(&name(1), span(n), &Arc::from(*b"x"));
        }
        for (n, payload) in [(1, part(0)), (2, part(1)), (3, Payload::Whole(Vec::new()))] {
            store.shown(&name(1), span(n), &payload, NOW);
        }
        store.shown(&name(2), span(1), &part(0), NOW);
        let latest =
            store.latest(&lobby).map(|shown| (shown.span.from, shown.messages, shown.begins));
        assert_eq!(latest.collect::<Vec<_>>(), [(3, 0, true), (2, 1, false), (1, 0, true)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut store = Store::new(100 * (1_000 + AROUND));
        let bytes: Bytes = vec![0; 1_000].into();
        for seq in 1..=1_000 {
            let (log, span) = (name(u8::from(seq % 2 == 0)), Span { from: seq, to: seq });
            store.add(&log, span, &bytes);
            store.shown(&log, span, &Payload::Whole(Vec::new()), NOW);
            assert!(store.bytes <= store.most);
        }
        assert_eq!((store.order.len(), store.shown.len()), (100, 100));
        assert_eq!(store.extent(&name(0)), Some(Span { from: 901, to: 999 }));
    }
}
