//! One UDP socket: how it is opened, what it has joined, what the kernel dropped on it.
//!
//! A socket speaks one version of IP: where a kernel has no IPv6, or a host has switched it off,
//! the sockets of IPv4 are what they would be anyway. Every socket here is non-blocking, and gets a group's datagrams only if it joined that group
//! itself: the address is shared with other nodes of the host, the memberships are not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;

use mio::net::UdpSocket;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use super::batch::Io;
use crate::values::LinkId;

/// How the sockets of a node are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// The group port, shared by the nodes of a host; not 0.
    pub port: u16,
    /// Whether this node is reached at the group port by unicast: by those who know nothing but the
    /// host's address. Of those who share the port the system lets one hear that, mostly the
    /// latest; so one that only passes through must not be among them.
    pub reachable: bool,
    /// How many routers a multicast datagram may pass, plus one.
    pub ttl: u8,
    /// Whether groups are joined at all. Without, joining is only remembered.
    pub multicast: bool,
    /// The receive buffer to ask for, in bytes, for each socket; [`super::Sockets::receive_buffer`]
    /// says what was granted.
    pub receive_buffer: usize,
}

impl OpenOptions {
    /// Bytes of receive buffer to ask for: a burst of some thousand datagrams. It is a limit and
    /// not memory in use.
    pub const RECEIVE_BUFFER: usize = 4 << 20;
}

/// Bytes of send buffer to ask for. What waits for the address of a neighbour that is gone stays in
/// it, up to 208 KiB for each such neighbour and for three seconds on Linux; with the usual buffer
/// of that size, two of them would keep everybody else from being spoken to.
const SEND_BUFFER: usize = 4 << 20;

/// Why the sockets could not be opened; none is left open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A program on this host has the port for itself. The user's to mend.
    #[error(
        "UDP port {port} is taken by a program that does not share it; \
         `ss -ulpn 'sport = :{port}'` shows which: end it, or choose another port \
         (--group ADDR:PORT)"
    )]
    PortTaken {
        /// The group port.
        port: u16,
    },
    /// Ports below 1,024 are the system's, or a sandbox forbids sockets. The user's to mend.
    #[error(
        "this user may not open UDP port {port}: {error}; choose a port above 1023 \
         (--group ADDR:PORT), or allow the sandbox or service to use the network"
    )]
    Forbidden {
        /// The port; 0 for one that the system was to choose.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
    /// The process has all the files open that it may. The user's to mend.
    #[error("too many open files: {0}; `ulimit -n` shows the limit and raises it")]
    TooManyFiles(io::Error),
    /// Anything else that the system said.
    #[error("can't open a UDP socket: {0}")]
    System(io::Error),
}

impl OpenError {
    fn from_bind(error: io::Error, port: u16) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { port },
            _ => Self::from_socket(error, port),
        }
    }

    fn from_socket(error: io::Error, port: u16) -> Self {
        #[cfg(unix)]
        if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
            return Self::TooManyFiles(error);
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Forbidden { port, error },
            _ => Self::System(error),
        }
    }

    /// The same for one who reports the failure of a link.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Forbidden { error, .. } | Self::TooManyFiles(error) | Self::System(error) => {
                error
            }
            Self::PortTaken { .. } => io::Error::new(io::ErrorKind::AddrInUse, self),
        }
    }
}

/// A group that a socket is bound to, and the link if the group is one of each link's own.
pub(super) type Only = (IpAddr, LinkId);

/// What [`Only`] a socket for a group on a link has to be bound to.
pub(super) fn only(group: IpAddr, link: LinkId) -> Only {
    match group {
        IpAddr::V6(addr) if is_link_local(addr) => (group, link),
        _ => (group, LinkId(0)),
    }
}

/// Whether an address means something else on each link.
fn is_link_local(addr: Ipv6Addr) -> bool {
    addr.is_unicast_link_local() || addr.segments()[0] & 0xff0f == 0xff02
}

/// One socket.
pub(super) struct Endpoint {
    pub(super) socket: UdpSocket,
    /// It speaks IPv6, and not IPv4.
    pub(super) v6: bool,
    /// The only group that it can join and hears: where the system does not tell a datagram's
    /// destination, or where nothing else may come in.
    pub(super) only: Option<Only>,
    /// Memberships, pairs of group and link.
    pub(super) members: usize,
    /// It hears unicast or sends, so it stays open without a membership.
    pub(super) kept: bool,
    drops: Option<u32>,
}

impl Endpoint {
    /// The socket that everything is sent from, on a port that the system chooses.
    pub(super) fn unicast(io: &Io, v6: bool, options: &OpenOptions) -> Result<Self, OpenError> {
        let socket = new_socket(v6)?;
        let set = || {
            // Several nodes on a host hear each other by this.
            if v6 {
                socket.set_multicast_loop_v6(true)?;
                socket.set_multicast_hops_v6(options.ttl.into())
            } else {
                socket.set_multicast_loop_v4(true)?;
                socket.set_multicast_ttl_v4(options.ttl.into())
            }
        };
        set().map_err(OpenError::System)?;
        enlarge_send(&socket, SEND_BUFFER);
        Self::bind(io, socket, SocketAddr::new(unspecified(v6), 0), None, options)
    }

