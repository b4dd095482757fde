//! The system's word that interfaces or addresses have come, gone or changed.
//!
//! Only that something has changed is of interest; what there is now, [`super::interfaces`] tells.
//! So nothing of the messages is read, and one that was lost costs nothing, since the kernel says
//! so (ENOBUFS), which is news as well.

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Changes;
#[cfg(target_os = "linux")]
pub use linux::Changes;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use mio::event::Source;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

    /// The multicast groups of rtnetlink(7) that tell of links and of their IPv4 and IPv6 addresses:
    /// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
    const LINKS_AND_ADDRESSES: u32 = 0x1 | 0x10 | 0x100;

    /// Messages that are skipped in one turn: enough for any real change, and a bound for a host
    /// whose interfaces change all the time.
    const TURN: usize = 256;

    /// A netlink socket that hears of changes.
    #[derive(Debug)]
    pub struct Changes {
        socket: OwnedFd,
    }

    impl Changes {
        /// Listens to the system from now on.
        ///
        /// # Errors
        /// The system or a sandbox refuses; then interfaces have to be looked at every now and
        /// then.
        pub fn watch(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let kind = (AddressFamily::NETLINK, SocketType::RAW);
            let socket = rustix::net::socket_with(kind.0, kind.1, flags, None)?;
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINKS_AND_ADDRESSES))?;
            SourceFd(&socket.as_raw_fd()).register(registry, token, Interest::READABLE)?;
            Ok(Self { socket })
        }

        /// Takes in what the system has told; whether that was anything.
        ///
        /// # Errors
        /// The socket does not work any more.
        pub fn take(&mut self) -> io::Result<bool> {
            let mut any = false;
            for _ in 0..TURN {
                // What does not fit is cut off by the kernel and never missed.
                match rustix::net::recv(&self.socket, &mut [0_u8; 16], RecvFlags::empty()) {
                    Ok(_) | Err(Errno::NOBUFS) => any = true,
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(any)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;

    use mio::{Registry, Token};

    /// Elsewhere nothing tells; interfaces have to be looked at every now and then.
    #[derive(Debug)]
    pub struct Changes;

    impl Changes {
        /// Always fails.
        ///
        /// # Errors
        /// There is nothing to listen to.
        pub fn watch(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Nothing was told.
        ///
        /// # Errors
        /// None.
        pub fn take(&mut self) -> io::Result<bool> {
            Ok(false)
        }
    }
}
