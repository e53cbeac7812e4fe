//! `collisions`: the whole of what it says of small stacks, the classes that the model gives, what other readers find in the
//! formats, and that bytes decide.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::{Class, Merge, OnTypeConflict, merge};
use crate::properties::{Layer, config, entries, followed, stack};
use crate::real_layers::{five, real};
use crate::support::command::{Finished, Sandbox, skip_without, without_colours};
use crate::support::machine::tool;
use crate::support::shown;
use crate::support::zip::{Archive, Field, archive, file, link};

/// A sandbox in which `1.zip`, `2.zip`, … are these layers.
fn sandbox(layers: impl IntoIterator<Item = Archive>) -> Sandbox {
    let sandbox = Sandbox::new();
    for (number, layer) in layers.into_iter().enumerate() {
        sandbox.archive(&format!("{}.zip", number + 1), &layer);
    }
    sandbox
}

fn collisions(sandbox: &Sandbox, arguments: &str) -> Finished {
    sandbox.slashopt(
        ["collisions"]
            .into_iter()
            .chain(arguments.split_whitespace()),
    )
}

/// The text of `arguments`, which is a success.
#[track_caller]
fn text(sandbox: &Sandbox, arguments: &str) -> String {
    collisions(sandbox, arguments).success().stdout().to_owned()
}

/// A distribution in a folder: metadata, record, and these modules of its package.
fn distribution(
    folder: &str,
    name: &str,
    version: &str,
    modules: &[&str],
) -> Vec<crate::support::zip::Entry> {
    let info = format!("{folder}/{name}-{version}.dist-info");
    let mut files = vec![
        file(
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        ),
        file(format!("{info}/top_level.txt"), format!("{name}\n")),
    ];
    let mut record =
        format!("{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/RECORD,,\n");
    for module in modules {
        record = format!("{record}{name}/{module},,\n");
        files.push(file(
            format!("{folder}/{name}/{module}"),
            format!("# {module} of {version}\n"),
        ));
    }
    files.push(file(format!("{info}/RECORD"), record));
    files
}

/// Two layers that collide in every way, two packages among it.
fn every_way() -> Sandbox {
    let mut first = distribution(
        "python",
        "urllib",
        "1.26.18",
        &["__init__.py", "six.py", "old.py"],
    );
    first.extend(distribution("python", "same", "1.0", &["__init__.py"]));
    first.extend([
        file("bin/tool", "one").mode(0o755),
        file("lib64/low", "x"),
        file("lib64/deep/lower", "x"),
        link("current", "one"),
        file("etc/mode", "x").mode(0o600),
        file("etc/content", "short"),
        file("etc/same", "x"),
    ]);
    let mut second = distribution("python", "urllib", "2.5.0", &["__init__.py", "six.py"]);
    second.extend(distribution("python", "same", "1.0", &["__init__.py"]));
    second.extend([
        file("bin/tool", "other").mode(0o644),
        link("lib64", "lib"),
        link("current", "two"),
        file("etc/mode", "x").mode(0o644),
        file("etc/content", "longer"),
        file("etc/same", "x"),
    ]);
    sandbox([archive(first), archive(second)])
}

// ---- text ---------------------------------------------------------------------------------------------------------------------

#[test]
fn everything_is_told_from_the_top() {
    let sandbox = every_way();
    assert_eq!(
        text(&sandbox, "1.zip 2.zip --runtime python3.12"),
        "\
15 paths collide in 2 layers: 4 type, 5 content, 1 mode, 5 identical
layer 1: 1.zip
layer 2: 2.zip
runtime: python3.12

packages
  mixed    python urllib: 2.5.0 (layer 2) over 1.26.18 (layer 1)
           left of what lost: 4 files (1 of them code), such as python/urllib/old.py
           cure: remove urllib 1.26.18 from layer 1 of 2 (`1.zip`)
             zip -d 1.zip 'python/urllib/*' 'python/urllib-1.26.18.dist-info/*'
  clean    command tool: layer 2 (5 bytes, 0644) over layer 1 (3 bytes, 0755)
  the same in several layers: python same

type conflicts: an object of another kind took the path
  ! lib64: layer 2 (link to lib) over layer 1 (directory), with 3 paths below it

files
  content  current: layer 2 (link to two) over layer 1 (link to one)
  etc/
    content  content: layer 2 (6 bytes) over layer 1 (5 bytes)
    mode     mode: layer 2 (1 byte, 0644) over layer 1 (1 byte, 0600)
  of the packages above: 3 paths (--all)
  identical: 5 paths
"
    );
}

