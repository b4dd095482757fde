//! The two ways of getting many datagrams in and out of a socket: a batch in one system call where
//! the system can, one by one elsewhere. Which one it is, is chosen when the sockets are opened.

use std::collections::VecDeque;
use std::io;
#[cfg(any(not(target_os = "linux"), test))]
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::Socket;

use super::endpoint::Endpoint;
use super::{Arrival, Link, Transmit};

#[cfg(any(not(target_os = "linux"), test))]
use super::plain::Plain;
#[cfg(target_os = "linux")]
use {
    super::sys,
    crate::values::LinkId,
    std::net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

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
    pub(super) fn prepare(&self, socket: &Socket, v6: bool) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(_) => {
                use std::os::fd::AsFd;
                sys::tell_arrival(socket.as_fd(), v6)?;
                sys::tell_drops(socket.as_fd())
            }
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(_) => {
                let _ = (socket, v6); // nothing to set
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

    /// Sends from the front of the queue what is of the first datagram's version of IP, as is the
    /// socket, and returns how many datagrams went out; they are still in the queue. An error is
    /// that of the first one, and then none went out.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        queue: &VecDeque<Transmit>,
        links: &[Link],
    ) -> io::Result<usize> {
        let Some(first) = queue.front() else { return Ok(0) };
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(_) => {
                use std::os::fd::AsFd;
                let of_one_version =
                    queue.iter().take_while(|datagram| datagram.to.is_ipv6() == first.to.is_ipv6());
                let outgoing = of_one_version.map(|Transmit { bytes, to, link }| {
                    let via = link.map(|link| way(links, link, to.ip()));
                    sys::Outgoing { bytes, to: *to, via }
                });
                socket.try_io(|| sys::send(socket.as_fd(), outgoing))
            }
            #[cfg(any(not(target_os = "linux"), test))]
            Self::Plain(plain) => plain.send(socket, first, links),
        }
    }
}

/// The interface and source address for a datagram that is to leave by `link`.
///
/// In IPv6 an interface has several addresses, of which the kernel knows the right one for each
/// destination (RFC 6724). In IPv4 an address of this host is reached through the interface that has it: asked to leave by another
/// one, the kernel would look for it on the wire.
#[cfg(target_os = "linux")]
fn way(links: &[Link], link: LinkId, to: IpAddr) -> (LinkId, IpAddr) {
    let wanted = links.iter().find(|l| l.id == link);
    let IpAddr::V4(to) = to else {
        let named =
            wanted.and_then(|wanted| wanted.six).filter(|addr| !addr.is_unicast_link_local());
        return (link, named.unwrap_or(Ipv6Addr::UNSPECIFIED).into());
    };
    let own = links.iter().find(|l| l.addr == Some(to));
    let (link, source) = match (wanted, own) {
        // One address can be on several links; the wanted one is as good as the first.
        (Some(wanted), _) if wanted.addr == Some(to) => (link, to),
        (_, Some(own)) => (own.id, to),
        // If it is not one of ours, the kernel says what is wrong with it.
        (wanted, None) => {
            (link, wanted.and_then(|wanted| wanted.addr).unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
    };
    (link, source.into())
}

/// The link that a datagram from `source` came by, where the system does not tell.
#[cfg(any(not(target_os = "linux"), test))]
pub(super) fn guess_link(links: &[Link], source: SocketAddr) -> Option<&Link> {
    let std::net::IpAddr::V4(source) = source.ip() else { return None };
    let own = links.iter().find(|l| l.addr == Some(source));
    let near = || links.iter().filter(|l| l.is_neighbour(source.into())).max_by_key(|l| l.prefix);
    own.or_else(near)
}
