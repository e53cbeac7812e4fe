//! Locks of the cache. They are `flock(2)`s: they belong to an open file, pass through `execve(2)` with it, and are gone when
//! the last process that has it is, however that ends.
//!
//! A file may be removed or replaced while somebody waits for its lock. So after locking it is asked whether the name still
//! leads to the file that was locked.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{FlockOperation, flock};

use crate::entry::Mode;
use crate::host::system::root::{Root, create_file, examine, open_directory, uninterrupted};

/// Descriptors from here on are left alone by nearly everybody: shells use those below 10, and some daemons close the lowest.
const LEAST: i32 = 200;

fn lock(file: impl AsFd, operation: FlockOperation) -> Result<(), Errno> {
    uninterrupted(|| flock(&file, operation).map_err(|error| Errno::from_raw(error.raw_os_error())))
}

/// Whether `name` leads to the file that is open.
fn is_still(folder: impl AsFd, name: &str, file: &OwnedFd) -> Result<bool, Errno> {
    let opened = fstat(file)?;
    let there = examine(folder, name.as_bytes())?;
    Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)))
}

/// Opens a file and takes a shared lock on it, waiting for whoever is removing it; `None` when it is not there, or not any more.
pub(super) fn share_file(folder: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, Errno> {
    share(folder, name, || {
        Root::borrow(folder).open_file(name.as_bytes())
    })
}

/// The same of a directory.
pub(super) fn share_directory(folder: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, Errno> {
    share(folder, name, || open_directory(folder, name.as_bytes()))
}

fn share(
    folder: &OwnedFd,
    name: &str,
    open: impl Fn() -> Result<OwnedFd, Errno>,
) -> Result<Option<OwnedFd>, Errno> {
    loop {
        let file = match open() {
            Err(Errno::ENOENT) => return Ok(None),
            other => other?,
        };
        lock(&file, FlockOperation::LockShared)?;
        if is_still(folder, name, &file)? {
            return Ok(Some(file));
        }
    }
}

/// Takes an exclusive lock on a file or directory that is open, if nobody has any; whether that worked and `name` still leads
/// there.
pub(super) fn try_own(folder: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool, Errno> {
    match lock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
        Ok(()) => is_still(folder, name, file),
    }
}

/// How a lock file is shared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sharing {
    /// With all who share it.
    Shared,
    /// With nobody.
    Exclusive,
}

/// A lock on a file that is for nothing else, made if need be. It is removed when nobody holds or awaits it any more, as far as
/// that can be known.
#[derive(Debug)]
#[must_use = "the lock is given up when it is dropped"]
pub(super) struct NamedLock<'f> {
    folder: &'f OwnedFd,
    name: String,
    file: OwnedFd,
}

impl<'f> NamedLock<'f> {
    /// Waits for the lock.
    pub(super) fn wait(
        folder: &'f OwnedFd,
        name: &str,
        sharing: Sharing,
        mode: Mode,
    ) -> Result<Self, Errno> {
        let operation = match sharing {
            Sharing::Shared => FlockOperation::LockShared,
            Sharing::Exclusive => FlockOperation::LockExclusive,
        };
        loop {
            let file = match Root::borrow(folder).open_file(name.as_bytes()) {
                Err(Errno::ENOENT) => create_file(folder, name.as_bytes(), mode),
                other => other,
            };
            let file = match file {
                // Somebody else made it.
                Err(Errno::EEXIST) => continue,
                other => other?,
            };
            lock(&file, operation)?;
            if is_still(folder, name, &file)? {
                return Ok(Self {
                    folder,
                    name: name.to_owned(),
                    file,
                });
            }
        }
    }
}

impl Drop for NamedLock<'_> {
    fn drop(&mut self) {
        // Whoever waits finds that the name leads elsewhere, and begins again.
        if try_own(self.folder, &self.name, &self.file) == Ok(true)
            && let Err(error) =
                unlinkat(self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir)
        {
            tracing::debug!(name = self.name, %error, "cannot remove a lock");
        }
    }
}

/// Moves a descriptor to where programs leave it alone. Its lock goes with it. Under a low limit of descriptors it stays.
pub(super) fn out_of_the_way(file: OwnedFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(&file, LEAST).unwrap_or(file)
}
