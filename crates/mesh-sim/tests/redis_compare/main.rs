//! The simulated Redis and the real one are told the same and must answer the same.

mod commands;
mod edges;
mod pair;
mod real;
mod scripts;

use mesh_sim::redis::Redis;
use pair::{Pair, Words, words};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// How many commands a run has.
const COMMANDS: usize = 3000;

async fn run(seed: u64, hello: &str, sequence: impl FnOnce(&mut StdRng) -> Vec<Words>) {
    let real = real::RealRedis::start().await;
    let simulated = Redis::new(seed);
    let mut pair = Pair::connect(&real, &simulated, hello).await;
    let sequence = sequence(&mut StdRng::seed_from_u64(seed));
    if let Some(difference) = pair.first_difference(&sequence).await {
        let short = pair.shorten(sequence[..=difference.at].to_vec()).await;
        let told: Vec<String> = short.iter().map(|command| pair::show(command)).collect();
        let difference = pair.first_difference(&short).await.unwrap_or(difference);
        panic!(
            "seed {seed}, HELLO {hello}: after these, the last answers differ\n{}\n     real {}\nsimulated {}",
            told.join("\n"),
            difference.real,
            difference.simulated
        );
    }
}

fn small(rng: &mut StdRng) -> Vec<Words> {
    (0..COMMANDS).map(|_| scripts::command_or_script(rng)).collect()
}

#[tokio::test]
async fn random_commands_and_scripts_are_answered_alike() {
    // One that is given is run alone.
    if let Ok(seed) = std::env::var("MESH_SIM_SEED") {
        let seed = seed.parse().expect("MESH_SIM_SEED is a number");
        run(seed, "2", small).await;
        run(seed, "3", small).await;
        return;
    }
    for seed in 1..=3 {
        run(seed, "2", small).await;
        run(seed + 1000, "3", small).await;
    }
}

#[tokio::test]
async fn large_collections_are_answered_alike() {
    run(1, "2", commands::large).await;
    run(2, "3", commands::large).await;
}

#[tokio::test]
async fn edge_cases_are_answered_alike() {
    for hello in ["2", "3"] {
        let real = real::RealRedis::start().await;
        let simulated = Redis::new(1);
        let mut pair = Pair::connect(&real, &simulated, hello).await;
        let mut differences = Vec::new();
        for line in edges::LINES.lines().filter(|line| !line.trim().is_empty()) {
            let command = words(line);
            if let Some((real, simulated)) = pair.differ(&command).await {
                differences.push(format!("{line}\n     real {real}\nsimulated {simulated}"));
            }
        }
        assert!(differences.is_empty(), "HELLO {hello}\n{}", differences.join("\n"));
    }
}

#[tokio::test]
async fn what_scripts_compute_is_answered_alike() {
    for hello in ["2", "3"] {
        let real = real::RealRedis::start().await;
        let simulated = Redis::new(1);
        let mut pair = Pair::connect(&real, &simulated, hello).await;
        let mut differences = Vec::new();
        for script in scripts::LITERAL {
            let command = ["EVAL", script, "2", "k1", "k2", "a1", "a2", "17"];
            let command: Words = command.iter().map(|word| word.as_bytes().to_vec()).collect();
            if let Some((real, simulated)) = pair.differ(&command).await {
                differences.push(format!("{script}\n     real {real}\nsimulated {simulated}"));
            }
        }
        assert!(differences.is_empty(), "HELLO {hello}\n{}", differences.join("\n"));
    }
}

#[tokio::test]
async fn a_key_expires_in_both() {
    let real = real::RealRedis::start().await;
    let simulated = Redis::new(1);
    let mut pair = Pair::connect(&real, &simulated, "3").await;
    for line in ["SET a 1 PX 5", "HSET b f v", "PEXPIRE b 5", "XADD c 1-1 f v", "PEXPIRE c 5", "SET d 1"] {
        assert_eq!(pair.differ(&words(line)).await, None, "{line}");
    }
    // Until both say so, and not for a time that would be enough on a quiet machine.
    for key in ["a", "b", "c"] {
        pair.until_both(&words(&format!("EXISTS {key}")), ":0").await;
    }
    for line in ["GET a", "HGETALL b", "XLEN c", "DBSIZE", "TTL a", "PERSIST b", "XADD c 1-1 f v"] {
        assert_eq!(pair.differ(&words(line)).await, None, "{line}");
    }
}

#[tokio::test]
async fn without_memory_the_same_is_refused() {
    let real = real::RealRedis::start_with(&["--maxmemory", "1"]).await;
    let simulated = Redis::new(1);
    simulated.be_out_of_memory(true);
    let mut pair = Pair::connect(&real, &simulated, "3").await;
    for line in edges::WITHOUT_MEMORY.lines().filter(|line| !line.trim().is_empty()) {
        if let Some((real, simulated)) = pair.differ(&words(line)).await {
            panic!("{line}\n     real {real}\nsimulated {simulated}");
        }
    }
}

#[tokio::test]
async fn subscribers_hear_the_same() {
    for hello in ["2", "3"] {
        let real = real::RealRedis::start().await;
        let simulated = Redis::new(1);
        let mut pair = Pair::connect(&real, &simulated, hello).await;
        let mut other = Pair::connect(&real, &simulated, "3").await;
        for line in edges::SUBSCRIBER.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (pair, line) = match line.strip_prefix("> ") {
                Some(line) => (&mut other, line),
                None => (&mut pair, line),
            };
            if let Some((real, simulated)) = pair.differ_in_all(&words(line)).await {
                panic!("HELLO {hello}, {line}\n     real {real}\nsimulated {simulated}");
            }
        }
    }
}

#[tokio::test]
async fn bad_bytes_are_answered_alike() {
    let (real, simulated) = (real::RealRedis::start().await, Redis::new(1));
    for bytes in edges::BAD_BYTES {
        let mut pair = Pair::connect_plain(real.connect().await, &simulated).await;
        let (real, simulated) = pair.until_closed(bytes).await;
        let told = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(told(&real), told(&simulated), "{}", bytes.escape_ascii());
    }
}
