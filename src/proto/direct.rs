//! Messages to one peer on their way: repeated until acknowledged or given up.
//!
//! Of a message in many datagrams only some are on their way at a time: few at first, one more with
//! each acknowledgement (at most [`limits::IN_FLIGHT`]), half as many when one is missing. A slow
//! acknowledgement makes the wait for others longer. (Both as in RFC 5681 and RFC 6298; without,
//! thirty hosts with much to say to one would bury it under repetitions.)

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Destination, TellError};
use super::timing;
use crate::values::{Instant, NodeId, limits, order};

/// What a message is, to whoever wants to know what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Parcel {
    /// Something told, with the user's ticket.
    Told(u64),
    /// A question, by its number, to this peer.
    Question(u64, NodeId),
    /// An answer; the number of its first datagram.
    Answer(u64),
}

/// A datagram to be sent, for the first time or again.
#[derive(Clone, Debug)]
pub(crate) struct Going {
    pub(crate) to: NodeId,
    /// Where to, if not wherever the peer is by now.
    pub(crate) at: Option<Destination>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) parcel: Parcel,
    /// How often it was sent, this time included.
    pub(crate) tries: u8,
}

/// A datagram that waits for its acknowledgement, or for its turn.
#[derive(Clone, Debug)]
struct Waiting {
    going: Going,
    /// When it was sent first.
    sent: Instant,
    next: Instant,
}

/// A message, in one datagram or several.
#[derive(Clone, Debug)]
struct Message {
    begun: Instant,
    unacked: usize,
    in_flight: usize,
    /// How many may be on their way, and when that was reduced last.
    window: usize,
    reduced: Instant,
    /// The wait before the first repetition; doubles with each (RFC 6298 §5.5).
    patience: Duration,
    /// The datagrams that wait for their turn.
    queue: VecDeque<u64>,
}

/// Datagrams of a message that are sent at once.
const FIRST: usize = 4;

/// The longest wait before the first repetition.
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it has arrived, after this time.
    Arrived(Parcel, Duration),
    /// Given up.
    Failed(Parcel, TellError),
}

impl Message {
    /// A datagram was acknowledged so long after it was sent first; whether it was sent just once.
    fn heard(&mut self, after: Duration, once: bool) {
        // Which of several copies arrived is not known: the first is the cautious guess.
        let patience = (after * 2).max(self.patience * 7 / 8);
        self.patience = patience.clamp(timing::TELL_RETRY, MOST_PATIENCE);
        if once {
            self.window = (self.window + 1).min(limits::IN_FLIGHT);
        }
    }

    /// No acknowledgement came in time. Of many that are missing at once the first counts.
    fn missed(&mut self, now: Instant) {
        if now.since(self.reduced) >= self.patience {
            self.reduced = now;
            self.window = (self.window / 2).max(1);
        }
    }
}

/// The messages on their way.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// By the datagram's number.
    waiting: BTreeMap<u64, Waiting>,
    messages: BTreeMap<Parcel, Message>,
    last: u64,
}

impl Direct {
    /// The number of the next datagram.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether `count` more datagrams may wait.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.waiting.len() + count <= limits::UNACKED
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes up datagram `n` of a message; returns it if it is to be sent at once. `rtt` to the
    /// peer, if known.
    pub(crate) fn add(
        &mut self,
        n: u64,
        going: Going,
        rtt: Option<Duration>,
        now: Instant,
    ) -> Option<Going> {
        let patience = rtt.map_or(timing::TELL_RETRY, |rtt| (rtt * 4).max(timing::TELL_RETRY));
        let message = self.messages.entry(going.parcel).or_insert(Message {
            begun: now,
            unacked: 0,
            in_flight: 0,
            window: FIRST,
            reduced: now,
            patience,
            queue: VecDeque::new(),
        });
        message.unacked += 1;
        message.queue.push_back(n);
        let parcel = going.parcel;
        self.waiting.insert(n, Waiting { going, sent: now, next: Instant::NEVER });
        self.next_of(parcel, now)
    }

    /// The next datagram of a message, if its turn has come.
    fn next_of(&mut self, parcel: Parcel, now: Instant) -> Option<Going> {
        let message = self.messages.get_mut(&parcel)?;
        while message.in_flight < message.window {
            let n = message.queue.pop_front()?;
            if let Some(waiting) = self.waiting.get_mut(&n) {
                message.in_flight += 1;
                (waiting.sent, waiting.next) = (now, now + message.patience);
                waiting.going.tries = 1;
                return Some(waiting.going.clone());
            }
        }
        None
    }

    /// A peer has acknowledged a datagram: what has become of the message, and what is to be sent
    /// next of it.
    pub(crate) fn acked(
        &mut self,
        n: u64,
        from: NodeId,
        now: Instant,
    ) -> (Option<Outcome>, Vec<Going>) {
        if self.waiting.get(&n).is_none_or(|waiting| waiting.going.to != from) {
            return (None, Vec::new());
        }
        let Some(Waiting { going, sent, .. }) = self.waiting.remove(&n) else {
            return (None, Vec::new());
        };
        let Some(message) = self.messages.get_mut(&going.parcel) else { return (None, Vec::new()) };
        message.unacked -= 1;
        if message.unacked == 0 {
            let took = now.since(message.begun);
            self.messages.remove(&going.parcel);
            return (Some(Outcome::Arrived(going.parcel, took)), Vec::new());
        }
        // A peer may acknowledge what was never sent; that frees nothing.
        if going.tries > 0 {
            message.in_flight -= 1;
            message.heard(now.since(sent), going.tries == 1);
        }
        (None, std::iter::from_fn(|| self.next_of(going.parcel, now)).collect())
    }

