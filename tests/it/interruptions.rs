//! What comes in between: a full disk, low limits, an archive that changes while it is read, two runs at once.

use std::path::Path;
use std::time::Duration;

use crate::support::command::{Finished, Sandbox, Tmpfs, skip_unless_root, skip_without};
use crate::support::strace::{injected, skip_without_strace};
use crate::support::zip::{archive, directory, file, link};

/// The status when the machine lacks something.
const MACHINE: i32 = 4;

fn sandbox_with_a_large_layer() -> Sandbox {
    let sandbox = Sandbox::new();
    let entries = (0..64).map(|number| file(format!("d{number}/f"), vec![b'x'; 65_536]).deflated());
    sandbox.archive("large.zip", &archive(entries));
    sandbox.archive("b.zip", &archive([file("bin/b", "b")]));
    sandbox
}

#[test]
fn a_disk_that_gets_full_or_has_no_inodes_leaves_the_old_root() {
    let sandbox = sandbox_with_a_large_layer();
    if skip_unless_root(&sandbox) {
        return;
    }
    for (name, options) in [("small", "size=256k"), ("few", "size=16m,nr_inodes=40")] {
        let Some(_mounted) = Tmpfs::on(&sandbox.mkdir(name, 0o755), options) else {
            return;
        };
        // Beside, and inside the mount point itself.
        for into in [format!("{name}/opt"), name.to_owned()] {
            sandbox
                .slashopt(["extract", "b.zip", "--into", &into, "--replace=any"])
                .success();
            let before = (sandbox.everything(), sandbox.tree(&into));
            sandbox
                .slashopt(["extract", "large.zip", "--into", &into, "--replace"])
                .status(MACHINE)
                .stderr_contains("No space left on device")
                .has_hint();
            sandbox.everything().assert_is(&before.0);
            sandbox.tree(&into).assert_is(&before.1);
            sandbox
                .slashopt(["extract", "b.zip", "--into", &into])
                .success()
                .says("nothing to do");
        }
    }
}

/// Runs under limits of the shell.
fn limited(sandbox: &Sandbox, limits: &str, arguments: &[&str]) -> Finished {
    let script = format!("{limits}; exec \"$@\"");
    sandbox
        .command(arguments)
        .under(["sh", "-c", &script, "sh"])
        .run()
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_and_no_death() {
    let sandbox = sandbox_with_a_large_layer();
    let before = sandbox.everything();
    let arguments = ["extract", "large.zip", "--into", "opt"];
    limited(&sandbox, "ulimit -f 16", &arguments)
        .status(MACHINE)
        .stderr_contains("cannot write the file: File too large");
    sandbox.everything().assert_is(&before);
}

#[test]
fn thirty_two_descriptors_suffice_whatever_the_threads() {
    let sandbox = Sandbox::new();
    let deep = "d/".repeat(120);
    let entries =
        (0..200).map(|number| file(format!("{deep}{number}/f"), vec![b'x'; 5000]).deflated());
    sandbox.archive(
        "a.zip",
        &archive(entries.chain([link("l", "d"), directory("r/").mode(0o555)])),
    );
    for number in 0..4 {
        sandbox.mkdir(format!("listed{number}"), 0o755);
        sandbox.mkdir(format!("listed{number}/deep"), 0o755);
        sandbox.write(format!("listed{number}/deep/f{number}"), "x");
    }
    let layers = ["a.zip", "listed0", "listed1", "listed2", "listed3"];
    let arguments = |into, threads| {
        let words = ["--into", into, "--threads", threads, "--replace"];
        ["extract"]
            .into_iter()
            .chain(layers)
            .chain(words)
            .collect::<Vec<_>>()
    };
    sandbox.slashopt(arguments("wanted", "1")).success();
    for threads in ["1", "4", "64"] {
        limited(&sandbox, "ulimit -n 32", &arguments(threads, threads)).success();
        sandbox.tree(threads).assert_is(&sandbox.tree("wanted"));
    }
}

#[test]
fn with_too_few_descriptors_whatever_is_left_is_named() {
    let sandbox = sandbox_with_a_large_layer();
    let before = sandbox.everything();
    for number in 4..=12 {
        let limit = format!("ulimit -n {number}");
        let finished = limited(&sandbox, &limit, &["extract", "large.zip", "--into", "opt"]);
        if finished.code() == Some(0) {
            break;
        }
        let known = before.paths();
        let is_top = |path: &String| !path.contains('/') && !known.contains(path);
        for left in sandbox.everything().paths().into_iter().filter(is_top) {
            assert!(left.starts_with(".opt.slashopt-"), "{left}\n{finished}");
            assert!(
                finished.stderr.contains(&format!("warning: `{left}`")),
                "{left}\n{finished}"
            );
            std::fs::remove_dir_all(sandbox.path(&left)).unwrap();
        }
        if finished.stderr.contains("error: ") {
            finished.failure().stderr_contains("cannot");
        }
    }
}

#[test]
fn a_read_error_in_the_middle_of_an_archive_names_layer_and_entry() {
    let sandbox = sandbox_with_a_large_layer();
    if skip_without_strace(&sandbox) {
        return;
    }
    let before = sandbox.everything();
    let arguments = ["extract", "large.zip", "--into", "opt", "--threads", "1"];
    for number in ["3+", "4+"] {
        sandbox
            .command(arguments)
            .under(injected("pread64", "error=EIO", number))
            .run()
            .status(MACHINE)
            .stderr_contains("layer 1 of 1 (`large.zip`): entry `d")
            .stderr_contains("Input/output error");
        sandbox.everything().assert_is(&before);
    }
}

#[test]
fn an_archive_that_shrinks_while_it_is_read_is_an_error() {
    let sandbox = sandbox_with_a_large_layer();
    if skip_without_strace(&sandbox) {
        return;
    }
    let large = sandbox.path("large.zip");
    let whole = std::fs::read(&large).unwrap();
    let paths = sandbox.everything().paths();
    // The index takes two calls, before there is a stage; the third is for contents, and waits long enough for the file to be
    // cut as soon as the stage is seen.
    let wrapper = injected("pread64", "delay_enter=4000000", "3");
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| {
            let has_begun = || has_stage(&sandbox.work());
            for _ in 0..2000 {
                if has_begun() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(&large)
                .unwrap();
            file.set_len(100).unwrap();
        });
        let arguments = ["extract", "large.zip", "--into", "opt", "--threads", "1"];
        let finished = sandbox.command(arguments).under(wrapper).run();
        cut.join().unwrap();
        finished
            .failure()
            .stderr_contains("layer 1 of 1 (`large.zip`): entry `d")
            .stderr_contains("the file became shorter while it was read");
    });
    std::fs::write(&large, whole).unwrap();
    assert_eq!(sandbox.everything().paths(), paths);
}