#[test]
fn all_lists_what_was_counted() {
    let sandbox = every_way();
    assert_eq!(
        text(&sandbox, "1.zip 2.zip --runtime python3.12 --all"),
        "\
15 paths collide in 2 layers: 4 type, 5 content, 1 mode, 5 identical
layer 1: 1.zip
layer 2: 2.zip
runtime: python3.12

packages
  mixed    python urllib: 2.5.0 (layer 2) over 1.26.18 (layer 1)
           left of what lost: 4 files (1 of them code), such as python/urllib/old.py
           cure: remove urllib 1.26.18 from layer 1 of 2 (`1.zip`)
             zip -d 1.zip 'python/urllib/*' 'python/urllib-1.26.18.dist-info/*'
  clean    command tool: layer 2 (5 bytes, 0644) over layer 1 (3 bytes, 0755)
  clean    python same: 1.0 (layer 2) over 1.0 (layer 1)
           the same version with the same files

type conflicts: an object of another kind took the path
  ! lib64: layer 2 (link to lib) over layer 1 (directory), with 3 paths below it
      lib64/deep: layer 2 (link to lib), lib64, over layer 1 (directory)
      lib64/deep/lower: layer 2 (link to lib), lib64, over layer 1 (1 byte)
      lib64/low: layer 2 (link to lib), lib64, over layer 1 (1 byte)

files
  content  current: layer 2 (link to two) over layer 1 (link to one)
  bin/
    content  tool: layer 2 (5 bytes, 0644) over layer 1 (3 bytes, 0755)
  etc/
    content  content: layer 2 (6 bytes) over layer 1 (5 bytes)
    mode     mode: layer 2 (1 byte, 0644) over layer 1 (1 byte, 0600)
  python/urllib/
    content  __init__.py: layer 2 (23 bytes) over layer 1 (25 bytes)
    content  six.py: layer 2 (18 bytes) over layer 1 (20 bytes)
  identical: 5 paths
"
    );
}

#[test]
fn nothing_that_collides_is_one_line_too() {
    let sandbox = sandbox([archive([file("a", "")]), archive([file("b", "")])]);
    assert_eq!(
        text(&sandbox, "1.zip 2.zip"),
        "\
0 paths collide in 2 layers: 0 type, 0 content, 0 mode, 0 identical
layer 1: 1.zip
layer 2: 2.zip
"
    );
}

#[test]
fn long_lists_are_capped_and_say_so() {
    let layer = |content: &str| {
        let in_one = (0..7).map(|n| file(format!("b-one/f{n}"), content));
        let in_many = (0..12).map(|n| file(format!("many{n:02}/f"), content));
        let in_root = [
            file("a-b/c", content),
            file("a/b", content),
            file("a/d", content),
        ];
        archive(in_one.chain(in_many).chain(in_root))
    };
    let sandbox = sandbox([layer("1"), layer("2")]);
    let capped = text(&sandbox, "1.zip 2.zip");
    assert_eq!(
        capped,
        "\
22 paths collide in 2 layers: 0 type, 22 content, 0 mode, 0 identical
layer 1: 1.zip
layer 2: 2.zip

files
  a/
    content  b: layer 2 (1 byte) over layer 1 (1 byte)
    content  d: layer 2 (1 byte) over layer 1 (1 byte)
  a-b/
    content  c: layer 2 (1 byte) over layer 1 (1 byte)
  b-one/
    content  f0: layer 2 (1 byte) over layer 1 (1 byte)
    content  f1: layer 2 (1 byte) over layer 1 (1 byte)
    content  f2: layer 2 (1 byte) over layer 1 (1 byte)
    content  f3: layer 2 (1 byte) over layer 1 (1 byte)
    content  f4: layer 2 (1 byte) over layer 1 (1 byte)
    … and 2 more (--all)
  many00/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many01/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many02/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many03/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many04/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many05/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  many06/
    content  f: layer 2 (1 byte) over layer 1 (1 byte)
  … and 5 more in 5 directories (--all)
"
    );
    let all = text(&sandbox, "1.zip 2.zip --all");
    assert!(!all.contains('…'), "{all}");
    assert_eq!(all.matches("content  ").count(), 22, "{all}");
}

