//! Any stream of bytes, and streams of whole frames: no socket needed.

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use http::{HeaderMap, Uri};
use mesh_ws::{Decoder, Event, Opcode, Role, append_masked};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::error::Result;
use crate::hub::{self, PIPE_BYTES, PipeReader, PipeWriter, pipe};
use crate::login::Login;
use crate::mesh::Mesh;
use crate::serve::{Half, admit};

/// What a client is that has no HTTP request.
fn nobody() -> Login {
    Login { headers: HeaderMap::new(), uri: Uri::from_static("/"), remote_addr: None, credential: None }
}

impl Mesh {
    /// Speak WebSocket over any stream whose handshake is over: TLS, another server's upgrade. Until the connection ends.
    ///
    /// # Errors
    /// When an origin client is not let in.
    pub async fn serve_io<S>(&self, stream: S, hello: bool) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let serving = admit(self, nobody(), hello).await?;
        serving.outbox().open(hub::Sink::Task);
        serving.run(crate::serve::Whole(stream), Vec::new()).await;
        Ok(())
    }

    /// Speak to one client by whole text frames, without a socket, until either side ends: for tests and simulations. The
    /// frames pass the same decoder and the same write path as those of a TCP connection. `hello` makes it a hello client.
    ///
    /// # Errors
    /// When an origin client is not let in.
    pub async fn serve<R, W>(&self, reader: R, writer: W, hello: bool) -> Result<()>
    where
        R: Stream<Item = Bytes> + Send + Unpin + 'static,
        W: Sink<Bytes> + Send + Unpin + 'static,
    {
        self.serve_through(reader, writer, hello, PIPE_BYTES).await
    }

    /// The same through a socket that holds so many bytes in each direction.
    pub(crate) async fn serve_through<R, W>(
        &self,
        reader: R,
        writer: W,
        hello: bool,
        socket_bytes: usize,
    ) -> Result<()>
    where
        R: Stream<Item = Bytes> + Send + Unpin + 'static,
        W: Sink<Bytes> + Send + Unpin + 'static,
    {
        let serving = admit(self, nobody(), hello).await?;
        let (to_client, from_server) = pipe(socket_bytes);
        let (to_server, from_client) = pipe(socket_bytes);
        serving.outbox().open(hub::Sink::Pipe(to_client));
        let tasks = &self.0.instance.tasks;
        tasks.spawn(say(reader, to_server));
        tasks.spawn(hear(from_server, writer));
        serving.run(Half(from_client), Vec::new()).await;
        Ok(())
    }
}

/// The client's frames into its socket.
async fn say<R: Stream<Item = Bytes> + Unpin>(mut reader: R, socket: PipeWriter) {
    let mut bytes = Vec::new();
    while let Some(frame) = reader.next().await {
        bytes.clear();
        append_masked(&mut bytes, Opcode::Text, true, [0; 4], &frame);
        if socket.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The server's frames out of it. A close comes as `close <code>`, which no JSON text looks like.
async fn hear<W: Sink<Bytes> + Unpin>(mut socket: PipeReader, mut writer: W) {
    let mut decoder = Decoder::new(Role::Client);
    let limits = mesh_ws::Limits { message_bytes_max: usize::MAX, fragments_max: usize::MAX };
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(n) = socket.read(&mut bytes).await {
        if n == 0 {
            break;
        }
        let mut heard = Vec::new();
        let mut frames = decoder.feed(&mut bytes[..n], &limits);
        let over = loop {
            match frames.next() {
                Ok(Some(Event::Text(text))) => heard.push(Bytes::copy_from_slice(text.as_bytes())),
                Ok(Some(Event::Close { code, .. })) => {
                    heard.push(format!("close {}", code.unwrap_or(1005)).into())
                }
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        drop(frames);
        for frame in heard {
            if writer.send(frame).await.is_err() {
                return;
            }
        }
        if over || decoder.is_finished() {
            break;
        }
    }
    // The reader of it may be gone, which is as good.
    let _ = writer.close().await;
}
