//! `exec` and `probe` on machines that forbid to mount, or to mount in the newest way.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bare::install;
use crate::support::command::{Finished, Sandbox, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::project::program;
use crate::support::restricted::{
    as_in_docker, as_on_an_old_kernel, filtered, skip_unless_allowed, without_namespaces,
};
use crate::support::strace::{injected, skip_without_strace, traced};
use crate::support::zip::{archive, file};

fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    for name in ["home", "tmp", "work"] {
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(sandbox.root().join(name), mode).expect("it is ours");
    }
    let tool = |text: &str| file("bin/tool", format!("#!/bin/sh\necho {text}\n")).mode(0o755);
    sandbox.archive(
        "one.zip",
        &archive([tool("tool of one"), file("only/one", "1")]),
    );
    sandbox.archive(
        "two.zip",
        &archive([tool("tool of two"), file("python/two.py", "2")]),
    );
    Some(sandbox)
}

const RUN: [&str; 6] = ["--at", "opt", "--runtime", "python3.12", "--", "tool"];

/// Runs the tool of the layers at `opt` on a restricted machine.
fn starts(sandbox: &Sandbox, machine: &[OsString], layers: &[&str], flags: &[&str]) -> Finished {
    let arguments = [&["exec"], layers, flags, &RUN].concat();
    sandbox.command(arguments).under(machine).run()
}

/// Machines on which nothing at all can be mounted, by name.
fn without_mounts() -> Vec<(&'static str, Vec<OsString>)> {
    let all = [
        ("no capability and no user namespace", without_namespaces()),
        ("Docker's filter of system calls", as_in_docker()),
        (
            "a filter that pretends to know no mounts",
            filtered(&["unshare=ENOSYS", "mount=ENOSYS"]),
        ),
        (
            "a filter that lets namespaces through",
            filtered(&[
                "mount=EPERM",
                "fsopen=EPERM",
                "open_tree=EPERM",
                "move_mount=EPERM",
            ]),
        ),
    ];
    all.into_iter()
        .filter(|(_, machine)| !skip_unless_allowed(machine))
        .collect()
}

#[test]
fn where_nothing_can_be_mounted_the_layers_are_extracted_once() {
    let Some(sandbox) = sandbox() else { return };
    for (name, machine) in without_mounts() {
        let first = starts(&sandbox, &machine, &["one.zip", "two.zip"], &[]).success();
        assert_eq!(first.stdout(), "tool of two\n", "{name}");
        let notes = |text: &str| {
            text.lines()
                .filter(|line| line.contains("extracted to"))
                .count()
        };
        assert_eq!(notes(first.stderr()), 1, "{name}: {}", first.stderr());
        let first = first
            .stderr_contains("note: the layers are extracted to `")
            .stderr_contains("as they cannot be mounted: in a mount namespace: ")
            .stderr_contains("; in a user namespace: ");
        drop(first);
        let root = fs::metadata(sandbox.path("opt")).expect("it is there");
        let tree = sandbox.tree("opt");
        sandbox
            .slashopt(["extract", "one.zip", "two.zip", "--into", "wanted"])
            .success();
        tree.assert_is(&sandbox.tree("wanted"));
        let second = starts(&sandbox, &machine, &["one.zip", "two.zip"], &[]).success();
        assert_eq!(second.stdout(), "tool of two\n", "{name}");
        let after = fs::metadata(sandbox.path("opt")).expect("it is there");
        assert_eq!(
            (root.ino(), root.mtime_nsec()),
            (after.ino(), after.mtime_nsec()),
            "{name}: the second start finds its own root and does nothing"
        );
        for name in ["opt", "wanted"] {
            fs::remove_dir_all(sandbox.path(name)).expect("it can be removed");
        }
    }
}

#[test]
fn nobody_gets_a_copy_where_he_may_write_and_a_cure_where_not() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) {
        return;
    }
    sandbox.mkdir("roots", 0o755);
    let run = |at: &str| {
        let arguments = ["exec", "one.zip", "--at", at, "--", "tool"];
        let command = sandbox.command(arguments).by_nobody();
        command.under(&machine).run()
    };
    for _again in 0..2 {
        let seen = run("opt").success().stderr_contains("extracted to");
        assert_eq!(seen.stdout(), "tool of one\n");
    }
    run("roots/opt")
        .status(125)
        .stderr_contains("Permission denied")
        .stderr_contains("and the layers cannot be mounted: ")
        .stderr_contains("--security-opt seccomp=unconfined");
}

