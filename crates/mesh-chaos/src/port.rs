//! Ports for servers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use mesh_server::Entropy;

/// Below those that the system hands out by itself, so that no outgoing connection takes one in between.
const PORTS: Range<u16> = 5000..9900;

/// The distance from a Redis' port to the one it talks to its cluster on.
const BUS: u16 = 10_000;

/// A port of this machine that nobody listens on now, nor on the one that a cluster would take with it.
pub fn free_port() -> u16 {
    let entropy = Entropy::from_os();
    loop {
        let port = PORTS.start + (entropy.u64() % PORTS.len() as u64) as u16;
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free(port) && free(port + BUS) {
            return port;
        }
    }
}

/// Listen on a free port.
pub async fn listen() -> (tokio::net::TcpListener, SocketAddr) {
    loop {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        // Somebody else may take it in between.
        if let Ok(listener) = tokio::net::TcpListener::bind(addr).await {
            return (listener, addr);
        }
    }
}
