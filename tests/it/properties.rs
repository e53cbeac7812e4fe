//! Whatever the layers are, the root is what the naive model says. The names come from a tiny alphabet, so that layers collide
//! all the time, in every combination of kinds and at every depth.
//!
//! The number of cases is fixed (`PROPTEST_CASES` overrides it); a case that failed once is kept in `properties.regressions`
//! beside this file and is tried first ever after.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value;

use crate::model::{
    self, Class, Entry, Merge, Object, OnTypeConflict, Path, components, last_of_each_path, merge,
};
use crate::support::command::{Finished, Sandbox};
use crate::support::tree::Tree;
use crate::support::zip::{self, Archive, Descriptor};

/// A fixed number of cases, and regressions beside the tests.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let configured = ProptestConfig::default();
    let is_told = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_told { configured.cases } else { cases },
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_global_rejects: 100_000,
        ..configured
    }
}

/// The entries that can stand together in one archive: an entry whose kind contradicts an earlier one is left out, and so is one
/// that comes a second time.
pub(crate) fn consistent(entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    let mut kept = Vec::new();
    let mut directories = BTreeSet::new();
    let mut others = BTreeSet::new();
    let mut explicit = BTreeSet::new();
    for entry in entries {
        let path = components(&entry.name);
        let parents: Vec<Path> = (1..path.len())
            .map(|length| path[..length].to_vec())
            .collect();
        let is_directory = entry.object == Object::Directory;
        let contradicts = parents.iter().any(|parent| others.contains(parent))
            || (is_directory && others.contains(&path))
            || (!is_directory && directories.contains(&path));
        if contradicts || !(path.is_empty() || explicit.insert(path.clone())) {
            continue;
        }
        directories.extend(parents);
        if is_directory {
            directories.insert(path);
        } else {
            others.insert(path);
        }
        kept.push(entry);
    }
    kept
}

/// How an entry is written, which must not matter.
#[derive(Clone, Debug)]
struct Packing {
    is_deflated: bool,
    descriptor: Descriptor,
    is_zip64: bool,
    has_utf8_flag: bool,
    host: u8,
    comment: &'static str,
}

/// A layer as it is generated: what it says, and how that is packed.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) entries: Vec<Entry>,
    packings: Vec<Packing>,
    is_zip64: bool,
}

impl Layer {
    pub(crate) fn archive(&self) -> Archive {
        let entries = self.entries.iter().enumerate().map(|(number, entry)| {
            let packing = &self.packings[number % self.packings.len()];
            packed(entry, packing)
        });
        let archive = zip::archive(entries);
        if self.is_zip64 {
            archive.zip64()
        } else {
            archive
        }
    }
}

fn packed(entry: &Entry, packing: &Packing) -> zip::Entry {
    let (mut built, is_directory) = match &entry.object {
        Object::Directory => (zip::directory(&entry.name), true),
        Object::File(content) => (zip::file(&entry.name, content), false),
        Object::Link(target) => (zip::link(&entry.name, target), false),
    };
    built = match entry.mode {
        Some(mode) => built.mode(mode),
        None => built.without_mode(),
    };
    // A link is one only if the entry was made where links are.
    let is_link = matches!(entry.object, Object::Link(_));
    built = built.host(match (is_link, packing.host) {
        (true, zip::FAT | zip::NTFS) => zip::UNIX,
        (_, host) => host,
    });
    if let Some(seconds) = entry.extended {
        built = built.extended(seconds);
    }
    if packing.is_deflated && !is_directory {
        built = built.deflated();
    }
    if !is_directory {
        built = built.descriptor(packing.descriptor);
    }
    if packing.is_zip64 {
        built = built.zip64();
    }
    if std::str::from_utf8(&entry.name).is_ok() {
        built = if packing.has_utf8_flag {
            built.flag(zip::UTF8)
        } else {
            built.without_flag(zip::UTF8)
        };
    }
    built.dos(entry.dos).comment(packing.comment)
}

