//! Fault upon fault, in an order that a seed says, while clients come into rooms and go out of them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_chaos::proxy::Link;
use mesh_chaos::redis::Redis;
use mesh_chaos::{Client, Node, Proxy, connect_many, each, eventually, figure};
use mesh_server::Entropy;
use serde_json::{Value, json};
use support::{NODE, from_env, room, tally};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const ROOMS: usize = 12;
const CLIENTS_EACH: usize = 20;
/// How long all may take to agree after the last fault.
const AGREE_MAX: Duration = Duration::from_secs(60);

/// What is hurt.
struct World {
    redis: Redis,
    proxies: Vec<Proxy>,
    nodes: Vec<Node>,
}

impl World {
    async fn start(keeps: bool) -> Self {
        let redis = if keeps { Redis::start_keeping().await } else { Redis::start().await };
        let (mut proxies, mut nodes) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let proxy = Proxy::to(redis.port()).await;
            nodes.push(Node::start(NODE, &proxy.url(), "chaos").await);
            proxies.push(proxy);
        }
        Self { redis, proxies, nodes }
    }

    /// Do something bad, and end it again.
    async fn hurt(&mut self, keeps: bool, entropy: &Entropy) -> String {
        let node = (entropy.u64() % 3) as usize;
        let some = Duration::from_millis(100 + entropy.u64() % 1400);
        match entropy.u64() % 8 {
            0 => {
                self.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
                "subscribers killed".to_owned()
            }
            1 => {
                self.proxies[node].tear();
                format!("link {node} torn")
            }
            2 => {
                self.proxies[node].set(Link::black_hole());
                sleep(some).await;
                self.proxies[node].set(Link::default());
                format!("link {node} swallowed for {some:?}")
            }
            3 if !keeps => {
                self.redis.command(&["FLUSHALL"]).await;
                "emptied".to_owned()
            }
            3 | 4 => {
                self.redis.kill().await;
                sleep(some / 3).await;
                self.redis.start_again().await;
                format!("killed for {:?}", some / 3)
            }
            5 => {
                self.nodes[node].process.pause();
                sleep(some).await;
                self.nodes[node].process.resume();
                format!("instance {node} paused for {some:?}")
            }
            6 => {
                self.redis.command(&["CLIENT", "PAUSE", &some.as_millis().to_string(), "ALL"]).await;
                sleep(some).await;
                format!("Redis paused for {some:?}")
            }
            _ => {
                self.proxies[node].set_present_marked(Link::deaf());
                sleep(some).await;
                self.proxies[node].set_present(Link::default());
                format!("link {node} deaf for {some:?}")
            }
        }
    }
}

/// Clients that come and go until told to stop.
fn churn(clients: &Arc<Vec<Client>>, seed: u64, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let one = |number: usize| {
        let (clients, stop) = (clients.clone(), stop.clone());
        let entropy = Entropy::from_seed(seed ^ (number as u64).rotate_left(32));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let name = room((entropy.u64() % ROOMS as u64) as usize);
                // What fails, fails: what counts is what its server takes it for.
                let _ = match entropy.u64() % 2 {
                    0 => clients[number].join(&name).await,
                    _ => clients[number].leave(&name).await,
                };
                sleep(Duration::from_millis(10 + entropy.u64() % 50)).await;
            }
        })
    };
    (0..clients.len()).map(one).collect()
}

/// Who is in which room, as each client's own server has it.
async fn truth(clients: &[Client], ids: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut truth: BTreeMap<_, _> = (0..ROOMS).map(|number| (room(number), BTreeSet::new())).collect();
    let rooms = each(clients, async |_, client| client.ask("rooms", Value::Null).await.expect("local")).await;
    for (id, rooms) in ids.iter().zip(rooms) {
        for room in rooms.as_array().into_iter().flatten().filter_map(Value::as_str) {
            truth.entry(room.to_owned()).or_default().insert(id.clone());
        }
    }
    truth
}

/// Where what servers say differs from it.
async fn differences(askers: &[Client], truth: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut differences = Vec::new();
    for (number, asker) in askers.iter().enumerate() {
        for (room, expected) in truth {
            match asker.members(room).await {
                Err(error) => differences.push(format!("{number} {room}: {error:?}")),
                Ok(found) => {
                    let found: BTreeSet<_> = found.into_iter().collect();
                    for id in found.symmetric_difference(expected) {
                        let what = if found.contains(id) { "ghost" } else { "missing" };
                        differences.push(format!("{number} {room} {id}: {what}"));
                    }
                }
            }
        }
    }
    differences
}

