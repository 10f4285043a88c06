//! How a peer can break the protocol or a bound: the whole list.

/// The peer broke the protocol or a bound. Its connection is over: send a close frame with this code and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Violation {
    /// The close code: 1002, 1007 or 1009.
    pub code: u16,
    /// The close reason.
    pub reason: &'static str,
}

impl Violation {
    pub(crate) const RESERVED_BIT: Self = broken("a reserved bit is set");
    pub(crate) const RESERVED_OPCODE: Self = broken("a reserved opcode");
    pub(crate) const UNMASKED: Self = broken("a client masks its frames");
    pub(crate) const MASKED: Self = broken("a server does not mask its frames");
    pub(crate) const CONTROL_FRAGMENTED: Self = broken("a control frame comes whole");
    pub(crate) const CONTROL_TOO_LONG: Self = broken("a control frame has at most 125 bytes");
    pub(crate) const NOTHING_TO_CONTINUE: Self = broken("there is no message to continue");
    pub(crate) const MESSAGE_NOT_OVER: Self = broken("the last message is not over");
    pub(crate) const LENGTH_NOT_MINIMAL: Self = broken("a length takes as few bytes as it can");
    pub(crate) const LENGTH_OF_64_BITS: Self = broken("a length has 63 bits");
    pub(crate) const CLOSE_CODE_CUT: Self = broken("a close code has two bytes");
    pub(crate) const CLOSE_CODE: Self = broken("not a close code");
    pub(crate) const NOT_UTF8: Self = Self { code: 1007, reason: "not UTF-8" };
    pub(crate) const TOO_BIG: Self = Self { code: 1009, reason: "message over the limit" };
    pub(crate) const TOO_MANY_FRAGMENTS: Self = Self { code: 1009, reason: "too many fragments" };
}

const fn broken(reason: &'static str) -> Violation {
    Violation { code: 1002, reason }
}
