//! The same stream as tokio-websockets hears it, without a runtime or a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt};
use mesh_ws::Role;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{ClientBuilder, Error, Limits, ServerBuilder};

use super::{LIMITS, Said};

/// Gives a stream and then its end; takes whatever is written.
struct Wire<'a>(&'a [u8]);

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(out.remaining().min(self.0.len()));
        out.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What it hears up to its end, a close or an error. A stream that ends within a frame says nothing of that.
pub(crate) fn hear(role: Role, stream: &[u8]) -> Vec<Said> {
    let limits = Limits::default().max_payload_len(Some(LIMITS.message_bytes_max));
    let wire = Wire(stream);
    let mut socket = match role {
        Role::Server => ServerBuilder::new().limits(limits).serve(wire),
        Role::Client => ClientBuilder::new().limits(limits).take_over(wire),
    };
    let mut said = Vec::new();
    while let Some(message) = socket.next().now_or_never().expect("the wire never waits") {
        said.push(match message {
            // Not `as_text`: it trusts its own check of UTF-8, and that one has a hole (see the test).
            Ok(message) if message.is_text() => Said::Text(message.as_payload().to_vec()),
            Ok(message) if message.is_binary() => Said::Binary(message.as_payload().to_vec()),
            Ok(message) if message.is_ping() => Said::Ping(message.as_payload().to_vec()),
            Ok(message) if message.is_pong() => Said::Pong(message.as_payload().to_vec()),
            Ok(message) => match message.as_payload().split_first_chunk() {
                Some((code, reason)) => Said::Close(Some(u16::from_be_bytes(*code)), reason.to_vec()),
                None => Said::Close(None, Vec::new()),
            },
            Err(Error::Protocol(ProtocolError::InvalidUtf8)) => Said::Violation(1007),
            Err(Error::Protocol(_)) => Said::Violation(1002),
            Err(Error::PayloadTooLong { .. }) => Said::Violation(1009),
            // The stream ended within a frame.
            Err(_) => break,
        });
        if matches!(said.last(), Some(Said::Violation(_) | Said::Close(..))) {
            break;
        }
    }
    said
}
