//! The cache of extracted layers: what is in it, that a start from it reads nothing, and what is noticed when it is not whole.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use crate::support::command::{
    Checked, Finished, Invocation, Sandbox, Tmpfs, skip_unless_root, skip_without,
};
use crate::support::machine::tool;
use crate::support::strace::{WITHOUT_OPENAT2, skip_without_strace, traced};
use crate::support::tree::Tree;
use crate::support::zip::{Archive, archive, directory, file, link};

/// The command found something.
const FINDINGS: i32 = 1;
/// A layer is refused.
const REFUSED: i32 = 3;
/// The machine lacks something.
const MACHINE: i32 = 4;

/// A layer with an object of every kind.
fn usual() -> Archive {
    archive([
        directory("bin/").mode(0o775),
        file("bin/tool", "#!/bin/sh\n").mode(0o755).deflated(),
        file("python/a.py", "print()\n".repeat(100)).deflated(),
        file("secret", "x").mode(0o600),
        link("bin/alias", "tool"),
    ])
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.archive("a.zip", &usual());
    sandbox.archive(
        "b.zip",
        &archive([file("lib/other", "b"), file("python/a.py", "b")]),
    );
    sandbox
}

/// `cache add` with the cache in the working directory.
fn add<'s>(sandbox: &'s Sandbox, layers: &[&str]) -> Invocation<'s> {
    let arguments = ["cache", "add", "--cache-dir", "cache"];
    sandbox.command(arguments.iter().chain(layers))
}

/// The digests that `cache add` printed.
fn digests(added: &Checked) -> Vec<String> {
    added.stdout().lines().map(str::to_owned).collect()
}

/// Where the tree of a layer is.
fn tree_path(sandbox: &Sandbox, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("it is a digest");
    sandbox.path(format!("cache/trees/1-{hex}"))
}

fn verify(sandbox: &Sandbox) -> Finished {
    sandbox.slashopt(["cache", "verify", "--cache-dir", "cache"])
}

