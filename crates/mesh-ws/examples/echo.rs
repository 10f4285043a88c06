//! A server that sends back what it gets, for conformance suites: `cargo run --release --example echo -- 9001`.
//!
//! It reads like Mesh does: one buffer for all connections of a thread, and the answers to one read in one write. The
//! limits are far above those of Mesh, because the suites send messages of 16 MiB in 64-byte fragments.
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mesh_ws::{
    Decoder, Event, Limits, Opcode, Role, accept_key, append_frame, append_pong, append_text, close,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const LIMITS: Limits = Limits { message_bytes_max: 64 << 20, fragments_max: 1 << 20 };
const READ_BYTES: usize = 64 * 1024;
const REQUEST_BYTES_MAX: usize = 8 * 1024;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(9001);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A peer that goes away in the middle is no news.
        tokio::spawn(async move { drop(serve(stream).await) });
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut early = shake_hands(&mut stream).await?;
    let mut decoder = Decoder::new(Role::Server);
    let mut out = Vec::new();
    answer(&mut decoder, &mut early, &mut out);
    drop(early);
    loop {
        stream.write_all(&out).await?;
        if decoder.is_finished() {
            return hang_up(stream).await;
        }
        // An idle connection owns no buffer, unless it just sent a long answer.
        out = Vec::new();
        if !poll_fn(|cx| read(&mut stream, &mut decoder, &mut out, cx)).await? {
            return Ok(());
        }
    }
}

/// One read into the shared buffer, and what is to be said to it; false when the peer is gone.
fn read(
    stream: &mut TcpStream,
    decoder: &mut Decoder,
    out: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    READ.with_borrow_mut(|buffer| {
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(stream).poll_read(cx, &mut read))?;
        answer(decoder, read.filled_mut(), out);
        Poll::Ready(Ok(!read.filled().is_empty()))
    })
}

fn answer(decoder: &mut Decoder, input: &mut [u8], out: &mut Vec<u8>) {
    let mut frames = decoder.feed(input, &LIMITS);
    loop {
        match frames.next() {
            Ok(None) => return,
            Ok(Some(Event::Text(text))) => append_text(out, &[text.as_bytes()]),
            Ok(Some(Event::Binary(bytes))) => append_frame(out, Opcode::Binary, true, bytes),
            Ok(Some(Event::Ping(payload))) => append_pong(out, payload),
            Ok(Some(Event::Pong(_))) => {}
            Ok(Some(Event::Close { code, .. })) => out.extend_from_slice(&close(code.unwrap_or(1000), "")),
            Err(violation) => out.extend_from_slice(&close(violation.code, violation.reason)),
        }
    }
}

/// The server closes first, but a socket with unread bytes resets, and the close frame would be lost: read to the end.
async fn hang_up(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut ignored = [0; 4096];
    let to_the_end = async { while stream.read(&mut ignored).await.is_ok_and(|n| n > 0) {} };
    // A peer that does not end is cut off.
    drop(tokio::time::timeout(std::time::Duration::from_secs(1), to_the_end).await);
    Ok(())
}

/// Answer the request to upgrade; gives the bytes that came behind it.
async fn shake_hands(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let end = loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if request.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let early = request.split_off(end);
    let head = String::from_utf8_lossy(&request);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let key = key.filter(|key| mesh_ws::is_valid_key(key)).ok_or(io::ErrorKind::InvalidData)?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(early)
}
