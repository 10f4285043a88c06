//! The server that the load generator drives: `mesh-bench --port 9201`. With the feature `heap` it prints connections and
//! live heap bytes each second.

#[cfg(feature = "heap")]
mod heap;
#[cfg(feature = "heap")]
mod slow;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use mesh_redis::Redis;
use mesh_server::{Backend, Channel, Memory, Mesh, Payload, RawJson, Record, Room, any, prefix};
use serde::Deserialize;
use serde_json::value::RawValue;
use writers::Writers;

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
    /// Do not listen: measure so many writers of one record instead.
    #[arg(long)]
    writers: Option<usize>,
    /// Do not wait for clients: measure so many readers of which some stop reading (needs the feature `heap`).
    #[arg(long)]
    readers: Option<usize>,
    /// How many of them stop.
    #[arg(long, default_value_t = 0)]
    paused: usize,
    /// Messages that they are sent, of `size` bytes.
    #[arg(long, default_value_t = 1000)]
    messages: usize,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 20)]
    every: u64,
    /// Versions of a record in place of messages.
    #[arg(long)]
    record: bool,
    /// Instances that the writers are on.
    #[arg(long, default_value_t = 1)]
    instances: usize,
    /// Bytes of their record, about.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Seconds that they write.
    #[arg(long, default_value_t = 2.0)]
    secs: f64,
}

#[derive(Deserialize)]
struct Publish {
    channel: String,
    message: Box<RawValue>,
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
        let memory: Arc<dyn Backend> = Arc::new(Memory::default());
        let backend = async || -> Result<Arc<dyn Backend>, Box<dyn std::error::Error>> {
            Ok(match args.redis {
                None => memory.clone(),
                Some(port) => Arc::new(Redis::connect(&format!("redis://127.0.0.1:{port}")).await?),
            })
        };
        if let Some(count) = args.writers {
            let time = Duration::from_secs_f64(args.secs);
            let writers = Writers { instances: args.instances, count, size: args.size, time };
            return writers.run(backend).await;
        }
        let mesh = Mesh::builder()
            .backend(backend().await?)
            .command("echo", async |payload: RawJson| payload)
            .command("broadcast-room", async |mesh: Mesh, Payload(it): Payload<BroadcastRoom>| {
                mesh.room(&it.room_name).broadcast("message", &it.payload).await.map(|()| true)
            })
            .command("publish", async |mesh: Mesh, Payload(it): Payload<Publish>| {
                mesh.channel(&it.channel).publish(&it.message).await.map(|_| true)
            })
            .channel(prefix("kept:"), Channel::open().history(1000))
            .channel(any(), Channel::open())
            .record(prefix("rec:"), Record::open().write(async || true))
            .room(any(), Room::open())
            .build()
            .await?;
        let listening = mesh.listen(("127.0.0.1", args.port)).await?;
        println!("listening on {}", listening.addr());
        #[cfg(feature = "heap")]
        if let Some(readers) = args.readers {
            let Args { paused, size, messages, record, .. } = args;
            let every = Duration::from_millis(args.every);
            let slow = slow::Slow { readers, paused, size, messages, every, record };
            return slow.run(&mesh, listening.addr().port()).await;
        }
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
