//! What the conversations of `protocol/vectors` call, said with this client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_client::patch::Patch;
use mesh_client::{ChannelEvent, Client, ClientError, Position, Record, Result, Subscription, Watch};
use mesh_proto::PatchLimits;
use serde_json::{Value, json};
use tokio::time::timeout;

/// The streams that a conversation has begun, by name, so that it may end them.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<BTreeMap<String, Stream>>>);

enum Stream {
    Channel(Subscription<Value>),
    #[expect(dead_code, reason = "it is kept open until it is dropped")]
    Record(Watch<Value>),
}

impl Streams {
    fn keep(&self, name: &str, stream: Stream) {
        self.with(|streams| streams.insert(name.to_owned(), stream));
    }

    /// Whether there was one.
    fn end(&self, name: &str) -> bool {
        self.with(|streams| streams.remove(name)).is_some()
    }

    fn has(&self, name: &str) -> bool {
        self.with(|streams| streams.contains_key(name))
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<String, Stream>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest position that a channel's stream has told of so far.
    async fn newest(&self, name: &str) -> Option<Position> {
        let Some(Stream::Channel(mut stream)) = self.with(|streams| streams.remove(name)) else {
            return None;
        };
        let newest = replayed(&mut stream).await.into_iter().filter_map(|(_, position)| position).next_back();
        self.keep(name, Stream::Channel(stream));
        newest
    }
}

/// The messages that a stream has, oldest first.
async fn replayed(stream: &mut Subscription<Value>) -> Vec<(Value, Option<Position>)> {
    let mut messages = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_millis(1), stream.next()).await {
        if let ChannelEvent::Message(message) = event {
            messages.push((message.message, message.position));
        }
    }
    messages
}

/// What a call of that name and with these arguments ends in.
pub async fn call(client: Client, streams: Streams, method: String, args: Vec<Value>) -> Result<Value> {
    let text = args.first().and_then(Value::as_str).unwrap_or_default().to_owned();
    let room = client.room(&text);
    match &*method {
        "connect" => client.connected().await.map(|()| Value::Null),
        "command" => match args.get(1) {
            Some(payload) => client.command(&text, payload).await,
            None => client.command_without_payload(&text).await,
        },
        "noop" => client.noop().await.map(Value::Bool),
        "joinRoom" => Ok(refused(room.join().await.map(|joined| {
            json!({
                "success": true, "present": joined.present, "count": joined.count, "truncated": joined.truncated,
            })
        }))),
        "leaveRoom" => Ok(refused(room.leave().await.map(|()| json!({"success": true})))),
        // There, metadata that may not be read is none.
        "getRoomMetadata" => Ok(room.metadata().await.ok().flatten().unwrap_or_default()),
        "getConnectionMetadata" => {
            let id = args.first().and_then(Value::as_str);
            Ok(client.connection_metadata(id).await.ok().flatten().unwrap_or_default())
        }
        method if method.contains("Record") => record(client, streams, method, &text, &args).await,
        method => Ok(refused(channel(client, streams, method, &text, &args).await)),
    }
}

