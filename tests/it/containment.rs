//! Nothing leads out of the place where a root is built.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::command::{Sandbox, Tmpfs, skip_unless_root};
use crate::support::strace::{Call, WITHOUT_OPENAT2, skip_without_strace, traced};
use crate::support::zip::{archive, directory, file, link};

/// Where the layers of other programs are.
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

#[test]
fn without_openat2_every_layer_makes_the_same_root() {
    let sandbox = Sandbox::new();
    if skip_without_strace(&sandbox) {
        return;
    }
    let mut deep: Vec<u8> = b"d/".repeat(127);
    deep.push(b'f');
    sandbox.archive(
        "deep.zip",
        &archive([
            file(deep, "deep"),
            directory("r/").mode(0o555),
            file("r/f", "x").deflated(),
            link("l", "r/f"),
        ]),
    );
    sandbox.mkdir("listed", 0o755);
    sandbox.mkdir("listed/sub", 0o755);
    sandbox.write("listed/sub/f", "of a directory");
    let mut stacks: Vec<Vec<PathBuf>> = fs::read_dir(testdata("layers"))
        .unwrap()
        .map(|layer| vec![layer.unwrap().path()])
        .collect();
    stacks.push(stacks.concat());
    let order = ["first-infozip.zip", "second-infozip.zip"];
    stacks.push(order.map(|name| testdata("order").join(name)).to_vec());
    stacks.push(vec![sandbox.path("deep.zip"), sandbox.path("listed")]);
    for layers in &stacks {
        let extract = |into: &str| {
            let mut words = vec![
                "extract".into(),
                "--into".into(),
                into.into(),
                "--replace".into(),
            ];
            words.extend(layers.iter().cloned());
            sandbox.command(words.iter())
        };
        extract("with").run().success();
        // Into nothing or in exchange for the last root, both ways.
        extract("without").under(WITHOUT_OPENAT2).run().success();
        sandbox.tree("without").assert_is(&sandbox.tree("with"));
    }
}

#[test]
fn without_openat2_a_mount_point_is_filled_and_filled_again() {
    let sandbox = Sandbox::new();
    if skip_without_strace(&sandbox) || skip_unless_root(&sandbox) {
        return;
    }
    sandbox.archive(
        "a.zip",
        &archive([file("x/a", "a"), directory("r/").mode(0o555)]),
    );
    sandbox.archive("b.zip", &archive([file("x/b", "b"), link("l", "x")]));
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("opt", 0o755), "size=4m") else {
        return;
    };
    for (layer, paths) in [("a.zip", ["r", "x", "x/a"]), ("b.zip", ["l", "x", "x/b"])] {
        sandbox
            .command(["extract", layer, "--into", "opt", "--replace"])
            .under(WITHOUT_OPENAT2)
            .run()
            .success();
        assert_eq!(sandbox.tree("opt").paths(), paths);
    }
}

/// All that can be known of a tree without a change of it going unseen.
fn fingerprint(root: &Path) -> String {
    let mut lines = Vec::new();
    for found in walkdir::WalkDir::new(root).sort_by_file_name() {
        let found = found.unwrap();
        let about = found.metadata().unwrap();
        let content = if about.is_file() {
            fs::read(found.path()).unwrap()
        } else {
            Vec::new()
        };
        lines.push(format!(
            "{} {:o} {} {}.{} {}.{} {} {content:?}",
            found.path().display(),
            about.mode(),
            about.nlink(),
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec(),
            about.ino(),
        ));
    }
    lines.join("\n")
}

/// Exchanges the directories of any stage in `work` with links that lead outside, until told to stop; how often.
fn attack(work: &Path, is_over: &AtomicBool) -> u64 {
    let mut swaps = 0;
    while !is_over.load(Ordering::Relaxed) {
        for found in fs::read_dir(work).unwrap().flatten() {
            if !found
                .file_name()
                .as_encoded_bytes()
                .starts_with(b".opt.slashopt-")
            {
                continue;
            }
            for number in 0..DIRECTORIES {
                let target = found.path().join(format!("d{number}"));
                let evil = work.join("evil").join(format!("d{number}"));
                let swapped = renameat_with(CWD, &evil, CWD, &target, RenameFlags::EXCHANGE);
                swaps += u64::from(swapped.is_ok());
            }
        }
    }
    swaps
}

