//! What the tests of real processes have in common.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_chaos::redis::Redis;
use mesh_chaos::{Client, Failure, Line, Node, connect_many, each, eventually};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

/// The server program.
pub const NODE: &str = env!("CARGO_BIN_EXE_mesh-node");

/// How long something that must come, and whose time is not the point, may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a check of figures allows, on whatever machine: twice what is promised.
pub fn at_most_twice(took: Duration, promised: Duration) {
    assert!(took <= promised * 2, "{took:?} for what is promised within {promised:?}");
}

/// Tests with many connections run one after the other.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// So many servers that share one Redis.
pub async fn nodes(url: &str, count: usize) -> Vec<Node> {
    Node::start_many(NODE, url, "chaos", count).await
}

/// A number from the environment, or the one that is right for every run.
pub fn from_env(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Clients of several servers, each in a room.
pub struct Crowd {
    pub clients: Vec<Client>,
    pub ids: Vec<String>,
    pub rooms: usize,
    /// One of each server that is in no room, to ask things by.
    pub askers: Vec<Client>,
}

pub fn room(number: usize) -> String {
    format!("room-{number}")
}

impl Crowd {
    /// So many clients spread over the servers, the `n`th in room `n % rooms`.
    pub async fn gather(nodes: &[Node], count: usize, rooms: usize) -> Self {
        let (mut clients, mut askers) = (Vec::new(), Vec::new());
        for (number, node) in nodes.iter().enumerate() {
            let share = count / nodes.len() + usize::from(number < count % nodes.len());
            clients.extend(connect_many(node.addr(), share).await);
            askers.push(Client::connect(node.addr()).await);
        }
        let joined = each(&clients, async |number, client| client.join(&room(number % rooms)).await).await;
        joined.into_iter().for_each(|joined| drop(joined.expect("an open room")));
        let ids = each(&clients, async |_, client| client.id().await).await;
        Self { clients, ids, rooms, askers }
    }

    /// Who is in which room, as it ought to be, sorted.
    fn expected(&self) -> Vec<Vec<&str>> {
        let mut rooms = vec![Vec::new(); self.rooms];
        for (number, id) in self.ids.iter().enumerate() {
            rooms[number % self.rooms].push(&**id);
        }
        rooms.iter_mut().for_each(|room| room.sort_unstable());
        rooms
    }

    /// Whether every server says of every room who is in.
    pub async fn is_right(&self) -> bool {
        for asker in &self.askers {
            if !self.is_right_by(asker).await {
                return false;
            }
        }
        true
    }

    /// Whether one of them does.
    pub async fn is_right_by(&self, asker: &Client) -> bool {
        says(asker, &self.expected()).await
    }

    /// Wait until that is so. Gives how long it took since.
    pub async fn becomes_right(&self, since: Instant) -> Duration {
        eventually("every server tells who is in which room", PATIENCE, async || self.is_right().await).await;
        since.elapsed()
    }

    /// Broadcast once to every room, by all servers in turn, and wait until each client has it. Gives how long it took
    /// since.
    pub async fn hears(&self, command: &str, since: Instant) -> Duration {
        let rooms: Vec<_> = (0..self.rooms).collect();
        for chunk in rooms.chunks(32) {
            let saying = chunk.iter().map(|number| async move {
                let asker = &self.askers[number % self.askers.len()];
                asker.broadcast(&room(*number), command, json!(number)).await.expect("a broadcast");
            });
            futures_util::future::join_all(saying).await;
        }
        let all = async || self.clients.iter().all(|client| client.pushed(command) > 0);
        eventually("each client hears a broadcast to its room", PATIENCE, all).await;
        let took = since.elapsed();
        for (number, client) in self.clients.iter().enumerate() {
            assert_eq!(client.pushes(command), [json!(number % self.rooms)], "once, and to its room alone");
        }
        took
    }

    /// Broadcast to every room by every server, until everything that one round said has arrived everywhere: what was lost
    /// before that was lost while a server was known to be deaf. Gives how long it took since.
    pub async fn hear_again(&self, since: Instant) -> Duration {
        for round in 0.. {
            assert!(since.elapsed() < PATIENCE, "no round of broadcasts arrives");
            let command = format!("round-{round}");
            let mut said = true;
            for number in 0..self.rooms {
                for asker in &self.askers {
                    said &= asker.broadcast(&room(number), &command, json!(number)).await.is_ok();
                }
            }
            let until = Instant::now() + Duration::from_millis(300);
            while said && Instant::now() < until {
                if self.clients.iter().all(|client| client.pushed(&command) == self.askers.len()) {
                    return since.elapsed();
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        unreachable!("rounds do not end")
    }

    /// No connection has ended.
    pub fn is_whole(&self) {
        for client in self.clients.iter().chain(&self.askers) {
            assert_eq!(client.closed(), None, "a connection has ended");
        }
    }

    /// Commands that need nothing shared are answered at once.
    pub async fn local_commands_work(&self) {
        for asker in &self.askers {
            let begun = Instant::now();
            asker.id().await;
            assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        }
    }
}

async fn says(asker: &Client, expected: &[Vec<&str>]) -> bool {
    let numbers: Vec<_> = (0..expected.len()).collect();
    for chunk in numbers.chunks(32) {
        let asking = chunk.iter().map(|number| async move {
            let Ok(mut members) = asker.members(&room(*number)).await else { return false };
            members.sort_unstable();
            members == expected[*number]
        });
        if futures_util::future::join_all(asking).await.contains(&false) {
            return false;
        }
    }
    true
}

/// How often each of these was said, by whoever.
pub fn tally(nodes: &[Node], prefix: &str) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for line in nodes.iter().flat_map(|node| node.said(prefix)) {
        *tally.entry(line.text).or_default() += 1;
    }
    tally
}

/// When the last of these was said.
pub fn last(nodes: &[Node], prefix: &str) -> Option<Instant> {
    nodes.iter().flat_map(|node| node.said(prefix)).map(|Line { at, .. }| at).max()
}

/// How long it takes until a server says that it is unavailable, or not.
pub async fn asked(client: &Client, command: &str, payload: Value) -> (Result<Value, Failure>, Duration) {
    let begun = Instant::now();
    (client.ask(command, payload).await, begun.elapsed())
}

/// Wait until an instance that is over has left nothing behind: no key bears its name or mentions it, but for the list of
/// the dead, which keeps its late writes out for a week, and the counts of what it published. Gives how long it took since.
pub async fn forgotten(redis: &Redis, dead: &str, since: Instant) -> Duration {
    let mut left = Vec::new();
    while since.elapsed() < PATIENCE {
        left = redis.mentions(dead).await;
        left.retain(|key| !key.ends_with(":dead") && !key.contains("}:n"));
        if left.is_empty() {
            return since.elapsed();
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{dead} is still in {left:?}");
}
