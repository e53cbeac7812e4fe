//! Good archives, cut at every byte, and with every byte of every record flipped: never a panic; either the archive is refused, or
//! the tree is that of the untouched archive, except where the byte is one that says what the tree is like.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use slashopt::entry::Kind;
use slashopt::host::read::entry::Reader;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::{LoadedStack, OpenLayer};
use slashopt::host::system::budget::Budget;
use slashopt::merge::{LinkedDirectory, MergedTree};
use slashopt::plan::ExtractPlan;

use crate::support::command::Sandbox;
use crate::support::tree::{Node, Tree};
use crate::support::zip::{Archive, Descriptor, archive, directory, file, link};

/// Each of these is exclusive-ored on each byte.
const PATTERNS: [u8; 6] = [1, 2, 8, 32, 128, 255];

/// What an archive makes: read as `extract` reads it, every local header and every byte of data.
fn tree_of(path: &Path) -> Result<Tree, String> {
    let budget = Budget::new(64 << 20);
    let inputs = [LayerInput::Path(path.into())];
    let loaded = LoadedStack::load(&inputs, LoadOptions::default(), &budget)
        .map_err(|error| error.to_string())?;
    let merged = MergedTree::merge(&loaded.stack, LinkedDirectory::Replace);
    let plan = ExtractPlan::new(&merged);
    let mut reader = Reader::new(&budget);
    let mut tree = Tree::default();
    let nodes = plan
        .levels
        .iter()
        .flatten()
        .chain(&plan.files)
        .chain(&plan.symlinks);
    for &node in nodes {
        let object = merged.object(node);
        let (mode, mtime) = (object.mode.bits().into(), object.modified.0);
        let origin = merged.provider(node);
        let mut bytes = Vec::new();
        let layer = loaded
            .stack
            .get(origin.layer)
            .expect("it comes from a layer");
        if let (OpenLayer::Archive { archive, file }, Some(entry)) =
            (loaded.open(origin.layer), layer.entry_of(origin.node))
        {
            reader
                .read_entry(file, archive, entry, loaded.label(origin.layer), |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })
                .map_err(|error| error.to_string())?;
        }
        let found = match object.kind {
            Kind::Directory => Node::Directory { mode, mtime },
            Kind::File => Node::File { mode, mtime, bytes },
            Kind::Symlink => Node::Link {
                target: merged.target_of(origin).unwrap_or_default().to_vec(),
                mtime,
            },
        };
        tree.0.insert(merged.path(node).as_bytes().to_vec(), found);
    }
    Ok(tree)
}

/// A file whose bytes are exchanged in place.
struct Mutant {
    path: PathBuf,
    file: File,
}

impl Mutant {
    fn new(sandbox: &Sandbox, bytes: &[u8]) -> Self {
        let path = sandbox.write("mutant.zip", bytes);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("it can be opened");
        Self { path, file }
    }

    fn put(&self, at: usize, byte: u8) {
        self.file
            .write_all_at(&[byte], at as u64)
            .expect("a byte can be written");
    }

    fn cut(&self, length: usize) {
        self.file.set_len(length as u64).expect("a file can be cut");
    }

    /// The tree, or why it is refused; a panic is neither.
    fn tree(&self, what: &dyn fmt::Display) -> Result<Tree, String> {
        catch_unwind(AssertUnwindSafe(|| tree_of(&self.path)))
            .unwrap_or_else(|_| panic!("{what}: it panics"))
    }
}

/// The layers that are kept in the repository, and built ones with what those lack.
fn archives() -> Vec<(String, Vec<u8>)> {
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layers");
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(layers)
        .expect("the layers are there")
        .map(|child| child.expect("the directory can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "zip"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("a layer can be read"))
        })
        .collect();
    all.sort();
    let built: [(&str, Archive); 4] = [
        (
            "zip64",
            archive([
                directory("d/").zip64(),
                file("d/a", "stored").zip64(),
                file("b", "deflated, deflated")
                    .deflated()
                    .zip64()
                    .extended(1_000_000_000),
                link("c", "d/a").zip64(),
            ])
            .zip64()
            .comment("a comment"),
        ),
        (
            "descriptors",
            archive(
                [
                    (Descriptor::Signed, "signed"),
                    (Descriptor::Unsigned, "unsigned"),
                    (Descriptor::SignedLong, "signed-long"),
                    (Descriptor::UnsignedLong, "unsigned-long"),
                ]
                .map(|(descriptor, name)| {
                    file(name, "deflated, deflated")
                        .deflated()
                        .descriptor(descriptor)
                }),
            ),
        ),
        (
            "zip64 and descriptors",
            archive([
                file("a", "stored").zip64().descriptor(Descriptor::Signed),
                file("empty", "")
                    .zip64()
                    .deflated()
                    .descriptor(Descriptor::Unsigned),
            ])
            .zip64(),
        ),
        (
            "names",
            archive([
                directory("./"),
                file("./caf\u{e9}", "x")
                    .extra(0xcafe, "unknown")
                    .comment("comment"),
                file(b"caf\xe9", "y").local_extra([0; 3]),
                directory("d/").deflated(),
                directory("d/").deflated(),
            ])
            .suffix([0; 4]),
        ),
    ];
    all.extend(built.map(|(name, built)| (name.to_owned(), built.bytes())));
    all
}

