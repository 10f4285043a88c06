//! The decoder against random streams: wherever they are cut, and beside another implementation.
//!
//! `MESH_FUZZ_INPUTS=10000000 cargo test --release -p mesh-ws` runs more of them.

use futures_util::{FutureExt, StreamExt};
use mesh_ws::{Decoder, Event, Limits, Opcode, Role, append_masked};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::AsyncWriteExt;

const LIMITS: Limits = Limits { message_bytes_max: 70_000, fragments_max: 16 };

fn inputs(default: u64) -> u64 {
    std::env::var("MESH_FUZZ_INPUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What a stream says, in a form that two decoders can be compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Violation(u16),
}

fn decode(mut stream: Vec<u8>, mut cut: impl FnMut() -> usize) -> Vec<Said> {
    let mut decoder = Decoder::new(Role::Server);
    let (mut said, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let end = stream.len().min(at + cut().max(1));
        let mut frames = decoder.feed(&mut stream[at..end], &LIMITS);
        loop {
            said.push(match frames.next() {
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => Said::Text(text.into()),
                Ok(Some(Event::Binary(bytes))) => Said::Binary(bytes.into()),
                Ok(Some(Event::Ping(bytes))) => Said::Ping(bytes.into()),
                Ok(Some(Event::Pong(bytes))) => Said::Pong(bytes.into()),
                Ok(Some(Event::Close { code, reason })) => Said::Close(code, reason.into()),
                Err(violation) => Said::Violation(violation.code),
            });
        }
        at = end;
    }
    said
}

/// A stream that is mostly right, so that it gets somewhere, and sometimes wrong in one of many ways.
fn stream(rng: &mut StdRng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.random_range(1..8) {
        let fragments = if rng.random_bool(0.3) { rng.random_range(2..6) } else { 1 };
        let text = rng.random_bool(0.6);
        for fragment in 0..fragments {
            if rng.random_bool(0.15) {
                let opcode = if rng.random_bool(0.5) { Opcode::Ping } else { Opcode::Pong };
                let mut payload = vec![0; rng.random_range(0..20)];
                rng.fill_bytes(&mut payload);
                append_masked(&mut out, opcode, true, rng.random(), &payload);
            }
            let len = match rng.random_range(0..20) {
                0 => rng.random_range(120..130),
                1 => rng.random_range(65_530..65_540),
                _ => rng.random_range(0..40),
            };
            let payload: Vec<u8> = if text {
                let chars = ["a", "é", "日", "🎈", " "];
                let mut text = String::new();
                while text.len() < len {
                    text.push_str(chars[rng.random_range(0..if len > 1000 { 1 } else { 5 })]);
                }
                text.into_bytes()
            } else {
                (0..len).map(|_| rng.random()).collect()
            };
            let first = if text { Opcode::Text } else { Opcode::Binary };
            let opcode = if fragment == 0 { first } else { Opcode::Continuation };
            append_masked(&mut out, opcode, fragment + 1 == fragments, rng.random(), &payload);
        }
    }
    match rng.random_range(0..6) {
        0 => {
            // Anything may happen to a byte.
            let at = rng.random_range(0..out.len());
            out[at] ^= 1 << rng.random_range(0..8);
        }
        1 => {
            let mut payload = rng.random_range(900..5200u16).to_be_bytes().to_vec();
            payload.extend_from_slice(["", "bye", "\u{e9}"][rng.random_range(0..3)].as_bytes());
            payload.truncate(rng.random_range(0..payload.len() + 1));
            append_masked(&mut out, Opcode::Close, true, rng.random(), &payload);
        }
        2 => out.truncate(rng.random_range(0..out.len()).max(1)),
        _ => {}
    }
    out
}

#[test]
fn a_stream_says_the_same_wherever_it_is_cut() {
    for seed in 0..inputs(1_500) {
        let mut rng = StdRng::seed_from_u64(seed);
        let stream = stream(&mut rng);
        let whole = decode(stream.clone(), || usize::MAX);
        if stream.len() < 3_000 {
            assert_eq!(decode(stream.clone(), || 1), whole, "seed {seed}, byte by byte");
        }
        let cut = decode(stream, || rng.random_range(1..200));
        assert_eq!(cut, whole, "seed {seed}");
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..inputs(20_000) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0; rng.random_range(1..60)];
        rng.fill_bytes(&mut bytes);
        if rng.random_bool(0.7) {
            bytes[0] = [0x81, 0x82, 0x01, 0x80, 0x88, 0x89][rng.random_range(0..6)];
        }
        let whole = decode(bytes.clone(), || usize::MAX);
        assert_eq!(decode(bytes, || rng.random_range(1..9)), whole, "seed {seed}");
    }
}

