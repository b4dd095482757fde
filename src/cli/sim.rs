//! `cooee sim`: many simulated hosts on one simulated LAN.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::duration;
use super::exit::{Exit, Failure};
use super::options::Settings;
use super::output::Out;
use crate::sim::{Outcome, Phase, Progress, Scenario, Startup, Sum, Table};

pub(super) const ABOUT: &str = "\
Simulates a LAN on which many hosts start within a short time, and prints how long it takes until \
everyone knows everyone, and what that costs on the wire. Nothing is sent: time, hosts and the \
network are all inside this process. The same options print the same, to the byte; what it took \
of this machine goes to standard error.

After the start the hosts stay for a while, and if asked to they come and go, lose their cables, \
crash, leave, or fall into two halves. --table does all of it for 10, 100, 1000 … hosts, up to \
--hosts, where nothing, 5 % and 20 % are lost.

Each host keeps some 155 to 190 bytes of each other one: 1000 hosts take 0.24 GB, 3000 take \
1.5 GB, 10000 take 18 GB, and all of them more while many leave. Where memory comes in large \
pages it takes half the time (GLIBC_TUNABLES=glibc.malloc.hugetlb=1).

Exit code 1 says that not everyone knew everyone in the end, or not in time.";

pub(super) const EXAMPLES: &str = "\
Examples:
  cooee sim
  cooee sim --hosts 1000 --loss 5
  cooee sim --hosts 100 --loss 20% --spread 10s --seed 7
  cooee sim --hosts 100 --crash 1% --join --leave 50% --part 1m
  cooee sim --hosts 50 --churn 60 --flapping 10% --steady 2m
  cooee sim --table --hosts 1000 --steady 10m
  cooee sim --hosts 100 --json | jq .last_ms";

/// Virtual time after which it is given up.
const LIMIT: Duration = Duration::from_secs(300);

/// `cooee sim`
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hosts: u32,
    /// How much each receiver loses, in percent
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    loss: f64,
    /// What is left to chance follows from this number
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The time within which the hosts start
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration::parse)]
    spread: Duration,
    /// How long to watch what is sent once everyone knows everyone
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration::parse)]
    steady: Duration,
    /// So many hosts a minute leave and start again, all that time
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    churn: f64,
    /// How many hosts lose their cable for a second in ten, all that time, in percent
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    flapping: f64,
    /// How many hosts crash after that, all at once, in percent
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    crash: f64,
    /// One more host joins then
    #[arg(long)]
    join: bool,
    /// How many hosts leave then, all at once, in percent
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    leave: f64,
    /// For how long the LAN then falls into two halves
    #[arg(long, value_name = "D", default_value = "0s", value_parser = duration::parse)]
    part: Duration,
    /// How many threads work on it; the outcome is the same
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// A table of all of that, for 10 hosts and ten times as many, and so on up to --hosts
    #[arg(long, conflicts_with_all = ["loss", "spread", "churn", "flapping", "join", "crash", "leave", "part"])]
    table: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=60_000.0).contains(rate))
        .ok_or_else(|| "not a number from 0 to 60000".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.strip_suffix('%').unwrap_or(text).parse().ok();
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("not a number from 0 to 100".to_owned()),
    }
}

/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_millis(200);

/// Simulates, and prints the report.
pub(super) fn run(args: &SimArgs, settings: &Settings) -> Result<Exit, Failure> {
    if args.table {
        return table(args, settings);
    }
    let startup = Startup {
        hosts: args.hosts as usize,
        loss: args.loss,
        seed: args.seed,
        spread: args.spread,
        steady: args.steady,
        limit: LIMIT,
        threads: args.threads.into(),
    };
    let &SimArgs { churn, flapping, join, crash, leave, part, .. } = args;
    let outcome =
        watched(&Scenario { startup, churn, flapping, crash, join, leave, part }, settings);
    let text = if settings.json { object(&outcome) } else { outcome.to_string() };
    Out::new().line(text.trim_end())?;
    Ok(if outcome.is_good() { Exit::Done } else { Exit::No })
}

/// What is lost in the rows of the table.
const LOSSES: [f64; 3] = [0.0, 0.05, 0.2];

