//! `diff`: the whole of what it says of small layers, the differences that the model and git give, and that bytes decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::{OnTypeConflict, merge};
use crate::properties::{Layer, config, entries, stack};
use crate::real_layers::{printed, real};
use crate::support::command::{
    Finished, Sandbox, skip_where_modes_forbid, skip_without, without_colours,
};
use crate::support::machine::tool;
use crate::support::tree::{Node, Tree};
use crate::support::zip::{Archive, Entry, Field, archive, crc32, directory, file, link};

/// A sandbox with these layers.
fn sandbox<const N: usize>(layers: [(&str, Archive); N]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, layer) in layers {
        sandbox.archive(name, &layer);
    }
    sandbox
}

fn diff(sandbox: &Sandbox, arguments: &str) -> Finished {
    sandbox.slashopt(["diff"].into_iter().chain(arguments.split_whitespace()))
}

fn package(name: &str, version: &str, more: &[(&str, &str)]) -> Vec<Entry> {
    let folder = format!("nodejs/node_modules/{name}");
    let manifest = format!("{{\"name\":\"{name}\",\"version\":\"{version}\"}}");
    let mut files = vec![file(format!("{folder}/package.json"), manifest)];
    for (path, content) in more {
        files.push(file(format!("{folder}/{path}"), content));
    }
    files
}

/// A layer and what became of it.
fn two_versions() -> Sandbox {
    let mut old = package("kept", "1.0.0", &[("index.js", "kept")]);
    old.extend(package(
        "moved",
        "1.0.0",
        &[("index.js", "one"), ("gone.js", "one")],
    ));
    old.extend(package("gone", "0.9.0", &[("index.js", "one")]));
    old.extend([
        file("bin/tool", "one").mode(0o644),
        file("etc/content", "short"),
        file("etc/same-size", "one"),
        file("etc/both", "one").mode(0o600),
        file("etc/same", "one"),
        link("current", "one"),
        file("lib64/a", "aa"),
        file("lib64/b/c", "cc"),
        directory("empty/"),
        directory("mode/").mode(0o755),
        file("mode/f", ""),
        file("README", "1"),
    ]);
    let mut new = package("kept", "1.0.0", &[("index.js", "changed")]);
    new.extend(package("moved", "2.0.0", &[("index.js", "two")]));
    new.extend(package("@scope/new", "1.0.0", &[("index.js", "one")]));
    new.extend([
        file("bin/tool", "one").mode(0o755),
        file("etc/content", "longer"),
        file("etc/same-size", "two"),
        file("etc/both", "two").mode(0o644),
        file("etc/same", "one"),
        link("current", "two"),
        link("lib64", "lib"),
        directory("mode/").mode(0o775),
        file("mode/f", ""),
        file("data/x/1", "1"),
        file("data/x/2", "22"),
        file("data/y", "333"),
        directory("void/"),
        file("README", "1"),
    ]);
    sandbox([("old.zip", archive(old)), ("new.zip", archive(new))])
}

// ---- text ---------------------------------------------------------------------------------------------------------------------

#[test]
fn everything_is_told_from_the_top() {
    let said = diff(&two_versions(), "old.zip new.zip").status(1);
    assert_eq!(
        said.stdout(),
        "\
packages: 1 added, 1 removed, 1 changed; files: 6 added, 6 removed, 10 changed; 135 -> 144 bytes (+9)
left: layer 1: old.zip
right: layer 1: new.zip

packages
  + node @scope/new: 1.0.0
  - node gone: 0.9.0
  ~ node moved: 1.0.0 -> 2.0.0

files
  ~ bin/tool: mode 0644 -> 0755
  ~ current: link to one -> link to two
  + data/: 3 files, 6 bytes
  - empty: empty directory
  ~ etc/both: other content, 3 bytes, mode 0600 -> 0644
  ~ etc/content: 5 -> 6 bytes (+1)
  ~ etc/same-size: other content, 3 bytes
  ~ lib64: directory -> link to lib
  - lib64/: 2 files, 4 bytes
  ~ mode: mode 0755 -> 0775
  ~ nodejs/node_modules/kept/index.js: 4 -> 7 bytes (+3)
  + void: empty directory
  of the packages above: 7 paths (--all)

sizes
  + data/: 0 -> 6 bytes (+6)
  ~ etc/: 14 -> 15 bytes (+1)
  - lib64/: 4 -> 0 bytes (-4)
  ~ nodejs/: 113 -> 119 bytes (+6)
"
    );
    assert_eq!(said.stderr(), "");
}

