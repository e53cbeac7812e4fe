//! What a command sees at `/opt` is what `extract` makes of the same layers: names, kinds, modes, times, targets, bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::properties::{config, stack};
use crate::support::command::{Sandbox, skip_unless_root};
use crate::support::machine::tool;
use crate::support::zip::{Entry, archive, directory, file, link};

/// Lists all that can be told of a tree, and reads every file that may be read.
const LIST: &str = "export LC_ALL=C && cd \"$1\" && find . -printf '%P %y %m %T@ %l %n\\n' | sed 's/^\\(.* d .*\\) [0-9]*$/\\1/' | sort && \
    find . -type f -readable -print0 | sort -z | xargs -0r sha256sum";

fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    for name in ["home", "tmp", "work"] {
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(sandbox.root().join(name), mode).expect("it is ours");
    }
    Some(sandbox)
}

/// Compares what a command sees with what is extracted, by root and by nobody, cold and warm.
#[track_caller]
fn are_seen_as_extracted(sandbox: &Sandbox, layers: &[String], flags: &[&str]) {
    for is_nobody in [false, true] {
        let by = |words: Vec<&str>| {
            let cache = sandbox.home().join(format!(".cache-{is_nobody}"));
            let command = sandbox
                .command(words)
                .env("SLASHOPT_LAYERS", "")
                .env("XDG_CACHE_HOME", cache);
            let command = if is_nobody {
                command.by_nobody()
            } else {
                command
            };
            command.run().success()
        };
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        let into = format!("extracted-{is_nobody}");
        let root = if layers.is_empty() {
            let root = sandbox.mkdir(&into, 0o755);
            let touched = tool("touch")
                .args(["-d", "1980-01-01T00:00:00Z"])
                .arg(&root)
                .status();
            assert!(touched.is_ok_and(|status| status.success()));
            root
        } else {
            let root = sandbox.path(&into);
            by([&["extract", "--quiet", "--into", &into], flags, &layers].concat());
            root
        };
        let expected = tool("sh")
            .args(["-c", LIST, "sh"])
            .arg(&root)
            .output()
            .expect("there is a shell");
        // Root reads everything.
        let expected = String::from_utf8_lossy(&expected.stdout).into_owned();
        for temperature in ["cold", "warm"] {
            let before = ["exec", "--quiet", "--require-mount"];
            let words = [
                &before,
                flags,
                &layers,
                &["--", "sh", "-c", LIST, "sh", "/opt"],
            ]
            .concat();
            let seen = by(words);
            if is_nobody {
                // What he may not read, root may.
                let (listed, _) = seen.stdout().split_at(listing_bytes(seen.stdout()));
                let (wanted, _) = expected.split_at(listing_bytes(&expected));
                assert_eq!(listed, wanted, "nobody, {temperature}, {flags:?}");
                for line in seen.stdout().lines().skip(listed.lines().count()) {
                    assert!(expected.contains(line), "nobody, {temperature}: {line}");
                }
            } else {
                assert_eq!(seen.stdout(), expected, "root, {temperature}, {flags:?}");
            }
        }
        tool("rm")
            .arg("-rf")
            .arg(&root)
            .status()
            .expect("there is an rm");
    }
}

/// Where the checksums begin.
fn listing_bytes(text: &str) -> usize {
    let is_checksum = |line: &str| {
        line.split_once("  ./")
            .is_some_and(|(digest, _)| digest.trim_start_matches('\\').len() == 64)
    };
    text.split_inclusive('\n')
        .take_while(|line| !is_checksum(line.trim_end()))
        .map(str::len)
        .sum()
}

fn written(sandbox: &Sandbox, layers: impl IntoIterator<Item = Vec<Entry>>) -> Vec<String> {
    let numbered = layers.into_iter().enumerate();
    numbered
        .map(|(number, entries)| {
            let name = format!("layer-{number}.zip");
            sandbox.archive(&name, &archive(entries));
            name
        })
        .collect()
}

/// A layer that has something of its own, something that others have too, and a directory whose mode is its own.
fn layer(number: usize) -> Vec<Entry> {
    let seconds = 1_500_000_000 + i32::try_from(number).expect("there are few");
    vec![
        directory(format!("own-{number}/")).extended(seconds),
        file(format!("own-{number}/file"), format!("{number}")).extended(seconds),
        directory("shared/")
            .mode(if number.is_multiple_of(2) {
                0o755
            } else {
                0o775
            })
            .extended(seconds),
        file(format!("shared/{}", number % 7), format!("{number}"))
            .mode(0o640)
            .extended(seconds)
            .deflated(),
        link(format!("link-{}", number % 3), format!("own-{number}/file")).extended(seconds),
    ]
}

