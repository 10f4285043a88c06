//! The `mesh` binary. Without a subcommand it serves the demo.

mod demo;
mod page;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Polls between two looks at the sockets. Most of a real-time server's tasks are short, so looking seldom is cheaper.
const EVENT_INTERVAL: u32 = 1024;

/// A real-time server.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    demo: DemoArgs,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Serve a page of live cursors and a chat, to open in two tabs. The default.
    Demo(DemoArgs),
}

#[derive(Args)]
struct DemoArgs {
    /// Where to listen.
    #[arg(long, env = "MESH_ADDR", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Share with other instances through a Redis: `redis://user:password@host:6379`. Left out: one instance.
    #[arg(long, env = "MESH_REDIS")]
    redis: Option<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence for somebody at a terminal; if even that can't be written, the code still says it.
            let _ = writeln!(std::io::stderr(), "mesh: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let args = match cli.command {
        Some(Subcommands::Demo(args)) => args,
        None => cli.demo,
    };
    tokio::runtime::Builder::new_multi_thread()
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build()?
        .block_on(demo::run(args.addr, args.redis.as_deref()))
}
