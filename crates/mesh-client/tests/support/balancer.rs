//! A balancer of TCP connections, as plain as they come: each new connection goes to the next backend that takes it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// Ends with its connections when it is dropped.
pub struct Balancer {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    backends: Vec<Backend>,
    /// Which backend is asked first.
    next: usize,
}

struct Backend {
    addr: SocketAddr,
    /// Whether it may be asked.
    is_there: bool,
    connections: Vec<AbortHandle>,
    /// How many it was given so far.
    given: usize,
}

impl Balancer {
    /// In front of these.
    pub async fn start(backends: impl IntoIterator<Item = SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let backend = |addr| Backend { addr, is_there: true, connections: Vec::new(), given: 0 };
        let backends = backends.into_iter().map(backend).collect();
        let state = Arc::new(Mutex::new(State { backends, next: 0 }));
        let task = tokio::spawn(accept(listener, state.clone()));
        Self { addr, state, task }
    }

    /// What a client dials.
    pub fn url(&self) -> String {
        format!("ws://{}/mesh", self.addr)
    }

    /// Give a backend nothing more, and cut what it has.
    pub fn take_away(&self, number: usize) {
        self.with(|state| {
            state.backends[number].is_there = false;
            state.cut(number);
        });
    }

    /// Give it connections again.
    pub fn bring_back(&self, number: usize) {
        self.with(|state| state.backends[number].is_there = true);
    }

    /// Another one takes the place of a backend, whose connections are cut.
    pub fn replace(&self, number: usize, addr: SocketAddr) {
        self.with(|state| {
            state.cut(number);
            state.backends[number].addr = addr;
        });
    }

    /// Cut every connection. Each side sees the other end it.
    pub fn cut(&self) {
        self.with(|state| (0..state.backends.len()).for_each(|number| state.cut(number)));
    }

    /// How many connections each backend was given so far.
    pub fn given(&self) -> Vec<usize> {
        self.with(|state| state.backends.iter().map(|backend| backend.given).collect())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl State {
    fn cut(&mut self, number: usize) {
        for connection in self.backends[number].connections.drain(..) {
            connection.abort();
        }
    }

    /// The backends that may be asked, the one whose turn it is first.
    fn candidates(&mut self) -> Vec<(usize, SocketAddr)> {
        let count = self.backends.len();
        let first = self.next;
        self.next = (first + 1) % count.max(1);
        let numbers = (first..first + count).map(|number| number % count);
        let there = numbers.filter(|number| self.backends[*number].is_there);
        there.map(|number| (number, self.backends[number].addr)).collect()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok((client, _)) = listener.accept().await {
        let candidates = lock().candidates();
        // Nobody is there: the client sees its connection end.
        let Some((number, backend)) = dial(candidates).await else { continue };
        let mut state = lock();
        // It may have been taken away meanwhile.
        if state.backends[number].is_there {
            let forwarding = tokio::spawn(forward(client, backend));
            state.backends[number].given += 1;
            state.backends[number].connections.push(forwarding.abort_handle());
        }
    }
}

async fn dial(candidates: Vec<(usize, SocketAddr)>) -> Option<(usize, TcpStream)> {
    for (number, addr) in candidates {
        if let Ok(stream) = TcpStream::connect(addr).await {
            return Some((number, stream));
        }
    }
    None
}

async fn forward(mut client: TcpStream, mut backend: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    backend.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
