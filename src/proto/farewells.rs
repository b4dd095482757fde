//! Goodbyes that this node passes on.
//!
//! Nobody asks for a goodbye that was lost, and who has lost it lists for long a peer that has left. Those next to it
//! on the ring, of those who are still there, repeat it as it is, so that whoever is to miss it has to lose it five times;
//! each at another moment, since losses come in bursts.

use std::sync::Arc;

use super::timing;
use crate::values::{Instant, NodeId, Rng, limits};

/// Those that may have to be repeated: whose, when, and how it was said.
#[derive(Debug, Default)]
pub(crate) struct Farewells(Vec<(NodeId, Instant, Arc<[u8]>)>);

impl Farewells {
    /// One has said goodbye. `false` if there are too many: then it is not repeated.
    pub(crate) fn add(
        &mut self,
        id: NodeId,
        bytes: &Arc<[u8]>,
        now: Instant,
        rng: &mut Rng,
    ) -> bool {
        let has_room = self.0.len() < limits::FAREWELLS;
        if has_room {
            let wait = timing::FAREWELL + rng.up_to(timing::FAREWELL_SPREAD);
            self.0.push((id, now + wait, Arc::clone(bytes)));
        }
        has_room
    }

    /// Those that are due now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(NodeId, Arc<[u8]>)> {
        let due = self.0.extract_if(.., |(_, at, _)| *at <= now);
        due.map(|(id, _, bytes)| (id, bytes)).collect()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Instant {
        self.0.iter().map(|(_, at, _)| *at).min().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_repeated_once_and_not_at_the_same_time_and_there_are_so_many_at_most() {
        let (mut farewells, mut rng) = (Farewells::default(), Rng::from_number(1));
        let bytes: Arc<[u8]> = Arc::from(&b"{}"[..]);
        let now = Instant::from_micros(1);
        let taken = (0..2 * limits::FAREWELLS)
            .filter(|_| farewells.add(NodeId([1; 32]), &bytes, now, &mut rng));
        assert_eq!(taken.count(), limits::FAREWELLS);
        let mut due = Vec::new();
        while farewells.next() != Instant::NEVER {
            let at = farewells.next();
            assert!(at >= now + timing::FAREWELL);
            assert!(at <= now + timing::FAREWELL + timing::FAREWELL_SPREAD);
            due.push(farewells.due(at).len());
        }
        assert_eq!(due.iter().sum::<usize>(), limits::FAREWELLS);
        assert!(due.len() > limits::FAREWELLS / 2);
    }
}
