//! The two fields of the opening handshake that need arithmetic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a `Sec-WebSocket-Key` is 16 bytes in base64.
pub fn is_valid_key(key: &str) -> bool {
    key.len() == 24 && STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_rfc_is_answered() {
        assert_eq!(super::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(super::is_valid_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "aGk="] {
            assert!(!super::is_valid_key(bad), "{bad}");
        }
    }
}
