//! What a program decides about a node before it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{StartError, identity};
use crate::values::{ChannelName, Group, NodeId};
use crate::wire::Profile;

/// A node's settings. [`Options::named`] is enough for most programs:
///
/// ```
/// use cooee::{ChannelName, Options};
///
/// let options = Options { channels: vec![ChannelName::lobby()], ..Options::named("ada") };
/// ```
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice on its own")]
pub struct Options {
    /// The group.
    pub group: Group,
    /// Interfaces to use, by name or address; empty: all that are fit for it.
    pub interfaces: Vec<String>,
    /// Addresses to ask besides the group.
    pub seeds: Vec<SocketAddr>,
    /// Never uses multicast.
    pub no_multicast: bool,
    /// How many routers multicast may cross, plus one; 0 stands for 1.
    pub ttl: u8,
    /// What the node says of itself (nick, host, version, tags, services).
    pub profile: Profile,
    /// The channels to be in from the start.
    pub channels: Vec<ChannelName>,
    /// What the members of a sealed group share.
    pub secret: Option<Vec<u8>>,
    /// Where the node's key is kept; `None`: only in memory.
    pub state_dir: Option<PathBuf>,
    /// The name of its key in that folder, for a node that is to be the same whatever other nodes
    /// of its user run. Without a name it gets the first key that none of them uses.
    pub key: Option<String>,
    /// It is that node or none: where the key of that name is in use or can't be used, the node does not
    /// start, and does not become somebody else instead.
    pub same: bool,
    /// Only passing through: answered by all and listed by nobody.
    pub visitor: bool,
    /// Tells of the node's own messages too, as [`crate::proto::Event::Said`].
    pub echo: bool,
    /// Hands over each entry that is said, as [`crate::proto::Event::Entry`], to be kept for those
    /// who come late.
    pub keep: bool,
    /// How many of a channel's last messages are fetched from others when it is joined, marked as
    /// [`crate::proto::Message::history`].
    pub recall: u32,
    /// Does not look for peers (for a visitor that casts and goes).
    pub blind: bool,
}

impl Options {
    /// A node under this nick, with everything else as usual: on every interface that is fit for it, in
    /// the usual group, in no channel, under a new identity.
    pub fn named(nick: &str) -> Self {
        Self { profile: Profile { nick: nick.into(), ..Profile::default() }, ..Self::default() }
    }

    /// The same, heard on this host alone: for tests, and for trying things out.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        Self { interfaces: vec!["127.0.0.1".to_owned()], ..self }
    }

    /// Who a node with these options will be: the id of its key, which is made if there is none yet.
    /// A node that runs under it at the moment is not disturbed.
    ///
    /// # Errors
    /// There is no folder or no name of a key in it, or the key can't be read.
    pub fn id(&self) -> Result<NodeId, StartError> {
        identity::id_of(self.state_dir.as_deref(), self.key.as_deref())
    }
}
