//! The datagrams of what was said lately, kept so that they can be sent again, verbatim.
//!
//! The oldest go first, whoever's they are. What this node says itself is in a store of its own, so
//! that nobody's talk pushes it out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::log::Bytes;
use super::logs::LogName;
use crate::values::{ChannelName, Instant};
use crate::wire::Span;

/// Entries by log and first number.
#[derive(Debug)]
pub(crate) struct Store {
    logs: BTreeMap<LogName, BTreeMap<u64, (u64, Bytes)>>,
    /// In the order in which they came, and when.
    order: VecDeque<(LogName, u64, Instant)>,
    bytes: usize,
    most: usize,
}

/// What an entry takes besides its datagram, in bytes.
const AROUND: usize = 200;

impl Store {
    /// A store of so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { logs: BTreeMap::new(), order: VecDeque::new(), bytes: 0, most }
    }

    /// Keeps an entry, unless it is there.
    pub(crate) fn add(&mut self, name: &LogName, span: Span, bytes: &Bytes, now: Instant) {
        let log = match self.logs.get_mut(name) {
            Some(log) => log,
            None => self.logs.entry(name.clone()).or_default(),
        };
        if log.contains_key(&span.from) {
            return;
        }
        log.insert(span.from, (span.to, Arc::clone(bytes)));
        self.order.push_back((name.clone(), span.from, now));
        self.bytes += bytes.len() + AROUND;
        while self.bytes > self.most {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((name, from, _)) = self.order.pop_front() else { return };
        let Some(log) = self.logs.get_mut(&name) else { return };
        if let Some((_, bytes)) = log.remove(&from) {
            self.bytes -= bytes.len() + AROUND;
        }
        if log.is_empty() {
            self.logs.remove(&name);
        }
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

    /// The entries of a channel and when they came, the last one first.
    pub(crate) fn latest(
        &self,
        channel: &ChannelName,
    ) -> impl Iterator<Item = (Instant, &LogName, Span)> {
        let of = self.order.iter().rev().filter(move |(name, _, _)| name.channel == *channel);
        of.filter_map(|(name, from, at)| {
            let (to, _) = self.logs.get(name)?.get(from)?;
            Some((*at, name, Span { from: *from, to: *to }))
        })
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
            store.add(&name(1), Span { from, to }, &Arc::from(*b"x"), NOW);
            store.add(&name(1), Span { from, to }, &Arc::from(*b"again"), NOW);
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
        let lobby = ChannelName::lobby();
        let latest: Vec<u64> = store.latest(&lobby).map(|(_, _, span)| span.from).collect();
        assert_eq!(latest, [8, 4, 1]);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut store = Store::new(100 * (1_000 + AROUND));
        let bytes: Bytes = vec![0; 1_000].into();
        for seq in 1..=1_000 {
            let log = name(u8::from(seq % 2 == 0));
            store.add(&log, Span { from: seq, to: seq }, &bytes, NOW);
            assert!(store.bytes <= store.most);
        }
        assert_eq!(store.order.len(), 100);
        assert_eq!(store.extent(&name(0)), Some(Span { from: 901, to: 999 }));
    }
}
