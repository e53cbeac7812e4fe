//! The source of the program, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(super) struct Source {
    /// Below `src`, as `host/extract.rs`.
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// The code that is shipped: without comments, and without what follows `#[cfg(test)]`. Imports in braces are written out, one
    /// path a line, so that `use std::{env, fs}` does not hide them.
    pub(super) fn code(&self) -> String {
        let before_tests = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = before_tests
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        let code = code.join("\n");
        let imports: Vec<String> = code
            .split("use ")
            .skip(1)
            .filter_map(|rest| rest.split(';').next())
            .filter_map(|import| import.split_once("::{"))
            .flat_map(|(crate_name, group)| {
                words(group).map(move |word| format!("{crate_name}::{word}"))
            })
            .collect();
        format!("{code}\n{}", imports.join("\n"))
    }

    pub(super) fn is_host(&self) -> bool {
        self.name.starts_with("host/") || self.name == "host.rs"
    }

    pub(super) fn is_cli(&self) -> bool {
        self.name.starts_with("cli/") || self.name == "main.rs"
    }

    pub(super) fn is_core(&self) -> bool {
        !self.is_host() && !self.is_cli()
    }

    /// The lines of the shipped code that name this, with their numbers lost but their text kept.
    pub(super) fn lines_with(&self, what: &str) -> Vec<String> {
        let code = self.code();
        let lines = code.lines().filter(|line| line.contains(what));
        lines
            .map(|line| format!("src/{}: {}", self.name, line.trim()))
            .collect()
    }
}

pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

pub(super) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in rust_files(&root) {
        let name = path.strip_prefix(&root).expect("it was found below");
        found.push(Source {
            name: name.to_str().expect("our names are text").to_owned(),
            text: fs::read_to_string(&path).expect("our files are text"),
        });
    }
    assert!(found.len() > 3, "there is no source in {}", root.display());
    found
}

pub(super) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for child in fs::read_dir(directory).expect("the directory is there") {
        let path = child.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn imports_in_braces_are_seen() {
    let source = Source {
        name: "merge.rs".into(),
        text: "//! docs\nuse std::{\n    collections::BTreeMap,\n    fs,\n};\n// std::net\n#[cfg(test)]\nmod tests { use std::env; }".into(),
    };
    assert_eq!(source.lines_with("std::fs"), ["src/merge.rs: std::fs"]);
    assert!(source.lines_with("std::net").is_empty());
    assert!(source.lines_with("std::env").is_empty());
}
