//! The tests' own tools judged by others: archives that the builder writes are read by Info-ZIP, bsdtar and Python as they were
//! meant, and the model agrees with `unzip -o` applied layer by layer, wherever `unzip` keeps what it is given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use crate::model::{self, Entry, Object, OnTypeConflict};
use crate::support::command::{Sandbox, skip_where_modes_forbid, skip_without};
use crate::support::machine::tool;
use crate::support::tree::{Node, Tree};
use crate::support::zip::{Archive, Descriptor, UNIX, archive, directory, file, link};

/// Runs a foreign tool in a directory; its output, and a panic that shows it unless it succeeds.
#[track_caller]
fn run(directory: &Path, command: &[&str]) -> String {
    let output = tool(command[0])
        .args(&command[1..])
        .current_dir(directory)
        .output()
        .expect("the tool starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every way of writing that all good readers must understand.
fn everything_valid() -> Archive {
    archive([
        directory("bin/").mode(0o750),
        file("bin/stored", b"stored bytes").mode(0o755),
        file("bin/deflated", vec![b'x'; 10_000])
            .deflated()
            .mode(0o600),
        file("described", b"signed descriptor")
            .deflated()
            .descriptor(Descriptor::Signed),
        file("described-bare", b"bare descriptor")
            .deflated()
            .descriptor(Descriptor::Unsigned),
        file("large", b"sizes in zip64 fields").zip64(),
        file("large-described", b"64 bits behind the data")
            .zip64()
            .deflated()
            .descriptor(Descriptor::Signed),
        file("empty", b"").comment("nothing in it"),
        file("caf\u{e9}", b"named in UTF-8"),
        file("dated", b"").extended(1_000_000_000),
        file("extra", b"").extra(0xcafe, b"ignored by all"),
        link("alias", "bin/stored"),
    ])
    .comment("a comment")
}

fn everything_valid_on_disk(sandbox: &Sandbox) {
    let tree = sandbox.tree("out");
    assert_eq!(tree.mode("bin"), "0750");
    assert_eq!(tree.text("bin/stored"), "stored bytes");
    assert_eq!(tree.mode("bin/stored"), "0755");
    assert_eq!(tree.text("bin/deflated"), "x".repeat(10_000));
    assert_eq!(tree.mode("bin/deflated"), "0600");
    assert_eq!(tree.text("described"), "signed descriptor");
    assert_eq!(tree.text("described-bare"), "bare descriptor");
    assert_eq!(tree.text("large"), "sizes in zip64 fields");
    assert_eq!(tree.text("large-described"), "64 bits behind the data");
    assert_eq!(tree.text("caf\u{e9}"), "named in UTF-8");
    assert_eq!(tree.mtime("dated"), 1_000_000_000);
    assert_eq!(tree.target("alias"), "bin/stored");
}

#[test]
fn info_zip_finds_nothing_wrong_in_what_the_builder_writes() {
    if skip_without("unzip") {
        return;
    }
    for (name, archive) in [
        ("plain.zip", everything_valid()),
        ("large.zip", everything_valid().zip64()),
        (
            "behind.zip",
            everything_valid().counted_prefix("#!/bin/sh\n"),
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.archive(name, &archive);
        run(&sandbox.work(), &["unzip", "-tq", name]);
        run(&sandbox.work(), &["unzip", "-q", name, "-d", "out"]);
        everything_valid_on_disk(&sandbox);
    }
}

#[test]
fn bsdtar_reads_what_the_builder_writes() {
    if skip_without("bsdtar") {
        return;
    }
    for archive in [everything_valid(), everything_valid().zip64()] {
        let sandbox = Sandbox::new();
        sandbox.archive("a.zip", &archive);
        sandbox.mkdir("out", 0o755);
        run(&sandbox.work(), &["bsdtar", "-xpf", "a.zip", "-C", "out"]);
        everything_valid_on_disk(&sandbox);
    }
}

/// Prints what Python makes of an archive.
const LIST: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        print(entry.filename, entry.file_size, oct(entry.external_attr >> 16), entry.date_time)
    print(archive.comment)
";

#[test]
fn python_reads_what_the_builder_writes() {
    if skip_without("python3") {
        return;
    }
    for archive in [everything_valid(), everything_valid().zip64()] {
        let sandbox = Sandbox::new();
        sandbox.archive("a.zip", &archive);
        let listing = run(&sandbox.work(), &["python3", "-c", LIST, "a.zip"]);
        for line in [
            "bin/ 0 0o40750 (2024, 1, 2, 3, 4, 6)",
            "bin/deflated 10000 0o100600 (2024, 1, 2, 3, 4, 6)",
            "caf\u{e9} 14 0o100644 (2024, 1, 2, 3, 4, 6)",
            "alias 10 0o120777 (2024, 1, 2, 3, 4, 6)",
            "b'a comment'",
        ] {
            assert!(
                listing.lines().any(|found| found == line),
                "{line:?} is not in\n{listing}"
            );
        }
    }
}

#[test]
fn a_field_is_overridden_in_one_header_and_nothing_else_changes() {
    use crate::support::zip::Field;
    let plain = archive([file("a", b"hi")]).bytes();
    let lying = archive([file("a", b"hi").in_central(Field::Crc, 0x0102_0304)]).bytes();
    let changed: Vec<usize> = (0..plain.len())
        .filter(|&at| plain[at] != lying[at])
        .collect();
    let central = plain.windows(4).position(|bytes| bytes == b"PK\x01\x02");
    let crc = central.expect("there is a central header") + 16;
    assert_eq!(changed, [crc, crc + 1, crc + 2, crc + 3]);
    assert_eq!(lying[crc..crc + 4], [4, 3, 2, 1]);
}

/// What `unzip` keeps of a tree: kinds, content, targets and the modes of files, but not the modes of directories that it was not
/// told, nor times of links.
fn as_unzip_keeps_it(tree: Tree) -> Tree {
    let mut tree = tree.without_times();
    for node in tree.0.values_mut() {
        if let Node::Directory { mode, .. } = node {
            *mode = 0;
        }
    }
    tree
}

/// An entry that `unzip` treats as the contract does: plain names, links that stay inside and are never looped.
fn friendly_entry() -> impl Strategy<Value = (Vec<&'static str>, Object, u32)> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let object = prop_oneof![
        1 => Just(Object::Directory),
        4 => prop::sample::select(vec!["", "one", "two"]).prop_map(|text| Object::File(text.into())),
    ];
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o777]);
    (prop::collection::vec(name(), 1..4), object, mode)
}

