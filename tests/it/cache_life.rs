//! The cache among processes: many at once, killed at any moment, shrunk while it is used, found again after the machine was.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use slashopt::host::cache::{Building, Cache, StackPolicy};
use slashopt::host::read::input::LayerInput;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::durability::Durability;

use crate::support::command::{Finished, Invocation, Sandbox, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::strace::{injected, skip_without_strace, traced};
use crate::support::tree::Tree;
use crate::support::zip::{archive, file};

/// The status when the machine lacks something.
const MACHINE: i32 = 4;
/// Which call of `poll` is the parent's that waits for its child: Rust's runtime makes the first.
const PARENT_WAITS: &str = "2";
/// And the next, when the child has answered.
const PARENT_WAITS_FOR_THE_END: &str = "3";
/// Where the process below finds what to prepare: the cache, then the layers, a line each.
const PREPARE: &str = "SLASHOPT_IT_PREPARE";

/// Not a test by itself: a process that makes a stack ready, without asking for durability, says so, and says
/// what is left of its trees when it is told to look. `exec` is such a process.
#[test]
fn another_process_prepares() {
    let Ok(wanted) = std::env::var(PREPARE) else {
        return;
    };
    let mut lines = wanted.lines();
    let cache = Path::new(lines.next().expect("the cache comes first"));
    let inputs: Vec<LayerInput> = lines.map(|path| LayerInput::Path(path.into())).collect();
    let building = Building {
        threads: Some(2),
        durability: Durability::Fast,
        describe: |error| panic!("{error}"),
    };
    let ready = Cache::open(&CacheFolder::new(Some(cache), |_| None))
        .and_then(|cache| cache.prepare(&inputs, &StackPolicy::default(), &building))
        .expect("the stack can be prepared");
    let trees = || -> Vec<Tree> {
        let paths = ready
            .names
            .iter()
            .map(|name| cache.join("trees").join(name));
        paths
            .filter(|path| path.exists())
            .map(|path| Tree::read(&path))
            .collect()
    };
    let before = trees();
    say(&format!(
        "ready warm={} trees={}",
        ready.is_warm,
        before.len()
    ));
    let mut line = String::new();
    drop(std::io::stdin().read_line(&mut line));
    say(if trees() == before { "whole" } else { "lost" });
}

fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{line}").expect("standard error is open");
}

/// Such a process, which waits.
struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
    ready: String,
}

impl Holder {
    fn start(sandbox: &Sandbox, layers: &[&str]) -> Self {
        Self::of(
            tool(std::env::current_exe().expect("we have a path")),
            sandbox,
            layers,
        )
    }

    /// The same, started by the words of another command.
    fn under(words: &[&str], sandbox: &Sandbox, layers: &[&str]) -> Self {
        let mut command = tool(words[0]);
        command
            .args(&words[1..])
            .arg(std::env::current_exe().expect("we have a path"));
        Self::of(command, sandbox, layers)
    }

    fn of(mut command: Command, sandbox: &Sandbox, layers: &[&str]) -> Self {
        let paths = ["cache"].iter().chain(layers);
        let wanted: Vec<String> = paths
            .map(|name| {
                sandbox
                    .path(name)
                    .to_str()
                    .expect("our names are text")
                    .to_owned()
            })
            .collect();
        #[expect(
            clippy::zombie_processes,
            reason = "whoever is never ready fails the test"
        )]
        let mut child = command
            // With one thread to test with, a test runs in the main one.
            .args([
                "--exact",
                "cache_life::another_process_prepares",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PREPARE, wanted.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let errors = child.stderr.take().expect("it is a pipe");
        let mut lines = BufReader::new(errors).lines();
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line.expect("it can be read");
            if line.starts_with("ready ") {
                return Self {
                    child,
                    lines,
                    ready: line,
                };
            }
            said.push(line);
        }
        panic!("it was never ready:\n{}", said.join("\n"));
    }

    /// Lets it look whether its trees are as they were.
    #[track_caller]
    fn assert_whole(mut self) {
        drop(self.child.stdin.take());
        let answer = self
            .lines
            .next()
            .expect("it answers")
            .expect("it can be read");
        assert_eq!(answer, "whole");
        assert!(self.child.wait().is_ok_and(|status| status.success()));
    }

    fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        drop(self.child.wait());
    }
}

