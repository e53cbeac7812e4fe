//! Which file imports what from which other, read from the source.
//!
//! Every name counts that is taken from another file of the program: in a `use` or a `pub use`, with braces or without, or in the
//! middle of the code. A parent's list of modules is no import. A name that a parent re-exports is taken from the parent.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::tokens::{is_name, tokens, without_tests};

/// What one file names of another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Import {
    /// The file that imports, below `src`.
    pub(super) from: String,
    /// The file that is imported.
    pub(super) of: String,
    /// The name that is taken; `(module)` for the file as a whole.
    pub(super) name: String,
}

/// The two crates of the package: the program names the library as `slashopt`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Crate {
    Library,
    Program,
}

/// The path of a module from the root of its crate.
type Module = (Crate, Vec<String>);

/// The module that a file is.
fn module_of(name: &str) -> Module {
    let path = name.strip_suffix(".rs").unwrap_or(name);
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let of = match parts.first().map(String::as_str) {
        Some("main" | "cli") => Crate::Program,
        _ => Crate::Library,
    };
    if parts.last().is_some_and(|last| last == "mod") || ["main", "lib"].contains(&path) {
        parts.pop();
    }
    (of, parts)
}

/// All imports between files, sorted, each once.
pub(super) fn imports(sources: &[Source]) -> Vec<Import> {
    let shipped = || {
        let sources = sources.iter().map(|source| source.name.as_str());
        sources.filter(|name| !name.ends_with("tests.rs"))
    };
    let files: BTreeMap<Module, &str> = shipped().map(|name| (module_of(name), name)).collect();
    let mut imports = BTreeSet::new();
    for source in sources {
        let module = module_of(&source.name);
        if files.get(&module) != Some(&source.name.as_str()) {
            continue;
        }
        for (of, path) in paths_named(&source.text, &module) {
            // The longest beginning of the path that is a file defines, or re-exports, what comes behind it.
            let found = (0..=path.len()).rev().find_map(|length| {
                let file = files.get(&(of, path[..length].to_vec()))?;
                Some((*file, path.get(length)))
            });
            if let Some((file, name)) = found
                && file != source.name
            {
                imports.insert(Import {
                    from: source.name.clone(),
                    of: file.to_owned(),
                    name: name.map_or("(module)", String::as_str).to_owned(),
                });
            }
        }
    }
    imports.into_iter().collect()
}

/// The circles of files that import each other, each told with its files and the names that they take.
pub(super) fn circles(imports: &[Import]) -> Vec<String> {
    let mut imported: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        imported.entry(&import.from).or_default().insert(&import.of);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = imported
        .keys()
        .map(|&file| (file, reachable(file, &imported)))
        .collect();
    let leads_to = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
    let mut told = BTreeSet::new();
    let mut circles = Vec::new();
    for &file in reached.keys().filter(|&&file| leads_to(file, file)) {
        if !told.insert(file) {
            continue;
        }
        let circle: BTreeSet<&str> = reached[file]
            .iter()
            .copied()
            .filter(|other| leads_to(other, file))
            .collect();
        told.extend(&circle);
        let inside = |import: &&Import| {
            circle.contains(import.from.as_str()) && circle.contains(import.of.as_str())
        };
        let mut names: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for import in imports.iter().filter(inside) {
            let names = names.entry((&import.from, &import.of)).or_default();
            names.push(&import.name);
        }
        let lines = names.iter().map(|((from, of), names)| {
            let names = names.join(", ");
            format!("\n  src/{from} takes from src/{of}: {names}")
        });
        let lines: String = lines.collect();
        circles.push(format!("a circle of {} files:{lines}", circle.len()));
    }
    circles
}

/// Every file that a file imports, itself or by way of others.
fn reachable<'f>(
    file: &'f str,
    imported: &BTreeMap<&'f str, BTreeSet<&'f str>>,
) -> BTreeSet<&'f str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![file];
    while let Some(file) = left.pop() {
        for &other in imported.get(file).into_iter().flatten() {
            if reached.insert(other) {
                left.push(other);
            }
        }
    }
    reached
}

/// Every path that the shipped code of a module names in this package, from the root of its crate.
fn paths_named(text: &str, module: &Module) -> Vec<Module> {
    let mut reader = Reader {
        tokens: without_tests(&tokens(text)),
        at: 0,
        inline: Vec::new(),
        children: Vec::new(),
        written: Vec::new(),
    };
    reader.read();
    let scope = |written: &Written| [module.1.as_slice(), &written.inside].concat();
    let mut known: BTreeMap<&str, Module> = BTreeMap::new();
    for child in &reader.children {
        let path = [module.1.as_slice(), std::slice::from_ref(child)].concat();
        known.insert(child, (module.0, path));
    }
    for written in &reader.written {
        if let Some(name) = &written.bound
            && let Some(path) = absolute(&written.path, (module.0, scope(written)), &known)
        {
            known.entry(name).or_insert(path);
        }
    }
    let paths = reader.written.iter();
    paths
        .filter_map(|written| absolute(&written.path, (module.0, scope(written)), &known))
        .collect()
}

