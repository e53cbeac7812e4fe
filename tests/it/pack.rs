//! A directory as an archive: the same content gives the same bytes wherever, whenever and by whomever it is packed; every reader
//! finds it; and what Lambda cannot take, or would not use, is said.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use crate::properties::config;
use crate::support::command::{Finished, Sandbox, skip_unless_root, skip_without};
use crate::support::machine::{PATH, tool};
use crate::support::readers::everybody_reads;
use crate::support::tree::{DOS_EPOCH, Node, Tree};

const SIZE_FOR_BLOCKS: usize = (9 << 20) + 17;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn set_time(path: &Path, seconds: u64) {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(moment).unwrap();
}

/// In which order files are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Listed,
    Reversed,
}

/// Files with every mode and name that a layer may hold, made in this order.
fn make(sandbox: &Sandbox, name: &str, order: Order) {
    let root = sandbox.mkdir(name, 0o755);
    let large: Vec<u8> = (0..SIZE_FOR_BLOCKS)
        .map(|byte: usize| (byte / 3).to_le_bytes()[0])
        .collect();
    let mut files: Vec<(&str, &[u8], u32)> = vec![
        ("a-b", b"sorts before a/", 0o644),
        ("a/b", b"below", 0o600),
        ("a/run", b"#!/bin/sh\n", 0o700),
        ("a/.hidden", b"hidden", 0o664),
        (".gitignore", b"*\n", 0o444),
        ("caf\u{e9}", b"text", 0o640),
        ("empty", b"", 0o644),
        ("large", &large, 0o775),
        ("z/deep/er/file", b"deep deep deep deep deep deep", 0o611),
    ];
    if order == Order::Reversed {
        files.reverse();
    }
    for (path, content, mode) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(&path, mode);
    }
    fs::create_dir(root.join("void")).unwrap();
    set_mode(&root.join("void"), 0o711);
    symlink("a/run", root.join("link")).unwrap();
    symlink("/opt/nowhere", root.join("dangling")).unwrap();
}

fn pack(sandbox: &Sandbox, directory: &str, flags: &[&str]) -> Finished {
    let words = ["pack", directory, "--output", "layer.zip"];
    sandbox.slashopt(words.iter().chain(flags))
}

fn packed(sandbox: &Sandbox, directory: &str, flags: &[&str]) -> Vec<u8> {
    pack(sandbox, directory, flags).success();
    fs::read(sandbox.path("layer.zip")).unwrap()
}

/// What the archive extracts to.
fn extracted(sandbox: &Sandbox) -> Tree {
    drop(fs::remove_dir_all(sandbox.path("opt")));
    sandbox
        .slashopt(["extract", "layer.zip", "--into", "opt", "--quiet"])
        .success();
    sandbox.tree("opt")
}

#[test]
fn the_same_content_gives_the_same_bytes_whatever_the_machine_does() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    make(&sandbox, "other", Order::Reversed);
    set_time(&sandbox.path("other/a"), 1);
    set_time(&sandbox.path("other/a/b"), 2_000_000_001);
    // What a clone under another umask makes of it, and what changes nothing about who may execute.
    for (path, mode) in [
        ("other/a/b", 0o666),
        ("other/a/run", 0o711),
        ("other/a", 0o775),
    ] {
        set_mode(&sandbox.path(path), mode);
    }
    let expected = packed(&sandbox, "one", &[]);
    for (directory, flags) in [
        ("other", &[][..]),
        ("./other/../other/", &["--threads", "1"]),
        ("other", &["--threads", "16"]),
    ] {
        assert!(
            packed(&sandbox, directory, flags) == expected,
            "{directory} {flags:?}"
        );
    }
    for umask in [0, 0o077, 0o777] {
        fs::remove_file(sandbox.path("layer.zip")).unwrap();
        let words = ["pack", "other", "--output", "layer.zip"];
        sandbox.command(words).umask(umask).run().success();
        assert!(
            fs::read(sandbox.path("layer.zip")).unwrap() == expected,
            "{umask:o}"
        );
    }
    let link = sandbox.path("by-link");
    symlink("one", link).unwrap();
    assert!(packed(&sandbox, "by-link", &[]) == expected);
    if skip_unless_root(&sandbox) {
        return;
    }
    for path in [
        "a/b",
        "a/run",
        "caf\u{e9}",
        "z/deep/er/file",
        "large",
        "void",
    ] {
        sandbox.give_to_nobody(&format!("other/{path}"));
    }
    let target = sandbox.mkdir("theirs", 0o777);
    sandbox
        .command(["pack", "other", "--output", "theirs/layer.zip"])
        .by_nobody()
        .run()
        .success();
    assert!(fs::read(target.join("layer.zip")).unwrap() == expected);
}

