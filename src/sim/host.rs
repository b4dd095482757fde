//! Hosts, and what runs on them.

use std::net::{Ipv4Addr, SocketAddr};

use super::memory::Said;
use super::segment::LanId;
use crate::proto::{Engine, Event};
use crate::values::{ChannelName, Instant, LinkId, NodeId};

/// The number of a host in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// The number of a node in its world. A node that starts again keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// A host's connection to a LAN.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Its name to the nodes of the host.
    pub link: LinkId,
    /// Where it leads.
    pub lan: LanId,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Whether the cable is in.
    pub up: bool,
}

/// A host.
#[derive(Debug, Default)]
pub struct Host {
    /// Its connections.
    pub interfaces: Vec<Interface>,
    /// How likely a datagram is lost on its way in, on top of what the LAN loses.
    pub input_loss: f64,
    /// So many of the next datagrams to it are lost.
    pub lose_in: u32,
    /// So many of the next datagrams of its own are lost on their way out, and reach nobody else.
    pub lose_out: u32,
    /// Multicast does not reach it.
    pub deaf: bool,
    /// Its multicast reaches nobody else.
    pub mute: bool,
    /// Nothing that these send reaches it, though what it sends may reach them.
    pub unheard: Vec<HostId>,
    /// Hosts hear only those on their own side of a partition.
    pub side: u8,
    pub(super) nodes: Vec<NodeIndex>,
}

/// Whether the next datagram is one of those that are to be lost; counts it if so.
pub(super) fn loses_next(left: &mut u32) -> bool {
    let loses = *left > 0;
    *left -= u32::from(loses);
    loses
}

/// How a node is started.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices, as in `Config`")]
pub struct Spec {
    /// The identity's secret; drawn by chance if `None`.
    pub key: Option<[u8; 32]>,
    /// See [`crate::proto::Config::visitor`].
    pub visitor: bool,
    /// See [`crate::proto::Config::discover`].
    pub discover: bool,
    /// See [`crate::proto::Config::multicast`].
    pub multicast: bool,
    /// See [`crate::proto::Config::seeds`].
    pub seeds: Vec<SocketAddr>,
    /// Whether it holds the secret of the world, see [`super::World::seal`].
    pub sealed: bool,
    /// See [`crate::proto::Config::recall`].
    pub recall: u32,
    /// Channels that are joined at once.
    pub channels: Vec<ChannelName>,
}

impl Default for Spec {
    /// A resident in the lobby.
    fn default() -> Self {
        Self {
            key: None,
            visitor: false,
            discover: true,
            multicast: true,
            seeds: Vec::new(),
            sealed: false,
            recall: 0,
            channels: vec![ChannelName::lobby()],
        }
    }
}

/// One run of a node.
#[derive(Debug)]
pub(super) struct Run {
    /// Apart from what the world looks at with every datagram: an engine is large.
    pub(super) engine: Box<Engine>,
    pub(super) port: u16,
    /// When the engine wants to be called.
    pub(super) wake: Instant,
    /// The earliest of the wake-ups in the queue.
    pub(super) queued: Instant,
}

/// A node, whether it runs or not.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: HostId,
    pub(super) id: NodeId,
    pub(super) key: [u8; 32],
    pub(super) spec: Spec,
    pub(super) run: Option<Run>,
    /// How often it was started: tells its runs apart.
    pub(super) life: u32,
    /// When it was started last.
    pub(super) started: Instant,
    /// Its process stands still until then.
    pub(super) frozen: Instant,
    /// Milliseconds that its host's wall clock is wrong.
    pub(super) clock: i64,
    /// What it keeps from one run to the next.
    pub(super) said: Said,
    pub(super) events: Vec<(Instant, Event)>,
    /// When it first knew as many as [`super::World::begin_census`] wants.
    pub(super) complete: Option<Instant>,
}