fn add<'s>(sandbox: &'s Sandbox, layers: &[&str]) -> Invocation<'s> {
    let arguments = ["cache", "add", "--cache-dir", "cache"];
    sandbox.command(arguments.iter().chain(layers))
}

fn verify(sandbox: &Sandbox) -> Finished {
    sandbox.slashopt(["cache", "verify", "--cache-dir", "cache"])
}

fn prune(sandbox: &Sandbox, flags: &[&str]) -> Finished {
    let arguments = ["cache", "prune", "--cache-dir", "cache"];
    sandbox.slashopt(arguments.iter().chain(flags))
}

fn names(sandbox: &Sandbox, part: &str) -> Vec<String> {
    let listed = fs::read_dir(sandbox.path("cache").join(part));
    let names = listed.into_iter().flatten().flatten();
    names
        .map(|child| child.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Two layers of many files that make an overlay, and one that needs corrections above them.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..2 {
        let files = (0..40).map(|at| file(format!("d{number}/f{at}"), "x".repeat(500)).deflated());
        sandbox.archive(&format!("{number}.zip"), &archive(files));
    }
    sandbox.archive("2.zip", &archive([crate::support::zip::directory("d0/")]));
    sandbox.archive("3.zip", &archive([file("d0/more", "x")]));
    sandbox
}

/// Nothing is there that belongs to a run.
#[track_caller]
fn assert_clean(sandbox: &Sandbox) {
    for part in ["trees", "records", "manifests", "stacks", "memo"] {
        let left: Vec<String> = names(sandbox, part);
        assert!(
            !left.iter().any(|name| name.starts_with('.')),
            "{part}: {left:?}"
        );
    }
    assert_eq!(names(sandbox, "trash"), [""; 0]);
    assert_eq!(names(sandbox, "roots"), [""; 0]);
}

/// Makes everything look as if it had been used two days ago.
fn age(sandbox: &Sandbox, part: &str) {
    let then = SystemTime::now() - Duration::from_hours(48);
    for name in names(sandbox, part) {
        let opened = fs::File::open(sandbox.path("cache").join(part).join(name));
        // Another process may have removed it.
        if let Ok(opened) = opened {
            opened
                .set_modified(then)
                .expect("the owner may set the time");
        }
    }
}

fn age_all(sandbox: &Sandbox) {
    age(sandbox, "stacks");
    age(sandbox, "records");
}

#[test]
fn many_at_once_build_each_tree_once_and_all_get_it() {
    let sandbox = sandbox();
    let stacks: [&[&str]; 4] = [
        &["0.zip", "1.zip"],
        &["1.zip", "0.zip"],
        &["2.zip", "1.zip", "3.zip"],
        &["0.zip"],
    ];
    for _ in 0..6 {
        drop(fs::remove_dir_all(sandbox.path("cache")));
        let sandbox = &sandbox;
        std::thread::scope(|scope| {
            for run in 0..8 {
                scope.spawn(move || add(sandbox, stacks[run % 4]).run().success());
            }
        });
        verify(sandbox).success();
        assert_clean(sandbox);
        // Three layers, one of them with corrections above.
        assert_eq!(
            names(sandbox, "trees").len(),
            5,
            "{:?}",
            names(sandbox, "trees")
        );
        assert_eq!(names(sandbox, "locks"), [""; 0]);
    }
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_that_the_next_run_cannot_use() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    let layers = ["2.zip", "0.zip", "3.zip"];
    let mut killed = 0;
    for (call, numbers) in [
        ("openat2", (1..140).step_by(17).collect::<Vec<_>>()),
        ("write", (1..60).step_by(9).collect()),
        ("mkdirat", (1..14).step_by(3).collect()),
        ("renameat", (1..12).step_by(2).collect()),
        ("renameat2", (1..5).collect()),
        ("unlinkat", (1..6).collect()),
        ("flock", (1..16).step_by(2).collect()),
        ("fsetxattr", (1..9).step_by(2).collect()),
        ("fchmod", (1..12).step_by(3).collect()),
        ("syncfs", (1..4).collect()),
    ] {
        for number in numbers {
            drop(fs::remove_dir_all(sandbox.path("cache")));
            let finished = add(&sandbox, &layers)
                .under(injected(call, "signal=KILL", &number.to_string()))
                .run();
            killed += u32::from(finished.code() != Some(0));
            add(&sandbox, &layers).run().success();
            verify(&sandbox).success().says("4 trees are sound");
            // Another cold run finds whatever the killed one left.
            add(&sandbox, &["1.zip"]).run().success();
            assert_clean(&sandbox);
        }
    }
    assert!(killed > 20, "only {killed} runs were killed");
}

#[test]
fn a_child_that_is_killed_is_told_and_does_not_outlive_its_parent() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    add(&sandbox, &["0.zip"])
        .under(injected("syncfs", "signal=KILL", "1"))
        .run()
        .status(MACHINE)
        .stderr_contains("the process that builds failed: it was killed by SIGKILL");
    // Only the parent waits for its child: it is killed, and the kernel kills the child.
    drop(fs::remove_dir_all(sandbox.path("cache")));
    let finished = add(&sandbox, &["0.zip"])
        .under(injected("poll", "signal=KILL", PARENT_WAITS))
        .run();
    assert_eq!(
        finished.signal().or(finished.code().map(|code| code - 128)),
        Some(9),
        "{finished}"
    );
    add(&sandbox, &["0.zip"]).run().success();
    assert_clean(&sandbox);
}

