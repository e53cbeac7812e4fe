//! Lock files: what they say, that they hold, and that every command takes them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::command::{Checked, Finished, Sandbox, skip_unless_root};
use crate::support::machine::tool;
use crate::support::strace::{injected, skip_without_strace};
use crate::support::zip::{archive, file};

/// `a.zip`, `b.zip` and a directory `c`, which all have `python/m.py`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    layer(&sandbox, "a.zip", "one");
    layer(&sandbox, "b.zip", "two");
    for name in ["c", "c/python"] {
        sandbox.mkdir(name, 0o755);
    }
    sandbox.write("c/python/m.py", "six");
    sandbox
}

/// A layer with one file of this content, and one more.
fn layer(sandbox: &Sandbox, name: &str, content: &str) {
    let entries = [file("python/m.py", content), file(format!("of/{name}"), "")];
    sandbox.archive(name, &archive(entries));
}

/// Locks these layers in `layers.lock`.
#[track_caller]
fn lock(sandbox: &Sandbox, arguments: &[&str]) -> Checked {
    sandbox.slashopt([&["lock"], arguments].concat()).success()
}

/// What stands in a lock file.
#[track_caller]
fn locked(sandbox: &Sandbox, name: &str) -> Value {
    let text = fs::read(sandbox.path(name)).expect("it is there");
    serde_json::from_slice(&text).expect("it is JSON")
}

/// The content of `python/m.py` that wins.
fn winner(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let replaced = ["extract", "--into", "opt", "--replace"];
    sandbox.slashopt([&replaced, arguments].concat())
}

#[track_caller]
fn assert_winner(sandbox: &Sandbox, arguments: &[&str], expected: &str) {
    winner(sandbox, arguments).success();
    assert_eq!(sandbox.tree("opt").text("python/m.py"), expected);
}

/// What coreutils make of a file.
fn sha256sum(path: &Path) -> String {
    let output = tool("sha256sum").arg(path).output();
    let output = output.expect("coreutils are everywhere").stdout;
    String::from_utf8_lossy(&output)[..64].to_owned()
}

#[test]
fn a_lock_file_says_what_each_layer_is_and_is_the_same_for_the_same_layers() {
    let sandbox = sandbox();
    let arguments = ["a.zip", "./c", "b.zip", "--runtime", "python3.12"];
    lock(&sandbox, &arguments);
    let text = fs::read_to_string(sandbox.path("layers.lock")).expect("it is text");
    let found = locked(&sandbox, "layers.lock");
    let [a, c, b] = [0, 1, 2].map(|index| &found["layers"][index]);
    for (layer, path) in [(a, "a.zip"), (b, "b.zip")] {
        let about = fs::metadata(sandbox.path(path)).expect("it is there");
        assert_eq!(layer["path"], path);
        assert_eq!(layer["sha256"], sha256sum(&sandbox.path(path)));
        assert_eq!(layer["size"], about.len());
    }
    assert_eq!((&c["path"], &c["size"]), (&"c".into(), &3.into()));
    let expected = format!(
        r#"{{
  "lock_version": 1,
  "runtime": "python3.12",
  "layers": [
    {{
      "path": "a.zip",
      "sha256": {},
      "size": {}
    }},
    {{
      "path": "c",
      "sha256": {},
      "size": 3
    }},
    {{
      "path": "b.zip",
      "sha256": {},
      "size": {}
    }}
  ]
}}
"#,
        a["sha256"], a["size"], c["sha256"], b["sha256"], b["size"]
    );
    assert_eq!(text, expected);
    lock(
        &sandbox,
        &[&arguments[..], &["--output", "again", "--threads", "7"]].concat(),
    );
    assert_eq!(
        fs::read_to_string(sandbox.path("again")).ok(),
        Some(text.clone())
    );
    let printed = lock(&sandbox, &[&arguments[..], &["--output", "-"]].concat());
    assert_eq!(printed.stdout(), text);
}

