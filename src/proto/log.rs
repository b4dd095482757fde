//! What has been received of one author's log in one run and channel: each entry once, in order.
//!
//! ```text
//!   1 ── … ── done │ done+1 … head │ beyond
//!   handed up      │ early or gap  │ not known to exist
//! ```
//!
//! An entry that is next is handed up; one that is ahead waits for those before it. What is missing
//! is in [`Gaps`], so each number between `done` and `head` is either in an early entry or in a gap.
//!
//! How far a log goes is sure only from what its author has signed. What others say of it is asked
//! for, and forgotten if it does not come: nobody can have an author's messages passed over by telling
//! of some that do not exist.
//!
//! A run begins when what is missing of the author's earlier runs has come, or has been waited for long
//! enough: until then nothing of its log is handed up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::gaps::Gaps;
use super::guard::Bucket;
use super::patience::Patience;
use super::timing;
use crate::values::{Instant, LinkId, NodeId, limits};
use crate::wire::Span;

/// The datagram of an entry.
pub(crate) type Bytes = Arc<[u8]>;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is the next: it can be shown, and perhaps some of those that waited for it.
    Next,
    /// It waits for those before it.
    Early,
    /// It has come before.
    Duplicate,
    /// There is no room for what comes so early; it is asked for when its turn comes.
    Refused,
}

impl Taken {
    /// Whether the entry was not there before, and is now.
    pub(crate) fn is_new(self) -> bool {
        matches!(self, Self::Next | Self::Early)
    }
}

/// Who says how far a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Its author, with its signature.
    Authors,
    /// Somebody else.
    Hearsay,
}

/// A long message whose parts are coming in.
#[derive(Debug, Default)]
pub(crate) struct Long {
    /// The part that comes next; 0: none is awaited.
    next: u32,
    text: String,
}

impl Long {
    /// The next part. Returns the whole when it was the last; nothing comes of one whose beginning was
    /// not there.
    pub(crate) fn add(&mut self, (part, parts): (u32, u32), piece: &str) -> Option<String> {
        if part == 0 || part != self.next {
            *self = Self::default();
        }
        if part != self.next {
            return None;
        }
        self.text.push_str(piece);
        self.next += 1;
        (self.next == parts).then(|| std::mem::take(self).text)
    }
}

/// Whether a log's entries are handed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    No,
    /// Entries wait for the author's earlier runs.
    Waits {
        since: Instant,
        /// When to look again.
        until: Instant,
    },
    Yes,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    done: u64,
    /// The last number that was of no interest or was given up: everything between it and `done`
    /// was handed up.
    lost: u64,
    /// The last number that was given up.
    given_up: u64,
    head: u64,
    /// The highest number of which the author has told itself.
    sure: u64,
    begun: Begun,
    early: BTreeMap<u64, (u64, Bytes)>,
    early_bytes: usize,
    long: Long,
    pub(crate) gaps: Gaps,
    /// How long what was asked for is waited for.
    pub(crate) patience: Patience,
    /// Requests that may be sent for it.
    pub(crate) asks: Bucket,
    /// When a gap was filled or became known last.
    pub(crate) progress: Instant,
    /// Where the author itself was heard last, with something signed.
    pub(crate) source: Option<(SocketAddr, LinkId, Instant)>,
    /// Who has said that it has what is missing.
    pub(crate) holder: Option<NodeId>,
    /// The author wants to know when everything up to here has come.
    pub(crate) confirm: Option<u64>,
}

impl Log {
    /// A log of which everything up to `done` is of no interest here, or known; and who says that it
    /// goes so far.
    pub(crate) fn new(done: u64, word: Word, now: Instant) -> Self {
        Self {
            sure: if word == Word::Authors { done } else { 0 },
            done,
            lost: done,
            given_up: 0,
            head: done,
            begun: Begun::No,
            early: BTreeMap::new(),
            early_bytes: 0,
            long: Long::default(),
            gaps: Gaps::default(),
            patience: Patience::new(),
            asks: Bucket::full(now, limits::ASK_BURST),
            progress: now,
            source: None,
            holder: None,
            confirm: None,
        }
    }

    /// Everything up to here was handed up, or given up.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Everything behind this and up to `done` was handed up.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// The last number that was given up: when it was said is not known.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// The highest number known to exist.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Whether the author has said that it goes so far and no further, so that what others have told
    /// of it can't be.
    pub(crate) fn contradicts(&self, head: u64) -> bool {
        self.done > self.sure && self.done > head
    }

