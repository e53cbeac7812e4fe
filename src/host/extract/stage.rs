//! Where a root is built: beside the destination, under a name of its own, to be renamed into place last. The one exception is
//! a destination that cannot be renamed over, a mount point or a directory in a parent that we may not write: there the root
//! is built inside it.
//!
//! Whoever builds holds a lock on what it builds in, so that what a killed run left can be told from what a living one needs.
//! What cannot be removed is never only traced: it is handed to whoever has to tell the user.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode as ModeBits, fchmod, fstat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use rustix::fs::{FlockOperation, flock};

use super::destination::{Destination, Occupant};
use super::record::{Completion, Record, remove_inherited};
use crate::entry::Object;
use crate::host::error::{Abandoned, HostError, Unsuitable};
use crate::host::extract::destination::INSIDE_PREFIX;
use crate::host::system::remove::remove_tree;
use crate::host::system::root::{
    Root, examine, names_in, open_directory, set_mode, set_modified, uninterrupted,
};

/// A directory of ours for the time of a run, locked as long as it is open.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) name: Vec<u8>,
    pub(super) directory: OwnedFd,
}

/// A destination in which the stage lies.
#[derive(Debug)]
pub(super) struct Inside {
    /// The destination, locked: unlike a staging directory of its own it is known to every run, and only one may build in it.
    pub(super) directory: OwnedFd,
    /// Its mode and times before anything was done in it.
    before: FileStat,
}

/// A directory in which a root is being built. It is published or abandoned; should it be forgotten, it is removed all the same.
#[derive(Debug)]
#[must_use = "what is built is removed when it is dropped"]
pub struct Stage<'d> {
    pub(super) destination: &'d Destination,
    pub(super) scratch: Scratch,
    pub(super) inside: Option<Inside>,
    /// The root that is to be replaced, locked, so that no other run takes it away or for something left behind.
    _replaced: Option<OwnedFd>,
    /// Whether there is nothing more to remove.
    pub(super) is_done: bool,
    /// What could not be removed, for the user.
    pub(super) left_behind: Vec<String>,
}

