//! What the tests of streams share: making them, decoding them, and saying which one failed.
#![allow(dead_code, reason = "no test uses all of it")]

use mesh_ws::{Decoder, Event, Limits, Role};

pub(crate) mod oracle;
pub(crate) mod stream;

/// Small, so that streams that break it stay short; above 64 KiB, so that each form of a length is met.
pub(crate) const LIMITS: Limits = Limits { message_bytes_max: 66_000, fragments_max: 1024 };

/// What a stream says, in a form that two decoders can be compared by.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    Violation(u16),
}

impl From<Event<'_>> for Said {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(bytes) => Self::Binary(bytes.into()),
            Event::Ping(bytes) => Self::Ping(bytes.into()),
            Event::Pong(bytes) => Self::Pong(bytes.into()),
            Event::Close { code, reason } => Self::Close(code, reason.into()),
        }
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Self::Text(bytes) => ("Text", bytes),
            Self::Binary(bytes) => ("Binary", bytes),
            Self::Ping(bytes) => ("Ping", bytes),
            Self::Pong(bytes) => ("Pong", bytes),
            Self::Close(code, reason) => return write!(f, "Close({code:?}, {} bytes)", reason.len()),
            Self::Violation(code) => return write!(f, "Violation({code})"),
        };
        write!(f, "{name}({} bytes, {:02x?})", bytes.len(), &bytes[..bytes.len().min(16)])
    }
}

/// Decode a stream in pieces, and check on the way that the decoder's memory is bounded by what it was fed.
pub(crate) fn decode(role: Role, stream: &[u8], cuts: &[usize]) -> Vec<Said> {
    let mut decoder = Decoder::new(role);
    let mut input = stream.to_vec();
    let mut said = Vec::new();
    let (mut at, mut rest) = (0, input.as_mut_slice());
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let (piece, after) = rest.split_at_mut(cut - at);
        (at, rest) = (cut, after);
        let mut frames = decoder.feed(piece, &LIMITS);
        loop {
            match frames.next() {
                Ok(None) => break,
                Ok(Some(event)) => said.push(event.into()),
                Err(violation) => said.push(Said::Violation(violation.code)),
            }
        }
        drop(frames);
        let kept = decoder.heap_bytes();
        assert!(kept <= 400 + 2 * at, "{kept} bytes are kept of {at}");
        assert!(!decoder.is_finished() || kept == 0, "a decoder that is finished keeps {kept} bytes");
        assert_eq!(decoder.is_partial(), kept > 0);
    }
    said
}

/// How many inputs a test of random streams tries: `MESH_FUZZ_INPUTS`, or what takes a few seconds. With
/// `MESH_FUZZ_SEED` it is that one seed.
pub(crate) fn seeds(default: u64) -> std::ops::Range<u64> {
    let read = |name| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    match read("MESH_FUZZ_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("MESH_FUZZ_INPUTS").unwrap_or(default),
    }
}

/// Check one stream, cut into `pieces`; if it fails, make it smaller while it still fails, and panic with what is left.
pub(crate) fn check(
    seed: u64,
    frames: Vec<Vec<u8>>,
    cuts: Vec<usize>,
    judge: impl Fn(&[u8], &[usize]) -> Result<(), String>,
) {
    let fails = |frames: &[Vec<u8>], cuts: &[usize]| {
        let stream = frames.concat();
        let cuts: Vec<usize> = cuts.iter().copied().filter(|cut| *cut <= stream.len()).collect();
        judge(&stream, &cuts).err()
    };
    if fails(&frames, &cuts).is_none() {
        return;
    }
    let cuts = shrink(cuts, |cuts| fails(&frames, cuts).is_some());
    let frames = shrink(frames, |frames| fails(frames, &cuts).is_some());
    let why = fails(&frames, &cuts).unwrap_or_default();
    let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
    panic!("seed {seed}, cut at {cuts:?}: {why}\nframes:\n{}", frames.join("\n"));
}

/// Leave out items as long as it still fails.
fn shrink<T: Clone>(mut items: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut at = 0;
    while at < items.len() {
        let mut fewer = items.clone();
        fewer.remove(at);
        if fails(&fewer) { items = fewer } else { at += 1 }
    }
    items
}

fn hex(bytes: &[u8]) -> String {
    let start: String = bytes.iter().take(64).map(|byte| format!("{byte:02x} ")).collect();
    format!("{start}({} bytes)", bytes.len())
}
