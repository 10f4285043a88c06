//! How many bytes something takes as JSON, without writing it.

use std::io;

use serde::Serialize;

/// The bytes of `value` as JSON, or `None` if they are more than `max`; then it stops there.
pub(super) fn json_bytes(value: &impl Serialize, max: usize) -> Option<usize> {
    let mut count = Count { bytes: 0, max };
    serde_json::to_writer(&mut count, value).ok()?;
    Some(count.bytes)
}

struct Count {
    bytes: usize,
    max: usize,
}

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        if self.bytes > self.max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_what_would_be_written() {
        let value = serde_json::json!({ "é\n\u{1}\"": [1, -2.5, null, true, "x"] });
        let bytes = value.to_string().len();
        assert_eq!(json_bytes(&value, usize::MAX), Some(bytes));
        assert_eq!(json_bytes(&value, bytes), Some(bytes));
        assert_eq!(json_bytes(&value, bytes - 1), None);
    }
}