fn packing() -> impl Strategy<Value = Packing> {
    let descriptor = select(vec![
        Descriptor::None,
        Descriptor::None,
        Descriptor::Signed,
        Descriptor::Unsigned,
    ]);
    let host = select(vec![zip::UNIX, zip::UNIX, zip::MACOS, zip::FAT, zip::NTFS]);
    (
        any::<bool>(),
        descriptor,
        prop::bool::weighted(0.1),
        any::<bool>(),
        host,
        select(vec!["", "", "a comment"]),
    )
        .prop_map(
            |(is_deflated, descriptor, is_zip64, has_utf8_flag, host, comment)| Packing {
                is_deflated,
                descriptor,
                is_zip64,
                has_utf8_flag,
                host,
                comment,
            },
        )
}

/// One component of a path: mostly one of three letters, now and then something odd.
fn component() -> impl Strategy<Value = Vec<u8>> {
    let odd: Vec<Vec<u8>> = vec![
        b" ".to_vec(),
        b"two words ".to_vec(),
        "\u{e9}t\u{e9}".into(),
        "e\u{301}".into(),
        b"\xff\xfe".to_vec(),
        b"caf\xe9".to_vec(),
        b"back\\slash".to_vec(),
        b"...".to_vec(),
        b".slashopt".to_vec(),
        b"A".to_vec(),
        b"-rf".to_vec(),
        vec![b'n'; 255],
    ];
    prop_oneof![
        8 => select(vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]),
        1 => select(odd),
    ]
}

/// A name: components, and the ways of writing them that mean the same. That of a directory ends in a slash.
fn name(ending: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let separator = select(vec![&b"/"[..], b"/", b"/", b"/", b"//", b"/./"]);
    let parts = prop::collection::vec((component(), separator), 1..5);
    let beginning = select(vec![&b""[..], b"", b"", b"", b"./", b".//"]);
    (beginning, parts).prop_map(move |(beginning, parts)| {
        let mut name = beginning.to_vec();
        let last = parts.len() - 1;
        for (number, (component, separator)) in parts.into_iter().enumerate() {
            name.extend(component);
            if number < last {
                name.extend_from_slice(separator);
            }
        }
        name.extend_from_slice(ending);
        name
    })
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    select(vec![
        &b"a"[..],
        b"b",
        b"c",
        b"a/b",
        b"./b/",
        b"../a",
        b"../../c",
        b".",
        b"..",
        b"/opt",
        b"/opt/a",
        b"/opt/b/c",
        b"/tmp/elsewhere",
        b"/",
        b"missing",
        b"caf\xe9",
        b"a//b",
    ])
    .prop_map(<[u8]>::to_vec)
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(vec![&b""[..], b"one", b"two"]).prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'x'; 40_000]),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        5 => (name(b""), content().prop_map(Object::File)),
        3 => (name(b"/"), Just(Object::Directory)),
        2 => (name(b""), target().prop_map(Object::Link)),
        1 => (select(vec![b"./".to_vec(), b".//./".to_vec()]), Just(Object::Directory)),
    ];
    let mode = prop_oneof![
        2 => Just(None),
        6 => select(vec![0o644, 0o755, 0o600, 0o700, 0o444, 0o555, 0o777, 0]).prop_map(Some),
        1 => select(vec![0o4755, 0o2755, 0o1777, 0o6000, 0o7777]).prop_map(Some),
        1 => (0..0o10_000_u32).prop_map(Some),
    ];
    let dos = prop_oneof![
        Just(zip::USUAL_TIME),
        any::<(u16, u16)>(),
        select(vec![
            (0, 0),
            (u16::MAX, u16::MAX),
            zip::dos(2023, 2, 29, 1, 2, 4)
        ]),
    ];
    let extended = prop_oneof![
        3 => Just(None),
        1 => (0..=i32::MAX).prop_map(Some),
        1 => select(vec![0, 1, i32::MAX]).prop_map(Some),
    ];
    (kind, mode, dos, extended).prop_map(|((name, object), mode, dos, extended)| {
        // Type bits are part of the mode: without a mode nothing says that this is a link.
        let mode = match object {
            Object::Link(_) => Some(mode.unwrap_or(0o777)),
            _ => mode,
        };
        Entry {
            name,
            object,
            mode,
            dos,
            extended,
        }
    })
}

