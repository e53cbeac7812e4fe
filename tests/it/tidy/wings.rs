//! The wings of the house: which may name which, and that no files import each other in a circle.
//!
//! A wing is a folder of `host` or of `cli`, or a file that lies there by itself. The core is one wing, and so is each of its folders
//! that the table names. Wings stand on floors: a wing names what stands below it, never what stands beside or above it.

use std::collections::{BTreeMap, BTreeSet};

use super::assert_none;
use super::imports::{Import, circles, imports, invented};
use super::source::{Source, sources};

/// How many files may lie directly in `host`, and in `cli`.
const FILES_IN_A_HALL: usize = 8;

/// The floors, the lowest first. Some wings have their place and no file yet.
const FLOORS: &[&[&str]] = &[
    &["core"],
    &["template", "weight"],
    &["host/error"],
    &["host/system"],
    &["host/mount", "host/read"],
    &[
        "host/check",
        "host/exec",
        "host/extract",
        "host/fetch",
        "host/image",
        "host/pack",
        "host/store",
        "host/watch",
    ],
    &["host/cache", "host/serve"],
    &["host"],
    &["cli/output"],
    &["cli/args"],
    &["cli/gate", "cli/layers"],
    &["cli/explain", "cli/run"],
    &["cli/explain/explore"],
    &["cli/build"],
    &["cli/documentation", "cli/registry"],
    &["cli"],
    &["main"],
];

/// Each wing with those that it may name.
#[rustfmt::skip]
const WINGS: &[(&str, &[&str])] = &[
    ("core", &[]),
    // Text in, functions with their layers out.
    ("template", &["core"]),
    // Where the bytes of a merged tree go.
    ("weight", &["core"]),

    ("host", &[]),
    ("host/error", &["core"]),
    ("host/system", &["core", "host/error"]),
    ("host/read", &["core", "host/error", "host/system"]),
    ("host/mount", &["core", "host/error", "host/system"]),
    ("host/check", &["core", "host/error", "host/system", "host/read"]),
    ("host/exec", &["core", "host/error", "host/system", "host/mount"]),
    ("host/extract", &["core", "host/error", "host/system", "host/read"]),
    // Layers from AWS, URLs, buckets and OCI registries: a digest and a source in, verified bytes out.
    ("host/fetch", &["core", "host/error", "host/system", "host/read"]),
    // OCI images from layers.
    ("host/image", &["core", "host/error", "host/system", "host/read"]),
    ("host/pack", &["core", "host/error", "host/system", "host/read"]),
    ("host/store", &["core", "host/error", "host/system", "host/read"]),
    // What becomes of files while somebody works on them.
    ("host/watch", &["core", "host/error", "host/system", "host/read"]),
    ("host/cache", &["core", "host/error", "host/system", "host/read", "host/extract"]),
    ("host/serve", &["core", "host/error", "host/system", "host/store"]),

    ("cli/output", &["core", "host/error", "host/system", "host/read", "host/extract", "host/store"]),
    ("cli/args", &["core", "host/mount", "cli/output"]),
    // Which findings are accepted: the rules file, the baseline, the formats.
    ("cli/gate", &["core", "host/error", "host/system", "host/check", "cli/output", "cli/args"]),
    ("cli/layers", &[
        "core", "host/error", "host/system", "host/read", "host/extract", "host/fetch", "host/store", "host/cache",
        "cli/output", "cli/args",
    ]),
    ("cli/explain", &[
        "core", "template", "weight", "host/error", "host/system", "host/read", "host/check", "host/extract", "host/pack",
        "cli/output", "cli/args", "cli/gate", "cli/layers",
    ]),
    // Panes over the values that the other commands print.
    ("cli/explain/explore", &[
        "core", "template", "weight", "host/error", "host/system", "host/read", "host/check",
        "cli/output", "cli/args", "cli/gate", "cli/layers", "cli/explain",
    ]),
    ("cli/run", &[
        "core", "template", "host/error", "host/system", "host/read", "host/mount", "host/exec", "host/extract", "host/watch",
        "host/cache", "cli/output", "cli/args", "cli/layers",
    ]),
    ("cli/build", &[
        "core", "template", "host/error", "host/system", "host/read", "host/check", "host/extract", "host/image", "host/pack",
        "host/watch", "host/cache", "cli/output", "cli/args", "cli/gate", "cli/layers", "cli/explain",
    ]),
    ("cli/registry", &[
        "core", "host/error", "host/system", "host/store", "host/serve", "cli/output", "cli/args", "cli/layers", "cli/build",
    ]),
    ("cli/documentation", &["cli/output"]),
    ("cli", &[
        "core", "host/error", "cli/output", "cli/args", "cli/layers", "cli/explain", "cli/explain/explore", "cli/run", "cli/build",
        "cli/registry", "cli/documentation",
    ]),
    ("main", &["cli"]),
];