/// F2 to F14, but for what kills instances or data: then each is told of once for each time it came and went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fault_upon_fault_every_server_tells_who_is_where_and_hooks_are_in_balance() {
    let (joins_too_many, leaves_too_many) = storm(true).await;
    assert_eq!((joins_too_many, leaves_too_many), (0, 0));
}

/// F3 as well: `on_join` is told again of whoever is in when Redis loses its data, as nobody can tell what others were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fault_upon_fault_and_lost_data_every_server_tells_who_is_where() {
    let (_, leaves_too_many) = storm(false).await;
    assert_eq!(leaves_too_many, 0);
}

/// `MESH_CHAOS_SEED` says in which order, `MESH_CHAOS_FAULTS` how many (15). No connection ends. Gives how often `on_join`
/// and `on_leave` were called too often.
async fn storm(keeps: bool) -> (usize, usize) {
    let seed = from_env("MESH_CHAOS_SEED", 1) as u64;
    let entropy = Entropy::from_seed(seed);
    let mut world = World::start(keeps).await;
    let (mut clients, mut askers) = (Vec::new(), Vec::new());
    for node in &world.nodes {
        clients.extend(connect_many(node.addr(), CLIENTS_EACH).await);
        askers.push(Client::connect(node.addr()).await);
    }
    let clients = Arc::new(clients);
    let ids = each(&clients, async |_, client| client.id().await).await;
    let stop = Arc::new(AtomicBool::new(false));
    let churning = churn(&clients, seed, &stop);
    let mut faults = Vec::new();
    for _ in 0..from_env("MESH_CHAOS_FAULTS", 15) {
        faults.push(world.hurt(keeps, &entropy).await);
        sleep(Duration::from_millis(entropy.u64() % 800)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in churning {
        task.await.expect("a client that comes and goes");
    }
    let over = Instant::now();
    let mut left = vec!["nobody was asked".to_owned()];
    while !left.is_empty() {
        let truth = truth(&clients, &ids).await;
        left = differences(&askers, &truth).await;
        assert!(over.elapsed() < AGREE_MAX, "seed {seed}, after {faults:#?}: {left:#?}");
        sleep(Duration::from_millis(50)).await;
    }
    figure(
        &format!("{} faults with seed {seed}: every server tells who is where, after the last", faults.len()),
        over.elapsed(),
    );
    let truth = truth(&clients, &ids).await;
    for number in 0..ROOMS {
        let said = askers[number % 3].broadcast(&room(number), "after", json!(room(number))).await;
        said.expect("a broadcast");
    }
    let expected: usize = truth.values().map(BTreeSet::len).sum();
    let heard = || clients.iter().map(|client| client.pushed("after")).sum::<usize>();
    eventually("every member hears", AGREE_MAX, async || heard() >= expected).await;
    for (client, id) in clients.iter().zip(&ids) {
        let mut heard: Vec<_> =
            client.pushes("after").iter().filter_map(|room| room.as_str().map(str::to_owned)).collect();
        heard.sort();
        let mut rooms: Vec<_> =
            truth.iter().filter(|(_, who)| who.contains(id)).map(|(room, _)| room.clone()).collect();
        rooms.sort();
        assert_eq!(heard, rooms, "once, and of its rooms alone");
    }
    for client in clients.iter().chain(&askers) {
        assert_eq!(client.closed(), None, "a connection has ended");
    }
    assert_eq!(tally(&world.nodes, "disconnect "), [].into());
    balance(&world.nodes, &truth)
}

/// How far hooks are from one departure for each arrival but the last.
fn balance(nodes: &[Node], truth: &BTreeMap<String, BTreeSet<String>>) -> (usize, usize) {
    let (joins, leaves) = (tally(nodes, "join "), tally(nodes, "leave "));
    let (mut calls, mut joins_too_many, mut leaves_too_many) = (0, 0, 0);
    let pairs: BTreeSet<_> =
        joins.keys().map(|it| &it[5..]).chain(leaves.keys().map(|it| &it[6..])).collect();
    for pair in pairs {
        let (room, id) = pair.split_once(' ').expect("a room and an id");
        let (join, leave) = (joins.get(&format!("join {pair}")), leaves.get(&format!("leave {pair}")));
        let (join, leave) = (join.copied().unwrap_or(0), leave.copied().unwrap_or(0));
        let inside = usize::from(truth.get(room).is_some_and(|who| who.contains(id)));
        calls += join + leave;
        joins_too_many += join.saturating_sub(leave + inside);
        leaves_too_many += (leave + inside).saturating_sub(join);
    }
    let too_many = (joins_too_many, leaves_too_many);
    figure(
        "on_join and on_leave under fault upon fault: calls, and joins and leaves too many",
        (calls, too_many),
    );
    too_many
}