#[test]
fn a_restart_reads_no_archive() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) || skip_without_strace(&sandbox) {
        return;
    }
    // One that was not written this moment.
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layers");
    let layer = fs::read_dir(layers)
        .expect("it is there")
        .next()
        .expect("there is one");
    let layer = layer.expect("it can be listed").path();
    let arguments = [
        "exec",
        &layer.display().to_string(),
        "--at",
        "opt",
        "--",
        "true",
    ];
    let start = || {
        let (finished, calls) = traced(&sandbox, sandbox.command(arguments).under(&machine));
        finished.success().stderr_contains("extracted to");
        let opened = calls
            .iter()
            .filter(|call| call.name == "openat" && call.text.contains(".zip"));
        let ours = calls.first().map(|call| call.thread);
        let children = calls.iter().filter(|call| Some(call.thread) != ours);
        let threads = children.filter(|call| call.text.contains("CLONE_THREAD"));
        (opened.count(), threads.count())
    };
    assert_ne!(start().0, 0, "the first start reads it");
    let root = sandbox.tree("opt");
    assert_eq!(
        start(),
        (0, 0),
        "the second one does not, and builds nothing"
    );
    sandbox.tree("opt").assert_is(&root);
    // What is not as it was left is looked at again.
    let unfinished = tool("setfattr")
        .args([
            "-n",
            "user.slashopt.root",
            "-v",
            "slashopt-root-1 unfinished sha256:0",
        ])
        .arg(sandbox.path("opt"))
        .status();
    if unfinished.is_ok_and(|status| status.success()) {
        let (finished, _) = traced(&sandbox, sandbox.command(arguments).under(&machine));
        finished
            .status(125)
            .stderr_contains("slashopt did not make it");
    }
}

#[test]
fn who_wants_a_mount_gets_no_copy() {
    let Some(sandbox) = sandbox() else { return };
    for (name, machine) in without_mounts() {
        let before = sandbox.everything();
        starts(
            &sandbox,
            &machine,
            &["one.zip", "two.zip"],
            &["--require-mount"],
        )
        .status(125)
        .stderr_contains("the layers cannot be mounted: in a mount namespace: ")
        .has_hint();
        assert_eq!(sandbox.everything(), before, "{name}");
        let built = fs::read_dir(sandbox.home().join(".cache/slashopt/trees"));
        let built = built.into_iter().flatten().count();
        assert_eq!(built, 0, "{name}: nothing is built in vain");
    }
}

#[test]
fn a_root_without_the_capability_mounts_in_a_user_namespace() {
    let Some(sandbox) = sandbox() else { return };
    // A root without this one may not keep its own number in a user namespace (`user_namespaces(7)`); Docker leaves it to him.
    let bound = "--bounding-set=-all,+setfcap";
    let machine = ["setpriv", bound, "--inh-caps=-all"].map(OsString::from);
    if skip_unless_allowed(&machine) {
        return;
    }
    assert_eq!(
        probed(&sandbox, &machine)["chosen"],
        "mounts in a user namespace"
    );
    for _cold_then_warm in 0..2 {
        let layers = ["one.zip", "two.zip"];
        let seen = starts(&sandbox, &machine, &layers, &["--require-mount"]).success();
        assert_eq!(seen.stdout(), "tool of two\n");
    }
}

#[test]
fn a_function_starts_in_its_code_also_where_that_cannot_be_shown_elsewhere() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) {
        return;
    }
    let code = sandbox.mkdir("code", 0o755);
    let show = "pwd -P; echo $PWD; echo $PYTHONPATH";
    let before = ["exec", "two.zip", "--at", "opt", "--task-root", "code"];
    let command = ["--runtime", "python3.12", "--", "sh", "-c", show];
    let seen = sandbox
        .command([before, command].concat())
        .under(&machine)
        .env("SLASHOPT_NO_HOOKS", "true")
        .env("PWD", "/elsewhere")
        .run()
        .success();
    let code = code.canonicalize().expect("it is there");
    let (code, opt) = (code.display(), sandbox.path("opt"));
    let python = opt.join("python");
    assert_eq!(
        seen.stdout(),
        format!("{code}\n{code}\n{code}:{}\n", python.display())
    );
}

