//! Renames that can be undone, and renames to names that must be free.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::{Mode as ModeBits, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{RenameFlags, renameat_with};

use crate::host::system::errno::IntoErrno;
use crate::host::system::root::{examine, open_directory, uninterrupted};

/// Entries moved from one directory to another, and back again if need be.
pub(super) struct Moves<'f> {
    from: BorrowedFd<'f>,
    to: BorrowedFd<'f>,
    moved: Vec<Vec<u8>>,
}

impl<'f> Moves<'f> {
    pub(super) const fn new(from: BorrowedFd<'f>, to: BorrowedFd<'f>) -> Self {
        Self {
            from,
            to,
            moved: Vec::new(),
        }
    }

    pub(super) fn carry_out(&mut self, names: &[Vec<u8>]) -> Result<(), Errno> {
        for name in names {
            move_entry(self.from, self.to, name)?;
            self.moved.push(name.clone());
        }
        Ok(())
    }

    /// Moves everything back, the last first; what could not be.
    pub(super) fn undo(&mut self) -> Vec<(Vec<u8>, Errno)> {
        let mut stuck = Vec::new();
        for name in std::mem::take(&mut self.moved).into_iter().rev() {
            if let Err(error) = move_entry(self.to, self.from, &name) {
                stuck.push((name.clone(), error));
                self.moved.push(name);
            }
        }
        stuck
    }

    /// Whether something is where it was moved to.
    pub(super) const fn is_any_left(&self) -> bool {
        !self.moved.is_empty()
    }
}

/// Moves an entry to another directory. To a directory that means writing its `..`, which its own mode may forbid.
fn move_entry(from: impl AsFd, to: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match rename_new(&from, name, &to, name) {
        Err(Errno::EACCES) => {
            let directory = open_directory(&from, name)?;
            let mode = ModeBits::from_bits_truncate(fstat(&directory)?.st_mode);
            uninterrupted(|| fchmod(&directory, mode | ModeBits::S_IRWXU))?;
            let answer = rename_new(&from, name, &to, name);
            if let Err(error) = uninterrupted(|| fchmod(&directory, mode)) {
                // Half a move is none.
                answer?;
                rename_new(&to, name, &from, name)?;
                return Err(error);
            }
            answer
        }
        other => other,
    }
}

/// `renameat2(2)`.
pub(super) fn rename_with(
    from: impl AsFd,
    old: &[u8],
    to: impl AsFd,
    new: &[u8],
    flags: RenameFlags,
) -> Result<(), Errno> {
    uninterrupted(|| renameat_with(&from, old, &to, new, flags).map_err(IntoErrno::into_errno))
}

/// Renames to a name that must be free, as far as the file system can promise it.
fn rename_new(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    match rename_with(&from, old, &to, new, RenameFlags::NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS) if matches!(examine(&to, new), Ok(None)) => {
            uninterrupted(|| renameat(&from, old, &to, new))
        }
        other => other,
    }
}

/// Renames a directory to a name that must be free. Where the file system cannot promise it, an empty directory takes the
/// name first, and is renamed over: that fails if anything came into it.
pub(super) fn rename_to_absent(parent: impl AsFd, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    match rename_with(&parent, old, &parent, new, RenameFlags::NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            uninterrupted(|| mkdirat(&parent, new, ModeBits::S_IRWXU))?;
            uninterrupted(|| renameat(&parent, old, &parent, new)).or_else(|error| {
                unlinkat(&parent, new, UnlinkatFlags::RemoveDir)?;
                Err(error)
            })
        }
        other => other,
    }
}
