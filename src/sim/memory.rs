//! What a node's host keeps from one run of it to the next: what it has said, as its state folder does.

use super::host::NodeIndex;
use super::world::World;
use crate::values::{ChannelName, Epoch, Instant, SmallMap};
use crate::wire::Earlier;

/// For each channel the last run in which something was said there, the number of a message, and when
/// that was kept.
#[derive(Debug, Default)]
pub(super) struct Said(SmallMap<ChannelName, (Epoch, u64, Instant)>);

impl Said {
    /// What the next run is told.
    pub(super) fn earlier(&self, now: Instant) -> Vec<(ChannelName, Earlier)> {
        let earlier = |&(run, seq, at)| Earlier { run, seq, ago: now.since(at) };
        self.0.iter().map(|(channel, said)| (channel.clone(), earlier(said))).collect()
    }
}

impl World {
    /// A node is about to end. Only one that has time to `wind_up` keeps how far it got: otherwise
    /// there is what it wrote when it began to speak.
    pub(super) fn remember(&mut self, node: NodeIndex, wind_up: bool) {
        let now = self.now;
        let node = &mut self.nodes[node.0];
        let Some(run) = &node.run else { return };
        let epoch = run.engine.epoch();
        for (channel, head) in run.engine.spoken() {
            let is_kept = node.said.0.get(channel).is_some_and(|&(run, ..)| run == epoch);
            if wind_up || !is_kept {
                let head = if wind_up { head } else { 1 };
                node.said.0.insert(channel.clone(), (epoch, head, now));
            }
        }
    }
}
