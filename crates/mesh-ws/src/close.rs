//! What a close frame says.

use crate::{CONTROL_BYTES_MAX, Event, Violation};

/// Whether a peer may send this code (RFC 6455 section 7.4, with 1012 to 1014 as registered since).
pub fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Read the payload of a close frame.
pub(crate) fn read(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(Event::Close { code: None, reason: "" }),
            _ => Err(Violation::CLOSE_CODE_CUT),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid(code) {
        return Err(Violation::CLOSE_CODE);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::NOT_UTF8)?;
    Ok(Event::Close { code: Some(code), reason })
}

/// As much of a reason as fits behind a code, cut at a character.
pub(crate) fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(CONTROL_BYTES_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_only_a_library_uses_are_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(!is_valid(code), "{code}");
            assert_eq!(read(&code.to_be_bytes()), Err(Violation::CLOSE_CODE), "{code}");
        }
        for code in [1000u16, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(read(&code.to_be_bytes()), Ok(Event::Close { code: Some(code), reason: "" }));
        }
    }

    #[test]
    fn half_a_code_and_a_reason_that_is_no_text_are_refused() {
        assert_eq!(read(b""), Ok(Event::Close { code: None, reason: "" }));
        assert_eq!(read(b"\x03"), Err(Violation::CLOSE_CODE_CUT));
        assert_eq!(read(b"\x03\xe8bye"), Ok(Event::Close { code: Some(1000), reason: "bye" }));
        assert_eq!(read(b"\x03\xe8\xce"), Err(Violation::NOT_UTF8));
    }
}
