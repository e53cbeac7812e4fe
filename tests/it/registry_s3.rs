//! The registry in a bucket, on an S3 server that another project made: the commands, several processes at once, and one that is
//! killed at every request.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::Value;

use crate::support::command::Sandbox;
use crate::support::s3::{Bucket, When};
use crate::support::strace::skip_without_strace;
use crate::support::zip::{archive, file};

/// More than one part of an upload.
const BYTES: usize = 9 << 20;

/// A layer with one file of this content.
fn layer(sandbox: &Sandbox, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    sandbox.archive(name, &archive([file("python/m.py", content)]))
}

/// Bytes that are others for every seed.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next)
        .take(BYTES / 8)
        .flatten()
        .collect()
}

#[track_caller]
fn json(bucket: &Bucket, sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let arguments = [&["registry"], arguments, &["--format", "json"]].concat();
    bucket.command(sandbox, &arguments).run().success().json()
}

/// The versions of `deps`, the oldest first.
#[track_caller]
fn versions(bucket: &Bucket, sandbox: &Sandbox) -> Vec<i64> {
    let arguments = ["registry", "versions", "deps", "--format", "json"];
    let run = bucket.command(sandbox, &arguments).run();
    if run.stderr.contains("there is no registry") {
        return Vec::new();
    }
    let listed = run.success().json();
    let versions = listed["versions"].as_array().expect("a list").clone();
    let number = |version: &Value| version["version"].as_i64().expect("a number");
    versions.iter().rev().map(number).collect()
}

/// All versions that are listed but the first `known` can be got whole: each is one of these archives.
#[track_caller]
fn assert_whole(
    bucket: &Bucket,
    sandbox: &Sandbox,
    archives: &[PathBuf],
    known: usize,
) -> Vec<i64> {
    let numbers = versions(bucket, sandbox);
    for number in numbers.iter().skip(known) {
        let name = format!("deps:{number}");
        let get = ["registry", "get", &name, "--output", "got.zip"];
        bucket.command(sandbox, &get).run().success();
        let got = fs::read(sandbox.path("got.zip")).expect("it is there");
        let is_it = |path: &PathBuf| fs::read(path).expect("it is there") == got;
        assert!(archives.iter().any(is_it), "{name} is none of ours");
    }
    numbers
}

#[test]
fn a_registry_in_a_bucket_does_what_one_in_a_directory_does() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("commands");
    let (small, large) = (
        layer(&sandbox, "small.zip", "one"),
        layer(&sandbox, "large.zip", noise(1)),
    );
    bucket
        .command(&sandbox, &["registry", "layers"])
        .run()
        .status(5)
        .stderr_contains("there is no registry")
        .has_hint();
    let run = |arguments: &[&str]| json(&bucket, &sandbox, arguments);
    assert_eq!(run(&["publish", "deps", "small.zip"])["version"], 1);
    let published = run(&[
        "publish",
        "deps",
        "large.zip",
        "--compatible-runtimes",
        "python3.12",
    ]);
    assert_eq!(published["version"], 2);
    assert_eq!(run(&["publish", "other", "small.zip"])["version"], 1);
    let layers = run(&["layers"]);
    let names = layers["layers"].as_array().expect("a list").iter();
    let names: Vec<&str> = names
        .filter_map(|layer| layer["layer_name"].as_str())
        .collect();
    assert_eq!(names, ["deps", "other"]);
    let matching = run(&["layers", "--compatible-runtime", "python3.12"]);
    assert_eq!(
        matching["layers"][0]["layer_version_arn"],
        published["layer_version_arn"]
    );
    assert_eq!(
        assert_whole(&bucket, &sandbox, &[small.clone(), large.clone()], 0),
        [1, 2]
    );

    let add = [
        "permission",
        "add",
        "deps:2",
        "--statement-id",
        "all",
        "--principal",
        "*",
    ];
    let added = run(&add);
    bucket
        .command(&sandbox, &[&["registry"], &add[..]].concat())
        .run()
        .status(5)
        .stderr_contains("The statement id (all) provided already exists.");
    let listed = run(&["permission", "list", "deps:2"]);
    assert_eq!(listed["revision_id"], added["revision_id"]);
    assert_eq!(listed["policy"]["Statement"][0], added["statement"]);
    run(&["permission", "remove", "deps:2", "--statement-id", "all"]);

    run(&["delete", "deps:2"]);
    run(&["delete", "deps:1"]);
    bucket
        .command(&sandbox, &["registry", "get", "deps:2"])
        .run()
        .status(5)
        .stderr_contains("does not exist.");
    let collected = run(&["gc", "--older-than", "0s"]);
    assert_eq!(
        (&collected["removed"], &collected["kept"]),
        (&1.into(), &1.into())
    );
    assert_eq!(collected["removed_bytes"], published["code_size"]);
    let got = run(&["get", "other", "--output", "got.zip"]);
    assert_eq!(got["version"], 1);
    assert_eq!(fs::read(sandbox.path("got.zip")).ok(), fs::read(small).ok());
    assert_eq!(run(&["publish", "deps", "large.zip"])["version"], 3);
    assert_eq!(assert_whole(&bucket, &sandbox, &[large], 0), [3]);

    // Layers are fetched where they are taken.
    let cat = ["which", "--cat", "1", "python/m.py", "other:1"];
    let found = bucket.command(&sandbox, &cat).run().success();
    assert_eq!(found.stdout(), "one");
    let command = ["exec", "other", "--", "cat", "/opt/python/m.py"];
    let found = bucket.command(&sandbox, &command).run().success();
    assert_eq!(found.stdout(), "one");
    bucket
        .command(&sandbox, &["list", "other:7"])
        .run()
        .status(5)
        .stderr_contains("layer:other:7 does not exist.")
        .has_hint();
}

