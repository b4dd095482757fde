//! The name that the floors share for a network interface, and the versions of IP spoken there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A network interface that a node uses: the system's interface index (RFC 3493 §4), never 0.
///
/// The index, not the name or an address, because it is what the kernel takes for memberships and
/// for the outgoing interface, and it stays when addresses change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

impl LinkId {
    /// An address as it is meant on this link: one that every link has its own of (`fe80::…`) says on
    /// which, and no other does.
    pub fn scoped(self, mut addr: SocketAddr) -> SocketAddr {
        if let SocketAddr::V6(addr) = &mut addr {
            let scope = if addr.ip().is_unicast_link_local() { self.0 } else { 0 };
            addr.set_scope_id(scope);
        }
        addr
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// How a node is attached to a link: by which versions of IP it has an address there, and whether it
/// can speak to all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The link.
    pub link: LinkId,
    /// It has an IPv4 address.
    pub v4: bool,
    /// It has an IPv6 address.
    pub v6: bool,
    /// What is sent to a group may arrive there. Over most tunnels it does not.
    pub multicast: bool,
}

impl Attachment {
    /// A link on which only IPv4 is spoken.
    pub fn v4(link: LinkId) -> Self {
        Self { link, v4: true, v6: false, multicast: true }
    }

    /// Whether the node can speak to such an address there.
    pub fn carries(&self, addr: IpAddr) -> bool {
        if addr.is_ipv4() { self.v4 } else { self.v6 }
    }
}