/// The wings whose files are commands, or belong to one.
const COMMANDS: [&str; 4] = ["cli/build", "cli/explain", "cli/registry", "cli/run"];

/// Where the commands are listed.
const LISTS: [&str; 2] = ["cli/mod.rs", "cli/registry/mod.rs"];

/// The commands that use another one: `pack` checks what it wrote, `publish` packs directories, and `explore` shows what others print.
const COMMANDS_THAT_USE: [(&str, &str); 3] = [
    ("cli/build/pack", "cli/explain/check"),
    ("cli/registry/publish", "cli/build/pack"),
    ("cli/explain/explore", "cli/explain"),
];

/// Whether a file or folder is another one, or lies in it.
fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The wing of a file: the narrowest that the table names. One that is missing in the table is called by its folder.
fn wing_of(file: &str) -> &str {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let halls = ["host", "cli"];
    let named = WINGS.iter().map(|(wing, _)| *wing);
    let narrowest = named
        .filter(|wing| is_in(path, wing) && (path == *wing || !halls.contains(wing)))
        .max_by_key(|wing| wing.len());
    narrowest.unwrap_or_else(|| {
        let parts = path.split('/').take(2);
        let length = parts.map(|part| part.len() + 1).sum::<usize>() - 1;
        let is_core = !halls.iter().any(|hall| is_in(path, hall));
        if is_core { "core" } else { &path[..length] }
    })
}

/// The imports that the table does not allow, each with its files and its name.
fn breaches(imports: &[Import], wings: &[(&str, &[&str])]) -> Vec<String> {
    let wings: BTreeMap<&str, &[&str]> = wings.iter().copied().collect();
    let is_breach = |import: &&Import| {
        let (from, of) = (wing_of(&import.from), wing_of(&import.of));
        from != of && !wings.get(from).is_some_and(|named| named.contains(&of))
    };
    let breaches = imports.iter().filter(is_breach);
    breaches
        .map(|import| {
            let (from, of) = (wing_of(&import.from), wing_of(&import.of));
            let Import { name, .. } = import;
            format!(
                "src/{} takes {name} from src/{}: {from} may not name {of}",
                import.from, import.of
            )
        })
        .collect()
}

/// The imports by which one command uses another.
fn uses_of_commands(imports: &[Import]) -> Vec<String> {
    /// `cli/explain/check` for each of its files.
    fn command_of(file: &str) -> Option<&str> {
        COMMANDS.iter().find(|wing| is_in(file, wing))?;
        let end = file.match_indices(['/', '.']).nth(2)?.0;
        Some(&file[..end])
    }
    let listed = imports
        .iter()
        .filter(|import| LISTS.contains(&import.from.as_str()));
    let commands: BTreeSet<&str> = listed
        .filter_map(|import| command_of(&import.of))
        .filter(|command| !command.ends_with("/mod"))
        .collect();
    let command_of = |file| command_of(file).filter(|command| commands.contains(command));
    let mut uses = Vec::new();
    for import in imports {
        if let (Some(from), Some(of)) = (command_of(&import.from), command_of(&import.of))
            && from != of
            && !COMMANDS_THAT_USE
                .iter()
                .any(|(user, used)| is_in(from, user) && is_in(of, used))
        {
            uses.push(format!(
                "src/{} takes {} from src/{}",
                import.from, import.name, import.of
            ));
        }
    }
    uses
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found = circles(&imports(&sources()));
    assert_none(
        &found,
        "what two files need of each other belongs in a third, below both",
    );
}

#[test]
fn no_import_runs_back_up() {
    let found = breaches(&imports(&sources()), WINGS);
    assert_none(&found, "a wing names only what the table of wings allows");
}

#[test]
fn no_command_names_another_commands_file() {
    let found = uses_of_commands(&imports(&sources()));
    assert_none(
        &found,
        "what two commands need lies in a file below both, or in a wing of its own",
    );
}

#[test]
fn every_folder_stands_in_the_table_of_wings() {
    let sources = sources();
    let wings: BTreeSet<&str> = sources.iter().map(|source| wing_of(&source.name)).collect();
    let missing = wings
        .into_iter()
        .filter(|wing| WINGS.iter().all(|(known, _)| known != wing));
    let missing: Vec<String> = missing.map(|wing| format!("src/{wing}")).collect();
    assert_none(&missing, "the table of wings lacks");
}

