//! What the next few engines will need of memory is read beforehand, for all of them at once.
//!
//! Each datagram finds another of ten thousand engines, none of which is near the processor any more: so
//! nearly all of a simulation's time goes by waiting for one line of memory after the other. Reads that do
//! not depend on each other wait together. So before the next engines have their turn, each
//! step that leads to what they need is made for all of them. Nothing comes of it but time.

use std::hint::black_box;

use super::queue::Due;
use super::world::World;
use crate::proto::Engine;
use crate::values::NodeId;

/// So many engines at a time: what they need fits easily into what a processor keeps for itself.
const AT_ONCE: usize = 32;

/// Fewer nodes than that are near anyway.
const MANY: usize = 500;

impl World {
    /// Whether there are so many nodes that this pays.
    pub(super) fn is_large(&self) -> bool {
        self.nodes.len() >= MANY
    }

    /// Something is about to happen: has what it needs read, unless that was done.
    pub(super) fn bring_near(&mut self) {
        if self.near > 0 || self.queue.foreseen().is_empty() {
            self.near = self.near.saturating_sub(1);
            return;
        }
        let mut nodes = [None; AT_ONCE];
        for (place, entry) in nodes.iter_mut().zip(self.queue.foreseen()) {
            let from = match &entry.due {
                Due::Delivery(delivery) => delivery.from(),
                _ => None,
            };
            *place = entry.due.to().map(|(node, _)| (node, from));
            self.near += 1;
        }
        self.near -= 1;
        let mut read = 0;
        for (node, _) in nodes.iter().flatten() {
            read ^= self.checker.glance(*node) ^ self.nodes[node.0].frozen.as_micros();
        }
        let mut engines: [Option<(&Engine, Option<NodeId>)>; AT_ONCE] = [None; AT_ONCE];
        for (place, node) in engines.iter_mut().zip(nodes) {
            *place = node.and_then(|(node, from)| Some((self.engine(node)?, from)));
        }
        for step in 0..Engine::GLANCES {
            for &(engine, from) in engines.iter().flatten() {
                read ^= engine.glance(step, from);
            }
        }
        black_box(read);
    }
}
