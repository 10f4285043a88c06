//! The server that the load generator drives: `mesh-bench --port 9201`.

use clap::Parser;
use mesh_server::{Mesh, Payload, Room, any};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Parser)]
struct Args {
    /// Where to listen, on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of a Redis; taken and ignored until there is a backend for it.
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
    if args.redis.is_some() {
        eprintln!("there is no Redis backend yet: this runs on memory");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().event_interval(1024).enable_all().build()?;
    runtime.block_on(async {
        let mesh = Mesh::builder()
            .command("echo", async |Payload(payload): Payload<Box<RawValue>>| payload)
            .command("broadcast-room", async |mesh: Mesh, Payload(it): Payload<BroadcastRoom>| {
                mesh.room(&it.room_name).broadcast("message", &it.payload).await.map(|()| true)
            })
            .room(any(), Room::open())
            .build()
            .await?;
        let listening = mesh.listen(("127.0.0.1", args.port)).await?;
        println!("listening on {}", listening.addr());
        tokio::signal::ctrl_c().await?;
        mesh.close().await;
        Ok(())
    })
}
