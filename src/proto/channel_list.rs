//! The channels of one peer, as its announcements tell them.
//!
//! A long list takes several datagrams, numbered one after the other, which may come in any order.
//! It replaces the one before once it is whole.

use std::sync::Arc;

use crate::values::{ChannelName, limits};

/// Parts of unfinished lists that are kept: of channels with the longest names some 15 fit into a
/// datagram.
const PARTS: usize = limits::CHANNELS / 8;

/// One datagram's part of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<Names> {
    /// The announcement's number.
    pub(crate) n: u64,
    /// Where in the list it begins.
    pub(crate) at: usize,
    /// How long the list is.
    pub(crate) of: usize,
    pub(crate) names: Names,
}

/// A peer's channels. One of ten thousand, so what few need is kept elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) enum ChannelList {
    /// None are known.
    #[default]
    Unknown,
    /// All of the newest list, which one announcement has brought, or the last of several.
    Whole {
        names: Arc<Vec<ChannelName>>,
        /// The announcement with which it began; a number too high to be kept counts as the lowest.
        newest: u32,
    },
    /// Not all of the newest list.
    Unfinished(Box<Unfinished>),
}

/// Parts of lists that are not whole yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished {
    /// What holds until then; `None` if none are known.
    names: Option<Arc<Vec<ChannelName>>>,
    /// The announcement with which the last whole list began.
    newest: u32,
    /// In the order of their numbers.
    parts: Vec<Part<Arc<Vec<ChannelName>>>>,
}

impl ChannelList {
    /// The channels known. Where the whole list was never seen, those at its beginning.
    pub(crate) fn names(&self) -> &[ChannelName] {
        match self {
            Self::Unknown => &[],
            Self::Whole { names, .. } => names,
            Self::Unfinished(unfinished) => unfinished.names.as_ref().map_or(&[], |names| names),
        }
    }

    /// The same, to be kept.
    pub(crate) fn shared(&self) -> Arc<Vec<ChannelName>> {
        static NONE: std::sync::OnceLock<Arc<Vec<ChannelName>>> = std::sync::OnceLock::new();
        let names = match self {
            Self::Unknown => None,
            Self::Whole { names, .. } => Some(names),
            Self::Unfinished(unfinished) => unfinished.names.as_ref(),
        };
        Arc::clone(names.unwrap_or_else(|| NONE.get_or_init(Arc::default)))
    }

    /// Whether the newest list is known as a whole.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// Whether the peer takes part in a channel, as far as can be told: if in doubt it does.
    pub(crate) fn may_have(&self, channel: &ChannelName) -> bool {
        !self.is_whole() || self.names().contains(channel)
    }

    /// Takes in what one announcement says.
    pub(crate) fn take(&mut self, part: Part<&Arc<Vec<ChannelName>>>) {
        if part.n < self.newest().into() {
            return; // overtaken
        }
        if part.at == 0 && part.names.len() == part.of {
            return self.replace(part.n, part.names);
        }
        let Part { n, at, of, names } = part;
        let part = Part { n, at, of, names: Arc::clone(names) };
        let Unfinished { names, parts, .. } = self.unfinished();
        let place = parts.partition_point(|other| other.n < part.n);
        parts.insert(place, part);
        if parts.len() > PARTS {
            parts.remove(0);
        }
        let Some(begin) = parts.iter().rposition(|part| part.at == 0) else { return };
        let mut found: Vec<ChannelName> = Vec::new();
        for (part, n) in parts[begin..].iter().zip(parts[begin].n..) {
            if part.at != found.len() || part.n != n {
                break;
            }
            found.extend_from_slice(&part.names);
        }
        let (newest, whole) = (parts[begin].n, found.len() == parts[begin].of);
        if whole {
            self.replace(newest, &Arc::new(found));
        } else if found.len() > names.as_ref().map_or(0, |names| names.len()) {
            *names = Some(Arc::new(found));
        }
    }

    fn newest(&self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Whole { newest, .. } => *newest,
            Self::Unfinished(unfinished) => unfinished.newest,
        }
    }

    /// A list is whole. Where it is the same as before, the one that others may share is kept.
    fn replace(&mut self, n: u64, names: &Arc<Vec<ChannelName>>) {
        let newest = u32::try_from(n).unwrap_or(0);
        match self {
            Self::Whole { names: old, newest: before } if old == names => *before = newest,
            _ => *self = Self::Whole { names: Arc::clone(names), newest },
        }
    }

    /// What is known, as a list to be completed.
    fn unfinished(&mut self) -> &mut Unfinished {
        if !matches!(self, Self::Unfinished(_)) {
            let newest = self.newest();
            let names = match std::mem::take(self) {
                Self::Whole { names, .. } => Some(names),
                _ => None,
            };
            *self = Self::Unfinished(Box::new(Unfinished { names, newest, parts: Vec::new() }));
        }
        match self {
            Self::Unfinished(unfinished) => unfinished,
            _ => unreachable!("it was made unfinished above"),
        }
    }

    /// The peer has started again, and counts its announcements anew.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Unknown => {}
            Self::Whole { newest, .. } => *newest = 0,
            Self::Unfinished(unfinished) => {
                unfinished.newest = 0;
                unfinished.parts.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<usize>) -> Vec<ChannelName> {
        range.map(|i| format!("c{i}").parse().unwrap()).collect()
    }

    fn take(list: &mut ChannelList, n: u64, range: std::ops::Range<usize>, of: usize) {
        list.take(Part { n, at: range.start, of, names: &Arc::new(names(range)) });
    }

    #[test]
    fn a_list_in_parts_is_put_together_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut list = ChannelList::default();
            let parts = [(7, 0..4), (8, 4..8), (9, 8..10)];
            for (i, which) in order.into_iter().enumerate() {
                assert!(!list.is_whole() && list.may_have(&"other".parse().unwrap()));
                let (n, range) = parts[which].clone();
                take(&mut list, n, range, 10);
                assert_eq!(list.is_whole(), i == 2);
            }
            assert_eq!(list.names(), names(0..10));
            assert!(!list.may_have(&"other".parse().unwrap()));
        }
    }

    #[test]
    fn parts_of_different_lists_are_not_mixed() {
        let mut list = ChannelList::default();
        take(&mut list, 1, 0..4, 8);
        // The other part of that one was lost; meanwhile another list has begun.
        take(&mut list, 5, 4..8, 8);
        assert!(!list.is_whole());
        assert_eq!(list.names(), names(0..4));
        take(&mut list, 4, 0..4, 8);
        assert_eq!(list.names(), names(0..8));
        assert!(list.is_whole());
    }

    #[test]
    fn the_old_list_holds_until_the_new_one_is_whole() {
        let mut list = ChannelList::default();
        take(&mut list, 1, 0..9, 9);
        take(&mut list, 2, 0..4, 6);
        assert_eq!(list.names().len(), 9);
        take(&mut list, 3, 4..6, 6);
        assert_eq!(list.names(), names(0..6));
    }

    #[test]
    fn a_list_that_was_overtaken_changes_nothing() {
        let mut list = ChannelList::default();
        take(&mut list, 2, 0..3, 3);
        take(&mut list, 1, 0..9, 9);
        assert_eq!(list.names(), names(0..3));
        list.restart();
        take(&mut list, 1, 0..9, 9);
        assert_eq!(list.names(), names(0..9));
    }

    #[test]
    fn parts_without_end_cost_little() {
        let mut list = ChannelList::default();
        for n in 0..10_000 {
            take(&mut list, n, 1..2, 128);
        }
        assert!(list.unfinished().parts.len() <= PARTS);
    }
}