impl Destination {
    /// Makes a directory to build in: beside the destination, or inside it where it cannot be renamed over. What a killed run
    /// left of its own is removed.
    ///
    /// # Errors
    ///
    /// Why no directory could be made.
    pub fn stage(&self) -> Result<Stage<'_>, Abandoned> {
        let mut left_behind = self.reclaim_beside();
        if self.occupant == Occupant::Empty {
            self.reclaim_inside(&mut left_behind);
        }
        let made = self.make_stage(&mut left_behind);
        match made {
            Ok(mut stage) => {
                stage.left_behind = left_behind;
                Ok(stage)
            }
            Err(error) => Err(Abandoned { error, left_behind }),
        }
    }

    /// Removes what killed runs left beside a root that is the wanted one already, and inside it: a run may have been killed
    /// after the root was whole. What could not be removed.
    #[must_use = "it names what is left behind"]
    pub fn reclaim(&self) -> Vec<String> {
        let mut left_behind = self.reclaim_beside();
        self.reclaim_inside(&mut left_behind);
        if let Some(root) = &self.existing
            && !is_finished(root)
            && let Err(error) = finish_existing(root)
        {
            left_behind.push(self.unfinished(error));
        }
        left_behind
    }

    /// Removes what killed runs left beside the destination, under whatever name they built. What could not be removed.
    #[must_use = "it names what is left behind"]
    pub(in crate::host) fn reclaim_all_beside(&self) -> Vec<String> {
        let mut left_behind = Vec::new();
        self.reclaim_in(&self.parent, b".", &mut left_behind);
        left_behind
    }

    #[must_use = "it names what is left behind"]
    fn reclaim_beside(&self) -> Vec<String> {
        let mut left_behind = Vec::new();
        if !self.is_mount_point() {
            self.reclaim_in(&self.parent, &self.beside_prefix(), &mut left_behind);
        }
        left_behind
    }

    fn reclaim_inside(&self, left_behind: &mut Vec<String>) {
        if let Some(existing) = &self.existing {
            self.reclaim_in(existing, INSIDE_PREFIX, left_behind);
        }
    }

    fn beside_prefix(&self) -> Vec<u8> {
        [b".", self.name.as_bytes(), b".slashopt-"].concat()
    }

    fn make_stage(&self, left_behind: &mut Vec<String>) -> Result<Stage<'_>, HostError> {
        let stage = |scratch, inside, replaced| Stage {
            destination: self,
            scratch,
            inside,
            _replaced: replaced,
            is_done: false,
            left_behind: Vec::new(),
        };
        if !self.is_mount_point() {
            let replaced = match &self.existing {
                Some(existing) if self.occupant == Occupant::Replaceable => {
                    Some(self.lock(existing)?)
                }
                _ => None,
            };
            match self.make_scratch(&self.parent, &self.beside_prefix(), left_behind) {
                Ok(scratch) => return Ok(stage(scratch, None, replaced)),
                Err(error) if self.existing.is_some() && is_denied(&error) => {}
                Err(error) => return Err(self.failed("create a directory beside it", error)),
            }
        }
        let Some(existing) = &self.existing else {
            return Err(self.unsuitable(Unsuitable::Raced));
        };
        let directory = self.lock(existing)?;
        let before = fstat(existing).map_err(|error| self.failed("examine it", error))?;
        self.reclaim_in(existing, INSIDE_PREFIX, left_behind);
        let scratch = self
            .make_scratch(existing, INSIDE_PREFIX, left_behind)
            .map_err(|error| {
                restore(existing, &before);
                self.failed("create a directory in it", error)
            })?;
        Ok(stage(scratch, Some(Inside { directory, before }), None))
    }

    /// Locks what is at the destination, until the descriptor is closed.
    fn lock(&self, existing: &OwnedFd) -> Result<OwnedFd, HostError> {
        let failed = |error| self.failed("lock it", error);
        // A directory that another run replaced and removed has no entries, not even itself.
        let own = match open_directory(existing, b".") {
            Err(Errno::ENOENT) => return Err(self.unsuitable(Unsuitable::Raced)),
            other => other.map_err(failed)?,
        };
        match try_lock(&own) {
            Ok(()) => Ok(own),
            Err(Errno::EWOULDBLOCK) => Err(self.unsuitable(Unsuitable::Busy)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes a directory whose name begins with `prefix`, locked, marked as ours, and free of what its parent hands on.
    pub(super) fn make_scratch(
        &self,
        holder: &impl AsFd,
        prefix: &[u8],
        left_behind: &mut Vec<String>,
    ) -> io::Result<Scratch> {
        let prefix = OsString::from_vec(prefix.to_vec());
        let make = |path: &Path| -> io::Result<Scratch> {
            // Only the name is random; where it is made is decided by the descriptor.
            let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
            uninterrupted(|| mkdirat(holder, name.as_slice(), ModeBits::S_IRWXU))?;
            let error = match self.prepare(holder, &name) {
                Ok(Some(directory)) => return Ok(Scratch { name, directory }),
                // Another name, then.
                Ok(None) => io::ErrorKind::AlreadyExists.into(),
                Err(error) => error,
            };
            if let Err(error) = remove_tree(holder, &name) {
                left_behind.push(self.left_behind(&name, error));
            }
            Err(error)
        };
        let named = tempfile::Builder::new()
            .prefix(&prefix)
            .make_in("/", make)?;
        // It is not for that crate to remove it.
        let (scratch, _) = named.keep()?;
        Ok(scratch)
    }

    /// Opens a directory that was just made, locked and marked; `None` when, before it was locked, another run took it for
    /// something left behind.
    fn prepare(&self, holder: &impl AsFd, name: &[u8]) -> io::Result<Option<OwnedFd>> {
        let locked = open_directory(holder, name)
            .and_then(|directory| try_lock(&directory).map(|()| directory));
        let directory = match locked {
            Err(Errno::EWOULDBLOCK | Errno::ENOENT) => return Ok(None),
            other => other?,
        };
        if fstat(&directory)?.st_nlink == 0 {
            return Ok(None);
        }
        remove_inherited(&directory);
        uninterrupted(|| fchmod(&directory, ModeBits::S_IRWXU))?;
        // Without a mark nobody would know it for ours, and where none can be made, none could be made on the root.
        ABANDONED.write(&directory, &self.cache)?;
        Ok(Some(directory))
    }

    /// Removes what killed runs left in `holder`: directories of our naming that nobody has locked and that are marked as
    /// ours, or are empty still.
    fn reclaim_in(&self, holder: &impl AsFd, prefix: &[u8], left_behind: &mut Vec<String>) {
        let Ok(names) = open_directory(holder, b".").and_then(names_in) else {
            return;
        };
        for name in names.into_iter().filter(|name| name.starts_with(prefix)) {
            let Ok(directory) = open_directory(holder, &name) else {
                continue;
            };
            // Meanwhile the name may have become another's.
            if try_lock(&directory).is_err() || !is_same(holder, &name, &directory) {
                continue;
            }
            let is_empty = || {
                open_directory(holder, &name)
                    .and_then(names_in)
                    .is_ok_and(|names| names.is_empty())
            };
            if Record::read(&directory, &self.cache).is_none() && !is_empty() {
                continue;
            }
            let scratch = Scratch { name, directory };
            if self.remove(holder, &scratch, left_behind) {
                tracing::info!(
                    directory = %OsStr::from_bytes(&scratch.name).display(),
                    "removed what an interrupted run left"
                );
            }
        }
    }

    /// Removes a directory of ours, its record with it; whether it is gone.
    pub(super) fn remove(
        &self,
        holder: &impl AsFd,
        scratch: &Scratch,
        left_behind: &mut Vec<String>,
    ) -> bool {
        match remove_tree(holder, &scratch.name) {
            Ok(()) => {
                Record::forget(&scratch.directory, &self.cache);
                true
            }
            Err(error) => {
                left_behind.push(self.left_behind(&scratch.name, error));
                false
            }
        }
    }
}

/// The mark of a directory that may be removed by whoever finds it unlocked.
pub(super) const ABANDONED: Record = Record {
    state: Completion::Unfinished,
    content: [0; 32],
};

impl Stage<'_> {
    /// The directory to build in.
    pub fn root(&self) -> Root<BorrowedFd<'_>> {
        Root::new(self.scratch.directory.as_fd())
    }

    /// Whether the top-level directories are going to be moved: they must stay writable until then.
    pub const fn moves_top_level(&self) -> bool {
        self.inside.is_some()
    }

    /// Removes what was built, because of `error`, which is handed on with the names of what could not be removed.
    pub fn abandon(mut self, error: HostError) -> Abandoned {
        self.clear();
        Abandoned {
            error,
            left_behind: std::mem::take(&mut self.left_behind),
        }
    }

    /// Removes the staging directory; the destination that it lies in looks as before.
    fn clear(&mut self) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        self.remove_scratch();
        if let Some(inside) = &self.inside {
            restore(&inside.directory, &inside.before);
        }
    }

    pub(super) fn remove_scratch(&mut self) {
        let holder = match &self.inside {
            Some(inside) => inside.directory.as_fd(),
            None => self.destination.parent.as_fd(),
        };
        self.destination
            .remove(&holder, &self.scratch, &mut self.left_behind);
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Gives a directory its mode and times back. One that belongs to somebody else keeps what it has.
pub(super) fn restore(directory: impl AsFd, before: &FileStat) {
    let mode = ModeBits::from_bits_truncate(before.st_mode);
    let is_changed = |now: FileStat| now.st_mode != before.st_mode;
    if fstat(&directory).is_ok_and(is_changed)
        && let Err(error) = uninterrupted(|| fchmod(&directory, mode))
    {
        tracing::debug!(%error, "cannot restore the mode of the destination");
    }
    let accessed = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    let modified = TimeSpec::new(before.st_mtime, before.st_mtime_nsec);
    if let Err(error) = uninterrupted(|| futimens(&directory, &accessed, &modified)) {
        tracing::debug!(%error, "cannot restore the time of the destination");
    }
}

/// Gives the root its mode and time: it is nobody's entry.
pub(super) fn finish_root(root: &Root<impl AsFd>) -> Result<(), Errno> {
    set_mode(root.as_fd(), Object::IMPLIED.mode)?;
    set_modified(root.as_fd(), Object::IMPLIED.modified)
}

/// The same to a root whose directory was there before, which may be somebody else's: then it keeps its own.
pub(super) fn finish_existing(root: &OwnedFd) -> Result<(), Errno> {
    let unless_denied = |answer| match answer {
        Err(Errno::EPERM | Errno::EROFS) => Ok(()),
        other => other,
    };
    unless_denied(set_mode(root, Object::IMPLIED.mode))?;
    unless_denied(set_modified(root, Object::IMPLIED.modified))
}

/// Whether the root has the mode and time that it should have.
fn is_finished(root: &OwnedFd) -> bool {
    let wanted = Object::IMPLIED;
    fstat(root).is_ok_and(|about| {
        about.st_mtime == wanted.modified.0
            && about.st_mode & 0o7777 == u32::from(wanted.mode.bits())
    })
}

/// Whether a directory, as such, may not be written.
fn is_denied(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EACCES | Errno::EPERM | Errno::EROFS))
}

/// Locks a directory, until all its descriptors are closed; `EWOULDBLOCK` when somebody else did.
fn try_lock(directory: &OwnedFd) -> Result<(), Errno> {
    uninterrupted(|| {
        flock(directory, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| Errno::from_raw(error.raw_os_error()))
    })
}

/// Whether `name` is the directory that was opened before.
pub(super) fn is_same(parent: &impl AsFd, name: &[u8], opened: &OwnedFd) -> bool {
    let (Ok(Some(there)), Ok(opened)) = (examine(parent, name), fstat(opened)) else {
        return false;
    };
    (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
}
