//! What came of a scenario, for people: a page of one, and a table of many.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::scenario::{Joined, Outcome, Scenario};
use super::startup::Startup;

impl Outcome {
    /// Whether everything came to its end, and nothing happened that must not.
    pub fn is_good(&self) -> bool {
        let ended = |phase: &Option<Option<Duration>>| phase.is_none_or(|time| time.is_some());
        self.report.is_good()
            && ended(&self.calmed)
            && self.joined.is_none_or(|joined| joined.knows.is_some() && joined.known.is_some())
            && self.crashes.iter().all(Option::is_some)
            && ended(&self.left)
            && ended(&self.healed)
    }

    /// Of those who crashed: the time until everyone knew it of half of them, and of the last.
    pub fn crash_times(&self) -> (Option<Duration>, Option<Duration>) {
        let at = |i: usize| self.crashes.get(i).copied().flatten();
        (at(self.crashes.len().saturating_sub(1) / 2), at(self.crashes.len().saturating_sub(1)))
    }

    /// Datagrams a second that all sent to all, and to one, while they stayed.
    pub fn steady_rates(&self) -> (f64, f64) {
        let seconds = self.scenario.startup.steady.as_secs_f64().max(f64::MIN_POSITIVE);
        let (all, one) = self.report.steady.totals();
        (all.datagrams as f64 / seconds, one.datagrams as f64 / seconds)
    }
}

/// A time as a page shows it.
struct Seconds(Option<Duration>);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => f.pad(&format!("{:.2} s", time.as_secs_f64())),
            None => f.pad("never"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)?;
        let Scenario { churn, flapping, crash, leave, part, .. } = self.scenario;
        let (suspected, died) = self.accused;
        if !self.scenario.startup.steady.is_zero() {
            writeln!(f, "  taken for suspect wrongly {suspected:>6}, for dead {died}")?;
        }
        if let Some(calmed) = self.calmed {
            let flapping = flapping * 100.0;
            writeln!(f, "\n{churn} hosts a minute left and came back, {flapping} % flapped")?;
            writeln!(f, "  everyone knew everyone {:>17} later", Seconds(calmed))?;
        }
        if !self.crashes.is_empty() {
            let (median, last) = self.crash_times();
            writeln!(f, "\n{} hosts crashed at once ({} %)", self.crashes.len(), crash * 100.0)?;
            writeln!(f, "  half were dead for all after {:>11}", Seconds(median))?;
            writeln!(f, "  the last were          {:>17}", Seconds(last))?;
        }
        if let Some(Joined { knows, known, to_all, to_one }) = self.joined {
            writeln!(f, "\none more joined, with {to_all} datagrams to all and {to_one} to one")?;
            writeln!(f, "  it knew everyone after {:>17}", Seconds(knows))?;
            writeln!(f, "  everyone knew it after {:>17}", Seconds(known))?;
        }
        if let Some(left) = self.left {
            writeln!(f, "\n{} % left at once", leave * 100.0)?;
            writeln!(f, "  everyone knew it after {:>17}", Seconds(left))?;
        }
        if let Some(healed) = self.healed {
            writeln!(f, "\nthe LAN fell into two halves for {}", Seconds(Some(part)))?;
            writeln!(f, "  everyone knew everyone {:>17} later", Seconds(healed))?;
        }
        Ok(())
    }
}

/// The table of scenarios: one row for a number of hosts and what is lost.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// How long the hosts stay before anything happens.
    pub steady: Duration,
    /// What is left to chance follows from this number.
    pub seed: u64,
    /// See [`super::World::threads`].
    pub threads: usize,
}

impl Table {
    /// What the columns are.
    pub const HEAD: &str = "\
All start within two seconds; then they stay; 1 % crash; one joins; 50 % leave; the LAN falls into two
halves for a minute and heals. Times are in seconds, and end when everyone knows it.

              all start: know all   steady: sent a second  accused  1 % crash        one joins:        it     all   50 %    it
                     s,    s, sent     to all,     by each wrongly:    s,      s,  sent    sent     knows    know  leave  heals
 hosts  loss     median  last each  in all           host    s. d. median    last  to all  to one     all      it      s      s
";

    /// What happens in a row.
    pub fn scenario(&self, hosts: usize, loss: f64) -> Scenario {
        let startup = Startup {
            hosts,
            loss,
            seed: self.seed,
            spread: Duration::from_secs(2),
            steady: self.steady,
            limit: Duration::from_secs(300),
            threads: self.threads,
        };
        let part = Duration::from_secs(60);
        Scenario { join: true, crash: 0.01, leave: 0.5, part, ..Scenario::of(startup) }
    }

    /// A row, and its end of line.
    pub fn row(outcome: &Outcome) -> String {
        let Startup { hosts, loss, .. } = outcome.scenario.startup;
        let report = &outcome.report;
        let s = |time: Option<Duration>| match time {
            Some(time) => format!("{:.2}", time.as_secs_f64()),
            None => "never".to_owned(),
        };
        let (all, one) = outcome.steady_rates();
        let each = (all + one) / hosts as f64;
        let (suspected, died) = outcome.accused;
        let joined = outcome.joined.unwrap_or_default();
        let (crash, last) = outcome.crash_times();
        let mut row = format!("{hosts:>6}  {:>3}%", (loss * 100.0).round());
        let sent = format!("{:.0}", report.datagrams_per_host());
        let columns = [
            (9, s(report.within(0.5))),
            (6, s(report.within(1.0))),
            (5, sent),
            (8, format!("{all:.1}")),
            (15, format!("{each:.3}")),
            (6, suspected.to_string()),
            (3, died.to_string()),
            (7, s(crash)),
            (8, s(last)),
            (8, joined.to_all.to_string()),
            (8, joined.to_one.to_string()),
            (8, s(joined.knows)),
            (8, s(joined.known)),
            (7, s(outcome.left.flatten())),
            (7, s(outcome.healed.flatten())),
        ];
        for (width, text) in columns {
            // Writing to a string can't fail.
            let _ = write!(row, "{text:>width$}");
        }
        row.push('\n');
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let table = Table { steady: Duration::from_secs(20), seed: 1, threads: 1 };
        let quiet = table.scenario(12, 0.05);
        Scenario { churn: 30.0, flapping: 0.2, ..quiet }.run()
    }

    #[test]
    fn everything_that_a_scenario_does_comes_to_its_end_and_is_shown() {
        let outcome = outcome();
        assert!(outcome.is_good(), "{outcome}");
        let text = outcome.to_string();
        for word in ["start within", "left and came back", "joined", "crashed", "left at", "halves"]
        {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert_eq!(outcome.crashes.len(), 1);
        assert!(outcome.joined.is_some_and(|joined| joined.to_all > 0 && joined.to_one > 11));
        let row = Table::row(&outcome);
        assert!(row.starts_with("    12    5%") && !row.contains("never"), "{row}");
    }

    #[test]
    fn the_same_scenario_comes_to_the_same() {
        assert_eq!(outcome(), outcome());
    }
}
