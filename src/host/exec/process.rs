//! Becoming the command: the process stays the same, and all that it hands on is what it was given.
//!
//! Two things are no longer as they were given when `main` begins, because the runtime of the language prepares the process: it
//! ignores SIGPIPE, and opens `/dev/null` for a standard stream that is closed. Both are remembered before that happens and put
//! back last.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode as ModeBits;
use nix::unistd::{Gid, Uid, execve, setgroups, setresgid, setresuid};

use crate::host::system::child::attempt;

/// What `execvp(3)` searches without a `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Where a descriptor of ours disturbs nobody: shells and programs use low numbers by number.
const HIGH: i32 = 200;

/// Which standard streams were closed.
static WERE_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
/// Whether SIGPIPE was ignored.
static IGNORED_SIGPIPE: AtomicBool = AtomicBool::new(false);

/// Called by the loader before the runtime of the language begins.
#[used]
#[unsafe(link_section = ".init_array")]
#[expect(
    unsafe_code,
    reason = "there is no other moment at which this could be seen"
)]
static REMEMBER: extern "C" fn() = remember;

#[expect(unsafe_code, reason = "nothing of std may be used yet")]
extern "C" fn remember() {
    for (stream, was_closed) in (0..).zip(&WERE_CLOSED) {
        // SAFETY: the call takes numbers and answers with one.
        let flags = unsafe { libc::fcntl(stream, libc::F_GETFD) };
        was_closed.store(flags == -1, Ordering::Relaxed);
    }
    // SAFETY: all zeros is a value of the structure, and the kernel fills it in.
    let is_ignored = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    };
    IGNORED_SIGPIPE.store(is_ignored, Ordering::Relaxed);
}

/// A user and a group by number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// Becomes another user, with that group alone.
///
/// # Errors
///
/// Why this process may not.
pub fn become_user(identity: Identity) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
    let is_that_already = nix::unistd::getresuid()?.effective == user
        && nix::unistd::getresgid()?.effective == group
        && !Uid::effective().is_root();
    if is_that_already {
        return Ok(());
    }
    setgroups(&[group])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

/// Whether another user can read a file, as far as this process can become that user: a child finds out.
///
/// This process must have one thread.
pub fn can_read(identity: Identity, file: &Path) -> bool {
    let told = attempt(|| {
        let is_other = become_user(identity).is_ok();
        let read = open(file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, ModeBits::empty());
        !is_other || read.is_ok()
    });
    matches!(told, Ok(Ok(true)))
}

/// A command, ready to be started.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its name, then its arguments.
    pub arguments: Vec<OsString>,
    /// Its variables.
    pub environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// The files that this command may be, in the order in which they are tried.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let Some(name) = self.arguments.first() else {
            return Vec::new();
        };
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        candidates(name, path.map(|(_, value)| value.as_os_str()))
    }

    /// Replaces this process by the command. `locks` stay open in it, and in what it starts.
    ///
    /// # Errors
    ///
    /// Why not, as `execvp(3)` says it: `ENOENT` when there is no such command, `EACCES` when there is one that may not be executed.
    pub fn replace_this_process(&self, locks: Vec<OwnedFd>) -> Result<Infallible, Errno> {
        let arguments =
            all_nul_terminated(self.arguments.iter().map(|one| one.as_bytes().to_vec()))?;
        let environment = all_nul_terminated(
            self.environment
                .iter()
                .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()),
        )?;
        let locks = locks.into_iter().map(keep_through_exec);
        let _locks = locks.collect::<Result<Vec<_>, _>>()?;
        hand_back();
        let mut failure = Errno::ENOENT;
        for file in self.candidates() {
            let path = nul_terminated(file.into_os_string().into_vec())?;
            let Err(error) = execve(&path, &arguments, &environment);
            match error {
                // A script without a first line that says by what.
                Errno::ENOEXEC => {
                    let shell = nul_terminated(b"/bin/sh".to_vec())?;
                    let rest = arguments.iter().skip(1).cloned();
                    let words: Vec<CString> =
                        [shell.clone(), path].into_iter().chain(rest).collect();
                    return execve(&shell, &words, &environment);
                }
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => failure = Errno::EACCES,
                other => {
                    failure = other;
                    break;
                }
            }
        }
        take_again();
        Err(failure)
    }
}

/// The files that a name may mean: itself if it is a path, else what `path` makes of it.
pub fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let directories = path.as_bytes().split(|&byte| byte == b':');
    directories
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(name))
        .collect()
}

fn nul_terminated(bytes: Vec<u8>) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

fn all_nul_terminated(all: impl Iterator<Item = Vec<u8>>) -> Result<Vec<CString>, Errno> {
    all.map(nul_terminated).collect()
}

/// Moves a descriptor to where nobody looks, and lets it pass to the command.
#[expect(unsafe_code, reason = "the new descriptor comes as a number")]
fn keep_through_exec(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    if descriptor.as_raw_fd() >= HIGH {
        fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        return Ok(descriptor);
    }
    // A limit on descriptors may be lower.
    let places = [HIGH, 10, 3];
    let mut moved = Err(Errno::EMFILE);
    for place in places {
        moved = fcntl(&descriptor, FcntlArg::F_DUPFD(place));
        if moved.is_ok() {
            break;
        }
    }
    // SAFETY: the kernel has just given this number to us.
    let kept = unsafe { OwnedFd::from_raw_fd(moved?) };
    fcntl(&kept, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(kept)
}

/// Puts the process back into the state in which it was started.
#[expect(
    unsafe_code,
    reason = "dispositions belong to the process, streams to std"
)]
fn hand_back() {
    let disposition = if IGNORED_SIGPIPE.load(Ordering::Relaxed) {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    // SAFETY: neither disposition is a function of ours.
    if let Err(error) = unsafe { signal(Signal::SIGPIPE, disposition) } {
        tracing::debug!(%error, "cannot restore SIGPIPE");
    }
    for (stream, was_closed) in (0..).zip(&WERE_CLOSED) {
        if was_closed.load(Ordering::Relaxed) {
            // SAFETY: it is std's own `/dev/null`, and this process does nothing more than to become another program.
            drop(unsafe { OwnedFd::from_raw_fd(stream) });
        }
    }
}

/// Undoes [`hand_back`], for saying why there is no command: a stream that is closed gets `/dev/null` again.
fn take_again() {
    for was_closed in &WERE_CLOSED {
        if was_closed.load(Ordering::Relaxed)
            && let Ok(null) = open("/dev/null", OFlag::O_RDWR, ModeBits::empty())
        {
            // The lowest free number is the stream's.
            tracing::trace!(number = null.as_raw_fd(), "opened again");
            let _ = null.into_raw_fd();
        }
    }
}
