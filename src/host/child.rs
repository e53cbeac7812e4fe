//! Work that needs threads, done for a process that must have one: in a forked child that does not survive it and reports over
//! a pipe.
//!
//! A process that has ever had a second thread may be refused a user namespace of its own (`unshare(2)`, `EINVAL`), even some
//! time after that thread ended.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};

use super::interrupt::{ENDING, Interrupt, is_ignored};
use super::root::uninterrupted;

/// What a child told, and how it ended.
#[derive(Debug)]
pub struct Report {
    /// All that it wrote.
    pub bytes: Vec<u8>,
    /// How it ended, in words, if not by itself.
    pub death: Option<String>,
    /// The signal that asked this process to end meanwhile, and was handed on. A child that was done by then did not obey it, so
    /// it is for this process to do so.
    pub signal: Option<i32>,
}

/// Lets a child do `work` and gives back what that returns. A signal that asks this process to end is handed on to the child,
/// which cleans up; it is not obeyed here, and told. This process must have one thread.
///
/// # Errors
///
/// What kept the child from being started or listened to.
#[expect(unsafe_code, reason = "fork(2) has no safe form")]
pub fn in_child(work: impl FnOnce(&Interrupt) -> Vec<u8>) -> Result<Report, Errno> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    let ending: SigSet = ENDING
        .into_iter()
        .filter_map(|signal| Signal::try_from(signal).ok())
        .collect();
    let before = let_news_of_children_pass()?;
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ending), None)?;
    let parent = getpid();
    // SAFETY: this process has one thread, so the child's memory is as consistent as its own.
    let answer = match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            drop(reading);
            run(parent, &before, writing, work);
        }
        Ok(ForkResult::Parent { child }) => {
            drop(writing);
            listen(child, reading, &ending)
        }
        Err(error) => Err(error),
    };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    answer
}

/// Unblocks SIGCHLD, which nobody handles here: while it is blocked, that a child of ours ended would be told to the command that
/// takes our place. The mask as it was.
fn let_news_of_children_pass() -> Result<SigSet, Errno> {
    let mut before = SigSet::empty();
    let news = SigSet::from_iter([Signal::SIGCHLD]);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&news), Some(&mut before))?;
    Ok(before)
}

/// The child's whole life.
#[expect(unsafe_code, reason = "_exit(2) has no safe form")]
fn run(
    parent: Pid,
    mask: &SigSet,
    writing: OwnedFd,
    work: impl FnOnce(&Interrupt) -> Vec<u8>,
) -> ! {
    let is_bound = set_pdeathsig(Signal::SIGKILL).is_ok();
    // The parent may have died before we asked to die with it.
    let status = if is_bound && getppid() == parent {
        let interrupt = Interrupt::install();
        let is_unmasked = sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None).is_ok();
        let bytes = work(&interrupt);
        let is_told = File::from(writing).write_all(&bytes).is_ok();
        i32::from(!(is_unmasked && is_told))
    } else {
        1
    };
    // SAFETY: nothing of the parent's, no handler and no buffer, may run or be written twice.
    unsafe { libc::_exit(status) }
}

/// Reads what the child says until it ends, and hands it the signals that come meanwhile.
fn listen(child: Pid, reading: OwnedFd, ending: &SigSet) -> Result<Report, Errno> {
    let signals = SignalFd::with_flags(ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut pipe = File::from(reading);
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let mut came = None;
    loop {
        let mut ready = [
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        uninterrupted(|| poll(&mut ready, PollTimeout::NONE))?;
        let [from_child, _] = ready.map(|ready| ready.any().unwrap_or(true));
        while let Ok(Some(signal)) = signals.read_signal() {
            let signal = libc::c_int::try_from(signal.ssi_signo).unwrap_or(libc::SIGTERM);
            // While it is blocked, also one comes that is ignored.
            if !is_ignored(signal) {
                came = Some(signal);
            }
            if let Ok(signal) = Signal::try_from(signal)
                && let Err(error) = kill(child, signal)
            {
                tracing::debug!(%signal, %error, "cannot be handed on");
            }
        }
        if !from_child {
            continue;
        }
        match pipe.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }
    let death = death_of(child)?;
    Ok(Report {
        bytes,
        death,
        signal: came,
    })
}

/// How a child ended, in words, if not by itself.
fn death_of(child: Pid) -> Result<Option<String>, Errno> {
    Ok(match uninterrupted(|| waitpid(child, None)) {
        // Where SIGCHLD is ignored, the kernel reaps.
        Ok(WaitStatus::Exited(_, 0)) | Err(Errno::ECHILD) => None,
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("it was killed by {signal}")),
        Ok(status) => Some(format!("it ended unexpectedly: {status:?}")),
        Err(error) => return Err(error),
    })
}

/// A child that has said all that it has to say. Its end takes longer than that where a namespace ends with it, so it is waited
/// for only when this value goes.
#[must_use = "the child is waited for when this goes"]
#[derive(Debug)]
pub struct Leaving {
    child: Option<Pid>,
    /// The signals that are blocked again when it has ended.
    mask: SigSet,
}

impl Leaving {
    /// How it ended, in words, if not by itself.
    pub(super) fn death(mut self) -> Result<Option<String>, Errno> {
        self.child.take().map_or(Ok(None), death_of)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let ended = self.child.take().map_or(Ok(None), death_of).map(drop);
        let restored = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
        if let Err(error) = ended.and(restored) {
            tracing::debug!(%error, "cannot wait for a child");
        }
    }
}

/// Lets a child try something that would change this process for good, and that takes a moment and leaves nothing; what it says.
/// Signals go their usual way: the child dies with this process. This process must have one thread.
///
/// # Errors
///
/// What kept the child from being started or listened to.
#[expect(unsafe_code, reason = "fork(2) and _exit(2) have no safe forms")]
pub(super) fn attempt(work: impl FnOnce() -> Vec<u8>) -> Result<(Vec<u8>, Leaving), Errno> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    let mut leaving = Leaving {
        child: None,
        mask: let_news_of_children_pass()?,
    };
    let parent = getpid();
    // SAFETY: this process has one thread, so the child's memory is as consistent as its own.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reading);
            let is_bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
            let is_told = is_bound && File::from(writing).write_all(&work()).is_ok();
            // SAFETY: nothing of the parent's, no handler and no buffer, may run or be written twice.
            unsafe { libc::_exit(i32::from(!is_told)) }
        }
        ForkResult::Parent { child } => {
            leaving.child = Some(child);
            drop(writing);
            let mut bytes = Vec::new();
            let read = File::from(reading).read_to_end(&mut bytes);
            read.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
            Ok((bytes, leaving))
        }
    }
}