/// A layer before it is known what else it holds.
#[derive(Clone, Debug)]
struct Draft {
    entries: Vec<Entry>,
    /// Which entries come a second time, whether spelled otherwise, and with which time.
    repeated: Vec<(Index, bool, i32)>,
    packings: Vec<Packing>,
    is_zip64: bool,
}

fn draft() -> impl Strategy<Value = Draft> {
    let repeated = (any::<Index>(), any::<bool>(), 0..i32::MAX);
    (
        prop::collection::vec(entry(), 0..12),
        prop::collection::vec(repeated, 0..3),
        prop::collection::vec(packing(), 1..6),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(entries, repeated, packings, is_zip64)| Draft {
            entries,
            repeated,
            packings,
            is_zip64,
        })
}

impl From<Draft> for Layer {
    fn from(draft: Draft) -> Self {
        let mut entries = consistent(draft.entries);
        for (which, is_spelled_otherwise, time) in draft.repeated {
            if entries.is_empty() {
                break;
            }
            let mut again = which.get(&entries).clone();
            again.extended = Some(time);
            if is_spelled_otherwise {
                again.name.splice(0..0, *b"./");
            }
            entries.push(again);
        }
        Self {
            entries,
            packings: draft.packings,
            is_zip64: draft.is_zip64,
        }
    }
}

fn layer() -> impl Strategy<Value = Layer> {
    draft().prop_map(Layer::from)
}

/// What becomes of an entry that a second layer has too.
#[derive(Clone, Copy, Debug)]
enum Echo {
    Same,
    OtherMode,
    OtherContent,
}

/// Layers, some entries of which appear again in another one, as they are or changed.
pub(crate) fn stack() -> impl Strategy<Value = Vec<Layer>> {
    let echo = select(vec![Echo::Same, Echo::OtherMode, Echo::OtherContent]);
    let echo = (any::<Index>(), any::<Index>(), any::<Index>(), echo);
    (
        prop::collection::vec(draft(), 1..=5),
        prop::collection::vec(echo, 0..5),
    )
        .prop_map(|(mut drafts, echoes)| {
            for (from, which, to, change) in echoes {
                let source = &from.get(&drafts).entries;
                if source.is_empty() {
                    continue;
                }
                let mut entry = which.get(source).clone();
                match (change, &mut entry.object) {
                    (Echo::OtherMode, _) => entry.mode = entry.mode.map(|mode| mode ^ 0o111),
                    (Echo::OtherContent, Object::File(bytes) | Object::Link(bytes)) => {
                        bytes.push(b'+');
                    }
                    _ => {}
                }
                let place = to.index(drafts.len());
                drafts[place].entries.insert(0, entry);
            }
            drafts.into_iter().map(Layer::from).collect()
        })
}

pub(crate) fn entries(stack: &[Layer]) -> Vec<Vec<Entry>> {
    stack.iter().map(|layer| layer.entries.clone()).collect()
}

/// Extracts a stack into `opt`.
fn extract(sandbox: &Sandbox, stack: &[Layer], flags: &[&str]) -> Finished {
    let mut arguments = vec!["extract".to_owned()];
    for (number, layer) in stack.iter().enumerate() {
        let name = format!("{}.zip", number + 1);
        sandbox.archive(&name, &layer.archive());
        arguments.push(name);
    }
    arguments.extend(["--into", "opt", "--quota", "off", "--format", "json"].map(String::from));
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    sandbox.slashopt(arguments)
}

