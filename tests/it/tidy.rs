//! The architecture, held by reading the source: what may name what, who may print, and that nothing is forgotten.

mod imports;
mod source;
mod tokens;
mod wings;

use std::fs;
use std::path::Path;

use source::{Source, rust_files, sources, words};

/// The longest a file may be before its tests.
const LINES: usize = 700;

/// Effects, and the crates that have them: nothing of this is named in the core.
const EFFECTS: [&str; 12] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::thread",
    "std::os",
    "SystemTime",
    "nix::",
    "rustix::",
    "rayon",
    "tempfile",
    "walkdir",
];

#[track_caller]
fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn the_core_has_no_effects() {
    let sources = sources();
    let core = sources.iter().filter(|source| source.is_core());
    let found: Vec<String> = core
        .flat_map(|source| EFFECTS.iter().flat_map(|effect| source.lines_with(effect)))
        // Paths and names are bytes, which takes this trait and has no effect.
        .filter(|line| !line.contains("std::os::unix::ffi"))
        .collect();
    assert_none(&found, "only host and cli touch the machine");
}

#[test]
fn nothing_points_from_the_core_to_host_or_from_either_to_cli() {
    let mut found = Vec::new();
    for source in sources() {
        let forbidden: &[&str] = if source.is_core() {
            &["crate::host", "super::host", "crate::cli", "super::cli"]
        } else if source.is_host() {
            &["crate::cli", "super::cli", "cli::"]
        } else {
            &[]
        };
        found.extend(forbidden.iter().flat_map(|path| source.lines_with(path)));
    }
    assert_none(
        &found,
        "cli names host, host names the core, and nothing points the other way",
    );
}

#[test]
fn only_the_command_line_knows_clap_and_serde() {
    // What is written to a store or a wire has its shapes beside it.
    let is_shape = |source: &Source| source.name.ends_with("/shapes.rs");
    let mut found = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !(source.is_cli() || source.is_host() && is_shape(source)))
    {
        let code = source.code();
        let lines = code.lines().filter(|line| {
            words(line).any(|word| {
                ["clap", "serde", "serde_json", "Serialize", "Deserialize"].contains(&word)
            })
        });
        found.extend(lines.map(|line| format!("src/{}: {}", source.name, line.trim())));
    }
    assert_none(
        &found,
        "what goes out has its own struct, in cli or in a shapes.rs of host",
    );
}

#[test]
fn only_the_report_prints() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.name != "cli/output/report.rs")
        .flat_map(|source| {
            let macros = [
                "print!(",
                "println!(",
                "dbg!(",
                "io::stdout()",
                "io::stderr()",
            ];
            macros.map(|name| source.lines_with(name)).concat()
        })
        .collect();
    assert_none(
        &found,
        "everything that is printed goes through cli/output/report.rs",
    );
}

#[test]
fn nothing_is_left_to_do() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"]
                .iter()
                .any(|mark| line.contains(mark))
            {
                found.push(format!(
                    "src/{}:{}: {}",
                    source.name,
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert_none(&found, "what is unfinished is not shipped");
}

#[test]
fn every_file_says_what_it_is_for() {
    let tests = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let tests = tests.iter().map(|path| {
        let text = fs::read_to_string(path).expect("our files are text");
        (path.display().to_string(), text)
    });
    let all = sources()
        .into_iter()
        .map(|source| (format!("src/{}", source.name), source.text));
    let found: Vec<String> = all
        .chain(tests)
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    assert_none(&found, "a file begins with `//!` and its purpose");
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| !source.name.ends_with("tests.rs"))
        .map(|source| {
            let before_tests = source.text.split("#[cfg(test)]").next().unwrap_or_default();
            (&source.name, before_tests.lines().count())
        })
        .filter(|(_, lines)| *lines > LINES)
        .map(|(name, lines)| format!("src/{name}: {lines} lines"))
        .collect();
    assert_none(&found, "a file has at most 700 lines before its tests");
}

#[test]
fn no_test_file_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(root.join("main.rs")).expect("this binary has a main.rs");
    let found: Vec<String> = fs::read_dir(&root)
        .expect("the directory is there")
        .map(|child| child.expect("it can be listed").path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "main" && !main.lines().any(|line| line == format!("mod {name};")))
        .collect();
    assert_none(&found, "main.rs does not declare");
}

/// What no test may take from the machine itself: how it is written, what takes its place, and the files that may write it.
const OF_THE_MACHINE: [(&str, &str, &[&str]); 8] = [
    (
        "Command::new(",
        "`support::machine::tool` clears the caller's variables",
        &["support/machine.rs"],
    ),
    (
        "tempdir",
        "`support::machine::scratch` is free of access lists and links",
        &["support/machine.rs"],
    ),
    (
        "temp_dir()",
        "a test writes into its sandbox",
        &["support/machine.rs"],
    ),
    (
        "env::var",
        "variables of the caller are no matter, but for those by which a test is asked for more, or speaks to itself",
        &[
            "support/machine.rs",
            "support/project.rs",
            "cache_life.rs",
            "flatten.rs",
            "packers.rs",
            "properties.rs",
        ],
    ),
    (
        "/nonexistent",
        "somebody may have made it: a path in the sandbox, or `support::machine::absent`",
        &[],
    ),
    (
        "/no/such",
        "somebody may have made it: a path in the sandbox, or `support::machine::absent`",
        &[],
    ),
    (
        "tmpfs /var",
        "the checkout may lie there: `support::restricted::with_its_own_var`",
        &["support/restricted.rs"],
    ),
    (
        "/slashopt-it-",
        "`support::machine::absent`, but in names that no archive may have",
        &["support/machine.rs", "errors.rs"],
    ),
];

#[test]
fn tests_take_nothing_of_the_machine_for_granted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut found = Vec::new();
    for path in rust_files(&root) {
        let name = path.strip_prefix(&root).expect("it was found below");
        if name == Path::new("tidy.rs") || name.starts_with("tidy") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("our files are text");
        for (number, line) in text.lines().enumerate() {
            let broken = OF_THE_MACHINE.iter().filter(|(written, _, exceptions)| {
                let is_code = !line.trim_start().starts_with("//");
                let is_exception = exceptions.iter().any(|file| name == Path::new(file));
                is_code && line.contains(written) && !is_exception
            });
            found.extend(broken.map(|(written, instead, _)| {
                let name = name.display();
                format!("tests/it/{name}:{}: {written} ({instead})", number + 1)
            }));
        }
    }
    assert_none(&found, "a test brings what it needs");
}
