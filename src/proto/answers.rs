//! Who answers a question to all, and when.
//!
//! A few nodes all answer, each after a random moment of its own; of many, only a few do, chosen
//! by chance, and the asker pulls the rest from one of them. No node has to know what the others
//! do. (Random delays as in RFC 6762 §6; a choice by chance instead of suppression, because
//! answers go by unicast and nobody hears those of others.)

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::timing;
use crate::values::{Instant, LinkId, Rng, limits};
use crate::wire::{Presence, Sender};

/// An answer that waits for its moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) to: Sender,
    pub(crate) visitor: bool,
    pub(crate) addr: SocketAddr,
    pub(crate) link: LinkId,
    pub(crate) nonce: Option<u64>,
    /// When the question arrived.
    pub(crate) asked: Instant,
    /// Bytes of the question: what an unproven address may get back at most.
    pub(crate) budget: usize,
    /// Whether the question came by IPv6, though this node has IPv4 there.
    pub(crate) missed_by_four: bool,
    /// Whether the question showed a token, which proves its address.
    pub(crate) proven: bool,
    /// Set if whether to answer at all is decided only when the moment has come: how often the
    /// question was asked before.
    pub(crate) undecided: Option<u8>,
}

/// The answers that wait.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// By due time; the number keeps answers of the same microsecond apart.
    waiting: BTreeMap<(Instant, u64), Answer>,
    count: u64,
}

/// Whether this node is among those who answer a question to all, asked for the `attempt`-th time
/// in a group of `size`.
pub(crate) fn is_chosen(size: usize, attempt: u8, rng: &mut Rng) -> bool {
    let wanted = timing::ANSWERERS << attempt.min(6);
    size <= timing::FEW || rng.chance(wanted as f64 / size as f64)
}

/// The time over which the answers of a group of `size` are spread.
pub(crate) fn spread(size: usize) -> Duration {
    timing::ANSWER_SPACING * size.min(timing::FEW) as u32
}

impl Answers {
    /// Lets an answer wait for `delay`; `false` if too many wait already.
    pub(crate) fn push(&mut self, answer: Answer, delay: Duration) -> bool {
        if self.waiting.len() >= limits::ANSWERS_WAITING {
            return false;
        }
        self.count += 1;
        self.waiting.insert((answer.asked + delay, self.count), answer);
        true
    }

    /// Whether the answer to a question that came by IPv6 waits.
    pub(crate) fn waits_by_six(&self, question: &Presence) -> bool {
        self.waiting.values().any(|answer| is_by_six(answer, question))
    }

    /// Takes back the answers to a question that have to go by IPv6.
    pub(crate) fn withdraw_by_six(&mut self, question: &Presence) {
        self.waiting.retain(|_, answer| !is_by_six(answer, question));
    }

    /// The next answer whose moment has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Answer> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(crate) fn next(&self) -> Instant {
        self.waiting.first_key_value().map_or(Instant::NEVER, |(key, _)| key.0)
    }
}

fn is_by_six(answer: &Answer, question: &Presence) -> bool {
    let same = answer.to == question.from && answer.nonce == question.nonce;
    same && question.nonce.is_some() && answer.addr.is_ipv6()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::NodeId;

    #[test]
    fn few_all_answer_and_of_many_some_do_more_when_asked_again() {
        let mut rng = Rng::from_number(1);
        let mut count = |size, attempt| {
            (0..10_000).filter(|_| is_chosen(size, attempt, &mut rng)).count() * size / 10_000
        };
        assert_eq!(count(40, 0), 40);
        assert!((4..=8).contains(&count(1_000, 0)));
        assert!((9..=15).contains(&count(1_000, 1)));
        assert!((30..=60).contains(&count(10_000, 3)));
    }

    #[test]
    fn no_more_answers_wait_than_the_limit() {
        let mut answers = Answers::default();
        let answer = Answer {
            to: Sender { id: NodeId([0; 32]), epoch: 1 },
            visitor: true,
            addr: SocketAddr::from(([10, 0, 0, 1], 1)),
            link: LinkId(1),
            nonce: None,
            asked: Instant::ZERO,
            budget: 0,
            missed_by_four: false,
            proven: false,
            undecided: None,
        };
        let taken = (0..2_000).filter(|_| answers.push(answer, Duration::ZERO)).count();
        assert_eq!(taken, limits::ANSWERS_WAITING);
        assert!(answers.pop(Instant::ZERO).is_some());
        assert!(answers.push(answer, Duration::from_secs(1)));
    }
}