/// All names in a part of the cache.
fn names(sandbox: &Sandbox, part: &str) -> Vec<String> {
    let listed = fs::read_dir(sandbox.path("cache").join(part));
    let mut names: Vec<String> = listed
        .into_iter()
        .flatten()
        .map(|child| child.expect("it can be listed").file_name())
        .map(|name| name.into_string().expect("our names are text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_layer_is_named_by_the_digest_of_its_bytes() {
    let sandbox = sandbox();
    if skip_without("sha256sum") {
        return;
    }
    let added = add(&sandbox, &["a.zip", "b.zip"]).run().success();
    for (digest, name) in digests(&added).iter().zip(["a.zip", "b.zip"]) {
        let summed = tool("sha256sum")
            .arg(sandbox.path(name))
            .output()
            .expect("sha256sum runs");
        let summed = String::from_utf8(summed.stdout).expect("it prints text");
        let hex = summed.split(' ').next().expect("the digest comes first");
        assert_eq!(*digest, format!("sha256:{hex}"));
    }
    // From standard input it is the same layer.
    let bytes = fs::read(sandbox.path("a.zip")).unwrap();
    let again = add(&sandbox, &["-"]).stdin(bytes).run().success();
    assert_eq!(digests(&again)[0], digests(&added)[0]);
    assert_eq!(names(&sandbox, "trees").len(), 2);
}

#[test]
fn a_tree_in_the_cache_is_what_extract_makes_of_the_layer_whatever_the_umask() {
    for umask in [0o022, 0o077, 0o000] {
        let sandbox = sandbox();
        let added = add(&sandbox, &["a.zip"]).umask(umask).run().success();
        let digest = &digests(&added)[0];
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .success();
        let wanted = sandbox.tree("opt");
        Tree::read(&tree_path(&sandbox, digest)).assert_is(&wanted);
        // By its digest it can be extracted, when the archive is long gone.
        fs::remove_file(sandbox.path("a.zip")).unwrap();
        let arguments = ["extract", digest, "--into", "again", "--cache-dir", "cache"];
        sandbox.slashopt(arguments).success();
        sandbox.tree("again").assert_is(&wanted);
    }
}

/// Adds layers until their digests are remembered, which takes the time that a change needs to be believed.
fn add_until_remembered(sandbox: &Sandbox, layers: &[&str]) {
    for _ in 0..200 {
        add(sandbox, layers).run().success();
        if names(sandbox, "memo").len() == layers.len() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("no digest is ever remembered");
}

#[test]
fn a_warm_start_reads_no_archive_and_no_index_and_has_one_thread() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    add_until_remembered(&sandbox, &["a.zip", "b.zip"]);
    let (finished, calls) = traced(&sandbox, add(&sandbox, &["a.zip", "b.zip"]));
    finished.success();
    for call in &calls {
        let is_reading = ["open", "read", "mmap"]
            .iter()
            .any(|name| call.name.contains(name));
        for never in [".zip", "/manifests", "/records", "/locks"] {
            assert!(!(is_reading && call.text.contains(never)), "{}", call.text);
        }
        // The interpreters' hooks lie below a folder `python` too, and are ours.
        let is_of_a_layer = call.text.contains("/trees/") && call.text.contains("/python");
        assert!(!(is_reading && is_of_a_layer), "{}", call.text);
        let starts = ["clone", "clone3", "fork", "vfork"];
        assert!(!starts.contains(&call.name.as_str()), "{}", call.text);
    }
    let locks = calls.iter().filter(|call| call.name == "flock");
    let locks: Vec<&str> = locks.map(|call| call.text.as_str()).collect();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert!(
        locks[0].contains("LOCK_SH") && locks[0].contains("/stacks/"),
        "{locks:?}"
    );
}

#[test]
fn a_cold_start_leaves_its_process_with_one_thread() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    let (finished, calls) = traced(&sandbox, add(&sandbox, &["a.zip", "b.zip"]));
    finished.success();
    let parent = calls.first().expect("there are calls").thread;
    let started: Vec<&str> = calls
        .iter()
        .filter(|call| {
            call.thread == parent && ["clone", "clone3", "fork"].contains(&call.name.as_str())
        })
        .map(|call| call.text.as_str())
        .collect();
    assert_eq!(started.len(), 1, "one child: {started:?}");
    assert!(!started[0].contains("CLONE_THREAD"), "{started:?}");
    let is_bound = calls
        .iter()
        .any(|call| call.name == "prctl" && call.text.contains("PR_SET_PDEATHSIG, SIGKILL"));
    assert!(is_bound, "the child dies with its parent");
}

#[test]
fn a_changed_file_is_another_layer() {
    let sandbox = sandbox();
    add_until_remembered(&sandbox, &["a.zip"]);
    let before = digests(&add(&sandbox, &["a.zip"]).run().success());
    let b = fs::read(sandbox.path("b.zip")).unwrap();
    // In place: inode, and here even the size would do.
    fs::write(sandbox.path("a.zip"), b).unwrap();
    let after = digests(&add(&sandbox, &["a.zip"]).run().success());
    assert_ne!(before, after);
    assert_eq!(names(&sandbox, "trees").len(), 2);
}

#[test]
fn a_digest_that_is_given_is_believed_to_look_up_and_verified_to_build() {
    let sandbox = sandbox();
    let digest = digests(&add(&sandbox, &["a.zip"]).run().success()).remove(0);
    let named = format!("a.zip@{digest}");
    fs::rename(sandbox.path("a.zip"), sandbox.path("gone.zip")).unwrap();
    add(&sandbox, &[&named]).run().success();
    add(&sandbox, &[&digest]).run().success();

    let wrong = format!("b.zip@{digest}");
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
    add(&sandbox, &[&wrong])
        .run()
        .status(REFUSED)
        .stderr_contains("layer 1 of 1 (`b.zip`): its digest is sha256:")
        .has_hint();
    let arguments = ["extract", &wrong, "--into", "opt"];
    sandbox
        .slashopt(arguments)
        .status(REFUSED)
        .stderr_contains("its digest is sha256:")
        .has_hint();
    add(&sandbox, &[&digest])
        .run()
        .status(MACHINE)
        .stderr_contains(&format!(
            "layer 1 of 1 (`{digest}`): it is not in the cache"
        ))
        .has_hint();
    add(&sandbox, &[&named])
        .run()
        .status(MACHINE)
        .stderr_contains("cannot open the layer: No such file")
        .has_hint();
    for broken in ["sha256:00", "a.zip@sha256:00"] {
        add(&sandbox, &[broken]).run().status(2).has_hint();
    }
}

#[test]
fn the_layer_and_the_entry_at_fault_are_named_across_processes() {
    let sandbox = sandbox();
    let unsafe_layer = archive([file("good", "x"), file("../up", "x")]);
    sandbox.archive("bad.zip", &unsafe_layer);
    let failed = add(&sandbox, &["a.zip", "bad.zip"]).run().status(REFUSED);
    let failed = failed
        .stderr_contains("layer 2 of 2 (`bad.zip`): entry `../up`")
        .has_hint();
    assert!(failed.stdout().is_empty());
    let arguments = [
        "cache",
        "add",
        "--cache-dir",
        "cache",
        "--format",
        "json",
        "bad.zip",
    ];
    let json = sandbox.slashopt(arguments).status(REFUSED).json();
    assert_eq!(json["error"]["layer"], 1);
    assert_eq!(json["error"]["entry"], "../up");
    assert!(json["error"]["hint"].is_string());
    assert_eq!(names(&sandbox, "trash"), [""; 0]);
    assert!(
        names(&sandbox, "trees")
            .iter()
            .all(|name| !name.starts_with('.'))
    );
}

#[test]
fn what_lenient_accepted_does_not_serve_a_strict_run() {
    let sandbox = sandbox();
    let twice = archive([file("a", "1"), file("a", "2"), file("b", "3")]);
    sandbox.archive("twice.zip", &twice);
    let said = "entry `a`: the archive names it twice";
    add(&sandbox, &["twice.zip"])
        .run()
        .status(REFUSED)
        .stderr_contains(said)
        .has_hint();
    for _ in 0..2 {
        add(&sandbox, &["twice.zip", "--lenient"])
            .run()
            .success()
            .stderr_contains(said);
    }
    let digest = digests(&add(&sandbox, &["twice.zip", "--lenient"]).run().success()).remove(0);
    for layer in ["twice.zip", &digest] {
        add(&sandbox, &[layer])
            .run()
            .status(REFUSED)
            .stderr_contains(said)
            .stderr_contains("--lenient accepts this");
    }
    let arguments = ["extract", &digest, "--into", "opt", "--cache-dir", "cache"];
    sandbox
        .slashopt(arguments)
        .status(REFUSED)
        .stderr_contains(said);
}

#[test]
fn a_bad_entry_that_another_hides_is_found_when_a_tree_is_built() {
    let sandbox = sandbox();
    let hidden = archive([
        file("a", "first").in_both(crate::support::zip::Field::Crc, 7),
        file("a", "second"),
    ]);
    sandbox.archive("hidden.zip", &hidden);
    let arguments = ["extract", "hidden.zip", "--into", "opt", "--lenient"];
    sandbox.slashopt(arguments).success();
    add(&sandbox, &["hidden.zip", "--lenient"])
        .run()
        .status(REFUSED)
        .stderr_contains("its data is damaged");
}

#[test]
fn limits_hold_for_what_is_in_the_cache_already() {
    let sandbox = sandbox();
    add(&sandbox, &["a.zip", "b.zip"]).run().success();
    for limit in ["--max-entries=6", "--max-bytes=100"] {
        add(&sandbox, &["a.zip", "b.zip", limit])
            .run()
            .status(REFUSED)
            .stderr_contains("more than the limit");
    }
    add(&sandbox, &["a.zip", "b.zip", "--max-entries=7"])
        .run()
        .success();
}

#[test]
fn collisions_are_told_and_judged_from_the_record_too() {
    let sandbox = sandbox();
    for _ in 0..2 {
        add(&sandbox, &["a.zip", "b.zip"])
            .run()
            .success()
            .stderr_contains("later layers override paths: 1 with other content");
        add(&sandbox, &["a.zip", "b.zip", "--on-collision=error"])
            .run()
            .status(FINDINGS)
            .stderr_contains("`python/a.py`");
    }
}

#[test]
fn a_directory_is_kept_as_it_was() {
    let sandbox = sandbox();
    sandbox
        .slashopt(["extract", "a.zip", "--into", "layer"])
        .success();
    let added = add(&sandbox, &["layer"]).run().success();
    let digest = digests(&added).remove(0);
    let before = sandbox.tree("layer");
    Tree::read(&tree_path(&sandbox, &digest)).assert_is(&before);
    // Wherever it is, it is the same layer; and another one as soon as anything in it changes.
    if !skip_without("cp") {
        let copied = tool("cp")
            .args(["-a", "layer", "copy"])
            .current_dir(sandbox.work())
            .status();
        assert!(copied.is_ok_and(|status| status.success()));
        assert_eq!(
            digests(&add(&sandbox, &["copy"]).run().success())[0],
            digest
        );
    }
    fs::write(sandbox.path("layer/secret"), "y").unwrap();
    let changed = digests(&add(&sandbox, &["layer"]).run().success()).remove(0);
    assert_ne!(changed, digest);
    Tree::read(&tree_path(&sandbox, &digest)).assert_is(&before);
    verify(&sandbox).success();
}

/// What is done to a tree.
type Harm = fn(&std::path::Path);

#[test]
fn a_damaged_byte_is_found_by_verify() {
    let sandbox = sandbox();
    let digest = digests(&add(&sandbox, &["a.zip", "b.zip"]).run().success()).remove(0);
    verify(&sandbox).success().says("2 trees are sound");
    let tree = tree_path(&sandbox, &digest);
    let sound = Tree::read(&tree);
    let harms: [(&str, Harm); 6] = [
        ("`python/a.py`: its bytes differ", |tree| {
            let path = tree.join("python/a.py");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[5] ^= 1;
            fs::write(&path, bytes).unwrap();
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }),
        ("`secret`: its mode is 0644", |tree| {
            fs::set_permissions(tree.join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("`secret`: its time differs", |tree| {
            fs::write(tree.join("secret"), "x").unwrap();
        }),
        ("`bin/alias`: it is missing", |tree| {
            fs::remove_file(tree.join("bin/alias")).unwrap();
        }),
        ("`bin/alias`: it is no symlink", |tree| {
            fs::remove_file(tree.join("bin/alias")).unwrap();
            fs::write(tree.join("bin/alias"), "tool").unwrap();
        }),
        ("`bin/more`: it does not belong here", |tree| {
            fs::write(tree.join("bin/more"), "").unwrap();
        }),
    ];
    for (said, harm) in harms {
        harm(&tree);
        verify(&sandbox)
            .status(FINDINGS)
            .stderr_contains(said)
            .says("1 tree is sound");
        let arguments = [
            "cache",
            "verify",
            "--cache-dir",
            "cache",
            "--format",
            "json",
        ];
        let json = sandbox.slashopt(arguments).status(FINDINGS).json();
        assert_eq!(json["damaged"][0]["name"], digest.as_str());
        // As the note says: remove it, and the next run builds it again.
        fs::remove_dir_all(&tree).unwrap();
        add(&sandbox, &["a.zip", "b.zip"]).run().success();
        Tree::read(&tree).assert_is(&sound);
    }
    verify(&sandbox).success();
}

/// What becomes of a file.
type Change = fn(Vec<u8>) -> Vec<u8>;

/// Overwrites every file in a part of the cache.
fn overwrite(sandbox: &Sandbox, part: &str, change: Change) {
    for name in names(sandbox, part) {
        let path = sandbox.path("cache").join(part).join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, change(bytes)).unwrap();
    }
}

#[test]
fn whatever_is_missing_unfinished_or_of_another_format_is_built_again() {
    let sandbox = sandbox();
    // An implied directory over an explicit one: this stack has a tree of corrections.
    sandbox.archive("c.zip", &archive([file("bin/third", "c")]));
    let first = add(&sandbox, &["a.zip", "b.zip", "c.zip"]).run().success();
    // With their digests: when a digest is remembered would depend on the time.
    let named: Vec<String> = ["a.zip", "b.zip", "c.zip"]
        .iter()
        .zip(digests(&first))
        .map(|(name, digest)| format!("{name}@{digest}"))
        .collect();
    let layers: Vec<&str> = named.iter().map(String::as_str).collect();
    let whole = sandbox.tree("cache").without_times();
    let has_own = names(&sandbox, "trees")
        .iter()
        .any(|name| name.starts_with("1c-"));
    assert!(has_own, "{:?}", names(&sandbox, "trees"));
    let check = |what: &str| {
        let again = add(&sandbox, &layers).run().success();
        assert_eq!(again.stdout(), first.stdout(), "{what}");
        verify(&sandbox).success().says("4 trees are sound");
        let paths = sandbox.tree("cache").without_times().paths();
        let without_memo = |paths: Vec<String>| -> Vec<String> {
            paths
                .into_iter()
                .filter(|path| path.contains('/') && !path.starts_with("memo"))
                .collect()
        };
        assert_eq!(without_memo(paths), without_memo(whole.paths()), "{what}");
    };
    // Who starts from the stack's record does not look at the others.
    let forget = || drop(fs::remove_dir_all(sandbox.path("cache/stacks")));
    for part in [
        "stacks",
        "trees",
        "memo",
        "locks",
        "trash",
        "records",
        "manifests",
    ] {
        drop(fs::remove_dir_all(sandbox.path("cache").join(part)));
        if ["records", "manifests"].contains(&part) {
            add(&sandbox, &layers).run().success();
            forget();
        }
        check(&format!("{part} removed"));
    }
    for part in ["stacks", "records", "manifests", "memo"] {
        let changes: [(&str, Change); 4] = [
            ("emptied", |_| Vec::new()),
            ("overwritten with zeros", |bytes| vec![0; bytes.len()]),
            ("cut short", |bytes| bytes[..bytes.len() - 1].to_vec()),
            ("of another format", |mut bytes| {
                bytes[7] += 1;
                bytes
            }),
        ];
        for (what, change) in changes {
            overwrite(&sandbox, part, change);
            if part != "stacks" {
                forget();
            }
            check(&format!("{part} {what}"));
        }
    }
    for name in names(&sandbox, "trees") {
        fs::remove_dir_all(sandbox.path("cache/trees").join(&name)).unwrap();
        check(&format!("{name} removed"));
        fs::remove_file(sandbox.path("cache/records").join(&name)).unwrap();
        forget();
        check(&format!("record {name} removed"));
    }
}

#[test]
fn a_cache_that_others_may_write_is_not_used() {
    let sandbox = sandbox();
    sandbox.mkdir("cache", 0o777);
    add(&sandbox, &["a.zip"])
        .run()
        .status(MACHINE)
        .stderr_contains("others may write it")
        .has_hint();
    assert!(names(&sandbox, "").is_empty());
}

#[test]
fn a_shared_cache_that_cannot_be_written_serves_what_is_in_it() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    sandbox.archive("c.zip", &archive([file("lib/c", "c")]));
    sandbox.archive("d.zip", &archive([file("bin/d", "d")]));
    let added = digests(&add(&sandbox, &["a.zip", "b.zip"]).run().success());
    let third = digests(&add(&sandbox, &["c.zip"]).run().success()).remove(0);
    let fourth = digests(&add(&sandbox, &["d.zip"]).run().success()).remove(0);
    let mode = fs::metadata(sandbox.path("cache")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o755, "what root makes is for everybody");
    let before = sandbox.tree("cache");
    let by_nobody = |layers: &[&str]| add(&sandbox, layers).by_nobody().run();
    let [a, b] = [added[0].as_str(), added[1].as_str()];
    // Recorded, and not; by digest, by both, and by a file that nobody remembers.
    by_nobody(&[a, b]).success();
    by_nobody(&[b, &third]).success();
    by_nobody(&[&format!("a.zip@{a}"), b]).success();
    by_nobody(&["c.zip"]).success();
    // An own tree of corrections for `bin`, which cannot be made.
    by_nobody(&[a, &fourth])
        .status(MACHINE)
        .stderr_contains("cannot build a tree that this stack needs of its own")
        .has_hint();
    sandbox.archive("new.zip", &archive([file("new", "n")]));
    by_nobody(&["new.zip"])
        .status(MACHINE)
        .stderr_contains("cache")
        .has_hint();
    let prune = [
        "cache",
        "prune",
        "--cache-dir",
        "cache",
        "--older-than",
        "1d",
    ];
    sandbox
        .command(prune)
        .by_nobody()
        .run()
        .status(MACHINE)
        .has_hint();
    let list = ["cache", "list", "--cache-dir", "cache"];
    sandbox.command(list).by_nobody().run().success().says(a);
    sandbox.tree("cache").assert_is(&before);
}

#[test]
fn a_cache_on_a_file_system_that_is_mounted_read_only_serves_what_is_in_it() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("cache", 0o755), "mode=755") else {
        return;
    };
    let added = digests(&add(&sandbox, &["a.zip", "b.zip"]).run().success());
    let remounted = tool("mount")
        .args(["-o", "remount,ro"])
        .arg(sandbox.path("cache"))
        .status();
    assert!(remounted.is_ok_and(|status| status.success()));
    let [a, b] = [added[0].as_str(), added[1].as_str()];
    for layers in [[a, b], [b, a], ["a.zip", b]] {
        add(&sandbox, &layers).run().success();
    }
    sandbox.archive("new.zip", &archive([file("new", "n")]));
    add(&sandbox, &["new.zip"])
        .run()
        .status(MACHINE)
        .stderr_contains("Read-only file system")
        .has_hint();
    verify(&sandbox).success();
}

