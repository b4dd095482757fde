//! By which versions of IP something goes to a group.
//!
//! Where everybody has IPv4, IPv6 would only say everything twice. So on a link that has IPv4,
//! nothing goes by IPv6 but what is said to somebody who has nothing else, the questions by which
//! such a one is found, and a few announcements, by which others learn of the second path:
//!
//! ```text
//!   hello                                    by both
//!   here, the first and every EVERY-th one   by both
//!   anything else    a peer has only IPv6, or who is there is not known yet:   by both
//!                    otherwise:                                                by IPv4
//! ```

use std::collections::BTreeSet;

use crate::values::NodeId;

/// One in so many announcements goes by both versions whoever is there.
const EVERY: u8 = 8;

/// By which versions of IP something goes to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// On each link by one: IPv4 where the link has it.
    One,
    /// On each link by all that it has.
    All,
}

/// What is known of who needs IPv6.
#[derive(Debug, Default)]
pub(crate) struct Six {
    /// The peers that are reached by IPv6 only, or at least better.
    only: BTreeSet<NodeId>,
    announced: u8,
}

impl Six {
    /// A peer's best path is one of IPv6, or is not.
    pub(crate) fn note(&mut self, id: NodeId, needs: bool) {
        if needs {
            self.only.insert(id);
        } else {
            self.only.remove(&id);
        }
    }

    /// Whether a peer needs it.
    pub(crate) fn has(&self, id: NodeId) -> bool {
        self.only.contains(&id)
    }

    /// The peers that need it.
    pub(crate) fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.only.iter().copied()
    }

    /// This node announces itself; whether it is the turn of both versions.
    pub(crate) fn is_turn(&mut self) -> bool {
        let turn = self.announced == 0;
        self.announced = (self.announced + 1) % EVERY;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_announcement_and_every_eighth_after_it_go_by_both_versions() {
        let mut six = Six::default();
        let turns: Vec<usize> = (0..20).filter(|_| six.is_turn()).collect();
        assert_eq!(turns, [0, 8, 16]);
    }
}