    /// Its entries are to be handed up, unless they had better wait until `wait` for the author's
    /// earlier runs; which they do not for longer than [`timing::EARLIER`] in all. Returns whether they
    /// are handed up.
    pub(crate) fn begin(&mut self, wait: Option<Instant>, now: Instant) -> bool {
        let since = match self.begun {
            Begun::No => now,
            Begun::Waits { since, .. } => since,
            Begun::Yes => return true,
        };
        let until = wait.map(|wait| wait.min(since + timing::EARLIER)).filter(|until| now < *until);
        self.begun = until.map_or(Begun::Yes, |until| Begun::Waits { since, until });
        self.has_begun()
    }

    /// Whether its entries are handed up.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun == Begun::Yes
    }

    /// When to look whether it begins, if entries wait for that.
    pub(crate) fn begins(&self) -> Option<Instant> {
        match self.begun {
            Begun::Waits { until, .. } => Some(until),
            Begun::No | Begun::Yes => None,
        }
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.early_bytes + self.long.text.len()
    }

    /// A part of a long message has been handed up. Returns the whole when it was the last; nothing
    /// comes of one whose beginning was not handed up, or that needs more than `room` bytes.
    pub(crate) fn part(
        &mut self,
        (part, parts): (u32, u32),
        piece: &str,
        room: usize,
    ) -> Option<String> {
        if piece.len() > room {
            self.long = Long::default();
            return None;
        }
        self.long.add((part, parts), piece)
    }

    /// Whether an entry has come. One of which any number has come is not taken again.
    pub(crate) fn has(&self, span: Span) -> bool {
        let early = self.early.range(..=span.from).next_back();
        self.is_over(span) || early.is_some_and(|(_, (to, _))| *to >= span.from)
    }

    /// Whether an entry is handed up no more. Where the log was cut within it, nothing of it was.
    fn is_over(&self, span: Span) -> bool {
        let is_cut = self.done == self.lost && self.done < span.to;
        span.from <= self.done && !is_cut
    }

    /// An entry has come, and is genuine. It waits for those before it, and until the log has begun.
    /// `room`: bytes that may still wait, of all logs. `ask`: when to ask for what turns out to be
    /// missing.
    pub(crate) fn take(
        &mut self,
        span: Span,
        bytes: &Bytes,
        room: usize,
        now: Instant,
        ask: Instant,
    ) -> Taken {
        if self.has(span) {
            return Taken::Duplicate;
        }
        let next = span.from <= self.done + 1 && self.has_begun();
        if !next {
            let full = self.gaps.is_full() || bytes.len() > room;
            let most = self.early_bytes + bytes.len() > limits::EARLY_OF_ONE;
            if full || most {
                self.learn(span.to, Word::Authors, now, ask);
                return Taken::Refused;
            }
        }
        self.learn(span.from - 1, Word::Authors, now, ask);
        self.sure = self.sure.max(span.to);
        if let Some(gap) = self.gaps.fill(span) {
            self.progress = now;
            if gap.tries == 1 {
                self.patience.answered(now.since(gap.asked));
            }
        }
        self.head = self.head.max(span.to);
        if next {
            self.done = span.to;
            return Taken::Next;
        }
        self.early_bytes += bytes.len();
        self.early.insert(span.from, (span.to, Arc::clone(bytes)));
        Taken::Early
    }

    /// The log goes so far, as somebody says; what is new of that is missing. Returns whether anything
    /// is. What others say is believed as far as [`limits::BACKLOG`] from what is known.
    pub(crate) fn learn(&mut self, head: u64, word: Word, now: Instant, ask: Instant) -> bool {
        let head = match word {
            Word::Authors => head,
            Word::Hearsay => head.min(self.done.saturating_add(limits::BACKLOG)),
        };
        if word == Word::Authors {
            self.sure = self.sure.max(head);
        }
        if head <= self.head {
            return false;
        }
        if self.gaps.is_empty() {
            self.progress = now;
        }
        if !self.gaps.is_full() {
            self.gaps.open(Span { from: self.head + 1, to: head }, now, ask);
            self.head = head;
        }
        true
    }

    /// The next of those that waited, if its turn has come.
    pub(crate) fn pop(&mut self) -> Option<(Span, Bytes)> {
        if !self.has_begun() {
            return None;
        }
        let first = self.early.first_entry().filter(|entry| *entry.key() <= self.done + 1)?;
        let (from, (to, bytes)) = first.remove_entry();
        self.early_bytes -= bytes.len();
        // What another cut of the log has brought already is not shown again.
        if self.is_over(Span { from, to }) {
            self.done = self.done.max(to);
            self.gaps.fill(Span { from, to });
            return self.pop();
        }
        self.done = to;
        Some((Span { from, to }, bytes))
    }

    /// Gives up the first gap; returns what of it existed, as far as the author has said. What waited
    /// behind it can be popped then.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<Span> {
        let (mut span, _) = self.gaps.first()?;
        self.gaps.fill(span);
        if span.to > self.sure {
            // Nothing is known to be behind that, and nothing waits there.
            self.gaps.fill(Span { from: span.from, to: u64::MAX });
            self.head = self.sure.max(self.done);
            self.progress = now;
            span.to = self.sure;
            if span.to < span.from {
                return None;
            }
        }
        self.done = self.done.max(span.to);
        self.lost = self.lost.max(span.to);
        self.given_up = self.given_up.max(span.to);
        self.progress = now;
        Some(span)
    }

    /// Skips everything up to `done` that has not come; returns how many numbers that are. What
    /// waited can be popped then, or is dropped where it lies behind.
    pub(crate) fn skip_to(&mut self, done: u64) -> u64 {
        if done <= self.done {
            return 0;
        }
        let skipped = done - self.done;
        self.gaps.fill(Span { from: 1, to: done });
        while let Some(first) = self.early.first_entry().filter(|entry| entry.get().0 <= done) {
            let (_, bytes) = first.remove();
            self.early_bytes -= bytes.len();
        }
        (self.done, self.lost, self.given_up) = (done, done, done);
        self.head = self.head.max(done);
        skipped
    }

    /// What is missing is waited for anew.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.progress = now;
        self.gaps.restart(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn bytes(n: u64) -> Bytes {
        Arc::from(n.to_string().as_bytes())
    }

    /// A log of which nothing is known, of an author's first run.
    fn fresh() -> Log {
        begun(0)
    }

    fn begun(done: u64) -> Log {
        let mut log = Log::new(done, Word::Authors, NOW);
        assert!(log.begin(None, NOW));
        log
    }

    /// Gives entries to a log, and returns what it hands up, by first number.
    fn feed(log: &mut Log, spans: &[(u64, u64)]) -> Vec<u64> {
        let mut up = Vec::new();
        for &(from, to) in spans {
            let taken = log.take(Span { from, to }, &bytes(from), usize::MAX, NOW, NOW);
            if taken == Taken::Next {
                up.push(from);
                up.extend(std::iter::from_fn(|| log.pop()).map(|(span, _)| span.from));
            }
        }
        up
    }

    #[test]
    fn entries_are_handed_up_in_order_and_once() {
        let mut log = fresh();
        assert_eq!(feed(&mut log, &[(1, 1), (4, 6), (1, 1), (3, 3)]), [1]);
        assert_eq!(log.gaps.first().map(|(span, _)| span), Some(Span { from: 2, to: 2 }));
        assert_eq!(feed(&mut log, &[(4, 6), (2, 2), (7, 7)]), [2, 3, 4, 7]);
        assert_eq!((log.done(), log.head(), log.waiting_bytes()), (7, 7, 0));
    }

    #[test]
    fn a_run_begins_when_the_earlier_ones_are_complete_or_were_waited_for_long_enough() {
        let (soon, end) = (NOW + timing::EARLIER / 2, NOW + timing::EARLIER);
        let waits = Some(Instant::NEVER);
        for (wait, now) in [(None, NOW), (Some(soon), soon), (waits, end)] {
            let mut log = Log::new(0, Word::Authors, NOW);
            assert!(!log.begin(waits, NOW));
            assert!(feed(&mut log, &[(1, 1), (2, 3), (5, 5)]).is_empty());
            assert_eq!((log.pop(), log.begins(), log.done()), (None, Some(end), 0));
            assert!(!log.begin(Some(soon), NOW) && log.begins() == Some(soon));
            assert!(log.begin(wait, now), "{wait:?}");
            let up: Vec<u64> =
                std::iter::from_fn(|| log.pop()).map(|(span, _)| span.from).collect();
            assert_eq!((up, log.begins()), (vec![1, 2], None));
            assert!(log.begin(waits, now), "it goes on once it has begun");
            assert_eq!(feed(&mut log, &[(4, 4)]), [4, 5]);
        }
    }

    #[test]
    fn a_head_tells_what_is_missing_at_the_end() {
        let mut log = begun(5);
        let learnt = [5, 8, 8].map(|head| log.learn(head, Word::Authors, NOW, NOW));
        assert_eq!(learnt, [false, true, false]);
        assert_eq!(log.gaps.first().map(|(span, _)| span), Some(Span { from: 6, to: 8 }));
        assert_eq!(feed(&mut log, &[(8, 8), (6, 6), (7, 7)]), [6, 7, 8]);
    }

    #[test]
    fn an_entry_within_which_the_log_was_cut_comes_whole_and_one_that_was_handed_up_does_not_again()
    {
        let mut log = begun(5);
        assert_eq!(feed(&mut log, &[(4, 5)]), [] as [u64; 0], "all of it is of no interest");
        assert_eq!(feed(&mut log, &[(4, 8), (4, 8), (9, 9)]), [4, 9]);
        let mut log = begun(0);
        assert_eq!(feed(&mut log, &[(1, 1), (30, 40), (50, 60)]), [1]);
        assert_eq!(log.skip_to(35), 34);
        assert_eq!(log.pop().map(|(span, _)| span.from), Some(30));
        assert_eq!(log.done(), 40);
    }

    #[test]
    fn what_is_given_up_lets_the_rest_go_on() {
        let mut log = fresh();
        feed(&mut log, &[(3, 4), (7, 7)]);
        assert_eq!(log.give_up(NOW), Some(Span { from: 1, to: 2 }));
        assert_eq!((log.lost(), log.given_up()), (2, 2));
        assert_eq!(log.pop().map(|(span, _)| span.from), Some(3));
        assert_eq!(log.pop(), None);
        assert!(log.has(Span { from: 1, to: 1 }), "what comes too late is not shown out of order");
        assert_eq!(log.skip_to(20), 16);
        assert_eq!((log.done(), log.head(), log.waiting_bytes()), (20, 20, 0));
        assert!(log.gaps.is_empty() && log.pop().is_none());
    }

    #[test]
    fn what_others_tell_of_is_forgotten_if_it_does_not_come_and_passes_nothing_over() {
        let mut log = fresh();
        feed(&mut log, &[(1, 1), (3, 3)]);
        log.learn(1 << 60, Word::Hearsay, NOW, NOW);
        assert_eq!(log.head(), 1 + limits::BACKLOG);
        assert_eq!(log.give_up(NOW), Some(Span { from: 2, to: 2 }), "the author has said 3");
        assert_eq!(log.pop().map(|(span, _)| span.from), Some(3));
        assert_eq!(log.give_up(NOW), None);
        assert_eq!((log.done(), log.head()), (3, 3));
        assert_eq!(feed(&mut log, &[(4, 4)]), [4]);
        // One gap, of which the author has told of the beginning only.
        log.learn(6, Word::Authors, NOW, NOW);
        log.learn(9, Word::Hearsay, NOW, NOW);
        assert_eq!(log.give_up(NOW), Some(Span { from: 5, to: 6 }));
        assert_eq!((log.done(), log.head(), log.gaps.is_empty()), (6, 6, true));
    }

    #[test]
    fn an_author_contradicts_what_others_have_told_of_its_past() {
        let told = Log::new(1 << 60, Word::Hearsay, NOW);
        assert!(told.contradicts(1) && !told.contradicts(1 << 60));
        assert!(!Log::new(9, Word::Authors, NOW).contradicts(1), "a head that was overtaken");
    }

    #[test]
    fn what_comes_too_early_has_bounded_room_and_is_asked_for_later() {
        let mut log = fresh();
        let big: Bytes = vec![0; 1_000].into();
        let mut taken = Vec::new();
        for seq in 2..=10_000 {
            taken.push(log.take(Span { from: seq, to: seq }, &big, usize::MAX, NOW, NOW));
        }
        assert!(log.waiting_bytes() <= limits::EARLY_OF_ONE);
        assert_eq!(taken.last(), Some(&Taken::Refused));
        assert_eq!(log.head(), 10_000);
        // Every second one: a gap each.
        let mut log = fresh();
        for n in 1..=10_000 {
            log.take(Span { from: 2 * n, to: 2 * n }, &bytes(n), usize::MAX, NOW, NOW);
        }
        assert!(log.gaps.due(NOW, u64::MAX).len() <= limits::WANTED_SPANS);
        assert_eq!(feed(&mut log, &[(1, 1)])[..2], [1, 2]);
    }

    #[test]
    fn a_long_message_is_whole_when_all_its_parts_were_handed_up() {
        let mut log = fresh();
        let mut part = |part, piece, room| log.part((part, 3), piece, room);
        assert_eq!(part(1, "b", 9), None, "its beginning is missing");
        assert_eq!(part(2, "c", 9), None);
        for _ in 0..2 {
            assert_eq!((part(0, "a", 9), part(1, "b", 9)), (None, None));
            assert_eq!(part(2, "c", 9).as_deref(), Some("abc"));
        }
        assert_eq!((part(0, "a", 9), part(2, "c", 9), part(1, "b", 9)), (None, None, None));
        assert_eq!((part(0, "a", 9), part(1, "bb", 1), part(2, "c", 9)), (None, None, None));
        assert_eq!(log.waiting_bytes(), 0);
    }

    proptest! {
        #[test]
        fn whatever_the_order_all_of_it_comes_up_in_order(order in Just((1_u64..=60).collect::<Vec<_>>()).prop_shuffle()) {
            let mut log = fresh();
            let spans: Vec<(u64, u64)> = order.iter().map(|&n| (n, n)).collect();
            prop_assert_eq!(feed(&mut log, &spans), (1..=60).collect::<Vec<_>>());
            prop_assert!(log.gaps.is_empty());
        }
    }
}