/// Extracts a stack that must succeed; the tree and the JSON.
fn extracted(stack: &[Layer], flags: &[&str]) -> Result<(Tree, Value), TestCaseError> {
    let sandbox = Sandbox::new();
    let finished = extract(&sandbox, stack, flags);
    prop_assert!(finished.code() == Some(0), "{finished}");
    let json = finished.success().json();
    Ok((sandbox.tree("opt"), json))
}

fn check_against(model: &Merge, tree: &Tree, json: &Value) -> Result<(), TestCaseError> {
    let expected = model.tree();
    let difference = tree.difference(&expected);
    prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    for (key, class) in [
        ("identical", Class::Identical),
        ("mode", Class::Mode),
        ("content", Class::Content),
        ("type", Class::Type),
    ] {
        let counted = &json["collisions"][key];
        let expected = model.collisions(class);
        prop_assert!(
            counted == expected,
            "{key} collisions: expected {expected} in {json:#}"
        );
    }
    for (key, kind) in [("files", "file"), ("symlinks", "symlink")] {
        let expected = expected.count(kind);
        prop_assert!(
            json[key] == expected,
            "{key}: expected {expected} in {json:#}"
        );
    }
    Ok(())
}

/// What `follow` makes of the stack, unless that depends on the order of the entries in an archive, of which the contract says
/// nothing.
pub(crate) fn followed(layers: &[Vec<Entry>]) -> Option<Merge> {
    let merged = merge(layers, OnTypeConflict::Follow);
    let forwards: Vec<Vec<Entry>> = layers
        .iter()
        .map(|layer| last_of_each_path(layer).into_iter().cloned().collect())
        .collect();
    let mut backwards = forwards.clone();
    let mut sorted = forwards;
    for layer in &mut backwards {
        layer.reverse();
    }
    for layer in &mut sorted {
        layer.sort_by_key(|entry| components(&entry.name));
    }
    let agrees = |layers: &[Vec<Entry>]| {
        let other = merge(layers, OnTypeConflict::Follow);
        !other.is_ambiguous() && other.tree() == merged.tree() && {
            [Class::Identical, Class::Mode, Class::Content, Class::Type]
                .iter()
                .all(|class| other.collisions(*class) == merged.collisions(*class))
        }
    };
    (!merged.is_ambiguous() && agrees(&backwards) && agrees(&sorted)).then_some(merged)
}

/// The layer with every path moved below one directory.
fn moved_below(layer: &Layer, directory: &str) -> Layer {
    let mut layer = layer.clone();
    // An entry of the root may stand there twice, with any mode, since it says nothing; below, it would say something.
    layer
        .entries
        .retain(|entry| !components(&entry.name).is_empty());
    for entry in &mut layer.entries {
        entry
            .name
            .splice(0..0, format!("{directory}/").into_bytes());
    }
    layer
}