#[test]
fn the_digest_of_a_directory_is_the_one_that_the_cache_knows_it_by() {
    let sandbox = sandbox();
    lock(&sandbox, &["c"]);
    let added = sandbox.slashopt(["cache", "add", "c"]).success();
    let digest = locked(&sandbox, "layers.lock")["layers"][0]["sha256"].clone();
    let digest = digest.as_str().expect("text").to_owned();
    assert_eq!(added.stdout(), format!("sha256:{digest}\n"));
}

#[test]
fn paths_are_found_from_where_the_lock_file_is() {
    let sandbox = sandbox();
    for name in ["project", "project/locks"] {
        sandbox.mkdir(name, 0o755);
    }
    layer(&sandbox, "project/a.zip", "mine");
    let output = ["--output", "project/locks/layers.lock"];
    lock(
        &sandbox,
        &[&["b.zip", "project/a.zip"], &output[..]].concat(),
    );
    let found = locked(&sandbox, "project/locks/layers.lock");
    assert_eq!(found["layers"][0]["path"], "../../b.zip");
    assert_eq!(found["layers"][1]["path"], "../a.zip");
    assert_winner(&sandbox, &["--locked", "project/locks/layers.lock"], "mine");
    // All of it somewhere else.
    sandbox.mkdir("elsewhere", 0o755);
    for name in ["project", "b.zip"] {
        let to = sandbox.path("elsewhere").join(name);
        fs::rename(sandbox.path(name), to).expect("it can be moved");
    }
    assert_winner(
        &sandbox,
        &["--locked", "elsewhere/project/locks/layers.lock"],
        "mine",
    );
}

#[test]
fn a_path_that_is_not_text_is_locked_without_loss() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = sandbox();
    let name = std::ffi::OsStr::from_bytes(b"\xff.zip");
    fs::rename(sandbox.path("a.zip"), sandbox.path(name)).expect("it can be renamed");
    sandbox.slashopt(["lock".as_ref(), name]).success();
    assert_winner(&sandbox, &["--locked", "layers.lock"], "one");
}

#[test]
fn every_command_that_takes_layers_takes_a_lock_file_in_their_place() {
    let sandbox = sandbox();
    let layers = ["a.zip", "c", "b.zip"];
    lock(&sandbox, &layers);
    let out = |command: &[&str], layers: &[&str]| {
        let run = sandbox.slashopt([command, layers].concat());
        let code = run.code();
        (code, run.stdout)
    };
    let runtime = ["--runtime", "python3.12"];
    for command in [
        &["extract", "--into", "opt", "--dry-run"][..],
        &["env", runtime[0], runtime[1], "--explain"],
        &["collisions", runtime[0], runtime[1], "--format", "csv"],
        &["which", "python/m.py"],
        &["which", "--module", "m", runtime[0], runtime[1]],
        &["list"],
        &["list", "--packages", "--format", "json"],
        &["check", runtime[0], runtime[1], "--format", "json"],
        &["flatten", "--output", "flat.zip"],
        &["cache", "add"],
        &["diff", "--left", "a.zip", "--right"],
        &["report", "--output", "-"],
    ] {
        let typed = out(command, &layers);
        let taken = match command[0] {
            "diff" => out(
                &["diff", "--left", "a.zip"],
                &["--right-locked", "layers.lock"],
            ),
            _ => out(command, &["--locked", "layers.lock"]),
        };
        assert_eq!(taken, typed, "{command:?}");
        assert!(matches!(typed.0, Some(0 | 1)), "{command:?}: {typed:?}");
        assert!(!typed.1.is_empty(), "{command:?} says nothing");
    }
}

#[test]
fn a_command_runs_and_a_mount_shows_what_was_locked() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    sandbox.mkdir("opt", 0o755);
    lock(&sandbox, &["a.zip", "b.zip", "--runtime", "python3.12"]);
    let command = [
        "--at",
        "opt",
        "--",
        "sh",
        "-c",
        "cat opt/python/m.py; echo \" $PYTHONPATH\"",
    ];
    let exec = |more: &[&str]| sandbox.slashopt([&["exec"], more, &command[..]].concat());
    for _ in 0..2 {
        let ran = exec(&["--locked", "layers.lock", "--require-mount"]).success();
        let (content, path) = ran.stdout().split_once(' ').expect("two words");
        assert_eq!(content, "two");
        assert!(path.contains("opt/python"), "{path}");
    }
    exec(&["--locked", "layers.lock", "--live"])
        .status(125)
        .stderr_contains("--live")
        .has_hint();
    let mount = ["mount", "--locked", "layers.lock", "--at", "opt"];
    sandbox.slashopt(mount).success();
    let seen = fs::read_to_string(sandbox.path("opt/python/m.py"));
    sandbox.slashopt(["umount", "opt"]).success();
    assert_eq!(seen.ok().as_deref(), Some("two"));
}

