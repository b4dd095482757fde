//! Receipts that this node owes to authors who want to know what has arrived.

use super::logs::LogName;
use crate::values::{Instant, SmallMap, limits};

/// When a receipt is due, for each log; at most [`limits::RECEIPTS`]. An author who gets none asks
/// again.
#[derive(Debug, Default)]
pub(crate) struct Receipts(SmallMap<LogName, Instant>);

impl Receipts {
    /// A receipt is to be sent at `at`, unless one is due before.
    pub(crate) fn owe(&mut self, name: &LogName, at: Instant) {
        if let Some(due) = self.0.get_mut(name) {
            *due = at.min(*due);
        } else if self.0.len() < limits::RECEIPTS {
            self.0.insert(name.clone(), at);
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.0.values().copied().min().unwrap_or(Instant::NEVER)
    }

    /// Those whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<LogName> {
        let due: Vec<LogName> =
            self.0.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in &due {
            self.0.remove(name);
        }
        due
    }
}