#[test]
fn a_cache_that_comes_with_an_image_is_used_and_can_be_pruned() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    // Overlay wants its upper directory on a file system with attributes, and not on another overlay.
    let Some(_lower) = Tmpfs::on(&sandbox.mkdir("image", 0o755), "mode=755") else {
        return;
    };
    for name in ["image/lower", "image/upper", "image/work", "container"] {
        sandbox.mkdir(name, 0o755);
    }
    let layers = ["a.zip", "b.zip"];
    let at = |cache: &str, words: &[&str]| {
        let arguments = ["cache"].iter().chain(words);
        sandbox.slashopt(arguments.copied().chain(["--cache-dir", cache]))
    };
    at("image/lower/cache", &["add", layers[0], layers[1]]).success();
    let options = "lowerdir=image/lower,upperdir=image/upper,workdir=image/work";
    let options = options.replace("image", sandbox.path("image").to_str().expect("text"));
    let Some(_mounted) = Tmpfs::of_kind("overlay", &sandbox.path("container"), &options) else {
        return;
    };
    // Other inodes, another device: what was added is believed all the same.
    let before = sandbox.tree("image/upper").paths();
    let named: Vec<String> =
        digests(&at("container/cache", &["add", layers[0], layers[1]]).success());
    at("container/cache", &["add", &named[0], &named[1]]).success();
    let trees = |paths: Vec<String>| -> Vec<String> {
        paths
            .into_iter()
            .filter(|path| path.contains("/trees/"))
            .collect()
    };
    assert_eq!(
        trees(sandbox.tree("image/upper").paths()),
        trees(before),
        "nothing was built"
    );
    let then = std::time::SystemTime::now() - std::time::Duration::from_hours(72);
    for part in ["stacks", "records"] {
        for child in fs::read_dir(sandbox.path("container/cache").join(part)).unwrap() {
            let file = fs::File::open(child.unwrap().path()).unwrap();
            file.set_modified(then).unwrap();
        }
    }
    at("container/cache", &["prune", "--older-than", "30h"])
        .success()
        .says("2 trees removed")
        .stderr_lacks("warning");
    at("container/cache", &["list"]).success().says("");
    let left = fs::read_dir(sandbox.path("container/cache/trees")).unwrap();
    assert_eq!(left.count(), 0);
    at("container/cache", &["add", layers[0], layers[1]]).success();
    at("container/cache", &["verify"])
        .success()
        .says("2 trees are sound");
}