#[test]
fn a_layer_in_a_bucket_is_locked_and_taken_also_when_its_version_is_deleted() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("locked");
    layer(&sandbox, "one.zip", "one");
    let publish = ["publish", "deps", "one.zip", "--compatible-runtimes"];
    json(&bucket, &sandbox, &[&publish[..], &["python3.12"]].concat());
    let run = |arguments: &[&str]| bucket.command(&sandbox, arguments).run();
    run(&["lock", "deps", "one.zip"]).success();
    let locked: Value =
        serde_json::from_slice(&fs::read(sandbox.path("layers.lock")).expect("it is there"))
            .expect("JSON");
    assert_eq!(locked["runtime"], "python3.12");
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:deps:1";
    assert_eq!(locked["layers"][0]["arn"], arn);
    // The same bytes, here and there.
    assert_eq!(locked["layers"][0]["sha256"], locked["layers"][1]["sha256"]);
    run(&["lock", "deps", "one.zip", "--check"]).success();
    if !skip_without_strace(&sandbox) {
        // Another process fetches it, once.
        let calls = sandbox.path("calls").display().to_string();
        let spy = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", &calls];
        let lock = ["lock", "deps", "one.zip", "--check"];
        bucket.command(&sandbox, &lock).under(spy).run().success();
        let calls = fs::read_to_string(sandbox.path("calls")).expect("they were written");
        assert_eq!(
            calls.matches("\"registry\", \"fetch-1\"").count(),
            1,
            "{calls}"
        );
    }
    run(&["lock", "deps:2"])
        .status(5)
        .stderr_contains("layer:deps:2 does not exist.");

    run(&["registry", "delete", "deps:1"]).success();
    run(&["lock", "deps:1", "--output", "again.lock"]).status(5);
    let which = ["which", "--cat", "1", "python/m.py", "--locked"];
    let which = [&which[..], &["layers.lock"]].concat();
    assert_eq!(run(&which).success().stdout(), "one");
    let exec = ["exec", "--locked", "layers.lock", "--"];
    let exec = [&exec[..], &["cat", "/opt/python/m.py"]].concat();
    assert_eq!(run(&exec).success().stdout(), "one");
    // What is in the cache is not fetched again, so nothing has to be reached.
    let away = ["--store", "s3://nowhere-at-all/registry"];
    let exec = [&exec[..1], &away, &exec[1..]].concat();
    assert_eq!(run(&exec).success().stdout(), "one");

    let digest = locked["layers"][0]["sha256"].as_str().expect("a digest");
    let wanted = format!("sha256:{digest}");
    run(&["registry", "get", &wanted, "--output", "got.zip"]).success();
    let read = |name: &str| fs::read(sandbox.path(name)).expect("it is there");
    assert_eq!(read("got.zip"), read("one.zip"));
    run(&["registry", "get", &wanted]).status(2).has_hint();
    run(&["registry", "get", "sha256:12", "--output", "got.zip"]).status(2);
    let absent = format!("sha256:{}", "0".repeat(64));
    run(&["registry", "get", &absent, "--output", "absent.zip"]).status(5);
    assert!(!sandbox.path("absent.zip").exists());
}

