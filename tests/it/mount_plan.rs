//! What is mounted is what is extracted: the kernel's own overlay of the cached trees against `extract`, for generated stacks
//! and for the ones that overlay is known to be difficult about.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use proptest::prelude::*;
use serde_json::Value;

use slashopt::host::cache::{Building, Cache, Ready, StackPolicy};
use slashopt::host::read::input::LayerInput;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::durability::Durability;
use slashopt::plan::OnTypeConflict;

use crate::properties::{config, stack};
use crate::support::command::{Sandbox, is_root};
use crate::support::tree::{DOS_EPOCH, Node, Tree};
use crate::support::zip::{Entry, archive, directory, file, link};

/// The option of the program, and what it means.
const POLICIES: [(&str, OnTypeConflict); 2] = [
    ("replace", OnTypeConflict::Replace),
    ("follow", OnTypeConflict::Follow),
];

/// What a stack is, its layers' entries, and how it is mounted under each policy.
type Case = (&'static str, Vec<Vec<Entry>>, [&'static str; 2]);

/// Puts layers into the sandbox's cache and takes the stack out of it, ready to be mounted.
fn ready(sandbox: &Sandbox, layers: &[String], (flag, policy): (&str, OnTypeConflict)) -> Ready {
    let cache = sandbox.path("cache");
    let inputs = if layers.is_empty() {
        Vec::new()
    } else {
        added(sandbox, layers, flag)
    };
    let policy = StackPolicy {
        on_type_conflict: policy,
        ..StackPolicy::default()
    };
    let building = Building {
        threads: Some(1),
        durability: Durability::Fast,
        describe: |error| panic!("nothing has to be built: {error}"),
    };
    let ready = Cache::open(&CacheFolder::new(Some(&cache), |_| None))
        .and_then(|cache| cache.prepare(&inputs, &policy, &building))
        .expect("the stack is in the cache");
    assert!(ready.is_warm, "what was added is there");
    ready
}

/// Puts layers into the sandbox's cache; their names in it.
fn added(sandbox: &Sandbox, layers: &[String], flag: &str) -> Vec<LayerInput> {
    let mut arguments = vec!["cache", "add", "--cache-dir", "cache", "--format", "json"];
    arguments.extend(["--quota", "off", "--on-type-conflict", flag]);
    arguments.extend(layers.iter().map(String::as_str));
    let added: Value = sandbox.slashopt(arguments).success().json();
    added["layers"]
        .as_array()
        .expect("a list of layers")
        .iter()
        .map(|layer| layer["digest"].as_str().expect("a digest"))
        .map(|digest| LayerInput::Cached {
            name: digest.to_owned(),
            digest: digest.parse().expect("a digest"),
        })
        .collect()
}

/// An overlay, unmounted with the value.
struct Overlay(PathBuf);

impl Overlay {
    fn of(ready: &Ready, target: &Path) -> Self {
        // Several hundred names fit into one page only if they are short; the topmost comes first.
        let lower = ready.directories.iter().rev();
        let lower: Vec<String> = lower
            .map(|directory| format!("/proc/self/fd/{}", directory.as_raw_fd()))
            .collect();
        let options = format!("lowerdir={}", lower.join(":"));
        let kind = Some("overlay");
        mount(
            kind,
            target,
            kind,
            MsFlags::MS_RDONLY,
            Some(options.as_str()),
        )
        .unwrap_or_else(|error| panic!("cannot mount {} trees: {error}", lower.len()));
        Self(target.to_owned())
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let unmounted = umount2(&self.0, MntFlags::MNT_DETACH);
        debug_assert!(unmounted.is_ok(), "what was mounted can be unmounted");
    }
}

/// What a command would see.
fn shown(sandbox: &Sandbox, ready: &Ready) -> Tree {
    match ready.directories.as_slice() {
        [] => empty(),
        [_] => Tree::read(&sandbox.path("cache/trees").join(&ready.names[0])),
        _ => {
            let target = sandbox.path("mounted");
            if !target.exists() {
                sandbox.mkdir("mounted", 0o755);
            }
            let _mounted = Overlay::of(ready, &target);
            Tree::read(&target)
        }
    }
}

fn extracted(sandbox: &Sandbox, layers: &[String], flag: &str) -> Tree {
    if layers.is_empty() {
        return empty();
    }
    let into = format!("extracted-{flag}");
    let mut arguments = vec!["extract", "--into", &into, "--replace", "--quota", "off"];
    arguments.extend(["--on-type-conflict", flag]);
    arguments.extend(layers.iter().map(String::as_str));
    sandbox.slashopt(arguments).success();
    sandbox.tree(&into)
}

fn empty() -> Tree {
    let root = Node::Directory {
        mode: 0o755,
        mtime: DOS_EPOCH,
    };
    Tree([(Vec::new(), root)].into())
}

/// How a stack is mounted: `empty`, `bind`, `overlay`, `corrected`, `merged`.
fn way(ready: &Ready) -> &'static str {
    let is_own = |kind: &str| ready.names.iter().any(|name| name.starts_with(kind));
    match ready.names.len() {
        0 => "empty",
        _ if is_own("1m-") => "merged",
        _ if is_own("1c-") => "corrected",
        1 => "bind",
        _ => "overlay",
    }
}

/// Mounts a stack under both policies, compares, and tells how it was mounted under each.
#[track_caller]
fn check(sandbox: &Sandbox, layers: &[String]) -> [&'static str; 2] {
    POLICIES.map(|policy| {
        let ready = ready(sandbox, layers, policy);
        let found = shown(sandbox, &ready);
        found.assert_is(&extracted(sandbox, layers, policy.0));
        way(&ready)
    })
}

