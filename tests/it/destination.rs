//! Where a root may go: what the destination can be, what is refused, what a second run does, and that the destination appears
//! whole or stays as it was.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::command::{Sandbox, Tmpfs, is_root, skip_unless_root};
use crate::support::zip::{archive, directory, file, link};

/// The status when the destination cannot be used: the machine lacks what was asked for.
const REFUSED: i32 = 4;

/// A sandbox with two layers that make different roots.
fn two_layers() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.archive("a.zip", &archive([file("bin/a", "a"), link("l", "bin/a")]));
    sandbox.archive(
        "b.zip",
        &archive([file("bin/b", "b"), directory("d/").mode(0o555)]),
    );
    sandbox
}

#[test]
fn a_destination_that_is_absent_is_made() {
    let sandbox = two_layers();
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt"])
        .success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/a", "l"]);
    assert_eq!(
        sandbox.everything().paths(),
        ["a.zip", "b.zip", "opt", "opt/bin", "opt/bin/a", "opt/l"],
        "and nothing else stays beside it"
    );
}

#[test]
fn the_destination_can_be_named_in_every_way() {
    let sandbox = two_layers();
    sandbox.mkdir("sub", 0o755);
    let absolute = sandbox.path("absolute");
    for into in [
        "plain",
        "./dotted",
        "slash/",
        "sub/deep",
        "sub/../sub/up",
        absolute.to_str().unwrap(),
    ] {
        sandbox
            .slashopt(["extract", "a.zip", "--into", into])
            .success();
        assert_eq!(sandbox.tree(into).text("bin/a"), "a", "{into}");
    }
}

#[test]
fn an_empty_destination_is_used() {
    let sandbox = two_layers();
    sandbox.mkdir("opt", 0o700);
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt"])
        .success();
    let tree = sandbox.tree("opt");
    assert_eq!(tree.paths(), ["bin", "bin/a", "l"]);
    assert_eq!(tree.mode(""), "0755");
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let sandbox = two_layers();
    let arguments = ["extract", "a.zip", "b.zip", "--into", "opt"];
    sandbox.slashopt(arguments).success();
    let inode = || {
        fs::metadata(sandbox.path("opt"))
            .map(|metadata| metadata.ino())
            .unwrap()
    };
    let (before, tree) = (inode(), sandbox.tree("opt"));
    sandbox.slashopt(arguments).success().says("nothing to do");
    assert_eq!(inode(), before);
    sandbox.tree("opt").assert_is(&tree);
    sandbox
        .slashopt(["extract", "a.zip", "b.zip", "--into", "opt", "--replace"])
        .success()
        .says("nothing to do");
}

#[test]
fn another_order_of_the_same_layers_is_another_root() {
    let sandbox = two_layers();
    sandbox
        .slashopt(["extract", "a.zip", "b.zip", "--into", "opt"])
        .success();
    sandbox
        .slashopt(["extract", "b.zip", "a.zip", "--into", "opt"])
        .status(REFUSED);
}

#[test]
fn another_root_of_ours_is_exchanged_only_with_replace() {
    let sandbox = two_layers();
    sandbox
        .slashopt(["extract", "b.zip", "--into", "opt"])
        .success();
    let before = sandbox.everything();
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt"])
        .status(REFUSED)
        .has_hint()
        .stderr_contains("--replace");
    sandbox.everything().assert_is(&before);
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt", "--replace"])
        .success();
    assert_eq!(
        sandbox.everything().paths(),
        ["a.zip", "b.zip", "opt", "opt/bin", "opt/bin/a", "opt/l"],
        "the old root is gone, read-only directories and all"
    );
}

#[test]
fn a_root_of_ours_stays_when_its_replacement_fails() {
    let sandbox = two_layers();
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt"])
        .success();
    sandbox.write("bad.zip", "no zip at all");
    let before = sandbox.everything();
    sandbox
        .slashopt(["extract", "a.zip", "bad.zip", "--into", "opt", "--replace"])
        .status(3);
    sandbox.everything().assert_is(&before);
}

#[test]
fn a_directory_that_is_not_ours_is_replaced_only_with_replace_any() {
    let sandbox = two_layers();
    sandbox.mkdir("opt", 0o755);
    sandbox.write("opt/precious", "kept");
    let before = sandbox.everything();
    for flags in [&[][..], &["--replace"]] {
        let arguments = ["extract", "a.zip", "--into", "opt"];
        sandbox
            .slashopt(arguments.iter().chain(flags))
            .status(REFUSED)
            .has_hint()
            .stderr_contains("--replace=any");
        sandbox.everything().assert_is(&before);
    }
    sandbox
        .slashopt(["extract", "a.zip", "--into", "opt", "--replace=any"])
        .success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/a", "l"]);
}

#[test]
fn a_file_as_destination_is_refused() {
    let sandbox = two_layers();
    sandbox.write("opt", "a file");
    let before = sandbox.everything();
    for flag in ["--quiet", "--replace", "--replace=any"] {
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt", flag])
            .failure()
            .has_hint();
        sandbox.everything().assert_is(&before);
    }
}

#[test]
fn a_link_as_destination_is_refused_whatever_it_leads_to() {
    let sandbox = two_layers();
    sandbox.mkdir("empty", 0o755);
    for (name, target) in [("to-empty", "empty"), ("dangling", "missing")] {
        std::os::unix::fs::symlink(target, sandbox.path(name)).unwrap();
        let before = sandbox.everything();
        for flag in ["--quiet", "--replace", "--replace=any"] {
            sandbox
                .slashopt(["extract", "a.zip", "--into", name, flag])
                .failure()
                .has_hint()
                .stderr_contains("link");
            sandbox.everything().assert_is(&before);
        }
    }
}

