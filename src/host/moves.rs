//! Renames that undo themselves, and renames to names that must be free.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat, renameat2};
use nix::sys::stat::{Mode as ModeBits, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::root::{examine, open_directory};

/// Entries moved from one directory to another, back again unless they are kept.
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

    pub(super) fn keep(&mut self) {
        self.moved.clear();
    }
}

impl Drop for Moves<'_> {
    fn drop(&mut self) {
        for name in self.moved.iter().rev() {
            if let Err(error) = move_entry(self.to, self.from, name) {
                tracing::error!(name = %OsStr::from_bytes(name).display(), %error, "cannot be moved back");
            }
        }
    }
}

/// Moves an entry to another directory. To a directory that means writing its `..`, which its own mode may forbid.
fn move_entry(from: impl AsFd, to: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match rename_new(&from, name, &to, name) {
        Err(Errno::EACCES) => {
            let directory = open_directory(&from, name)?;
            let mode = ModeBits::from_bits_truncate(fstat(&directory)?.st_mode);
            fchmod(&directory, mode | ModeBits::S_IRWXU)?;
            let answer = rename_new(&from, name, &to, name);
            fchmod(&directory, mode)?;
            answer
        }
        other => other,
    }
}

/// Renames to a name that must be free, as far as the file system can promise it.
fn rename_new(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    match renameat2(&from, old, &to, new, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS) if matches!(examine(&to, new), Ok(None)) => {
            renameat(&from, old, &to, new)
        }
        other => other,
    }
}

/// Renames a directory to a name that must be free. Where the file system cannot promise it, an empty directory takes the
/// name first, and is renamed over: that fails if anything came into it.
pub(super) fn rename_to_absent(parent: impl AsFd, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    match renameat2(&parent, old, &parent, new, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            mkdirat(&parent, new, ModeBits::S_IRWXU)?;
            renameat(&parent, old, &parent, new).or_else(|error| {
                unlinkat(&parent, new, UnlinkatFlags::RemoveDir)?;
                Err(error)
            })
        }
        other => other,
    }
}