#[test]
fn an_archive_that_is_cut_anywhere_is_refused() {
    let (mut tried, mut accepted) = (0, 0);
    for (name, bytes) in archives() {
        let sandbox = Sandbox::new();
        let mutant = Mutant::new(&sandbox, &bytes);
        let untouched = mutant.tree(&name).expect("it is good");
        for length in (0..bytes.len()).rev() {
            mutant.cut(length);
            tried += 1;
            let what = format!("{name} cut to {length} bytes");
            if let Ok(tree) = mutant.tree(&what) {
                // What is cut off may be padding.
                assert!(
                    bytes[length..].iter().all(|&byte| byte == 0),
                    "{what} is accepted"
                );
                assert_eq!(tree.difference(&untouched), None, "{what}");
                accepted += 1;
            }
        }
    }
    eprintln!("{tried} cuts, {accepted} accepted: those that cut off padding");
}

/// Where in an archive a byte lies: the record and the field.
type Place = (&'static str, &'static str);

/// Fields of the records by their widths, in order; what is behind the fixed part is added by who walks the archive.
const LOCAL: [(&str, usize); 11] = [
    ("signature", 4),
    ("version needed", 2),
    ("flags", 2),
    ("method", 2),
    ("time", 2),
    ("date", 2),
    ("crc", 4),
    ("compressed size", 4),
    ("size", 4),
    ("name length", 2),
    ("extra length", 2),
];
const CENTRAL: [(&str, usize); 17] = [
    ("signature", 4),
    ("version made by", 2),
    ("version needed", 2),
    ("flags", 2),
    ("method", 2),
    ("time", 2),
    ("date", 2),
    ("crc", 4),
    ("compressed size", 4),
    ("size", 4),
    ("name length", 2),
    ("extra length", 2),
    ("comment length", 2),
    ("disk", 2),
    ("internal attributes", 2),
    ("external attributes", 4),
    ("offset", 4),
];

/// Every byte of every record of a sound archive, with its place. Data is left out: its CRC-32 guards it.
fn records(bytes: &[u8]) -> BTreeMap<usize, Place> {
    let short = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let find = |signature: &[u8; 4]| bytes.windows(4).rposition(|window| window == signature);
    let long = |at: usize| {
        usize::try_from(u32::from_le_bytes(
            bytes[at..at + 4].try_into().expect("four"),
        ))
        .expect("it fits")
    };
    let end = find(b"PK\x05\x06").expect("there is an end record");
    let zip64 = find(b"PK\x06\x06");
    // The low half of the 64-bit offset will do.
    let mut at = zip64.map_or_else(|| long(end + 16), |record| long(record + 48));
    let directory = at;
    let mut places = BTreeMap::new();
    let mut mark =
        |from: usize, to: usize, place: Place| places.extend((from..to).map(|at| (at, place)));
    let mut locals = Vec::new();
    while bytes[at..].starts_with(b"PK\x01\x02") {
        let mut field_at = at;
        for (field, width) in CENTRAL {
            mark(field_at, field_at + width, ("central", field));
            field_at += width;
        }
        let (name, extra, comment) = (short(at + 28), short(at + 30), short(at + 32));
        mark(field_at, field_at + name, ("central", "name"));
        mark(
            field_at + name,
            field_at + name + extra,
            ("central", "extra"),
        );
        let stop = field_at + name + extra + comment;
        mark(field_at + name + extra, stop, ("central", "comment"));
        locals.push((long(at + 42), long(at + 20)));
        at = stop;
    }
    if let Some(record) = zip64 {
        mark(record, record + 56, ("zip64 end", "record"));
        mark(record + 56, end, ("zip64 end", "locator"));
    }
    mark(end, bytes.len(), ("end", "record"));
    locals.sort_unstable();
    let mut from = 0;
    for (_, compressed) in locals {
        // Where sizes and offsets are in zip64 fields, the records are found by their order.
        let start = bytes[from..directory]
            .windows(4)
            .position(|window| window == b"PK\x03\x04")
            .map_or(directory, |found| from + found);
        let mut field_at = start;
        for (field, width) in LOCAL {
            mark(field_at, field_at + width, ("local", field));
            field_at += width;
        }
        let (name, extra) = (short(start + 26), short(start + 28));
        mark(field_at, field_at + name, ("local", "name"));
        mark(field_at + name, field_at + name + extra, ("local", "extra"));
        let data = field_at + name + extra;
        from = data;
        // Descriptors and padding: whatever follows the data up to the next record.
        if compressed < bytes.len() {
            let next = bytes[data + compressed..directory]
                .windows(4)
                .position(|window| window == b"PK\x03\x04")
                .map_or(directory, |found| data + compressed + found);
            mark(data + compressed, next, ("local", "descriptor"));
            from = next;
        }
    }
    places
}

