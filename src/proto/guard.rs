//! What strangers may cost: how much is counted, and what is dropped unread.
//!
//! Nothing here trusts an address: whoever can write datagrams can write them with any source. A
//! limit per source keeps one broken or rude host from costing much; what an attacker with many
//! addresses can cost is bounded by the price of one signature check per datagram.

use std::net::{IpAddr, SocketAddr};

use super::recent::Recent;
use crate::values::{Instant, limits};

/// How often something happened. Every drop and every limit reached shows up in one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the documentation; `rows` shows them to people")]
pub struct Counters {
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub repairs: u64,
    pub repeats: u64,
    pub given_up: u64,
    pub own: u64,
    pub duplicates: u64,
    pub too_long: u64,
    pub malformed: u64,
    pub wrong_version: u64,
    pub unknown_type: u64,
    pub not_sealed: u64,
    pub bad_signature: u64,
    pub stale: u64,
    pub misdirected: u64,
    pub other_channel: u64,
    pub rude_source: u64,
    pub unsigned_over_rate: u64,
    pub peers_full: u64,
    pub newcomers_over_rate: u64,
    pub answers_over_rate: u64,
    pub assemblies_given_up: u64,
    pub undecryptable: u64,
    pub cloned: u64,
    pub questions_unproven: u64,
    pub questions_over_limit: u64,
    pub early_refused: u64,
    pub untold: u64,
    pub wants_over_rate: u64,
    pub repairs_over_rate: u64,
    pub probes_over_rate: u64,
    pub checks_refused: u64,
    pub accusations_refused: u64,
    pub farewells_refused: u64,
}

impl Counters {
    /// Names and values, for people and programs.
    pub fn rows(&self) -> [(&'static str, u64); 36] {
        [
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", self.datagrams_out),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("repairs", self.repairs),
            ("repeats", self.repeats),
            ("given_up", self.given_up),
            ("own", self.own),
            ("duplicates", self.duplicates),
            ("too_long", self.too_long),
            ("malformed", self.malformed),
            ("wrong_version", self.wrong_version),
            ("unknown_type", self.unknown_type),
            ("not_sealed", self.not_sealed),
            ("bad_signature", self.bad_signature),
            ("stale", self.stale),
            ("misdirected", self.misdirected),
            ("other_channel", self.other_channel),
            ("rude_source", self.rude_source),
            ("unsigned_over_rate", self.unsigned_over_rate),
            ("peers_full", self.peers_full),
            ("newcomers_over_rate", self.newcomers_over_rate),
            ("answers_over_rate", self.answers_over_rate),
            ("assemblies_given_up", self.assemblies_given_up),
            ("undecryptable", self.undecryptable),
            ("cloned", self.cloned),
            ("questions_unproven", self.questions_unproven),
            ("questions_over_limit", self.questions_over_limit),
            ("early_refused", self.early_refused),
            ("untold", self.untold),
            ("wants_over_rate", self.wants_over_rate),
            ("repairs_over_rate", self.repairs_over_rate),
            ("probes_over_rate", self.probes_over_rate),
            ("checks_refused", self.checks_refused),
            ("accusations_refused", self.accusations_refused),
            ("farewells_refused", self.farewells_refused),
        ]
    }
}

/// A token bucket: so many a second, so many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Millionths of a token.
    level: u64,
    filled: Instant,
}

impl Bucket {
    const TOKEN: u64 = 1_000_000;

    pub(crate) fn full(now: Instant, burst: u32) -> Self {
        Self { level: u64::from(burst) * Self::TOKEN, filled: now }
    }

    fn fill(&mut self, now: Instant, rate: u32, burst: u32) {
        let micros = now.as_micros().saturating_sub(self.filled.as_micros());
        let full = u64::from(burst) * Self::TOKEN;
        // A token a second is one millionth of a token a microsecond.
        self.level = self.level.saturating_add(micros.saturating_mul(rate.into())).min(full);
        self.filled = now;
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Instant, rate: u32, burst: u32) -> bool {
        self.fill(now, rate, burst);
        match self.level.checked_sub(Self::TOKEN) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }

    fn is_empty(&mut self, now: Instant, rate: u32, burst: u32) -> bool {
        self.fill(now, rate, burst);
        self.level < Self::TOKEN
    }
}

/// The behaviour of sources.
#[derive(Debug)]
pub(crate) struct Guard {
    bad: Recent<SocketAddr, Bucket>,
    /// By host, whatever its ports: a shell's datagrams each have another.
    unsigned: Recent<IpAddr, Bucket>,
    newcomers: Recent<IpAddr, Bucket>,
    answers: Bucket,
    probes: Bucket,
    wants: Recent<SocketAddr, Bucket>,
    /// What is sent again, in all and for each who asks.
    repairs: Bucket,
    repairs_of_one: Recent<IpAddr, Bucket>,
}