#[test]
fn a_signal_that_comes_when_the_build_is_done_is_not_lost() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    // The parent has read the answer already and waits for the end of it: nobody is left who could obey.
    let run = |signal: &str, before: &[&str]| {
        let words = injected(
            "poll",
            &format!("signal={signal}"),
            PARENT_WAITS_FOR_THE_END,
        );
        let cache = format!("cache{signal}{}", before.len());
        let words = words.iter().map(|word| word.to_str().expect("it is text"));
        let words: Vec<&str> = before.iter().copied().chain(words).collect();
        let arguments = ["cache", "add", "0.zip", "--cache-dir", &cache];
        sandbox.command(arguments).under(words).run()
    };
    for (signal, number) in [("TERM", 15), ("HUP", 1)] {
        let finished = run(signal, &[]);
        let died_of = finished.signal().or(finished.code().map(|code| code - 128));
        assert_eq!(died_of, Some(number), "{finished}");
    }
    let ignored = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    run("HUP", &ignored).success();
}

#[test]
fn a_signal_that_can_be_caught_ends_the_build_and_leaves_nothing() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        drop(fs::remove_dir_all(sandbox.path("cache")));
        // The first write of the child waits until the signal, which comes when the parent begins to wait, is handed on.
        let mut words = injected("poll", &format!("signal={signal}"), PARENT_WAITS);
        words.push("--trace=poll,mkdirat".into());
        words.push("--inject=mkdirat:delay_enter=300000:when=1".into());
        let finished = add(&sandbox, &["0.zip", "1.zip"]).under(words).run();
        let died_of = finished.signal().or(finished.code().map(|code| code - 128));
        assert_eq!(died_of, Some(number), "{finished}");
        assert!(
            finished.stderr.contains("interrupted by signal"),
            "{finished}"
        );
        assert_clean(&sandbox);
    }
}

#[test]
fn what_was_not_used_is_removed_and_what_was_is_kept() {
    let sandbox = sandbox();
    for layers in [["0.zip"], ["1.zip"], ["3.zip"]] {
        add(&sandbox, &layers).run().success();
    }
    // Whatever is asked: nothing that was used within a day.
    for flags in [["--older-than", "0s"], ["--max-size", "0"]] {
        prune(&sandbox, &flags)
            .success()
            .says("0 trees removed")
            .says("3 kept that were used within a day");
    }
    assert_eq!(names(&sandbox, "trees").len(), 3);
    age_all(&sandbox);
    prune(&sandbox, &["--older-than", "30d"])
        .success()
        .says("0 trees removed");
    // A start is a use.
    add(&sandbox, &["0.zip"]).run().success();
    prune(&sandbox, &["--older-than", "25h"])
        .success()
        .says("2 trees removed");
    assert_eq!(names(&sandbox, "trees").len(), 1);
    assert_eq!(names(&sandbox, "stacks").len(), 1);
    assert_eq!(names(&sandbox, "records"), names(&sandbox, "manifests"));
    assert_clean(&sandbox);
    verify(&sandbox).success();
    prune(&sandbox, &[]).status(2).has_hint();
}

