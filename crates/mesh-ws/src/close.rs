//! Which close codes may stand in a frame.

/// Whether RFC 6455 section 7.4 lets a peer send this code.
pub fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
