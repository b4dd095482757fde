//! Messages to one peer on their way: repeated until acknowledged or given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::event::TellError;
use super::timing;
use crate::values::{Instant, NodeId, limits};

/// A datagram that waits for its acknowledgement.
#[derive(Clone, Debug)]
struct Waiting {
    to: NodeId,
    bytes: Arc<[u8]>,
    ticket: u64,
    tries: u8,
    /// The wait before the first repetition; doubles with each (RFC 6298 §5.5).
    patience: Duration,
    next: Instant,
}

/// A message, in one datagram or several.
#[derive(Clone, Copy, Debug)]
struct Message {
    begun: Instant,
    unacked: usize,
}

/// A datagram to be sent again, with its peer.
pub(crate) type Again = (NodeId, Arc<[u8]>);

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it has arrived, after this time.
    Arrived(u64, Duration),
    /// Given up.
    Failed(u64, TellError),
}

/// The messages on their way.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// By the datagram's number.
    waiting: BTreeMap<u64, Waiting>,
    /// By ticket.
    messages: BTreeMap<u64, Message>,
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
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A datagram has just been sent for the first time.
    pub(crate) fn sent(
        &mut self,
        n: u64,
        to: NodeId,
        bytes: Arc<[u8]>,
        ticket: u64,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        let patience = rtt.map_or(timing::TELL_RETRY, |rtt| (rtt * 4).max(timing::TELL_RETRY));
        let next = now + patience;
        self.waiting.insert(n, Waiting { to, bytes, ticket, tries: 1, patience, next });
        self.messages.entry(ticket).or_insert(Message { begun: now, unacked: 0 }).unacked += 1;
    }

    /// A peer has acknowledged a datagram.
    pub(crate) fn acked(&mut self, n: u64, from: NodeId, now: Instant) -> Option<Outcome> {
        if self.waiting.get(&n)?.to != from {
            return None;
        }
        let ticket = self.waiting.remove(&n)?.ticket;
        let message = self.messages.get_mut(&ticket)?;
        message.unacked -= 1;
        if message.unacked > 0 {
            return None;
        }
        let took = now.since(message.begun);
        self.messages.remove(&ticket);
        Some(Outcome::Arrived(ticket, took))
    }

    /// The datagrams to be sent again now, with their peers, and the messages given up.
    pub(crate) fn due(&mut self, now: Instant) -> (Vec<Again>, Vec<Outcome>) {
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.next <= now) {
            if waiting.tries >= timing::TELL_TRIES {
                failed.push(waiting.ticket);
                continue;
            }
            waiting.next = now + waiting.patience * (1 << waiting.tries.min(10));
            waiting.tries += 1;
            again.push((waiting.to, Arc::clone(&waiting.bytes)));
        }
        failed.dedup();
        self.waiting.retain(|_, waiting| !failed.contains(&waiting.ticket));
        let outcome = |ticket| {
            self.messages.remove(&ticket)?;
            Some(Outcome::Failed(ticket, TellError::Unanswered))
        };
        let failed = failed.into_iter().filter_map(outcome).collect();
        (again, failed)
    }

    pub(crate) fn next(&self) -> Instant {
        self.waiting.values().map(|waiting| waiting.next).min().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);

    fn sent(direct: &mut Direct, ticket: u64) -> u64 {
        let n = direct.number();
        direct.sent(n, PEER, Arc::from(*b"x"), ticket, None, Instant::ZERO);
        n
    }

    #[test]
    fn a_message_has_arrived_when_all_its_datagrams_have() {
        let mut direct = Direct::default();
        let (a, b) = (sent(&mut direct, 7), sent(&mut direct, 7));
        let now = Instant::ZERO + Duration::from_millis(3);
        assert_eq!(direct.acked(a, NodeId([2; 32]), now), None);
        assert_eq!(direct.acked(a, PEER, now), None);
        assert_eq!(direct.acked(a, PEER, now), None);
        let arrived = Outcome::Arrived(7, Duration::from_millis(3));
        assert_eq!(direct.acked(b, PEER, now), Some(arrived));
        assert!(direct.is_empty());
    }

    #[test]
    fn an_unanswered_message_is_repeated_at_doubling_intervals_and_then_given_up_once() {
        let mut direct = Direct::default();
        sent(&mut direct, 7);
        sent(&mut direct, 7);
        let (mut repeated, mut failed, mut now) = (0, Vec::new(), Instant::ZERO);
        while direct.next() != Instant::NEVER {
            assert!(direct.next() > now);
            now = direct.next();
            let (again, outcomes) = direct.due(now);
            repeated += again.len();
            failed.extend(outcomes);
        }
        assert_eq!(repeated, 2 * usize::from(timing::TELL_TRIES - 1));
        assert_eq!(failed, [Outcome::Failed(7, TellError::Unanswered)]);
        assert!(now.since(Instant::ZERO) < Duration::from_secs(10));
    }
}