    /// A socket on the group port, for all groups or just one.
    pub(super) fn group(
        io: &Io,
        v6: bool,
        only: Option<Only>,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let socket = new_socket(v6)?;
        socket.set_reuse_address(true).map_err(OpenError::System)?;
        // The BSDs share a port only so. Linux would spread unicast over those who share it.
        #[cfg(all(
            unix,
            not(any(target_os = "linux", target_os = "solaris", target_os = "illumos"))
        ))]
        socket.set_reuse_port(true).map_err(OpenError::System)?;
        #[cfg(target_os = "linux")]
        if v6 { socket.set_multicast_all_v6(false) } else { socket.set_multicast_all_v4(false) }
            .map_err(OpenError::System)?;
        // Windows can't bind to a group.
        let addr = match only.filter(|_| cfg!(unix)) {
            Some((IpAddr::V6(group), link)) => {
                SocketAddrV6::new(group, options.port, 0, link.0).into()
            }
            Some((group, _)) => SocketAddr::new(group, options.port),
            None => SocketAddr::new(unspecified(v6), options.port),
        };
        Self::bind(io, socket, addr, only, options)
    }

    fn bind(
        io: &Io,
        socket: Socket,
        addr: SocketAddr,
        only: Option<Only>,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        io.prepare(&socket, addr.is_ipv6()).map_err(OpenError::System)?;
        enlarge_receive(&socket, options.receive_buffer);
        socket.bind(&addr.into()).map_err(|e| OpenError::from_bind(e, addr.port()))?;
        let socket = UdpSocket::from_std(socket.into());
        Ok(Self { socket, v6: addr.is_ipv6(), only, members: 0, kept: false, drops: None })
    }

    /// Stays open without a membership.
    pub(super) fn keep(mut self) -> Self {
        self.kept = true;
        self
    }

    pub(super) fn join(&mut self, group: IpAddr, link: LinkId) -> io::Result<()> {
        let socket = SockRef::from(&self.socket);
        let joined = match group {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(link.0))
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, link.0),
        };
        match joined {
            // The kernel remembers what we had forgotten.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            result => result?,
        }
        self.members += 1;
        Ok(())
    }

    /// The system forgets a membership on an interface that is gone, so nothing can fail here.
    pub(super) fn leave(&mut self, group: IpAddr, link: LinkId) {
        let socket = SockRef::from(&self.socket);
        let _gone = match group {
            IpAddr::V4(group) => {
                socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(link.0))
            }
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, link.0),
        };
        self.members = self.members.saturating_sub(1);
    }

    /// Takes the socket's own, wrapping count of drops, and returns how many are new.
    pub(super) fn count_drops(&mut self, now: Option<u32>) -> u32 {
        let Some(now) = now else { return 0 };
        let new = now.wrapping_sub(self.drops.replace(now).unwrap_or(0));
        // A count that went back is an older one that was read late, not 4 billion drops.
        if new > u32::MAX / 2 { 0 } else { new }
    }

    /// Bytes of receive buffer that the system granted.
    pub(super) fn receive_buffer(&self) -> usize {
        SockRef::from(&self.socket).recv_buffer_size().unwrap_or(0)
    }
}

/// Whether a socket has as many memberships as it may have.
pub(super) fn is_full(error: &io::Error) -> bool {
    #[cfg(unix)]
    let full = [libc::ENOBUFS, libc::ETOOMANYREFS, libc::ENOMEM];
    #[cfg(not(unix))]
    let full = [10055, 10059];
    error.raw_os_error().is_some_and(|code| full.contains(&code))
}

fn unspecified(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

fn new_socket(v6: bool) -> Result<Socket, OpenError> {
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
        .map_err(|e| OpenError::from_socket(e, 0))?;
    if v6 {
        socket.set_only_v6(true).map_err(OpenError::System)?;
    }
    socket.set_nonblocking(true).map_err(OpenError::System)?;
    Ok(socket)
}

/// Asks for a receive buffer of that many bytes. A smaller one is no error: bursts get lost
/// earlier, and the drops are counted.
fn enlarge_receive(socket: &Socket, bytes: usize) {
    #[cfg(target_os = "linux")]
    if super::sys::force_receive_buffer(socket.as_fd(), bytes).is_ok() {
        return;
    }
    let _granted = socket.set_recv_buffer_size(bytes);
}

/// Asks for a send buffer of that many bytes. A smaller one is no error: sending waits earlier.
fn enlarge_send(socket: &Socket, bytes: usize) {
    #[cfg(target_os = "linux")]
    if super::sys::force_send_buffer(socket.as_fd(), bytes).is_ok() {
        return;
    }
    let _granted = socket.set_send_buffer_size(bytes);
}
