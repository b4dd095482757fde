//! Which numbers of a growing sequence have been seen already: a [`Window`] of any width, and
//! [`Lately`], which takes one word.

/// The last numbers seen, as RFC 4303 §3.4.3 does it for replays: everything above the window is
/// new, everything below it counts as seen.
#[derive(Clone, Debug)]
pub(crate) struct Window<const WORDS: usize> {
    /// The bit of number `n` is bit `n % 64` of word `n / 64 % WORDS`.
    bits: [u64; WORDS],
    /// The highest number seen.
    top: u64,
}

impl<const WORDS: usize> Window<WORDS> {
    pub(crate) fn new() -> Self {
        Self { bits: [0; WORDS], top: 0 }
    }

    /// Whether `n` has been seen, or is so far behind that it counts as seen. 0 always is.
    pub(crate) fn has(&self, n: u64) -> bool {
        n <= self.top && (self.is_past(n) || self.word(n) & (1 << (n % 64)) != 0)
    }

    /// Whether `n` is so far behind that nobody knows any more if it has been seen. 0 always is.
    pub(crate) fn is_past(&self, n: u64) -> bool {
        // The word that `top` moves into is wiped as a whole, so the oldest word is not trusted.
        n == 0 || (self.top / 64).saturating_sub(n / 64) >= WORDS as u64
    }

    /// Marks all of these as seen.
    pub(crate) fn mark_all(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.mark(n);
        }
    }

    /// Marks `n` as seen; `false` if it was already.
    pub(crate) fn mark(&mut self, n: u64) -> bool {
        if self.has(n) {
            return false;
        }
        if n > self.top {
            let (from, to) = (self.top / 64, n / 64);
            for word in (from + 1)..=to.min(from + WORDS as u64) {
                self.bits[(word % WORDS as u64) as usize] = 0;
            }
            self.top = n;
        }
        self.bits[(n / 64 % WORDS as u64) as usize] |= 1 << (n % 64);
        true
    }

    fn word(&self, n: u64) -> u64 {
        self.bits[(n / 64 % WORDS as u64) as usize]
    }
}

/// The last 32 numbers seen, for tables of many. Numbers of more than 32 bits count as seen: who
/// counts announcements needs centuries to get there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lately {
    /// The highest number seen.
    top: u32,
    /// Bit `i` says whether `top - i` was seen.
    bits: u32,
}

impl Lately {
    /// The highest number seen; 0 if none was.
    pub(crate) fn top(self) -> u64 {
        self.top.into()
    }

    /// Whether `n` has been seen, or is so far behind that it counts as seen. 0 always is.
    pub(crate) fn has(self, n: u64) -> bool {
        let Ok(n) = u32::try_from(n) else { return true };
        match self.top.checked_sub(n) {
            None => false,
            Some(behind) => n == 0 || behind >= u32::BITS || self.bits & (1 << behind) != 0,
        }
    }

    /// Marks `n` as seen.
    pub(crate) fn mark(&mut self, n: u64) {
        let Ok(n) = u32::try_from(n) else { return };
        match self.top.checked_sub(n) {
            None => {
                self.bits = self.bits.checked_shl(n - self.top).unwrap_or(0) | 1;
                self.top = n;
            }
            Some(behind @ 0..u32::BITS) if n > 0 => self.bits |= 1 << behind,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn within_its_span_each_number_is_new_once(steps in prop::collection::vec(-200_i64..300, 1..400)) {
            let mut window = Window::<4>::new();
            let (mut seen, mut at, mut top) = (BTreeSet::new(), 1_000_i64, 0);
            for step in steps {
                at = (at + step).max(1);
                let n = at as u64;
                let behind = top / 64 >= n / 64 + 4;
                prop_assert_eq!(window.mark(n), !behind && seen.insert(n));
                prop_assert!(window.has(n));
                top = top.max(n);
            }
        }
    }

    proptest! {
        #[test]
        fn the_last_32_are_told_apart_and_all_before_count_as_seen(steps in prop::collection::vec(-70_i64..90, 1..400)) {
            let mut lately = Lately::default();
            let (mut seen, mut at) = (BTreeSet::new(), 1_000_i64);
            prop_assert!(lately.has(0) && !lately.has(1));
            for step in steps {
                at = (at + step).max(1);
                let n = at as u64;
                let behind = lately.top() >= n + 32;
                prop_assert_eq!(lately.has(n), behind || seen.contains(&n));
                lately.mark(n);
                seen.insert(n);
                prop_assert!(lately.has(n));
                prop_assert_eq!(Some(lately.top()), seen.last().copied());
            }
        }
    }

    #[test]
    fn numbers_that_nobody_reaches_by_counting_count_as_seen() {
        let mut lately = Lately::default();
        lately.mark(u64::MAX);
        assert!(lately.has(u64::MAX) && lately.has(1 << 32) && lately.top() == 0);
        assert!(!lately.has((1 << 32) - 1));
    }

    #[test]
    fn a_jump_over_the_whole_window_forgets_all_bits() {
        let mut window = Window::<2>::new();
        assert!(!window.mark(0));
        assert!(window.mark(1) && window.mark(u64::MAX));
        assert!(window.has(1) && window.mark(u64::MAX - 1));
    }
}