async fn channel(
    client: Client,
    streams: Streams,
    method: &str,
    name: &str,
    args: &[Value],
) -> Result<Value> {
    let channel = client.channel(name);
    let options = args.get(1).cloned().unwrap_or_default();
    match method {
        "subscribeChannel" => {
            let history = options["historyLimit"].as_u64().unwrap_or(0) as u32;
            // One more reader reads there what was beside the subscription; here it has it by subscribing once more.
            if let Some(newest) = streams.newest(name).await {
                let page = channel.history::<Value>().limit(history).before(newest.offset + 1).await?;
                let newest_first: Vec<_> =
                    page.messages.into_iter().rev().map(|message| message.message).collect();
                return Ok(json!({"success": true, "history": newest_first}));
            }
            let mut stream = channel.subscribe::<Value>().history(history);
            if options["latest"] == true {
                stream = stream.latest();
            }
            stream.ready().await?;
            let messages = replayed(&mut stream).await;
            streams.keep(name, Stream::Channel(stream));
            let newest_first: Vec<_> = messages.into_iter().rev().map(|(message, _)| message).collect();
            Ok(json!({"success": true, "history": newest_first}))
        }
        "unsubscribeChannel" => Ok(json!(streams.end(name))),
        "publishChannel" => {
            let published = channel.publish(&options).await?;
            let mut answer = json!({"success": true});
            if let Some(at) = published.position {
                answer = json!({"success": true, "epoch": at.epoch, "offset": at.offset, "tag": at.tag});
            }
            Ok(answer)
        }
        "getChannelHistory" => {
            let mut query = channel.history::<Value>();
            if let Some(limit) = options["limit"].as_u64() {
                query = query.limit(limit as u32);
            }
            if let Some(offset) = options["before"].as_u64() {
                query = query.before(offset);
            }
            if let Some(offset) = options["after"].as_u64() {
                query = query.after_offset(offset);
            } else if let Ok(position) = serde_json::from_value(options["after"].clone()) {
                query = query.after(position);
            }
            let page = query.await?;
            let message = |message: &mesh_client::ChannelMessage<Value>| {
                let at = message.position.expect("a position");
                json!({"message": message.message, "txn": message.txn, "tag": at.tag, "offset": at.offset})
            };
            let mut answer = json!({
                "success": true, "messages": page.messages.iter().map(message).collect::<Vec<_>>(),
                "truncated": page.truncated, "epoch": page.epoch, "oldest": page.oldest, "newest": page.newest,
            });
            if let Some((reason, _)) = page.gap {
                assert_eq!(reason, mesh_client::GapReason::EpochChanged);
                answer["gap"] = json!({"reason": "epoch_changed"});
            }
            Ok(answer)
        }
        other => panic!("no such method: {other}"),
    }
}

async fn record(client: Client, streams: Streams, method: &str, name: &str, args: &[Value]) -> Result<Value> {
    let record = client.record(name);
    let arg = args.get(1).cloned().unwrap_or_default();
    let options = args.get(2).cloned().unwrap_or_default();
    match method {
        // This client asks for patches alone, so the conversation asks for full values by hand.
        "subscribeRecord" if arg["mode"] != "patch" => {
            let asked: Result<Value> =
                client.command("mesh/subscribe-record", &json!({"recordId": name})).await;
            Ok(refused(asked))
        }
        "subscribeRecord" => {
            let mut watch = record.watch::<Value>();
            let event = watch.next().await.expect("no end")?;
            streams.keep(name, Stream::Record(watch));
            Ok(json!({"success": true, "record": event.value, "version": event.version}))
        }
        "unsubscribeRecord" if streams.has(name) => Ok(json!(streams.end(name))),
        "unsubscribeRecord" => client.command("mesh/unsubscribe-record", &json!({"recordId": name})).await,
        "getRecord" => {
            let now = record.get::<Value>().await?;
            Ok(json!({"record": now.value, "version": now.version}))
        }
        "writeRecord" => write(&record, &arg, &options).await,
        // There, it says whether it took place.
        "publishRecordUpdate" => Ok(json!(write(&record, &arg, &options).await.is_ok())),
        "patchRecord" => {
            let patch = Patch::parse(&arg.to_string(), &PatchLimits::default()).expect("a patch");
            record.patch(&patch).await.map(|written| json!({"version": written.version}))
        }
        "incrementRecord" => {
            let by = if arg.is_null() { json!(1) } else { arg };
            let written = record.increment(options.as_str().unwrap_or_default(), by).await?;
            Ok(json!({"version": written.version, "value": written.value}))
        }
        "deleteRecord" => record.delete().await.map(|written| json!({"version": written.version})),
        other => panic!("no such method: {other}"),
    }
}

async fn write(record: &Record, value: &Value, options: &Value) -> Result<Value> {
    let record = match options["ifVersion"].as_u64() {
        Some(version) => record.if_version(version),
        None => record.clone(),
    };
    let written = match options["strategy"].as_str() {
        None => record.set(value).await?,
        Some("merge") => record.merge(value).await?,
        Some("deepMerge") => record.deep_merge(value).await?,
        Some(other) => panic!("no such strategy: {other}"),
    };
    Ok(json!({"version": written.version}))
}

/// The conversations were written with a client whose refusals are answers where the origin's are.
fn refused(outcome: Result<Value, ClientError>) -> Value {
    outcome.unwrap_or_else(|error| {
        let error = json!({"code": error.code().as_str(), "message": error.message()});
        json!({
            "success": false, "history": [], "messages": [], "record": null, "version": 0, "error": error,
        })
    })
}
