//! Real instances in this process, dialled without a socket, so that a test may pause the clock.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_client::{Builder, Client, Entropy};
use mesh_server::Mesh;
use mesh_server::testing::Cluster;
use tokio::io::DuplexStream;
use tokio_websockets::ServerBuilder;

/// Bytes that one direction of a stream holds.
const STREAM_BYTES: usize = 256 * 1024;

/// Who may be dialled, one after the other.
#[derive(Clone, Default)]
pub struct Doors(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    doors: Vec<Mesh>,
    dials: usize,
}

impl Doors {
    /// Those of the instances that run now.
    pub fn to<S>(cluster: &Cluster<S>) -> Self {
        let doors = Self::default();
        doors.open(cluster);
        doors
    }

    /// The same after some were killed, or came back.
    pub fn open<S>(&self, cluster: &Cluster<S>) {
        let doors = cluster.alive().into_iter().map(|number| cluster.mesh(number).clone()).collect();
        self.with(|state| state.doors = doors);
    }

    /// A client that dials the next of them each time.
    pub fn client(&self, seed: u64) -> Builder {
        let doors = self.clone();
        Client::builder("ws://in.memory/mesh").entropy(Entropy::from_seed(seed)).connector(move |_| {
            let mesh = doors.with(|state| {
                state.dials += 1;
                let count = state.doors.len();
                (count > 0).then(|| state.doors[state.dials % count].clone())
            });
            async move {
                let mesh = mesh.ok_or(io::ErrorKind::ConnectionRefused)?;
                let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
                tokio::spawn(serve(mesh, theirs));
                Ok::<_, io::Error>(ours)
            }
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(mesh: Mesh, stream: DuplexStream) {
    // The client says nothing before it has read the 101, so no byte of it is left behind here.
    if let Ok((_, socket)) = ServerBuilder::new().accept(stream).await {
        let _ = mesh.serve_io(socket.into_inner(), true).await;
    }
}