#[test]
fn of_any_number_of_layers() {
    let Some(sandbox) = sandbox() else { return };
    for count in [0, 1, 2, 5, 60, 61, 501] {
        let layers = written(&sandbox, (0..count).map(layer));
        are_seen_as_extracted(&sandbox, &layers, &["--quota", "off"]);
    }
}

#[test]
fn of_layers_that_stand_twice() {
    let Some(sandbox) = sandbox() else { return };
    let layers = written(&sandbox, (0..2).map(layer));
    let [one, two] = [&layers[0], &layers[1]].map(Clone::clone);
    for layers in [
        vec![one.clone(), one.clone()],
        vec![one.clone(), two.clone(), one.clone()],
        vec![two.clone(), one.clone(), two.clone(), two.clone()],
    ] {
        are_seen_as_extracted(&sandbox, &layers, &["--quota", "off"]);
    }
}

#[test]
fn of_layers_that_disagree_about_kinds() {
    let Some(sandbox) = sandbox() else { return };
    let stack = [
        vec![
            file("a/b/c", "1"),
            file("f", "1"),
            link("l", "a"),
            directory("d/").mode(0o777),
            file("d/x", "1"),
        ],
        vec![
            file("a", "2"),
            file("f/g", "2"),
            file("l/m", "2"),
            file("d", "2"),
        ],
        vec![
            file("a/b/d", "3"),
            link("f", "nowhere"),
            file("d/y", "3"),
            link("real", "a"),
        ],
        vec![file("real/below", "4"), file("f", "4").mode(0)],
    ];
    let layers = written(&sandbox, stack);
    for count in 1..=layers.len() {
        for policy in ["replace", "follow"] {
            let flags = ["--on-type-conflict", policy];
            are_seen_as_extracted(&sandbox, &layers[..count], &flags);
        }
    }
}

#[test]
fn of_names_that_mean_something_to_mount() {
    let Some(sandbox) = sandbox() else { return };
    let long = "n".repeat(250);
    let odd = [":", ",", "\\", "aa:b,c\\d", " ", "lowerdir=x", "\u{e4}"];
    let layers = written(
        &sandbox,
        (0..3).map(|number| {
            let mut entries = vec![file(format!("{long}/{long}/{number}"), "deep")];
            entries.extend(odd.map(|name| file(format!("{name}/{number}"), name)));
            entries
        }),
    );
    // And where they lie.
    sandbox.mkdir("a:b,c\\d", 0o755);
    let moved: Vec<String> = layers
        .iter()
        .map(|layer| {
            let to = format!("a:b,c\\d/{layer}");
            fs::rename(sandbox.path(layer), sandbox.path(&to)).expect("it is ours");
            to
        })
        .collect();
    are_seen_as_extracted(&sandbox, &moved, &[]);
    // A string that configures a file system has 255 bytes at the most.
    let deep = format!("cache:a,b\\c/{long}/{long}");
    for (calls, cache) in ["descriptors", "strings", "classic"]
        .into_iter()
        .flat_map(|calls| [(calls, "cache:a,b\\c"), (calls, &deep)])
    {
        let cache = sandbox.path(cache).display().to_string();
        let words = [
            &["exec", "--require-mount", "--cache-dir", &cache],
            moved
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
            &["--", "cat", "/opt/aa:b,c\\d/0"],
        ]
        .concat();
        let seen = sandbox
            .command(words)
            .env("SLASHOPT_MOUNT_CALLS", calls)
            .run()
            .success();
        assert_eq!(seen.stdout(), "aa:b,c\\d", "{calls}");
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn of_any_stack(stack in stack()) {
        let Some(sandbox) = sandbox() else { return Ok(()) };
        let written = stack.iter().enumerate().map(|(number, layer)| {
            let name = format!("layer-{number}.zip");
            sandbox.archive(&name, &layer.archive());
            name
        });
        let mut layers: Vec<String> = written.collect();
        // Every third stack has a layer twice.
        if layers.len().is_multiple_of(3) {
            layers.push(layers[0].clone());
        }
        for policy in ["replace", "follow"] {
            let flags = ["--quota", "off", "--on-type-conflict", policy];
            are_seen_as_extracted(&sandbox, &layers, &flags);
        }
    }
}

#[test]
fn of_every_fixture() {
    let Some(sandbox) = sandbox() else { return };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layers");
    let mut all: Vec<PathBuf> = fs::read_dir(fixtures)
        .expect("it is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "zip"))
        .collect();
    all.sort();
    let names: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(number, path)| {
            let name = format!("fixture-{number}.zip");
            sandbox.write(&name, fs::read(path).expect("it can be read"));
            name
        })
        .collect();
    for pair in names.windows(2) {
        are_seen_as_extracted(&sandbox, pair, &["--lenient"]);
    }
    are_seen_as_extracted(&sandbox, &names, &["--lenient", "--quota", "off"]);
}
