//! One peer is said to be dead: by whom, and how long it may refute that.
//!
//! *(After Dadgar, Phillips and Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection",
//! 2018, §IV-B: the more say so independently, the sooner they are believed.)* Accusers on one host count as one,
//! however many keys they have; and so do those whose word came to this node alone, so that the accused can't
//! have heard it.

use std::net::IpAddr;

use super::timing;
use crate::values::{Instant, NodeId};

/// What is said against one peer.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    since: Instant,
    /// Who says so, and where from if that counts; at most [`timing::WATCHERS`].
    accusers: Vec<(NodeId, Option<IpAddr>)>,
    /// This node itself says so; and when it says so again.
    own: Option<Instant>,
}

impl Suspicion {
    /// Somebody has said so.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, accusers: Vec::new(), own: None }
    }

    /// One accuses it, at an address where that counts; `true` if it is one more.
    pub(crate) fn accuse(&mut self, by: NodeId, host: Option<IpAddr>) -> bool {
        let counts =
            !self.accusers().any(|accuser| accuser == by) && self.accusers.len() < timing::WATCHERS;
        if counts {
            self.accusers.push((by, host));
        }
        counts
    }

    /// This node accuses it.
    pub(crate) fn accuse_too(&mut self, now: Instant) {
        self.own = Some(now + timing::ACCUSE_AGAIN);
    }

    /// Whether this node accuses it.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether it is time for this node to say so again.
    pub(crate) fn repeats(&mut self, now: Instant) -> bool {
        let due = self.own.is_some_and(|at| at <= now);
        if due {
            self.own = Some(now + timing::ACCUSE_AGAIN);
        }
        due
    }

    /// Who accuses it but this node.
    pub(crate) fn accusers(&self) -> impl Iterator<Item = NodeId> {
        self.accusers.iter().map(|(accuser, _)| *accuser)
    }

    /// How many hosts say so, this one included.
    pub(crate) fn hosts(&self) -> usize {
        let mut hosts: Vec<IpAddr> = self.accusers.iter().filter_map(|(_, host)| *host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.len() + usize::from(self.own.is_some())
    }

    /// Until when it may refute that, for a node of a group of `size` whose health multiplies times by
    /// `factor`.
    pub(crate) fn until(&self, size: usize, factor: u32) -> Instant {
        self.since + timing::suspicion(self.hosts(), size) * factor
    }

    /// This node stood still and may have missed what refutes it: the time begins anew.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn host(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn the_more_hosts_accuse_the_less_time_there_is() {
        let start = Instant::from_micros(1);
        let mut suspicion = Suspicion::new(start);
        let time = |s: &Suspicion| s.until(10, 1).since(start);
        suspicion.accuse(id(1), Some(host(1)));
        suspicion.accuse(id(1), Some(host(2)));
        let alone = time(&suspicion);
        suspicion.accuse_too(start);
        let two = time(&suspicion);
        suspicion.accuse(id(3), Some(host(3)));
        let three = time(&suspicion);
        assert!(alone > two && two > three, "{alone:?} {two:?} {three:?}");
        assert_eq!(three, Duration::from_millis(1_400));
        assert_eq!(suspicion.until(10, 3).since(start), three * 3);
    }

    #[test]
    fn many_keys_on_one_host_and_words_that_the_accused_can_not_hear_count_as_one() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        suspicion.accuse(id(1), Some(host(1)));
        suspicion.accuse(id(2), Some(host(1)));
        suspicion.accuse(id(3), None);
        assert_eq!(suspicion.hosts(), 1);
        suspicion.accuse(id(4), Some(host(4)));
        assert_eq!(suspicion.hosts(), 1, "a fourth is not listened to");
    }

    #[test]
    fn an_accusation_is_repeated_now_and_then() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        let later = Instant::ZERO + timing::ACCUSE_AGAIN;
        assert!(!suspicion.repeats(later));
        suspicion.accuse_too(Instant::ZERO);
        assert!(!suspicion.repeats(Instant::ZERO));
        assert!(suspicion.repeats(later) && !suspicion.repeats(later));
        assert!(suspicion.repeats(later + timing::ACCUSE_AGAIN));
    }
}