fn has_stage(work: &Path) -> bool {
    let found = std::fs::read_dir(work).unwrap().flatten();
    found.into_iter().any(|found| {
        found
            .file_name()
            .as_encoded_bytes()
            .starts_with(b".opt.slashopt-")
    })
}

/// Several runs into one destination: one whole root, and everybody else says why not, or that there is nothing to do.
fn race(sandbox: &Sandbox, before: &dyn Fn(), flag: &str) -> [u32; 3] {
    let mut outcomes = [0; 3];
    for round in 0..15 {
        before();
        let finished: Vec<(usize, Finished)> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4_usize)
                .map(|number| {
                    scope.spawn(move || {
                        let layer = ["1.zip", "2.zip"][number % 2];
                        (
                            number % 2,
                            sandbox.slashopt(["extract", layer, "--into", "opt", flag]),
                        )
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let tree = sandbox.tree("opt");
        let whole = (0..2).filter(|number| {
            let files = (0..40).all(|file| tree.has(format!("d{number}/f{file}")));
            files && tree.paths().len() == 41
        });
        let whole: Vec<usize> = whole.collect();
        assert_eq!(
            whole.len(),
            1,
            "round {round}: not one whole root: {:?}",
            tree.paths()
        );
        let mut winners = 0;
        for (_, finished) in &finished {
            match finished.code() {
                Some(0) if finished.stdout.contains("nothing to do") => outcomes[1] += 1,
                Some(0) => {
                    winners += 1;
                    outcomes[0] += 1;
                }
                Some(MACHINE) => {
                    let is_clear = [
                        "another run is building into it",
                        "somebody else changed it while the root was built",
                        "it holds a root made of other layers",
                    ]
                    .iter()
                    .any(|reason| finished.stderr.contains(reason));
                    assert!(is_clear, "round {round}\n{finished}");
                    outcomes[2] += 1;
                }
                _ => panic!("round {round}\n{finished}"),
            }
        }
        assert!(winners > 0, "round {round}: nobody won");
        let left: Vec<String> = sandbox.everything().paths();
        assert!(
            !left.iter().any(|path| path.contains(".slashopt-")),
            "round {round}: {left:?}"
        );
    }
    outcomes
}

fn sandbox_with_two_layers() -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..2 {
        let files = (0..40).map(|file_number| file(format!("d{number}/f{file_number}"), "x"));
        sandbox.archive(&format!("{}.zip", number + 1), &archive(files));
    }
    sandbox
}

#[test]
fn of_runs_at_once_into_one_destination_one_wins_and_the_others_say_why_not() {
    let sandbox = sandbox_with_two_layers();
    let opt = sandbox.path("opt");
    let remove = || drop(std::fs::remove_dir_all(&opt));
    let absent = race(&sandbox, &remove, "--quiet");
    let empty = race(
        &sandbox,
        &|| {
            remove();
            sandbox.mkdir("opt", 0o755);
        },
        "--quiet",
    );
    sandbox.archive("b.zip", &archive([file("bin/b", "b")]));
    let replace = race(
        &sandbox,
        &|| {
            sandbox
                .slashopt(["extract", "b.zip", "--into", "opt", "--replace"])
                .success();
        },
        "--replace",
    );
    eprintln!(
        "won, nothing to do, refused: {absent:?} absent, {empty:?} empty, {replace:?} replaced"
    );
}

#[test]
fn of_runs_at_once_into_one_mount_point_one_wins_and_the_others_say_why_not() {
    let sandbox = sandbox_with_two_layers();
    if skip_unless_root(&sandbox) || skip_without("mount") {
        return;
    }
    sandbox.archive("b.zip", &archive([file("bin/b", "b")]));
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("opt", 0o755), "size=4m") else {
        return;
    };
    let outcomes = race(
        &sandbox,
        &|| {
            sandbox
                .slashopt(["extract", "b.zip", "--into", "opt", "--replace"])
                .success();
        },
        "--replace",
    );
    eprintln!("won, nothing to do, refused: {outcomes:?} in place");
}
