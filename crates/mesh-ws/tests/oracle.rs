//! The decoder beside another implementation, on random streams that are cut at random places.
//!
//! `MESH_FUZZ_INPUTS=10000000 cargo test --release -p mesh-ws` tries more of them; `MESH_FUZZ_SEED=7` only one.

mod support;

use mesh_ws::Role;
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::stream::{cuts, frames};
use support::{Said, check, decode, oracle, seeds};

/// Whether two decoders agree. They differ on purpose in three ways, each of them only in how a stream ends.
fn agree(stream: &[u8], ours: &[Said], theirs: &[Said]) -> bool {
    if ours == theirs {
        return true;
    }
    let Some((Said::Violation(code), before)) = ours.split_last() else { return false };
    let Some(theirs) = theirs.strip_prefix(before) else { return false };
    match (code, theirs) {
        // A message over the limit in fragments: we refuse the header, they the frame. If the stream ends in between
        // they say nothing, and if the frame has bad text they say that.
        (1009, [] | [Said::Violation(1007)]) => true,
        // A length of 64 bits breaks the protocol; to them it is only too long.
        (1002, [Said::Violation(1009)]) => has_length_of_64_bits(stream),
        // A text that ends within a character, when its last fragment is empty: they let it pass, and the open
        // character spoils the next text.
        (1007, [Said::Text(text), ..]) => {
            std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none())
        }
        _ => false,
    }
}

fn has_length_of_64_bits(stream: &[u8]) -> bool {
    stream.windows(2).any(|window| window[0] & 0x7f == 127 && window[1] & 0x80 != 0)
}

fn judge(role: Role, stream: &[u8], cuts: &[usize]) -> Result<(), String> {
    let whole = decode(role, stream, &[]);
    let cut = decode(role, stream, cuts);
    if cut != whole {
        return Err(format!("whole {whole:?}, cut {cut:?}"));
    }
    let theirs = oracle::hear(role, stream);
    if agree(stream, &whole, &theirs) { Ok(()) } else { Err(format!("ours {whole:?}, theirs {theirs:?}")) }
}

fn compare(role: Role, default: u64) {
    for seed in seeds(default) {
        let mut rng = StdRng::seed_from_u64(seed);
        let frames = frames(&mut rng, role);
        let cuts = cuts(&mut rng, frames.iter().map(Vec::len).sum());
        check(seed, frames, cuts, |stream, cuts| judge(role, stream, cuts));
    }
}

#[test]
fn a_server_hears_what_another_implementation_hears_wherever_the_stream_is_cut() {
    compare(Role::Server, 70_000);
}

#[test]
fn a_client_hears_what_another_implementation_hears_wherever_the_stream_is_cut() {
    compare(Role::Client, 30_000);
}

/// A comparison is worth what its streams reach: each kind of event and of end must be common among them.
#[test]
fn the_random_streams_reach_every_kind_of_event_and_end() {
    let mut met = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..2_000 {
        let frames = frames(&mut StdRng::seed_from_u64(seed), Role::Server);
        for said in decode(Role::Server, &frames.concat(), &[]) {
            let kind = match said {
                Said::Text(_) => "text",
                Said::Binary(_) => "binary",
                Said::Ping(_) => "ping",
                Said::Pong(_) => "pong",
                Said::Close(None, _) => "close without a code",
                Said::Close(..) => "close",
                Said::Violation(1002) => "1002",
                Said::Violation(1007) => "1007",
                Said::Violation(1009) => "1009",
                Said::Violation(code) => panic!("an unknown violation: {code}"),
            };
            *met.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(met.len(), 9, "{met:?}");
    assert!(met.values().all(|count| *count >= 20), "{met:?}");
}
