//! Ports for servers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;

use mesh_server::Entropy;

/// Below those that the system hands out by itself, so that no outgoing connection takes one in between.
const PORTS: Range<u16> = 5000..9900;

/// The distance from a Redis' port to the one it talks to its cluster on.
const BUS: u16 = 10_000;

/// A port of this machine for a server of another process. As long as this is there nobody else here takes it, also
/// before the server listens and after it was killed: else a test asks another one's server, or is found by what still
/// looks for a dead one.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// The same number of UDP, which no server here uses, and which only one process can have.
    _kept: UdpSocket,
}

impl Port {
    /// One that nobody listens on now, nor on the one that a cluster would take with it.
    pub fn free() -> Self {
        let entropy = Entropy::from_os();
        loop {
            let number = PORTS.start + (entropy.u64() % PORTS.len() as u64) as u16;
            let Ok(kept) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)) else { continue };
            let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if is_free(number) && is_free(number + BUS) {
                return Self { number, _kept: kept };
            }
        }
    }
}

/// Listen on a free port.
pub async fn listen() -> (tokio::net::TcpListener, SocketAddr) {
    loop {
        let port = Port::free();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        // Somebody else on this machine may take it in between.
        if let Ok(listener) = tokio::net::TcpListener::bind(addr).await {
            return (listener, addr);
        }
    }
}