#[test]
fn modes_and_times_are_what_lambda_needs_and_links_are_kept() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    packed(&sandbox, "one", &[]);
    let tree = extracted(&sandbox);
    for (path, mode) in [
        ("a/b", "0644"),
        ("a/run", "0755"),
        ("a/.hidden", "0644"),
        (".gitignore", "0644"),
        ("large", "0755"),
        ("z/deep/er/file", "0755"),
        ("void", "0755"),
    ] {
        assert_eq!(tree.mode(path), mode, "{path}");
    }
    assert_eq!(tree.target("link"), "a/run");
    assert_eq!(tree.target("dangling"), "/opt/nowhere");
    assert_eq!(tree.paths().len(), 16);
    for path in tree.paths() {
        assert_eq!(tree.mtime(&path), DOS_EPOCH, "{path}");
    }
    sandbox
        .command(["pack", "one", "--output", "layer.zip"])
        .env("SOURCE_DATE_EPOCH", "1700000001")
        .run()
        .success();
    let tree = extracted(&sandbox);
    for path in tree.paths() {
        assert_eq!(tree.mtime(&path), 1_700_000_001, "{path}");
    }
    for wrong in ["yesterday", "-1", "1e9", "99999999999"] {
        sandbox
            .command(["pack", "one", "--output", "layer.zip"])
            .env("SOURCE_DATE_EPOCH", wrong)
            .run()
            .status(2)
            .has_hint();
    }
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    set_time(&sandbox.path("one/a/b"), 1_700_000_001);
    packed(&sandbox, "one", &["--keep-modes", "--keep-times"]);
    let mut expected = sandbox.tree("one");
    // Lambda's own rule for directories that cannot be entered.
    if let Some(Node::Directory { mode, .. }) = expected.0.get_mut(b"void".as_slice()) {
        *mode = 0o755;
    }
    let mut tree = extracted(&sandbox);
    for tree in [&mut expected, &mut tree] {
        tree.0.remove(b"".as_slice());
    }
    tree.assert_is(&expected);
}

#[test]
fn everybody_reads_what_is_packed() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    fs::remove_file(sandbox.path("one/dangling")).unwrap();
    packed(&sandbox, "one", &["--under", "python/lib"]);
    let tree = extracted(&sandbox);
    assert_eq!(tree.mode("python"), "0755");
    assert_eq!(tree.text("python/lib/a/b"), "below");
    everybody_reads(&sandbox, "layer.zip", &tree);
}

#[test]
fn a_place_in_the_layer_must_lie_in_it() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    let below = packed(&sandbox, "one", &["--under", "python"]);
    for same in ["/opt/python", "python/", "./python"] {
        assert!(
            packed(&sandbox, "one", &["--under", same]) == below,
            "{same}"
        );
    }
    let plain = packed(&sandbox, "one", &[]);
    for root in [".", "/opt", "/opt/"] {
        assert!(
            packed(&sandbox, "one", &["--under", root]) == plain,
            "{root}"
        );
    }
    for wrong in ["../python", "/python", "a/\u{1}"] {
        pack(&sandbox, "one", &["--under", wrong])
            .status(2)
            .has_hint();
    }
}

