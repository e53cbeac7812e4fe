//! Every system call fails once. Either the root is there whole, or the destination is as it was, the message says what could
//! not be done, and what could not be removed is named, and gone after the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use slashopt::host::system::durability::Durability;

use crate::support::command::{Finished, Sandbox, Tmpfs, skip_unless_root};
use crate::support::strace::{Call, injected, skip_without_strace, traced};
use crate::support::tree::Tree;
use crate::support::zip::{archive, directory, file, link};

/// The calls that are made to fail, and with which errors besides EIO and EINTR.
const CALLS: [(&str, &[&str]); 23] = [
    ("openat", &["EACCES", "EMFILE"]),
    ("openat2", &["EACCES", "EMFILE", "ENOSPC", "ENOSYS"]),
    ("mkdirat", &["EACCES", "ENOSPC"]),
    ("read", &[]),
    ("write", &["ENOSPC"]),
    ("pread64", &[]),
    ("fchmod", &["EPERM"]),
    ("utimensat", &["EACCES"]),
    ("symlinkat", &["ENOSPC"]),
    ("renameat2", &["EACCES", "EINVAL"]),
    ("renameat", &["EACCES"]),
    ("unlinkat", &["EACCES"]),
    ("fsetxattr", &["ENOSPC", "EOPNOTSUPP"]),
    ("fgetxattr", &["EOPNOTSUPP"]),
    ("fremovexattr", &[]),
    ("flock", &["EAGAIN"]),
    ("fsync", &[]),
    ("syncfs", &["ENOSPC"]),
    ("getdents64", &[]),
    ("newfstatat", &["EACCES"]),
    ("statx", &["EACCES", "ENOSYS"]),
    ("close", &["ENOSPC"]),
    ("lseek", &[]),
];

const RECORD: &str = "user.slashopt.root";

/// What is at the destination before a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Before {
    /// Nothing; a mount point is empty.
    Absent,
    /// An empty directory.
    Empty,
    /// The root of another layer.
    Root,
}

/// Where the destination is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In a directory: the root is built beside it.
    Directory,
    /// On a file system of its own: the root is built inside it.
    MountPoint,
}

/// Where a root is to be, and what is there before.
struct Scene {
    /// A mount point keeps being itself. It goes before the sandbox that it is in.
    mounted: Option<Tmpfs>,
    sandbox: Sandbox,
    arguments: Vec<&'static str>,
    before: Before,
}

impl Scene {
    fn new(before: Before, place: Place, durability: Durability) -> Option<Self> {
        let sandbox = Sandbox::new();
        if skip_without_strace(&sandbox) || skip_unless_root(&sandbox) {
            return None;
        }
        sandbox.archive(
            "a.zip",
            &archive([
                file("bin/a", "a").mode(0o755),
                directory("r/").mode(0o555),
                file("r/f", "deflated deflated").deflated(),
                link("l", "bin/a"),
            ]),
        );
        sandbox.archive(
            "b.zip",
            &archive([file("bin/b", "b"), directory("old/").mode(0o555)]),
        );
        let mounted = match place {
            Place::Directory => None,
            Place::MountPoint => Some(Tmpfs::on(&sandbox.mkdir("opt", 0o755), "size=4m,mode=750")?),
        };
        let mut arguments = vec![
            "extract",
            "a.zip",
            "--into",
            "opt",
            "--threads",
            "1",
            "--replace",
        ];
        if durability == Durability::Survives {
            arguments.push("--durable");
        }
        let scene = Self {
            mounted,
            sandbox,
            arguments,
            before,
        };
        scene.set_up();
        Some(scene)
    }

    fn opt(&self) -> PathBuf {
        self.sandbox.path("opt")
    }

    /// Puts the destination into the state before a run.
    fn set_up(&self) {
        let opt = self.opt();
        if self.before == Before::Root {
            let arguments = ["extract", "b.zip", "--into", "opt", "--replace=any"];
            self.sandbox.slashopt(arguments).success();
        } else if self.mounted.is_some() {
            for found in std::fs::read_dir(&opt).unwrap().flatten() {
                let path = found.path();
                drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
            }
            // It has none if the run before failed.
            let _ = rustix::fs::removexattr(&opt, RECORD);
            reset(&opt);
        } else {
            drop(std::fs::remove_dir_all(&opt));
            if self.before == Before::Empty {
                self.sandbox.mkdir("opt", 0o700);
                reset(&opt);
            }
        }
    }

