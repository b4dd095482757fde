//! A map that remembers what was used lately and forgets the rest.
//!
//! It never holds more than its limit. Two generations: what is used moves into the young one;
//! when that has grown to half the limit, the old one is thrown away and the young one grows old.
//! So an entry survives at least as long as half the limit of others are used after it, and
//! forgetting costs nothing per entry, however fast a stranger makes new ones.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

/// Of thousands of entries one is found at once, where a tree would touch memory in a dozen places. The
/// hash is the same in every run; whoever has many keys fall together makes each cost a few microseconds.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// A bounded map, see the module's text.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// A map of at most `limit` entries; at least 2.
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: Map::default(), old: Map::default(), half: (limit / 2).max(1) }
    }

    /// Looks without counting it as use.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// All that is remembered, in no order to be relied on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.young.iter().chain(&self.old)
    }

    /// The entry of `key`, made by `make` if there is none.
    pub(crate) fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if self.young.len() >= self.half && !self.young.contains_key(key) {
            let used = self.old.remove(key);
            self.old = std::mem::take(&mut self.young);
            if let Some(used) = used {
                self.young.insert(key.clone(), used);
            }
        }
        let old = &mut self.old;
        self.young.entry(key.clone()).or_insert_with(|| old.remove(key).unwrap_or_else(make))
    }

    /// Sets the entry of `key`.
    pub(crate) fn insert(&mut self, key: &K, value: V) {
        self.old.remove(key);
        self.young.remove(key);
        self.entry(key, || value);
    }

    /// Forgets `key`.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_exceeds_its_limit_and_keeps_what_is_used() {
        let mut recent = Recent::new(100);
        for i in 0..10_000 {
            *recent.entry(&i, || 0) += 1;
            *recent.entry(&-1, || 0) += 1;
            assert!(recent.len() <= 100);
        }
        assert_eq!(recent.peek(&-1), Some(&10_000));
        assert_eq!(recent.peek(&9_999), Some(&1));
        assert_eq!(recent.peek(&9_000), None);
        assert_eq!(recent.remove(&9_999), Some(1));
        assert_eq!(recent.peek(&9_999), None);
    }
}
