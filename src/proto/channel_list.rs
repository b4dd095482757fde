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
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The announcement's number.
    pub(crate) n: u64,
    /// Where in the list it begins.
    pub(crate) at: usize,
    /// How long the list is.
    pub(crate) of: usize,
    pub(crate) names: Arc<Vec<ChannelName>>,
}

/// A peer's channels. One of ten thousand, so what few need is kept elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelList {
    /// `None` until any are known.
    names: Option<Arc<Vec<ChannelName>>>,
    /// The announcement with which the last whole list began.
    newest: u64,
    /// Set while `names` is not all of the newest list.
    unfinished: Option<Box<Unfinished>>,
}

/// Parts of lists that are not whole yet, in the order of their numbers.
#[derive(Clone, Debug, Default)]
struct Unfinished(Vec<Part>);

impl ChannelList {
    /// The channels known. Where the whole list was never seen, those at its beginning.
    pub(crate) fn names(&self) -> &[ChannelName] {
        self.names.as_ref().map_or(&[], |names| names)
    }

    /// Whether the newest list is known as a whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.names.is_some() && self.unfinished.is_none()
    }

    /// Whether the peer takes part in a channel, as far as can be told: if in doubt it does.
    pub(crate) fn may_have(&self, channel: &ChannelName) -> bool {
        !self.is_whole() || self.names().contains(channel)
    }

    /// Takes in what one announcement says.
    pub(crate) fn take(&mut self, part: Part) {
        if part.n < self.newest {
            return; // overtaken
        }
        if part.at == 0 && part.names.len() == part.of {
            self.newest = part.n;
            if self.names.as_ref() != Some(&part.names) {
                self.names = Some(part.names);
            }
            self.unfinished = None;
            return;
        }
        let Unfinished(parts) = &mut **self.unfinished.get_or_insert_default();
        let place = parts.partition_point(|other| other.n < part.n);
        parts.insert(place, part);
        if parts.len() > PARTS {
            parts.remove(0);
        }
        let Some(begin) = parts.iter().rposition(|part| part.at == 0) else { return };
        let mut names: Vec<ChannelName> = Vec::new();
        for (part, n) in parts[begin..].iter().zip(parts[begin].n..) {
            if part.at != names.len() || part.n != n {
                break;
            }
            names.extend_from_slice(&part.names);
        }
        let whole = names.len() == parts[begin].of;
        if whole {
            self.newest = parts[begin].n;
            self.unfinished = None;
        }
        if whole || names.len() > self.names().len() {
            self.names = Some(Arc::new(names));
        }
    }

    /// The peer has started again, and counts its announcements anew.
    pub(crate) fn restart(&mut self) {
        self.newest = 0;
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<usize>) -> Vec<ChannelName> {
        range.map(|i| format!("c{i}").parse().unwrap()).collect()
    }

    fn part(n: u64, range: std::ops::Range<usize>, of: usize) -> Part {
        Part { n, at: range.start, of, names: Arc::new(names(range)) }
    }

    #[test]
    fn a_list_in_parts_is_put_together_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut list = ChannelList::default();
            let parts = [part(7, 0..4, 10), part(8, 4..8, 10), part(9, 8..10, 10)];
            for (i, which) in order.into_iter().enumerate() {
                assert!(!list.is_whole() && list.may_have(&"other".parse().unwrap()));
                list.take(parts[which].clone());
                assert_eq!(list.is_whole(), i == 2);
            }
            assert_eq!(list.names(), names(0..10));
            assert!(!list.may_have(&"other".parse().unwrap()));
        }
    }

    #[test]
    fn parts_of_different_lists_are_not_mixed() {
        let mut list = ChannelList::default();
        list.take(part(1, 0..4, 8));
        // The other part of that one was lost; meanwhile another list has begun.
        list.take(part(5, 4..8, 8));
        assert!(!list.is_whole());
        assert_eq!(list.names(), names(0..4));
        list.take(part(4, 0..4, 8));
        assert_eq!(list.names(), names(0..8));
        assert!(list.is_whole());
    }

    #[test]
    fn the_old_list_holds_until_the_new_one_is_whole() {
        let mut list = ChannelList::default();
        list.take(part(1, 0..9, 9));
        list.take(part(2, 0..4, 6));
        assert_eq!(list.names().len(), 9);
        list.take(part(3, 4..6, 6));
        assert_eq!(list.names(), names(0..6));
    }

    #[test]
    fn a_list_that_was_overtaken_changes_nothing() {
        let mut list = ChannelList::default();
        list.take(part(2, 0..3, 3));
        list.take(part(1, 0..9, 9));
        assert_eq!(list.names(), names(0..3));
        list.restart();
        list.take(part(1, 0..9, 9));
        assert_eq!(list.names(), names(0..9));
    }

    #[test]
    fn parts_without_end_cost_little() {
        let mut list = ChannelList::default();
        for n in 0..10_000 {
            list.take(part(n, 1..2, 128));
        }
        assert!(list.unfinished.is_some_and(|unfinished| unfinished.0.len() <= PARTS));
    }
}