#[test]
fn all_lists_every_path() {
    let said = diff(&two_versions(), "old.zip new.zip --all").status(1);
    assert_eq!(
        said.stdout(),
        "\
packages: 1 added, 1 removed, 1 changed; files: 6 added, 6 removed, 10 changed; 135 -> 144 bytes (+9)
left: layer 1: old.zip
right: layer 1: new.zip

packages
  + node @scope/new: 1.0.0
  - node gone: 0.9.0
  ~ node moved: 1.0.0 -> 2.0.0

files
  ~ bin/tool: mode 0644 -> 0755
  ~ current: link to one -> link to two
  + data/x/1: 1 byte
  + data/x/2: 2 bytes
  + data/y: 3 bytes
  - empty: empty directory
  ~ etc/both: other content, 3 bytes, mode 0600 -> 0644
  ~ etc/content: 5 -> 6 bytes (+1)
  ~ etc/same-size: other content, 3 bytes
  ~ lib64: directory -> link to lib
  - lib64/a: 2 bytes
  - lib64/b/c: 2 bytes
  ~ mode: mode 0755 -> 0775
  + nodejs/node_modules/@scope/new/index.js: 3 bytes
  + nodejs/node_modules/@scope/new/package.json: 39 bytes
  - nodejs/node_modules/gone/index.js: 3 bytes
  - nodejs/node_modules/gone/package.json: 33 bytes
  ~ nodejs/node_modules/kept/index.js: 4 -> 7 bytes (+3)
  - nodejs/node_modules/moved/gone.js: 3 bytes
  ~ nodejs/node_modules/moved/index.js: other content, 3 bytes
  ~ nodejs/node_modules/moved/package.json: other content, 34 bytes
  + void: empty directory

sizes
  + data/: 0 -> 6 bytes (+6)
  ~ etc/: 14 -> 15 bytes (+1)
  - lib64/: 4 -> 0 bytes (-4)
  ~ nodejs/: 113 -> 119 bytes (+6)
"
    );
}

#[test]
fn what_is_the_same_is_one_line_and_status_0() {
    let layer = || archive([file("a", "x").extended(7), link("l", "a"), directory("d/")]);
    let other_times = archive([
        file("./a", "x").deflated().extended(9),
        link("l", "a").extended(9),
        directory("d"),
    ]);
    let sandbox = sandbox([
        ("1.zip", layer()),
        ("2.zip", layer()),
        ("3.zip", other_times),
    ]);
    assert_eq!(
        diff(&sandbox, "1.zip 2.zip").success().stdout(),
        "\
the same: packages: 0 added, 0 removed, 0 changed; files: 0 added, 0 removed, 0 changed; 1 byte
left: layer 1: 1.zip
right: layer 1: 2.zip
"
    );
    diff(&sandbox, "1.zip 2.zip --times").success();
    diff(&sandbox, "1.zip 1.zip --times").success();
}

#[test]
fn times_count_only_if_they_are_asked_for() {
    let layer = |seconds| {
        archive([
            file("a", "x").extended(seconds),
            link("l", "a").extended(seconds),
            directory("d/").extended(seconds),
            file("same", "").extended(1),
        ])
    };
    let sandbox = sandbox([
        ("1.zip", layer(1_000_000_000)),
        ("2.zip", layer(1_000_000_060)),
    ]);
    diff(&sandbox, "1.zip 2.zip").success();
    let said = diff(&sandbox, "1.zip 2.zip --times").status(1);
    for path in ["a", "l", "d"] {
        let line = format!("  ~ {path}: time 2001-09-09T01:46:40Z -> 2001-09-09T01:47:40Z\n");
        assert!(said.stdout().contains(&line), "{}", said.stdout());
    }
    let json = diff(&sandbox, "1.zip 2.zip --times --format json")
        .status(1)
        .json();
    assert_eq!(json["summary"]["files"]["changed"], 3);
    let first = &json["files"]["changed"][0];
    assert_eq!(first["changes"], json!(["time"]));
    assert_eq!(first["left"]["mtime"], 1_000_000_000);
    assert_eq!(first["right"]["mtime"], 1_000_000_060);
}