#[test]
fn other_content_than_was_locked_is_refused() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip", "b.zip", "c"]);
    let before = sha256sum(&sandbox.path("b.zip"));
    let refuse = |what: &str, layer: i64| {
        let refused = sandbox
            .slashopt([
                "extract",
                "--locked",
                "layers.lock",
                "--into",
                "opt",
                "--format",
                "json",
            ])
            .status(3)
            .stderr_contains(what)
            .has_hint();
        assert_eq!(refused.json()["error"]["layer"], layer);
        assert!(!sandbox.path("opt").exists(), "nothing is built");
        refused
    };
    // The same size, and another one.
    layer(&sandbox, "b.zip", "owt");
    let after = sha256sum(&sandbox.path("b.zip"));
    let digests = format!("expected sha256:{before}, found sha256:{after}");
    refuse("layer 2 of 3 (`b.zip`): another digest than locked", 2).stderr_contains(&digests);
    let exec = ["exec", "--locked", "layers.lock", "--", "true"];
    sandbox
        .slashopt(exec)
        .status(125)
        .stderr_contains(&digests)
        .has_hint();
    layer(&sandbox, "b.zip", "longer");
    refuse(
        "layer 2 of 3 (`b.zip`): another size than locked: expected",
        2,
    );
    layer(&sandbox, "b.zip", "two");
    sandbox.write("c/python/m.py", "xis");
    refuse("layer 3 of 3 (`c`): another digest than locked", 3);
}

#[test]
fn what_is_nowhere_else_is_taken_from_the_cache() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip", "b.zip"]);
    sandbox
        .slashopt(["cache", "add", "--locked", "layers.lock"])
        .success();
    fs::remove_file(sandbox.path("b.zip")).expect("it is there");
    assert_winner(&sandbox, &["--locked", "layers.lock"], "two");
    let which = [
        "which",
        "--cat",
        "2",
        "python/m.py",
        "--locked",
        "layers.lock",
    ];
    assert_eq!(sandbox.slashopt(which).success().stdout(), "two");
    fs::remove_dir_all(sandbox.home().join(".cache/slashopt")).expect("it is there");
    winner(&sandbox, &["--locked", "layers.lock"])
        .status(4)
        .stderr_contains(
            "layer 2 of 2 (`b.zip`): it is neither where it was locked nor in the cache",
        )
        .has_hint();
}

#[test]
fn a_lock_file_and_layers_contradict_each_other() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip"]);
    winner(&sandbox, &["--locked", "layers.lock", "b.zip"])
        .status(2)
        .stderr_contains("--locked")
        .has_hint();
    let arguments = ["which", "--module", "m", "b.zip", "--locked", "layers.lock"];
    sandbox.slashopt(arguments).status(2).has_hint();
    sandbox
        .slashopt(["lock", "--locked", "layers.lock"])
        .status(2)
        .has_hint();
}

#[test]
fn a_variable_names_the_lock_file_and_what_is_typed_beats_it() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip"]);
    let cat = |arguments: &[&str], variables: &[(&str, &str)]| {
        let command = ["which", "--cat", "1", "python/m.py"];
        let command = sandbox.command([&command, arguments].concat());
        let set = variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        set.run()
    };
    let (locked, layers) = (
        ("SLASHOPT_LOCKED", "layers.lock"),
        ("SLASHOPT_LAYERS", "b.zip"),
    );
    assert_eq!(cat(&[], &[locked]).success().stdout(), "one");
    assert_eq!(cat(&["b.zip"], &[locked]).success().stdout(), "two");
    let typed = ["--locked", "layers.lock"];
    assert_eq!(cat(&typed, &[layers]).success().stdout(), "one");
    assert_eq!(
        cat(&[], &[("SLASHOPT_LOCKED", ""), layers])
            .success()
            .stdout(),
        "two"
    );
    cat(&[], &[locked, layers])
        .status(2)
        .stderr_contains("SLASHOPT_LOCKED and SLASHOPT_LAYERS are both set")
        .has_hint();
}

