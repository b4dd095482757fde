//! The hosts next to this one that the system has had to do with lately.
//!
//! Linux tells of them by rtnetlink(7), those of IPv4 and of IPv6 in one list. An answer is a row of
//! messages, each with a header, an `ndmsg` and attributes, of which one is the neighbour's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use super::Link;
use crate::values::LinkId;

/// Neighbours on these links whose hardware address the system knows. None where it does not tell.
pub fn neighbours(links: &[Link]) -> Vec<(LinkId, IpAddr)> {
    let mut all = told();
    all.retain(|(link, _)| links.iter().any(|used| used.id == *link));
    all
}

/// The tunnel by which the system would send to a host, if it is one of these links. Nothing is sent.
pub fn tunnel_to(links: &[Link], host: IpAddr) -> Option<LinkId> {
    let tunnels = || links.iter().filter(|link| link.tunnel);
    tunnels().next()?;
    let any: IpAddr = match host {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((host, DISCARD)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    let is_source = |link: &&Link| {
        link.addr.map(IpAddr::V4) == Some(source) || link.six.map(IpAddr::V6) == Some(source)
    };
    tunnels().find(is_source).map(|link| link.id)
}

/// Any port: a route is to a host.
const DISCARD: u16 = 9;

#[cfg(not(target_os = "linux"))]
fn told() -> Vec<(LinkId, IpAddr)> {
    Vec::new()
}

#[cfg(target_os = "linux")]
use self::linux::told;

#[cfg(target_os = "linux")]
mod linux {
    use std::net::IpAddr;

    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

    use crate::values::LinkId;

    /// Datagrams that an answer may take: thousands of neighbours.
    const ANSWER: usize = 64;

    /// Of rtnetlink(7) and netlink(7).
    const NEW_NEIGHBOUR: u16 = 28;
    const GET_NEIGHBOURS: u16 = 30;
    const REQUEST_DUMP: u16 = 0x1 | 0x300;
    const HEADER: usize = 16;
    const NEIGHBOUR: usize = 12;
    const DESTINATION: u16 = 1;

    /// The states in which the hardware address is known: reachable, stale, delayed, probed, permanent.
    const KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;

    pub(super) fn told() -> Vec<(LinkId, IpAddr)> {
        let mut all = Vec::new();
        // What the system refuses is not told: this is only a help.
        let _ = ask(&mut all);
        all
    }

    fn ask(all: &mut Vec<(LinkId, IpAddr)>) -> rustix::io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let kind = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = rustix::net::socket_with(kind.0, kind.1, flags, None)?;
        let mut question = [0; HEADER + NEIGHBOUR];
        question[..4].copy_from_slice(&((HEADER + NEIGHBOUR) as u32).to_ne_bytes());
        question[4..6].copy_from_slice(&GET_NEIGHBOURS.to_ne_bytes());
        question[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
        rustix::net::send(&socket, &question, SendFlags::empty())?;
        let mut buffer = vec![0; 1 << 13];
        for _ in 0..ANSWER {
            let (length, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            if !read(buffer.get(..length).unwrap_or_default(), all) {
                break;
            }
        }
        Ok(())
    }

    /// Reads the messages of one datagram; whether more datagrams follow.
    pub(super) fn read(mut bytes: &[u8], all: &mut Vec<(LinkId, IpAddr)>) -> bool {
        while let Some((message, rest)) = piece(bytes, |bytes| u32_at(bytes, 0)) {
            if u16_at(message, 4) != Some(NEW_NEIGHBOUR) {
                return false; // the end, or an error
            }
            all.extend(neighbour(message.get(HEADER..).unwrap_or_default()));
            bytes = rest;
        }
        true
    }

    fn neighbour(message: &[u8]) -> Option<(LinkId, IpAddr)> {
        let (index, state) = (u32_at(message, 4)?, u16_at(message, 8)?);
        let mut attributes = message.get(NEIGHBOUR..)?;
        while let Some((attribute, rest)) =
            piece(attributes, |bytes| u16_at(bytes, 0).map(u32::from))
        {
            if u16_at(attribute, 2) == Some(DESTINATION) {
                let addr = attribute.get(4..)?;
                let v4 = || <[u8; 4]>::try_from(addr).map(IpAddr::from).ok();
                let v6 = || <[u8; 16]>::try_from(addr).map(IpAddr::from).ok();
                let addr = v4().or_else(v6)?;
                let is_known = state & KNOWN != 0 && !addr.is_multicast() && !addr.is_loopback();
                return is_known.then_some((LinkId(index), addr));
            }
            attributes = rest;
        }
        None
    }

    /// The first message or attribute, by the length at its beginning, and what comes behind it, which
    /// begins at a multiple of four bytes.
    fn piece(bytes: &[u8], length: impl Fn(&[u8]) -> Option<u32>) -> Option<(&[u8], &[u8])> {
        let length = usize::try_from(length(bytes)?).ok().filter(|length| *length >= 4)?;
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((bytes.get(..length)?, rest))
    }

    fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
    }

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::read;
    use super::*;

    /// A message about a neighbour on link 2, with a hardware address before the other one.
    fn message(addr: IpAddr, state: u16) -> Vec<u8> {
        let addr = match addr {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        let mut bytes = Vec::new();
        bytes.extend([0; 4]);
        bytes.extend(28_u16.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([0; 4]);
        bytes.extend(2_u32.to_ne_bytes());
        bytes.extend(state.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(10_u16.to_ne_bytes());
        bytes.extend(2_u16.to_ne_bytes());
        bytes.extend([2, 0, 0, 0, 0, 9, 0, 0]);
        bytes.extend((4 + addr.len() as u16).to_ne_bytes());
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend(addr);
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    #[test]
    fn those_whose_hardware_address_is_known_are_listed_by_either_version() {
        let of = |addr: &str, state| message(addr.parse().unwrap(), state);
        let list = [
            of("10.77.0.2", 0x02),
            of("10.77.0.3", 0x20),
            of("fe80::4", 0x04),
            of("ff02::1", 0x40),
        ]
        .concat();
        let mut all = Vec::new();
        assert!(read(&list, &mut all));
        let expected = ["10.77.0.2", "fe80::4"].map(|addr| (LinkId(2), addr.parse().unwrap()));
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_cut_off_or_not_a_list_is_passed_over() {
        let whole = message(IpAddr::from([10, 77, 0, 2]), 0x02);
        for length in 0..whole.len() {
            let mut all = Vec::new();
            read(&whole[..length], &mut all);
            assert!(all.is_empty(), "{length}");
        }
        let mut done = whole;
        done[4] = 3;
        assert!(!read(&done, &mut Vec::new()));
        let _of_this_host = neighbours(&[]);
    }

    #[test]
    fn the_route_to_a_host_tells_which_tunnel_leads_there() {
        let link = |tunnel| Link {
            id: LinkId(1),
            name: "tun0".into(),
            addr: Some(Ipv4Addr::LOCALHOST),
            prefix: 32,
            six: None,
            six_prefix: 128,
            wireless: false,
            multicast: false,
            tunnel,
        };
        let host = Ipv4Addr::LOCALHOST.into();
        assert_eq!(tunnel_to(&[link(true)], host), Some(LinkId(1)));
        assert_eq!(tunnel_to(&[link(false)], host), None);
        let elsewhere = Link { addr: Some([192, 0, 2, 1].into()), ..link(true) };
        assert_eq!(tunnel_to(&[elsewhere], host), None);
    }
}