#[test]
fn only_what_the_one_file_names_is_left_out() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    sandbox.write(
        "one/.slashoptignore",
        "/a/*\n!/a/run\nlarge # no comment\nz/\n",
    );
    sandbox.write("one/a/.slashoptignore", "not at the top: no patterns");
    let json = pack(&sandbox, "one", &["--format", "json"])
        .success()
        .json();
    let tree = extracted(&sandbox);
    assert_eq!(
        tree.paths(),
        [
            ".gitignore",
            "a",
            "a-b",
            "a/run",
            "caf\u{e9}",
            "dangling",
            "empty",
            "large",
            "link",
            "void"
        ]
    );
    assert_eq!(json["ignored"], 4);
    // What is left out is not looked at either.
    sandbox.write("one/.slashoptignore", "/pipe\n/closed/\n");
    nix::unistd::mkfifo(&sandbox.path("one/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    sandbox.mkdir("one/closed", 0o000);
    pack(&sandbox, "one", &[])
        .success()
        .says("left out: 2 by .slashoptignore");
    sandbox.write("one/.slashoptignore", "fine\n[z-a]\n");
    pack(&sandbox, "one", &[])
        .status(4)
        .stderr_contains("one/.slashoptignore`: line 2: ");
    sandbox.write("one/.slashoptignore", b"fine\n\xff\n");
    pack(&sandbox, "one", &[])
        .status(4)
        .stderr_contains("line 2: cannot read the patterns");
}

/// Paths of a tree with few names, and patterns about them.
fn ignored() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let files = vec![
        "a",
        "b.txt",
        "c/a",
        "c/b.txt",
        "c/d/a",
        "c/d/e.txt",
        "f/c/a",
        "f/c/d/x",
        "f/.h",
        "{a,b}",
        "c/{a}",
        "f/ sp ",
        "#n",
        "!n",
    ];
    let files: Vec<String> = files.into_iter().map(String::from).collect();
    let pattern = (
        select(vec!["", "", "!"]),
        select(vec!["", "/", "**/", "c/", "f/*/", "f/**/"]),
        select(vec![
            "a", "*.txt", "c", "d", "*", "?", "[ab]*", "[!a]", "b.*", "{a,b}", "{a}", ".h", "**",
            "\\#n", "x",
        ]),
        select(vec!["", "", "/", "/*", "/**", "  "]),
    );
    let pattern =
        pattern.prop_map(|(sign, before, middle, after)| format!("{sign}{before}{middle}{after}"));
    let line =
        prop_oneof![8 => pattern, 1 => select(vec!["", "# a", "\\!n"]).prop_map(String::from)];
    let count = files.len();
    (
        subsequence(files, 3..count),
        prop::collection::vec(line, 1..4),
    )
}

/// What git does not ignore by these patterns.
fn kept_by_git(directory: &Path) -> Vec<String> {
    let run = |words: &[&str]| -> Output {
        tool("git")
            .args(words)
            .current_dir(directory)
            .env("HOME", directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap()
    };
    assert!(run(&["init", "-q"]).status.success());
    let listed = run(&[
        "ls-files",
        "-z",
        "--others",
        "--exclude-from=.slashoptignore",
    ]);
    fs::remove_dir_all(directory.join(".git")).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut kept: Vec<String> = listed
        .split_terminator('\0')
        .filter(|name| *name != ".slashoptignore")
        .map(String::from)
        .collect();
    kept.sort();
    kept
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn the_patterns_mean_what_they_mean_to_git((files, patterns) in ignored()) {
        if skip_without("git") {
            return Ok(());
        }
        let sandbox = Sandbox::new();
        sandbox.mkdir("one", 0o755);
        for file in &files {
            let path = sandbox.path("one").join(file);
            fs::create_dir_all(path.parent().expect("it lies in a directory")).expect("it can be made");
            fs::write(path, "x").expect("it can be written");
        }
        sandbox.write("one/.slashoptignore", patterns.join("\n"));
        let finished = pack(&sandbox, "one", &["--quiet"]);
        prop_assert!(finished.code() == Some(0), "{finished}");
        let tree = extracted(&sandbox);
        let mut kept = tree.paths();
        kept.retain(|path| tree.kind(path) == "file");
        prop_assert_eq!(kept, kept_by_git(&sandbox.path("one")), "{:?}", patterns);
    }
}

#[test]
fn an_output_in_the_directory_is_not_packed_into_itself() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    let expected = packed(&sandbox, "one", &[]);
    sandbox.write("one/a/.layer.zip.slashopt-dead", "what a killed run left");
    for _ in 0..2 {
        sandbox
            .slashopt(["pack", "one", "--output", "one/a/layer.zip"])
            .success();
        assert!(fs::read(sandbox.path("one/a/layer.zip")).unwrap() == expected);
    }
    fs::remove_file(sandbox.path("one/a/layer.zip")).unwrap();
    symlink("one", sandbox.path("by-link")).unwrap();
    for _ in 0..2 {
        sandbox
            .slashopt(["pack", "one", "--output", "by-link/layer.zip"])
            .success();
        assert!(fs::read(sandbox.path("one/layer.zip")).unwrap() == expected);
    }
    // Another file of that name is content.
    sandbox.write("one/z/layer.zip", "content");
    sandbox
        .slashopt(["pack", "one", "--output", "one/layer.zip"])
        .success();
    assert!(fs::read(sandbox.path("one/layer.zip")).unwrap() != expected);
}

