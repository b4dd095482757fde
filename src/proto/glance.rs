//! Reading beforehand what a datagram will need, for simulations of thousands of engines.
//!
//! None of them is near the processor any more when its turn comes, and it takes longer to wait for memory
//! than to do the work. Reads that do not depend on each other are waited for together; so a simulation
//! makes each of these steps for the next few engines before it makes the next one. What is read means
//! nothing.

use super::engine::Engine;
use crate::values::NodeId;

impl Engine {
    /// How many steps there are.
    pub(crate) const GLANCES: usize = 5;

    /// Makes one step towards what a datagram from this peer needs.
    pub(crate) fn glance(&self, step: usize, from: Option<NodeId>) -> u64 {
        match (step, from) {
            (0, _) => self.glance_over(),
            (1, from) => self.glance_behind() ^ from.map_or(0, |from| self.peers.glance(0, from)),
            (_, Some(from)) => self.peers.glance(step - 1, from),
            (_, None) => 0,
        }
    }

    /// What is kept apart, and looked at nearly always.
    fn glance_behind(&self) -> u64 {
        let link = self.links.first().map_or(0, |at| at.link.0.into());
        link ^ self.recalls.glance() ^ self.orphans.glance()
    }

    /// What every datagram is compared with. Nothing here may depend on what was read: no pointer is
    /// followed, and nothing decided.
    fn glance_over(&self) -> u64 {
        let times = [
            self.next_review,
            self.next_seeds,
            self.behind,
            self.probes.look,
            self.discovery.next_hello,
            self.discovery.next_pull,
            self.outbox.next,
            self.hints.next(),
            self.announcer.next(),
            self.contact.since(),
            self.probes.health.awake(),
        ];
        let lengths = [
            self.links.len(),
            self.peers.len(),
            self.copies.len(),
            self.probes.len(),
            self.discovery.asking.len(),
            self.out.len(),
        ];
        let flags = [self.stopped, self.discovery.settled, self.config.multicast, self.answering];
        let numbers = self.counters.datagrams_in ^ self.announcements ^ self.epoch();
        let times = times.into_iter().fold(numbers, |sum, at| sum ^ at.as_micros());
        let lengths = lengths.into_iter().fold(times, |sum, length| sum ^ length as u64);
        let flags = flags.into_iter().fold(lengths, |sum, flag| sum ^ u64::from(flag));
        flags ^ u64::from(self.id().0[0])
    }
}