#[test]
fn a_cache_that_is_too_large_loses_what_was_used_least_recently() {
    let sandbox = sandbox();
    for layers in [["0.zip"], ["1.zip"], ["3.zip"]] {
        add(&sandbox, &layers).run().success();
    }
    age_all(&sandbox);
    let older = SystemTime::now() - Duration::from_hours(72);
    let digest = add(&sandbox, &["1.zip"])
        .run()
        .success()
        .stdout()
        .trim()
        .to_owned();
    age_all(&sandbox);
    for part in ["records", "stacks"] {
        for name in names(&sandbox, part) {
            let path = sandbox.path("cache").join(part).join(&name);
            let is_it = name.contains(digest.strip_prefix("sha256:").unwrap());
            if is_it || part == "stacks" {
                fs::File::open(path).unwrap().set_modified(older).unwrap();
            }
        }
    }
    let json = {
        let arguments = ["cache", "prune", "--cache-dir", "cache", "--format", "json"];
        let flags = ["--max-size", "25000"];
        sandbox
            .slashopt(arguments.iter().chain(&flags))
            .success()
            .json()
    };
    assert_eq!(json["removed"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["removed"][0]["name"], digest.as_str());
    assert_eq!(json["bytes_left"], 20_001);
    verify(&sandbox).success().says("2 trees are sound");
}

#[test]
fn what_a_process_uses_is_never_removed() {
    let sandbox = sandbox();
    let layers = ["2.zip", "0.zip", "3.zip"];
    let holder = Holder::start(&sandbox, &layers);
    assert_eq!(holder.ready, "ready warm=false trees=4");
    age_all(&sandbox);
    prune(&sandbox, &["--older-than", "1s"])
        .success()
        .says("0 trees removed")
        .says("4 kept that are in use");
    let list = ["cache", "list", "--cache-dir", "cache"];
    sandbox.slashopt(list).success().says("in use");
    holder.assert_whole();
    // The lock goes with the process, however it ends.
    let killed = Holder::start(&sandbox, &layers);
    assert!(killed.ready.ends_with("trees=4"), "{}", killed.ready);
    age_all(&sandbox);
    killed.kill();
    prune(&sandbox, &["--older-than", "1s"])
        .success()
        .says("4 trees removed");
    assert_eq!(names(&sandbox, "trees"), [""; 0]);
    Holder::start(&sandbox, &layers).assert_whole();
}

#[test]
fn who_uses_a_stack_is_seen_whatever_is_done_to_its_record() {
    let sandbox = sandbox();
    let layers = ["0.zip", "1.zip"];
    let kept = "2 kept that are in use";
    // Several that built the same at once, each with its own lock.
    let holders: Vec<Holder> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| Holder::start(&sandbox, &layers)))
            .collect();
        let holders = starts.into_iter().map(std::thread::ScopedJoinHandle::join);
        holders.map(|holder| holder.expect("it starts")).collect()
    });
    for holder in holders {
        age_all(&sandbox);
        prune(&sandbox, &["--older-than", "1s"])
            .success()
            .says(kept);
        holder.assert_whole();
    }
    // Now its trees are made safe, and its record would have to say so.
    let holder = Holder::start(&sandbox, &layers);
    add(&sandbox, &layers).run().success();
    age_all(&sandbox);
    prune(&sandbox, &["--older-than", "1s"])
        .success()
        .says(kept);
    // Nothing is built in the place of what is used.
    fs::remove_dir_all(sandbox.path("cache/records")).unwrap();
    add(&sandbox, &["1.zip"])
        .run()
        .status(MACHINE)
        .stderr_contains("cannot build the damaged tree again: Device or resource busy")
        .has_hint();
    holder.assert_whole();
    add(&sandbox, &layers).run().success();
    verify(&sandbox).success().says("2 trees are sound");
    prune(&sandbox, &["--older-than", "1s"])
        .success()
        .says("0 trees removed");
}

