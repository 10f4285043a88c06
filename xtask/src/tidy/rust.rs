//! Rust text as the rules need it: what is code, what is a string, what is only compiled for tests.

/// A Rust file, split up. Both texts have the lines of the file; what is left out is blank.
pub(super) struct Source {
    pub(super) path: String,
    /// The code without comments and without the contents of strings.
    pub(super) code: String,
    /// The same without what only tests compile.
    pub(super) shipped: String,
    /// The contents of the strings in `shipped`, and the lines they begin on.
    pub(super) strings: Vec<(usize, String)>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, strings) = blank(text);
        let is_test =
            ["tests", "benches", "examples"].iter().any(|folder| path.split('/').any(|part| part == *folder));
        let mut source = Self { path: path.to_owned(), shipped: without_tests(&code), code, strings };
        if is_test || path.ends_with("/tests.rs") {
            source.only_tests();
        }
        let shipped: Vec<bool> = source.shipped.lines().map(|line| !line.trim().is_empty()).collect();
        source.strings.retain(|(line, _)| shipped.get(line - 1).copied().unwrap_or(false));
        source
    }

    /// Nothing here is shipped.
    pub(super) fn only_tests(&mut self) {
        self.shipped = blanked(&self.shipped);
        self.strings.clear();
    }

    /// The paths, without `.rs`, of the modules this file declares for tests alone.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let folder = self.folder();
        let code: Vec<&str> = self.code.lines().collect();
        let shipped: Vec<&str> = self.shipped.lines().collect();
        let mut found = Vec::new();
        for (number, line) in code.iter().enumerate() {
            let is_shipped = shipped.get(number).is_some_and(|line| !line.trim().is_empty());
            if let (false, Some(name)) = (is_shipped, declared_module(line)) {
                found.push(format!("{folder}{name}"));
            }
        }
        found
    }

    /// Where the modules that this file declares lie, with a `/` at the end.
    pub(super) fn folder(&self) -> String {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        match file.strip_suffix(".rs") {
            Some("lib" | "main" | "mod") | None => format!("{folder}/"),
            Some(module) => format!("{folder}/{module}/"),
        }
    }
}

/// `foo` of a line such as `pub(crate) mod foo;`.
pub(super) fn declared_module(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("mod ")?;
    let visible = before.rsplit(']').next().unwrap_or_default().trim();
    let name =
        rest.trim_start().strip_suffix(';').or_else(|| rest.split_once(';').map(|(name, _)| name))?.trim();
    let is_declaration = visible.is_empty() || visible.starts_with("pub");
    (is_declaration && name.chars().all(is_word)).then_some(name)
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands as a word of its own: the offsets, in order.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[*at + word.len()..].chars().next();
        let ends_in_word = word.chars().next_back().is_some_and(is_word);
        let begins_in_word = word.chars().next().is_some_and(is_word);
        let runs_on =
            begins_in_word && before.is_some_and(is_word) || ends_in_word && after.is_some_and(is_word);
        !runs_on
    })
}

/// The line, counted from 1, of an offset.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn blanked(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// The text with comments and the contents of strings blank, and the strings.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word);
        let comment = comment_len(rest);
        if comment > 0 {
            code.push_str(&blanked(&rest[..comment]));
            line += rest[..comment].matches('\n').count();
            rest = &rest[comment..];
        } else if let Some((open, inner, len)) = string(rest).filter(|_| first == '"' || !after_word) {
            strings.push((line, rest[open..open + inner].to_owned()));
            code.push_str(&rest[..open]);
            code.push_str(&blanked(&rest[open..open + inner]));
            code.push_str(&rest[open + inner..len]);
            line += rest[..len].matches('\n').count();
            rest = &rest[len..];
        } else if let Some(len) = character_len(rest) {
            code.push('\'');
            code.extend(std::iter::repeat_n(' ', rest[..len].chars().count() - 2));
            code.push('\'');
            rest = &rest[len..];
        } else {
            line += usize::from(first == '\n');
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    (code, strings)
}