impl Guard {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            bad: Recent::new(limits::SOURCES),
            unsigned: Recent::new(limits::SOURCES),
            newcomers: Recent::new(limits::NEWCOMER_SOURCES),
            answers: Bucket::full(now, limits::ANSWER_BURST),
            probes: Bucket::full(now, limits::PROBE_BURST),
            wants: Recent::new(limits::SOURCES),
            repairs: Bucket::full(now, limits::REPAIR_BURST),
            repairs_of_one: Recent::new(limits::SOURCES),
        }
    }

    /// Whether a source has sent so much rubbish that it is not read for now.
    pub(crate) fn is_rude(&mut self, source: SocketAddr, now: Instant) -> bool {
        if self.bad.peek(&source).is_none() {
            return false;
        }
        let bucket = self.bad.entry(&source, || Bucket::full(now, limits::BAD_BURST));
        bucket.is_empty(now, limits::BAD_RATE, limits::BAD_BURST)
    }

    /// A source has sent something that cost work and was worth nothing.
    pub(crate) fn note_bad(&mut self, source: SocketAddr, now: Instant) {
        let bucket = self.bad.entry(&source, || Bucket::full(now, limits::BAD_BURST));
        bucket.take(now, limits::BAD_RATE, limits::BAD_BURST);
    }

    /// Whether one more unsigned message of a source is shown.
    pub(crate) fn allows_unsigned(&mut self, source: SocketAddr, now: Instant) -> bool {
        let full = || Bucket::full(now, limits::UNSIGNED_BURST);
        let bucket = self.unsigned.entry(&source.ip(), full);
        bucket.take(now, limits::UNSIGNED_RATE, limits::UNSIGNED_BURST)
    }

    /// Whether one more peer is taken up from this host. Keys cost nothing: without a limit, one
    /// host with many would pass for a large group, in which everyone speaks seldom.
    pub(crate) fn allows_newcomer(&mut self, source: SocketAddr, now: Instant) -> bool {
        let full = || Bucket::full(now, limits::NEWCOMER_BURST);
        let bucket = self.newcomers.entry(&source.ip(), full);
        bucket.take(now, limits::NEWCOMER_RATE, limits::NEWCOMER_BURST)
    }

    /// Whether one more answer may be given.
    pub(crate) fn allows_answer(&mut self, now: Instant) -> bool {
        self.answers.take(now, limits::ANSWER_RATE, limits::ANSWER_BURST)
    }

    /// Whether one more probe is answered that costs more than an answer to somebody known.
    pub(crate) fn allows_probe(&mut self, now: Instant) -> bool {
        self.probes.take(now, limits::PROBE_RATE, limits::PROBE_BURST)
    }

    /// Whether one more request for repair is read that comes from this address.
    pub(crate) fn allows_want(&mut self, source: SocketAddr, now: Instant) -> bool {
        let bucket = self.wants.entry(&source, || Bucket::full(now, limits::WANT_BURST));
        bucket.take(now, limits::WANT_RATE, limits::WANT_BURST)
    }

    /// Whether one more entry is sent again for who asks from this host: keys cost nothing.
    pub(crate) fn allows_repair(&mut self, by: IpAddr, now: Instant) -> bool {
        let full = || Bucket::full(now, limits::REPAIR_BURST_OF_ONE);
        let bucket = self.repairs_of_one.entry(&by, full);
        bucket.take(now, limits::REPAIR_RATE_OF_ONE, limits::REPAIR_BURST_OF_ONE)
            && self.repairs.take(now, limits::REPAIR_RATE, limits::REPAIR_BURST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut now = Instant::ZERO;
        let mut bucket = Bucket::full(now, 5);
        assert_eq!((0..10).filter(|_| bucket.take(now, 2, 5)).count(), 5);
        now = now + Duration::from_millis(499);
        assert!(!bucket.take(now, 2, 5));
        now = now + Duration::from_millis(1);
        assert!(bucket.take(now, 2, 5));
        now = now + Duration::from_secs(3_600);
        assert_eq!((0..10).filter(|_| bucket.take(now, 2, 5)).count(), 5);
    }

    #[test]
    fn a_host_with_many_keys_and_ports_passes_for_few_peers() {
        let now = Instant::ZERO;
        let mut guard = Guard::new(now);
        let from = |host, port| SocketAddr::from(([10, 0, 0, host], port));
        let taken = (1..5_000).filter(|&port| guard.allows_newcomer(from(1, port), now)).count();
        assert_eq!(taken, limits::NEWCOMER_BURST as usize);
        assert!(guard.allows_newcomer(from(2, 1), now));
        assert!(guard.allows_newcomer(from(1, 1), now + Duration::from_secs(1)));
    }

    #[test]
    fn a_rude_source_is_not_read_for_a_while_and_others_are() {
        let [rude, other]: [SocketAddr; 2] =
            ["10.0.0.1:1", "10.0.0.2:1"].map(|a| a.parse().unwrap());
        let mut now = Instant::ZERO;
        let mut guard = Guard::new(now);
        for _ in 0..limits::BAD_BURST {
            assert!(!guard.is_rude(rude, now));
            guard.note_bad(rude, now);
        }
        assert!(guard.is_rude(rude, now) && !guard.is_rude(other, now));
        now = now + Duration::from_secs(1);
        assert!(!guard.is_rude(rude, now));
    }
}