const DIRECTORIES: usize = 40;
const FILES: usize = 60;

/// Rounds of an extraction that is attacked; how often a directory was exchanged.
fn rounds(wrapper: &[&str]) -> u64 {
    let sandbox = Sandbox::new();
    let entries = (0..DIRECTORIES).flat_map(|directory| {
        (0..FILES).map(move |number| file(format!("d{directory}/f{number}"), b"from the layer"))
    });
    let links = (0..DIRECTORIES).map(|number| link(format!("d{number}/l"), "f0"));
    let below = (0..DIRECTORIES).map(|number| file(format!("d{number}/below/f"), "deeper"));
    sandbox.archive("a.zip", &archive(entries.chain(links).chain(below)));
    let outside = sandbox.root().join("outside");
    fs::create_dir_all(outside.join("below")).unwrap();
    for name in ["f0", "f1", "precious", "below/f"] {
        fs::write(outside.join(name), "outside").unwrap();
    }
    let before = fingerprint(&outside);
    let (mut swaps, mut published) = (0, 0);
    for round in 0..20 {
        fs::create_dir(sandbox.path("evil")).unwrap();
        for number in 0..DIRECTORIES {
            let evil = sandbox.path("evil").join(format!("d{number}"));
            std::os::unix::fs::symlink(&outside, evil).unwrap();
        }
        let is_over = AtomicBool::new(false);
        let work = sandbox.work();
        let code = std::thread::scope(|scope| {
            let attacker = scope.spawn(|| attack(&work, &is_over));
            let finished = sandbox
                .command(["extract", "a.zip", "--into", "opt", "--threads", "4"])
                .under(wrapper)
                .run();
            is_over.store(true, Ordering::Relaxed);
            swaps += attacker.join().unwrap();
            finished.code()
        });
        assert!(
            matches!(code, Some(0 | 4)),
            "round {round}: status {code:?}"
        );
        assert_eq!(
            fingerprint(&outside),
            before,
            "round {round}: something outside was touched"
        );
        published += u64::from(code == Some(0));
        for found in fs::read_dir(sandbox.work()).unwrap().flatten() {
            if found.file_type().unwrap().is_dir() {
                fs::remove_dir_all(found.path()).unwrap();
            }
        }
    }
    eprintln!("{swaps} exchanges in 20 rounds, of which {published} published a root");
    swaps
}

#[test]
fn whoever_swaps_directories_for_links_gets_nothing_written_outside() {
    assert!(rounds(&[]) > 0, "nothing was attacked");
}

#[test]
fn without_openat2_whoever_swaps_directories_for_links_gets_nothing_written_outside() {
    if skip_without_strace(&Sandbox::new()) {
        return;
    }
    assert!(rounds(&WITHOUT_OPENAT2) > 0, "nothing was attacked");
}

/// Calls that change something by a path alone: none has a place in building a root.
const BY_PATH: [&str; 18] = [
    "mkdir",
    "rmdir",
    "rename",
    "unlink",
    "symlink",
    "link",
    "creat",
    "chmod",
    "chown",
    "lchown",
    "utime",
    "utimes",
    "truncate",
    "setxattr",
    "lsetxattr",
    "removexattr",
    "lremovexattr",
    "mknod",
];
/// The same with a descriptor that says where.
const AT: [&str; 11] = [
    "mkdirat",
    "renameat",
    "renameat2",
    "unlinkat",
    "symlinkat",
    "linkat",
    "fchmodat",
    "fchmodat2",
    "fchownat",
    "utimensat",
    "mknodat",
];

/// Whether a call may change something at a place that its descriptors do not decide.
fn is_uncontained(call: &Call) -> bool {
    let name = call.name.as_str();
    let arguments = call.text.strip_prefix(name).unwrap_or_default();
    let is_absolute = || arguments.contains(", \"/") && name != "symlinkat";
    if BY_PATH.contains(&name) {
        return true;
    }
    if AT.contains(&name) {
        return arguments.contains("AT_FDCWD") || is_absolute();
    }
    if ["open", "openat", "openat2"].contains(&name) {
        let creates = arguments.contains("O_CREAT");
        let writes = creates
            || ["O_WRONLY", "O_RDWR", "O_TRUNC", "O_TMPFILE"]
                .iter()
                .any(|flag| arguments.contains(flag));
        let is_by_path = name == "open" || arguments.contains("AT_FDCWD") || is_absolute();
        let is_new = arguments.contains("O_EXCL") && arguments.contains("O_NOFOLLOW");
        return writes && (is_by_path || !is_new);
    }
    false
}