#[test]
fn long_lists_are_capped_and_say_so() {
    let layer = |content: &str| archive((0..50).map(|n| file(format!("f{n:02}"), content)));
    let sandbox = sandbox([("1.zip", layer("1")), ("2.zip", layer("2"))]);
    let said = diff(&sandbox, "1.zip 2.zip").status(1);
    assert_eq!(said.stdout().matches("\n  ~ f").count(), 40);
    assert!(said.stdout().contains("\n  … and 10 more (--all)\n"));
    let said = diff(&sandbox, "1.zip 2.zip --all").status(1);
    assert_eq!(said.stdout().matches("\n  ~ f").count(), 50);
}

#[test]
fn colour_is_never_the_only_sign() {
    let sandbox = two_versions();
    let plain = diff(&sandbox, "old.zip new.zip").status(1);
    assert!(!plain.stdout().contains('\x1b'), "to a pipe");
    let coloured = diff(&sandbox, "old.zip new.zip --color always").status(1);
    for (sign, code) in [('+', 32), ('~', 33), ('-', 31)] {
        let begin = format!("\n  \x1b[{code}m{sign} ");
        assert!(coloured.stdout().contains(&begin), "{}", coloured.stdout());
        assert!(plain.stdout().contains(&format!("\n  {sign} ")));
    }
    assert_eq!(without_colours(coloured.stdout()), plain.stdout());
}

// ---- stacks, bytes, failures --------------------------------------------------------------------------------------------------

#[test]
fn stacks_are_compared_as_they_merge() {
    let sandbox = sandbox([
        ("base.zip", archive([file("a", "1"), file("b", "1")])),
        ("over.zip", archive([file("a", "2")])),
        ("flat.zip", archive([file("a", "2"), file("b", "1")])),
    ]);
    diff(&sandbox, "--left base.zip over.zip --right flat.zip").success();
    let said = diff(
        &sandbox,
        "--left over.zip base.zip --right flat.zip --format json",
    )
    .status(1);
    let said = said.json();
    assert_eq!(said["layers"]["left"].as_array().map(Vec::len), Some(2));
    assert_eq!(said["layers"]["right"][0]["source"], "flat.zip");
    assert_eq!(said["files"]["changed"][0]["path"], "a");
    assert_eq!(said["files"]["changed"][0]["left"]["layer"], 2);
    assert_eq!(said["files"]["changed"][0]["right"]["layer"], 1);
}

#[test]
fn bytes_decide_where_size_and_checksum_agree() {
    // A pair of words with one CRC-32.
    let sandbox = sandbox([
        ("1.zip", archive([file("f", "plumless")])),
        ("2.zip", archive([file("f", "buckeroo").deflated()])),
        ("3.zip", archive([file("f", "plumless").deflated()])),
    ]);
    let json = diff(&sandbox, "1.zip 2.zip --format json").status(1).json();
    assert_eq!(json["files"]["changed"][0]["changes"], json!(["content"]));
    diff(&sandbox, "1.zip 3.zip").success();
}

#[test]
fn a_directory_is_compared_with_an_archive_by_its_bytes() {
    let mut large = vec![b'x'; 3 << 20];
    let sandbox = Sandbox::new();
    let layer = archive([
        file("large", &large).deflated(),
        file("small", "s"),
        file("none", ""),
    ]);
    sandbox.archive("1.zip", &layer);
    sandbox.mkdir("d", 0o755);
    sandbox.write("d/large", &large);
    sandbox.write("d/small", "s");
    sandbox.write("d/none", "");
    diff(&sandbox, "1.zip d").success();
    diff(&sandbox, "d 1.zip").success();
    large[2 << 20] = b'y';
    sandbox.write("d/large", &large);
    let json = diff(&sandbox, "1.zip d --format json").status(1).json();
    assert_eq!(
        json["summary"]["files"],
        json!({"added": 0, "removed": 0, "changed": 1})
    );
    assert_eq!(json["files"]["changed"][0]["changes"], json!(["content"]));
}

#[test]
fn only_what_must_be_compared_is_read() {
    let damaged = |name: &str| {
        let crc = crc32(b"x1");
        file(name, "y1").in_both(Field::Crc, crc.into())
    };
    let sandbox = sandbox([
        (
            "1.zip",
            archive([damaged("crc"), damaged("size"), damaged("alone")]),
        ),
        ("2.zip", archive([file("crc", "x2"), file("size", "xx1")])),
        ("3.zip", archive([file("crc", "x1")])),
    ]);
    diff(&sandbox, "1.zip 2.zip").status(1);
    diff(&sandbox, "1.zip 3.zip")
        .status(3)
        .says("layer 1 of 1 (`1.zip`): entry `crc`");
}

