//! The registry by its commands: publish, look, share, delete, collect garbage, several processes at once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::command::Sandbox;
use crate::support::strace::{injected, skip_without_strace};
use crate::support::zip::{archive, file};

/// A layer with one file of this content.
fn layer(sandbox: &Sandbox, name: &str, content: &str) {
    sandbox.archive(name, &archive([file("python/m.py", content)]));
}

/// Publishes, and gives the version as JSON.
#[track_caller]
fn publish(sandbox: &Sandbox, name: &str, zip: &str) -> Value {
    let arguments = ["registry", "publish", name, zip, "--format", "json"];
    sandbox.slashopt(arguments).success().json()
}

/// The numbers of a layer's versions, as they are listed.
#[track_caller]
fn versions(sandbox: &Sandbox, name: &str) -> Vec<i64> {
    let arguments = ["registry", "versions", name, "--format", "json"];
    let listed = sandbox.slashopt(arguments).success().json();
    let listed = listed["versions"].as_array().expect("a list").clone();
    let number = |version: &Value| version["version"].as_i64().expect("a number");
    listed.iter().map(number).collect()
}

/// Where the sandbox's registry is without a flag.
fn store(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.home().join(".local/share/slashopt")
}

fn blobs(store: &Path) -> usize {
    fs::read_dir(store.join("blobs")).map_or(0, Iterator::count)
}

#[test]
fn a_published_layer_is_got_back_as_it_was() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    let version = publish(&sandbox, "deps", "a.zip");
    assert_eq!(version["version"], 1);
    assert_eq!(
        version["layer_version_arn"],
        "arn:aws:lambda:us-east-1:000000000000:layer:deps:1"
    );
    assert_eq!(version["description"], "");
    assert_eq!(version["compatible_runtimes"], Value::Null);
    sandbox
        .slashopt(["registry", "get", "deps:1", "--output", "b.zip"])
        .success();
    let read = |name: &str| fs::read(sandbox.path(name)).expect("it is there");
    assert_eq!(read("a.zip"), read("b.zip"));
    let newest = sandbox.slashopt(["registry", "get", "deps", "--format", "json"]);
    assert_eq!(newest.success().json()["code_size"], version["code_size"]);
}

#[test]
fn identical_content_is_kept_once() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    let first = publish(&sandbox, "deps", "a.zip");
    let second = publish(&sandbox, "deps", "a.zip");
    let other = publish(&sandbox, "other", "a.zip");
    assert_eq!(first["code_sha256"], second["code_sha256"]);
    assert_eq!(
        (&second["version"], &other["version"]),
        (&2.into(), &1.into())
    );
    assert_eq!(blobs(&store(&sandbox)), 1);
}

#[test]
fn an_archive_is_for_whoever_may_read_the_rest_of_the_store() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    layer(&sandbox, "b.zip", "two");
    // The first one is copied, as its folder is not there; the second only gets a name.
    publish(&sandbox, "deps", "a.zip");
    publish(&sandbox, "deps", "b.zip");
    let store = store(&sandbox);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    let expected = mode(&store.join("format"));
    let kept: Vec<u32> = fs::read_dir(store.join("blobs"))
        .expect("it is there")
        .map(|blob| mode(&blob.expect("it can be listed").path()))
        .collect();
    assert_eq!(kept, [expected; 2]);
    assert_eq!(
        fs::read_dir(store).expect("it is there").count(),
        3,
        "blobs, format, layers"
    );
}

#[test]
fn a_number_is_never_used_again() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    for _ in 0..2 {
        publish(&sandbox, "deps", "a.zip");
    }
    assert_eq!(versions(&sandbox, "deps"), [2, 1]);
    for version in ["deps:2", "deps:1", "deps:1", "deps:9"] {
        sandbox.slashopt(["registry", "delete", version]).success();
    }
    assert_eq!(versions(&sandbox, "deps"), [0_i64; 0]);
    sandbox
        .slashopt(["registry", "get", "deps:1"])
        .status(5)
        .stderr_contains(
            "Layer version arn:aws:lambda:us-east-1:000000000000:layer:deps:1 does not exist.",
        )
        .has_hint();
    sandbox
        .slashopt(["registry", "get", "deps"])
        .status(5)
        .has_hint();
    assert_eq!(publish(&sandbox, "deps", "a.zip")["version"], 3);
    assert_eq!(versions(&sandbox, "deps"), [3]);
}