#[test]
fn of_many_layers_the_first_ones_are_named() {
    let layer = |number: usize| {
        archive([
            file("conf", "x".repeat(number)),
            file("bin/tool", "x".repeat(number)),
        ])
    };
    let sandbox = Sandbox::new();
    let names: Vec<String> = (1..=60).map(|number| format!("{number}.zip")).collect();
    for (name, number) in names.iter().zip(1..) {
        sandbox.archive(name, &layer(number));
    }
    let arguments = format!("{} --quota off", names.join(" "));
    let told = text(&sandbox, &arguments);
    let line = |start: &str| {
        let line = told.lines().find(|line| line.trim().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start}: {told}"))
    };
    let packages = line("clean    command tool: layer 60");
    assert!(
        packages.contains(" over layer 59 (59 bytes), "),
        "{packages}"
    );
    assert!(
        packages.ends_with("layer 52 (52 bytes) and 51 more"),
        "{packages}"
    );
    let files = line("content  conf: layer 60");
    assert!(
        files.ends_with("layer 52 (52 bytes) and 51 more"),
        "{files}"
    );
}

#[test]
fn colour_is_never_the_only_sign() {
    let sandbox = every_way();
    let plain = text(&sandbox, "1.zip 2.zip --color never");
    let coloured = text(&sandbox, "1.zip 2.zip --color always");
    assert!(coloured.contains("\x1b[31m!\x1b[0m lib64"), "{coloured}");
    assert_eq!(without_colours(&coloured), plain);
    assert!(plain.contains("  ! lib64: "), "{plain}");
    assert!(!text(&sandbox, "1.zip 2.zip").contains('\x1b'), "to a pipe");
}

#[test]
fn without_a_runtime_the_one_that_the_folders_imply_is_assumed_and_said() {
    let versioned = "python/lib/python3.12/site-packages";
    let first = distribution(versioned, "urllib", "1.26.18", &["__init__.py"]);
    let second = distribution("python", "urllib", "2.5.0", &["__init__.py"]);
    let sandbox = sandbox([
        archive(first),
        archive(second),
        archive([file("nodejs/node_modules/a/package.json", "{}")]),
    ]);
    assert_eq!(
        text(&sandbox, "1.zip 2.zip"),
        "\
0 paths collide in 2 layers: 0 type, 0 content, 0 mode, 0 identical
layer 1: 1.zip
layer 2: 2.zip
runtime: python3.12, assumed from the folders of the layers (--runtime)

packages
  parallel python urllib: 1.26.18 (layer 1, python/lib/python3.12/site-packages) found before 2.5.0 (layer 2, python)
           cure: remove urllib 1.26.18 from layer 1 of 2 (`1.zip`), so that urllib 2.5.0 of layer 2 is found
             zip -d 1.zip 'python/*'
"
    );
    let json = collisions(&sandbox, "1.zip 2.zip --format json")
        .success()
        .json();
    assert_eq!(json["runtime"], "python3.12");
    assert_eq!(json["runtime_assumed"], true);
    // Folders of two languages imply no runtime, and so no order.
    assert_eq!(
        text(&sandbox, "1.zip 2.zip 3.zip"),
        "\
0 paths collide in 3 layers: 0 type, 0 content, 0 mode, 0 identical
layer 1: 1.zip
layer 2: 2.zip
layer 3: 3.zip

packages
  parallel python urllib: 1.26.18 (layer 1, python/lib/python3.12/site-packages) and 2.5.0 (layer 2, python)
           the runtime decides which one is found (--runtime)
"
    );
    let json = collisions(&sandbox, "1.zip 2.zip 3.zip --format json")
        .success()
        .json();
    assert_eq!(json["runtime"], Value::Null);
    assert_eq!(json["runtime_assumed"], false);
    assert_eq!(json["packages"][0]["winner"], Value::Null);
    assert_eq!(json["packages"][0]["cure"], Value::Null);
    // Asked for, it is another one: what the service would search.
    let other = text(&sandbox, "1.zip 2.zip --runtime python3.13");
    assert!(
        other.contains("runtime: python3.13\n") && !other.contains("assumed"),
        "{other}"
    );
}

