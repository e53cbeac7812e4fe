//! No false alarms: what honest packers write is accepted by the strict reader, and extracts to what Info-ZIP's `unzip` gives.
//! The intended differences from it are the variants of [`Difference`], and nothing else passes.
//!
//! Half of the archives are made here, of one small and mean tree, by every packer and in every way that people use; the other
//! half is real: wheels and jars that `scripts/wheels` downloads.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::project::{output, project, run_script};
use crate::support::tree::{DOS_EPOCH, Node, Tree};
use crate::support::zip::{FAT, UNIX, archive, crc32, directory, file};

/// Where we mean to differ from `unzip` 6.00 (run with `TZ=UTC` and umask 022), and why.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Difference {
    /// `unzip` leaves a link with the time of the extraction; ours is the archive's, so that one input gives one root.
    TimeOfLink,
    /// A directory that no entry describes is there since the extraction in `unzip`; ours is 0755 of 1980-01-01, for the same
    /// reason.
    ImpliedDirectory,
    /// The entry of a directory stands behind one for something in it: `unzip` has made the directory by then and ignores mode
    /// and time; ours are the entry's, whatever the order.
    LateDirectory,
    /// A directory that somebody could not read and enter is 0755, as Lambda makes it.
    OpenedDirectory,
    /// The extended timestamp stands in the central directory alone (yazl): `unzip` looks for it in the local header and takes
    /// the DOS time, which has even seconds only but goes beyond 2038; we believe the central directory.
    TimeInDirectoryAlone,
    /// `unzip` takes every name of an archive made on MS-DOS for one in code page 850, also where bit 11 says that it is UTF-8
    /// (Java, fflate); we keep the bytes, as bsdtar, 7z and Python do. [`as_from_unix`] is how it is made to read them.
    NameInUtf8,
}

/// What an archive says about one path, as far as it explains a difference.
#[derive(Clone, Copy, Default)]
struct Said {
    /// An entry for something below the path stands before its own.
    is_late: bool,
    /// Only the central directory holds the extended timestamp.
    has_hidden_time: bool,
}

impl Difference {
    /// The difference that explains why `ours` is not `theirs`, if one does. `said` is `None` where no entry names the path.
    fn explains(ours: &Node, theirs: &Node, said: Option<Said>) -> Option<Self> {
        use Node::{Directory, File, Link};
        let (is_explicit, said) = (said.is_some(), said.unwrap_or_default());
        match (ours, theirs) {
            (Link { target: one, .. }, Link { target: other, .. }) if one == other => {
                Some(Self::TimeOfLink)
            }
            (Directory { mode, mtime }, Directory { .. }) if !is_explicit => {
                ((*mode, *mtime) == (0o755, DOS_EPOCH)).then_some(Self::ImpliedDirectory)
            }
            (Directory { .. }, Directory { mode: 0o755, .. }) if said.is_late => {
                Some(Self::LateDirectory)
            }
            (Directory { mode: 0o755, mtime }, Directory { mode, mtime: other })
                if mode & 0o555 != 0o555 && is_same_time(*mtime, *other, said) =>
            {
                Some(Self::OpenedDirectory)
            }
            (Directory { mode: one, mtime }, Directory { mode, mtime: other })
                if one == mode && is_same_time(*mtime, *other, said) =>
            {
                Some(Self::TimeInDirectoryAlone)
            }
            (
                File { mode, mtime, bytes },
                File {
                    mode: their_mode,
                    mtime: their_mtime,
                    bytes: their_bytes,
                },
            ) if (mode, bytes) == (their_mode, their_bytes)
                && is_same_time(*mtime, *their_mtime, said) =>
            {
                Some(Self::TimeInDirectoryAlone)
            }
            _ => None,
        }
    }
}

/// Whether one time is the other, as far as `unzip` could know it.
fn is_same_time(ours: i64, theirs: i64, said: Said) -> bool {
    ours == theirs
        || said.has_hidden_time
            && (ours - ours.rem_euclid(2) == theirs || is_at_the_end_of_time(ours, theirs))
}

