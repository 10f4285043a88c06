//! A plain client, for tests of the server and for looking into it from other tests.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::resp::{Proto, Reply, decode};

/// Sends requests and reads replies, in order and without a deadline.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a stream to a server.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Sends a request and waits for what comes next.
    ///
    /// ## Errors
    ///
    /// When the connection ends, or says what is no RESP.
    pub async fn call<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<Reply> {
        self.send(args).await?;
        self.next().await
    }

    /// Sends a request.
    ///
    /// ## Errors
    ///
    /// When the connection has ended.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> io::Result<()> {
        let args = args.into_iter().map(|arg| Reply::Bulk(Bytes::copy_from_slice(arg.as_ref()))).collect();
        let mut bytes = BytesMut::new();
        Reply::Array(args).encode(Proto::Resp2, &mut bytes);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Waits for the next reply or push.
    ///
    /// ## Errors
    ///
    /// When the connection ends, or says what is no RESP.
    pub async fn next(&mut self) -> io::Result<Reply> {
        loop {
            match decode(&mut self.buffer) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The stream, for what is not RESP.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }
}