// ---- what decides -------------------------------------------------------------------------------------------------------------

/// The class of each path.
#[track_caller]
fn classes(sandbox: &Sandbox, arguments: &str) -> BTreeMap<String, String> {
    let json = collisions(sandbox, &format!("{arguments} --format json"))
        .success()
        .json();
    json["collisions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|collision| {
            let of = |key: &str| collision[key].as_str().expect("text").to_owned();
            (of("path"), of("class"))
        })
        .collect()
}

#[test]
fn bytes_decide_where_size_and_checksum_agree() {
    // A pair of words with one CRC-32.
    let sandbox = sandbox([
        archive([file("forged", "plumless"), file("same", "plumless")]),
        archive([
            file("forged", "buckeroo").deflated(),
            file("same", "plumless").deflated(),
        ]),
        archive([
            file("forged", "plumless").deflated(),
            file("same", "plumless"),
        ]),
    ]);
    for layers in ["1.zip 2.zip", "2.zip 1.zip", "1.zip 2.zip 3.zip"] {
        let classes = classes(&sandbox, layers);
        assert_eq!(classes["forged"], "content", "{layers}");
        assert_eq!(classes["same"], "identical", "{layers}");
    }
    assert_eq!(classes(&sandbox, "1.zip 3.zip")["forged"], "identical");
}

#[test]
fn files_of_directories_are_compared_whatever_their_size() {
    let sandbox = Sandbox::new();
    let large = vec![b'x'; 5 << 20];
    let mut other = large.clone();
    other[(5 << 20) - 1] = b'z';
    for (layer, last_byte) in [("a", &large), ("b", &other)] {
        sandbox.mkdir(layer, 0o755);
        sandbox.write(format!("{layer}/same-large"), &large);
        sandbox.write(format!("{layer}/same-small"), "y");
        sandbox.write(format!("{layer}/same-none"), "");
        sandbox.write(format!("{layer}/last-byte"), last_byte);
    }
    let zipped = ["same-large", "last-byte"].map(|name| file(name, &large).deflated());
    sandbox.archive("c.zip", &archive(zipped));
    let two = classes(&sandbox, "a b");
    assert_eq!(two.len(), 4);
    for name in ["same-large", "same-small", "same-none"] {
        assert_eq!(two[name], "identical", "{name}");
    }
    assert_eq!(two["last-byte"], "content");
    for layers in ["a c.zip", "c.zip a"] {
        let mixed = classes(&sandbox, layers);
        assert_eq!(mixed["same-large"], "identical", "{layers}");
    }
    assert_eq!(classes(&sandbox, "b c.zip")["last-byte"], "content");
}

/// A file whose bytes are damaged though its headers say nothing of it.
fn damaged(name: &str, content: &str) -> crate::support::zip::Entry {
    let crc = crate::support::zip::crc32(content.as_bytes());
    file(name, content.replace('x', "y")).in_both(Field::Crc, crc.into())
}

#[test]
fn only_what_must_be_compared_is_read() {
    let sandbox = sandbox([
        archive([
            damaged("crc", "x1"),
            damaged("size", "x"),
            damaged("alone", "x"),
        ]),
        archive([file("crc", "x2"), file("size", "xx")]),
        archive([file("crc", "x1")]),
    ]);
    let read = classes(&sandbox, "1.zip 2.zip");
    assert_eq!((&*read["crc"], &*read["size"]), ("content", "content"));
    // The same checksum has to be looked into, and there is the damage.
    collisions(&sandbox, "1.zip 3.zip")
        .status(3)
        .says("layer 1 of 2 (`1.zip`): entry `crc`");
}