#[test]
fn the_table_of_wings_names_no_wing_beside_or_above_another() {
    let floor = |wing: &str| FLOORS.iter().position(|floor| floor.contains(&wing));
    let mut found = Vec::new();
    for (wing, named) in WINGS {
        for other in *named {
            if floor(other).is_none() || floor(other) >= floor(wing) {
                found.push(format!("{wing} names {other}"));
            }
        }
    }
    assert_none(&found, "a wing names only what stands on a lower floor");
    let on_floors = FLOORS.iter().copied().flatten();
    let mut on_floors: Vec<&str> = on_floors.copied().collect();
    let mut in_table: Vec<&str> = WINGS.iter().map(|(wing, _)| *wing).collect();
    on_floors.sort_unstable();
    in_table.sort_unstable();
    assert_eq!(on_floors, in_table, "each wing stands on one floor");
}

#[test]
fn few_files_lie_directly_in_host_and_in_cli() {
    let sources = sources();
    for hall in ["host", "cli"] {
        let lies_there = |source: &&Source| {
            let parent = source.name.rsplit_once('/').map(|(parent, _)| parent);
            parent == Some(hall)
        };
        let files: Vec<String> = sources
            .iter()
            .filter(lies_there)
            .map(|source| format!("src/{}", source.name))
            .collect();
        assert!(
            files.len() <= FILES_IN_A_HALL,
            "at most {FILES_IN_A_HALL} files lie directly in src/{hall}, the others in a wing:\n{}",
            files.join("\n")
        );
    }
}

#[test]
fn a_wing_is_a_folder_or_a_file_that_lies_alone() {
    for (file, wing) in [
        ("lib.rs", "core"),
        ("check/rule.rs", "core"),
        ("template.rs", "template"),
        ("weight/of_layer.rs", "weight"),
        ("host/mod.rs", "host"),
        ("host/check.rs", "host/check"),
        ("host/cache/mod.rs", "host/cache"),
        ("host/attic/old.rs", "host/attic"),
        ("host/cached.rs", "host/cached"),
        ("cli/mod.rs", "cli"),
        ("cli/explain/which/module.rs", "cli/explain"),
        ("cli/explain/explore/panes.rs", "cli/explain/explore"),
        ("main.rs", "main"),
    ] {
        assert_eq!(wing_of(file), wing, "{file}");
    }
}

#[test]
fn a_breach_is_told_with_its_files_and_its_name() {
    let sources = invented(&[
        ("lib.rs", "pub mod merge;\npub mod host;"),
        ("merge.rs", "use crate::host::read::Source;"),
        (
            "host/mod.rs",
            "pub mod cache;\npub mod read;\npub mod attic;",
        ),
        ("host/read/mod.rs", "pub mod stack;"),
        (
            "host/read/stack.rs",
            "pub struct Stack(super::super::cache::Cache);",
        ),
        ("host/cache/mod.rs", "use crate::host::read::stack::Stack;"),
        ("host/attic.rs", "use crate::merge::MergedTree;"),
        ("main.rs", "mod cli;\nfn main() { cli::main() }"),
        (
            "cli/mod.rs",
            "mod explain;\nmod run;\nuse explain::{check, which};\nuse run::exec;",
        ),
        (
            "cli/explain/mod.rs",
            "pub(super) mod check;\npub(super) mod which;",
        ),
        (
            "cli/explain/check.rs",
            "use super::which::Place;\nuse crate::cli::run::words;",
        ),
        ("cli/explain/which.rs", "use slashopt::merge::MergedTree;"),
        (
            "cli/run/mod.rs",
            "pub(super) mod exec;\npub(super) mod words;",
        ),
        ("cli/run/exec.rs", "use super::words::shown;"),
        ("cli/run/words.rs", ""),
    ]);
    let imports = imports(&sources);
    assert_eq!(
        breaches(&imports, WINGS),
        [
            "src/cli/explain/check.rs takes (module) from src/cli/run/words.rs: cli/explain may not name cli/run",
            "src/host/attic.rs takes MergedTree from src/merge.rs: host/attic may not name core",
            "src/host/read/stack.rs takes Cache from src/host/cache/mod.rs: host/read may not name host/cache",
            "src/merge.rs takes Source from src/host/read/mod.rs: core may not name host/read",
        ]
    );
    assert_eq!(
        uses_of_commands(&imports),
        ["src/cli/explain/check.rs takes Place from src/cli/explain/which.rs"]
    );
    assert_eq!(
        circles(&imports),
        ["a circle of 2 files:\
          \n  src/host/cache/mod.rs takes from src/host/read/stack.rs: Stack\
          \n  src/host/read/stack.rs takes from src/host/cache/mod.rs: Cache"]
    );
}
