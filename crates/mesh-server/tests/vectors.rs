//! Every recorded conversation of `protocol/vectors`, replayed.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::{Client, connect, vectors_server};

type Bound = BTreeMap<String, Value>;

/// Whether a frame is what was written down, where `"$name"` stands for any string and `"$time"` for any number.
fn matches(written: &Value, got: &Value, bound: &mut Bound) -> bool {
    match (written, got) {
        (Value::String(name), got) if name == "$time" => got.is_number(),
        (Value::String(name), got) if name.starts_with('$') => {
            got.is_string() && bound.entry(name.clone()).or_insert_with(|| got.clone()) == got
        }
        (Value::Array(written), Value::Array(got)) => {
            written.len() == got.len() && written.iter().zip(got).all(|(w, g)| matches(w, g, bound))
        }
        (Value::Object(written), Value::Object(got)) => {
            written.len() == got.len()
                && written.iter().all(|(name, w)| got.get(name).is_some_and(|g| matches(w, g, bound)))
        }
        (written, got) => written == got,
    }
}

/// Put what was bound in place of the names.
fn fill(text: &str, bound: &Bound) -> String {
    let mut filled = text.to_owned();
    for (name, value) in bound {
        filled = filled.replace(&format!("\"{name}\""), &value.to_string());
    }
    filled
}

fn duration(text: &str) -> Duration {
    if let Some(ms) = text.strip_suffix("ms") {
        return Duration::from_millis(ms.parse().expect("milliseconds"));
    }
    Duration::from_secs(text.strip_suffix('s').expect("a unit").parse().expect("seconds"))
}

async fn nothing_more(client: &mut Client, place: &str) {
    if let Some(frame) = client.try_recv().await {
        panic!("{place}: the server also sent {frame}");
    }
}

async fn replay(name: &str, text: &str) {
    let mesh = vectors_server().build().await.expect("a server");
    let kind = text.lines().find_map(|line| line.strip_prefix("server: ")).expect("a kind");
    let mut client = connect(&mesh, kind == "hello");
    let (mut bound, mut closed) = (Bound::new(), false);
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}: {line}", number + 1);
        if let Some(frame) = line.strip_prefix("> ") {
            nothing_more(&mut client, &place).await;
            client.send_text(&fill(frame, &bound)).await;
        } else if let Some(frame) = line.strip_prefix("< ") {
            let written: Value = serde_json::from_str(frame).expect("JSON");
            let got = client.try_recv().await.unwrap_or_else(|| panic!("{place}: nothing came"));
            assert!(matches(&written, &got, &mut bound), "{place}\ngot {got}");
        } else if let Some(time) = line.strip_prefix("@ ") {
            nothing_more(&mut client, &place).await;
            tokio::time::sleep(duration(time)).await;
        } else if let Some(code) = line.strip_prefix("x ") {
            assert_eq!(client.try_recv().await, Some(Value::String(format!("close {code}"))), "{place}");
            closed = true;
        }
    }
    if !closed {
        nothing_more(&mut client, name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_recorded_conversation_is_held_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{} conversations", names.len());
    for path in names {
        let text = std::fs::read_to_string(&path).expect("a conversation");
        replay(&path.file_name().expect("a name").to_string_lossy(), &text).await;
    }
}
