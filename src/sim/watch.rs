//! What a scenario wants to know of what happens: who is accused wrongly, and what one node costs.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::host::NodeIndex;
use super::world::World;
use crate::proto::{Destination, Event};
use crate::values::NodeId;

/// The notes of one scenario.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Accusations of these are none.
    pub(super) excused: HashSet<NodeId>,
    suspected: u64,
    died: u64,
    followed: Option<NodeIndex>,
    to_all: u64,
    to_one: u64,
}

impl Watch {
    /// How often somebody was taken for suspect, and for dead, who was neither.
    pub(super) fn accused(&self) -> (u64, u64) {
        (self.suspected, self.died)
    }

    /// Counts what this node sends and is sent from now on.
    pub(super) fn follow(&mut self, node: NodeIndex) {
        (self.followed, self.to_all, self.to_one) = (Some(node), 0, 0);
    }

    /// What was counted: to all, and to one.
    pub(super) fn followed(&self) -> (u64, u64) {
        (self.to_all, self.to_one)
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Suspect(peer) if !self.excused.contains(&peer.id) => self.suspected += 1,
            Event::Dead(peer) if !self.excused.contains(&peer.id) => self.died += 1,
            _ => {}
        }
    }

    fn sent(&mut self, node: NodeIndex, to: Destination, address: Option<SocketAddr>) {
        match to {
            Destination::Group(..) => self.to_all += u64::from(self.followed == Some(node)),
            Destination::Address(to, _) => {
                let its = self.followed == Some(node) || address == Some(to);
                self.to_one += u64::from(its);
            }
        }
    }
}

impl World {
    pub(super) fn watch_event(&mut self, event: &Event) {
        if let Some(watch) = &mut self.watch {
            watch.event(event);
        }
    }

    pub(super) fn watch_sent(&mut self, node: NodeIndex, to: Destination) {
        let followed = self.watch.as_ref().and_then(|watch| watch.followed);
        let address = followed.and_then(|followed| self.address(followed));
        if let Some(watch) = &mut self.watch {
            watch.sent(node, to, address);
        }
    }
}