#[test]
fn of_several_damaged_files_the_lowest_is_named() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let broken = || archive(names.map(|name| damaged(name, "x")));
    let whole = archive(names.map(|name| file(name, "x")));
    let sandbox = sandbox([whole, broken(), broken()]);
    for threads in ["1", "7"] {
        for _ in 0..5 {
            collisions(&sandbox, &format!("1.zip 2.zip 3.zip --threads {threads}"))
                .status(3)
                .says("layer 2 of 3 (`2.zip`): entry `a`");
        }
    }
}

#[test]
fn the_exit_status_follows_the_policy_and_identical_files_never_count() {
    let identical = || archive([file("f", "x")]);
    let sandbox = sandbox([
        identical(),
        identical(),
        archive([file("f", "x").mode(0o600)]),
        archive([file("f/g", "x")]),
    ]);
    for (arguments, status) in [
        ("1.zip 2.zip", 0),
        ("1.zip 2.zip --on-collision error", 0),
        ("1.zip 3.zip", 0),
        ("1.zip 3.zip --on-collision allow", 0),
        ("1.zip 3.zip --on-collision error", 1),
        ("1.zip 3.zip --on-type-conflict error", 0),
        ("1.zip 4.zip --on-type-conflict error", 1),
        ("1.zip 4.zip", 0),
    ] {
        for format in ["text", "json", "csv"] {
            let arguments = format!("{arguments} --quota off --format {format}");
            let said = collisions(&sandbox, &arguments).status(status);
            assert!(!said.stdout().is_empty(), "{arguments}");
            assert_eq!(said.stderr(), "", "{arguments}");
        }
    }
    collisions(&sandbox, "1.zip --format xml")
        .status(2)
        .says("--format: `xml` is unknown");
    collisions(&sandbox, "1.zip --runtime python9").status(2);
}

// ---- formats ------------------------------------------------------------------------------------------------------------------

#[test]
fn the_object_is_that_of_the_contract() {
    let sandbox = every_way();
    let json = collisions(&sandbox, "1.zip 2.zip --runtime python3.12 --format json")
        .success()
        .json();
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "collisions",
            "layers",
            "packages",
            "runtime",
            "runtime_assumed",
            "schema_version",
            "shared_classes",
            "summary"
        ]
    );
    assert_eq!(json["schema_version"], 1);
    assert_eq!(
        json["summary"],
        json!({"identical": 5, "mode": 1, "content": 5, "type": 4})
    );
    let the = |path: &str| {
        let all = json["collisions"].as_array().expect("a list");
        all.iter()
            .find(|collision| collision["path"] == path)
            .unwrap_or_else(|| panic!("{path} collides"))
    };
    assert_eq!(
        *the("etc/mode"),
        json!({
            "path": "etc/mode",
            "class": "mode",
            "winner": {"layer": 2, "kind": "file", "mode": "0644", "size": 1, "crc32": "8cdc1683"},
            "shadowed": [{"layer": 1, "kind": "file", "mode": "0600", "size": 1, "crc32": "8cdc1683"}],
        })
    );
    assert_eq!(
        *the("lib64"),
        json!({
            "path": "lib64",
            "class": "type",
            "winner": {"layer": 2, "kind": "symlink", "mode": "0777", "size": 3, "target": "lib"},
            "shadowed": [{"layer": 1, "kind": "directory", "mode": "0755", "size": 0}],
        })
    );
    let urllib = &json["packages"][1];
    assert_eq!(
        *urllib,
        json!({
            "ecosystem": "python",
            "name": "urllib",
            "key": "urllib",
            "versions": [
                {"version": "2.5.0", "layer": 2, "path": "python/urllib-2.5.0.dist-info"},
                {"version": "1.26.18", "layer": 1, "path": "python/urllib-1.26.18.dist-info"},
            ],
            "winner": {"version": "2.5.0", "layer": 2, "path": "python/urllib-2.5.0.dist-info"},
            "state": "mixed",
            "cure": "remove urllib 1.26.18 from layer 1 of 2 (`1.zip`): \
                zip -d 1.zip 'python/urllib/*' 'python/urllib-1.26.18.dist-info/*'",
        })
    );
    let again = collisions(
        &sandbox,
        "1.zip 2.zip --runtime python3.12 --format json --threads 1",
    );
    assert_eq!(again.success().json(), json);
}

