//! When to remind the switches of this node's memberships.
//!
//! A snooping switch learns who wants a group from reports. Reports get lost, switches restart, and
//! without a querier memberships run out unasked; then a group is silent for good. Joining anew
//! makes the kernel report again. (Not while another process of the host is a member as well: the
//! kernel sees no change then.)

use std::time::Duration;

use super::timing;
use crate::values::Instant;

/// Decides when to join anew.
#[derive(Debug)]
pub(crate) struct Reminder {
    last: Instant,
    pause: Duration,
    /// What is heard by multicast has changed since the last time.
    changed: bool,
}

impl Reminder {
    /// All groups are joined at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { last: now, pause: timing::REJOIN, changed: false }
    }

    /// A peer is not heard by multicast any more, or is heard so again and may be the first.
    pub(crate) fn want(&mut self) {
        self.changed = true;
        self.pause = timing::REJOIN;
    }

    /// Whether to join everything anew now. `deaf`: whether hardly anybody is heard by multicast.
    pub(crate) fn is_due(&mut self, deaf: bool, now: Instant) -> bool {
        if !deaf {
            self.changed = false;
            return false;
        }
        let wait = if self.changed { timing::REJOIN_SOON } else { self.pause };
        if now.since(self.last) < wait {
            return false;
        }
        if !self.changed {
            self.pause = (self.pause * 2).min(timing::REJOIN_MOST);
        }
        self.changed = false;
        self.last = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds, of the first 600, in which a node that is deaf all the time joins anew.
    fn reminders(changes: &[u64]) -> Vec<u64> {
        let mut reminder = Reminder::new(Instant::ZERO);
        let due = (0..600).filter(|&second| {
            if changes.contains(&second) {
                reminder.want();
            }
            reminder.is_due(true, Instant::ZERO + Duration::from_secs(second))
        });
        due.collect()
    }

    #[test]
    fn the_deaf_remind_their_switch_less_and_less_often() {
        assert_eq!(reminders(&[]), [15, 45, 105, 225, 345, 465, 585]);
    }

    #[test]
    fn a_change_is_a_reason_to_remind_it_soon() {
        assert_eq!(reminders(&[2, 7, 300])[..4], [5, 10, 25, 55]);
        assert!(reminders(&[300]).contains(&300));
    }

    #[test]
    fn who_hears_most_peers_reminds_nobody() {
        let mut reminder = Reminder::new(Instant::ZERO);
        reminder.want();
        assert!(!reminder.is_due(false, Instant::ZERO + Duration::from_secs(100)));
        assert!(!reminder.is_due(true, Instant::ZERO + Duration::from_secs(4)));
    }
}
