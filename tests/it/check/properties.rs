//! Whatever the layers hold: `check` ends by itself, says the same every time, names only what is there, and of links what the
//! kernel says.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use proptest::sample::select;

use crate::check::{checked, stack};
use crate::properties::{config, consistent};
use crate::support::zip::{Archive, archive, directory, file, link};

/// Names that rules look for, and a few that they do not.
const NAMES: [&str; 30] = [
    ".DS_Store",
    "@scope",
    "A",
    "METADATA",
    "__MACOSX",
    "__init__.py",
    "__pycache__",
    "a",
    "a.cpython-312-x86_64-linux-gnu.so",
    "a.jar",
    "a.node",
    "a.pth",
    "a.pyc",
    "a.zip",
    "a\\b",
    "bin",
    "bootstrap",
    "disable-extensions-jwigqn8j",
    "extensions",
    "gems",
    "java",
    "lib",
    "lib.so.1",
    "node_modules",
    "nodejs",
    "package.json",
    "python",
    "python3.12",
    "requests-2.0.dist-info",
    "site-packages",
];

/// What contents begin with. No end of a zip archive is among it: where two could be found the archive is refused.
const MAGIC: [&[u8]; 11] = [
    b"",
    b"PK\x03\x04",
    b"\x7fELF\x02\x01\x01\0",
    b"\x7fELF\x01\x02\x01\0",
    b"\xca\xfe\xba\xbe\0\0\0\x45",
    b"\xcf\xfa\xed\xfe",
    b"MZ",
    b"#!/usr/bin/env python3.99\r\n",
    b"\xcb\x0d\x0d\x0a\0\0\0\0",
    b"{\"type\":\"module\",\"dependencies\":{\"a\":",
    b"../a/lib.so.1",
];

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(&NAMES[..]), 1..5).prop_map(|names| names.join("/"))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let tail = proptest::collection::vec(any::<u8>(), 0..200);
    (select(&MAGIC[..]), tail).prop_map(|(magic, tail)| [magic, &tail].concat())
}

fn object() -> impl Strategy<Value = crate::model::Object> {
    use crate::model::Object;
    let target = proptest::collection::vec(
        prop_oneof![1 => Just(".."), 1 => Just("."), 4 => select(&NAMES[..])],
        1..4,
    );
    prop_oneof![
        4 => content().prop_map(Object::File),
        1 => Just(Object::Directory),
        2 => target.prop_map(|names| Object::Link(names.join("/").into_bytes())),
    ]
}

fn layer() -> impl Strategy<Value = Vec<crate::model::Entry>> {
    use crate::model::{Entry, Object};
    let entry = (path(), object(), select(vec![0o644, 0o755, 0o600, 0o4755]));
    proptest::collection::vec(entry, 1..12).prop_map(|entries| {
        consistent(entries.into_iter().map(|(mut name, object, mode)| {
            if object == Object::Directory {
                name.push('/');
            }
            Entry {
                name: name.into_bytes(),
                object,
                mode: Some(mode),
                dos: (0x21, 0),
                extended: None,
            }
        }))
    })
}

fn packed(entries: &[crate::model::Entry]) -> Archive {
    use crate::model::Object;
    archive(entries.iter().map(|entry| {
        let built = match &entry.object {
            Object::Directory => directory(&entry.name),
            Object::File(content) => file(&entry.name, content),
            Object::Link(target) => link(&entry.name, target),
        };
        built.mode(entry.mode.unwrap_or(0o644))
    }))
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn any_layers_can_be_checked(
        layers in proptest::collection::vec(layer(), 1..4),
        runtime in select(vec!["python3.12", "nodejs16.x", "java8.al2", "ruby3.2", "provided.al2", "dotnet8"]),
        architecture in select(vec!["x86_64", "arm64"]),
    ) {
        let (sandbox, arguments) = stack(layers.iter().map(|layer| packed(layer)));
        let more = ["--runtime", runtime, "--architecture", architecture];
        let json = checked(&sandbox, &arguments, &more);
        prop_assert_eq!(&json, &checked(&sandbox, &arguments, &[&more[..], &["--threads", "3"]].concat()));

        let mut extract = vec!["extract".to_owned()];
        extract.extend(arguments.iter().skip(1).cloned());
        extract.extend(["--into".to_owned(), "opt".to_owned(), "-q".to_owned()]);
        sandbox.slashopt(&extract).success();
        let root = sandbox.path("opt");
        let findings = json["findings"].as_array().expect("a list");
        let of_rule = |rule: &str| -> BTreeSet<String> {
            let of_rule = findings.iter().filter(|finding| finding["rule"] == rule);
            of_rule.filter_map(|finding| Some(finding["path"].as_str()?.to_owned())).collect()
        };
        // What is said of a path of the root is said of one that is there.
        for rule in ["dangling-link", "link-leaves-opt", "extension-not-executable", "type-conflict"] {
            for path in of_rule(rule) {
                prop_assert!(root.join(&path).symlink_metadata().is_ok(), "{}: {}", rule, path);
            }
        }
        // No generated target is absolute, so the kernel goes where it would go in Lambda, as long as it stays inside.
        let dangling = of_rule("dangling-link");
        for path in &dangling {
            prop_assert!(fs::metadata(root.join(path)).is_err(), "{} leads somewhere", path);
        }
        let has_parents = layers.iter().flatten().any(|entry| {
            matches!(&entry.object, crate::model::Object::Link(target) if target.starts_with(b"..") || target.windows(3).any(|part| part == b"/.."))
        });
        if !has_parents {
            for link in links_in(&root) {
                let path = link.strip_prefix(&root).expect("it lies below").to_str().expect("it is text").to_owned();
                prop_assert_eq!(fs::metadata(&link).is_err(), dangling.contains(&path), "{}", path);
            }
        }
    }
}

/// Every link below a directory.
fn links_in(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for child in fs::read_dir(directory).expect("it is ours") {
        let child = child.expect("it can be listed");
        let kind = child.file_type().expect("it is known");
        if kind.is_symlink() {
            found.push(child.path());
        } else if kind.is_dir() {
            found.extend(links_in(&child.path()));
        }
    }
    found
}
