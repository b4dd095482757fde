//! Tables of a few tens of entries, sorted by key like a `BTreeMap` and a `BTreeSet`, on one vector.
//!
//! A B-tree comes to 8–16 kB of code for each type of key and value, and all of an agent's code
//! stays in memory; a sorted vector does with a tenth of that, and is no slower as long as few
//! entries move when one is put in or taken out. What may grow to thousands, and changes in the
//! middle, belongs into a B-tree.

use std::borrow::Borrow;

use litemap::LiteMap;

use super::order::filled;

/// A small map. `collect` and `extend` would sort, which is code again: insert one by one.
pub(crate) type SmallMap<K, V> = LiteMap<K, V>;

/// A small set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmallSet<T>(LiteMap<T, ()>);

impl<T> SmallSet<T> {
    pub(crate) const fn new() -> Self {
        Self(LiteMap::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the lowest to the highest.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.keys()
    }
}

impl<T: Ord> SmallSet<T> {
    /// Whether it was not there yet.
    pub(crate) fn insert(&mut self, item: T) -> bool {
        self.0.insert(item, ()).is_none()
    }

    /// Whether it was there.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(item).is_some()
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(item)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|item, ()| keep(item));
    }
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Ord> Extend<T> for SmallSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.insert(item);
        }
    }
}

impl<T: Ord> FromIterator<T> for SmallSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        filled(items)
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SmallSet<T> {
    fn from(items: [T; N]) -> Self {
        filled(items)
    }
}

impl<T> IntoIterator for SmallSet<T> {
    type Item = T;
    type IntoIter = std::iter::Map<std::vec::IntoIter<(T, ())>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(item, ())| item)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_small_set_does_what_a_large_one_does() {
        let (mut small, mut large) = (SmallSet::new(), BTreeSet::new());
        for n in [7, 3, 9, 3, 1, 7, 8] {
            assert_eq!(small.insert(n), large.insert(n));
            assert_eq!(small.iter().len(), large.len());
        }
        assert!(small.remove(&3) && !small.remove(&3) && large.remove(&3));
        assert!(small.contains(&9) && !small.contains(&3));
        small.retain(|n| *n != 8);
        large.retain(|n| *n != 8);
        assert!(small.iter().eq(&large) && !small.is_empty());
        assert_eq!(small, SmallSet::from([9, 1, 7]));
        assert!(small.into_iter().eq(large));
    }
}
