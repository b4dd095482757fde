//! Numbers of a log that are missing, and when each is to be asked for.
//!
//! The intervals never overlap; what arrives cuts them. There are hardly more than
//! [`limits::GAPS`], because nothing is taken that would make one more.

use std::collections::BTreeMap;

use crate::values::{Instant, limits};
use crate::wire::Span;

/// One interval of missing numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Its last number.
    to: u64,
    /// When it became known.
    pub(crate) since: Instant,
    /// How often it was asked for, by this node or by another, and when last.
    pub(crate) tries: u8,
    pub(crate) asked: Instant,
    /// How often another has, since this node did.
    heard: u8,
    /// When it is to be asked for next.
    pub(crate) next: Instant,
}

/// What is missing of one log.
#[derive(Debug, Default)]
pub(crate) struct Gaps(BTreeMap<u64, Gap>);

impl Gaps {
    /// Notes numbers as missing that were not known to exist.
    pub(crate) fn open(&mut self, span: Span, now: Instant, next: Instant) {
        debug_assert!(self.0.last_key_value().is_none_or(|(_, gap)| gap.to < span.from));
        match self.0.last_entry() {
            Some(mut last) if last.get().to + 1 == span.from && last.get().tries == 0 => {
                last.get_mut().to = span.to;
            }
            _ => {
                let gap = Gap { to: span.to, since: now, tries: 0, asked: now, heard: 0, next };
                self.0.insert(span.from, gap);
            }
        }
    }

    /// Notes that these numbers have come; the gap in which the first of them was missing, if any.
    pub(crate) fn fill(&mut self, span: Span) -> Option<Gap> {
        let first = self.overlapping(span).next().map(|(_, gap)| gap);
        let cut: Vec<u64> = self.overlapping(span).map(|(from, _)| from).collect();
        for from in &cut {
            let Some(gap) = self.0.remove(from) else { continue };
            if *from < span.from {
                self.0.insert(*from, Gap { to: span.from - 1, ..gap });
            }
            if gap.to > span.to {
                self.0.insert(span.to + 1, gap);
            }
        }
        first
    }

