//! The golden tables: how fast hosts find each other and what it costs, by their number and by
//! what is lost. A change of the protocol that changes it is looked at, and the file with it:
//! `COOEE_BLESS=1 cargo test --test pure golden` writes it anew.

use std::fmt::Write;
use std::time::Duration;

use cooee::sim::{Report, Startup, Table};

const GOLDEN: &str = include_str!("golden.txt");
const SCENARIOS: &str = include_str!("scenarios.txt");

fn start(hosts: usize, loss: u32) -> Report {
    let spread = Duration::from_secs(1);
    let limit = Duration::from_secs(120);
    let steady = Duration::ZERO;
    let loss = f64::from(loss) / 100.0;
    Startup { hosts, loss, seed: 1, spread, steady, limit, threads: 1 }.run()
}

fn table() -> String {
    let mut table = String::from(
        "Hosts that start within one second, and what their receivers lose: from the start of the \
         last host\nuntil a host knows everyone, and datagrams sent per host until all do.\n\n\
         hosts  loss   median ms     last ms   datagrams per host  to all\n",
    );
    for (hosts, losses) in [
        (2, &[0, 5, 20][..]),
        (10, &[0, 5, 20]),
        (30, &[0, 5, 20]),
        (100, &[0, 5, 20]),
        (300, &[0, 5, 20]),
    ] {
        for &loss in losses {
            let report = start(hosts, loss);
            assert!(report.is_good(), "{report}");
            let ms = |share| report.within(share).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3);
            let (all, _) = report.cost.totals();
            let to_all = all.datagrams as f64 / hosts as f64;
            let (median, last, each) = (ms(0.5), ms(1.0), report.datagrams_per_host());
            writeln!(
                table,
                "{hosts:>5}  {loss:>3}%  {median:>10.1}  {last:>10.1}  {each:>19.1}  {to_all:>6.1}"
            )
            .expect("writing to a string");
        }
    }
    table
}

#[test]
fn the_golden_table_is_as_it_was_reviewed() {
    let table = table();
    if std::env::var_os("COOEE_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pure/golden.txt");
        std::fs::write(path, &table).expect("the table to be written");
        return;
    }
    assert_eq!(table, GOLDEN, "see the head of this file");
}

/// The table that `cooee sim --table` prints, with fewer rows of many and less patience.
#[test]
fn the_golden_table_of_scenarios_is_as_it_was_reviewed() {
    let mut text = Table::HEAD.to_owned();
    for (hosts, losses, steady) in
        [(10, &[0, 5, 20][..], 60), (100, &[0, 5, 20], 25), (1_000, &[5, 20], 25)]
    {
        let table = Table { steady: Duration::from_secs(steady), seed: 1, threads: 1 };
        for &loss in losses {
            let outcome = table.scenario(hosts, f64::from(loss) / 100.0).run();
            assert!(outcome.is_good(), "{outcome}");
            let (to_all, _) = outcome.steady_rates();
            assert!(to_all < 100.0, "{to_all} announcements a second");
            let joined = outcome.joined.unwrap_or_default();
            assert!(joined.to_all < 20 && joined.to_one <= 100 + hosts as u64 / 5, "{joined:?}");
            let (_, last) = outcome.crash_times();
            assert!(last.is_some_and(|last| last < Duration::from_secs(5)), "{outcome}");
            let (_, died) = outcome.accused;
            assert_eq!(died, 0, "{outcome}");
            text.push_str(&Table::row(&outcome));
        }
    }
    if std::env::var_os("COOEE_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pure/scenarios.txt");
        std::fs::write(path, &text).expect("the table to be written");
        return;
    }
    assert_eq!(text, SCENARIOS, "see the head of this file");
}

#[test]
fn the_same_seed_gives_the_same_report_to_the_byte() {
    let report = || {
        let mut startup = start(30, 5).startup;
        startup.steady = Duration::from_secs(5);
        startup.run().to_string()
    };
    assert_eq!(report(), report());
}