/// Whether the order of the layers may matter at this path: two provide it, or two disagree about the kind of something above it.
fn is_contested(path: &Path, provided: &[BTreeMap<Path, Object>]) -> bool {
    let providers = |path: &[Vec<u8>]| -> Vec<&Object> {
        provided
            .iter()
            .filter_map(|layer| layer.get(path))
            .collect()
    };
    let kind = |object: &&Object| std::mem::discriminant(*object);
    providers(path).len() > 1
        || (1..path.len()).any(|length| {
            let above = providers(&path[..length]);
            above.iter().map(kind).any(|found| found != kind(&above[0]))
        })
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn the_root_is_what_the_model_says(stack in stack()) {
        let merged = merge(&entries(&stack), OnTypeConflict::Replace);
        let (tree, json) = extracted(&stack, &["--on-type-conflict", "replace"])?;
        check_against(&merged, &tree, &json)?;
    }

    #[test]
    fn following_links_gives_what_the_model_says(stack in stack()) {
        let merged = followed(&entries(&stack));
        prop_assume!(merged.is_some());
        let (tree, json) = extracted(&stack, &["--on-type-conflict", "follow"])?;
        if let Some(merged) = merged {
            check_against(&merged, &tree, &json)?;
        }
    }

    #[test]
    fn a_conflict_of_kinds_is_an_error_exactly_when_the_model_has_one(stack in stack()) {
        let merged = merge(&entries(&stack), OnTypeConflict::Replace);
        let sandbox = Sandbox::new();
        let finished = extract(&sandbox, &stack, &["--on-type-conflict", "error"]);
        if merged.has_type_conflict() {
            prop_assert!(finished.code() == Some(1), "expected status 1\n{finished}");
            let others: Vec<String> = sandbox
                .everything()
                .paths()
                .into_iter()
                .filter(|path| path.rsplit_once('.').is_none_or(|(_, ending)| ending != "zip"))
                .collect();
            prop_assert!(others.is_empty(), "left behind: {others:?}\n{finished}");
        } else {
            prop_assert!(finished.code() == Some(0), "expected status 0\n{finished}");
            check_against(&merged, &sandbox.tree("opt"), &finished.success().json())?;
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing(stack in stack()) {
        let (one, mut json_of_one) = extracted(&stack, &["--threads", "1"])?;
        let (many, mut json_of_many) = extracted(&stack, &["--threads", "64"])?;
        let difference = many.difference(&one);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        // The sandboxes have different names.
        for json in [&mut json_of_one, &mut json_of_many] {
            json["root"] = Value::Null;
        }
        prop_assert_eq!(json_of_one, json_of_many);
    }

    #[test]
    fn swapping_two_layers_that_share_no_path_changes_nothing(
        below in prop::collection::vec(layer(), 0..2),
        one in layer(),
        other in layer(),
        above in prop::collection::vec(layer(), 0..2),
    ) {
        let (one, other) = (moved_below(&one, "one"), moved_below(&other, "other"));
        let stack = |middle: [&Layer; 2]| -> Vec<Layer> {
            below.iter().chain(middle).chain(&above).cloned().collect()
        };
        let (first, _) = extracted(&stack([&one, &other]), &[])?;
        let (second, _) = extracted(&stack([&other, &one]), &[])?;
        let difference = second.difference(&first);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }

    #[test]
    fn another_order_changes_only_paths_that_collide(stack in stack()) {
        let reversed: Vec<Layer> = stack.iter().rev().cloned().collect();
        let (first, _) = extracted(&stack, &[])?;
        let (second, _) = extracted(&reversed, &[])?;
        let provided: Vec<_> = entries(&stack).iter().map(|layer| model::provided(layer)).collect();
        for path in first.0.keys().chain(second.0.keys()) {
            if first.0.get(path) != second.0.get(path) {
                let path = components(path);
                prop_assert!(is_contested(&path, &provided), "{path:?} changed and is in one layer only");
            }
        }
    }
}

/// The properties are worth what the generator gives: it must make every situation that they are about.
#[test]
fn the_generated_stacks_collide_in_every_way() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..400 {
        let stack = stack().new_tree(&mut runner).expect("a stack").current();
        let layers = entries(&stack);
        let merged = merge(&layers, OnTypeConflict::Replace);
        let mut saw = |what, is_there| *seen.entry(what).or_default() += u32::from(is_there);
        saw("identical", merged.collisions(Class::Identical) > 0);
        saw("mode", merged.collisions(Class::Mode) > 0);
        saw("content", merged.collisions(Class::Content) > 0);
        saw("a conflict of kinds", merged.has_type_conflict());
        saw("no conflict of kinds", !merged.has_type_conflict());
        saw(
            "something below a replaced directory",
            merged.collisions(Class::Type) > 3,
        );
        saw(
            "a link that is followed",
            followed(&layers).is_some_and(|followed| followed.tree() != merged.tree()),
        );
        saw(
            "the same name twice in one layer",
            layers
                .iter()
                .any(|layer| last_of_each_path(layer).len() < layer.len()),
        );
    }
    let rare: Vec<_> = seen.iter().filter(|(_, times)| **times < 10).collect();
    assert!(
        rare.is_empty(),
        "generated too seldom: {rare:?} of {seen:?}"
    );
}