#[test]
fn ten_that_publish_at_once_get_ten_numbers() {
    let sandbox = Sandbox::new();
    for number in 0..10 {
        layer(
            &sandbox,
            &format!("{number}.zip"),
            &format!("content {number}"),
        );
    }
    let numbers: Vec<i64> = std::thread::scope(|scope| {
        let sandbox = &sandbox;
        let publishers: Vec<_> = (0..10)
            .map(|number| {
                scope.spawn(move || {
                    let mut numbers = Vec::new();
                    for _ in 0..3 {
                        let version = publish(sandbox, "deps", &format!("{number}.zip"));
                        numbers.push(version["version"].as_i64().expect("a number"));
                    }
                    numbers
                })
            })
            .collect();
        let done = publishers.into_iter();
        done.flat_map(|publisher| publisher.join().expect("it ends"))
            .collect()
    });
    let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
    assert_eq!(distinct, (1..=30).collect(), "{numbers:?}");
    assert_eq!(
        versions(&sandbox, "deps"),
        (1..=30).rev().collect::<Vec<_>>()
    );
    assert_eq!(blobs(&store(&sandbox)), 10);
}

#[test]
fn layers_are_listed_by_name_with_their_newest_version_that_matches() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    for (name, runtime) in [
        ("zeta", "python3.12"),
        ("alpha", "python3.12"),
        ("alpha", "nodejs22.x"),
    ] {
        let arguments = [
            "registry",
            "publish",
            name,
            "a.zip",
            "--compatible-runtimes",
            runtime,
        ];
        sandbox.slashopt(arguments).success();
    }
    let list = |more: &[&str]| -> Vec<String> {
        let arguments = ["registry", "layers", "--format", "json"];
        let listed = sandbox
            .slashopt(arguments.iter().chain(more))
            .success()
            .json();
        let layers = listed["layers"].as_array().expect("a list").clone();
        let name = |layer: &Value| {
            format!(
                "{}:{}",
                layer["layer_name"].as_str().expect("a name"),
                layer["version"]
            )
        };
        layers.iter().map(name).collect()
    };
    assert_eq!(list(&[]), ["alpha:2", "zeta:1"]);
    assert_eq!(
        list(&["--compatible-runtime", "python3.12"]),
        ["alpha:1", "zeta:1"]
    );
    assert_eq!(
        list(&["--compatible-architecture", "arm64"]),
        [""; 0],
        "none says that it is for it"
    );
    sandbox.slashopt(["registry", "delete", "zeta:1"]).success();
    assert_eq!(list(&[]), ["alpha:2"]);
}

#[test]
fn accounts_and_regions_have_layers_of_their_own() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    publish(&sandbox, "deps", "a.zip");
    let elsewhere = |arguments: &[&str]| {
        let more = ["--region", "eu-west-1", "--account", "123456789012"];
        sandbox
            .slashopt(arguments.iter().chain(&more))
            .success()
            .stdout()
            .to_owned()
    };
    assert_eq!(elsewhere(&["registry", "layers"]), "");
    assert_eq!(
        elsewhere(&["registry", "publish", "deps", "a.zip"]),
        "arn:aws:lambda:eu-west-1:123456789012:layer:deps:1\n"
    );
    sandbox
        .slashopt([
            "registry",
            "get",
            "arn:aws:lambda:eu-west-1:123456789012:layer:deps:1",
        ])
        .success();
}

#[test]
fn what_lambda_would_refuse_is_refused() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    sandbox.write("text.zip", "no zip at all");
    sandbox.archive("empty.zip", &archive([]));
    sandbox.mkdir("hollow", 0o755);
    sandbox
        .slashopt(["registry", "publish", "deps", "text.zip"])
        .status(3)
        .has_hint();
    sandbox
        .slashopt(["registry", "publish", "deps", "empty.zip"])
        .status(5)
        .stderr_contains("Uploaded file must be a non-empty zip");
    sandbox
        .slashopt(["registry", "publish", "de.ps", "a.zip"])
        .status(5)
        .stderr_contains("Value 'de.ps' at 'layerName' failed to satisfy constraint");
    sandbox
        .slashopt([
            "registry",
            "publish",
            "deps",
            "a.zip",
            "--compatible-runtimes",
            "cobol",
        ])
        .status(5)
        .stderr_contains("Value '[cobol]' at 'compatibleRuntimes' failed to satisfy constraint");
    sandbox
        .slashopt(["registry", "publish", "deps", "hollow"])
        .status(5)
        .stderr_contains("Uploaded file must be a non-empty zip");
    sandbox
        .slashopt(["registry", "publish", "deps", "absent.zip"])
        .status(4)
        .has_hint();
    assert_eq!(
        publish(&sandbox, "deps", "a.zip")["version"],
        1,
        "nothing was used up"
    );
}

