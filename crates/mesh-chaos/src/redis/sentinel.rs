//! A master, a replica, and three sentinels that watch over them.

use std::time::Duration;

use super::Redis;
use crate::proxy::Proxy;
use crate::wait::eventually;

/// The name that sentinels know the master by.
const NAME: &str = "main";
/// How long they may take to find one another, and everything else that is no fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// Five processes.
#[derive(Debug)]
pub struct Watched {
    /// At first.
    pub master: Redis,
    /// The one that takes its place.
    pub replica: Redis,
    /// Two of three decide.
    pub sentinels: Vec<Redis>,
}

impl Watched {
    /// Start them, and wait until all know one another. A server that is silent for 1 s is down.
    pub async fn start() -> Self {
        let options = ["--repl-diskless-sync-delay", "0"];
        let (master, replica) = tokio::join!(Redis::start_with(&options), Redis::start_with(&options));
        let port = master.port().to_string();
        replica.command(&["REPLICAOF", "127.0.0.1", &port]).await;
        eventually("the replica follows", PATIENCE, async || {
            replica.info("master_link_status").await == "up"
        })
        .await;
        let starting = (0..3).map(|_| Redis::start_program("redis-server", &["sentinel.conf", "--sentinel"]));
        let sentinels = futures_util::future::join_all(starting).await;
        for sentinel in &sentinels {
            sentinel.command(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "2"]).await;
            for (option, value) in [("down-after-milliseconds", "1000"), ("failover-timeout", "5000")] {
                sentinel.command(&["SENTINEL", "SET", NAME, option, value]).await;
            }
        }
        for sentinel in &sentinels {
            let knows_all = async || {
                let known = sentinel.command(&["SENTINEL", "MASTER", NAME]).await.texts();
                let says = |name: &str, value: &str| known.windows(2).any(|pair| pair == [name, value]);
                says("num-other-sentinels", "2") && says("num-slaves", "1")
            };
            eventually("a sentinel knows the others", PATIENCE, knows_all).await;
        }
        Self { master, replica, sentinels }
    }

    /// As `mesh-node` takes it.
    pub fn name(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(Redis::at).collect();
        format!("sentinel:{NAME}@{}", sentinels.join(","))
    }

    /// From here on the replica follows through a link that can be hurt. Sentinels mend that after 8 s.
    pub async fn replicate_through_proxy(&self) -> Proxy {
        let proxy = Proxy::to(self.master.port()).await;
        let port = proxy.addr().port().to_string();
        self.replica.command(&["REPLICAOF", "127.0.0.1", &port]).await;
        let follows = async || self.replica.info("master_link_status").await == "up" && proxy.live() > 0;
        eventually("the replica follows through the proxy", PATIENCE, follows).await;
        proxy
    }

    /// Wait until the replica has everything that the master was told.
    pub async fn catch_up(&self) {
        let is_even = async || {
            self.master.info("master_repl_offset").await == self.replica.info("slave_repl_offset").await
        };
        eventually("the replica has caught up", PATIENCE, is_even).await;
    }
}
