//! What happens to hosts and nodes: crashes, standstills, wrong clocks, pulled cables, switches that
//! forget.

use std::time::Duration;

use super::host::{HostId, NodeIndex};
use super::world::World;

impl World {
    /// Ends a node without a word.
    pub fn crash(&mut self, node: NodeIndex) {
        self.remember(node, false);
        if self.nodes[node.0].run.take().is_some() {
            self.checker.ended(node);
            self.post.end(node);
            for lan in &mut self.lans {
                lan.leave_all(node);
            }
        }
    }

    /// Stops a node's process for a while: nothing is received, nothing sent, no time noticed.
    pub fn freeze(&mut self, node: NodeIndex, time: Duration) {
        self.nodes[node.0].frozen = self.now + time;
    }

    /// Whether a node's process stands still.
    pub fn is_frozen(&self, node: NodeIndex) -> bool {
        self.now < self.nodes[node.0].frozen
    }

    /// Sets the wall clock of a node's host wrong.
    pub fn set_clock(&mut self, node: NodeIndex, milliseconds: i64) {
        self.nodes[node.0].clock = milliseconds;
    }

    /// Pulls all cables of a host, or puts them back.
    pub fn cut(&mut self, host: HostId, cut: bool) {
        for interface in &mut self.hosts[host.0].interfaces {
            interface.up = !cut;
        }
    }

    /// A host gets another address on each of its links, of which its nodes are not told.
    pub fn readdress(&mut self, host: HostId) {
        for i in 0..self.hosts[host.0].interfaces.len() {
            let interface = &mut self.hosts[host.0].interfaces[i];
            self.by_ip.remove(&interface.ip);
            interface.ip = self.lans[interface.lan.0].attach();
            self.by_ip.insert(interface.ip, (host, i));
        }
    }

    /// The switches forget which groups a host has joined, until it joins anew.
    pub fn forget_memberships(&mut self, host: HostId) {
        for &node in &self.hosts[host.0].nodes {
            for lan in &mut self.lans {
                lan.forget(node);
            }
        }
    }
}