fn table(args: &SimArgs, settings: &Settings) -> Result<Exit, Failure> {
    let table = Table { steady: args.steady, seed: args.seed, threads: args.threads.into() };
    let mut out = Out::new();
    if !settings.json {
        out.line(Table::HEAD.trim_end())?;
    }
    let mut good = true;
    let sizes = std::iter::successors(Some(10), |hosts| Some(hosts * 10));
    for hosts in sizes.take_while(|&hosts| hosts <= args.hosts as usize) {
        for loss in LOSSES {
            let outcome = watched(&table.scenario(hosts, loss), settings);
            let row = if settings.json { object(&outcome) } else { Table::row(&outcome) };
            out.line(row.trim_end())?;
            good &= outcome.is_good();
        }
    }
    Ok(if good { Exit::Done } else { Exit::No })
}

/// Runs a scenario, shows how it gets on, and says what it took.
fn watched(scenario: &Scenario, settings: &Settings) -> Outcome {
    let shows = !settings.quiet && io::stderr().is_terminal();
    let hosts = scenario.startup.hosts;
    let (begun, busy_before) = (Instant::now(), processor_time());
    let mut last = begun;
    let outcome = scenario.run_watched(|Progress { phase, done, of }| {
        if shows && last.elapsed() >= PROGRESS {
            last = Instant::now();
            let what = match phase {
                Phase::Start => "hosts know everyone",
                Phase::Stay => "seconds have passed",
                Phase::Crash => "who crashed are dead for all",
                Phase::Join => "know the one that joined",
                Phase::Leave => "know who has left",
                Phase::Heal => "know everyone again",
            };
            // Who has no terminal any more needs no progress.
            let _ = write!(io::stderr(), "\r\x1b[K{done} of {of} {what} ");
        }
    });
    if shows {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    if !settings.quiet {
        let memory = memory().map_or_else(String::new, |bytes| {
            let entries = (hosts * hosts.saturating_sub(1)).max(1);
            format!(", {} MB at most, {} bytes a peer of a host", bytes >> 20, bytes / entries)
        });
        let took = begun.elapsed().as_secs_f64();
        let busy = processor_time().saturating_sub(busy_before).as_secs_f64();
        let _ = writeln!(
            io::stderr(),
            "{hosts} hosts took {took:.1} s, {busy:.1} s of processor time{memory}"
        );
    }
    outcome
}

/// What this process has had of all processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The most memory that this process has had at any time, in bytes, where the system tells.
fn memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The report for scripts. Times are in milliseconds, from the start of the last host.
fn object(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let Startup { hosts, loss, seed, spread, steady, .. } = report.startup;
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let within = |share| report.within(share).map(ms);
    let sums = |(to_all, to_one): (Sum, Sum)| {
        let sum = |sum: Sum| serde_json::json!({"datagrams": sum.datagrams, "bytes": sum.bytes});
        serde_json::json!({"multicast": sum(to_all), "unicast": sum(to_one)})
    };
    let (suspected, died) = outcome.accused;
    let joined = outcome.joined.map(|joined| {
        serde_json::json!({
            "knows_ms": joined.knows.map(ms),
            "known_ms": joined.known.map(ms),
            "multicast": joined.to_all,
            "unicast": joined.to_one,
        })
    });
    let (crash_median, crash_last) = outcome.crash_times();
    serde_json::json!({
        "event": "simulated",
        "hosts": hosts,
        "loss": loss,
        "seed": seed,
        "spread_ms": ms(spread),
        "complete": report.complete_after.len(),
        "first_ms": within(0.0),
        "median_ms": within(0.5),
        "p99_ms": within(0.99),
        "last_ms": within(1.0),
        "sent": sums(report.cost.totals()),
        "received": report.cost.received,
        "datagrams_per_host": report.datagrams_per_host(),
        "steady": {
            "seconds": steady.as_secs_f64(),
            "sent": sums(report.steady.totals()),
            "suspected_wrongly": suspected,
            "dead_wrongly": died,
        },
        "calmed_ms": outcome.calmed.map(|time| time.map(ms)),
        "joined": joined,
        "crashed": outcome.crashes.len(),
        "crash_median_ms": crash_median.map(ms),
        "crash_last_ms": crash_last.map(ms),
        "left_ms": outcome.left.map(|time| time.map(ms)),
        "healed_ms": outcome.healed.map(|time| time.map(ms)),
        "violation": report.violation,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_given_in_percent() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("0.5"), Ok(0.005));
        assert!(percent("101").is_err() && percent("-1").is_err() && percent("NaN").is_err());
    }
}