    fn record(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 256];
        let length = rustix::fs::getxattr(self.opt(), RECORD, &mut buffer[..]).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// All that a failed run must leave as it was.
    fn state(&self) -> (Tree, Option<Tree>, Option<Vec<u8>>) {
        let opt = self.opt();
        let own = opt.exists().then(|| Tree::read(&opt));
        (self.sandbox.everything(), own, self.record())
    }
}

/// Gives a directory a mode and a time that no root has.
fn reset(directory: &Path) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o750)).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let opened = std::fs::File::open(directory).unwrap();
    opened.set_modified(long_ago).unwrap();
}

/// How often each call is made by the thread that makes it most.
fn counts(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut each: BTreeMap<(u32, &str), usize> = BTreeMap::new();
    for call in calls {
        *each.entry((call.thread, call.name.as_str())).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((_, name), count) in each {
        let known = most.entry(name.to_owned()).or_insert(0);
        *known = count.max(*known);
    }
    most
}

/// What is in `after` and not in `before`: the names of directories of ours.
fn left(before: &Tree, after: &Tree) -> BTreeSet<String> {
    let known: BTreeSet<String> = before.paths().into_iter().collect();
    let new = after
        .paths()
        .into_iter()
        .filter(|path| !known.contains(path));
    new.filter_map(|path| {
        let mut names = path.split('/');
        names
            .find(|name| name.contains(".slashopt-"))
            .map(str::to_owned)
    })
    .collect()
}

/// A tree without directories of ours and all that is in them.
fn without_left(tree: &Tree) -> Tree {
    let is_ours = |path: &[u8]| path.windows(10).any(|window| window == b".slashopt-");
    Tree(
        tree.0
            .iter()
            .filter(|(path, _)| !is_ours(path))
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect(),
    )
}

/// Judges one run; whether it succeeded.
fn judge(
    scene: &Scene,
    before: &(Tree, Option<Tree>, Option<Vec<u8>>),
    wanted: &(Tree, Option<Vec<u8>>),
    finished: &Finished,
    what: &str,
) -> bool {
    let after = scene.state();
    let left = left(&before.0, &after.0);
    for name in &left {
        assert!(
            finished
                .stderr
                .lines()
                .any(|line| line.starts_with("warning: ") && line.contains(name.as_str())),
            "{what}: `{name}` is left and not named\n{finished}"
        );
    }
    let own = after.1.as_ref().map(without_left);
    // The result itself could not be printed: the work was done.
    let is_done = finished.code() == Some(0) || finished.stderr.contains("standard output");
    if is_done {
        let own = own.unwrap_or_else(|| panic!("{what}: there is no root\n{finished}"));
        let is_told = finished
            .stderr
            .contains("the mode and time of `opt` could not be set");
        let difference = if left.is_empty() && !is_told {
            own.difference(&wanted.0)
        } else {
            own.without_times()
                .difference(&wanted.0.clone().without_times())
        };
        assert!(
            difference.is_none(),
            "{what}: {}\n{finished}",
            difference.unwrap()
        );
        return true;
    }
    assert!(
        finished.code() != Some(101) && finished.signal().is_none(),
        "{what}\n{finished}"
    );
    let is_loader = finished
        .stderr
        .contains("error while loading shared libraries");
    // Each thread's call fails: that of the work, and that of the message.
    let is_mute = what.starts_with("write") && !finished.stderr.contains("error: ");
    assert!(
        is_loader
            || is_mute
            || finished
                .stderr
                .lines()
                .any(|line| line.starts_with("error: cannot ")),
        "{what}: the step is not named\n{finished}"
    );
    let difference = without_left(&after.0).difference(&before.0);
    assert!(
        difference.is_none(),
        "{what}: {}\n{finished}",
        difference.unwrap()
    );
    let is_record_told = finished
        .stderr
        .contains("record of `opt` could not be restored");
    if left.is_empty() && !is_record_told {
        assert_eq!(after.2, before.2, "{what}: the record\n{finished}");
        if let (Some(own), Some(before)) = (&after.1, &before.1) {
            let difference = own.difference(before);
            // Setting the times back is the last thing done, and may be what failed.
            let is_time = what.starts_with("utimensat");
            assert!(
                difference.is_none() || is_time,
                "{what}: {}\n{finished}",
                difference.unwrap()
            );
        }
    }
    false
}

/// Makes every call fail once with every error that it may have.
fn every_call_fails(name: &str, scene: Option<Scene>) {
    let Some(scene) = scene else { return };
    let before = scene.state();
    let (finished, calls) = traced(&scene.sandbox, scene.sandbox.command(&scene.arguments));
    finished.success();
    let wanted = (scene.sandbox.tree("opt"), scene.record());
    assert!(
        wanted
            .1
            .is_some_and(|record| record.starts_with(b"slashopt-root-1 complete"))
    );
    let wanted = (wanted.0, scene.record());
    let counts = counts(&calls);
    scene.set_up();
    let (mut tried, mut succeeded) = (0, 0);
    for (call, errors) in CALLS {
        let Some(&count) = counts.get(call) else {
            continue;
        };
        for error in ["EIO", "EINTR"].iter().chain(errors) {
            for number in 1..=count {
                let what = format!("{call} {number} of {count}: {error}");
                let wrapper = injected(call, &format!("error={error}"), &number.to_string());
                let finished = scene.sandbox.command(&scene.arguments).under(wrapper).run();
                tried += 1;
                let is_done = judge(&scene, &before, &wanted, &finished, &what);
                succeeded += u32::from(is_done);
                let is_ours = finished.stderr.contains("error: ");
                assert!(
                    *error != "EINTR"
                        || is_done
                        || !is_ours
                        || ["getdents64", "newfstatat", "statx"].contains(&call),
                    "{what}: not tried again\n{finished}"
                );
                let is_dirty = !left(&before.0, &scene.state().0).is_empty();
                if is_dirty || finished.stderr.contains("warning: ") {
                    scene.sandbox.slashopt(&scene.arguments).success();
                    scene.sandbox.tree("opt").assert_is(&wanted.0);
                    let left = left(&before.0, &scene.state().0);
                    assert!(
                        left.is_empty(),
                        "{what}: never reclaimed: {left:?}\n{finished}"
                    );
                }
                if scene.state() != before {
                    scene.set_up();
                }
            }
        }
    }
    eprintln!(
        "{name}: {tried} failures injected; {succeeded} times the root was built all the same"
    );
    assert!(tried > 100, "too little was tried");
}

#[test]
fn whatever_fails_an_absent_destination_stays_absent_or_is_whole() {
    every_call_fails(
        "absent",
        Scene::new(Before::Absent, Place::Directory, Durability::Survives),
    );
}

#[test]
fn whatever_fails_an_empty_destination_stays_empty_or_is_whole() {
    every_call_fails(
        "empty",
        Scene::new(Before::Empty, Place::Directory, Durability::Survives),
    );
}

#[test]
fn whatever_fails_an_old_root_stays_or_the_new_one_is_whole() {
    every_call_fails(
        "replace",
        Scene::new(Before::Root, Place::Directory, Durability::Survives),
    );
}

#[test]
fn whatever_fails_an_empty_mount_point_stays_empty_or_is_whole() {
    every_call_fails(
        "in place",
        Scene::new(Before::Absent, Place::MountPoint, Durability::Survives),
    );
}

#[test]
fn whatever_fails_an_old_root_on_a_mount_point_stays_or_the_new_one_is_whole() {
    every_call_fails(
        "in place, replace",
        Scene::new(Before::Root, Place::MountPoint, Durability::Survives),
    );
}

/// When nothing can be undone, everything is named and nothing of what was there is lost.
#[test]
fn what_cannot_be_moved_back_is_kept_and_named() {
    let Some(scene) = Scene::new(Before::Absent, Place::MountPoint, Durability::Fast) else {
        return;
    };
    scene.sandbox.write("opt/precious", "kept");
    let arguments = [
        "extract",
        "a.zip",
        "--into",
        "opt",
        "--threads",
        "1",
        "--replace=any",
    ];
    for number in ["2+", "3+", "4+"] {
        let wrapper = injected("renameat2", "error=EIO", number);
        let finished = scene.sandbox.command(arguments).under(wrapper).run();
        let text = finished.to_string();
        finished
            .status(4)
            .stderr_contains("warning: `precious` in `opt` could not be moved back")
            .stderr_contains("warning: what was there before is kept in `opt/.slashopt-");
        let tree = scene.sandbox.tree("opt");
        let kept = tree
            .paths()
            .into_iter()
            .find(|path| path.ends_with("/precious"));
        let kept = kept.unwrap_or_else(|| panic!("it is lost\n{text}"));
        assert_eq!(tree.text(&kept), "kept");
        scene.set_up();
        scene.sandbox.write("opt/precious", "kept");
    }
}

/// A signal in any call of the work: the destination as it was, nothing left, and it is that signal that it dies of.
fn dies_of(scene: Option<Scene>, signal: &str, number: i32) {
    let Some(scene) = scene else { return };
    let before = scene.state();
    let (finished, calls) = traced(&scene.sandbox, scene.sandbox.command(&scene.arguments));
    finished.success();
    let counts = counts(&calls);
    scene.set_up();
    let mut died = 0;
    for call in [
        "mkdirat",
        "openat2",
        "pread64",
        "write",
        "fchmod",
        "symlinkat",
        "renameat2",
        "unlinkat",
        "fsetxattr",
    ] {
        for nth in 1..=counts.get(call).copied().unwrap_or(0) {
            let wrapper = injected(call, &format!("signal={signal}"), &nth.to_string());
            let finished = scene.sandbox.command(&scene.arguments).under(wrapper).run();
            if finished.code() == Some(0) {
                // It came too late to be heeded.
                assert_eq!(scene.sandbox.tree("opt").text("bin/a"), "a");
                scene.set_up();
                continue;
            }
            died += 1;
            assert_eq!(finished.signal(), Some(number), "{call} {nth}\n{finished}");
            let after = scene.state();
            after.0.assert_is(&before.0);
            assert_eq!(after.2, before.2, "{call} {nth}\n{finished}");
        }
    }
    eprintln!("{signal}: died {died} times");
    assert!(died > 10, "it hardly ever died");
}

#[test]
fn a_signal_at_any_moment_leaves_an_absent_destination_absent() {
    dies_of(
        Scene::new(Before::Absent, Place::Directory, Durability::Fast),
        "SIGINT",
        2,
    );
    dies_of(
        Scene::new(Before::Absent, Place::Directory, Durability::Fast),
        "SIGTERM",
        15,
    );
}

#[test]
fn a_signal_at_any_moment_leaves_an_old_root_as_it_was() {
    dies_of(
        Scene::new(Before::Root, Place::Directory, Durability::Fast),
        "SIGTERM",
        15,
    );
    dies_of(
        Scene::new(Before::Root, Place::MountPoint, Durability::Fast),
        "SIGHUP",
        1,
    );
    dies_of(
        Scene::new(Before::Root, Place::MountPoint, Durability::Fast),
        "SIGQUIT",
        3,
    );
}

/// Killed at any call: the next run finds what is left, removes it, and makes the root.
fn is_reclaimed(name: &str, scene: Option<Scene>) {
    let Some(scene) = scene else { return };
    let before = scene.state();
    let (finished, calls) = traced(&scene.sandbox, scene.sandbox.command(&scene.arguments));
    finished.success();
    let wanted = scene.sandbox.tree("opt");
    let counts = counts(&calls);
    scene.set_up();
    let (mut killed, mut left_something) = (0, 0);
    for call in [
        "mkdirat",
        "openat",
        "openat2",
        "write",
        "fchmod",
        "flock",
        "utimensat",
        "symlinkat",
        "renameat2",
        "renameat",
        "unlinkat",
        "fsetxattr",
        "fremovexattr",
        "close",
    ] {
        for nth in 1..=counts.get(call).copied().unwrap_or(0) {
            let wrapper = injected(call, "signal=SIGKILL", &nth.to_string());
            let finished = scene.sandbox.command(&scene.arguments).under(wrapper).run();
            killed += u32::from(finished.signal() == Some(9));
            left_something += u32::from(!left(&before.0, &scene.state().0).is_empty());
            let again = scene.sandbox.slashopt(&scene.arguments);
            let text = format!("{call} {nth}\n{finished}{again}");
            again.success();
            if let Some(difference) = scene.sandbox.tree("opt").difference(&wanted) {
                panic!("{text}{difference}");
            }
            let left = left(&before.0, &scene.state().0);
            assert!(left.is_empty(), "{text}: left: {left:?}");
            scene.set_up();
        }
    }
    eprintln!("{name}: killed {killed} times, {left_something} times something was left");
    assert!(left_something > 10, "it was hardly ever killed");
}

#[test]
fn what_a_killed_run_left_beside_is_reclaimed() {
    is_reclaimed(
        "absent",
        Scene::new(Before::Absent, Place::Directory, Durability::Fast),
    );
    is_reclaimed(
        "replace",
        Scene::new(Before::Root, Place::Directory, Durability::Fast),
    );
}

#[test]
fn what_a_killed_run_left_in_a_mount_point_is_reclaimed() {
    is_reclaimed(
        "in place",
        Scene::new(Before::Absent, Place::MountPoint, Durability::Fast),
    );
    is_reclaimed(
        "in place, replace",
        Scene::new(Before::Root, Place::MountPoint, Durability::Fast),
    );
}