#[test]
fn usage_is_judged() {
    let sandbox = sandbox([("1.zip", archive([file("f", "")]))]);
    for arguments in [
        "1.zip",
        "1.zip 1.zip 1.zip",
        "--left 1.zip",
        "--right 1.zip",
        "1.zip --left 1.zip --right 1.zip",
        "- -",
        "--left - --right -",
        "1.zip 1.zip --format csv",
    ] {
        diff(&sandbox, arguments).status(2);
    }
    diff(&sandbox, "1.zip missing.zip")
        .status(4)
        .says("the right side: layer 1 of 1 (`missing.zip`)");
    // Layers in the environment are not meant: a comparison names both of its sides.
    let bare = sandbox.command(["diff"]).env("SLASHOPT_LAYERS", "1.zip");
    bare.run().status(2);
    let zip = archive([file("f", "")]).bytes();
    let piped = sandbox.command(["diff", "-", "1.zip"]).stdin(zip).run();
    piped.success();
}

// ---- JSON ---------------------------------------------------------------------------------------------------------------------

#[test]
fn the_object_is_that_of_the_contract() {
    let json = diff(&two_versions(), "old.zip new.zip --format json")
        .status(1)
        .json();
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["files", "layers", "packages", "schema_version", "summary"]
    );
    assert_eq!(json["schema_version"], 1);
    assert_eq!(
        json["packages"],
        json!({
            "added": [{
                "ecosystem": "node", "name": "@scope/new", "key": "@scope/new", "left": [],
                "right": [{"layer": 1, "version": "1.0.0", "path": "nodejs/node_modules/@scope/new"}],
            }],
            "removed": [{
                "ecosystem": "node", "name": "gone", "key": "gone", "right": [],
                "left": [{"layer": 1, "version": "0.9.0", "path": "nodejs/node_modules/gone"}],
            }],
            "changed": [{
                "ecosystem": "node", "name": "moved", "key": "moved",
                "left": [{"layer": 1, "version": "1.0.0", "path": "nodejs/node_modules/moved"}],
                "right": [{"layer": 1, "version": "2.0.0", "path": "nodejs/node_modules/moved"}],
            }],
        })
    );
    let crc = |content: &str| format!("{:08x}", crc32(content.as_bytes()));
    let the = |kind: &str, path: &str| {
        let all = json["files"][kind].as_array().expect("a list");
        let found = all.iter().find(|one| one["path"] == path);
        found.unwrap_or_else(|| panic!("{path} is {kind}")).clone()
    };
    assert_eq!(
        the("changed", "etc/both"),
        json!({
            "path": "etc/both",
            "changes": ["content", "mode"],
            "left": {"layer": 1, "kind": "file", "mode": "0600", "size": 3, "crc32": crc("one")},
            "right": {"layer": 1, "kind": "file", "mode": "0644", "size": 3, "crc32": crc("two")},
        })
    );
    assert_eq!(the("changed", "lib64")["changes"], json!(["kind"]));
    assert_eq!(the("changed", "lib64")["right"]["target"], "lib");
    assert_eq!(the("changed", "current")["changes"], json!(["target"]));
    assert_eq!(the("removed", "empty")["kind"], "directory");
    assert_eq!(
        the("added", "data/y"),
        json!({"path": "data/y", "layer": 1, "kind": "file", "mode": "0644", "size": 3, "crc32": crc("333")})
    );
    assert_eq!(
        json["summary"]["packages"],
        json!({"added": 1, "removed": 1, "changed": 1})
    );
    let top = json["summary"]["directories"].as_array().expect("a list");
    let data = top.iter().find(|one| one["path"] == "data");
    assert_eq!(data, Some(&json!({"path": "data", "left": 0, "right": 6})));
    let sum = |side: &str| top.iter().filter_map(|one| one[side].as_u64()).sum::<u64>();
    assert_eq!(
        json["summary"]["size"],
        json!({"left": sum("left"), "right": sum("right")})
    );
}

// ---- every pair of stacks -----------------------------------------------------------------------------------------------------