#[test]
fn what_is_somebody_elses_is_not_extracted_over() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.mkdir("opt", 0o755);
    sandbox.write("opt/theirs", "a file");
    for (_, machine) in without_mounts() {
        let before = sandbox.everything();
        starts(&sandbox, &machine, &["one.zip"], &[])
            .status(125)
            .stderr_contains("it is not empty, and slashopt did not make it")
            .stderr_contains("and the layers cannot be mounted: ")
            .stderr_contains("to extract them: empty it, or name another directory with --at DIR")
            .stderr_lacks("--replace");
        assert_eq!(sandbox.everything(), before);
    }
}

#[test]
fn a_root_of_other_layers_is_not_extracted_over() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) {
        return;
    }
    starts(&sandbox, &machine, &["one.zip"], &[]).success();
    starts(&sandbox, &machine, &["two.zip"], &[])
        .status(125)
        .stderr_contains("a root made of other layers")
        .stderr_contains("to extract them: empty it, or name another directory with --at DIR")
        .stderr_lacks("--replace");
    // A layer that was packed again is another layer.
    sandbox.archive("one.zip", &archive([file("bin/tool", "other").mode(0o755)]));
    starts(&sandbox, &machine, &["one.zip"], &[]).status(125);
}

#[test]
fn what_a_copy_cannot_do_is_said() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) {
        return;
    }
    sandbox.mkdir("layer", 0o755);
    for (flag, said) in [("--writable", "writes to `"), ("--live", "as they are now")] {
        let flags = ["layer", flag, "--on-collision", "allow"];
        let seen = starts(&sandbox, &machine, &["one.zip"], &flags).success();
        assert_eq!(seen.stdout(), "tool of one\n");
        seen.stderr_contains(&format!("warning: {flag}: "))
            .stderr_contains(said);
        starts(&sandbox, &machine, &["one.zip"], &flags[..1])
            .success()
            .stderr_lacks("warning: ");
        fs::remove_dir_all(sandbox.path("opt")).expect("it can be removed");
    }
}

#[test]
fn no_layer_needs_no_mount() {
    let Some(sandbox) = sandbox() else { return };
    for (name, machine) in without_mounts() {
        let start = |at: &str| {
            let arguments = ["exec", "--at", at, "--", "echo", "started"];
            let command = sandbox.command(arguments).env("SLASHOPT_LAYERS", "");
            command.under(&machine).run()
        };
        let seen = start("opt").success().stderr_lacks("extracted");
        assert_eq!(seen.stdout(), "started\n", "{name}");
        start(".").status(125).has_hint();
    }
}

#[test]
fn what_a_kill_left_is_repaired() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) || skip_without_strace(&sandbox) {
        return;
    }
    let mut stack = vec!["exec".to_owned()];
    stack.extend(["one.zip", "two.zip"].map(str::to_owned));
    stack.extend(RUN.map(str::to_owned));
    // Each call is one of those that a root appears by.
    for call in ["openat2", "renameat2", "fsetxattr", "utimensat"] {
        for number in ["1", "3"] {
            let words = injected(call, "signal=KILL", number);
            drop(sandbox.command(&stack).under(words).under(&machine).run());
            let seen = starts(&sandbox, &machine, &["one.zip", "two.zip"], &[]).success();
            assert_eq!(seen.stdout(), "tool of two\n", "{call} {number}");
            let left: Vec<PathBuf> = fs::read_dir(sandbox.work())
                .expect("it is there")
                .map(|entry| entry.expect("it can be listed").path())
                .filter(|path| path.to_string_lossy().contains(".slashopt"))
                .collect();
            assert!(left.is_empty(), "{call} {number}: {left:?}");
            fs::remove_dir_all(sandbox.path("opt")).expect("it can be removed");
        }
    }
}

#[test]
fn an_old_kernel_or_filter_mounts_by_old_calls() {
    let Some(sandbox) = sandbox() else { return };
    for machine in [
        as_on_an_old_kernel(),
        filtered(&["fsopen=EPERM", "open_tree=EPERM"]),
        filtered(&["mount_setattr=EPERM", "fsconfig=EPERM"]),
        filtered(&["move_mount=EPERM"]),
    ] {
        if skip_unless_allowed(&machine) {
            continue;
        }
        for layers in [&["one.zip"][..], &["one.zip", "two.zip"]] {
            for flags in [&["--require-mount"][..], &["--require-mount", "--writable"]] {
                let seen = starts(&sandbox, &machine, layers, flags).success();
                let last = if layers.len() == 1 { "one" } else { "two" };
                assert_eq!(seen.stdout(), format!("tool of {last}\n"), "{machine:?}");
            }
        }
    }
}

