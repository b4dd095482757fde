//! The gateway's sockets: the one that listens, and how those that it brings notice a dead peer.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use super::{KEEPALIVE, KEEPALIVE_INTERVAL, KERNEL_WAITING, UNANSWERED};

/// Why the gateway can't listen. The user's to mend.
#[derive(Debug, thiserror::Error)]
#[error("the gateway can't listen at {addr}: {error}; {remedy}")]
pub(crate) struct GatewayError {
    addr: SocketAddr,
    error: io::Error,
    remedy: &'static str,
}

/// Whether only this host's own users can come to a gateway at that address.
pub(crate) fn is_private(addr: IpAddr) -> bool {
    addr.is_loopback()
}

/// Listens.
pub(crate) fn listen(addr: SocketAddr) -> Result<TcpListener, GatewayError> {
    TcpListener::bind(addr).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; name another port with --tcp"
            }
            io::ErrorKind::AddrNotAvailable => {
                "no interface of this host has that address; name another with --tcp"
            }
            io::ErrorKind::PermissionDenied => "name a port from 1024 on with --tcp",
            _ => "name another address with --tcp",
        };
        GatewayError { addr, error, remedy }
    })
}

/// Has the kernel notice when the other end of a connection is gone without a word, and keep little
/// for one that does not read.
pub(super) fn watch_over(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(KERNEL_WAITING)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    // For what was written and is not acknowledged. Linux goes by it for the keep-alive as well.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_refused_with_the_remedy() {
        let first = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let addr = first.local_addr().unwrap();
        let error = listen(addr).unwrap_err().to_string();
        assert!(error.contains(&addr.to_string()) && error.contains("--tcp"), "{error}");
    }

    #[test]
    fn what_is_connected_is_watched_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream);
        watch_over(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
    }
}
