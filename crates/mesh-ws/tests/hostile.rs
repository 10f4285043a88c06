//! Bytes from a peer that means harm: whatever they are, decoding ends, in bounded memory and without a panic.

mod support;

use mesh_ws::{Decoder, Role};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::stream::{cuts, frames, mutate};
use support::{LIMITS, Said, check, decode, seeds};

/// Whole, cut, and with a reader that stops after each first event: never a panic, and never another end.
fn judge(role: Role, stream: &[u8], cuts: &[usize]) -> Result<(), String> {
    let whole = decode(role, stream, &[]);
    let cut = decode(role, stream, cuts);
    if cut != whole {
        return Err(format!("whole {whole:?}, cut {cut:?}"));
    }
    // What an event carries was paid for with bytes.
    let carried: usize = whole.iter().map(carried).sum();
    if carried > stream.len() {
        return Err(format!("{carried} bytes out of {}", stream.len()));
    }
    let ended = matches!(whole.last(), Some(Said::Close(..) | Said::Violation(_)));
    let (impatient, finished) = first_of_each_read(role, stream, cuts);
    if finished != ended {
        return Err(format!("stopping early ends {finished}, not {ended}: {whole:?}"));
    }
    let mut all = whole.iter();
    if !impatient.iter().all(|said| all.any(|other| other == said)) {
        return Err(format!("stopping early hears {impatient:?} of {whole:?}"));
    }
    Ok(())
}

fn carried(said: &Said) -> usize {
    match said {
        Said::Text(bytes) | Said::Binary(bytes) | Said::Ping(bytes) | Said::Pong(bytes) => bytes.len(),
        Said::Close(_, reason) => reason.len(),
        Said::Violation(_) => 0,
    }
}

fn first_of_each_read(role: Role, stream: &[u8], cuts: &[usize]) -> (Vec<Said>, bool) {
    let mut decoder = Decoder::new(role);
    let mut input = stream.to_vec();
    let mut said = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        match decoder.feed(&mut input[at..cut], &LIMITS).next() {
            Ok(None) => {}
            Ok(Some(event)) => said.push(event.into()),
            Err(violation) => said.push(Said::Violation(violation.code)),
        }
        at = cut;
    }
    (said, decoder.is_finished())
}

#[test]
fn random_bytes_do_no_harm() {
    for seed in seeds(100_000) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0; rng.random_range(1..120)];
        rng.fill_bytes(&mut bytes);
        // Else nine of ten end at their first byte.
        bytes[0] = [0x81, 0x82, 0x01, 0x02, 0x80, 0x88, 0x89, bytes[0]][rng.random_range(0..8)];
        if bytes.len() > 1 && rng.random_bool(0.8) {
            bytes[1] |= 0x80;
        }
        let role = if rng.random_bool(0.8) { Role::Server } else { Role::Client };
        let cuts = cuts(&mut rng, bytes.len());
        check(seed, vec![bytes], cuts, |stream, cuts| judge(role, stream, cuts));
    }
}

#[test]
fn streams_with_changed_bytes_do_no_harm() {
    for seed in seeds(50_000) {
        let mut rng = StdRng::seed_from_u64(seed);
        let role = if rng.random_bool(0.8) { Role::Server } else { Role::Client };
        let mut frames = frames(&mut rng, role);
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut rng, &mut frames);
        }
        let cuts = cuts(&mut rng, frames.iter().map(Vec::len).sum());
        check(seed, frames, cuts, |stream, cuts| judge(role, stream, cuts));
    }
}