    fn overlapping(&self, span: Span) -> impl Iterator<Item = (u64, Gap)> {
        // The last one that begins before the span may reach into it.
        let before = self.0.range(..span.from).next_back().filter(|(_, gap)| gap.to >= span.from);
        let within = self.0.range(span.from..=span.to);
        before.into_iter().chain(within).map(|(&from, &gap)| (from, gap))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= limits::GAPS
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<(Span, Gap)> {
        self.0.first_key_value().map(|(&from, gap)| (Span { from, to: gap.to }, *gap))
    }

    /// When the next one is to be asked for.
    pub(crate) fn next(&self) -> Instant {
        self.0.values().map(|gap| gap.next).min().unwrap_or(Instant::NEVER)
    }

    /// Those that are to be asked for by `until`, the first ones, with `most` numbers at most.
    pub(crate) fn due(&self, until: Instant, most: u64) -> Vec<(Span, Gap)> {
        let mut left = most;
        let mut due = Vec::new();
        for (&from, gap) in self.0.iter().filter(|(_, gap)| gap.next <= until) {
            if left == 0 || due.len() >= limits::WANTED_SPANS {
                break;
            }
            let to = gap.to.min(from.saturating_add(left - 1));
            left -= to - from + 1;
            due.push((Span { from, to }, *gap));
        }
        due
    }

    /// These numbers have been asked for, as far as they are missing: they are left alone until the
    /// time that `next` says for so many tries.
    pub(crate) fn asked(&mut self, span: Span, now: Instant, next: impl FnMut(u8) -> Instant) {
        self.mark(span, now, |_| Some(0), next);
    }

    /// Another has asked for these numbers; that is as good, but only so often, `most`: who asks again and
    /// again would keep this node from asking at all.
    pub(crate) fn heard(
        &mut self,
        span: Span,
        most: u8,
        now: Instant,
        next: impl FnMut(u8) -> Instant,
    ) {
        let heard =
            |gap: &Gap| Some(gap.heard).filter(|heard| *heard < most).map(|heard| heard + 1);
        self.mark(span, now, heard, next);
    }

    fn mark(
        &mut self,
        span: Span,
        now: Instant,
        heard: impl Fn(&Gap) -> Option<u8>,
        mut next: impl FnMut(u8) -> Instant,
    ) {
        let hit: Vec<(u64, Gap)> = self.overlapping(span).collect();
        for (from, gap) in hit {
            let Some(heard) = heard(&gap) else { continue };
            // What was not asked for stays as it is.
            let (first, last) = (from.max(span.from), gap.to.min(span.to));
            let cuts = usize::from(from < first) + usize::from(last < gap.to);
            if self.0.len() + cuts > 2 * limits::GAPS {
                continue;
            }
            self.0.remove(&from);
            if from < first {
                self.0.insert(from, Gap { to: first - 1, ..gap });
            }
            if last < gap.to {
                self.0.insert(last + 1, gap);
            }
            let tries = gap.tries.saturating_add(1);
            let next = next(tries);
            self.0.insert(first, Gap { to: last, tries, asked: now, heard, next, ..gap });
        }
    }

    /// Numbers that have been asked for and are not to be asked for again yet.
    pub(crate) fn on_their_way(&self, now: Instant) -> u64 {
        let asked = self.0.iter().filter(|(_, gap)| gap.tries > 0 && gap.next > now);
        asked.map(|(from, gap)| gap.to - from + 1).sum()
    }

    /// What is to be asked for now is not, until `later`. What would be meanwhile joins it, so that
    /// hundreds of gaps are one reason to wake up, not one each.
    pub(crate) fn put_off(&mut self, now: Instant, later: Instant) {
        if self.0.values().any(|gap| gap.next <= now) {
            for gap in self.0.values_mut().filter(|gap| gap.next < later) {
                gap.next = later;
            }
        }
    }

    /// All count as having become known just now.
    pub(crate) fn restart(&mut self, now: Instant) {
        for gap in self.0.values_mut() {
            gap.since = now;
        }
    }

    /// All are to be asked for anew, now: whoever may have them is there again.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for gap in self.0.values_mut() {
            gap.next = gap.next.min(now);
            gap.tries = gap.tries.min(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span { from, to }
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn numbers(gaps: &Gaps) -> BTreeSet<u64> {
        gaps.0.iter().flat_map(|(&from, gap)| from..=gap.to).collect()
    }

    #[test]
    fn what_has_no_room_is_due_again_at_one_time() {
        let (mut gaps, at) = (Gaps::default(), Instant::from_micros);
        for n in 1..=100 {
            gaps.open(Span { from: 2 * n, to: 2 * n }, at(0), at(n));
        }
        gaps.put_off(at(0), at(50));
        assert_eq!(gaps.next(), at(1), "nothing was due");
        gaps.put_off(at(1), at(50));
        assert_eq!(gaps.next(), at(50));
        assert_eq!(gaps.due(at(50), 1_000).len(), limits::WANTED_SPANS);
    }

    proptest! {
        #[test]
        fn they_are_the_numbers_that_have_not_come(
            steps in prop::collection::vec((0_u8..3, 1_u64..200, 0_u64..20), 1..200),
        ) {
            let (mut gaps, mut missing, mut top) = (Gaps::default(), BTreeSet::new(), 0);
            for (what, from, more) in steps {
                match what {
                    0 => {
                        let new = span(top + from, top + from + more);
                        top = new.to;
                        gaps.open(new, at(0), at(1));
                        missing.extend(new.from..=new.to);
                    }
                    1 => {
                        let any = (from..=from + more).any(|n| missing.contains(&n));
                        prop_assert_eq!(gaps.fill(span(from, from + more)).is_some(), any);
                        missing.retain(|n| !(from..=from + more).contains(n));
                    }
                    _ => gaps.asked(span(from, from + more), at(5), |_| at(9)),
                }
                prop_assert_eq!(&numbers(&gaps), &missing);
                let ends: Vec<(u64, u64)> = gaps.0.iter().map(|(f, g)| (*f, g.to)).collect();
                prop_assert!(ends.iter().all(|(f, t)| f <= t));
                prop_assert!(ends.is_sorted_by(|a, b| a.1 < b.0));
            }
        }
    }

    #[test]
    fn what_was_asked_for_waits_and_the_rest_does_not() {
        let mut gaps = Gaps::default();
        gaps.open(span(1, 9), at(0), at(1));
        assert!(gaps.due(at(0), 100).is_empty());
        let due: Vec<Span> = gaps.due(at(1), 4).into_iter().map(|(span, _)| span).collect();
        assert_eq!(due, [span(1, 4)]);
        gaps.asked(span(1, 4), at(1), |tries| at(10 * u64::from(tries)));
        assert_eq!(gaps.next(), at(1));
        let due: Vec<Span> = gaps.due(at(1), 100).into_iter().map(|(span, _)| span).collect();
        assert_eq!(due, [span(5, 9)]);
        gaps.asked(span(5, 9), at(1), |_| at(30));
        assert_eq!(gaps.next(), at(10));
        gaps.hurry(at(2));
        assert_eq!(gaps.next(), at(2));
    }
    #[test]
    fn whoever_asks_again_and_again_keeps_nobody_else_from_asking() {
        let mut gaps = Gaps::default();
        gaps.open(span(1, 9), at(0), at(1));
        for now in 0..1_000 {
            gaps.heard(span(1, 9), 3, at(now), |tries| at(now + 10 * u64::from(tries)));
        }
        assert_eq!(gaps.next(), at(2 + 30), "three times it was as good as asking itself");
        gaps.asked(span(1, 9), at(32), |_| at(50));
        gaps.heard(span(1, 9), 3, at(33), |_| at(60));
        assert_eq!(gaps.next(), at(60));
    }
}
