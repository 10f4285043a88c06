//! A link between two ends of TCP that does what networks do: is slow, has no capacity, swallows, tears.
//!
//! Each direction of each connection has its own [`Weather`], which changes while bytes are under way. What is on its
//! way through the proxy is bounded: a link that swallows holds 1 MiB of a connection in each direction, then its ends
//! feel that nobody reads.

mod pump;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_server::Entropy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::port::listen;

/// What one direction does to the bytes that go through it. The default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// How long a piece takes.
    pub delay: Duration,
    /// How much longer it takes at most, by chance. Pieces stay in order.
    pub jitter: Duration,
    /// Bytes that pass in a second.
    pub bytes_per_second: Option<u32>,
    /// Nothing passes, not even the news that an end is gone. What was on its way arrives later.
    pub black_hole: bool,
    /// Each byte is a piece of its own.
    pub one_byte_slices: bool,
    /// The receiver is told that nothing more comes, and nothing does (FIN). Is for ever.
    pub shut: bool,
}

/// Both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// From whoever connected to the server.
    pub up: Weather,
    /// From the server.
    pub down: Weather,
}

impl Link {
    /// The same in both directions.
    pub fn both(weather: Weather) -> Self {
        Self { up: weather, down: weather }
    }

    /// One that swallows everything.
    pub fn black_hole() -> Self {
        Self::both(Weather { black_hole: true, ..Weather::default() })
    }

    /// One on which what the server says does not arrive.
    pub fn deaf() -> Self {
        Self { down: Weather { black_hole: true, ..Weather::default() }, ..Self::default() }
    }
}

/// A listener that passes everything on to a server. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    /// Of a word that marks a connection once it went up.
    mark: &'static [u8],
    seed: u64,
    passed: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// For connections to come.
    link: Link,
    /// For those that will be marked.
    marked: Option<Link>,
    live: Vec<Live>,
    accepted: u64,
}

/// A connection through the proxy, as it is steered.
#[derive(Debug)]
struct Live {
    number: u64,
    link: watch::Sender<Link>,
    is_marked: bool,
    torn: watch::Sender<bool>,
}

impl Proxy {
    /// A link to a server on this machine. Connections on which SUBSCRIBE was said are marked.
    pub async fn to(port: u16) -> Self {
        Self::from_seed(port, Entropy::from_os().u64()).await
    }

    /// The same with a seed for the jitter.
    pub async fn from_seed(port: u16, seed: u64) -> Self {
        let (listener, addr) = listen().await;
        let shared = Arc::new(Shared {
            to: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            mark: b"SUBSCRIBE",
            seed,
            passed: AtomicU64::new(0),
            state: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self { shared, addr, task }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as a Redis'.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// For all connections, those to come as well.
    pub fn set(&self, link: Link) {
        self.shared.with(|state| {
            (state.link, state.marked) = (link, None);
            state.set(link, |_| true);
        });
    }

    /// For all connections that are there now.
    pub fn set_present(&self, link: Link) {
        self.shared.with(|state| state.set(link, |_| true));
    }

    /// For the marked connections, and those that will be, until all are [`set`](Self::set).
    pub fn set_marked(&self, link: Link) {
        self.shared.with(|state| {
            state.marked = Some(link);
            state.set(link, |live| live.is_marked);
        });
    }

    /// For the marked connections that are there now. Gives how many.
    pub fn set_present_marked(&self, link: Link) -> usize {
        self.shared.with(|state| state.set(link, |live| live.is_marked))
    }

    /// End every connection that is there now, in both directions at once, as a machine does that knows nothing of it
    /// (RST). Gives how many.
    pub fn tear(&self) -> usize {
        self.shared.with(|state| {
            state.live.iter().for_each(|live| _ = live.torn.send_replace(true));
            state.live.len()
        })
    }

    /// How many connections go through it now.
    pub fn live(&self) -> usize {
        self.shared.with(|state| state.live.len())
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.with(|state| state.accepted)
    }

    /// How many bytes passed, in both directions.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.tear();
    }
}

impl State {
    /// Gives how many it was set for.
    fn set(&self, link: Link, of: impl Fn(&Live) -> bool) -> usize {
        let of: Vec<_> = self.live.iter().filter(|live| of(live)).collect();
        of.iter().for_each(|live| _ = live.link.send_replace(link));
        of.len()
    }
}

impl Shared {
    /// A connection said the word.
    fn mark(&self, number: u64) {
        self.with(|state| {
            let Some(live) = state.live.iter_mut().find(|live| live.number == number) else { return };
            live.is_marked = true;
            if let Some(link) = state.marked {
                live.link.send_replace(link);
            }
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let torn = watch::Sender::new(false);
        let (number, link, told) = shared.with(|state| {
            state.accepted += 1;
            let link = watch::Sender::new(state.link);
            let (watching, told) = (link.subscribe(), torn.subscribe());
            state.live.push(Live { number: state.accepted, link, is_marked: false, torn });
            (state.accepted, watching, told)
        });
        let shared = shared.clone();
        tokio::spawn(async move {
            // That the server is not there, its client sees as an end.
            if let Ok(server) = TcpStream::connect(shared.to).await {
                pass(&shared, client, server, number, link, told).await;
            }
            shared.with(|state| state.live.retain(|live| live.number != number));
        });
    }
}

/// Pass everything on until both directions have ended, or it is torn.
async fn pass(
    shared: &Shared,
    mut client: TcpStream,
    mut server: TcpStream,
    number: u64,
    link: watch::Receiver<Link>,
    mut torn: watch::Receiver<bool>,
) {
    // A byte that is a piece of its own has to leave as one.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_torn = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let entropy = |way| Entropy::from_seed(shared.seed ^ (number << 1 | way));
        let up = pump::Pump { link: link.clone(), weather: |link| link.up, entropy: entropy(0), shared };
        let down = pump::Pump { link, weather: |link| link.down, entropy: entropy(1), shared };
        let passing = async {
            tokio::join!(up.run(from_client, to_server, Some(number)), down.run(from_server, to_client, None))
        };
        tokio::select! {
            biased;
            _ = torn.wait_for(|torn| *torn) => true,
            _ = passing => false,
        }
    };
    if is_torn {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}
