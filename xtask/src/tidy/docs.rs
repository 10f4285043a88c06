//! Whether the documents tell what is there.

use super::File;

const CODES: &str = "crates/mesh-proto/src/code.rs";
const CLOSES: &str = "crates/mesh-proto/src/close.rs";
const PROTOCOL: &str = "PROTOCOL.md";

pub fn check(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, link) in links(&file.text) {
            if !exists(&join(folder, link)) {
                found.push(format!("{}:{number}: there is no {link}", file.path));
            }
        }
    }
    let text = |path: &str| files.iter().find(|file| file.path == path);
    let Some(protocol) = text(PROTOCOL) else { return found };
    for (path, what) in [(CODES, "code"), (CLOSES, "reason")] {
        let Some(file) = text(path) else { continue };
        let words = words(file);
        if words.is_empty() {
            found.push(format!("{path}: no {what} found, so none was looked for in {PROTOCOL}"));
        }
        let untold = words.iter().filter(|word| !protocol.text.contains(&format!("`{word}`")));
        found.extend(untold.map(|word| format!("{PROTOCOL}: does not tell of the {what} `{word}`")));
    }
    found
}

/// The string of each arm `Self::A => "a",` or `Self::A => (1000, "a"),`.
fn words(file: &File) -> Vec<&str> {
    let arms = file.code().filter(|(_, line)| line.trim_start().starts_with("Self::"));
    let arms = arms.filter_map(|(_, line)| line.split_once(" => "));
    let words = arms.filter(|(_, value)| value.starts_with('"') || value.matches('(').count() == 1);
    words.filter_map(|(_, value)| value.split('"').nth(1)).filter(|word| is_word(word)).collect()
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The relative links outside of code blocks, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        for part in line.split("](").skip(1) {
            let link = part.split([')', ' ', '#']).next().unwrap_or_default();
            if !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:") {
                links.push((at + 1, link));
            }
        }
    }
    links
}

fn join(folder: &str, link: &str) -> String {
    if folder.is_empty() { link.to_owned() } else { format!("{folder}/{link}") }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_relative_link_has_to_lead_somewhere() {
        let text = "[a](b.md#c) [d](https://e.f) [g](#h)\n```\n[i](j)\n```\n![k](l.svg \"m\")";
        let check = |there: &'static str| check(&[file("x/y.md", text)], &move |path| path == there);
        assert_eq!(check("x/b.md"), ["x/y.md:5: there is no l.svg"]);
        assert_eq!(check("x/l.svg"), ["x/y.md:1: there is no b.md"]);
    }

    #[test]
    fn the_protocol_tells_every_code_and_reason() {
        let codes =
            file(CODES, "Self::A => \"a_b\",\nSelf::App(code) => code,\nSelf::B => (\"EB\".into(), \"X\"),");
        let closes = file(CLOSES, "Self::A => (1000, \"\"),\nSelf::B => (4000, \"slow\"),");
        let protocol = file(PROTOCOL, "`a_b`");
        let all = check(&[codes, closes, protocol], &|_| true);
        assert_eq!(all, ["PROTOCOL.md: does not tell of the reason `slow`"]);
    }
}