#[test]
fn a_damaged_archive_is_not_published() {
    let sandbox = Sandbox::new();
    let mut bytes = archive([file("m.py", "some content")]).bytes();
    let place = bytes
        .windows(4)
        .position(|window| window == b"some")
        .expect("it is stored");
    bytes[place] ^= 1;
    sandbox.write("a.zip", bytes);
    sandbox
        .slashopt(["registry", "publish", "deps", "a.zip"])
        .status(3)
        .stderr_contains("m.py");
    assert_eq!(blobs(&store(&sandbox)), 0);
}

#[test]
fn permissions_are_added_listed_and_removed() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    publish(&sandbox, "deps", "a.zip");
    let permission = |arguments: &[&str]| {
        let all = ["registry", "permission"].iter().chain(arguments);
        sandbox.slashopt(all.chain(&["--format", "json"]))
    };
    permission(&["list", "deps:1"])
        .status(5)
        .stderr_contains("No policy is associated with the given resource.");
    let add = [
        "add",
        "deps:1",
        "--statement-id",
        "s1",
        "--principal",
        "123456789012",
    ];
    let added = permission(&add).success().json();
    assert_eq!(
        added["statement"]["Principal"]["AWS"],
        "arn:aws:iam::123456789012:root"
    );
    permission(&add)
        .status(5)
        .stderr_contains("The statement id (s1) provided already exists.");
    let stale = [
        &add[..3],
        &["s2", "--principal", "*", "--revision-id", "stale"],
    ]
    .concat();
    permission(&stale)
        .status(5)
        .stderr_contains("The Revision Id provided does not match the latest Revision Id.");
    let listed = permission(&["list", "deps:1"]).success().json();
    assert_eq!(listed["revision_id"], added["revision_id"]);
    assert_eq!(listed["policy"]["Statement"][0], added["statement"]);
    permission(&["remove", "deps:1", "--statement-id", "s1"]).success();
    permission(&["list", "deps:1"]).status(5);
    permission(&["list", "deps:2"])
        .status(5)
        .stderr_contains("layer:deps:2 does not exist.");
}

#[test]
fn garbage_is_what_no_version_has_needed_for_so_long() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    layer(&sandbox, "b.zip", "two");
    publish(&sandbox, "deps", "a.zip");
    publish(&sandbox, "deps", "b.zip");
    publish(&sandbox, "other", "b.zip");
    for version in ["deps:1", "deps:2"] {
        sandbox.slashopt(["registry", "delete", version]).success();
    }
    let collect = |more: &[&str]| {
        let arguments = ["registry", "gc", "--format", "json"].iter().chain(more);
        let collected = sandbox.slashopt(arguments).success().json();
        (collected["removed"].clone(), collected["kept"].clone())
    };
    let (none, one, two) = (Value::from(0), Value::from(1), Value::from(2));
    assert_eq!(collect(&[]), (none, two));
    // An hour ago, as far as the clock of the files goes.
    for blob in fs::read_dir(store(&sandbox).join("blobs")).expect("it is there") {
        let path = blob.expect("it can be listed").path();
        let file = fs::File::options()
            .write(true)
            .open(path)
            .expect("it opens");
        let hour = std::time::Duration::from_hours(1);
        file.set_modified(std::time::SystemTime::now() - hour)
            .expect("a time can be set");
    }
    assert_eq!(
        collect(&["--older-than", "0s", "--dry-run"]),
        (one.clone(), one.clone())
    );
    assert_eq!(collect(&["--older-than", "0s"]), (one.clone(), one.clone()));
    sandbox
        .slashopt(["registry", "get", "other:1", "--output", "c.zip"])
        .success();
    publish(&sandbox, "deps", "a.zip");
    sandbox
        .slashopt(["registry", "get", "deps:3", "--output", "d.zip"])
        .success();
}