fn comment_len(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if !text.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let bytes = &text.as_bytes()[at..];
        match bytes {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Of a string that begins here: the length of its opening, of its contents, and of all of it.
fn string(text: &str) -> Option<(usize, usize, usize)> {
    let prefix = ["br", "cr", "b", "c", "r", ""].iter().find(|prefix| {
        let rest = text.strip_prefix(**prefix).unwrap_or_default().trim_start_matches('#');
        text.starts_with(**prefix) && rest.starts_with('"')
    })?;
    let hashes = text[prefix.len()..].find('"')?;
    let open = prefix.len() + hashes + 1;
    let body = &text[open..];
    if prefix.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let inner = body.find(&close).unwrap_or(body.len());
        return Some((open, inner, (open + inner + close.len()).min(text.len())));
    }
    if hashes > 0 {
        return None;
    }
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((open, at, open + at + 1)),
            _ => {}
        }
    }
    Some((open, body.len(), text.len()))
}

/// The length of a character literal that begins here; a lifetime is none.
fn character_len(text: &str) -> Option<usize> {
    let mut chars = text.strip_prefix('\'')?.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next();
        let (at, _) = chars.find(|(_, c)| *c == '\'')?;
        return Some(at + 2);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 2)
}

/// `code` with each item blank that `#[cfg(test)]`, or a condition that holds in tests alone, stands before.
fn without_tests(code: &str) -> String {
    let mut text = code.to_owned();
    for opening in ["#[cfg(test", "#[cfg(all(test"] {
        while let Some(from) = text.find(opening) {
            let to = from + item_len(&text[from..]);
            let blank = blanked(&text[from..to]);
            text.replace_range(from..to, &blank);
        }
    }
    text
}

/// The length of an item with its attributes: to its semicolon, or to the end of its braces.
fn item_len(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("crates/a/src/lib.rs", text).code
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(code("a /* b /* c */ d */ e"), format!("a {} e", " ".repeat(17)));
        assert_eq!(code(r#"f("a \" b", 1)"#), r#"f("      ", 1)"#);
        assert_eq!(code(r###"f(r#"a " b"#, 1)"###), r###"f(r#"     "#, 1)"###);
        assert_eq!(code(r"f('\'', '{', 'a)"), "f('  ', ' ', 'a)");
        assert_eq!(code("for\"x\""), "for\" \"");
    }

    #[test]
    fn strings_are_kept_with_their_lines() {
        let source = Source::new("crates/a/src/lib.rs", "a(\"one\\n\");\nb(r\"two\");\n");
        assert_eq!(source.strings, [(1, "one\\n".to_owned()), (2, "two".to_owned())]);
    }

    #[test]
    fn what_only_tests_compile_is_not_shipped() {
        let text = "a();\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn b() { \"x\"; }\n}\nc();\n#[cfg(test)]\nmod world;\nd();\n";
        let source = Source::new("crates/a/src/b.rs", text);
        let kept: Vec<&str> = source.shipped.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(kept, ["a();", "c();", "d();"]);
        assert_eq!(source.test_modules(), ["crates/a/src/b/world"]);
        assert!(source.strings.is_empty());
        assert!(Source::new("crates/a/tests/b.rs", "a();").shipped.trim().is_empty());
    }

    #[test]
    fn a_module_line_is_told_from_other_lines() {
        assert_eq!(declared_module("pub(crate) mod foo;"), Some("foo"));
        assert_eq!(declared_module("    #[cfg(x)] mod foo;"), Some("foo"));
        assert_eq!(declared_module("mod foo {"), None);
        assert_eq!(declared_module("let a_mod = b;"), None);
        assert_eq!(declared_module("use a::mod b;"), None);
    }

    #[test]
    fn a_word_is_found_as_a_word() {
        assert_eq!(words("tokio tokio_util my_tokio tokio::x", "tokio").collect::<Vec<_>>(), [0, 26]);
        assert_eq!(words("x.redis::a", "redis::").collect::<Vec<_>>(), [2]);
    }
}
