//! The server that the load generator drives: `mesh-bench --port 9201`. With the feature `heap` it prints connections and
//! live heap bytes each second.

#[cfg(feature = "heap")]
mod heap;

use std::sync::Arc;

use clap::Parser;
use mesh_redis::Redis;
use mesh_server::{Backend, Memory, Mesh, Payload, RawJson, Room, any};
use serde::Deserialize;
use serde_json::value::RawValue;

#[cfg(feature = "heap")]
#[global_allocator]
static ALLOCATOR: heap::Counting = heap::Counting;

#[derive(Parser)]
struct Args {
    /// Where to listen, on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of a Redis on 127.0.0.1 to share with other instances. Left out: embedded memory.
    #[arg(long)]
    redis: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BroadcastRoom {
    room_name: String,
    payload: Box<RawValue>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().event_interval(1024).enable_all().build()?;
    runtime.block_on(async {
        let backend: Arc<dyn Backend> = match args.redis {
            None => Arc::new(Memory::default()),
            Some(port) => Arc::new(Redis::connect(&format!("redis://127.0.0.1:{port}")).await?),
        };
        let mesh = Mesh::builder()
            .backend(backend)
            .command("echo", async |payload: RawJson| payload)
            .command("broadcast-room", async |mesh: Mesh, Payload(it): Payload<BroadcastRoom>| {
                mesh.room(&it.room_name).broadcast("message", &it.payload).await.map(|()| true)
            })
            .room(any(), Room::open())
            .build()
            .await?;
        let listening = mesh.listen(("127.0.0.1", args.port)).await?;
        println!("listening on {}", listening.addr());
        #[cfg(feature = "heap")]
        {
            let mesh = mesh.clone();
            tokio::spawn(async move {
                loop {
                    println!("{} connections, {} heap bytes", mesh.stats().connections, heap::live_bytes());
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            });
        }
        tokio::signal::ctrl_c().await?;
        mesh.close().await;
        Ok(())
    })
}
