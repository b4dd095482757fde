//! What the next few engines will need of memory is read beforehand, for all of them at once.
//!
//! Each datagram finds another of ten thousand engines, none of which is near the processor any more: so
//! nearly all of a simulation's time goes by waiting for one line of memory after the other. Reads that do
//! not depend on each other wait together. So before the next engines have their turn, each
//! step that leads to what they need is made for all of them. Nothing comes of it but time.

use std::hint::black_box;

use super::host::Node;
use super::queue::{Due, Entry};
use super::world::World;
use crate::proto::Engine;
use crate::values::NodeId;

/// So many engines at a time: what they need fits easily into what a processor keeps for itself.
pub(super) const AT_ONCE: usize = 32;

/// Fewer nodes than that are near anyway.
const MANY: usize = if cfg!(test) { 20 } else { 500 };

impl World {
    /// Whether there are so many nodes that this pays.
    pub(super) fn is_large(&self) -> bool {
        self.nodes.len() >= MANY
    }

    /// Something is about to happen: has what it needs read, unless that was done. Where several threads
    /// work, each does so for its own engines.
    pub(super) fn bring_near(&mut self) {
        if self.near > 0 || self.threads > 1 || self.queue.foreseen().is_empty() {
            self.near = self.near.saturating_sub(1);
            return;
        }
        let next = || self.queue.foreseen().iter().take(AT_ONCE);
        let nodes = || next().filter_map(|entry| entry.due.to());
        black_box(nodes().fold(0, |read, (node, _)| {
            read ^ self.checker.glance(node) ^ self.nodes[node.0].frozen.as_micros()
        }));
        let node = |entry: &Entry| entry.due.to().map(|(node, _)| &self.nodes[node.0]);
        glance(next().filter_map(|entry| engine(node(entry)?, entry)));
        self.near = next().count() - 1;
    }
}

/// What is due to an engine, as far as it tells what will be read.
pub(super) fn engine<'a>(node: &'a Node, entry: &Entry) -> Option<(&'a Engine, Option<NodeId>)> {
    let from = match &entry.due {
        Due::Delivery(delivery) => delivery.from(),
        _ => None,
    };
    node.run.as_ref().map(|run| (&*run.engine, from))
}

/// Has what these need read, all of them step by step. Of more than [`AT_ONCE`] the rest is left out.
pub(super) fn glance<'a>(these: impl Iterator<Item = (&'a Engine, Option<NodeId>)>) {
    let mut engines = [None; AT_ONCE];
    for (place, engine) in engines.iter_mut().zip(these) {
        *place = Some(engine);
    }
    let mut read = 0;
    for step in 0..Engine::GLANCES {
        for (engine, from) in engines.iter().flatten() {
            read ^= engine.glance(step, *from);
        }
    }
    black_box(read);
}
