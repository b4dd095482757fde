//! Datagrams one by one, with nothing but what every system has; IPv4 only.
//!
//! Such a system does not tell by which link a datagram came nor where it was sent to, so the link
//! is derived from the sender's subnet, and each group has a socket of its own, bound to it. A
//! multicast datagram leaves by the link that was asked for; a unicast one follows the routing
//! table, which leads to the same link unless two links share a subnet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;
use socket2::SockRef;

use super::batch::guess_link;
use super::endpoint::Endpoint;
use super::{Arrival, DATAGRAM_MAX, Link, Transmit};
use crate::values::LinkId;

/// The buffer that is received into, and what the sending socket is set to.
pub(super) struct Plain {
    /// One byte longer than what is handed up: a datagram that reaches it was too long.
    buffer: Box<[u8]>,
    multicast_from: Option<Ipv4Addr>,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; DATAGRAM_MAX + 1].into(), multicast_from: None }
    }

    pub(super) fn receive(
        &mut self,
        endpoint: &Endpoint,
        links: &[Link],
        sink: &mut dyn FnMut(Arrival<'_>),
    ) -> io::Result<()> {
        let (length, source) = endpoint.socket.recv_from(&mut self.buffer)?;
        let link = guess_link(links, source);
        let own = link.and_then(|link| link.addr).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let kept = length.min(DATAGRAM_MAX);
        sink(Arrival {
            bytes: self.buffer.get(..kept).unwrap_or_default(),
            source,
            link: link.map_or(LinkId(0), |link| link.id),
            to: endpoint.only.map_or(IpAddr::V4(own), |(group, _)| group),
            truncated: length > kept,
        });
        Ok(())
    }

    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        datagram: &Transmit,
        links: &[Link],
    ) -> io::Result<usize> {
        if let Some(id) = datagram.link {
            let Some(link) = links.iter().find(|link| link.id == id) else {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no such link"));
            };
            if let SocketAddr::V4(to) = datagram.to
                && to.ip().is_multicast()
                && self.multicast_from != link.addr
            {
                let from = link.addr.unwrap_or(Ipv4Addr::UNSPECIFIED);
                SockRef::from(socket).set_multicast_if_v4(&from)?;
                self.multicast_from = link.addr;
            }
        }
        socket.send_to(&datagram.bytes, datagram.to).map(|_all| 1)
    }
}
