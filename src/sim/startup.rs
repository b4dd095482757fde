//! Many hosts start on one LAN: how long it takes, and what it costs.

use std::fmt;
use std::time::Duration;

use super::host::Spec;
use super::progress::{Phase, Progress};
use super::segment::Faults;
use super::tally::{Kind, Sum, Tally};
use super::world::World;
use crate::values::order;

/// The scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Startup {
    /// How many hosts.
    pub hosts: usize,
    /// How likely each receiver loses each datagram.
    pub loss: f64,
    /// Everything left to chance follows from this number.
    pub seed: u64,
    /// The time within which all hosts start.
    pub spread: Duration,
    /// How long to watch afterwards.
    pub steady: Duration,
    /// Virtual time after which it is given up.
    pub limit: Duration,
    /// See [`World::threads`].
    pub threads: usize,
}

/// What came of a [`Startup`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What was asked for.
    pub startup: Startup,
    /// For each host that knew everyone within the limit, from the start of the last host to that
    /// time, in order.
    pub complete_after: Vec<Duration>,
    /// What it took until then.
    pub cost: Tally,
    /// What was sent in the time afterwards.
    pub steady: Tally,
    /// What must never happen and did.
    pub violation: Option<String>,
}

/// Of more hosts nothing is signed, see [`World::quick`].
const QUICK: usize = 100;

/// What a datagram takes at least on the LAN of so many: there are several switches on its way, and whoever is
/// to read it has more to read.
const LARGE: Duration = Duration::from_millis(1);

impl Startup {
    /// Runs it.
    pub fn run(&self) -> Report {
        self.run_watched(|_| {})
    }

    /// Runs it, and tells again and again how many hosts know everyone.
    pub fn run_watched(&self, watch: impl FnMut(Progress)) -> Report {
        let (mut world, mut report) = self.begin(watch);
        world.run_for(self.steady);
        world.look();
        report.steady = world.tally - report.cost;
        report.violation = world.checker.verdict().err();
        report
    }

    /// Lets them start, until all know all; what comes then is up to the caller.
    pub(super) fn begin(&self, mut watch: impl FnMut(Progress)) -> (World, Report) {
        let mut world = World::new(self.seed);
        world.quick = self.hosts > QUICK;
        world.keep_events = false;
        world.threads = self.threads;
        let faults = Faults::losing(self.loss);
        let latency = if world.quick { LARGE } else { faults.latency };
        let lan = world.add_lan(Faults { latency, ..faults });
        let begun = world.now();
        let mut starts = Vec::new();
        for _ in 0..self.hosts {
            let host = world.add_host(&[lan]);
            let node = world.add_node(host, Spec::default());
            let at = begun + world.rng().up_to(self.spread);
            world.start_at(node, at);
            starts.push(at);
        }
        world.begin_census(self.hosts.saturating_sub(1));
        loop {
            let complete = world.census().count();
            watch(Progress { phase: Phase::Start, done: complete, of: self.hosts });
            if complete == self.hosts || world.now().since(begun) >= self.limit {
                break;
            }
            world.run_for(Duration::from_millis(5));
        }
        // Nobody can know everyone before the last one has started.
        let last = starts.into_iter().max().unwrap_or(begun);
        let mut complete_after: Vec<Duration> = world.census().map(|at| at.since(last)).collect();
        order::sort_by_key(&mut complete_after, |after| *after);
        let (cost, steady) = (world.tally, Tally::default());
        let report = Report { startup: *self, complete_after, cost, steady, violation: None };
        (world, report)
    }
}

impl Report {
    /// Whether everyone knew everyone and nothing happened that must not.
    pub fn is_good(&self) -> bool {
        self.complete_after.len() == self.startup.hosts && self.violation.is_none()
    }

    /// The time within which this share of the hosts knew everyone, counted from the start of
    /// the last one.
    pub fn within(&self, share: f64) -> Option<Duration> {
        let at = ((self.startup.hosts as f64 * share).ceil() as usize).max(1) - 1;
        self.complete_after.get(at).copied()
    }

    /// Datagrams sent per host until everyone knew everyone.
    pub fn datagrams_per_host(&self) -> f64 {
        let (multicast, unicast) = self.cost.totals();
        (multicast.datagrams + unicast.datagrams) as f64 / self.startup.hosts as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Startup { hosts, loss, seed, spread, steady, .. } = self.startup;
        let loss = loss * 100.0;
        let spread = Millis(Some(spread));
        writeln!(f, "{hosts} hosts start within {spread}, loss {loss} %, seed {seed}")?;
        writeln!(f)?;
        writeln!(f, "from the start of the last host until a host knows everyone")?;
        for (word, share) in [("first", 0.0), ("median", 0.5), ("99 %", 0.99), ("last", 1.0)] {
            writeln!(f, "  {word:<10}{:>14}", Millis(self.within(share)).to_string())?;
        }
        if self.complete_after.len() < hosts {
            writeln!(f, "  only {} of {hosts} hosts know everyone", self.complete_after.len())?;
        }
        writeln!(f)?;
        writeln!(f, "sent until then        datagrams    per host          bytes    per host")?;
        for kind in Kind::ALL {
            self.row(f, kind.as_str(), "all", self.cost.multicast(kind))?;
            self.row(f, kind.as_str(), "one", self.cost.unicast(kind))?;
        }
        let (multicast, unicast) = self.cost.totals();
        self.row(f, "total", "all", multicast)?;
        self.row(f, "total", "one", unicast)?;
        let received = self.cost.received;
        let per_host = received as f64 / hosts.max(1) as f64;
        writeln!(f, "received               {received:>9}{per_host:>12.1}")?;
        if !steady.is_zero() {
            let seconds = steady.as_secs_f64();
            let (multicast, unicast) = self.steady.totals();
            let all = multicast.datagrams as f64 / seconds;
            let one = unicast.datagrams as f64 / seconds;
            writeln!(f)?;
            writeln!(f, "in the {seconds} s after that, datagrams a second")?;
            writeln!(f, "  to all    {all:>14.1}")?;
            writeln!(f, "  to one    {one:>14.1}")?;
        }
        match &self.violation {
            None => Ok(()),
            Some(what) => writeln!(f, "\nthis must never happen: {what}"),
        }
    }
}

impl Report {
    fn row(&self, f: &mut fmt::Formatter<'_>, kind: &str, to: &str, sum: Sum) -> fmt::Result {
        if sum.datagrams == 0 {
            return Ok(());
        }
        let hosts = self.startup.hosts.max(1) as f64;
        let Sum { datagrams, bytes } = sum;
        let (each, bytes_each) = (datagrams as f64 / hosts, bytes as f64 / hosts);
        writeln!(
            f,
            "  {kind:<8} to {to:<9}{datagrams:>10}{each:>12.1}{bytes:>15}{bytes_each:>12.0}"
        )
    }
}

/// A duration in milliseconds, as a report shows it.
struct Millis(Option<Duration>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, "{:.1} ms", time.as_secs_f64() * 1e3),
            None => f.write_str("never"),
        }
    }
}