/// What happened to each path: `A`, `D`, or what changed.
type Changes = BTreeMap<Vec<u8>, String>;

/// The difference of two trees by the most obvious code there is.
fn naive(left: &Tree, right: &Tree) -> Changes {
    let mut changes = Changes::new();
    let paths: BTreeSet<&Vec<u8>> = left.0.keys().chain(right.0.keys()).collect();
    let has_contents = |tree: &Tree, path: &[u8]| {
        let prefix = [path, b"/"].concat();
        tree.0.keys().any(|other| other.starts_with(&prefix))
    };
    for path in paths.into_iter().filter(|path| !path.is_empty()) {
        let aspects = match (left.0.get(path), right.0.get(path)) {
            (Some(Node::Directory { .. }), None) if has_contents(left, path) => continue,
            (None, Some(Node::Directory { .. })) if has_contents(right, path) => continue,
            (Some(_), None) => vec!["D"],
            (None, Some(_)) => vec!["A"],
            (Some(one), Some(other)) => aspects(one, other),
            (None, None) => vec![],
        };
        if !aspects.is_empty() {
            changes.insert(path.clone(), aspects.join(" "));
        }
    }
    changes
}

fn aspects(one: &Node, other: &Node) -> Vec<&'static str> {
    let differing = |pairs: &[(bool, &'static str)]| {
        let differing = pairs.iter().filter(|(differs, _)| *differs);
        differing.map(|(_, name)| *name).collect()
    };
    let time = |node: &Node| match node {
        Node::Directory { mtime, .. } | Node::File { mtime, .. } | Node::Link { mtime, .. } => {
            *mtime
        }
        Node::Other => 0,
    };
    let time = (time(one) != time(other), "time");
    match (one, other) {
        (Node::Directory { mode, .. }, Node::Directory { mode: after, .. }) => {
            differing(&[(mode != after, "mode"), time])
        }
        (
            Node::File { mode, bytes, .. },
            Node::File {
                mode: after,
                bytes: written,
                ..
            },
        ) => differing(&[(bytes != written, "content"), (mode != after, "mode"), time]),
        (Node::Link { target, .. }, Node::Link { target: after, .. }) => {
            differing(&[(target != after, "target"), time])
        }
        _ => vec!["kind"],
    }
}

fn bytes_of(path: &Value, bytes: &Value) -> Vec<u8> {
    use std::io::Write as _;
    let Some(encoded) = bytes.as_str() else {
        return path.as_str().expect("a path").into();
    };
    let mut child = tool("base64")
        .arg("-d")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64 starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(encoded.as_bytes()).expect("it reads");
    drop(input);
    child.wait_with_output().expect("it ends").stdout
}

/// What we say happened.
fn said(json: &Value) -> Changes {
    let mut changes = Changes::new();
    for kind in ["added", "removed", "changed"] {
        for one in json["files"][kind].as_array().expect("a list") {
            let what = match kind {
                "added" => "A".to_owned(),
                "removed" => "D".to_owned(),
                _ => {
                    let aspects = one["changes"].as_array().expect("a list");
                    let words: Vec<&str> = aspects.iter().filter_map(Value::as_str).collect();
                    words.join(" ")
                }
            };
            let before = changes.insert(bytes_of(&one["path"], &one["path_bytes"]), what);
            assert_eq!(before, None, "a path is told once");
        }
    }
    changes
}

fn size(tree: &Tree) -> u64 {
    let sizes = tree.0.values().map(|node| match node {
        Node::File { bytes, .. } => bytes.len() as u64,
        _ => 0,
    });
    sizes.sum()
}

/// Writes the archives of a side; their names.
fn write_side(sandbox: &Sandbox, side: &str, layers: &[Layer]) -> Vec<String> {
    let names = layers.iter().enumerate().map(|(number, layer)| {
        let name = format!("{side}{number}.zip");
        sandbox.archive(&name, &layer.archive());
        name
    });
    names.collect()
}

fn compared(sandbox: &Sandbox, left: &[Layer], right: &[Layer], more: &str) -> Finished {
    let left = write_side(sandbox, "l", left).join(" ");
    let right = write_side(sandbox, "r", right).join(" ");
    diff(
        sandbox,
        &format!("--left {left} --right {right} --quota off --format json {more}"),
    )
}