/// Whether a time is what yazl writes for a later one: the last that a signed 32-bit number can hold.
fn is_at_the_end_of_time(found: i64, meant: i64) -> bool {
    found == i64::from(i32::MAX) && meant > found
}

/// How often each intended difference was met.
type Seen = BTreeMap<Difference, usize>;

/// Runs a line of shell in a directory, or gives what it said when it failed.
fn shell(line: &str, directory: &Path, variables: &[(&str, &Path)]) -> Result<String, String> {
    let mut bash = tool("bash");
    bash.args(["-euo", "pipefail", "-c", line])
        .current_dir(directory)
        .envs(variables.iter().copied());
    let output = bash.output().expect("it can be started");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(format!(
            "`{line}`: {}\n{}\n{}",
            output.status,
            said(&output.stdout),
            said(&output.stderr)
        ))
    }
}

/// What the entries of an archive say about their paths, as the `zip` crate reads them.
struct Index {
    paths: HashMap<Vec<u8>, Said>,
    /// The places of the central headers whose names `unzip` takes for code page 850 although they are UTF-8.
    recoded: Vec<usize>,
}

impl Index {
    fn of(archive: &[u8]) -> zip::result::ZipResult<Self> {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive))?;
        let mut paths: HashMap<Vec<u8>, Said> = HashMap::new();
        let mut parents: HashSet<Vec<u8>> = HashSet::new();
        let mut recoded = Vec::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index)?;
            let central = usize::try_from(entry.central_header_start()).unwrap_or(usize::MAX);
            let local = usize::try_from(entry.header_start()).unwrap_or(usize::MAX);
            let components: Vec<&[u8]> = entry
                .name_raw()
                .split(|&byte| byte == b'/')
                .filter(|component| !component.is_empty() && *component != b".")
                .collect();
            let path = components.join(&b'/');
            let said = Said {
                is_late: parents.contains(&path),
                has_hidden_time: has_extended_time(archive, central + 28, central + 46)
                    && !has_extended_time(archive, local + 26, local + 30),
            };
            for depth in 1..components.len() {
                parents.insert(components[..depth].join(&b'/'));
            }
            if archive[central + 5] == FAT && !path.is_ascii() && std::str::from_utf8(&path).is_ok()
            {
                recoded.push(central);
            }
            paths.insert(path, said);
        }
        Ok(Self { paths, recoded })
    }
}