/// What a byte may change of an object without any strict reader noticing, because the central directory alone says it, or
/// because nobody compares what the two headers say.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    times: bool,
    modes: bool,
    /// A file may become a link of the same bytes: the type bits stand beside the mode.
    kinds: bool,
}

fn allowed((record, field): Place) -> Allowed {
    match (record, field) {
        // The host decides whether there are a mode and type bits at all.
        ("central", "version made by" | "external attributes") => Allowed {
            modes: true,
            kinds: true,
            ..Allowed::default()
        },
        // The times of the two headers need not be equal: writers differ. The extended timestamp is an extra field.
        ("central", "time" | "date" | "extra") => Allowed {
            times: true,
            ..Allowed::default()
        },
        _ => Allowed::default(),
    }
}

/// The tree with what may differ made equal.
fn without(allowed: Allowed, tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    for node in tree.0.values_mut() {
        if let (true, Node::Link { target, mtime }) = (allowed.kinds, &*node) {
            *node = Node::File {
                mode: 0,
                mtime: *mtime,
                bytes: target.clone(),
            };
        }
        match node {
            Node::Directory { mode, mtime } | Node::File { mode, mtime, .. } => {
                if allowed.modes {
                    *mode = 0;
                }
                if allowed.times {
                    *mtime = 0;
                }
            }
            Node::Link { mtime, .. } if allowed.times => *mtime = 0,
            Node::Link { .. } | Node::Other => {}
        }
    }
    tree
}

/// What became of the flips of one archive.
#[derive(Default)]
struct Outcome {
    tried: usize,
    /// For each place how many were accepted, and how many of those changed the tree.
    accepted: BTreeMap<Place, (usize, usize)>,
    wrong: Vec<String>,
}

fn flip(name: &str, bytes: &[u8]) -> Outcome {
    let sandbox = Sandbox::new();
    let mutant = Mutant::new(&sandbox, bytes);
    let untouched = mutant.tree(&name).expect("it is good");
    let mut outcome = Outcome::default();
    for (at, place) in records(bytes) {
        for pattern in PATTERNS {
            mutant.put(at, bytes[at] ^ pattern);
            outcome.tried += 1;
            let what = format!("{name}, {place:?}, byte {at} ^ {pattern:#04x}");
            let Ok(tree) = mutant.tree(&what) else {
                continue;
            };
            let counts = outcome.accepted.entry(place).or_default();
            counts.0 += 1;
            if tree == untouched {
                continue;
            }
            counts.1 += 1;
            let allowed = allowed(place);
            let expected = without(allowed, &untouched);
            if let Some(difference) = without(allowed, &tree).difference(&expected) {
                outcome.wrong.push(format!("{what}: {difference}"));
            }
        }
        mutant.put(at, bytes[at]);
    }
    outcome
}

#[test]
fn a_flipped_byte_is_refused_or_changes_nothing_but_what_it_says() {
    let archives = archives();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let flipping: Vec<_> = archives
            .iter()
            .map(|(name, bytes)| scope.spawn(|| flip(name, bytes)))
            .collect();
        flipping
            .into_iter()
            .map(|flipping| flipping.join().expect("no flip panics"))
            .collect()
    });
    let mut by_place = BTreeMap::<Place, (usize, usize)>::new();
    for (place, counts) in outcomes.iter().flat_map(|outcome| &outcome.accepted) {
        let sum = by_place.entry(*place).or_default();
        *sum = (sum.0 + counts.0, sum.1 + counts.1);
    }
    let tried: usize = outcomes.iter().map(|outcome| outcome.tried).sum();
    let accepted: usize = by_place.values().map(|counts| counts.0).sum();
    let changing: usize = by_place.values().map(|counts| counts.1).sum();
    eprintln!("{tried} flips, {accepted} accepted, {changing} of them change what the byte says:");
    for ((record, field), (accepted, changing)) in by_place {
        eprintln!("  {record} {field}: {accepted} accepted, {changing} of them change the tree");
    }
    let wrong: Vec<&String> = outcomes.iter().flat_map(|outcome| &outcome.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} flips are wrong: {wrong:#?}",
        wrong.len()
    );
}
