//! `cooee sim`: many simulated hosts start on one simulated LAN.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::duration;
use super::exit::{Exit, Failure};
use super::options::Settings;
use super::output::Out;
use crate::sim::{Report, Startup, Sum};

pub(super) const ABOUT: &str = "\
Simulates a LAN on which many hosts start within a short time, and prints how long it takes until \
everyone knows everyone, and what that costs on the wire. Nothing is sent: time, hosts and the \
network are all inside this process. The same options print the same, to the byte.

Exit code 1 says that not everyone knew everyone in the end.";

pub(super) const EXAMPLES: &str = "\
Examples:
  cooee sim
  cooee sim --hosts 1000 --loss 5
  cooee sim --hosts 100 --loss 20% --spread 10s --seed 7
  cooee sim --hosts 100 --json | jq .last_ms";

/// Virtual time after which it is given up.
const LIMIT: Duration = Duration::from_secs(300);

/// `cooee sim`
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=5_000))]
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
    let shows = !settings.quiet && io::stderr().is_terminal();
    let hosts = args.hosts;
    let mut last = Instant::now();
    let mut progress = |complete: usize| {
        if shows && last.elapsed() >= PROGRESS {
            last = Instant::now();
            // Who has no terminal any more needs no progress.
            let _ = write!(io::stderr(), "\r{complete} of {hosts} hosts know everyone ");
        }
    };
    let startup = Startup {
        hosts: hosts as usize,
        loss: args.loss,
        seed: args.seed,
        spread: args.spread,
        steady: args.steady,
        limit: LIMIT,
    };
    let report = startup.run_watched(&mut progress);
    if shows {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let text = if settings.json { object(&report) } else { report.to_string() };
    Out::new().line(text.trim_end())?;
    Ok(if report.is_good() { Exit::Done } else { Exit::No })
}

/// The report for scripts. Times are in milliseconds, from the start of the last host.
fn object(report: &Report) -> String {
    let Startup { hosts, loss, seed, spread, steady, .. } = report.startup;
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let within = |share| report.within(share).map(ms);
    let sums = |(to_all, to_one): (Sum, Sum)| {
        let sum = |sum: Sum| serde_json::json!({"datagrams": sum.datagrams, "bytes": sum.bytes});
        serde_json::json!({"multicast": sum(to_all), "unicast": sum(to_one)})
    };
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
        "steady": {"seconds": steady.as_secs_f64(), "sent": sums(report.steady.totals())},
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
