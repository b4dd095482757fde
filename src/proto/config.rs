//! What an engine is told when it is made, and what does not change afterwards.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::values::{ChannelName, Epoch, Group};
use crate::wire::{Earlier, Identity, Profile, Secret};

/// An engine's settings.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice on its own")]
pub struct Config {
    /// The key, and with it the id.
    pub identity: Identity,
    /// This run: higher than that of every earlier run of the same identity.
    pub epoch: Epoch,
    /// The group's address and port.
    pub group: Group,
    /// What the node says of itself.
    pub profile: Arc<Profile>,
    /// Whether the node only passes through: it is answered, and listed by nobody.
    pub visitor: bool,
    /// Whether to look for peers at all. A visitor that casts and goes does not.
    pub discover: bool,
    /// Whether to use multicast at all.
    pub multicast: bool,
    /// Whether to tell the node's user of its own messages, as [`super::Event::Said`].
    pub echo: bool,
    /// Whether the node's user keeps what is said for those who come late, and so is given each
    /// entry, as [`super::Event::Entry`].
    pub keep: bool,
    /// How many of a channel's last messages are fetched from others when it is joined; at most
    /// [`crate::values::limits::RECALL`].
    pub recall: u32,
    /// Addresses to ask besides the group; at most [`crate::values::limits::SEEDS`] are used.
    pub seeds: Vec<SocketAddr>,
    /// The key of a sealed group.
    pub secret: Option<Secret>,
    /// What the node has said last in each channel, in an earlier run; of at most [`crate::values::limits::OWN_LOGS`] it is
    /// used.
    pub earlier: Vec<(ChannelName, Earlier)>,
    /// The seed of all randomness: from the system's entropy, or of a simulation.
    pub randomness: [u8; 32],
}