fn tree(layers: &[Layer]) -> Tree {
    merge(&entries(layers), OnTypeConflict::Replace).tree()
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn the_difference_is_that_of_the_trees_of_the_model(layers in stack(), others in stack()) {
        for (left, right) in [(&layers[..1], &layers[..]), (&layers[..], &others[..])] {
            let sandbox = Sandbox::new();
            let (left_tree, right_tree) = (tree(left), tree(right));
            for (more, [before, after]) in [
                ("--times", [left_tree.clone(), right_tree.clone()]),
                ("--threads 2", [&left_tree, &right_tree].map(|tree| tree.clone().without_times())),
            ] {
                let expected = naive(&before, &after);
                let finished = compared(&sandbox, left, right, more);
                let status = i32::from(!expected.is_empty());
                prop_assert!(finished.code() == Some(status), "{finished}\n{expected:?}");
                let json = finished.status(status).json();
                prop_assert_eq!(said(&json), expected, "{:#}", json);
                let sizes = json!({"left": size(&before), "right": size(&after)});
                prop_assert_eq!(&json["summary"]["size"], &sizes);
            }
            let text = diff(&sandbox, &format!(
                "--left {} --right {} --quota off",
                write_side(&sandbox, "l", left).join(" "),
                write_side(&sandbox, "r", right).join(" "),
            ));
            prop_assert!(text.code() < Some(2), "{text}");
        }
    }
}

/// Extracts a side with our own `extract`.
fn extract(sandbox: &Sandbox, layers: &[String], into: &str) {
    let mut arguments = vec!["extract".to_owned()];
    arguments.extend_from_slice(layers);
    arguments.extend(["--into", into, "--quiet", "--quota", "off"].map(String::from));
    sandbox.slashopt(arguments).success();
}

fn judged_by(sandbox: &Sandbox, command: &[&str]) -> Output {
    tool(command[0])
        .args(&command[1..])
        .args(["left", "right"])
        .current_dir(sandbox.work())
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("the tool starts")
}

/// What git finds: it knows files and links, and of modes whether the owner may execute.
fn git(sandbox: &Sandbox) -> Changes {
    let command = [
        "git",
        "diff",
        "--no-index",
        "--no-renames",
        "--name-status",
        "-z",
    ];
    let output = judged_by(sandbox, &command);
    assert!(output.status.code() < Some(2), "{output:?}");
    let mut words = output.stdout.split(|&byte| byte == 0);
    let mut changes = Changes::new();
    while let (Some(status), Some(path)) = (words.next(), words.next()) {
        let side = if status == b"A" {
            &b"right/"[..]
        } else {
            b"left/"
        };
        let path = path.strip_prefix(side).expect("it is in one of the sides");
        let status = String::from_utf8_lossy(status).into_owned();
        changes.insert(path.to_vec(), status);
    }
    changes
}

/// What we say happened, in git's words.
fn in_words_of_git(json: &Value) -> Changes {
    let mut changes = said(json);
    let is_file = |object: &Value| object["kind"] != "directory";
    for kind in ["added", "removed"] {
        for one in json["files"][kind].as_array().expect("a list") {
            if !is_file(one) {
                changes.remove(&bytes_of(&one["path"], &one["path_bytes"]));
            }
        }
    }
    for one in json["files"]["changed"].as_array().expect("a list") {
        let path = bytes_of(&one["path"], &one["path_bytes"]);
        let executes = |object: &Value| {
            let mode = object["mode"].as_str().expect("a mode");
            u32::from_str_radix(mode, 8).expect("octal") & 0o100 != 0
        };
        let (left, right) = (&one["left"], &one["right"]);
        let aspects = changes.remove(&path).expect("it was there");
        let status = match (is_file(left), is_file(right)) {
            (true, true) if aspects == "kind" => "T",
            (true, true) if aspects == "mode" && executes(left) == executes(right) => continue,
            (true, true) => "M",
            (true, false) => "D",
            (false, true) => "A",
            (false, false) => continue,
        };
        changes.insert(path, status.to_owned());
    }
    changes
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn git_finds_the_same_difference_in_the_extracted_trees(layers in stack(), others in stack()) {
        if skip_without("git") || skip_where_modes_forbid() {
            return Ok(());
        }
        for (left, right) in [(&layers[..1], &layers[..]), (&layers[..], &others[..])] {
            let sandbox = Sandbox::new();
            let json = compared(&sandbox, left, right, "");
            prop_assert!(json.code() < Some(2), "{json}");
            let status = json.code().unwrap_or(2);
            let json = json.status(status).json();
            extract(&sandbox, &write_side(&sandbox, "l", left), "left");
            extract(&sandbox, &write_side(&sandbox, "r", right), "right");
            prop_assert_eq!(in_words_of_git(&json), git(&sandbox), "{:#}", json);
            // diff(1) follows links unless told otherwise, and judges no modes.
            let brief = judged_by(&sandbox, &["diff", "-rq", "--no-dereference"]);
            let differs = said(&json).values().any(|change| change != "mode");
            prop_assert_eq!(brief.status.code(), Some(i32::from(differs)), "{:?}", brief);
        }
    }
}