/// A path as it stands in a module, from the root of its crate; `None` if it leads out of the package. `known` are the names of
/// child modules, and those that a `use` brought.
fn absolute(
    path: &[String],
    (of, module): Module,
    known: &BTreeMap<&str, Module>,
) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((of, rest.to_vec())),
        "slashopt" if of == Crate::Program => Some((Crate::Library, rest.to_vec())),
        "self" | "super" => {
            let mut module = module;
            let mut rest = path;
            while let Some((first, behind)) = rest.split_first() {
                match first.as_str() {
                    "super" => module.truncate(module.len().checked_sub(1)?),
                    "self" => {}
                    _ => break,
                }
                rest = behind;
            }
            Some((of, [module.as_slice(), rest].concat()))
        }
        first => {
            let (of, module) = known.get(first)?;
            Some((*of, [module.as_slice(), rest].concat()))
        }
    }
}

/// A path as it is written.
struct Written {
    /// The modules inside the file that it stands in.
    inside: Vec<String>,
    path: Vec<String>,
    /// The name that a `use` gives it in the file.
    bound: Option<String>,
}

/// Reads the tokens of a file for the paths in them.
struct Reader {
    tokens: Vec<String>,
    at: usize,
    /// The modules in whose braces it is, each with how many braces are open in it.
    inline: Vec<(String, usize)>,
    /// The modules that are files of their own.
    children: Vec<String>,
    written: Vec<Written>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> &str {
        let token = self.tokens.get(self.at + ahead);
        token.map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        let token = self.peek(0).to_owned();
        self.at += 1;
        token
    }

    fn note(&mut self, path: Vec<String>, bound: Option<String>) {
        let inside = self.inline.iter().map(|(name, _)| name.clone()).collect();
        self.written.push(Written {
            inside,
            path,
            bound,
        });
    }

    fn read(&mut self) {
        let mut before = String::new();
        while self.at < self.tokens.len() {
            let token = self.take();
            match token.as_str() {
                // Not the lifetimes that `impl Trait + use<'_>` captures.
                "use" if self.peek(0) != "<" => self.use_tree(&[]),
                "mod" if self.peek(1) == ";" => {
                    let name = self.take();
                    self.children.push(name);
                }
                "mod" if self.peek(1) == "{" => {
                    let name = self.take();
                    self.inline.push((name, 0));
                }
                // Who may see an item says nothing about what it is made of.
                "pub" if self.peek(0) == "(" => while ![")", ""].contains(&self.take().as_str()) {},
                "{" => {
                    if let Some((_, open)) = self.inline.last_mut() {
                        *open += 1;
                    }
                }
                "}" => {
                    if let Some((_, open)) = self.inline.last_mut() {
                        *open -= 1;
                        if *open == 0 {
                            self.inline.pop();
                        }
                    }
                }
                first if is_name(first) && !["::", ".", "$"].contains(&before.as_str()) => {
                    let mut path = vec![token.clone()];
                    while self.peek(0) == "::" && is_name(self.peek(1)) {
                        self.at += 1;
                        path.push(self.take());
                    }
                    if path.len() > 1 {
                        self.note(path, None);
                    }
                }
                _ => {}
            }
            before = token;
        }
    }

    /// One tree of a `use`, behind the names that it stands below, with the comma or semicolon that ends it left.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.take().as_str() {
                "::" => {}
                "{" => {
                    while !["}", ""].contains(&self.peek(0)) {
                        self.use_tree(&path);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "self" if !path.is_empty() && self.peek(0) != "::" => {}
                name => path.push(name.to_owned()),
            }
            if self.peek(0) == "as" {
                self.at += 1;
                let name = self.take();
                return self.note(path, Some(name));
            }
            if [",", ";", "}", ""].contains(&self.peek(0)) {
                let name = path.last().filter(|name| *name != "*").cloned();
                return self.note(path, name);
            }
        }
    }
}

/// Invented sources, by their names below `src`.
pub(super) fn invented(files: &[(&str, &str)]) -> Vec<Source> {
    let files = files.iter();
    files
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect()
}

/// What `one.rs` takes from the other files of a small crate if this is its text.
fn taken(text: &str) -> Vec<String> {
    let sources = invented(&[
        ("lib.rs", "pub mod one; pub mod two; pub mod three;"),
        ("one.rs", text),
        ("one/child.rs", ""),
        ("two/mod.rs", "pub mod deep;"),
        ("two/deep.rs", ""),
        ("three.rs", ""),
    ]);
    let imports = imports(&sources).into_iter();
    imports
        .filter(|import| import.from == "one.rs")
        .map(|import| format!("{} of {}", import.name, import.of))
        .collect()
}