#[test]
fn who_publishes_at_once_in_one_bucket_gets_numbers_of_his_own_also_when_one_is_killed() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("at-once");
    let archives: Vec<PathBuf> = (0..4)
        .map(|number| {
            layer(
                &sandbox,
                &format!("{number}.zip"),
                format!("content {number}"),
            )
        })
        .collect();
    let killed = layer(&sandbox, "killed.zip", "of one who is killed");
    json(&bucket, &sandbox, &["publish", "deps", "0.zip"]);
    // The third change is the version itself: it gets its number, and who asked for it never knows.
    bucket.hold(3, When::After);
    let mut victim = start(&bucket, &killed);
    assert!(
        is_held(&bucket, &mut victim),
        "it has to create the version"
    );
    let numbers: Vec<i64> = std::thread::scope(|scope| {
        let (bucket, sandbox) = (&bucket, &sandbox);
        let publishers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let zip = format!("{number}.zip");
                    let publish = || json(bucket, sandbox, &["publish", "deps", &zip]);
                    let number = |version: Value| version["version"].as_i64().expect("a number");
                    [number(publish()), number(publish())]
                })
            })
            .collect();
        victim.kill().expect("it runs");
        let done = publishers.into_iter();
        done.flat_map(|publisher| publisher.join().expect("it ends"))
            .collect()
    });
    victim.wait().expect("it was killed");
    bucket.release();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (3..=10).collect::<Vec<_>>(), "{numbers:?}");
    let all = [archives, vec![killed]].concat();
    assert_eq!(
        assert_whole(&bucket, &sandbox, &all, 0),
        (1..=10).collect::<Vec<_>>()
    );
}

/// Starts to publish an archive.
fn start(bucket: &Bucket, archive: &PathBuf) -> Child {
    let mut command: Command = bucket.process(&["registry", "publish", "deps"]);
    command.arg(archive).spawn().expect("it can be started")
}

/// Whether the server holds a request of the process; if not, it has ended.
fn is_held(bucket: &Bucket, process: &mut Child) -> bool {
    loop {
        if bucket.holds() {
            return true;
        }
        if let Some(status) = process.try_wait().expect("it is our child") {
            assert!(status.success(), "it is not hindered");
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn wherever_somebody_is_killed_who_publishes_what_is_there_is_whole_and_no_number_is_used_twice() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("killed");
    let mut archives = vec![layer(&sandbox, "small.zip", "one")];
    let mut expected: Vec<i64> = Vec::new();
    let mut killed = 0;
    for when in [When::Before, When::After] {
        for number in 1.. {
            let seed = archives.len() as u64;
            archives.push(layer(&sandbox, &format!("{seed}.zip"), noise(seed)));
            bucket.hold(number, when);
            let mut victim = start(&bucket, &archives[archives.len() - 1]);
            let is_killed = is_held(&bucket, &mut victim);
            if is_killed {
                // While it stands still in the middle, others see nothing of it that is not whole.
                assert_whole(&bucket, &sandbox, &archives, expected.len());
                victim.kill().expect("it runs");
                killed += 1;
            }
            victim.wait().expect("it has ended");
            bucket.release();
            let there = assert_whole(&bucket, &sandbox, &archives, expected.len());
            let more = there
                .strip_prefix(&expected[..])
                .expect("none is lost, none changes its number");
            assert!(more.len() <= 1, "{there:?} after {expected:?}");
            let next = there.last().copied().unwrap_or(0) + 1;
            let published = json(&bucket, &sandbox, &["publish", "deps", "small.zip"]);
            assert_eq!(published["version"], next, "{when:?} change {number}");
            expected = there;
            expected.push(next);
            if !is_killed {
                break;
            }
        }
    }
    assert_whole(&bucket, &sandbox, &archives, 0);
    // The store, the archive in parts, the version; each before and after.
    assert!(killed >= 12, "only {killed} moments were tried");
}

#[test]
fn a_store_that_ignores_conditions_is_refused_and_not_used() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("forgetful");
    layer(&sandbox, "a.zip", "one");
    let publish = ["registry", "publish", "deps", "a.zip"];
    json(&bucket, &sandbox, &publish[1..]);
    bucket.forget();
    bucket
        .command(&sandbox, &publish)
        .run()
        .status(5)
        .stderr_contains("the store ignores `If-None-Match`")
        .has_hint();
    assert_eq!(versions(&bucket, &sandbox), [1]);
}

#[test]
fn a_bucket_that_cannot_be_reached_is_said_soon() {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    // Nobody listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    sandbox
        .command([
            "registry",
            "publish",
            "deps",
            "a.zip",
            "--store",
            "s3://bucket/prefix",
        ])
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_ACCESS_KEY_ID", "of the tests")
        .env("AWS_SECRET_ACCESS_KEY", "of the tests")
        .run()
        .status(5)
        .stderr_contains("s3://bucket/prefix")
        .has_hint();
    let bucket = Bucket::new("there");
    bucket
        .command(
            &sandbox,
            &[
                "registry",
                "publish",
                "deps",
                "a.zip",
                "--store",
                "s3://no-such-bucket/prefix",
            ],
        )
        .run()
        .status(5)
        .stderr_contains("s3://no-such-bucket/prefix")
        .has_hint();
    sandbox
        .slashopt(["registry", "layers", "--store", "s3://"])
        .status(2)
        .has_hint();
}