/// Whether a header holds an extended timestamp: the lengths of its name and of its extra fields stand at `lengths`, and both
/// at `name`.
fn has_extended_time(archive: &[u8], lengths: usize, name: usize) -> bool {
    let short = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let start = name + short(lengths);
    let mut rest = &archive[start..start + short(lengths + 2)];
    while let [a, b, c, d, after @ ..] = rest {
        if [*a, *b] == 0x5455_u16.to_le_bytes() {
            return true;
        }
        let length = usize::from(u16::from_le_bytes([*c, *d]));
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

/// The archive as if those entries had been made on Unix, where `unzip` leaves names as they are, with the modes that it gives
/// to what has none.
fn as_from_unix(mut archive: Vec<u8>, recoded: &[usize]) -> Vec<u8> {
    for central in recoded {
        archive[central + 5] = UNIX;
        let name_bytes = u16::from_le_bytes([archive[central + 28], archive[central + 29]]);
        let is_directory = archive[central + 46 + usize::from(name_bytes) - 1] == b'/';
        let mode: u16 = if is_directory { 0o040_755 } else { 0o100_644 };
        let attributes = &mut archive[central + 40..central + 42];
        if attributes == [0, 0] {
            attributes.copy_from_slice(&mode.to_le_bytes());
        }
    }
    archive
}

/// Extracts an archive with `slashopt` and with `unzip` and compares; our tree, or why the archive is no good.
fn judge(sandbox: &Sandbox, archive: &Path, seen: &mut Seen) -> Result<Tree, String> {
    let run = sandbox.slashopt([
        "extract".as_ref(),
        archive.as_os_str(),
        "--into".as_ref(),
        "ours".as_ref(),
        "--quiet".as_ref(),
    ]);
    if run.code() != Some(0) {
        return Err(run.to_string());
    }
    let bytes = fs::read(archive).expect("the archive is there");
    let index = Index::of(&bytes).map_err(|error| format!("the zip crate: {error}"))?;
    if !index.recoded.is_empty() {
        *seen.entry(Difference::NameInUtf8).or_default() += index.recoded.len();
    }
    let for_unzip = sandbox.write("for-unzip.zip", as_from_unix(bytes, &index.recoded));
    let theirs = sandbox.mkdir("theirs", 0o755);
    // Status 1 is a warning; what `unzip` then extracted is compared all the same.
    shell(
        "unzip -qo \"$ARCHIVE\" || [ $? -eq 1 ]",
        &theirs,
        &[("ARCHIVE", &for_unzip)],
    )?;
    let ours = sandbox.tree("ours");
    let mut theirs = sandbox.tree("theirs");
    for (path, node) in &mut theirs.0 {
        let Some(found) = ours.0.get(path) else {
            continue;
        };
        if path.is_empty() {
            // Each program was given or made its own root.
            *node = found.clone();
        } else if found != node
            && let Some(difference) =
                Difference::explains(found, node, index.paths.get(path).copied())
        {
            *seen.entry(difference).or_default() += 1;
            *node = found.clone();
        }
    }
    ours.difference(&theirs).map_or(Ok(ours), Err)
}

/// Says something although the test may pass: `cargo test` keeps back what is printed by macros.
fn announce(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("stderr can be written");
}

/// Ends a test: says the numbers, and fails with everything that was not accepted.
#[track_caller]
fn conclude(what: &str, tried: usize, seen: &Seen, failures: &[String]) {
    let mut line = format!(
        "\n{what}: {tried} tried, {} accepted",
        tried - failures.len()
    );
    for (difference, count) in seen {
        write!(line, ", {difference:?} {count}").expect("a string can be written");
    }
    announce(&line);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

mod made_here {
    use super::*;

    /// What a way of packing keeps of the tree; the files and their bytes it must keep in any case.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Kept {
        /// Links are links, also those that lead nowhere. Without this the packer follows them, or leaves them out.
        Links,
        /// The modes of files.
        Modes,
        /// The times of files, in steps of two seconds at least.
        Times,
        /// Empty directories.
        Directories,
    }
    use Kept::{Directories, Links, Modes, Times};

    const EVERYTHING: &[Kept] = &[Links, Modes, Times, Directories];
    const ALL_BUT_LINKS: &[Kept] = &[Modes, Times, Directories];
    const NO_MODES: &[Kept] = &[Times, Directories];

    /// A way of packing: its name, a line of shell that packs the working directory into `$OUT`, what it keeps.
    type Way = (&'static str, &'static str, &'static [Kept]);

    /// 2026-01-02T03:04:05Z, an odd second.
    const FIRST_TIME: i64 = 1_767_323_045;
    const YEAR: i64 = 31_556_952;

    /// Bytes that do not compress, always the same ones.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    /// A small tree with much of what has ever been packed wrongly. Every object has its own time, and every second time is
    /// odd; one is beyond 2038, where a signed 32-bit number ends.
    fn mean_tree(root: &Path, kept: &[Kept]) {
        let nested = archive([directory("d/"), file("d/f", "in an archive in an archive")]).bytes();
        let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
        let mut files: Vec<(String, Vec<u8>, u32)> = vec![
            ("bin/tool".into(), b"#!/bin/sh\nexit 0\n".into(), 0o755),
            ("bin/set-id".into(), b"#!/bin/sh\nexit 1\n".into(), 0o4755),
            ("bin/odd-mode".into(), b"anybody".into(), 0o711),
            ("private/key".into(), b"secret".into(), 0o400),
            ("private/notes".into(), b"mine".into(), 0o600),
            ("empty-file".into(), Vec::new(), 0o644),
            ("from-2040".into(), b"tomorrow".into(), 0o644),
            ("read-only/file".into(), b"fixed".into(), 0o444),
            ("deep/a/b/c/d/e/f/g/h/file".into(), b"down".into(), 0o644),
            ("names/with some space ".into(), b"1".into(), 0o644),
            ("names/-dash".into(), b"2".into(), 0o644),
            ("names/[bracket]*? 'q\"".into(), b"3".into(), 0o644),
            ("names/.hidden".into(), b"4".into(), 0o644),
            (
                "names/\u{fc}n\u{ef}c\u{f6}de/\u{65e5}\u{672c}\u{8a9e}.txt".into(),
                b"5".into(),
                0o644,
            ),
            ("names/crab \u{1f980}".into(), b"6".into(), 0o755),
            // The same letter composed and decomposed: two files to Linux.
            ("names/\u{e9}".into(), b"7".into(), 0o644),
            ("names/e\u{301}".into(), b"8".into(), 0o644),
            (format!("names/{}", "long".repeat(60)), b"9".into(), 0o644),
            ("data/lines".into(), lines.join("\n").into_bytes(), 0o644),
            ("data/noise".into(), noise(200_000), 0o644),
            ("data/zeros".into(), vec![0; 2 << 20], 0o644),
            ("data/archive.zip".into(), nested.clone(), 0o644),
            ("zz/last.zip".into(), nested, 0o644),
        ];
        files.extend((0..100).map(|number| {
            let content = format!("small file {number}\n").repeat(number % 7);
            (
                format!("many/{number:03}"),
                content.into_bytes(),
                0o640 | 0o004,
            )
        }));
        for (path, bytes, mode) in &files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it lies in the tree")).expect("made");
            fs::write(&path, bytes).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("given a mode");
        }
        for name in ["empty", "empty-\u{fc}/inner", "tmp", "links"] {
            fs::create_dir_all(root.join(name)).expect("made");
        }
        symlink("../bin/tool", root.join("links/tool")).expect("linked");
        symlink("../deep", root.join("links/directory")).expect("linked");
        if kept.contains(&Links) {
            for (name, target) in [
                ("absolute", "/opt/bin/tool"),
                ("loop", "loop"),
                ("outside", "../../nowhere at all"),
                ("\u{fc}", "\u{65e5}\u{672c}"),
            ] {
                symlink(target, root.join("links").join(name)).expect("linked");
            }
        }
        for (name, mode) in [("private", 0o700), ("read-only", 0o555), ("tmp", 0o1777)] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode))
                .expect("given a mode");
        }
        // The deepest first: giving a time to a child does not change its parent's, but making it did.
        let tree = Tree::read(root);
        for ((path, _), number) in tree.0.iter().rev().zip(0_i64..) {
            let years = if path == b"from-2040" { 14 } else { 0 };
            let time = Timespec {
                tv_sec: FIRST_TIME + number * 7919 + years * YEAR,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            let path = root.join(std::str::from_utf8(path).expect("our names are UTF-8"));
            utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("given a time");
        }
    }

    /// What the packer was to keep and did not, or we did not extract.
    fn lost(source: &Tree, ours: &Tree, kept: &[Kept]) -> Vec<String> {
        let mut lost = Vec::new();
        for (path, node) in &source.0 {
            let found = ours.0.get(path);
            let is_kept = match (node, found) {
                (
                    Node::File { mode, mtime, bytes },
                    Some(Node::File {
                        mode: our_mode,
                        mtime: our_mtime,
                        bytes: our_bytes,
                    }),
                ) => {
                    bytes == our_bytes
                        && (!kept.contains(&Modes) || mode & 0o777 == *our_mode)
                        && (!kept.contains(&Times)
                            || mtime.abs_diff(*our_mtime) < 2
                            || is_at_the_end_of_time(*our_mtime, *mtime))
                }
                (Node::Link { target, .. }, Some(Node::Link { target: ours, .. })) => {
                    target == ours
                }
                (Node::Link { .. }, _) => !kept.contains(&Links),
                (Node::Directory { .. }, found) => {
                    matches!(found, Some(Node::Directory { .. })) || !kept.contains(&Directories)
                }
                _ => false,
            };
            if !is_kept {
                lost.push(format!(
                    "/{}: packed {node:?}, extracted {found:?}",
                    super::super::support::shown(path)
                ));
            }
        }
        lost
    }

    /// Packs in one way and judges what comes out.
    fn try_way((_, line, kept): Way, seen: &mut Seen) -> Result<(), String> {
        let sandbox = Sandbox::new();
        let tree = sandbox.mkdir("source", 0o755);
        mean_tree(&tree, kept);
        let source = Tree::read(&tree);
        let archive = sandbox.path("packed.zip");
        let variables = [
            ("OUT", archive.clone()),
            ("PACKERS", project("tests/it/packers")),
            ("NODE_PATH", output("packers/node_modules")),
        ];
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
            .collect();
        shell(line, &tree, &variables)?;
        let ours = judge(&sandbox, &archive, seen)?;
        let lost = lost(&source, &ours, kept);
        if lost.is_empty() {
            Ok(())
        } else {
            Err(lost.join("\n"))
        }
    }

    #[track_caller]
    fn all_accepted(packer: &str, ways: &[Way]) {
        let mut seen = Seen::new();
        let mut failures = Vec::new();
        for way in ways {
            if let Err(why) = try_way(*way, &mut seen) {
                failures.push(format!("{packer}, {}:\n{why}", way.0));
            }
        }
        conclude(packer, ways.len(), &seen, &failures);
    }

    #[test]
    fn what_info_zip_writes_is_accepted() {
        if skip_without("zip") || skip_without("unzip") {
            return;
        }
        all_accepted(
            "Info-ZIP zip",
            &[
                ("plain", r#"zip -qr "$OUT" ."#, ALL_BUT_LINKS),
                ("-y", r#"zip -qry "$OUT" ."#, EVERYTHING),
                ("-y, names", r#"zip -qry "$OUT" -- *"#, EVERYTHING),
                ("-fd", r#"zip -qry -fd "$OUT" ."#, EVERYTHING),
                ("-fz", r#"zip -qry -fz "$OUT" ."#, EVERYTHING),
                ("to a pipe", r#"zip -qry - . | cat >"$OUT""#, EVERYTHING),
                (
                    "to a pipe, stored",
                    r#"zip -qry0 - . | cat >"$OUT""#,
                    EVERYTHING,
                ),
                (
                    "to a pipe, -fz-",
                    r#"zip -qry -fz- - . | cat >"$OUT""#,
                    EVERYTHING,
                ),
                (
                    "names from a pipe",
                    r#"find . | zip -qy "$OUT" -@"#,
                    EVERYTHING,
                ),
                (
                    "updated in place",
                    r#"
                    zip -qry "$OUT" . -x 'many/01*' 'data/*'
                    zip -d "$OUT" 'many/09*' bin/tool private/
                    zip -ruy "$OUT" . || [ $? -eq 18 ]
                    touch -d 2027-01-01 many/042 data/lines
                    zip -fy "$OUT" || [ $? -eq 18 ]
                    touch -r data/noise many/042 data/lines
                    "#,
                    &[Links, Modes, Directories],
                ),
                (
                    "updated in place from a pipe's",
                    r#"
                    zip -qry - . -x 'many/*' | cat >"$OUT"
                    zip -d "$OUT" 'data/*'
                    zip -qry "$OUT" many data
                    "#,
                    EVERYTHING,
                ),
                (
                    "synchronised with the disk",
                    r#"zip -qry "$OUT" many bin; zip -qry -FS "$OUT" ."#,
                    EVERYTHING,
                ),
                ("-0", r#"zip -qry -0 "$OUT" ."#, EVERYTHING),
                ("-9", r#"zip -qry -9 "$OUT" ."#, EVERYTHING),
                ("-X", r#"zip -qry -X "$OUT" ."#, EVERYTHING),
                ("-D", r#"zip -qry -D "$OUT" ."#, &[Links, Modes, Times]),
                ("-o", r#"zip -qryo "$OUT" ."#, EVERYTHING),
                ("-UN=UTF8", r#"zip -qry -UN=UTF8 "$OUT" ."#, EVERYTHING),
                (
                    "with comments",
                    r#"seq 300 | zip -qryc "$OUT" .; echo 'the comment of all' | zip -qz "$OUT""#,
                    EVERYTHING,
                ),
                (
                    "copied",
                    r#"zip -qr first.zip .; zip -q first.zip --out "$OUT" '*'"#,
                    ALL_BUT_LINKS,
                ),
            ],
        );
    }

    /// The three things that Info-ZIP's packer writes and we refuse.
    #[test]
    fn what_info_zip_breaks_itself_is_refused() {
        if skip_without("zip") {
            return;
        }
        for (line, reason) in [
            // The end record asks for a zip64 record, and there is none: `unzip` and 7z refuse it too, Python takes it.
            (
                r#"zip -qr -fz - . | cat >"$OUT""#,
                "the central directory does not lie where the end record says",
            ),
            // A link to a directory that zip copies ("zip warning: will just copy entry over") loses its size: `unzip` believes
            // the other one, Python and 7z give up.
            (
                r#"zip -qry all.zip .; zip -q all.zip --out "$OUT" '*' || [ $? -eq 18 ]"#,
                "entry `link`: it is stored, but its compressed size 9 is not its uncompressed size 0",
            ),
            // What came through a pipe is called a FIFO, which a layer does not hold. Others make a file named `-` of it.
            (r#"echo data | zip -q "$OUT" -"#, "entry `-`: it is a FIFO"),
        ] {
            let sandbox = Sandbox::new();
            let tree = sandbox.mkdir("source", 0o755);
            fs::create_dir(tree.join("directory")).expect("made");
            fs::write(tree.join("file"), "in it").expect("written");
            symlink("directory", tree.join("link")).expect("linked");
            let archive = sandbox.path("packed.zip");
            shell(line, &tree, &[("OUT", &archive)]).expect("zip does not notice");
            sandbox
                .slashopt(["extract", "packed.zip", "--into", "ours"])
                .status(3)
                .stderr_contains(reason);
        }
    }

    #[test]
    fn what_bsdtar_writes_is_accepted() {
        if skip_without("bsdtar") || skip_without("unzip") {
            return;
        }
        all_accepted(
            "bsdtar",
            &[
                (
                    "to a file",
                    r#"bsdtar --format zip -cf "$OUT" ."#,
                    EVERYTHING,
                ),
                (
                    "names",
                    r#"bsdtar --format zip -cf "$OUT" -- *"#,
                    EVERYTHING,
                ),
                (
                    "to a pipe",
                    r#"bsdtar --format zip -cf - . | cat >"$OUT""#,
                    EVERYTHING,
                ),
                (
                    "stored",
                    r#"bsdtar --format zip --options zip:compression=store -cf "$OUT" ."#,
                    EVERYTHING,
                ),
                (
                    "stored, to a pipe",
                    r#"bsdtar --format zip --options zip:compression=store -cf - . | cat >"$OUT""#,
                    EVERYTHING,
                ),
                (
                    "zip64",
                    r#"bsdtar --format zip --options zip:zip64 -cf "$OUT" ."#,
                    EVERYTHING,
                ),
                (
                    "zip64, to a pipe",
                    r#"bsdtar --format zip --options zip:zip64 -cf - . | cat >"$OUT""#,
                    EVERYTHING,
                ),
                ("by its ending", r#"bsdtar -acf "$OUT" ."#, EVERYTHING),
                (
                    "-L",
                    r#"bsdtar -L --format zip -cf "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
                (
                    "from another archive",
                    r#"bsdtar --options pax:hdrcharset=BINARY -cf - . | bsdtar --format zip -cf "$OUT" @-"#,
                    EVERYTHING,
                ),
            ],
        );
    }

    #[test]
    fn what_7z_writes_is_accepted() {
        if skip_without("7z") || skip_without("unzip") {
            return;
        }
        all_accepted(
            "7z",
            &[
                ("default", r#"7z a -tzip -bd -bso0 "$OUT" ."#, ALL_BUT_LINKS),
                ("-snl", r#"7z a -tzip -snl -bd -bso0 "$OUT" ."#, EVERYTHING),
                (
                    "-mm=Copy",
                    r#"7z a -tzip -mm=Copy -bd -bso0 "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
                (
                    "-mcu",
                    r#"7z a -tzip -mcu -bd -bso0 "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
                (
                    "-mx9",
                    r#"7z a -tzip -mx9 -bd -bso0 "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
                (
                    "without times of its own",
                    r#"7z a -tzip -mtc=off -mta=off -bd -bso0 "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
                (
                    "to a pipe",
                    r#"7z a -tzip -bd -bso0 -so anything . | cat >"$OUT""#,
                    ALL_BUT_LINKS,
                ),
                (
                    "updated",
                    r#"7z a -tzip -bd -bso0 "$OUT" many bin; 7z d -bd -bso0 "$OUT" 'many/0*'; 7z u -tzip -bd -bso0 "$OUT" ."#,
                    ALL_BUT_LINKS,
                ),
            ],
        );
    }

    #[test]
    fn what_python_writes_is_accepted() {
        if skip_without("python3") || skip_without("unzip") {
            return;
        }
        let way = |name: &'static str, line: &'static str, kept| (name, line, kept);
        all_accepted(
            "Python zipfile",
            &[
                way(
                    "seekable",
                    r#"python3 "$PACKERS/pack.py" seekable "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "stored",
                    r#"python3 "$PACKERS/pack.py" stored "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "unseekable",
                    r#"python3 "$PACKERS/pack.py" unseekable "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "unseekable, stored",
                    r#"python3 "$PACKERS/pack.py" unseekable_stored "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "allowZip64=False",
                    r#"python3 "$PACKERS/pack.py" without_zip64 "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "force_zip64",
                    r#"python3 "$PACKERS/pack.py" force_zip64 "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "force_zip64, unseekable",
                    r#"python3 "$PACKERS/pack.py" force_zip64_unseekable "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "writestr",
                    r#"python3 "$PACKERS/pack.py" writestr "$OUT""#,
                    &[Links],
                ),
                way(
                    "mkdir",
                    r#"python3 "$PACKERS/pack.py" mkdir "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "appended",
                    r#"python3 "$PACKERS/pack.py" appended "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "make_archive",
                    r#"python3 "$PACKERS/pack.py" make_archive "$OUT""#,
                    ALL_BUT_LINKS,
                ),
                way(
                    "command line",
                    r#"python3 -m zipfile -c "$OUT" * .[!.]* 2>/dev/null || python3 -m zipfile -c "$OUT" *"#,
                    ALL_BUT_LINKS,
                ),
            ],
        );
    }

    #[test]
    fn what_java_writes_is_accepted() {
        if skip_without("jar") || skip_without("java") || skip_without("unzip") {
            return;
        }
        all_accepted(
            "Java",
            &[
                ("jar cf", r#"jar cf "$OUT" ."#, NO_MODES),
                ("jar c0f", r#"jar c0f "$OUT" ."#, NO_MODES),
                ("jar cfM", r#"jar cfM "$OUT" *"#, NO_MODES),
                ("jar to a pipe", r#"jar c . | cat >"$OUT""#, NO_MODES),
                (
                    "jar uf",
                    r#"jar cf "$OUT" many bin; touch -d 2027-01-01 many/042; jar uf "$OUT" .; touch -r bin/tool many/042"#,
                    &[Directories],
                ),
                (
                    "jar --date",
                    r#"jar -c -f "$OUT" --date 2026-03-04T05:06:07Z ."#,
                    &[Directories],
                ),
                (
                    "ZipOutputStream",
                    r#"java "$PACKERS/Pack.java" default >"$OUT""#,
                    NO_MODES,
                ),
                (
                    "ZipOutputStream, stored",
                    r#"java "$PACKERS/Pack.java" stored >"$OUT""#,
                    NO_MODES,
                ),
                (
                    "ZipOutputStream, all times",
                    r#"java "$PACKERS/Pack.java" all-times >"$OUT""#,
                    NO_MODES,
                ),
            ],
        );
    }

    /// The packages of Node's registry, at hand.
    fn node_packers() {
        if let Err(why) = run_script("packers", &[]) {
            panic!("the packers of Node could not be installed: {why}");
        }
    }

    macro_rules! node {
        ($way:literal, $kept:expr) => {
            (
                $way,
                concat!("node \"$PACKERS/pack.js\" ", $way, " \"$OUT\""),
                $kept,
            )
        };
    }

    #[test]
    fn what_packages_of_node_write_is_accepted() {
        if skip_without("node") || skip_without("npm") || skip_without("unzip") {
            return;
        }
        node_packers();
        all_accepted(
            "Node",
            &[
                node!("archiver", EVERYTHING),
                node!("archiver-stored", EVERYTHING),
                node!("archiver-zip64", EVERYTHING),
                node!("archiver-walking", ALL_BUT_LINKS),
                node!("archiver-local-time", EVERYTHING),
                node!("yazl", EVERYTHING),
                node!("yazl-stored", EVERYTHING),
                node!("yazl-stream", EVERYTHING),
                node!("yazl-zip64", EVERYTHING),
                node!("yazl-zip64-stream", EVERYTHING),
                node!("yazl-dos-time", EVERYTHING),
                node!("jszip", NO_MODES),
                node!("jszip-stored", NO_MODES),
                node!("jszip-unix", EVERYTHING),
                node!("jszip-unix-stream", EVERYTHING),
                node!("adm-zip", &[Modes, Directories]),
                node!("adm-zip-folder", &[Modes, Times, Directories]),
                node!("fflate", NO_MODES),
                node!("fflate-unix", EVERYTHING),
                node!("fflate-stream", EVERYTHING),
                node!("fflate-stream-stored", EVERYTHING),
            ],
        );
    }

    #[test]
    fn what_go_writes_is_accepted() {
        if skip_without("python3") || skip_without("unzip") {
            return;
        }
        all_accepted(
            "Go, imitated",
            &[
                (
                    "stream",
                    r#"python3 "$PACKERS/pack.py" go "$OUT""#,
                    EVERYTHING,
                ),
                (
                    "stream, zip64",
                    r#"python3 "$PACKERS/pack.py" go_zip64 "$OUT""#,
                    EVERYTHING,
                ),
            ],
        );
    }
}

mod real {
    use super::*;

    /// Real wheels and jars, downloaded where they are not there yet: thirty, or with `SLASHOPT_TEST_FULL=1` every one.
    fn archives() -> Vec<PathBuf> {
        let is_full = std::env::var_os("SLASHOPT_TEST_FULL").is_some_and(|value| value == "1");
        let arguments: &[&str] = if is_full { &[] } else { &["--sample"] };
        let paths = run_script("wheels", arguments)
            .unwrap_or_else(|why| panic!("the real archives could not be downloaded: {why}"));
        paths.lines().map(PathBuf::from).collect()
    }

    #[test]
    fn real_wheels_and_jars_are_accepted() {
        if skip_without("unzip") {
            return;
        }
        let archives = archives();
        assert!(archives.len() >= 30, "only {} archives", archives.len());
        let mut seen = Seen::new();
        let mut failures = Vec::new();
        let mut different = HashSet::new();
        for archive in &archives {
            let bytes = fs::read(archive).expect("what the script names is there");
            different.insert((bytes.len(), crc32(&bytes)));
            if let Err(why) = judge(&Sandbox::new(), archive, &mut seen) {
                failures.push(format!("{}:\n{why}", archive.display()));
            }
        }
        assert_eq!(different.len(), archives.len(), "some are the same");
        conclude("real wheels and jars", archives.len(), &seen, &failures);
    }
}
