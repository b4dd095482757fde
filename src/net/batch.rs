//! The two ways of getting many datagrams in and out of a socket: a batch in one system call where
//! the system can, one by one elsewhere. Which one it is, is chosen when the sockets are opened.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};

use mio::net::UdpSocket;
use socket2::Socket;

use super::endpoint::Endpoint;
use super::{Arrival, Link, Transmit};

#[cfg(any(not(target_os = "linux"), test))]
use super::plain::Plain;
#[cfg(target_os = "linux")]
use {super::sys, crate::values::LinkId, std::net::Ipv4Addr};

/// How datagrams go in and out.
pub(super) enum Io {
    /// `recvmmsg`, `sendmmsg`.
    #[cfg(target_os = "linux")]
    Batched(sys::Receiver),
    /// `recvfrom`, `sendto`.
    #[cfg(any(not(target_os = "linux"), test))]
    Plain(Plain),
}

/// What one batch brought.
pub(super) struct Batch {
    /// Datagrams that were taken off the socket.
    pub(super) count: usize,
    /// Nothing is left.
    pub(super) empty: bool,
    /// The socket's wrapping count of drops, if it told.
    pub(super) drops: Option<u32>,
}

impl Io {
    /// The best that this system has.
    pub(super) fn new() -> Self {
        #[cfg(target_os = "linux")]
        return Self::Batched(sys::Receiver::new());
        #[cfg(not(target_os = "linux"))]
        return Self::Plain(Plain::new());
    }

    /// Whether the system tells each datagram's destination. Where not, a socket hears one group
    /// only, and so knows it.
    pub(super) fn tells_destination(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(_) => true,
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(_) => false,
        }
    }

    /// Sets the options of a new socket that this way of receiving needs.
    pub(super) fn prepare(&self, socket: &Socket) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(_) => {
                use std::os::fd::AsFd;
                sys::tell_arrival(socket.as_fd())?;
                sys::tell_drops(socket.as_fd())
            }
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(_) => {
                let _ = socket; // nothing to set
                Ok(())
            }
        }
    }

    /// Receives one batch. An error is `WouldBlock`, or one that the socket had to tell.
    pub(super) fn receive(
        &mut self,
        endpoint: &Endpoint,
        links: &[Link],
        sink: &mut dyn FnMut(Arrival<'_>),
    ) -> io::Result<Batch> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(receiver) => {
                use std::os::fd::AsFd;
                let _ = links; // the system tells
                let got =
                    endpoint.socket.try_io(|| receiver.receive(endpoint.socket.as_fd(), sink))?;
                // A short batch ended at an empty queue: whatever comes after it sets off a new
                // event, so there is no need to ask again.
                Ok(Batch { count: got.count, empty: got.count < sys::BATCH, drops: got.drops })
            }
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(plain) => {
                plain.receive(endpoint, links, sink)?;
                Ok(Batch { count: 1, empty: false, drops: None })
            }
        }
    }

    /// Sends from the front of the queue and returns how many datagrams went out; they are still
    /// in the queue. An error is that of the first one, and then none went out.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        queue: &VecDeque<Transmit>,
        links: &[Link],
    ) -> io::Result<usize> {
        match queue.front() {
            None => return Ok(0),
            Some(first) if first.to.is_ipv6() => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "IPv6 is not supported yet",
                ));
            }
            Some(_) => {}
        }
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(_) => {
                use std::os::fd::AsFd;
                let outgoing = queue.iter().map_while(|datagram| {
                    let to = v4(datagram)?;
                    let via = datagram.link.map(|link| way(links, link, *to.ip()));
                    Some(sys::Outgoing { bytes: &datagram.bytes, to, via })
                });
                socket.try_io(|| sys::send(socket.as_fd(), outgoing))
            }
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(plain) => {
                let Some((datagram, to)) = queue.front().and_then(|d| Some((d, v4(d)?))) else {
                    return Ok(0);
                };
                plain.send(socket, datagram, to, links)
            }
        }
    }
}

fn v4(datagram: &Transmit) -> Option<SocketAddrV4> {
    match datagram.to {
        SocketAddr::V4(to) => Some(to),
        SocketAddr::V6(_) => None,
    }
}

/// The interface and source address for a datagram that is to leave by `link`.
///
/// An address of this host is reached through the interface that has it: asked to leave by another
/// one, the kernel would look for it on the wire.
#[cfg(target_os = "linux")]
fn way(links: &[Link], link: LinkId, to: Ipv4Addr) -> (LinkId, Ipv4Addr) {
    let own = links.iter().find(|l| l.addr == to);
    match links.iter().find(|l| l.id == link) {
        // One address can be on several links; the wanted one is as good as the first.
        Some(wanted) if wanted.addr == to => (link, wanted.addr),
        _ if own.is_some() => own.map_or((link, to), |own| (own.id, own.addr)),
        Some(wanted) => (link, wanted.addr),
        // Not one of ours: the kernel says what is wrong with it.
        None => (link, Ipv4Addr::UNSPECIFIED),
    }
}

/// The link that a datagram from `source` came by, where the system does not tell.
#[cfg(any(not(target_os = "linux"), test))]
pub(super) fn guess_link(links: &[Link], source: SocketAddr) -> Option<&Link> {
    let std::net::IpAddr::V4(source) = source.ip() else { return None };
    let own = links.iter().find(|l| l.addr == source);
    own.or_else(|| links.iter().filter(|l| l.is_neighbour(source)).max_by_key(|l| l.prefix))
}
