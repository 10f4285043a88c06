//! Reads from a line of a test runner how many tests it ran.

/// The tests that passed and that failed, if the line sums up a run of cargo's test harness or of vitest.
pub fn count(line: &str) -> Option<(u64, u64)> {
    let line = plain(line);
    harness(&line).or_else(|| vitest(&line))
}

/// `test result: ok. 16 passed; 0 failed; ...`
fn harness(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let (passed, rest) = rest.split_once(" passed; ")?;
    let (failed, _) = rest.split_once(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

/// `Tests  1 failed | 15 passed | 2 skipped (18)`
fn vitest(line: &str) -> Option<(u64, u64)> {
    let (parts, _) = line.trim().strip_prefix("Tests  ")?.split_once('(')?;
    let (mut passed, mut failed) = (0, 0);
    for part in parts.split('|') {
        let (number, what) = part.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match what {
            "passed" => passed += number,
            "failed" => failed += number,
            _ => {}
        }
    }
    Some((passed, failed))
}

/// The line without its colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_line_of_the_test_harness_is_counted() {
        let line = "test result: FAILED. 16 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(line), Some((16, 2)));
        assert_eq!(count("running 2 tests"), None);
    }

    #[test]
    fn a_line_of_vitest_is_counted() {
        assert_eq!(count("      Tests  86 passed (86)"), Some((86, 0)));
        assert_eq!(count("      Tests  1 failed | 15 passed | 2 skipped (18)"), Some((15, 1)));
        let coloured =
            "\x1b[2m      Tests \x1b[22m \x1b[1m\x1b[32m3 passed\x1b[39m\x1b[22m\x1b[90m (3)\x1b[39m";
        assert_eq!(count(coloured), Some((3, 0)));
        assert_eq!(count(" Test Files  4 passed (4)"), None);
    }
}
