//! A channel `chat:1` on the scripted server, and what a stream on it has told.

use std::time::Duration;

use mesh_client::{ChannelEvent, GapReason, Subscription};
use serde_json::{Value, json};

use super::{Link, settle};

pub const EPOCH: &str = "9b1f0c52d3a87e64";
/// Of a channel that has had no message.
pub const NO_EPOCH: &str = "0000000000000000";
pub const OTHER_EPOCH: &str = "0000000000000001";
pub const SUBSCRIBE: &str = "mesh/subscribe-channel";
pub const UNSUBSCRIBE: &str = "mesh/unsubscribe-channel";

pub fn tag(offset: u64) -> String {
    format!("{offset:08x}")
}

/// The message that stands at that offset.
pub fn text(offset: u64) -> String {
    format!("m{offset}")
}

pub fn item(offset: u64) -> Value {
    json!({"message": text(offset), "offset": offset, "tag": tag(offset)})
}

/// The answer to a subscription: these messages, and the newest.
pub fn page(messages: impl IntoIterator<Item = u64>, newest: u64) -> Value {
    let messages: Vec<_> = messages.into_iter().map(item).collect();
    let mut page = json!({"success": true, "messages": messages});
    page["epoch"] = json!(if newest > 0 { EPOCH } else { NO_EPOCH });
    page["offset"] = json!(newest);
    page["tag"] = json!(tag(newest));
    page
}

pub fn with(mut page: Value, member: &str, value: Value) -> Value {
    page[member] = value;
    page
}

pub fn after(offset: u64) -> Value {
    json!({"epoch": EPOCH, "offset": offset, "tag": tag(offset)})
}

pub async fn publish(link: &mut Link, offset: u64) {
    publish_in(link, EPOCH, offset).await;
}

pub async fn publish_in(link: &mut Link, epoch: &str, offset: u64) {
    let payload = json!({
        "channel": "chat:1", "message": text(offset), "tag": tag(offset), "epoch": epoch, "offset": offset,
    });
    link.push("mesh/subscription-message", payload).await;
}

/// What the stream has at once: `m7` a message, `m7r` a replayed one, `gap expired 3`.
pub async fn heard(stream: &mut Subscription<String>) -> Vec<String> {
    settle().await;
    let mut heard = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(1), stream.next()).await {
        heard.push(match event {
            Some(ChannelEvent::Message(message)) => {
                let (replayed, own) = (message.replayed, message.own);
                format!(
                    "{}{}{}",
                    message.message,
                    if replayed { "r" } else { "" },
                    if own { "!" } else { "" }
                )
            }
            Some(ChannelEvent::Gap { reason, missed }) => {
                let reason = match reason {
                    GapReason::Expired => "expired",
                    GapReason::EpochChanged => "epoch_changed",
                    GapReason::NoHistory => "no_history",
                    _ => "other",
                };
                format!("gap {reason} {}", missed.map_or("?".into(), |missed| missed.to_string()))
            }
            Some(ChannelEvent::Error(error)) => format!("error {}", error.code()),
            Some(_) => "?".into(),
            None => {
                heard.push("end".into());
                break;
            }
        });
    }
    heard
}

/// A stream that the server has let in after those messages of history.
pub async fn subscribed(
    client: &mesh_client::Client,
    link: &mut Link,
    history: u32,
    answer: Value,
) -> Subscription<String> {
    let mut stream = client.channel("chat:1").subscribe::<String>().history(history);
    let server = async {
        let (id, _) = link.expect_any(SUBSCRIBE).await;
        link.answer(id, answer).await;
    };
    let (ready, ()) = tokio::join!(stream.ready(), server);
    ready.expect("let in");
    stream
}
