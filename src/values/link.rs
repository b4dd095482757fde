//! The name that the floors share for a network interface.

use std::fmt;

/// A network interface that a node uses: the system's interface index (RFC 3493 §4), never 0.
///
/// The index, not the name or an address, because it is what the kernel takes for memberships and
/// for the outgoing interface, and it stays when addresses change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
