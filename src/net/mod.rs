//! Sockets, links and batches of datagrams.
//!
//! This floor knows nothing of what is in a datagram and decides nothing about the protocol: it
//! hears, sends, joins and leaves as it is told, and says by which link each datagram came. What
//! goes wrong on one link is reported against that link and never stops another.
//!
//! ```text
//!  interfaces() ─ choose() ─> links ──set_links──> ┌─────────┐ <──join, leave── groups
//!                                                  │ Sockets │
//!      Transmit (bytes, to, link) ─────send──────> └─────────┘ ──receive──> Arrival
//! ```
//!
//! - [`links`](interfaces): what interfaces there are, and which of them a node uses; [`usage`]: why;
//!   [`Changes`], [`Sleep`]: when to look again.
//! - [`Sockets`]: one socket that everything is sent from, and as many group sockets as the
//!   kernel wants for the memberships.
//! - `batch`, `sys`, `plain`: the ways of getting many datagrams in and out; `sys` is the one
//!   file with unsafe code.
//! - [`Clock`], [`entropy`]: the only readers of clock and randomness.

mod batch;
mod changes;
mod clock;
mod endpoint;
mod links;
mod neighbours;
#[cfg(any(not(target_os = "linux"), test))]
mod plain;
mod sleep;
mod socket;
#[cfg(unix)]
mod sys;
#[cfg(test)]
mod tests;
mod usage;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use changes::Changes;
pub use clock::{Clock, entropy};
pub use endpoint::{OpenError, OpenOptions};
pub use links::{Interface, Link, LinkError, choose, interfaces};
pub use neighbours::{neighbours, tunnel_to};
pub use sleep::Sleep;
pub use socket::Sockets;
pub use usage::{Usage, usage};

use crate::values::LinkId;

/// The most bytes of one datagram that are handed up, in bytes. A longer one is cut and flagged;
/// well above what a node sends, so that what is too long is seen to be too long.
pub const DATAGRAM_MAX: usize = 2_048;

/// A datagram that came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its first [`DATAGRAM_MAX`] bytes.
    pub bytes: &'a [u8],
    /// Who sent it: where to answer.
    pub source: SocketAddr,
    /// The link it came by; `LinkId(0)` where the system does not tell and it can't be derived.
    pub link: LinkId,
    /// The destination in its IP header: tells a group's datagram from one sent to this host.
    pub to: IpAddr,
    /// It was longer than `bytes`.
    pub truncated: bool,
}

/// A datagram to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// What to send. Shared, because a datagram often goes out on several links.
    pub bytes: Arc<[u8]>,
    /// To whom.
    pub to: SocketAddr,
    /// The link it leaves by, with that link's address as its source. `None`: the routing table
    /// decides, which is right only for an address that somebody configured.
    pub link: Option<LinkId>,
}

/// Whether a socket has been emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is left: wait for the next event.
    Empty,
    /// The turn's bound was reached first: no further event comes for what is left, so call again
    /// when the others had their turn.
    More,
}

/// What became of a queue of datagrams.
#[derive(Debug, Default)]
pub struct Sent {
    /// Datagrams that the system took.
    pub sent: usize,
    /// The system takes no more now: the rest is still in the queue, and a writable event of the
    /// first token says when to go on.
    pub blocked: bool,
    /// One for each datagram that was dropped because it could not be sent.
    pub failures: Vec<LinkFailure>,
}

/// What was being done when a link failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// Joining a group.
    Join,
    /// Sending a datagram.
    Send,
}

/// Something that one link could not do. The others are not affected.
#[derive(Debug)]
pub struct LinkFailure {
    /// The link; none where the routing table was to decide.
    pub link: Option<LinkId>,
    /// The group (with port 0) or the destination.
    pub to: Option<SocketAddr>,
    /// What was being done.
    pub during: During,
    /// What the system said.
    pub error: io::Error,
}

impl LinkFailure {
    /// What failed and why, for those who name the link themselves.
    pub fn why(&self) -> String {
        let error = &self.error;
        match (self.during, self.to) {
            (During::Join, Some(group)) => format!("can't join {}: {error}", group.ip()),
            (During::Join, None) => format!("can't join: {error}"),
            (During::Send, Some(to)) => format!("can't send to {to}: {error}"),
            (During::Send, None) => format!("can't send: {error}"),
        }
    }
}

impl fmt::Display for LinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(link) = self.link {
            write!(f, "link {link}: ")?;
        }
        f.write_str(&self.why())
    }
}