    /// The datagrams to be sent again now, and the messages given up.
    pub(crate) fn due(&mut self, now: Instant) -> (Vec<Going>, Vec<Outcome>) {
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.next <= now) {
            let going = &mut waiting.going;
            let message = self.messages.get_mut(&going.parcel);
            let Some(message) = message.filter(|_| going.tries < timing::TELL_TRIES) else {
                failed.push(going.parcel);
                continue;
            };
            message.missed(now);
            waiting.next = now + message.patience * (1 << going.tries.min(10));
            going.tries += 1;
            again.push(going.clone());
        }
        order::sort_by_key(&mut failed, |parcel| *parcel);
        failed.dedup();
        for &parcel in &failed {
            self.forget(parcel);
        }
        let outcome = |parcel| Outcome::Failed(parcel, TellError::Unanswered);
        (again, failed.into_iter().map(outcome).collect())
    }

    /// Gives a message up, if it is still on its way.
    pub(crate) fn forget(&mut self, parcel: Parcel) {
        if self.messages.remove(&parcel).is_some() {
            self.waiting.retain(|_, waiting| waiting.going.parcel != parcel);
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.waiting.values().map(|waiting| waiting.next).min().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);
    const TOLD: Parcel = Parcel::Told(7);

    /// Takes up one more datagram; its number, and whether it is sent at once.
    fn add(direct: &mut Direct) -> (u64, bool) {
        let n = direct.number();
        let bytes = Arc::from(*b"x");
        let going = Going { to: PEER, at: None, bytes, parcel: TOLD, tries: 0 };
        (n, direct.add(n, going, None, Instant::ZERO).is_some())
    }

    #[test]
    fn a_message_has_arrived_when_all_its_datagrams_have() {
        let mut direct = Direct::default();
        let ((a, _), (b, _)) = (add(&mut direct), add(&mut direct));
        let now = Instant::ZERO + Duration::from_millis(3);
        assert!(direct.acked(a, NodeId([2; 32]), now).0.is_none());
        assert!(direct.acked(a, PEER, now).0.is_none());
        assert!(direct.acked(a, PEER, now).0.is_none());
        let arrived = Outcome::Arrived(TOLD, Duration::from_millis(3));
        assert_eq!(direct.acked(b, PEER, now).0, Some(arrived));
        assert!(direct.is_empty());
    }

    #[test]
    fn an_unanswered_message_is_repeated_at_doubling_intervals_and_then_given_up_once() {
        let mut direct = Direct::default();
        add(&mut direct);
        add(&mut direct);
        let (mut repeated, mut failed, mut now) = (0, Vec::new(), Instant::ZERO);
        while direct.next() != Instant::NEVER {
            assert!(direct.next() > now);
            now = direct.next();
            let (again, outcomes) = direct.due(now);
            repeated += again.len();
            failed.extend(outcomes);
        }
        assert_eq!(repeated, 2 * usize::from(timing::TELL_TRIES - 1));
        assert_eq!(failed, [Outcome::Failed(TOLD, TellError::Unanswered)]);
        assert!(now.since(Instant::ZERO) < Duration::from_secs(10));
    }

    #[test]
    fn of_a_long_message_only_some_is_on_its_way_and_each_acknowledgement_lets_more_go() {
        let mut direct = Direct::default();
        let all: Vec<(u64, bool)> = (0..100).map(|_| add(&mut direct)).collect();
        assert_eq!(all.iter().filter(|(_, sent)| *sent).count(), FIRST);
        // One that was never sent is acknowledged all the same.
        assert!(direct.acked(all[50].0, PEER, Instant::ZERO).1.is_empty());
        let (mut sent, mut on_their_way, mut most, mut arrived) = (FIRST, FIRST, 0, false);
        for (n, _) in all {
            let (outcome, next) = direct.acked(n, PEER, Instant::ZERO);
            sent += next.len();
            on_their_way = (on_their_way + next.len()).saturating_sub(1);
            most = most.max(on_their_way);
            arrived |= outcome.is_some();
        }
        assert!(arrived && direct.is_empty());
        assert_eq!((sent, most), (99, limits::IN_FLIGHT));
    }

    #[test]
    fn where_datagrams_are_missing_fewer_go_and_where_they_are_slow_the_wait_is_longer() {
        let mut direct = Direct::default();
        let all: Vec<(u64, bool)> = (0..100).map(|_| add(&mut direct)).collect();
        for (n, _) in &all[..20] {
            direct.acked(*n, PEER, Instant::ZERO);
        }
        let full = direct.messages[&TOLD].window;
        let late = direct.next();
        assert_eq!(direct.due(late).0.len(), limits::IN_FLIGHT);
        assert_eq!((full, direct.messages[&TOLD].window), (16, 8), "once for all of them");
        let slow = Instant::ZERO + Duration::from_millis(300);
        assert!(direct.acked(all[20].0, PEER, slow).1.is_empty());
        assert_eq!(direct.messages[&TOLD].patience, Duration::from_millis(600));
    }

    #[test]
    fn what_is_forgotten_is_repeated_no_more() {
        let mut direct = Direct::default();
        for _ in 0..100 {
            add(&mut direct);
        }
        direct.forget(TOLD);
        assert!(direct.is_empty() && direct.next() == Instant::NEVER);
    }
}
