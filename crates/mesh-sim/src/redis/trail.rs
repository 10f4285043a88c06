//! What was said, for a test that compares two runs or tells why one failed.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;

use super::resp::Reply;
use super::resp::request::Request;

/// How many steps are kept.
const STEPS_MAX: usize = 256;

/// How much of an argument is shown.
const SHOWN_BYTES_MAX: usize = 120;

/// One thing that was said.
#[derive(Clone, Debug)]
enum Said {
    Request(Request),
    Reply(Reply),
}

/// The last steps, and a digest of all there were.
#[derive(Debug)]
pub(crate) struct Trail {
    digest: u64,
    steps: VecDeque<(u64, u64, Said)>,
}

impl Default for Trail {
    fn default() -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, steps: VecDeque::new() }
    }
}

impl Trail {
    pub(crate) fn request(&mut self, now: u64, client: u64, request: &Request) {
        self.fold(&now.to_le_bytes());
        self.fold(&client.to_le_bytes());
        for argument in request {
            self.fold(&argument.len().to_le_bytes());
            self.fold(argument);
        }
        self.keep(now, client, Said::Request(request.clone()));
    }

    pub(crate) fn reply(&mut self, now: u64, client: u64, reply: &Reply, encoded: &[u8]) {
        self.fold(&client.to_le_bytes());
        self.fold(encoded);
        self.keep(now, client, Said::Reply(reply.clone()));
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.steps.iter().map(|(now, client, said)| format!("{now} #{client} {said}")).collect()
    }

    fn keep(&mut self, now: u64, client: u64, said: Said) {
        if self.steps.len() == STEPS_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back((now, client, said));
    }

    fn fold(&mut self, bytes: &[u8]) {
        const FNV_PRIME: u64 = 0x0100_0000_01b3;
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => request.iter().map(shown).collect::<Vec<String>>().join(" ").fmt(f),
            Self::Reply(reply) => {
                let text = format!("{reply:?}");
                write!(f, "-> {}", text.chars().take(SHOWN_BYTES_MAX).collect::<String>())
            }
        }
    }
}

fn shown(argument: &Bytes) -> String {
    let end = argument.len().min(SHOWN_BYTES_MAX);
    argument[..end].escape_ascii().to_string()
}