// ---- real layers --------------------------------------------------------------------------------------------------------------

/// Unpacks an archive with Info-ZIP.
fn unzip(sandbox: &Sandbox, layer: &Path, into: &str) -> PathBuf {
    let place = sandbox.path(into);
    let status = tool("unzip")
        .args(["-q", "-d"])
        .arg(&place)
        .arg(layer)
        .status()
        .expect("unzip starts");
    assert!(status.success());
    place
}

/// Names and versions of the distributions below a directory, as Python finds them.
fn distributions(directory: &Path) -> BTreeMap<String, String> {
    let script = "
import importlib.metadata, json, os, sys
found = {}
for folder, folders, files in os.walk(sys.argv[1]):
    if any(name.endswith('.dist-info') for name in folders):
        for one in importlib.metadata.distributions(path=[folder]):
            found[one.metadata['Name']] = one.version
print(json.dumps(found))";
    let listed = printed(tool("python3").args(["-c", script]).arg(directory));
    serde_json::from_str(&listed).expect("it is JSON")
}

#[test]
fn two_versions_of_a_real_layer_differ_as_python_and_git_say() {
    if skip_without("git") || skip_without("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    let (old, new) = (real("python-requests-old"), real("python-requests-new"));
    let left = unzip(&sandbox, &old, "left");
    let right = unzip(&sandbox, &new, "right");
    let arguments = format!("{} {} --format json", old.display(), new.display());
    let json = diff(&sandbox, &arguments).status(1).json();
    assert_eq!(in_words_of_git(&json), git(&sandbox));
    let (before, after) = (distributions(&left), distributions(&right));
    assert!(before.len() >= 5, "{before:?}");
    let versions = |side: &str| -> BTreeMap<String, String> {
        let kinds = ["added", "removed", "changed"].into_iter();
        let packages = kinds.flat_map(|kind| json["packages"][kind].as_array().expect("a list"));
        packages
            .filter(|package| package["ecosystem"] == "python")
            .filter_map(|package| {
                let name = package["name"].as_str()?.to_owned();
                Some((name, package[side][0]["version"].as_str()?.to_owned()))
            })
            .collect()
    };
    let differing = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let differing = one
            .iter()
            .filter(|(name, version)| other.get(*name) != Some(version));
        differing
            .map(|(name, version)| (name.clone(), version.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(versions("right"), differing(&after, &before));
    assert_eq!(
        versions("left").into_values().collect::<BTreeSet<_>>(),
        differing(&before, &after).into_values().collect()
    );
    // A layer and the directory that it was unpacked to are the same but for nothing.
    let unpacked = format!("{} left", old.display());
    let json = diff(&sandbox, &format!("{unpacked} --format json"))
        .success()
        .json();
    assert_eq!(
        json["summary"]["files"],
        json!({"added": 0, "removed": 0, "changed": 0})
    );
    let one = fs::read_dir(left.join("python/lib/python3.11/site-packages/requests"))
        .expect("it can be listed")
        .map(|child| child.expect("it can be listed").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "py"))
        .expect("there is a module");
    let mut bytes = fs::read(&one).expect("it can be read");
    bytes[0] ^= 1;
    fs::write(&one, bytes).expect("it can be written");
    let said = diff(&sandbox, &unpacked).status(1);
    let name = one.file_name().expect("it has a name").as_bytes().to_vec();
    let name = String::from_utf8(name).expect("it is text");
    let line = format!("  ~ python/lib/python3.11/site-packages/requests/{name}: other content");
    assert!(said.stdout().contains(&line), "{}", said.stdout());
}
