//! What Linux does to who writes files, as root and as nobody.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::support::command::{Sandbox, Tmpfs, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::strace::{injected, skip_without_strace, traced};
use crate::support::tree::Tree;
use crate::support::zip::{Entry, archive, directory, file, link};

fn entries() -> Vec<Entry> {
    vec![
        directory("r/").mode(0o555),
        file("r/f", "read-only above").mode(0o444),
        directory("r/deeper/").mode(0o555),
        file("r/deeper/f", "x").mode(0o644),
        directory("open/").mode(0o777),
        file("open/f", "y").mode(0o666).deflated(),
        file("secret", "z").mode(0o600),
        file("unreadable", "w").mode(0),
        link("l", "open/f"),
    ]
}

/// A sandbox with two layers, a directory `own` that nobody owns, and the root that must come of `a.zip`.
fn sandbox() -> Option<(Sandbox, Tree)> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    sandbox.archive("a.zip", &archive(entries()));
    sandbox.archive(
        "b.zip",
        &archive([
            file("bin/b", "b"),
            directory("q/").mode(0o555),
            file("q/f", "b"),
        ]),
    );
    sandbox.mkdir("own", 0o755);
    sandbox.give_to_nobody("own");
    sandbox
        .slashopt(["extract", "a.zip", "--into", "wanted"])
        .success();
    let wanted = sandbox.tree("wanted");
    assert_eq!(
        [
            wanted.mode("r"),
            wanted.mode("open/f"),
            wanted.mode("unreadable")
        ],
        ["0555", "0666", "0000"]
    );
    Some((sandbox, wanted))
}

/// Extracts into `into` as root or as nobody, under a umask, twice over another root, and compares.
fn extracts_everywhere(sandbox: &Sandbox, wanted: &Tree, parent: &str, umask: u32) {
    for is_nobody in [false, true] {
        for layer in ["a.zip", "b.zip", "a.zip"] {
            let into = format!("{parent}/opt-{is_nobody}");
            let mut command = sandbox
                .command(["extract", layer, "--into", &into, "--replace"])
                .umask(umask);
            if is_nobody {
                command = command.by_nobody();
            }
            command.run().success().stderr_lacks("could not");
            if layer == "a.zip" {
                sandbox.tree(&into).assert_is(wanted);
            }
        }
    }
    let paths = sandbox.tree(parent).paths();
    assert!(
        !paths.iter().any(|path| path.contains(".slashopt-")),
        "{paths:?}"
    );
}

#[test]
fn a_default_access_list_of_the_parent_changes_nothing() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    if skip_without("setfacl") {
        return;
    }
    let own = sandbox.path("own");
    let set = tool("setfacl")
        .args(["-d", "-m", "u:1234:rwx,g::---,o::---,m::rwx"])
        .arg(&own)
        .status();
    assert!(
        set.is_ok_and(|status| status.success()),
        "this file system has access lists"
    );
    extracts_everywhere(&sandbox, &wanted, "own", 0o022);
    for found in walkdir::WalkDir::new(&own).min_depth(1) {
        let found = found.unwrap();
        for name in ["system.posix_acl_access", "system.posix_acl_default"] {
            let mut buffer = [0_u8; 256];
            let answer = rustix::fs::lgetxattr(found.path(), name, &mut buffer[..]);
            assert!(answer.is_err(), "{name} on {}", found.path().display());
        }
    }
}

#[test]
fn a_set_group_id_parent_hands_nothing_on() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    fs::set_permissions(sandbox.path("own"), fs::Permissions::from_mode(0o2755)).unwrap();
    extracts_everywhere(&sandbox, &wanted, "own", 0o022);
}

#[test]
fn read_only_directories_are_built_replaced_and_removed_under_every_umask() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    for umask in [0, 0o022, 0o077, 0o777] {
        let name = format!("under-{umask:o}");
        sandbox.mkdir(&name, 0o755);
        sandbox.give_to_nobody(&name);
        extracts_everywhere(&sandbox, &wanted, &name, umask);
    }
}

#[test]
fn in_a_parent_that_cannot_be_written_everything_happens_inside_the_destination() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    sandbox.mkdir("opt", 0o755);
    sandbox.give_to_nobody("opt");
    for (layer, umask) in [("a.zip", 0o022), ("b.zip", 0o777), ("a.zip", 0o777)] {
        let arguments = ["extract", layer, "--into", "opt", "--replace"];
        sandbox
            .command(arguments)
            .by_nobody()
            .umask(umask)
            .run()
            .success()
            .stderr_lacks("warning: `");
    }
    sandbox.tree("opt").assert_is(&wanted);
    let arguments = ["extract", "a.zip", "--into", "opt"];
    sandbox
        .command(arguments)
        .by_nobody()
        .run()
        .success()
        .says("nothing to do");
}

