//! Streams that are mostly right, so that they get somewhere, and sometimes wrong in one of many ways.

use mesh_ws::Role;
use rand::rngs::StdRng;
use rand::{Rng, RngCore};

use super::LIMITS;

/// How a length is written; `Shortest` is the one that is right.
#[derive(Clone, Copy)]
enum Form {
    Shortest,
    Two,
    Eight,
}

/// Random frames of one side, each by itself.
pub(crate) fn frames(rng: &mut StdRng, reader: Role) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for _ in 0..rng.random_range(1..6) {
        match rng.random_range(0..10) {
            0..=1 => frames.push(control(rng, reader)),
            2..=5 => message(rng, reader, true, &mut frames),
            6..=8 => message(rng, reader, false, &mut frames),
            _ => {}
        }
    }
    if rng.random_bool(0.3) {
        frames.push(close(rng, reader));
    }
    if rng.random_bool(0.4) {
        let broken = broken(rng, reader);
        frames.insert(rng.random_range(0..=frames.len()), broken);
    }
    if rng.random_bool(0.2) {
        mutate(rng, &mut frames);
    }
    frames
}

/// Places to cut a stream: none, a few, or everywhere.
pub(crate) fn cuts(rng: &mut StdRng, len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = match rng.random_range(0..8) {
        0 if len < 2_000 => (1..len).collect(),
        1..=2 => (0..rng.random_range(1..20)).map(|_| rng.random_range(0..=len)).collect(),
        _ => (0..rng.random_range(1..4)).map(|_| rng.random_range(0..=len)).collect(),
    };
    cuts.sort_unstable();
    cuts
}

/// Change, add or take away a byte, or lose the end.
pub(crate) fn mutate(rng: &mut StdRng, frames: &mut Vec<Vec<u8>>) {
    let Some(at) = (!frames.is_empty()).then(|| rng.random_range(0..frames.len())) else { return };
    let frame = &mut frames[at];
    // The beginning of a frame is where it matters most.
    let within = if rng.random() { frame.len().min(4) } else { frame.len() };
    let place = rng.random_range(0..within);
    match rng.random_range(0..6) {
        0..=2 => frame[place] ^= 1 << rng.random_range(0..8),
        3 => frame.insert(place, rng.random()),
        4 => drop(frame.remove(place)),
        _ => {
            frame.truncate(place);
            frames.truncate(at + 1);
        }
    }
    frames.retain(|frame| !frame.is_empty());
}