#[test]
fn what_is_published_while_garbage_is_collected_is_kept() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    publish(&sandbox, "deps", "a.zip");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    sandbox
                        .slashopt(["registry", "gc", "--older-than", "0s"])
                        .success();
                }
            });
        }
        let published = std::panic::catch_unwind(AssertUnwindSafe(|| {
            for number in 1..60 {
                // The only version that needs the archive goes, and then somebody publishes it again.
                let gone = format!("deps:{number}");
                sandbox.slashopt(["registry", "delete", &gone]).success();
                let version = publish(&sandbox, "deps", "a.zip");
                assert_eq!(version["version"], number + 1);
                sandbox
                    .slashopt(["registry", "get", "deps", "--output", "got.zip"])
                    .success();
            }
        }));
        is_done.store(true, Ordering::Relaxed);
        if let Err(panic) = published {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn what_was_put_aside_by_somebody_who_was_killed_is_put_back() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    publish(&sandbox, "deps", "a.zip");
    let store = store(&sandbox);
    fs::rename(store.join("blobs"), store.join("trash")).expect("they are one file system");
    let get = ["registry", "get", "deps", "--output", "b.zip"];
    sandbox.slashopt(get).success();
    sandbox.slashopt(["registry", "gc"]).success();
    assert_eq!(blobs(&store), 1);
    sandbox.slashopt(get).success();
}

#[test]
fn a_registry_that_is_not_there_is_said_to_be_missing() {
    let sandbox = Sandbox::new();
    sandbox
        .slashopt(["registry", "layers"])
        .status(5)
        .stderr_contains("there is no registry")
        .has_hint();
    sandbox.mkdir("theirs", 0o755);
    sandbox.write("theirs/format", "something else");
    layer(&sandbox, "a.zip", "one");
    sandbox
        .slashopt(["registry", "publish", "deps", "a.zip", "--store", "theirs"])
        .status(5)
        .has_hint();
}

#[test]
fn a_directory_is_published_as_it_is_packed() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("layer", 0o755);
    sandbox.write("layer/m.py", "one");
    publish(&sandbox, "deps", "layer");
    for arguments in [
        ["pack", "layer", "--output", "packed.zip"].as_slice(),
        &["registry", "get", "deps:1", "--output", "got.zip"],
    ] {
        sandbox.slashopt(arguments).success();
    }
    let read = |name: &str| fs::read(sandbox.path(name)).expect("it is there");
    assert_eq!(read("packed.zip"), read("got.zip"));
}

#[test]
fn layers_of_the_registry_work_where_files_do() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    layer(&sandbox, "b.zip", "two");
    publish(&sandbox, "deps", "a.zip");
    publish(&sandbox, "deps", "b.zip");
    let content = |layer: &str| {
        let arguments = ["which", "--cat", "1", "python/m.py", layer];
        sandbox.slashopt(arguments).success().stdout().to_owned()
    };
    assert_eq!(content("deps"), "two");
    assert_eq!(content("deps:1"), "one");
    assert_eq!(content("registry:deps:1"), "one");
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:deps";
    assert_eq!(content(arn), "two");
    assert_eq!(content(&format!("{arn}:1")), "one");
    sandbox
        .slashopt(["extract", "deps:1", "--into", "opt"])
        .success();
    assert_eq!(
        fs::read(sandbox.path("opt/python/m.py")).expect("it is there"),
        b"one"
    );
    sandbox
        .slashopt(["list", "deps:7"])
        .status(5)
        .stderr_contains("layer `deps:7`")
        .has_hint();
    sandbox.slashopt(["list", "other"]).status(4).has_hint();
}

#[test]
fn a_name_that_is_a_file_and_a_layer_has_to_be_said_clearly() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    layer(&sandbox, "deps", "a file");
    let content = |layer: &str| {
        let arguments = ["which", "--cat", "1", "python/m.py", layer];
        sandbox.slashopt(arguments)
    };
    assert_eq!(content("deps").success().stdout(), "a file");
    publish(&sandbox, "deps", "a.zip");
    content("deps")
        .status(2)
        .stderr_contains("`./deps` is the file, `registry:deps` is the layer")
        .has_hint();
    assert_eq!(content("./deps").success().stdout(), "a file");
    assert_eq!(content("registry:deps").success().stdout(), "one");
}

