//! One connection: requests are read, carried out one after the other, and what there is to say is written.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::Redis;
use super::clients::{Output, Signals};
use super::resp::request::Requests;
use super::rules::Direction;

/// How much is read at once.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Serves a stream until either side ends it. Dropping it also drops what was read and not carried out.
pub(super) async fn serve<S>(redis: Redis, id: u64, signals: Arc<Signals>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        biased;
        () = signals.closed.notified() => {}
        () = write(&redis, id, &signals, writer) => {}
        () = read(&redis, id, &signals, reader) => {}
    }
    redis.with(|server| server.world.kill(id));
}

async fn read<S: AsyncRead>(redis: &Redis, id: u64, signals: &Signals, mut stream: ReadHalf<S>) {
    let mut requests = Requests::default();
    loop {
        until_read(redis, id, signals).await;
        match requests.next() {
            Ok(Some(request)) => {
                let goes_on = redis.with(|server| {
                    server.execute(id, &request);
                    server.world.clients.find(id).is_some_and(|client| !client.is_closing)
                });
                if goes_on {
                    continue;
                }
                break;
            }
            Ok(None) => {}
            Err(why) => {
                redis.with(|server| server.protocol_error(id, &why));
                break;
            }
        }
        let buffer = requests.buffer();
        buffer.reserve(READ_BYTES_MAX);
        match stream.read_buf(buffer).await {
            Ok(1..) => {
                let delay = redis.with(|server| server.world.delay(id, Direction::ToServer));
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
            }
            // It may have sent its last request and then closed, so the replies are still written.
            Ok(0) | Err(_) => {
                redis.with(|server| server.close(id));
                break;
            }
        }
    }
    // The writer ends it.
    std::future::pending::<()>().await;
}

/// Waits while nothing may be read.
async fn until_read(redis: &Redis, id: u64, signals: &Signals) {
    loop {
        let (is_hole, paused) = redis.with(|server| {
            let paused = server.world.rules.paused_until(Instant::now());
            (server.world.is_hole(id, Direction::ToServer), paused)
        });
        match paused {
            Some(Some(until)) if !is_hole => {
                tokio::select! {
                    biased;
                    () = signals.reader.notified() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
            None if !is_hole => return,
            _ => signals.reader.notified().await,
        }
    }
}

async fn write<S: AsyncWrite>(redis: &Redis, id: u64, signals: &Signals, mut stream: WriteHalf<S>) {
    loop {
        let output = redis.with(|server| {
            let is_deaf = server.world.is_hole(id, Direction::ToClient);
            let client = server.world.clients.find(id);
            client.map_or(Output::Close, |client| client.output(Instant::now(), is_deaf))
        });
        match output {
            Output::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                redis.with(|server| {
                    if let Some(client) = server.world.clients.find(id) {
                        client.written(bytes.len());
                    }
                });
            }
            Output::Until(due) => {
                tokio::select! {
                    biased;
                    () = signals.writer.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
            }
            Output::Idle => signals.writer.notified().await,
            Output::Close => {
                // A stream that keeps something back gives it away now, or the other end has gone.
                let _gone = stream.shutdown().await;
                return;
            }
        }
    }
}
