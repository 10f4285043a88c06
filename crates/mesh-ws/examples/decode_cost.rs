//! What decoding costs: `cargo run --release -p mesh-ws --example decode_cost`.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::hint::black_box;

use mesh_ws::{Decoder, Event, Limits, Opcode, Role, append_masked};

const FRAMES: usize = 16;
const ROUNDS: usize = 2_500;

fn main() {
    let ascii = |len: usize| "{\"id\":1} ".repeat(len).into_bytes()[..len].to_vec();
    println!("ns per masked text frame, {FRAMES} in one read, best of 20:");
    for (name, payload) in [
        ("10 bytes", ascii(10)),
        ("100 bytes", ascii(100)),
        ("100 bytes, not ASCII", "é".repeat(50).into_bytes()),
        ("1000 bytes", ascii(1000)),
    ] {
        let best = (0..20).map(|_| round(&payload)).fold(f64::MAX, f64::min);
        println!("{name:<22} {best:>7.1}");
    }
}

fn round(payload: &[u8]) -> f64 {
    let mut read = Vec::new();
    for _ in 0..FRAMES {
        append_masked(&mut read, Opcode::Text, true, [0x11, 0x22, 0x33, 0x44], payload);
    }
    let masked = read.clone();
    let mut decoder = Decoder::new(Role::Server);
    let limits = Limits::default();
    #[allow(clippy::disallowed_methods, reason = "a measurement of real time")]
    let started = std::time::Instant::now();
    for _ in 0..ROUNDS {
        read.copy_from_slice(&masked);
        let mut frames = decoder.feed(black_box(&mut read), &limits);
        let mut heard = 0;
        while let Ok(Some(Event::Text(text))) = frames.next() {
            heard += black_box(text).len();
        }
        assert_eq!(heard, FRAMES * payload.len());
    }
    started.elapsed().as_nanos() as f64 / (ROUNDS * FRAMES) as f64
}