#[test]
fn home_and_the_working_directory_and_what_holds_them_are_refused() {
    let sandbox = two_layers();
    let home = sandbox.home();
    let work = sandbox.work();
    let before = sandbox.everything();
    for into in [
        home.to_str().unwrap(),
        work.to_str().unwrap(),
        ".",
        "..",
        "../work",
        "../home/.",
        sandbox.root().to_str().unwrap(),
    ] {
        for flag in ["--quiet", "--replace", "--replace=any"] {
            sandbox
                .slashopt(["extract", "a.zip", "--into", into, flag])
                .failure()
                .has_hint();
            sandbox.everything().assert_is(&before);
        }
    }
    assert!(home.is_dir());
}

#[test]
fn the_root_of_the_machine_is_refused() {
    let sandbox = two_layers();
    // Never as root: a program that fails this test would do harm.
    if is_root() && skip_unless_root(&sandbox) {
        return;
    }
    for into in ["/", "//", "/.", "/../"] {
        let arguments = ["extract", "a.zip", "--into", into, "--replace=any"];
        let mut command = sandbox.command(arguments);
        if is_root() {
            command = command.by_nobody();
        }
        command.run().failure().has_hint();
    }
}

#[test]
fn a_parent_that_does_not_exist_is_not_invented() {
    let sandbox = two_layers();
    let before = sandbox.everything();
    let finished = sandbox.slashopt(["extract", "a.zip", "--into", "no/such/opt"]);
    finished.status(4).stderr_contains("no/such").has_hint();
    sandbox.everything().assert_is(&before);
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = two_layers();
    let everywhere = || crate::support::tree::Tree::read(sandbox.root());
    let before = everywhere();
    let arguments = ["extract", "a.zip", "b.zip", "--into", "opt", "--dry-run"];
    sandbox.slashopt(arguments).success();
    everywhere().assert_is(&before);
    let checked = sandbox
        .slashopt(arguments.iter().chain(&["--format", "json"]))
        .success();
    assert_eq!(checked.json()["files"], 2);
    everywhere().assert_is(&before);
}

#[test]
fn a_mount_point_is_filled_in_place() {
    let sandbox = two_layers();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("opt", 0o755), "size=4m") else {
        return;
    };
    let device = || {
        fs::metadata(sandbox.path("opt"))
            .map(|metadata| metadata.dev())
            .unwrap()
    };
    let before = device();
    let arguments = ["extract", "a.zip", "--into", "opt"];
    sandbox.slashopt(arguments).success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/a", "l"]);
    assert_eq!(device(), before, "the mount is still there");
    sandbox.slashopt(arguments).success().says("nothing to do");
    sandbox
        .slashopt(["extract", "b.zip", "--into", "opt", "--replace"])
        .success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/b", "d"]);
}

#[test]
fn a_full_mount_point_stays_empty() {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("opt", 0o755), "size=256k") else {
        return;
    };
    let entries = (0..64).map(|number| file(format!("d{number}/f"), vec![b'x'; 65_536]).deflated());
    sandbox.archive("large.zip", &archive(entries));
    sandbox
        .slashopt(["extract", "large.zip", "--into", "opt"])
        .status(4)
        .has_hint();
    assert!(
        sandbox.tree("opt").paths().is_empty(),
        "{:?}",
        sandbox.tree("opt")
    );
}

#[test]
fn a_full_disk_leaves_nothing_beside_the_destination() {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("disk", 0o755), "size=256k") else {
        return;
    };
    let entries = (0..64).map(|number| file(format!("d{number}/f"), vec![b'x'; 65_536]).deflated());
    sandbox.archive("large.zip", &archive(entries));
    sandbox
        .slashopt(["extract", "large.zip", "--into", "disk/opt"])
        .status(4)
        .has_hint();
    assert!(
        sandbox.tree("disk").paths().is_empty(),
        "{:?}",
        sandbox.tree("disk")
    );
}

#[test]
fn an_empty_directory_in_a_parent_that_cannot_be_written_is_filled_in_place() {
    let sandbox = two_layers();
    if skip_unless_root(&sandbox) {
        return;
    }
    sandbox.mkdir("opt", 0o755);
    sandbox.give_to_nobody("opt");
    let run = |arguments: &[&str]| sandbox.command(arguments).by_nobody().run();
    let arguments = ["extract", "b.zip", "--into", "opt"];
    run(&arguments).success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/b", "d"]);
    assert_eq!(sandbox.tree("opt").mode("d"), "0555");
    run(&arguments).success().says("nothing to do");
    run(&["extract", "a.zip", "--into", "opt"]).status(REFUSED);
    run(&["extract", "a.zip", "--into", "opt", "--replace"]).success();
    assert_eq!(sandbox.tree("opt").paths(), ["bin", "bin/a", "l"]);
}

#[test]
fn an_image_can_set_flags_by_variables() {
    let sandbox = Sandbox::new();
    sandbox.archive("1.zip", &archive([file("f", ""), link("l", "f")]));
    sandbox.archive("2.zip", &archive([directory("f/"), file("l", "")]));
    let run = |flags: &[&str]| {
        let arguments = ["extract", "1.zip", "2.zip", "--into", "opt"];
        sandbox
            .command(arguments.iter().chain(flags))
            .env("SLASHOPT_ON_TYPE_CONFLICT", "error")
            .run()
    };
    run(&[]).status(1);
    run(&["--on-type-conflict", "replace"]).success();
}