#[test]
fn on_a_file_system_that_overlay_refuses_the_layers_are_extracted() {
    let Some(sandbox) = sandbox() else { return };
    // Overlays may lie on one another twice.
    let nested = "
mkdir l u1 w1 m1 u2 w2 m2
mount -t overlay -o lowerdir=l,upperdir=u1,workdir=w1 overlay m1
mount -t overlay -o lowerdir=m1,upperdir=u2,workdir=w2 overlay m2
exec \"$@\"";
    let machine = ["unshare", "--mount", "sh", "-euc", nested, "sh"].map(OsString::from);
    let cache = ["--cache-dir", "m2/cache"];
    let seen = starts(&sandbox, &machine, &["one.zip", "two.zip"], &cache)
        .success()
        .stderr_contains("the layers are extracted to `")
        .stderr_contains("in a mount namespace: fsconfig(2) to create it: Invalid argument");
    assert_eq!(seen.stdout(), "tool of two\n");
}

fn probed(sandbox: &Sandbox, machine: &[OsString]) -> Value {
    let command = sandbox.command(["probe", "--at", "opt", "--format", "json"]);
    command.under(machine).run().success().json()
}

/// The mechanisms that work, as `overlay/mount/descriptors`.
fn working(probed: &Value) -> Vec<String> {
    let mechanisms = probed["mechanisms"].as_array().expect("there is a list");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    mechanisms
        .iter()
        .filter(|one| one["works"] == true)
        .map(|one| {
            [&one["mechanism"], &one["namespace"], &one["calls"]]
                .map(text)
                .join("/")
        })
        .collect()
}

#[test]
fn a_probe_names_what_works_and_the_cure_of_what_does_not() {
    let Some(sandbox) = sandbox() else { return };
    let here = probed(&sandbox, &[]);
    assert!(
        working(&here).contains(&"overlay/mount/descriptors".to_owned()),
        "{here:#}"
    );
    assert_eq!(here["chosen"], "mounts in a mount namespace");
    assert!(!sandbox.path("opt").exists(), "nothing stays of a probe");
    let old = as_on_an_old_kernel();
    if !skip_unless_allowed(&old) {
        let found = working(&probed(&sandbox, &old));
        assert!(
            found.contains(&"overlay/mount/classic".to_owned()),
            "{found:?}"
        );
        assert!(found.contains(&"bind/user/classic".to_owned()), "{found:?}");
    }
    for (name, machine) in without_mounts() {
        let found = probed(&sandbox, &machine);
        assert_eq!(working(&found), [""; 0], "{name}");
        assert_eq!(found["chosen"], "extraction", "{name}");
        for one in found["mechanisms"].as_array().expect("there is a list") {
            assert!(one["cure"].is_string(), "{name}: {one:#}");
            assert!(
                one["error"]["errno"]
                    .as_i64()
                    .is_some_and(|errno| errno > 0),
                "{name}: {one:#}"
            );
        }
        let text = sandbox
            .command(["probe", "--at", "opt"])
            .under(&machine)
            .run()
            .success();
        let text = text.stdout();
        assert!(text.contains("does not work: "), "{name}: {text}");
        assert!(text.contains("  cure: "), "{name}: {text}");
        assert!(
            text.ends_with("`slashopt exec` will use: extraction\n"),
            "{name}: {text}"
        );
    }
}

#[test]
fn the_cure_fits_the_cause() {
    let Some(sandbox) = sandbox() else { return };
    for (machine, cure) in [
        (as_in_docker(), "seccomp=unconfined"),
        (without_namespaces(), "user.max_user_namespaces"),
    ] {
        if skip_unless_allowed(&machine) {
            continue;
        }
        starts(&sandbox, &machine, &["one.zip"], &["--require-mount"])
            .status(125)
            .stderr_contains(cure);
        let text = sandbox.command(["probe"]).under(&machine).run().success();
        assert!(text.stdout().contains(cure), "{}", text.stdout());
    }
}

