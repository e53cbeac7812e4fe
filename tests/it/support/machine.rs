//! What the tests take from the machine that they run on: its programs, and nothing that somebody may have set or put there.
//! `scripts/odd-machine` is a machine on which everything else is otherwise.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};

/// Where the programs under test, and what stands in front of them, look for commands.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program of this machine, found by the caller's `PATH`, with a few variables of ours and none of the caller's.
pub(crate) fn tool(program: impl AsRef<OsStr>) -> Command {
    settle();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path())
        .env("HOME", home())
        .env("TMPDIR", temporary())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    command
}

/// An empty temporary directory that everybody may enter, with a path without links.
pub(crate) fn scratch() -> tempfile::TempDir {
    settle();
    let scratch = tempfile::Builder::new()
        .prefix("slashopt-it-")
        .tempdir_in(temporary())
        .expect("a temporary directory can be made");
    // An access list that the parent hands down would be handed on to everything below.
    for list in ["system.posix_acl_default", "system.posix_acl_access"] {
        let _ = rustix::fs::removexattr(scratch.path(), list);
    }
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
        .expect("the mode of our own directory can be set");
    scratch
}

/// Where the machine wants temporary files, by a path without links.
fn temporary() -> PathBuf {
    std::env::temp_dir()
        .canonicalize()
        .expect("there is a directory for temporary files")
}

/// An absolute path that this machine does not have, for what cannot lie in a directory of the test's own: it has no character that
/// a kernel, a shell or a list of paths takes for anything but a part of a name.
#[track_caller]
pub(crate) fn absent() -> String {
    let path = format!("/slashopt-it-absent-{}", std::process::id());
    assert!(!Path::new(&path).exists(), "somebody made {path}");
    path
}

/// Makes this process one that hands on what every test is written for: a umask of 022, and no ignored signal. Whoever wants it
/// otherwise says so for one command.
fn settle() {
    static SETTLED: Once = Once::new();
    SETTLED.call_once(|| {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_retain(0o022));
        // As under `nohup`, and in the background of a script. This process goes on to survive them: the handler does nothing,
        // and unlike a signal that is ignored it ends where another program begins.
        for signal in ignored_signals() {
            drop(signal_hook::flag::register(signal, Arc::default()));
        }
    });
}

/// The signals that this process ignores, but for the one that Rust ignores and does not hand on.
fn ignored_signals() -> impl Iterator<Item = i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok())
        .unwrap_or(0);
    (1..32)
        .filter(move |signal| mask >> (signal - 1) & 1 == 1)
        .filter(|signal| *signal != signal_hook::consts::SIGPIPE)
}

/// The caller's `PATH`.
pub(crate) fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| PATH.into())
}

/// A home directory for programs that want to write into one. It is kept, for what they cache in it.
fn home() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    fs::create_dir_all(&home).expect("a directory can be made among what is built");
    home
}
