//! `mount` and `umount`: a mount that everybody sees, marked as ours, and no other taken away.

use std::fs;
use std::path::Path;

use crate::support::command::{Sandbox, Tmpfs, skip_unless_root};
use crate::support::machine::tool;
use crate::support::zip::{archive, file, link};

fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    sandbox.archive(
        "one.zip",
        &archive([file("a", "1"), file("d/one", "1"), link("l", "a")]),
    );
    sandbox.archive("two.zip", &archive([file("a", "2"), file("d/two", "2")]));
    sandbox.mkdir("at", 0o755);
    Some(sandbox)
}

/// The sources of what is mounted on a directory.
fn sources_at(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc");
    // In there a space is written as a number.
    let directory = directory.display().to_string().replace(' ', r"\040");
    let point = format!(" {directory} ");
    text.lines()
        .filter(|line| line.contains(&point))
        .filter_map(|line| {
            line.split(" - ")
                .nth(1)?
                .split(' ')
                .nth(1)
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn layers_stay_mounted_until_they_are_unmounted() {
    let Some(sandbox) = sandbox() else { return };
    for calls in ["descriptors", "strings", "classic"] {
        for layers in [&["one.zip"][..], &["one.zip", "two.zip"]] {
            let slashopt = |arguments: &[&str]| {
                let command = sandbox.command(arguments);
                command.env("SLASHOPT_MOUNT_CALLS", calls).run()
            };
            slashopt(&[&["mount"], layers, &["--at", "at"]].concat()).success();
            sandbox
                .slashopt([&["extract"], layers, &["--into", "wanted"]].concat())
                .success();
            sandbox.tree("at").assert_is(&sandbox.tree("wanted"));
            assert!(
                fs::write(sandbox.path("at/new"), "x").is_err(),
                "it is read-only"
            );
            let sources = sources_at(&sandbox.path("at"));
            assert!(
                sources.iter().any(|source| source.starts_with("slashopt")),
                "{sources:?}"
            );
            slashopt(&[&["mount"], layers, &["--at", "at"]].concat())
                .success()
                .says("nothing to do");
            assert_eq!(sources_at(&sandbox.path("at")), sources);
            slashopt(&["umount", "at"]).success();
            assert_eq!(
                sources_at(&sandbox.path("at")),
                [""; 0],
                "{calls} {layers:?}"
            );
            fs::remove_dir_all(sandbox.path("wanted")).expect("it can be removed");
        }
    }
}

#[test]
fn other_layers_are_not_mounted_over_those_that_are() {
    let Some(sandbox) = sandbox() else { return };
    sandbox
        .slashopt(["mount", "one.zip", "--at", "at"])
        .success();
    sandbox
        .slashopt(["mount", "two.zip", "--at", "at"])
        .status(4)
        .stderr_contains("other layers are mounted there")
        .has_hint();
    sandbox.slashopt(["umount", "at"]).success();
}

#[test]
fn what_others_mounted_is_never_unmounted() {
    let Some(sandbox) = sandbox() else { return };
    sandbox
        .slashopt(["umount", "at"])
        .status(4)
        .says("nothing is mounted there")
        .has_hint();
    let Some(_theirs) = Tmpfs::on(&sandbox.path("at"), "size=1m") else {
        return;
    };
    sandbox
        .slashopt(["umount", "at"])
        .status(4)
        .says("is not ours")
        .has_hint();
    sandbox
        .slashopt(["mount", "one.zip", "two.zip", "--at", "at"])
        .success();
    // Theirs, over ours.
    let over = Tmpfs::on(&sandbox.path("at"), "size=1m").expect("the first could be mounted");
    sandbox
        .slashopt(["umount", "at"])
        .status(4)
        .says("is not ours");
    drop(over);
    sandbox.slashopt(["umount", "at"]).success();
    assert_eq!(
        sources_at(&sandbox.path("at")),
        ["tmpfs"],
        "theirs is still there"
    );
}

#[test]
fn a_mount_in_use_is_not_taken_away() {
    let Some(sandbox) = sandbox() else { return };
    for layers in [&["one.zip"][..], &["one.zip", "two.zip"]] {
        sandbox
            .slashopt([&["mount"], layers, &["--at", "at"]].concat())
            .success();
        let mut user = tool("sleep")
            .arg("60")
            .current_dir(sandbox.path("at"))
            .spawn()
            .expect("it can be started");
        let refused = sandbox.slashopt(["umount", "at"]);
        user.kill().expect("it is ours");
        user.wait().expect("it is ours");
        refused.status(4).stderr_contains("busy").has_hint();
        assert!(sandbox.path("at/a").exists(), "it is still mounted");
        sandbox.slashopt(["umount", "at"]).success();
        assert!(!sandbox.path("at/a").exists());
    }
}

#[test]
fn an_ordinary_user_is_pointed_to_exec() {
    let Some(sandbox) = sandbox() else { return };
    sandbox
        .command(["mount", "one.zip", "--at", "at"])
        .by_nobody()
        .run()
        .status(4)
        .stderr_contains("only root can")
        .stderr_contains("slashopt exec LAYER... -- COMMAND");
    sandbox
        .slashopt(["mount", "one.zip", "--at", "at"])
        .success();
    sandbox
        .command(["umount", "at"])
        .by_nobody()
        .run()
        .status(4)
        .has_hint();
    sandbox.slashopt(["umount", "at"]).success();
    sandbox
        .slashopt(["mount", "one.zip", "--at", "missing"])
        .status(4)
        .has_hint();
}