#[test]
fn the_locked_runtime_and_architecture_are_used_unless_others_are_named() {
    let sandbox = sandbox();
    let named = ["--runtime", "python3.12", "--architecture", "arm64"];
    lock(&sandbox, &[&["a.zip"], &named[..]].concat());
    let env = |more: &[&str]| {
        let arguments = ["env", "--format", "json", "--locked", "layers.lock"];
        sandbox.slashopt([&arguments, more].concat()).success()
    };
    let quiet = env(&[]);
    assert_eq!(quiet.json()["runtime"], "python3.12");
    assert!(!quiet.stderr().contains("lock file"), "{}", quiet.stderr());
    let other = env(&["--runtime", "python3.13"])
        .stderr_contains("lock file `layers.lock`: it is for python3.12, not for python3.13");
    assert_eq!(other.json()["runtime"], "python3.13");
    let here = sandbox
        .command(["env", "--format", "json", "--locked", "layers.lock"])
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_python3.14")
        .run()
        .success()
        .stderr_contains("it is for python3.12, not for python3.14");
    assert_eq!(here.json()["runtime"], "python3.12");
    let report = |more: &[&str]| {
        let arguments = ["report", "--output", "-", "--locked", "layers.lock"];
        sandbox.slashopt([&arguments, more].concat()).success()
    };
    assert!(report(&[]).stdout().contains(r#""architecture":"arm64""#));
    let other = report(&["--architecture", "x86_64"])
        .stderr_contains("lock file `layers.lock`: it is for arm64, not for x86_64");
    assert!(other.stdout().contains(r#""architecture":"x86_64""#));
}

#[test]
fn whether_a_lock_file_is_up_to_date_can_be_asked() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip", "b.zip"]);
    let text = fs::read(sandbox.path("layers.lock")).expect("it is there");
    let check = |arguments: &[&str]| sandbox.slashopt([&["lock", "--check"], arguments].concat());
    check(&["a.zip", "b.zip"]).success();
    check(&["b.zip", "a.zip"])
        .status(1)
        .stderr_contains("layer 1: `a.zip`")
        .stderr_contains("layer 2: `b.zip`");
    check(&["a.zip"])
        .status(1)
        .stderr_contains("now it is none");
    check(&["a.zip", "b.zip", "--runtime", "python3.12"])
        .status(1)
        .stderr_contains("runtime: none is locked, and now it is python3.12");
    layer(&sandbox, "b.zip", "owt");
    let told = check(&["a.zip", "b.zip", "--format", "json"]).status(1);
    assert_eq!(told.json()["up_to_date"], false);
    check(&["a.zip", "--output", "absent.lock"])
        .status(4)
        .has_hint();
    assert_eq!(fs::read(sandbox.path("layers.lock")).ok(), Some(text));
}

#[test]
fn a_file_that_is_no_lock_file_is_refused_with_what_is_wrong() {
    let sandbox = sandbox();
    lock(&sandbox, &["a.zip"]);
    let good = locked(&sandbox, "layers.lock");
    let text = serde_json::to_string_pretty(&good).expect("it is JSON");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    for (text, expected) in [
        (String::new(), "it is not a lock file"),
        ("[]".to_owned(), "it is not a lock file"),
        (
            text.replace("  \"layers\"", "<<<<<<< HEAD\n  \"layers\""),
            "it is not a lock file",
        ),
        (text[..text.len() / 2].to_owned(), "it is not a lock file"),
        (
            with(&|value| value["lock_version"] = json!(2)),
            "it has the form 2",
        ),
        (
            with(&|value| value["layers"] = json!([])),
            "it names no layer",
        ),
        (
            with(&|value| value["layer"] = json!([])),
            "unknown field `layer`",
        ),
        (
            with(&|value| value["runtime"] = json!("cobol")),
            "`cobol` is not a runtime",
        ),
        (with(&|value| value["architecture"] = json!("mips")), "mips"),
        (
            with(&|value| value["layers"][0]["sha256"] = json!("ABC")),
            "layer 1: sha256",
        ),
        (
            with(&|value| value["layers"][0]["arn"] = json!("arn:aws:lambda")),
            "layer 1",
        ),
        (
            with(&|value| value["layers"][0] = json!({"sha256": "0".repeat(64), "size": 1})),
            "layer 1: it needs",
        ),
        (format!("{text}{}", " ".repeat(2 << 20)), "it is too long"),
    ] {
        sandbox.write("layers.lock", &text);
        let run = winner(&sandbox, &["--locked", "layers.lock"]);
        let code = if expected == "it is too long" { 4 } else { 2 };
        run.status(code)
            .stderr_contains(expected)
            .stderr_contains("layers.lock")
            .has_hint();
    }
    winner(&sandbox, &["--locked", "absent.lock"])
        .status(4)
        .stderr_contains("lock file `absent.lock`")
        .has_hint();
}

#[test]
fn what_could_not_be_found_again_is_not_locked() {
    let sandbox = sandbox();
    sandbox.write("layers.lock", "as it was");
    let bytes = fs::read(sandbox.path("a.zip")).expect("it is there");
    sandbox
        .command(["lock", "-"])
        .stdin(bytes)
        .run()
        .status(2)
        .has_hint();
    let added = sandbox.slashopt(["cache", "add", "a.zip"]).success();
    let digest = added.stdout().trim().to_owned();
    sandbox.slashopt(["lock", &digest]).status(2).has_hint();
    sandbox
        .slashopt(["lock", "absent.zip"])
        .status(4)
        .has_hint();
    sandbox
        .slashopt(["lock", "c", "--output", "c/layers.lock"])
        .status(2)
        .stderr_contains("the lock file would lie in it")
        .has_hint();
    sandbox.write("broken.zip", "no zip at all");
    sandbox
        .slashopt(["lock", "a.zip", "broken.zip"])
        .status(3)
        .has_hint();
    let wrong = format!("a.zip@sha256:{}", "0".repeat(64));
    sandbox.slashopt(["lock", &wrong]).status(3).has_hint();
    sandbox.slashopt(["lock"]).status(2).has_hint();
    assert_eq!(
        fs::read(sandbox.path("layers.lock")).ok().as_deref(),
        Some(&b"as it was"[..])
    );
    let right = digest.replace("sha256:", "a.zip@sha256:");
    lock(&sandbox, &[&right]);
    assert_eq!(
        locked(&sandbox, "layers.lock")["layers"][0]["path"],
        "a.zip"
    );
}

#[test]
fn a_lock_file_appears_whole_or_not_at_all() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    lock(&sandbox, &["a.zip"]);
    let before = fs::read(sandbox.path("layers.lock")).expect("it is there");
    sandbox
        .command(["lock", "a.zip", "b.zip"])
        .under(injected("/^rename", "error=EIO", "1"))
        .run()
        .status(4);
    assert_eq!(fs::read(sandbox.path("layers.lock")).ok(), Some(before));
    let left = sandbox.everything().paths();
    assert!(
        left.iter().all(|path| !path.contains("slashopt-")),
        "{left:?}"
    );
}

#[cfg(feature = "registry")]
mod of_the_registry {
    //! Layers that are locked by their ARNs.

    use super::*;

    fn publish(sandbox: &Sandbox, name: &str, zip: &str, more: &[&str]) {
        let arguments = [&["registry", "publish", name, zip], more].concat();
        sandbox.slashopt(arguments).success();
    }

    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:layer:deps";

    #[test]
    fn a_layer_of_the_registry_is_locked_by_its_arn() {
        let sandbox = sandbox();
        publish(
            &sandbox,
            "deps",
            "a.zip",
            &[
                "--compatible-runtimes",
                "python3.12",
                "--compatible-architectures",
                "arm64",
            ],
        );
        lock(&sandbox, &["deps", "b.zip"]);
        let found = locked(&sandbox, "layers.lock");
        let about = fs::metadata(sandbox.path("a.zip")).expect("it is there");
        assert_eq!(
            found["layers"][0],
            json!({
                "arn": format!("{ARN}:1"),
                "sha256": sha256sum(&sandbox.path("a.zip")),
                "size": about.len(),
                "runtimes": ["python3.12"],
                "architectures": ["arm64"],
            })
        );
        // All that say anything say this.
        assert_eq!(found["runtime"], "python3.12");
        assert_eq!(found["architecture"], "arm64");
        publish(&sandbox, "deps", "b.zip", &[]);
        let cat = ["which", "--cat", "1", "python/m.py"];
        let cat = |layers: &[&str]| sandbox.slashopt([&cat, layers].concat()).success();
        assert_eq!(cat(&["deps"]).stdout(), "two");
        assert_eq!(cat(&["--locked", "layers.lock"]).stdout(), "one");
    }

    #[test]
    fn what_a_layer_was_not_published_for_is_said() {
        let sandbox = sandbox();
        publish(
            &sandbox,
            "deps",
            "a.zip",
            &["--compatible-runtimes", "python3.12", "python3.13"],
        );
        let expected = format!(
            "layer 2 of 2 (`{ARN}:1`): it was published for python3.12, python3.13, not for nodejs22.x"
        );
        lock(&sandbox, &["b.zip", "deps:1", "--runtime", "nodejs22.x"]).stderr_contains(&expected);
        sandbox
            .slashopt(["env", "--locked", "layers.lock"])
            .success()
            .stderr_contains(&expected);
        lock(&sandbox, &["b.zip", "deps:1"]).stderr_lacks("published");
        assert_eq!(locked(&sandbox, "layers.lock")["runtime"], Value::Null);
    }

    #[test]
    fn a_version_that_was_deleted_is_still_there_for_who_locked_it() {
        let sandbox = sandbox();
        publish(&sandbox, "deps", "a.zip", &[]);
        lock(&sandbox, &["deps:1"]);
        sandbox.slashopt(["registry", "delete", "deps:1"]).success();
        winner(&sandbox, &["deps:1"]).status(5);
        sandbox.slashopt(["lock", "deps:1"]).status(5).has_hint();
        assert_winner(&sandbox, &["--locked", "layers.lock"], "one");
        // Nor does it need the registry, once it is in the cache.
        sandbox
            .slashopt(["cache", "add", "--locked", "layers.lock"])
            .success();
        let store = sandbox.home().join(".local/share/slashopt");
        let blob = store.join("blobs").join(sha256sum(&sandbox.path("a.zip")));
        fs::write(&blob, "damaged").expect("it is there");
        winner(&sandbox, &["--locked", "layers.lock"])
            .status(3)
            .stderr_contains(&format!(
                "layer 1 of 1 (`{ARN}:1`): another size than locked"
            ));
        fs::remove_dir_all(&store).expect("it is there");
        assert_winner(&sandbox, &["--locked", "layers.lock"], "one");
        fs::remove_dir_all(sandbox.home().join(".cache/slashopt")).expect("it is there");
        winner(&sandbox, &["--locked", "layers.lock"])
            .status(4)
            .stderr_contains(&format!(
                "layer 1 of 1 (`{ARN}:1`): it is neither where it was locked"
            ))
            .has_hint();
    }

    #[test]
    fn what_the_registry_no_longer_keeps_is_missed_by_name() {
        let sandbox = sandbox();
        publish(&sandbox, "deps", "a.zip", &[]);
        lock(&sandbox, &["b.zip", "deps"]);
        let store = sandbox.home().join(".local/share/slashopt");
        fs::remove_dir_all(store.join("blobs")).expect("it is there");
        let exec = ["exec", "--locked", "layers.lock", "--", "true"];
        sandbox
            .slashopt(exec)
            .status(125)
            .stderr_contains(&format!("layer 2 of 2 (`{ARN}:1`)"))
            .has_hint();
    }
}