/// The messages of a stream as tokio-websockets sees them. It answers pings by itself and hides them, and tells of a
/// violation without its code, so both are left out of the comparison.
fn oracle(runtime: &tokio::runtime::Runtime, stream: &[u8]) -> Vec<Said> {
    runtime.block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let limits = tokio_websockets::Limits::default().max_payload_len(Some(LIMITS.message_bytes_max));
        let mut socket = tokio_websockets::ServerBuilder::new().limits(limits).serve(theirs);
        ours.write_all(stream).await.expect("it fits");
        let mut said = Vec::new();
        loop {
            let message = match socket.next().now_or_never() {
                None | Some(None) => break said,
                Some(Some(Err(_))) => {
                    said.push(Said::Violation(0));
                    break said;
                }
                Some(Some(Ok(message))) => message,
            };
            if let Some(text) = message.as_text() {
                said.push(Said::Text(text.into()));
            } else if message.is_binary() {
                said.push(Said::Binary(message.into_payload().to_vec()));
            } else if let Some((code, reason)) = message.as_close() {
                let code = Some(u16::from(code)).filter(|code| *code != 1005);
                said.push(Said::Close(code, reason.into()));
                break said;
            }
        }
    })
}

#[test]
fn another_implementation_hears_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for seed in 0..inputs(1_500) {
        let stream = stream(&mut StdRng::seed_from_u64(seed));
        let mut ours = decode(stream.clone(), || usize::MAX);
        let mut theirs = oracle(&runtime, &stream);
        ours.retain(|said| !matches!(said, Said::Ping(_) | Said::Pong(_)));
        // We find bad text, and a length over the limit, before the frame is there; another may wait for its end.
        let ours_ended = ours.pop_if(|said| matches!(said, Said::Violation(_))).is_some();
        let theirs_ended = theirs.pop_if(|said| matches!(said, Said::Violation(_))).is_some();
        assert_eq!(ours, theirs, "seed {seed}");
        assert!(ours_ended || !theirs_ended, "seed {seed}: only the other one refused it");
    }
}

#[test]
fn a_header_alone_allocates_nothing_and_a_length_over_the_limit_is_refused_at_once() {
    let mut decoder = Decoder::new(Role::Server);
    let claim = |len: u64| {
        let mut header = vec![0x82, 0xff];
        header.extend_from_slice(&len.to_be_bytes());
        header.extend_from_slice(&[1, 2, 3, 4]);
        header
    };
    assert_eq!(decoder.feed(&mut claim(70_000), &LIMITS).next(), Ok(None), "exactly the limit");
    for over in [70_001, 1 << 40] {
        let mut header = claim(over);
        let refused =
            Decoder::new(Role::Server).feed(&mut header, &LIMITS).next().expect_err("over the limit");
        assert_eq!(refused.code, 1009);
    }
}

#[test]
fn an_idle_decoder_owns_nothing() {
    assert!(size_of::<Decoder>() <= 16);
    let mut stream = Vec::new();
    append_masked(&mut stream, Opcode::Text, false, [1, 2, 3, 4], b"in ");
    append_masked(&mut stream, Opcode::Continuation, true, [1, 2, 3, 4], b"parts");
    let mut decoder = Decoder::new(Role::Server);
    for byte in &mut stream {
        let mut frames = decoder.feed(std::slice::from_mut(byte), &LIMITS);
        while frames.next().expect("a good stream").is_some() {}
    }
    assert!(!decoder.is_partial());
}

#[test]
fn fragments_are_counted() {
    let mut stream = Vec::new();
    append_masked(&mut stream, Opcode::Text, false, [0; 4], b"");
    for _ in 0..20 {
        append_masked(&mut stream, Opcode::Continuation, false, [0; 4], b"");
    }
    assert_eq!(decode(stream, || usize::MAX), [Said::Violation(1009)]);
}