#[test]
fn whoever_is_killed_while_publishing_leaves_whole_versions_and_uses_no_number_twice() {
    let sandbox = Sandbox::new();
    if skip_without_strace(&sandbox) {
        return;
    }
    layer(&sandbox, "last.zip", "of who is not killed");
    let mut contents = vec![("last.zip".to_owned(), "of who is not killed".to_owned())];
    let mut expected: Vec<i64> = Vec::new();
    let mut killed = 0;
    for call in [
        "/^link",
        "/^rename",
        "/^unlink",
        "fsync",
        "/^mkdir",
        "write,pwrite64",
    ] {
        for number in 1.. {
            let name = format!("{}.zip", contents.len());
            let content = format!("content {}", contents.len());
            layer(&sandbox, &name, &content);
            contents.push((name.clone(), content));
            let run = sandbox
                .command(["registry", "publish", "deps", &name])
                .under(injected(call, "signal=KILL", &number.to_string()))
                .run();
            // Of a tracer whose tracee was killed the shell says 128 and the signal, or it dies of it itself.
            let is_killed = run.code() != Some(0);
            killed += usize::from(is_killed);
            let there = match sandbox.slashopt(["registry", "versions", "deps"]).code() {
                Some(0) => versions(&sandbox, "deps"),
                // It was killed before there was a store.
                _ => Vec::new(),
            };
            let more = there.len() - expected.len();
            assert!(
                more <= 1 && there[more..] == expected,
                "{call} {number}: {there:?} after {expected:?}"
            );
            for version in &there[..more] {
                let arguments = [
                    "which",
                    "--cat",
                    "1",
                    "python/m.py",
                    &format!("deps:{version}"),
                ];
                let content = sandbox.slashopt(arguments).success();
                assert!(contents.iter().any(|(_, known)| known == content.stdout()));
            }
            let next = there.first().copied().unwrap_or(0) + 1;
            assert_eq!(
                publish(&sandbox, "deps", "last.zip")["version"],
                next,
                "{call} {number}"
            );
            expected = [vec![next], there].concat();
            if !is_killed {
                break;
            }
        }
    }
    assert!(killed > 10, "only {killed} moments were tried");
    // What they were writing is no version and no archive, and goes with the garbage.
    let store = store(&sandbox);
    let half_written = || {
        let files = walk(&store).into_iter();
        files
            .filter(|path| path.to_string_lossy().contains('#'))
            .collect::<Vec<_>>()
    };
    let left = half_written();
    assert!(!left.is_empty(), "nobody was killed while writing");
    let collect = ["registry", "gc", "--older-than", "0s", "--format", "json"];
    let collected = sandbox.slashopt(collect).success().json();
    assert_eq!(collected["half_written"], 0, "somebody may be writing them");
    for path in &left {
        let file = fs::File::options()
            .write(true)
            .open(path)
            .expect("it opens");
        let hours = std::time::Duration::from_hours(2);
        file.set_modified(std::time::SystemTime::now() - hours)
            .expect("a time can be set");
    }
    let collected = sandbox.slashopt(collect).success().json();
    assert_eq!(collected["half_written"], left.len());
    assert_eq!(half_written(), Vec::<std::path::PathBuf>::new());
    assert_eq!(versions(&sandbox, "deps"), expected);
}

/// All files below a directory.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let children = fs::read_dir(directory).expect("it is there").flatten();
    children
        .flat_map(|child| {
            if child.path().is_dir() {
                walk(&child.path())
            } else {
                vec![child.path()]
            }
        })
        .collect()
}

#[test]
fn the_command_by_which_the_program_runs_itself_is_hidden() {
    let sandbox = Sandbox::new();
    let help = sandbox.slashopt(["registry", "--help"]).success();
    assert!(!help.stdout().contains("fetch"), "{}", help.stdout());
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.slashopt(["completions", shell]).success();
        assert!(!script.stdout().contains("fetch"), "{shell}");
    }
    sandbox.archive("deps.zip", &archive([file("python/deps.py", "1")]));
    sandbox
        .slashopt(["registry", "publish", "deps", "deps.zip"])
        .success();
    let refused = sandbox.slashopt(["registry", "fetch-1", "deps:2"]);
    refused
        .status(5)
        .stderr_contains("cannot get it: Layer version arn:aws:lambda:");
}