#[test]
fn the_cure_that_is_printed_cures() {
    if skip_without("zip") {
        return;
    }
    let sandbox = every_way();
    let before = text(&sandbox, "1.zip 2.zip --runtime python3.12");
    let mut lines = before.lines().skip_while(|line| !line.contains("cure: "));
    let command = lines.nth(1).expect("a command follows the advice").trim();
    let done = tool("sh")
        .args(["-c", command])
        .current_dir(sandbox.work())
        .output()
        .expect("a shell starts");
    assert!(done.status.success(), "{command}: {done:?}");
    let after = text(&sandbox, "1.zip 2.zip --runtime python3.12");
    assert!(
        !after.contains("mixed") && !after.contains("urllib"),
        "{after}"
    );
}

/// What Python's `csv` reads on standard input, as a list of lists.
fn read_by_python(csv: &str) -> Vec<Vec<String>> {
    use std::io::Write as _;
    let script = "import csv, io, json, sys
text = io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8', newline='')
print(json.dumps(list(csv.reader(text, strict=True))))";
    let mut child = tool("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(csv.as_bytes()).expect("it reads");
    drop(input);
    let read = child.wait_with_output().expect("it ends").stdout;
    serde_json::from_slice(&read).expect("it prints JSON")
}

#[test]
fn python_reads_the_comma_separated_values() {
    if skip_without("python3") {
        return;
    }
    let names: [&[u8]; 5] = [b"plain", b"a,b", b"say \"a\"", b" space", b"caf\xe9"];
    let layer = |content: &str| archive(names.map(|name| file(name, content)));
    let sandbox = sandbox([
        layer("1"),
        layer("2"),
        archive([link("plain", "a,b"), file("a,b", "3").mode(0o600)]),
    ]);
    let said = collisions(&sandbox, "1.zip 2.zip 3.zip --format csv").success();
    assert!(said.stdout().lines().count() == 8 && said.stdout().ends_with("\r\n"));
    let rows = read_by_python(said.stdout());
    let [header, rows @ ..] = rows.as_slice() else {
        panic!("there is no header: {rows:?}")
    };
    assert_eq!(
        header.join(" "),
        "path class winner_layer winner_kind winner_mode winner_size winner_crc32 winner_target \
         shadowed_layer shadowed_kind shadowed_mode shadowed_size shadowed_crc32 shadowed_target \
         path_bytes"
    );
    let rows: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
    assert_eq!(
        rows,
        [
            " space|content|2|file|0644|1|1ad5be0d||1|file|0644|1|83dcefb7||",
            "a,b|content|3|file|0600|1|6dd28e9b||2|file|0644|1|1ad5be0d||",
            "a,b|content|3|file|0600|1|6dd28e9b||1|file|0644|1|83dcefb7||",
            "caf\u{fffd}|content|2|file|0644|1|1ad5be0d||1|file|0644|1|83dcefb7||Y2Fm6Q==",
            "plain|type|3|symlink|0777|3||a,b|2|file|0644|1|1ad5be0d||",
            "plain|type|3|symlink|0777|3||a,b|1|file|0644|1|83dcefb7||",
            "say \"a\"|content|2|file|0644|1|1ad5be0d||1|file|0644|1|83dcefb7||",
        ]
    );
}

// ---- every stack --------------------------------------------------------------------------------------------------------------

fn check_against(model: &Merge, said: &Value) -> Result<(), TestCaseError> {
    let listed = said["collisions"].as_array().expect("a list");
    let expected = model.classes();
    prop_assert_eq!(listed.len(), expected.len(), "{:#}", said);
    for (collision, (path, class)) in listed.iter().zip(&expected) {
        prop_assert_eq!(
            collision["path"].as_str(),
            Some(&*String::from_utf8_lossy(path))
        );
        let name = format!("{class:?}").to_lowercase();
        prop_assert_eq!(collision["class"].as_str(), Some(&*name), "{}", shown(path));
    }
    for (name, class) in [
        ("identical", Class::Identical),
        ("mode", Class::Mode),
        ("content", Class::Content),
        ("type", Class::Type),
    ] {
        prop_assert_eq!(
            said["summary"][name].as_u64(),
            Some(model.collisions(class))
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn every_path_has_the_class_that_the_model_gives_it(layers in stack()) {
        let sandbox = sandbox(layers.iter().map(Layer::archive));
        let names: Vec<String> = (1..=layers.len()).map(|n| format!("{n}.zip")).collect();
        let entries = entries(&layers);
        for (policy, model) in [
            ("replace", Some(merge(&entries, OnTypeConflict::Replace))),
            ("follow", followed(&entries)),
        ] {
            let Some(model) = model else { continue };
            let arguments =
                format!("{} --on-type-conflict {policy} --quota off", names.join(" "));
            let said = collisions(&sandbox, &format!("{arguments} --format json"));
            prop_assert!(said.code() == Some(0), "{said}");
            check_against(&model, &said.success().json())?;
            let read = collisions(&sandbox, &arguments);
            prop_assert!(read.code() == Some(0), "{read}");
        }
    }
}

/// The class of every path that two of these archives have, as Python's `zipfile` finds it. None of them disagree about a kind.
fn classes_by_python(layers: &[PathBuf]) -> BTreeMap<String, String> {
    let script = "
import json, sys, zipfile
seen, classes = {}, {}
rank = ['identical', 'mode', 'content']
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as layer:
        for one in layer.infolist():
            if one.is_dir():
                continue
            seen.setdefault(one.filename, []).append((layer.read(one), one.external_attr >> 16))
for name, objects in seen.items():
    data, mode = objects[-1]
    found = [2 if other != data else 1 if bits != mode else 0 for other, bits in objects[:-1]]
    if found:
        classes[name] = rank[max(found)]
print(json.dumps(classes))";
    let output = tool("python3")
        .args(["-c", script])
        .args(layers)
        .output()
        .expect("Python starts");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn python_finds_the_same_classes_in_real_layers() {
    if skip_without("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    for (layers, least) in [
        (five(), 30),
        (vec![real("java-jpype-old"), real("java-jpype-new")], 1),
        (vec![real("python-pandas"), real("python-pandas")], 1000),
    ] {
        let arguments: Vec<String> = layers
            .iter()
            .map(|layer| layer.display().to_string())
            .collect();
        let ours = classes(&sandbox, &format!("{} --quiet", arguments.join(" ")));
        assert!(ours.len() >= least, "{ours:?}");
        assert_eq!(ours, classes_by_python(&layers));
    }
}

#[test]
fn two_versions_of_a_real_package_over_one_another_are_a_sentence() {
    let sandbox = Sandbox::new();
    // The older layer as it would have been made for the folder that the newer one has.
    let unpacked = sandbox.mkdir("old", 0o755);
    let status = tool("unzip")
        .arg("-q")
        .arg(real("python-requests-old"))
        .arg("-d")
        .arg(sandbox.path("whole"))
        .status()
        .expect("unzip starts");
    assert!(status.success());
    fs::rename(
        sandbox.path("whole/python/lib/python3.11/site-packages"),
        unpacked.join("python"),
    )
    .expect("it is there");
    let new = real("python-requests-new");
    let said = collisions(
        &sandbox,
        &format!("old {} --runtime python3.11", path_text(&new)),
    )
    .success();
    let said = said.stdout();
    for expected in [
        "  mixed    python urllib3: 2.5.0 (layer 2) over 1.26.20 (layer 1)\n",
        "  mixed    python requests: 2.32.5 (layer 2) over 2.28.2 (layer 1)\n",
        "cure: remove urllib3 1.26.20 from layer 1 of 2 (`old`)\n",
        "rm -r old/python/urllib3 old/python/urllib3-1.26.20.dist-info\n",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    // Hundreds of paths collide, and none has to be read.
    assert!(said.lines().count() < 50, "{said}");
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