#[test]
fn what_lambda_does_not_take_is_refused_and_leaves_nothing() {
    for (name, what) in [("pipe", "a FIFO"), ("socket", "a socket")] {
        let sandbox = Sandbox::new();
        sandbox.mkdir("one", 0o755);
        let path = sandbox.path(format!("one/{name}"));
        let _listening = match name {
            "pipe" => {
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
                None
            }
            _ => Some(UnixListener::bind(&path).unwrap()),
        };
        let before = sandbox.everything().paths();
        pack(&sandbox, "one", &[])
            .status(3)
            .stderr_contains(&format!("entry `{name}`"))
            .says(what)
            .has_hint();
        assert_eq!(sandbox.everything().paths(), before);
    }
    let sandbox = Sandbox::new();
    sandbox.write("file", "x");
    pack(&sandbox, "file", &[])
        .status(4)
        .stderr_contains("it is not a directory")
        .has_hint();
    pack(&sandbox, "missing", &[])
        .status(4)
        .stderr_contains("No such file");
    sandbox.mkdir("void", 0o755);
    pack(&sandbox, "void", &[])
        .success()
        .stderr_contains("Uploaded file must be a non-empty zip");
    pack(&sandbox, "void", &["--runtime", "python4"])
        .status(2)
        .has_hint();
}

#[test]
fn levels_trade_time_for_size() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("one", 0o755);
    let mut text = Vec::new();
    for number in 0..40_000_u32 {
        text.extend(format!("{} {}\n", number % 977, number.wrapping_mul(2_654_435_761)).bytes());
    }
    sandbox.write("one/text", text);
    let size = |level| packed(&sandbox, "one", &["--level", level]).len();
    let sizes = [size("1"), size("9"), size("12")];
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    for wrong in ["0", "13", "best"] {
        pack(&sandbox, "one", &["--level", wrong]).status(2);
    }
}

/// Python and its version, as `python3.11`, if it is the one of a runtime.
fn python() -> Option<(String, String)> {
    let output = tool("/usr/bin/python3")
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let name = format!("python{version}");
    if skip_without(&name) {
        return None;
    }
    Some((name, format!("cpython-{}", version.replace('.', ""))))
}