fn skip() -> bool {
    if !is_root() {
        eprintln!("skipped: only root can mount an overlay for everybody to see");
    }
    !is_root()
}

/// Writes each list of entries as a layer.
fn written(sandbox: &Sandbox, layers: impl IntoIterator<Item = Vec<Entry>>) -> Vec<String> {
    let written = layers.into_iter().enumerate().map(|(number, entries)| {
        let name = format!("{number}.zip");
        sandbox.archive(&name, &archive(entries));
        name
    });
    written.collect()
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn what_overlay_shows_is_what_is_extracted(stack in stack()) {
        if skip() {
            return Ok(());
        }
        let sandbox = Sandbox::new();
        let mut layers = Vec::new();
        for (number, layer) in stack.iter().enumerate() {
            let name = format!("{number}.zip");
            sandbox.archive(&name, &layer.archive());
            layers.push(name);
        }
        // Every third stack has a layer twice.
        if stack.len() % 3 == 0 {
            layers.push(layers[0].clone());
        }
        check(&sandbox, &layers);
    }
}

#[test]
fn each_way_of_mounting_is_taken_where_it_is_the_cheapest_that_is_right() {
    if skip() {
        return;
    }
    let plain = || vec![file("a/x", "1"), file("b", "2")];
    let cases: [Case; 9] = [
        ("one layer", vec![plain()], ["bind"; 2]),
        ("the same twice", vec![plain(), plain()], ["bind"; 2]),
        (
            "two layers",
            vec![plain(), vec![file("a/y", "3")]],
            ["overlay"; 2],
        ),
        (
            "an implied directory over an explicit one",
            vec![
                vec![directory("a/").mode(0o700 | 0o555)],
                vec![file("a/y", "3")],
            ],
            ["corrected"; 2],
        ),
        (
            "an implied directory over one with another mode",
            vec![
                vec![directory("a/b/").mode(0o775), file("a/b/x", "1")],
                vec![file("a/b/y", "3"), directory("a/").mode(0o711 | 0o555)],
            ],
            ["corrected"; 2],
        ),
        (
            "a file between two directories",
            vec![
                vec![file("d/1", "1")],
                vec![file("d", "2")],
                vec![file("d/3", "3")],
            ],
            ["overlay"; 2],
        ),
        (
            "a directory over a link to a directory",
            vec![
                vec![file("real/1", "1"), link("d", "real")],
                vec![file("d/2", "2")],
            ],
            ["overlay", "merged"],
        ),
        (
            "a link over a directory",
            vec![
                vec![file("d/2", "2")],
                vec![file("real/1", "1"), link("d", "real")],
            ],
            ["overlay"; 2],
        ),
        (
            "an empty layer above",
            vec![plain(), vec![]],
            ["overlay"; 2],
        ),
    ];
    for (name, layers, expected) in cases {
        let sandbox = Sandbox::new();
        let layers = written(&sandbox, layers);
        eprintln!("{name}");
        let ways = check(&sandbox, &layers);
        assert_eq!(ways, expected, "{name}");
    }
}

#[test]
fn any_number_of_layers_can_be_mounted() {
    if skip() {
        return;
    }
    for (count, expected) in [
        (0, "empty"),
        (1, "bind"),
        (2, "overlay"),
        (5, "overlay"),
        (60, "overlay"),
        (61, "merged"),
        (501, "merged"),
    ] {
        let sandbox = Sandbox::new();
        let layers = written(
            &sandbox,
            (0..count).map(|number| {
                vec![
                    file(format!("own/{number}"), number.to_string()),
                    file("shared", number.to_string()),
                    directory("own/"),
                ]
            }),
        );
        assert_eq!(check(&sandbox, &layers), [expected; 2], "{count} layers");
    }
}

#[test]
fn sixty_layers_that_need_corrections_are_merged() {
    if skip() {
        return;
    }
    for (count, expected) in [(59, "corrected"), (60, "merged")] {
        let sandbox = Sandbox::new();
        let layers = written(
            &sandbox,
            (0..count).map(|number| match number {
                0 => vec![directory("d/").mode(0o775)],
                _ => vec![file(format!("d/{number}"), "x")],
            }),
        );
        assert_eq!(check(&sandbox, &layers), [expected; 2], "{count} layers");
    }
}

#[test]
fn a_layer_that_stands_twice_is_mounted_once() {
    if skip() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut layers = written(
        &sandbox,
        [
            vec![file("a", "1"), file("d/x", "1"), file("only/1", "1")],
            vec![
                file("a", "2"),
                file("d", "2"),
                directory("only/").mode(0o775),
            ],
        ],
    );
    layers.push(layers[0].clone());
    check(&sandbox, &layers);
    layers.push(layers[1].clone());
    check(&sandbox, &layers);
}

#[test]
fn names_that_mean_something_to_mount_are_names() {
    if skip() {
        return;
    }
    let long = ["l".repeat(150), "m".repeat(148)].join("/");
    let names = [
        "a:b",
        "a,b",
        "a\\b",
        "a b\\,:",
        "lowerdir=x",
        ".wh.a",
        ".wh..wh..opq",
        &long,
    ];
    let sandbox = Sandbox::new();
    let layers = written(
        &sandbox,
        (0..3).map(|number| {
            let entries = names
                .iter()
                .map(|name| file(format!("d/{name}"), number.to_string()));
            let own = [file(format!("d/in {}/{number}", names[number]), "x")];
            entries.chain(own).collect()
        }),
    );
    assert_eq!(check(&sandbox, &layers), ["overlay"; 2]);
}