fn frame(rng: &mut StdRng, reader: Role, first: u8, form: Form, payload: &[u8]) -> Vec<u8> {
    let masked = if reader == Role::Server { 0x80 } else { 0 };
    let len = payload.len();
    let mut out = vec![first];
    match form {
        Form::Shortest if len < 126 => out.push(masked | len as u8),
        Form::Shortest | Form::Two if len < 65_536 => {
            out.push(masked | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked == 0 {
        out.extend_from_slice(payload);
    } else {
        let mask: [u8; 4] = rng.random();
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
    out
}

fn length(rng: &mut StdRng) -> usize {
    // Long ones are rare only because they take long.
    match rng.random_range(0..1_600) {
        0 => rng.random_range(65_530..65_542),
        1 => rng.random_range(LIMITS.message_bytes_max - 2..LIMITS.message_bytes_max + 3),
        2..200 => rng.random_range(120..132),
        200..250 => rng.random_range(250..600),
        250..500 => 0,
        _ => rng.random_range(0..30),
    }
}

fn one_of<T: Copy, const N: usize>(rng: &mut StdRng, of: [T; N]) -> T {
    of[rng.random_range(0..N)]
}

fn bytes(rng: &mut StdRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn text(rng: &mut StdRng, len: usize) -> Vec<u8> {
    const CHARACTERS: [&str; 8] = ["a", "{", "é", "\u{7ff}", "日", "\u{ffff}", "🎈", "\u{10ffff}"];
    const NOT_UTF8: [&[u8]; 8] = [
        b"\xff",
        b"\x80",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
    ];
    // A long text is a plain one: it is there for its length.
    let mut text = if len > 1_000 { vec![b'a'; len] } else { Vec::new() };
    while text.len() < len {
        text.extend_from_slice(one_of(rng, CHARACTERS).as_bytes());
    }
    if rng.random_bool(0.06) {
        let at = rng.random_range(0..=text.len());
        text.splice(at..at, one_of(rng, NOT_UTF8).iter().copied());
    }
    text
}

fn message(rng: &mut StdRng, reader: Role, is_text: bool, frames: &mut Vec<Vec<u8>>) {
    let len = length(rng);
    let payload = if is_text { text(rng, len) } else { bytes(rng, len) };
    let fragments = if rng.random_bool(0.4) { rng.random_range(2..6) } else { 1 };
    // Anywhere, so inside of characters too.
    let mut ends: Vec<usize> = (1..fragments).map(|_| rng.random_range(0..=payload.len())).collect();
    ends.sort_unstable();
    ends.push(payload.len());
    let mut start = 0;
    for (fragment, end) in ends.into_iter().enumerate() {
        let opcode = if fragment > 0 {
            0
        } else if is_text {
            1
        } else {
            2
        };
        let fin = if fragment + 1 == fragments { 0x80 } else { 0 };
        frames.push(frame(rng, reader, fin | opcode, Form::Shortest, &payload[start..end]));
        start = end;
        if fin == 0 && rng.random_bool(0.3) {
            frames.push(control(rng, reader));
        }
    }
}

fn control(rng: &mut StdRng, reader: Role) -> Vec<u8> {
    let len = one_of(rng, [0, 1, 7, 125]);
    let payload = bytes(rng, len);
    let first = if rng.random() { 0x89 } else { 0x8a };
    frame(rng, reader, first, Form::Shortest, &payload)
}

fn close(rng: &mut StdRng, reader: Role) -> Vec<u8> {
    let code = match rng.random_range(0..4) {
        0 => rng.random_range(995..1020),
        1 => one_of(rng, [0, 2999, 3000, 4999, 5000, 65_535]),
        _ => 1000u16,
    };
    let len = rng.random_range(0..20);
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(text(rng, len));
    match rng.random_range(0..8) {
        0 => payload.clear(),
        1 => payload.truncate(1),
        2 => payload.resize(125, b'a'),
        _ => {}
    }
    frame(rng, reader, 0x88, Form::Shortest, &payload)
}

/// A frame that breaks a rule wherever it stands, or where it stands by chance.
fn broken(rng: &mut StdRng, reader: Role) -> Vec<u8> {
    let other = if reader == Role::Server { Role::Client } else { Role::Server };
    let first = one_of(rng, [0x81, 0x82, 0x01, 0x00, 0x80]);
    let len = rng.random_range(0..20);
    let payload = text(rng, len);
    match rng.random_range(0..10) {
        0 => {
            let reserved = one_of(rng, [0x10, 0x20, 0x40]);
            frame(rng, reader, first | reserved, Form::Shortest, &payload)
        }
        1 => {
            let reserved = one_of(rng, [0x83, 0x87, 0x8b, 0x0f]);
            frame(rng, reader, reserved, Form::Shortest, &payload)
        }
        2 => frame(rng, other, first, Form::Shortest, &payload),
        3 => {
            let fragmented = one_of(rng, [0x08, 0x09, 0x0a]);
            frame(rng, reader, fragmented, Form::Shortest, &payload)
        }
        4 => frame(rng, reader, 0x89, Form::Shortest, &[0; 126]),
        5 => frame(rng, reader, first, Form::Two, &payload),
        6 => frame(rng, reader, first, Form::Eight, &payload),
        7 => frame(rng, reader, 0x80, Form::Shortest, &payload),
        8 => frame(rng, reader, 0x01, Form::Shortest, &payload),
        _ => {
            // A claim, and little behind it.
            let masked = if reader == Role::Server { 0x80 } else { 0 };
            let claim: u64 = one_of(rng, [66_001, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX]);
            [&[first, masked | 127], claim.to_be_bytes().as_slice(), &payload].concat()
        }
    }
}