#[test]
fn every_form_of_an_import_is_seen() {
    for (text, expected) in [
        ("use crate::two::A;", &["A of two/mod.rs"][..]),
        ("pub use crate::two::A as B;", &["A of two/mod.rs"]),
        ("pub(crate) use super::two::*;", &["* of two/mod.rs"]),
        ("use crate::two;", &["(module) of two/mod.rs"]),
        (
            "#[cfg(unix)]\nuse crate::two::deep::A;",
            &["A of two/deep.rs"],
        ),
        (
            "use crate::{two::{self, A, deep::{B, C}}, three::D};",
            &[
                "D of three.rs",
                "B of two/deep.rs",
                "C of two/deep.rs",
                "(module) of two/mod.rs",
                "A of two/mod.rs",
            ],
        ),
        ("mod child;\nuse child::A;", &["A of one/child.rs"]),
        (
            "mod child;\npub use self::child::A;",
            &["A of one/child.rs"],
        ),
        ("mod child;\nfn a() { child::b() }", &["b of one/child.rs"]),
        ("fn a(b: &crate::three::B) {}", &["B of three.rs"]),
        ("fn a() -> super::three::B {}", &["B of three.rs"]),
        (
            "fn a() -> impl C + use<> { super::three::b() }",
            &["b of three.rs"],
        ),
        ("fn a() { use super::three::b; b() }", &["b of three.rs"]),
        (
            "use crate::two::deep;\nfn a() { deep::b() }",
            &["(module) of two/deep.rs", "b of two/deep.rs"],
        ),
        (
            "use crate::two;\nfn a() { two::deep::b() }",
            &["b of two/deep.rs", "(module) of two/mod.rs"],
        ),
        (
            "mod inner { use super::super::three::A; use crate::two::B; }\nuse super::three::C;",
            &["A of three.rs", "C of three.rs", "B of two/mod.rs"],
        ),
    ] {
        assert_eq!(taken(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_import_is_none() {
    for text in [
        "mod child;",
        "pub(crate) mod child;",
        "use std::fs;",
        "// crate::two::A\n/* crate::two::A /* nested */ crate::two::A */",
        "/// See [`crate::two::A`].\nstruct B;",
        "const A: &str = \"crate::two::A\";",
        "const A: &[u8] = br#\"say \"crate::two::A\"\"#;",
        "const A: [char; 4] = ['\"', '\\'', '\\u{22}', b'\"'];",
        "pub(in crate::two) struct A;",
        "struct A;\nfn a() { self::A::b(); A::c() }",
        "#[cfg(test)]\nmod tests { use crate::two::A; }",
        "#[cfg(test)]\nuse crate::two::A;",
        "#[cfg(test)]\nmod tests;",
        "fn a(two: B) { two.c(); d.crate_two::<E>() }",
    ] {
        assert_eq!(taken(text), [""; 0], "{text}");
    }
    let behind =
        "#[cfg(test)]\nfn a() {}\nfn b<'l>(c: &'l str) -> char { '{' }\nuse crate::two::D;";
    assert_eq!(taken(behind), ["D of two/mod.rs"]);
}

#[test]
fn the_program_takes_from_the_library_by_its_name() {
    let sources = invented(&[
        ("lib.rs", "pub mod host;"),
        ("host/mod.rs", "pub mod read;"),
        ("host/read.rs", ""),
        ("main.rs", "mod cli;\nfn main() { cli::main() }"),
        (
            "cli/mod.rs",
            "use slashopt::host::read::A;\nuse crate::host::B;",
        ),
    ]);
    let found = imports(&sources).into_iter();
    let found: Vec<String> = found
        .map(|import| format!("{} -> {}: {}", import.from, import.of, import.name))
        .collect();
    assert_eq!(
        found,
        [
            "cli/mod.rs -> host/read.rs: A",
            "cli/mod.rs -> main.rs: host",
            "main.rs -> cli/mod.rs: main",
        ]
    );
}

#[test]
fn a_circle_is_told_with_its_files_and_names() {
    let sources = invented(&[
        ("lib.rs", "pub mod parent; pub mod beside;"),
        (
            "parent.rs",
            "mod one; mod two;\npub use one::One;\npub struct Parent;",
        ),
        ("parent/one.rs", "use super::two::Two;\npub struct One;"),
        ("parent/two.rs", "use super::Parent;\npub struct Two;"),
        ("beside.rs", "use crate::parent::{One, Parent};"),
    ]);
    assert_eq!(
        circles(&imports(&sources)),
        ["a circle of 3 files:\
          \n  src/parent.rs takes from src/parent/one.rs: One\
          \n  src/parent/one.rs takes from src/parent/two.rs: Two\
          \n  src/parent/two.rs takes from src/parent.rs: Parent"]
    );
}
