//! The system calls that no safe crate offers: many datagrams in one call, with the control data
//! of each, and the flags of interfaces.
//!
//! The only file with unsafe code. Every pointer given to the kernel is made in the call that uses
//! it, from references that outlive the call; none is ever stored.
#![expect(unsafe_code, reason = "recvmmsg, sendmmsg and getifaddrs have no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;

use super::Interface;
use crate::values::LinkId;

#[cfg(target_os = "linux")]
pub(super) use linux::{
    BATCH, Outgoing, Receiver, force_receive_buffer, force_send_buffer, send, tell_arrival,
    tell_drops,
};

/// Every interface once, with its flags and addresses.
///
/// Asked through a socket and not read from `/sys`, which can show another network namespace.
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `first` is a valid place for the list's head.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut all: Vec<Interface> = Vec::new();
    let mut next = first;
    // SAFETY: each entry is valid until the list is freed below, and the last one's next is null.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every entry has a name that ends in a zero byte.
        let text = unsafe { CStr::from_ptr(entry.ifa_name) };
        let name = text.to_string_lossy();
        // `eth0:1` is how a labelled second address of eth0 is listed.
        let name = name.split(':').next().unwrap_or_default();
        let at = match all.iter().position(|known| known.name == name) {
            Some(at) => at,
            None => match listed_index(entry) {
                0 => continue, // it went away meanwhile
                index => {
                    all.push(without_addresses(index, name, entry.ifa_flags));
                    all.len() - 1
                }
            },
        };
        if let (Some(addr), Some(mask)) = (ipv4(entry.ifa_addr), ipv4(entry.ifa_netmask)) {
            all[at].addrs.push(addr);
            all[at].prefixes.push(mask.to_bits().leading_ones() as u8);
        }
    }
    // SAFETY: the list comes from getifaddrs and nothing refers to it any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(all)
}

/// The index of an entry's interface, or 0. The entry that has it itself comes before those of the
/// interface's addresses; where there is none, the system is asked.
fn listed_index(entry: &libc::ifaddrs) -> u32 {
    // SAFETY: an address is null or a valid one, of the type that its family says.
    #[cfg(target_os = "linux")]
    if let Some(addr) = unsafe { entry.ifa_addr.as_ref() }
        && libc::c_int::from(addr.sa_family) == libc::AF_PACKET
    {
        // SAFETY: see above; the copy needs no alignment.
        let link = unsafe { entry.ifa_addr.cast::<libc::sockaddr_ll>().read_unaligned() };
        return u32::try_from(link.sll_ifindex).unwrap_or(0);
    }
    // SAFETY: every entry has a name that ends in a zero byte.
    unsafe { libc::if_nametoindex(entry.ifa_name) }
}

fn without_addresses(index: u32, name: &str, flags: libc::c_uint) -> Interface {
    let has = |flag: libc::c_int| flags & (flag as libc::c_uint) != 0;
    Interface {
        link: LinkId(index),
        name: name.to_owned(),
        addrs: Vec::new(),
        prefixes: Vec::new(),
        six: Vec::new(),
        up: has(libc::IFF_UP),
        running: has(libc::IFF_RUNNING),
        loopback: has(libc::IFF_LOOPBACK),
        multicast: has(libc::IFF_MULTICAST),
        point_to_point: has(libc::IFF_POINTOPOINT),
        wireless: false,
    }
}

