//! Listening on this machine only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::LocalError;

const BACKLOG: u32 = 1_024;

/// Listens on 127.0.0.1:`port`; 0 picks a free one. `flag` is what the user would change it with.
///
/// An accepted connection inherits `TCP_NODELAY` from here, on Linux and BSD alike: without it
/// every second request over a kept connection waits 40 ms for a delayed acknowledgement.
pub fn listen(port: u16, flag: &'static str) -> Result<TcpListener, LocalError> {
    bind(port).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LocalError::PortTaken { port, flag },
        _ => LocalError::Listen { port, flag, source },
    })
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Windows would let two servers share a port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_does_not_wait_for_more_to_send() {
        let listener = listen(0, "--port").unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        client.unwrap();
        assert!(accepted.unwrap().0.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_a_way_out() {
        let first = listen(0, "--port").unwrap();
        let port = first.local_addr().unwrap().port();
        let message = listen(port, "--port").unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("`--port 0`"), "{message}");
    }
}