#[test]
fn pruning_and_starting_at_once_nobody_loses_a_file() {
    let sandbox = sandbox();
    let layers = ["2.zip", "0.zip", "3.zip"];
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let removed = std::thread::scope(|scope| {
        let pruner = scope.spawn(|| {
            let mut removed = 0;
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                age_all(&sandbox);
                let pruned = prune(&sandbox, &["--older-than", "1s"]).success();
                removed += u32::from(!pruned.stdout().starts_with('0'));
            }
            removed
        });
        let starters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..15 {
                        Holder::start(&sandbox, &layers).assert_whole();
                    }
                })
            })
            .collect();
        for starter in starters {
            starter.join().expect("no start fails, and no file is lost");
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        pruner.join().expect("pruning does not fail")
    });
    eprintln!("removed something {removed} times");
    add(&sandbox, &layers).run().success();
    verify(&sandbox).success();
    assert_clean(&sandbox);
}

/// The words that run a program on a machine that seems to have started again.
const AFTER_A_START: [&str; 5] = [
    "unshare",
    "-m",
    "sh",
    "-c",
    "cd \"$0\" && mount --bind boot /proc/sys/kernel/random/boot_id && exec \"$@\"",
];

#[test]
fn after_a_power_cut_what_was_not_safe_is_looked_through_once() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) || skip_without("unshare") {
        return;
    }
    sandbox.write("boot", "00000000-0000-4000-8000-000000000000\n");
    let layers = ["0.zip", "1.zip"];
    let work = sandbox.work().display().to_string();
    let words = [&AFTER_A_START[..], &[&work]].concat();
    // Let the digests be remembered.
    for _ in 0..200 {
        Holder::start(&sandbox, &layers).assert_whole();
        if names(&sandbox, "memo").len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let warm = Holder::start(&sandbox, &layers);
    assert_eq!(warm.ready, "ready warm=true trees=2");
    warm.assert_whole();
    // Everything is as it was: looked through once, not built again.
    let inodes = |sandbox: &Sandbox| -> Vec<u64> {
        let paths = names(sandbox, "trees")
            .into_iter()
            .map(|name| sandbox.path("cache/trees").join(name));
        paths
            .map(|path| fs::metadata(path).expect("it is there").ino())
            .collect()
    };
    let before = inodes(&sandbox);
    for expected in ["ready warm=false", "ready warm=true"] {
        let holder = Holder::under(&words, &sandbox, &layers);
        assert!(holder.ready.starts_with(expected), "{}", holder.ready);
        holder.assert_whole();
    }
    assert_eq!(inodes(&sandbox), before);
    // A file that never reached the disk: the tree is built again.
    let tree = sandbox
        .path("cache/trees")
        .join(&names(&sandbox, "trees")[0]);
    let lost = walk(&tree)
        .into_iter()
        .find(|path| path.is_file())
        .expect("there is a file");
    fs::write(&lost, "").unwrap();
    let holder = Holder::start(&sandbox, &layers);
    assert!(
        holder.ready.starts_with("ready warm=false"),
        "{}",
        holder.ready
    );
    holder.assert_whole();
    verify(&sandbox).success();
    // What was added is safe, and believed after a start too.
    add(&sandbox, &layers).run().success();
    let holder = Holder::under(&words, &sandbox, &layers);
    assert_eq!(holder.ready, "ready warm=true trees=2");
    holder.assert_whole();
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for child in fs::read_dir(directory).expect("it can be listed").flatten() {
        found.push(child.path());
        if child.path().is_dir() {
            found.extend(walk(&child.path()));
        }
    }
    found
}

#[test]
fn only_what_is_added_is_written_to_the_disk_at_once() {
    let sandbox = sandbox();
    if skip_without_strace(&sandbox) {
        return;
    }
    Holder::start(&sandbox, &["0.zip"]).assert_whole();
    let (finished, calls) = traced(&sandbox, add(&sandbox, &["0.zip"]));
    finished.success();
    assert!(
        calls.iter().any(|call| call.name == "syncfs"),
        "a tree that is there is made safe"
    );
    let (finished, calls) = traced(&sandbox, add(&sandbox, &["1.zip"]));
    finished.success();
    let renamed = calls
        .iter()
        .position(|call| call.name.starts_with("renameat") && call.text.contains("/trees"));
    let synced = calls.iter().position(|call| call.name == "syncfs");
    assert!(synced < renamed, "a tree is safe before it is there");
}
