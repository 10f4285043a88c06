//! The files of the repository, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::rust::Source;

/// Folders that hold nothing anybody wrote.
const SKIPPED: &[&str] = &["target", "node_modules", ".git"];

/// The text files by their path from the root, with `/`.
pub(super) struct Repo {
    files: BTreeMap<String, String>,
    /// The Rust files among them, with comments and strings out of the way.
    rust: Vec<Source>,
    /// Everything that a link may lead to: files that are no text, and folders, too.
    paths: BTreeSet<String>,
}

impl Repo {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut paths = BTreeSet::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                if path.file_name().is_some_and(|last| SKIPPED.iter().any(|skipped| last == *skipped)) {
                    continue;
                }
                paths.insert(name.clone());
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    files.insert(name, text);
                }
            }
        }
        Ok(Self::new(files, paths))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files: BTreeMap<_, _> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let paths = files.keys().cloned().collect();
        Self::new(files, paths)
    }

    fn new(files: BTreeMap<String, String>, paths: BTreeSet<String>) -> Self {
        let mut rust: Vec<Source> = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let tests: BTreeSet<String> = rust.iter().flat_map(Source::test_modules).collect();
        for source in &mut rust {
            let in_test_module = tests.iter().any(|module| {
                source
                    .path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
            if in_test_module {
                source.only_tests();
            }
        }
        Self { files, rust, paths }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(super) fn rust(&self) -> &[Source] {
        &self.rust
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }
}

/// Whether others wrote it, or a program did.
pub(super) fn is_generated(path: &str) -> bool {
    path.split('/').any(|part| part == "dist")
        || path.ends_with("package-lock.json")
        || path.ends_with("Cargo.lock")
        || path.starts_with("LICENSE")
}
