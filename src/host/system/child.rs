//! Work done for a process that must keep what it is: what needs threads, in a forked child that does not survive it and reports
//! over a pipe; what enters namespaces, in one that borrows its memory.
//!
//! A process that has ever had a second thread may be refused a user namespace of its own (`unshare(2)`, `EINVAL`), even some
//! time after that thread ended.

use std::ffi::c_void;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, clone};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
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
        Ok(status) => Some(in_words(status)),
        Err(error) => return Err(error),
    })
}

fn in_words(end: WaitStatus) -> String {
    match end {
        WaitStatus::Signaled(_, signal, _) => format!("it was killed by {signal}"),
        status => format!("it ended unexpectedly: {status:?}"),
    }
}

/// The stack of a child that borrows this process's memory, and the page below it that nothing may touch.
const STACK_BYTES: usize = 1 << 20;
const GUARD_BYTES: usize = 1 << 16;

/// Lets a child try something that would change this process for good, and that takes a moment; what it gives back, or how the
/// child ended in words.
///
/// Until the child has ended this process stands still, as after `vfork(2)`: the child works with its memory and its
/// descriptors, so that nothing is copied and nothing has to be sent back. What the kernel keeps for each process alone is the
/// child's own: its namespaces, its root, its working directory, its rights. Signals go their usual way. This process must have
/// one thread.
///
/// # Errors
///
/// What kept the child from being started or waited for.
#[expect(unsafe_code, reason = "clone(2) has no safe form")]
pub(in crate::host) fn attempt<T>(work: impl FnOnce() -> T) -> Result<Result<T, String>, Errno> {
    let mut stack = Stack::new()?;
    let mut work = Some(work);
    let mut done = None;
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let parent = getpid();
    let ended = {
        let child = Box::new(|| {
            // Who waits may be killed.
            if set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent {
                done = work.take().map(|work| work());
            }
            0
        });
        // SAFETY: one of the two runs at a time, and the child, which ends when `child` returns, has a stack of its own.
        let child = unsafe { clone(child, stack.bytes(), flags, None) }?;
        // Its end is told to nobody, so that nothing is left to tell the command that takes our place.
        uninterrupted(|| waitpid(child, Some(WaitPidFlag::__WALL)))?
    };
    Ok(done.ok_or_else(|| in_words(ended)))
}

/// A stack of its own, with a guard.
struct Stack(NonNull<c_void>);

impl Stack {
    #[expect(unsafe_code, reason = "mmap(2) has no safe form")]
    fn new() -> Result<Self, Errno> {
        let length = NonZeroUsize::new(STACK_BYTES).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK | MapFlags::MAP_NORESERVE;
        // SAFETY: the kernel chooses an address where nothing is.
        let stack = Self(unsafe { mmap_anonymous(None, length, access, flags) }?);
        // SAFETY: these are the first bytes of what was just mapped, and nobody has them yet.
        unsafe { mprotect(stack.0, GUARD_BYTES, ProtFlags::PROT_NONE) }?;
        Ok(stack)
    }

    #[expect(unsafe_code, reason = "a slice of mapped memory has no safe form")]
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: these bytes are mapped, zeroed and nobody else's, as long as the value is there.
        unsafe {
            let lowest = self.0.byte_add(GUARD_BYTES).cast();
            NonNull::slice_from_raw_parts(lowest, STACK_BYTES - GUARD_BYTES).as_mut()
        }
    }
}

impl Drop for Stack {
    #[expect(unsafe_code, reason = "munmap(2) has no safe form")]
    fn drop(&mut self) {
        // SAFETY: the child has ended, and nobody else has these bytes.
        if let Err(error) = unsafe { munmap(self.0, STACK_BYTES) } {
            tracing::debug!(%error, "cannot give a stack back");
        }
    }
}