/// The IPv4 address of an entry's field, if it is one.
fn ipv4(addr: *const libc::sockaddr) -> Option<Ipv4Addr> {
    // SAFETY: an address in the list is null or a valid one, of the type that its family says; the
    // copy needs no alignment.
    unsafe {
        (libc::c_int::from(addr.as_ref()?.sa_family) == libc::AF_INET)
            .then(|| addr.cast::<libc::sockaddr_in>().read_unaligned())
    }
    .map(|addr| Ipv4Addr::from_bits(u32::from_be(addr.sin_addr.s_addr)))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
    use std::os::fd::{AsRawFd, BorrowedFd};

    use libc::{c_int, c_void, socklen_t};

    use super::super::{Arrival, DATAGRAM_MAX};
    use crate::values::LinkId;

    /// The most datagrams of one system call.
    pub(in super::super) const BATCH: usize = 32;

    /// Room for the control data of one datagram, in bytes: what the packet's info (the longer one,
    /// of IPv6) and the drop count take.
    const CONTROL: usize = 64;

    /// Control data, aligned as its headers must be.
    #[derive(Clone, Copy)]
    #[repr(C, align(8))]
    struct Control([u8; CONTROL]);

    const _: () = {
        assert!(align_of::<libc::cmsghdr>() <= align_of::<Control>());
        // SAFETY: only arithmetic.
        let (info, drops) = unsafe {
            (libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32), libc::CMSG_SPACE(4))
        };
        assert!(info as usize + drops as usize <= CONTROL);
    };

    /// A socket address as the kernel reads and writes it: the family, the port, and then four bytes
    /// of IPv4, or flow, address and scope of IPv6 (ip(7), ipv6(7)).
    #[derive(Clone, Copy)]
    #[repr(C, align(4))]
    struct Name([u8; NAME]);

    const NAME: usize = size_of::<libc::sockaddr_in6>();

    const NO_NAME: Name = Name([0; NAME]);

    impl Name {
        /// The address, if it is one of IPv4 or IPv6.
        fn read(&self) -> Option<SocketAddr> {
            let (words, _) = self.0.as_chunks::<4>();
            let [family @ .., high, low] = words[0];
            let port = u16::from_be_bytes([high, low]);
            match c_int::from(u16::from_ne_bytes(family)) {
                libc::AF_INET => Some(SocketAddr::from((Ipv4Addr::from(words[1]), port))),
                libc::AF_INET6 => {
                    let addr: [u8; 16] = self.0[8..24].try_into().ok()?;
                    let scope = u32::from_ne_bytes(words[6]);
                    Some(SocketAddrV6::new(Ipv6Addr::from(addr), port, 0, scope).into())
                }
                _ => None,
            }
        }

        /// Writes an address; returns its length.
        fn write(&mut self, addr: SocketAddr) -> socklen_t {
            let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
            self.0[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
            self.0[2..4].copy_from_slice(&addr.port().to_be_bytes());
            let length = match addr {
                SocketAddr::V4(addr) => {
                    self.0[4..8].copy_from_slice(&addr.ip().octets());
                    size_of::<libc::sockaddr_in>()
                }
                SocketAddr::V6(addr) => {
                    self.0[8..24].copy_from_slice(&addr.ip().octets());
                    self.0[24..].copy_from_slice(&addr.scope_id().to_ne_bytes());
                    NAME
                }
            };
            length as socklen_t
        }
    }

    const NO_BYTES: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

    fn no_headers() -> [libc::mmsghdr; BATCH] {
        // SAFETY: zeroed, these are structures of null pointers and zero lengths, which is valid.
        unsafe { mem::zeroed() }
    }

    /// The buffers that datagrams are received into, used again for every batch.
    pub(in super::super) struct Receiver {
        buffers: Box<[[u8; DATAGRAM_MAX]]>,
    }

    /// What one call brought.
    pub(in super::super) struct Received {
        /// Datagrams that the kernel handed over, at most [`BATCH`].
        pub(in super::super) count: usize,
        /// The socket's own count of dropped datagrams so far, wrapping, if it told.
        pub(in super::super) drops: Option<u32>,
    }

    impl Receiver {
        pub(in super::super) fn new() -> Self {
            Self { buffers: vec![[0; DATAGRAM_MAX]; BATCH].into() }
        }

        /// Receives what is there, at most [`BATCH`] datagrams, and hands each to `sink`.
        pub(in super::super) fn receive(
            &mut self,
            socket: BorrowedFd<'_>,
            sink: &mut dyn FnMut(Arrival<'_>),
        ) -> io::Result<Received> {
            let mut names = [NO_NAME; BATCH];
            let mut vectors = [NO_BYTES; BATCH];
            let mut controls = [Control([0; CONTROL]); BATCH];
            let mut headers = no_headers();
            let parts = names.iter_mut().zip(&mut vectors).zip(&mut controls);
            for ((header, buffer), ((name, vector), control)) in
                headers.iter_mut().zip(&mut self.buffers).zip(parts)
            {
                vector.iov_base = buffer.as_mut_ptr().cast();
                vector.iov_len = buffer.len();
                let header = &mut header.msg_hdr;
                header.msg_name = (&raw mut *name).cast();
                header.msg_namelen = NAME as socklen_t;
                header.msg_iov = vector;
                header.msg_iovlen = 1;
                header.msg_control = control.0.as_mut_ptr().cast();
                header.msg_controllen = CONTROL as _;
            }
            // SAFETY: the BATCH headers point to arrays above and to the buffers, which live until
            // the end of this function, each with its true length; no timeout is given.
            let count = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BATCH as _,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            let mut drops = None;
            for ((header, name), buffer) in
                headers.iter().zip(&names).zip(&self.buffers).take(count)
            {
                let said = Said::read(&header.msg_hdr);
                drops = said.drops.or(drops);
                let Some(source) = name.read() else { continue };
                let Some(bytes) = buffer.get(..header.msg_len as usize) else { continue };
                sink(Arrival {
                    bytes,
                    source,
                    link: said.link,
                    to: said.to,
                    truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                });
            }
            Ok(Received { count, drops })
        }
    }

    /// What the kernel said of one datagram.
    struct Said {
        link: LinkId,
        to: IpAddr,
        drops: Option<u32>,
    }

    impl Said {
        fn read(header: &libc::msghdr) -> Self {
            let to = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let mut said = Self { link: LinkId(0), to, drops: None };
            // SAFETY: the header is as the kernel filled it in: its control data and its length
            // are of our array, which is still there.
            let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
            // SAFETY: FIRSTHDR and NXTHDR return null or a whole header inside the control data.
            while let Some(entry) = unsafe { next.as_ref() } {
                // SAFETY: the data begins right behind the header.
                let data = unsafe { libc::CMSG_DATA(entry) };
                match (entry.cmsg_level, entry.cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        // SAFETY: data of this type is one in_pktinfo; it may lie unaligned.
                        let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                        said.link = LinkId(info.ipi_ifindex.cast_unsigned());
                        said.to = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into();
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        // SAFETY: data of this type is one in6_pktinfo; it may lie unaligned.
                        let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                        said.link = LinkId(info.ipi6_ifindex);
                        said.to = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                    }
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        // SAFETY: data of this type is one 32-bit count; it may lie unaligned.
                        said.drops = Some(unsafe { data.cast::<u32>().read_unaligned() });
                    }
                    _ => {}
                }
                // SAFETY: `entry` is a header of this control data.
                next = unsafe { libc::CMSG_NXTHDR(header, entry) };
            }
            said
        }
    }

    /// A datagram to be sent, and the interface index and source address that it leaves by; the
    /// source is of the same version as the destination, and may be left to the kernel.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Outgoing<'a> {
        pub(in super::super) bytes: &'a [u8],
        pub(in super::super) to: SocketAddr,
        pub(in super::super) via: Option<(LinkId, IpAddr)>,
    }

    /// Sends the first [`BATCH`] datagrams at most, and returns how many went out. An error is
    /// that of the first one, and then none went out.
    pub(in super::super) fn send<'a>(
        socket: BorrowedFd<'_>,
        outgoing: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let mut names = [NO_NAME; BATCH];
        let mut vectors = [NO_BYTES; BATCH];
        let mut controls = [Control([0; CONTROL]); BATCH];
        let mut headers = no_headers();
        let mut count = 0;
        let parts = names.iter_mut().zip(&mut vectors).zip(&mut controls);
        for ((header, ((name, vector), control)), datagram) in
            headers.iter_mut().zip(parts).zip(outgoing)
        {
            let length = name.write(datagram.to);
            // The kernel only reads what is sent; the type is shared with receiving.
            vector.iov_base = datagram.bytes.as_ptr().cast_mut().cast();
            vector.iov_len = datagram.bytes.len();
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = length;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            if let Some((link, source)) = datagram.via {
                steer(header, control, link, source);
            }
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the first `count` headers point to arrays above and to the datagrams' bytes,
        // which live until the end of this function, each with its true length.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _)
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Makes a datagram leave by `link` with `source` as its source address.
    fn steer(header: &mut libc::msghdr, control: &mut Control, link: LinkId, source: IpAddr) {
        match source {
            IpAddr::V4(source) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: link.0.cast_signed(),
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                attach(header, control, (libc::IPPROTO_IP, libc::IP_PKTINFO), info);
            }
            IpAddr::V6(source) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: link.0,
                };
                attach(header, control, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info);
            }
        }
    }

    /// Sends `info`, a packet's info of either version, with a datagram.
    fn attach<T>(
        header: &mut libc::msghdr,
        control: &mut Control,
        (level, kind): (c_int, c_int),
        info: T,
    ) {
        const { assert!(size_of::<T>() <= size_of::<libc::in6_pktinfo>()) }
        let size = size_of::<T>() as u32;
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: only arithmetic.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
        // SAFETY: the control data is aligned for a header and has room for one and the longer
        // info, as asserted above, so FIRSTHDR is not null and DATA lies inside.
        unsafe {
            let entry = libc::CMSG_FIRSTHDR(header);
            (*entry).cmsg_level = level;
            (*entry).cmsg_type = kind;
            (*entry).cmsg_len = libc::CMSG_LEN(size) as _;
            libc::CMSG_DATA(entry).cast::<T>().write_unaligned(info);
        }
    }

    /// Has the arrival link and the destination told of each datagram.
    pub(in super::super) fn tell_arrival(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
        if v6 {
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
        } else {
            set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
        }
    }

    /// Has the count of dropped datagrams told with each datagram.
    pub(in super::super) fn tell_drops(socket: BorrowedFd<'_>) -> io::Result<()> {
        set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
    }

    /// Sets the receive buffer, in bytes, above the system's limit, for those who may.
    pub(in super::super) fn force_receive_buffer(
        socket: BorrowedFd<'_>,
        bytes: usize,
    ) -> io::Result<()> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
    }

    /// Sets the send buffer, in bytes, above the system's limit, for those who may.
    pub(in super::super) fn force_send_buffer(
        socket: BorrowedFd<'_>,
        bytes: usize,
    ) -> io::Result<()> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes)
    }

    fn set(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        // SAFETY: the value is one int, alive during the call, and its size is given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const value).cast::<c_void>(),
                size_of::<c_int>() as socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