/// Runs a command of the only layer there, in a bare root that is entered by these words.
fn starts_in_bare_root(root: &Path, entered_by: &[&str]) -> (String, String) {
    let (program, words) = entered_by.split_first().expect("there is a program");
    let output = tool(program)
        .args(words)
        .args([
            "/slashopt",
            "exec",
            "/layer.zip",
            "/other.zip",
            "--cache-dir",
            "/cache",
        ])
        .args(["--runtime", "provided.al2023", "--", "tool", "--version"])
        .env_clear()
        .current_dir(root)
        .output()
        .expect("it can be started");
    let [said, shown] =
        [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(output.status.code(), Some(0), "{entered_by:?}: {said}");
    (shown, said)
}

#[test]
fn in_a_root_with_nothing_in_it_the_layers_are_there_all_the_same() {
    let Some(sandbox) = sandbox() else { return };
    let root = sandbox.mkdir("root", 0o755);
    if install(&root, program(), "slashopt").is_none() {
        return;
    }
    // The command is the one program that there is, brought by a layer.
    let program = fs::read(program()).expect("it can be read");
    let layer = archive([file("bin/tool", program).mode(0o755).deflated()]);
    fs::write(root.join("layer.zip"), layer.bytes()).expect("it is ours");
    let other = archive([file("other", "")]);
    fs::write(root.join("other.zip"), other.bytes()).expect("it is ours");
    let directory = root.display().to_string();
    if !skip_without("bwrap") {
        let entered = ["bwrap", "--bind", &directory, "/", "--cap-add", "ALL"];
        let (shown, said) = starts_in_bare_root(&root, &entered);
        assert!(shown.starts_with("slashopt "), "{said}");
        assert!(!said.contains("extracted"), "a mount can be made: {said}");
    }
    // The root is no mount, and there is no /proc to tell whether others would see ours.
    let all = ["/usr/sbin/chroot", &directory];
    let bound = [
        "setpriv",
        "--bounding-set=-all,+sys_chroot",
        "--inh-caps=-all",
        "/usr/sbin/chroot",
        &directory,
    ];
    for entered in [&all[..], &bound] {
        let (shown, said) = starts_in_bare_root(&root, entered);
        assert!(shown.starts_with("slashopt "), "{said}");
        assert!(
            said.contains("note: the layers are extracted to `/opt`"),
            "{said}"
        );
    }
}

#[test]
fn a_layer_that_is_refused_is_named_alike_whether_it_is_mounted_or_extracted() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.archive(
        "bad.zip",
        &archive([file("python/../../etc/passwd", "unsafe")]),
    );
    let error = |machine: &[OsString]| {
        let run = starts(
            &sandbox,
            machine,
            &["one.zip", "bad.zip"],
            &["--format", "json"],
        );
        let json: Value = serde_json::from_str(run.status(125).stdout()).expect("it is JSON");
        json["error"].clone()
    };
    for (name, machine) in without_mounts() {
        let error = error(&machine);
        assert_eq!(error["layer"], 2, "{name}: {error}");
        assert_eq!(error["entry"], "python/../../etc/passwd", "{name}: {error}");
    }
    let mounted = error(&[]);
    assert_eq!(mounted["layer"], 2, "{mounted}");
    assert_eq!(mounted["entry"], "python/../../etc/passwd", "{mounted}");
}

#[test]
fn a_root_that_is_there_is_judged_by_the_flags_of_this_start() {
    let Some(sandbox) = sandbox() else { return };
    let machine = as_in_docker();
    if skip_unless_allowed(&machine) {
        return;
    }
    let start = |flags: &[&str]| starts(&sandbox, &machine, &["one.zip", "two.zip"], flags);
    start(&[]).success();
    start(&["--on-collision", "error"])
        .status(125)
        .stderr_contains("path overrides one of another layer");
    start(&[]).success();
}

#[test]
fn locked_layers_are_extracted_where_nothing_can_be_mounted() {
    let Some(sandbox) = sandbox() else { return };
    sandbox
        .slashopt(["lock", "one.zip", "two.zip", "--output", "layers.lock"])
        .success();
    for (name, machine) in without_mounts() {
        sandbox.mkdir("opt", 0o755);
        let run = starts(&sandbox, &machine, &[], &["--locked", "layers.lock"]).success();
        assert_eq!(run.stdout(), "tool of two\n", "{name}");
        fs::remove_dir_all(sandbox.path("opt")).expect("it can be removed");
    }
}