/// Fails unless every call is contained but the making of the cache folder itself.
fn assert_contained(sandbox: &Sandbox, arguments: &[&str], wrapper: &[&str]) {
    let mut command = sandbox.command(arguments);
    command = command.under(wrapper);
    let (finished, calls) = traced(sandbox, command);
    finished.success();
    assert!(
        calls.iter().any(|call| call.name == "mkdirat"),
        "nothing was traced"
    );
    let cache = format!(
        "mkdir(\"{}\"",
        sandbox.home().join(".cache/slashopt").display()
    );
    let parent = format!("mkdir(\"{}\"", sandbox.home().join(".cache").display());
    let found: Vec<&str> = calls
        .iter()
        .filter(|call| is_uncontained(call))
        .map(|call| call.text.as_str())
        .filter(|text| !text.starts_with(&cache) && !text.starts_with(&parent))
        .collect();
    assert!(
        found.is_empty(),
        "not decided by a descriptor:\n{}",
        found.join("\n")
    );
}

#[test]
fn every_call_that_changes_something_says_where_by_a_descriptor() {
    let sandbox = Sandbox::new();
    if skip_without_strace(&sandbox) || skip_unless_root(&sandbox) {
        return;
    }
    let entries = [
        file("x/a", "a"),
        directory("r/").mode(0o555),
        file("r/f", "y"),
        link("l", "/etc"),
    ];
    sandbox.archive("a.zip", &archive(entries));
    sandbox.archive("b.zip", &archive([file("x/b", "b"), directory("d/e/")]));
    let tmpfs = Tmpfs::on(&sandbox.mkdir("tmpfs", 0o755), "size=4m");
    let ramfs = Tmpfs::of_kind("ramfs", &sandbox.mkdir("ramfs", 0o755), "mode=755");
    if tmpfs.is_none() || ramfs.is_none() {
        return;
    }
    sandbox.mkdir("empty", 0o755);
    for into in ["absent", "empty", "tmpfs", "ramfs", "ramfs/below"] {
        for layer in ["a.zip", "b.zip"] {
            let arguments = [
                "extract",
                layer,
                "--into",
                into,
                "--replace=any",
                "--durable",
            ];
            assert_contained(&sandbox, &arguments, &[]);
        }
    }
    assert!(
        sandbox.home().join(".cache/slashopt/roots").is_dir(),
        "ramfs has no attributes"
    );
}

#[test]
fn a_call_by_path_is_recognised() {
    let is_bad = |text: &str| {
        let name = text.split('(').next().unwrap().to_owned();
        is_uncontained(&Call {
            thread: 1,
            name,
            text: text.to_owned(),
        })
    };
    for bad in [
        r#"mkdir("opt", 0700) = 0"#,
        r#"mkdirat(AT_FDCWD</x>, "opt", 0700) = 0"#,
        r#"renameat2(5</x>, "a", AT_FDCWD</x>, "b", 0) = 0"#,
        r#"unlinkat(5</x>, "/etc/passwd", 0) = 0"#,
        r#"openat(AT_FDCWD</x>, "/x/f", O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW, 0644) = 6"#,
        r#"openat(5</x>, "f", O_WRONLY|O_CREAT|O_NOFOLLOW, 0644) = 6"#,
        r#"openat(5</x>, "f", O_WRONLY|O_CREAT|O_EXCL, 0644) = 6"#,
    ] {
        assert!(is_bad(bad), "{bad}");
    }
    for good in [
        r#"mkdirat(5</x>, "opt", 0700) = 0"#,
        r#"symlinkat("/etc", 5</x>, "l") = 0"#,
        r#"openat(AT_FDCWD</x>, "a.zip", O_RDONLY|O_CLOEXEC) = 6"#,
        "utimensat(6</x/f>, NULL, [{tv_sec=1}], 0) = 0",
    ] {
        assert!(!is_bad(good), "{good}");
    }
}
