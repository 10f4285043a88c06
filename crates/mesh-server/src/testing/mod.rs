//! A cluster without sockets, for tests: instances that share memory, clients in the same process, and ways to kill,
//! cut off and pause an instance. On tokio's paused clock a minute takes a millisecond, and a run is a function of its
//! seed.
//!
//! ```
//! use mesh_server::testing::Cluster;
//! use mesh_server::{Mesh, Room, any};
//! use serde_json::json;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
//! # runtime.block_on(async {
//! let mut cluster = Cluster::start(3, |_| Mesh::builder().room(any(), Room::open())).await?;
//! let (mut alice, mut bob) = (cluster.client(0), cluster.client(1));
//! alice.command("mesh/join-room", json!({"roomName": "lobby"})).await?;
//! bob.command("mesh/join-room", json!({"roomName": "lobby"})).await?;
//!
//! cluster.mesh(2).room("lobby").broadcast("hello", &"everybody").await?;
//! assert_eq!(alice.push().await, Some(("hello".into(), json!("everybody"))));
//!
//! cluster.kill(0);
//! tokio::time::sleep(std::time::Duration::from_secs(8)).await;
//! assert_eq!(cluster.mesh(2).room("lobby").count().await?, 1);
//! # Ok::<_, Box<dyn std::error::Error>>(()) })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod client;
mod doorway;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{Backend, Faults, Memory, Partition};
use mesh_proto::Entropy;

pub use client::{Client, Failure};
use doorway::Doorway;

use crate::builder::Builder;
use crate::error::Result;
use crate::mesh::Mesh;

/// Instances that share something, and may be hurt one by one.
pub struct Cluster<S> {
    make: Box<dyn Fn(usize) -> Builder<S> + Send + Sync>,
    seed: u64,
    /// Instances built so far: each has randomness of its own.
    built: u64,
    seats: Vec<Seat>,
}

/// Where an instance is, or was.
struct Seat {
    doorway: Doorway,
    mesh: Option<Mesh>,
}

impl<S: Clone + Send + Sync + 'static> Cluster<S> {
    /// So many instances that share memory. `make` says what each is, by its number from 0; its backend and its randomness
    /// are replaced.
    ///
    /// # Errors
    /// Those of [`Builder::build`].
    pub async fn start(
        count: usize,
        make: impl Fn(usize) -> Builder<S> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::from_seed(1, count, make).await
    }

    /// The same with a seed of your own: two runs with the same seed do the same.
    ///
    /// # Errors
    /// Those of [`Builder::build`].
    pub async fn from_seed(
        seed: u64,
        count: usize,
        make: impl Fn(usize) -> Builder<S> + Send + Sync + 'static,
    ) -> Result<Self> {
        let memory: Arc<dyn Backend> = Arc::new(Memory::from_seed(seed));
        Self::over(seed, (0..count).map(|_| memory.clone()), make).await
    }

    /// An instance for each of these backends, which lead to the same thing.
    ///
    /// # Errors
    /// Those of [`Builder::build`].
    pub async fn over(
        seed: u64,
        backends: impl IntoIterator<Item = Arc<dyn Backend>>,
        make: impl Fn(usize) -> Builder<S> + Send + Sync + 'static,
    ) -> Result<Self> {
        let seat = |backend| Seat { doorway: Doorway::new(backend, seed), mesh: None };
        let seats: Vec<_> = backends.into_iter().map(seat).collect();
        let mut cluster = Self { make: Box::new(make), seed, built: 0, seats };
        for number in 0..cluster.len() {
            cluster.start_again(number).await?;
        }
        Ok(cluster)
    }

    /// Start an instance where one was killed or closed.
    ///
    /// # Errors
    /// Those of [`Builder::build`].
    ///
    /// # Panics
    /// If one runs there.
    pub async fn start_again(&mut self, number: usize) -> Result<()> {
        let seat = &mut self.seats[number];
        assert!(seat.mesh.is_none(), "instance {number} runs");
        self.built += 1;
        let entropy = Entropy::from_seed(self.seed ^ self.built.rotate_left(32));
        let builder = (self.make)(number).backend(seat.doorway.clone()).entropy(entropy);
        seat.mesh = Some(builder.build().await?);
        Ok(())
    }
}

impl<S> Cluster<S> {
    /// How many instances there are, dead ones too.
    #[expect(clippy::len_without_is_empty, reason = "a cluster of none is of no use")]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// An instance by its number.
    ///
    /// # Panics
    /// If it was killed.
    pub fn mesh(&self, number: usize) -> &Mesh {
        self.seats[number].mesh.as_ref().expect("this instance was killed")
    }

    /// The numbers of those that run.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.len()).filter(|&number| self.seats[number].mesh.is_some()).collect()
    }

    /// A client of the origin, connected to an instance.
    pub fn client(&self, number: usize) -> Client {
        Client::dial(self.mesh(number))
    }

    /// A client that says hello.
    pub fn hello_client(&self, number: usize) -> Client {
        Client::dial_hello(self.mesh(number))
    }

    /// End an instance as `kill -9` does: nothing is cleaned up, its clients are cut off, no hook runs.
    pub fn kill(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        seat.doorway.crash();
        if let Some(mesh) = seat.mesh.take() {
            mesh.vanish();
        }
    }

    /// Cut an instance off from what is shared: its calls fail at once, it hears nothing. Its clients stay.
    pub fn partition(&self, number: usize) {
        self.seats[number].doorway.cut(Partition::Refuse);
    }

    /// Cut it off so that its calls hang for so long, as in a network that swallows packets.
    pub fn black_hole(&self, number: usize, deadline: Duration) {
        self.seats[number].doorway.cut(Partition::Hang(deadline));
    }

    /// End what [`partition`](Self::partition) and [`black_hole`](Self::black_hole) began.
    pub fn heal(&self, number: usize) {
        self.seats[number].doorway.heal();
    }

    /// Delays, lost calls and lost answers between an instance and what is shared, in its present life.
    pub fn faults(&self, number: usize) -> Faults {
        self.seats[number].doorway.faults()
    }
}

impl<S> fmt::Debug for Cluster<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seed", &self.seed)
            .field("alive", &self.alive())
            .finish_non_exhaustive()
    }
}