/// Runs in a mount namespace of its own, after the commands of a shell.
fn in_own_mounts(setup: &str) -> Vec<String> {
    let script = format!("set -e; {setup}; exec \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, "sh"]
        .map(String::from)
        .to_vec()
}

#[test]
fn without_proc_nothing_is_different() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    if skip_without("unshare") {
        return;
    }
    let wrapper = in_own_mounts("mount -t tmpfs none /proc; test ! -e /proc/self");
    for (into, umask) in [("absent", 0o022), ("absent", 0o777), ("own/absent", 0o077)] {
        for layer in ["b.zip", "a.zip"] {
            let arguments = ["extract", layer, "--into", into, "--replace"];
            sandbox
                .command(arguments)
                .umask(umask)
                .under(&wrapper)
                .run()
                .success();
        }
        sandbox.tree(into).assert_is(&wanted);
    }
}

#[test]
fn without_proc_nobody_succeeds_too() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    if skip_without("unshare") || skip_without("setpriv") {
        return;
    }
    let mut wrapper = in_own_mounts("mount -t tmpfs none /proc; test ! -e /proc/self");
    let as_nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    wrapper.extend(as_nobody.map(String::from));
    for (layer, umask) in [("a.zip", 0o022), ("b.zip", 0o777), ("a.zip", 0o777)] {
        let arguments = ["extract", layer, "--into", "own/opt", "--replace"];
        let command = sandbox.command(arguments).umask(umask);
        command.copied().under(&wrapper).run().success();
    }
    let owner = fs::metadata(sandbox.path("own/opt")).unwrap().uid();
    assert_eq!(owner, 65_534, "it was nobody");
    sandbox.tree("own/opt").assert_is(&wanted);
}

/// An overlay on a directory of the sandbox; unmounted with the value.
struct Overlay(PathBuf);

impl Overlay {
    fn on(sandbox: &Sandbox, name: &str) -> Option<(Self, Tmpfs)> {
        let base = sandbox.mkdir("overlay", 0o755);
        // The writable half cannot be on an overlay itself, as the temporary directory may be.
        let tmpfs = Tmpfs::on(&base, "size=16m")?;
        for part in ["lower", "upper", "work"] {
            fs::create_dir(base.join(part)).unwrap();
        }
        let at = sandbox.mkdir(name, 0o755);
        let options = format!(
            "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work",
            base.display()
        );
        fs::create_dir(base.join("lower/empty")).unwrap();
        sandbox
            .slashopt(["extract", "b.zip", "--into", "overlay/lower/full"])
            .success();
        let mounted = tool("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(&at)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: cannot mount an overlay");
            return None;
        }
        Some((Self(at), tmpfs))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        drop(tool("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_directory_of_an_image_is_filled_when_empty_and_otherwise_explained() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    let Some(_overlay) = Overlay::on(&sandbox, "image") else {
        return;
    };
    for into in ["image/empty", "image/absent"] {
        sandbox
            .slashopt(["extract", "a.zip", "--into", into])
            .success();
        sandbox.tree(into).assert_is(&wanted);
        sandbox
            .slashopt(["extract", "b.zip", "--into", into, "--replace"])
            .success();
    }
    let before = sandbox.tree("image/full");
    sandbox
        .slashopt(["extract", "a.zip", "--into", "image/full", "--replace"])
        .status(4)
        .stderr_contains("`image/full`: it belongs to an image's layer, which cannot be exchanged")
        .has_hint();
    sandbox.tree("image/full").assert_is(&before);
    let paths = sandbox.tree("image").paths();
    assert!(
        !paths.iter().any(|path| path.contains(".slashopt-")),
        "{paths:?}"
    );
}

/// The records in the cache of a sandbox.
fn records(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = fs::read_dir(sandbox.home().join(".cache/slashopt/roots"));
    found
        .into_iter()
        .flatten()
        .flatten()
        .map(|found| found.path())
        .collect()
}

#[test]
fn where_there_are_no_attributes_the_record_is_in_the_cache() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    let Some(_ramfs) = Tmpfs::of_kind("ramfs", &sandbox.mkdir("ramfs", 0o755), "mode=755") else {
        return;
    };
    // A directory of the mount, and the mount itself.
    for into in ["ramfs/opt", "ramfs"] {
        let arguments = ["extract", "a.zip", "--into", into, "--replace=any"];
        let known = records(&sandbox).len();
        sandbox.slashopt(arguments).success();
        sandbox.tree(into).assert_is(&wanted);
        sandbox.slashopt(arguments).success().says("nothing to do");
        assert_eq!(records(&sandbox).len(), known + 1, "{into}: one record");
        sandbox
            .slashopt(["extract", "b.zip", "--into", into])
            .status(4)
            .stderr_contains("other layers");
        sandbox
            .slashopt(["extract", "b.zip", "--into", into, "--replace"])
            .success();
        assert_eq!(
            records(&sandbox).len(),
            known + 1,
            "{into}: the old root's record is gone"
        );
    }
    let found = records(&sandbox);
    let mode = fs::metadata(found[0].parent().unwrap()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700, "nobody else can forge one");
}