#[test]
fn a_cache_works_without_attributes_and_without_openat2() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) || skip_without_strace(&sandbox) {
        return;
    }
    // ramfs has no attributes: what a tree is made of is recorded in a file.
    let Some(_mounted) = Tmpfs::of_kind("ramfs", &sandbox.mkdir("cache", 0o755), "mode=755") else {
        return;
    };
    let layers = ["a.zip", "b.zip"];
    add(&sandbox, &layers)
        .under(WITHOUT_OPENAT2)
        .run()
        .success();
    assert_eq!(names(&sandbox, "roots").len(), 2);
    add(&sandbox, &layers).run().success();
    verify(&sandbox).success().says("2 trees are sound");
    fs::remove_dir_all(sandbox.path("cache/stacks")).unwrap();
    let name = &names(&sandbox, "records")[0];
    fs::remove_file(sandbox.path("cache/records").join(name)).unwrap();
    add(&sandbox, &layers).run().success();
    // The record of the tree that was taken away went with it.
    assert_eq!(names(&sandbox, "roots").len(), 2);
    verify(&sandbox).success().says("2 trees are sound");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("cache", 0o755), "size=256k,mode=755") else {
        return;
    };
    let large = (0..64).map(|number| file(format!("d{number}/f"), vec![b'x'; 65_536]).deflated());
    sandbox.archive("large.zip", &archive(large));
    add(&sandbox, &["large.zip"])
        .run()
        .status(MACHINE)
        .stderr_contains("No space left on device")
        .has_hint();
    assert!(names(&sandbox, "trees").is_empty());
    add(&sandbox, &["a.zip"]).run().success();
    verify(&sandbox).success();
}