fn run_python(python: &str, directory: &Path, words: &[&str]) -> String {
    let output = tool(python)
        .args(words)
        .current_dir(directory)
        .env("PATH", PATH)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn with_sources(sandbox: &Sandbox, name: &str) {
    sandbox.mkdir(name, 0o755);
    sandbox.mkdir(format!("{name}/pkg"), 0o755);
    sandbox.write(
        format!("{name}/top.py"),
        "import pkg.low\nNAMES = {'a', 'b', 'c'}\n",
    );
    sandbox.write(format!("{name}/pkg/__init__.py"), "");
    sandbox.write(
        format!("{name}/pkg/low.py"),
        "def where():\n    return where.__code__.co_filename\nKIND = 1 in frozenset({'x', 1, None})\n",
    );
    sandbox.write(
        format!("{name}/pkg/template.py"),
        "this is {{ not }} python at all\n",
    );
}

#[test]
fn compiled_modules_that_would_be_stale_are_left_out_with_their_directories() {
    let Some((python, tag)) = python() else {
        return;
    };
    let sandbox = Sandbox::new();
    with_sources(&sandbox, "clean");
    with_sources(&sandbox, "used");
    let expected = packed(&sandbox, "clean", &[]);
    run_python(&python, &sandbox.path("used"), &["-c", "import top"]);
    assert!(sandbox.path("used/pkg/__pycache__").exists());
    pack(&sandbox, "used", &[])
        .success()
        .stderr_contains("3 timestamp-based .pyc files are left out");
    assert!(fs::read(sandbox.path("layer.zip")).unwrap() == expected);
    // With the times of their sources they stay valid.
    pack(&sandbox, "used", &["--keep-times"])
        .success()
        .stderr_lacks("left out");
    let cached = format!("pkg/__pycache__/low.{tag}.pyc");
    assert!(extracted(&sandbox).has(&cached));
    // Those that are valid by their hash are content, and so is a module that has no source.
    sandbox.mkdir("used/sourceless", 0o755);
    fs::copy(
        sandbox.path(format!("used/{cached}")),
        sandbox.path("used/sourceless/low.pyc"),
    )
    .unwrap();
    run_python(
        &python,
        &sandbox.path("used"),
        &[
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "checked-hash",
            "-f",
            "top.py",
        ],
    );
    pack(&sandbox, "used", &[])
        .success()
        .stderr_contains("2 timestamp-based");
    let tree = extracted(&sandbox);
    assert!(tree.has("sourceless/low.pyc"));
    assert!(tree.has(format!("__pycache__/top.{tag}.pyc")));
    assert!(!tree.has("pkg/__pycache__"));
}

#[test]
fn modules_compiled_for_the_cloud_are_used_whatever_the_times() {
    let Some((python, tag)) = python() else {
        return;
    };
    let sandbox = Sandbox::new();
    with_sources(&sandbox, "one");
    with_sources(&sandbox, "other");
    run_python(&python, &sandbox.path("other"), &["-c", "import top"]);
    let flags = ["--pyc", "--runtime", &python, "--under", "python"];
    pack(&sandbox, "one", &flags)
        .success()
        .stderr_contains("1 Python source could not be compiled: `pkg/template.py`");
    let expected = fs::read(sandbox.path("layer.zip")).unwrap();
    for (directory, threads) in [("one", "1"), ("other", "1"), ("other", "8")] {
        let flags: Vec<&str> = flags
            .iter()
            .copied()
            .chain(["--threads", threads])
            .collect();
        assert!(
            packed(&sandbox, directory, &flags) == expected,
            "{directory} {threads}"
        );
    }
    let tree = extracted(&sandbox);
    let low = format!("python/pkg/__pycache__/low.{tag}.pyc");
    let Node::File { bytes, mode, .. } = tree.node(&low) else {
        panic!("{low} is no file");
    };
    assert_eq!(
        bytes[4..8],
        [1, 0, 0, 0],
        "valid by the hash, which is not checked"
    );
    assert_eq!(*mode, 0o644);
    assert_eq!(tree.mtime(&low), DOS_EPOCH);
    // The interpreter takes them: a source that was changed since is not looked at.
    let source = sandbox.path("opt/python/pkg/low.py");
    fs::write(&source, "raise SystemExit('compiled again')").unwrap();
    let used = run_python(
        &python,
        &sandbox.path("opt/python"),
        &[
            "-B",
            "-c",
            "import top, pkg.low; print(pkg.low.KIND, sorted(top.NAMES))",
        ],
    );
    assert_eq!(used.trim(), "True ['a', 'b', 'c']");
    let named = run_python(
        &python,
        &sandbox.path("opt"),
        &[
            "-c",
            "import marshal, sys; print(marshal.loads(open(sys.argv[1], 'rb').read()[16:]).co_filename)",
            &low,
        ],
    );
    assert_eq!(named.trim(), "/opt/python/pkg/low.py");
    // The directory itself is not touched, and nothing is left in the temporary one.
    assert!(!sandbox.path("one/__pycache__").exists());
    assert_eq!(fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn compiling_needs_the_interpreter_of_a_python_runtime() {
    let sandbox = Sandbox::new();
    with_sources(&sandbox, "one");
    pack(&sandbox, "one", &["--pyc"])
        .status(2)
        .stderr_contains("for which runtime is not said")
        .has_hint();
    pack(&sandbox, "one", &["--pyc", "--runtime", "nodejs22.x"])
        .status(2)
        .stderr_contains("nodejs22.x does not run Python")
        .has_hint();
    let run = |path: &Path| {
        sandbox
            .command([
                "pack",
                "one",
                "--pyc",
                "--runtime",
                "python3.8",
                "--output",
                "layer.zip",
            ])
            .env("PATH", path)
            .run()
    };
    run(Path::new("/nowhere"))
        .status(4)
        .stderr_contains("`python3.8`: cannot run it: No such file or directory")
        .has_hint();
    // Another interpreter under that name is not taken for it.
    if let Some((python, _)) = python() {
        sandbox.mkdir("bin", 0o755);
        symlink(format!("/usr/bin/{python}"), sandbox.path("bin/python3.8")).unwrap();
        run(&sandbox.path("bin"))
            .status(4)
            .stderr_contains("`python3.8`: cannot run it: it is Python 3.")
            .has_hint();
    }
    assert!(!sandbox.path("layer.zip").exists());
}

#[test]
fn the_json_has_what_the_registry_will_say() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", Order::Listed);
    let json = pack(&sandbox, "one", &["--format", "json"])
        .success()
        .json();
    let bytes = fs::read(sandbox.path("layer.zip")).unwrap();
    assert_eq!(json["code_size"], bytes.len());
    assert_eq!(json["files"], 9);
    assert_eq!(json["directories"], 5);
    assert_eq!(json["symlinks"], 2);
    assert_eq!(json["ignored"], 0);
    assert_eq!(json["warnings"], json!([]));
    assert_eq!(json["quota"]["exceeded"], json!([]));
    assert!(json["unzipped_size"].as_u64() > Some(SIZE_FOR_BLOCKS as u64));
}

#[test]
fn what_check_would_find_is_said_at_once() {
    let sandbox = Sandbox::new();
    for name in ["layer", "layer/python"] {
        sandbox.mkdir(name, 0o755);
    }
    sandbox.write("layer/python/m.py", "one");
    let runtime = ["--runtime", "python3.12", "--format", "json"];
    let found = |flags: &[&str]| {
        let packed = pack(&sandbox, "layer", &[flags, &runtime[..]].concat()).success();
        let check = [&["check", "layer.zip"], &runtime[..]].concat();
        let checked = sandbox.slashopt(check).stdout;
        let checked: serde_json::Value = serde_json::from_str(&checked).expect("it is JSON");
        let found = packed.json();
        assert_eq!(found["findings"], checked["findings"]);
        (found["findings"].clone(), packed.stderr().to_owned())
    };
    assert_eq!(found(&[]), (json!([]), String::new()));
    set_mode(&sandbox.path("layer/python/m.py"), 0o600);
    symlink("nowhere", sandbox.path("layer/python/gone")).expect("a link can be made");
    let (findings, told) = found(&["--keep-modes"]);
    let rules: Vec<&str> = findings
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["rule"].as_str())
        .collect();
    for (rule, path) in [
        ("unreadable-file", "python/m.py"),
        ("dangling-link", "python/gone"),
    ] {
        assert!(rules.contains(&rule), "{rules:?}");
        let line = |line: &str| line.contains(path) && line.contains(&format!("[{rule}]"));
        assert!(told.lines().any(line), "{told}");
    }
    assert!(told.contains("`slashopt check layer.zip`"), "{told}");
}