#[test]
fn without_attributes_a_killed_run_is_reclaimed_and_a_dry_run_makes_no_cache() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    let Some(_ramfs) = Tmpfs::of_kind("ramfs", &sandbox.mkdir("ramfs", 0o755), "mode=755") else {
        return;
    };
    if skip_without_strace(&sandbox) {
        return;
    }
    let arguments = ["extract", "a.zip", "--into", "ramfs/opt"];
    sandbox
        .slashopt(arguments.iter().chain(&["--dry-run"]))
        .success();
    assert!(
        !sandbox.home().join(".cache").exists(),
        "a dry run writes nothing"
    );
    let killed = sandbox
        .command(arguments)
        .under(injected("fchmod", "signal=SIGKILL", "3"))
        .run();
    assert_eq!(killed.signal(), Some(9));
    assert!(
        !sandbox.tree("ramfs").paths().is_empty(),
        "something was left"
    );
    sandbox.slashopt(arguments).success();
    sandbox.tree("ramfs/opt").assert_is(&wanted);
    let paths = sandbox.tree("ramfs").paths();
    assert!(
        paths.iter().all(|path| path.starts_with("opt")),
        "{paths:?}"
    );
    assert_eq!(records(&sandbox).len(), 1);
}

#[test]
fn without_attributes_and_without_a_cache_nothing_is_begun() {
    let Some((sandbox, _)) = sandbox() else {
        return;
    };
    let Some(_ramfs) = Tmpfs::of_kind("ramfs", &sandbox.mkdir("ramfs", 0o755), "mode=755") else {
        return;
    };
    sandbox.mkdir("everybodys", 0o777);
    fs::set_permissions(
        sandbox.path("everybodys"),
        fs::Permissions::from_mode(0o777),
    )
    .unwrap();
    sandbox.write("file", "no folder");
    std::os::unix::fs::symlink("own", sandbox.path("link")).unwrap();
    let before = sandbox.everything();
    for cache in ["everybodys", "file", "link", "file/below"] {
        sandbox
            .slashopt([
                "extract",
                "a.zip",
                "--into",
                "ramfs/opt",
                "--cache-dir",
                cache,
            ])
            .status(4)
            .stderr_contains("ramfs/opt")
            .stderr_contains("cache");
        sandbox.everything().assert_is(&before);
        // Where there are attributes it is not wanted.
        let into = format!("own/{}", cache.replace('/', "-"));
        sandbox
            .slashopt(["extract", "a.zip", "--into", &into, "--cache-dir", cache])
            .success();
        fs::remove_dir_all(sandbox.path(&into)).unwrap();
    }
}

#[test]
fn durable_writes_to_the_disk_before_the_root_appears_and_nothing_else_does() {
    let Some((sandbox, _)) = sandbox() else {
        return;
    };
    if skip_without_strace(&sandbox) {
        return;
    }
    for (layer, flags) in [
        ("a.zip", &["--durable"][..]),
        ("b.zip", &["--durable", "--replace"]),
        ("a.zip", &["--replace"]),
    ] {
        let command = ["extract", layer, "--into", "opt"];
        let (finished, calls) = traced(&sandbox, sandbox.command(command.iter().chain(flags)));
        drop(finished.success());
        let names = ["syncfs", "renameat2", "fsync", "fdatasync", "sync"];
        let order: Vec<&str> = calls
            .iter()
            .filter(|call| names.contains(&call.name.as_str()))
            .map(|call| call.name.as_str())
            .collect();
        if flags.contains(&"--durable") {
            assert_eq!(order, ["syncfs", "renameat2", "fsync"]);
            let synced = calls.iter().find(|call| call.name == "syncfs").unwrap();
            assert!(synced.text.contains("/.opt.slashopt-"), "{}", synced.text);
            let parent = calls.iter().find(|call| call.name == "fsync").unwrap();
            let work = format!("<{}>)", sandbox.work().display());
            assert!(parent.text.contains(&work), "{}", parent.text);
        } else {
            assert_eq!(order, ["renameat2"]);
        }
    }
}

#[test]
fn what_another_user_left_inside_does_not_stop_the_owner_of_the_parent() {
    let Some((sandbox, wanted)) = sandbox() else {
        return;
    };
    if skip_without_strace(&sandbox) {
        return;
    }
    sandbox.mkdir("opt", 0o755);
    sandbox.give_to_nobody("opt");
    let arguments = ["extract", "a.zip", "--into", "opt"];
    let killed = sandbox
        .command(arguments)
        .by_nobody()
        .under(injected("symlinkat", "signal=SIGKILL", "1"))
        .run();
    assert_eq!(killed.signal(), Some(9));
    assert!(has_leftover(&sandbox.path("opt")));
    sandbox.slashopt(arguments).success();
    sandbox.tree("opt").assert_is(&wanted);
}

fn has_leftover(directory: &Path) -> bool {
    let found = fs::read_dir(directory).unwrap().flatten();
    found.into_iter().any(|found| {
        found
            .file_name()
            .as_encoded_bytes()
            .starts_with(b".slashopt-")
    })
}