#[test]
fn the_cache_is_listed_and_its_place_told() {
    let sandbox = sandbox();
    let digest = digests(&add(&sandbox, &["a.zip"]).run().success()).remove(0);
    let arguments = ["cache", "list", "--cache-dir", "cache", "--format", "json"];
    let json = sandbox.slashopt(arguments).success().json();
    assert_eq!(json["schema_version"], 1);
    let tree = &json["trees"][0];
    assert_eq!(tree["name"], digest.as_str());
    assert_eq!(tree["kind"], "layer");
    assert_eq!(tree["entries"], 5);
    assert_eq!(tree["bytes"], 10 + 800 + 1);
    assert_eq!(tree["in_use"], false);
    assert_eq!(tree["durable"], true);
    let text = sandbox.slashopt(["cache", "list", "--cache-dir", "cache"]);
    text.success()
        .says(&digest)
        .says("811 bytes")
        .says("used within the hour");
    let path = ["cache", "path", "--cache-dir", "cache"];
    sandbox.slashopt(path).success().says("cache");
    // Without a flag it is where the XDG specification says.
    let home = sandbox.home().join(".cache/slashopt");
    sandbox
        .slashopt(["cache", "path"])
        .success()
        .says(home.to_str().unwrap());
    assert_eq!(fs::metadata(home).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_file_that_its_owner_may_not_read_is_kept_merged_and_verified() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    sandbox.mkdir("cache", 0o700);
    sandbox.give_to_nobody("cache");
    let closed = [
        file("real/closed", "c").mode(0o000),
        file("open", "o").mode(0o044),
        link("d", "real"),
    ];
    sandbox.archive("closed.zip", &archive(closed));
    sandbox.archive("over.zip", &archive([file("d/more", "m")]));
    let merged = |layers: &[&str]| {
        let flags = ["--on-type-conflict", "follow"];
        let layers: Vec<&str> = layers.iter().chain(&flags).copied().collect();
        add(&sandbox, &layers).by_nobody().run()
    };
    merged(&["closed.zip", "over.zip"]).success();
    let own = names(&sandbox, "trees");
    let own = own
        .iter()
        .find(|name| name.starts_with("1m-"))
        .expect("it is merged");
    let found = sandbox.tree(format!("cache/trees/{own}"));
    assert_eq!(found.mode("real/closed"), "0000");
    assert_eq!(found.text("real/closed"), "c");
    assert_eq!(found.mode("open"), "0044");
    assert_eq!(found.text("real/more"), "m");
    let check = ["cache", "verify", "--cache-dir", "cache"];
    sandbox
        .command(check)
        .by_nobody()
        .run()
        .success()
        .says("3 trees are sound");
}