fn friendly_layer() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(friendly_entry(), 0..8).prop_map(|entries| {
        let entries = entries.into_iter().map(|(path, object, mode)| Entry {
            name: spelled(&path, &object),
            object,
            mode: Some(mode),
            dos: crate::support::zip::USUAL_TIME,
            extended: None,
        });
        crate::properties::consistent(entries)
    })
}

fn spelled(path: &[&str], object: &Object) -> Vec<u8> {
    let slash = if *object == Object::Directory {
        "/"
    } else {
        ""
    };
    format!("{}{slash}", path.join("/")).into_bytes()
}

fn written(layer: &[Entry]) -> Archive {
    archive(layer.iter().map(|entry| {
        let built = match &entry.object {
            Object::Directory => directory(&entry.name),
            Object::File(content) => file(&entry.name, content),
            Object::Link(target) => link(&entry.name, target),
        };
        built.host(UNIX).mode(entry.mode.unwrap_or(0o644))
    }))
}

proptest! {
    #![proptest_config(crate::properties::config(64))]

    /// Where kinds do not conflict, the model is what everybody does by hand: unzip one layer over the other.
    #[test]
    fn the_model_is_unzip_layer_by_layer(layers in prop::collection::vec(friendly_layer(), 1..4)) {
        if skip_without("unzip") || skip_where_modes_forbid() {
            return Ok(());
        }
        let merged = model::merge(&layers, OnTypeConflict::Replace);
        prop_assume!(!merged.has_type_conflict());
        let found = unzipped(&layers);
        let difference = as_unzip_keeps_it(found).difference(&as_unzip_keeps_it(merged.tree()));
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }

    /// A directory over a link: `follow` is what `unzip -o` does.
    #[test]
    fn the_model_of_follow_is_unzip_over_links(
        target in prop::sample::select(vec!["a", "./a", "a/b", "a/../a", "b"]),
        low in friendly_layer(),
        high in friendly_layer(),
    ) {
        if skip_without("unzip") || skip_where_modes_forbid() {
            return Ok(());
        }
        let mut layers = vec![low, high];
        layers[0].retain(|entry| model::components(&entry.name)[0] != b"c");
        layers[0].push(Entry {
            name: b"c".to_vec(),
            object: Object::Link(target.into()),
            mode: Some(0o777),
            dos: crate::support::zip::USUAL_TIME,
            extended: None,
        });
        let merged = model::merge(&layers, OnTypeConflict::Follow);
        prop_assume!(!merged.has_type_conflict() && !merged.is_ambiguous());
        let found = unzipped(&layers);
        let difference = as_unzip_keeps_it(found).difference(&as_unzip_keeps_it(merged.tree()));
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}

/// The layers unzipped one over the other.
fn unzipped(layers: &[Vec<Entry>]) -> Tree {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out", 0o755);
    for layer in layers.iter().filter(|layer| !layer.is_empty()) {
        sandbox.archive("layer.zip", &written(layer));
        run(
            &sandbox.work(),
            &["unzip", "-o", "-q", "layer.zip", "-d", "out"],
        );
    }
    fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(0o755))
        .expect("the mode of our own directory can be set");
    sandbox.tree("out")
}
