//! Rooms.

use mesh_proto::{Code, command};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::session::RoomWish;
use crate::wire;

/// A room by its name: 1 to 255 bytes without control characters.
///
/// ```no_run
/// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
/// let room = client.room("room:lobby");
/// let joined = room.join().await?;
/// assert!(joined.count >= 1);
/// room.leave().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    client: Client,
    name: String,
}

/// Who was in a room when it was joined.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Joined {
    /// In order of joining, this connection included; the server leaves some of a large crowd out.
    #[serde(default)]
    pub present: Vec<String>,
    /// How many there were.
    #[serde(default)]
    pub count: u64,
    /// Whether `present` leaves some out.
    #[serde(default)]
    pub truncated: bool,
}

impl Room {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Enter, and after each reconnect again, until it is left or the server refuses. Joining twice is joining once.
    ///
    /// # Errors
    /// `forbidden`, `too_large` for too many rooms, and those of any command.
    pub async fn join(&self) -> Result<Joined> {
        self.call(command::JOIN_ROOM, Some(RoomWish::Join(self.name.clone()))).await
    }

    /// Leave. Whatever comes of it, the room is not joined again after a reconnect.
    ///
    /// # Errors
    /// Those of any command.
    pub async fn leave(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Left {
            success: bool,
        }
        let left: Left = self.call(command::LEAVE_ROOM, Some(RoomWish::Leave(self.name.clone()))).await?;
        if left.success { Ok(()) } else { Err(ClientError::give_up(Code::Internal, "not left")) }
    }

    /// Its metadata; `None` if it has none.
    ///
    /// # Errors
    /// `forbidden`, `bad_payload` if it is not a `T`, and those of any command.
    pub async fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let answer: Metadata<T> = self.call(command::GET_ROOM_METADATA, None).await?;
        Ok(answer.metadata)
    }

    async fn call<R: DeserializeOwned>(&self, command: &str, wish: Option<RoomWish>) -> Result<R> {
        let body = wire::json(&json!({ "roomName": self.name }));
        let mut call = self.client.call::<R>(command, Ok(Some(body)));
        call.room = wish;
        let answer = call.raw().await?;
        serde_json::from_str(answer.get()).map_err(|error| ClientError::decoding(&error))
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Metadata<T> {
    metadata: Option<T>,
}

impl Client {
    /// The metadata of a connection, by default of this one; `None` if it has none.
    ///
    /// # Errors
    /// `forbidden`, `bad_payload` if it is not a `T`, and those of any command.
    pub async fn connection_metadata<T: DeserializeOwned + 'static>(
        &self,
        connection: Option<&str>,
    ) -> Result<Option<T>> {
        let call = match connection {
            Some(id) => {
                let body = wire::json(&json!({ "connectionId": id }));
                self.call::<Metadata<T>>(command::GET_CONNECTION_METADATA, Ok(Some(body)))
            }
            None => self.call::<Metadata<T>>(command::GET_MY_CONNECTION_METADATA, Ok(None)),
        };
        Ok(call.await?.metadata)
    }
}
