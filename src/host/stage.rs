//! Where a root is built, and how it appears: whole, or not at all.
//!
//! A root is built beside the destination, under a name of its own, and renamed into place last. The one exception is a
//! destination that cannot be renamed over, a mount point or a directory in a parent that we may not write: there the root
//! is built inside it and its top-level entries are moved up in one pass, which is undone when it fails.
//!
//! Whoever builds holds a lock on what it builds in, so that what a killed run left can be told from what a living one needs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, RenameFlags, renameat, renameat2};
use nix::sys::stat::{Mode as ModeBits, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::HostError;
use super::destination::{Destination, Found, Unsuitable};
use super::moves::{Moves, rename_to_absent};
use super::record::{CacheFolder, Record, State, remove_inherited};
use super::remove::remove_tree;
use super::root::{Root, examine, names_in, open_directory, set_mode, set_modified};
use crate::entry::Object;

/// What the names of directories inside a destination begin with that are ours for the time of a run.
pub(super) const INSIDE_PREFIX: &[u8] = b".slashopt-";

impl Destination {
    /// Makes a directory to build in: beside the destination, or inside it where it cannot be renamed over. What a killed run
    /// left of its own is removed.
    ///
    /// # Errors
    ///
    /// Why no directory could be made.
    pub fn stage(&self) -> Result<Stage<'_>, HostError> {
        let beside_prefix = [b".", self.name.as_bytes(), b".slashopt-"].concat();
        if !self.is_mount_point() {
            reclaim(&self.parent, &beside_prefix, &self.cache);
            match make_stage(&self.parent, &beside_prefix, &self.cache) {
                Ok((name, directory)) => {
                    return Ok(Stage {
                        destination: self,
                        name,
                        directory: Some(directory),
                        inside: None,
                        is_published: false,
                    });
                }
                Err(Errno::EACCES | Errno::EPERM | Errno::EROFS) if self.existing.is_some() => {}
                Err(error) => return Err(self.failed("create a directory beside it", error)),
            }
        }
        let Some(existing) = &self.existing else {
            return Err(self.unsuitable(Unsuitable::Raced));
        };
        let lock = existing
            .try_clone()
            .map_err(|error| self.failed("lock it", error))?;
        // Unlike a staging directory of its own, this one is known to every run: only one may build in it.
        let lock =
            Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(
                |(_, error)| match error {
                    Errno::EWOULDBLOCK => self.unsuitable(Unsuitable::Busy),
                    error => self.failed("lock it", error),
                },
            )?;
        reclaim(existing, INSIDE_PREFIX, &self.cache);
        let (name, directory) = make_stage(existing, INSIDE_PREFIX, &self.cache)
            .map_err(|error| self.failed("create a directory in it", error))?;
        Ok(Stage {
            destination: self,
            name,
            directory: Some(directory),
            inside: Some(lock),
            is_published: false,
        })
    }
}

/// A directory in which a root is being built. Dropped before it was published, it is removed with all that is in it.
#[derive(Debug)]
pub struct Stage<'d> {
    destination: &'d Destination,
    name: Vec<u8>,
    /// Locked for as long as it is a stage.
    directory: Option<Flock<OwnedFd>>,
    /// The destination itself, locked, when the stage lies in it.
    inside: Option<Flock<OwnedFd>>,
    is_published: bool,
}

/// What publishing could not clean up, to be told to the user: the next run removes it.
#[derive(Debug, Default)]
pub struct Published {
    /// Names of what was left, with the reason.
    pub left_behind: Vec<String>,
}

impl Stage<'_> {
    /// The directory to build in.
    pub fn root(&self) -> Root<BorrowedFd<'_>> {
        match &self.directory {
            Some(directory) => Root::new(directory.as_fd()),
            // A stage has its directory until it is dropped.
            None => Root::new(self.destination.parent.as_fd()),
        }
    }

    /// Whether the top-level directories are going to be moved: they must stay writable until then.
    pub const fn moves_top_level(&self) -> bool {
        self.inside.is_some()
    }

    /// Makes the root appear at the destination. `finish_top_level` sets the modes and times of the top-level directories once
    /// they are where they stay, below the directory that it is given.
    ///
    /// # Errors
    ///
    /// Why it does not appear; the destination is as it was.
    pub fn publish(
        mut self,
        content: [u8; 32],
        is_durable: bool,
        finish_top_level: impl Fn(&Root<BorrowedFd<'_>>) -> Result<(), HostError>,
    ) -> Result<Published, HostError> {
        let destination = self.destination;
        let complete = Record {
            state: State::Complete,
            content,
        };
        if let Some(existing) = self.inside.as_ref().map(|existing| existing.as_fd()) {
            let published =
                self.publish_inside(existing, &complete, is_durable, finish_top_level)?;
            self.is_published = true;
            return Ok(published);
        }
        let root = self.root();
        finish_root(&root)
            .map_err(|error| destination.failed("set the mode and time of the root", error))?;
        complete
            .write(root.as_fd(), &destination.cache)
            .map_err(|error| destination.failed("record what it is made of", error))?;
        if is_durable {
            nix::unistd::syncfs(root.as_fd())
                .map_err(|error| destination.failed("write it to the disk", error))?;
        }
        let mut published = Published::default();
        self.rename_into_place(&mut published)?;
        if is_durable {
            nix::unistd::fsync(&destination.parent).map_err(|error| {
                destination.failed("write its parent directory to the disk", error)
            })?;
        }
        Ok(published)
    }

    /// The rename that makes the root appear.
    fn rename_into_place(mut self, published: &mut Published) -> Result<(), HostError> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let stage_name = self.name.clone();
        let answer = match destination.found {
            Found::Absent | Found::Wanted => rename_to_absent(parent, &stage_name, name),
            Found::Empty => renameat(parent, stage_name.as_slice(), parent, name),
            Found::Replaceable => return self.exchange(published),
        };
        match answer {
            Ok(()) => {
                self.directory = None;
                Ok(())
            }
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {
                Err(destination.unsuitable(Unsuitable::Raced))
            }
            Err(error) => Err(destination.failed("rename the finished root to it", error)),
        }
    }

    /// Exchanges the root with the directory that is there, and removes that one.
    fn exchange(mut self, published: &mut Published) -> Result<(), HostError> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let swap = || {
            renameat2(
                parent,
                self.name.as_slice(),
                parent,
                name,
                RenameFlags::RENAME_EXCHANGE,
            )
        };
        match swap() {
            Ok(()) => {
                // Whatever came out must be what was examined, or somebody else published meanwhile.
                if !is_same(parent, &self.name, destination.existing.as_ref()) {
                    swap().map_err(|error| destination.failed("undo an exchange", error))?;
                    return Err(destination.unsuitable(Unsuitable::Raced));
                }
            }
            Err(Errno::ENOENT) => return Err(destination.unsuitable(Unsuitable::Raced)),
            Err(Errno::EXDEV) => return Err(destination.unsuitable(Unsuitable::LowerLayer)),
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename_aside()?,
            Err(error) => {
                return Err(destination.failed("exchange it with the finished root", error));
            }
        }
        self.directory = None;
        let old = self.name.clone();
        if let Some(existing) = &destination.existing {
            mark_for_removal(existing, &destination.cache);
        }
        if let Err(error) = remove_tree(parent, &old) {
            published
                .left_behind
                .push(destination.left_behind(&old, error));
        }
        Ok(())
    }

    /// For file systems that cannot exchange: the old root goes aside, the new one takes its place, and the old one takes the
    /// stage's name.
    fn rename_aside(&self) -> Result<(), HostError> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let aside = [self.name.as_slice(), b"-old"].concat();
        renameat(parent, name, parent, aside.as_slice()).map_err(|error| match error {
            Errno::EXDEV => destination.unsuitable(Unsuitable::LowerLayer),
            error => destination.failed("rename the old root aside", error),
        })?;
        if let Err(error) = renameat(parent, self.name.as_slice(), parent, name) {
            renameat(parent, aside.as_slice(), parent, name)
                .map_err(|error| destination.failed("put the old root back", error))?;
            return Err(destination.failed("rename the finished root to it", error));
        }
        renameat(parent, aside.as_slice(), parent, self.name.as_slice())
            .map_err(|error| destination.failed("rename the old root aside", error))
    }

    /// Moves the top-level entries up into the destination, what was there before into a directory of ours first.
    fn publish_inside(
        &self,
        existing: BorrowedFd<'_>,
        complete: &Record,
        is_durable: bool,
        finish_top_level: impl Fn(&Root<BorrowedFd<'_>>) -> Result<(), HostError>,
    ) -> Result<Published, HostError> {
        let destination = self.destination;
        let failed = |operation| move |error: Errno| destination.failed(operation, error);
        let list = |directory: BorrowedFd<'_>| {
            let copy = open_directory(directory, b".").map_err(failed("list it"))?;
            names_in(copy).map_err(failed("list it"))
        };
        let mut published = Published::default();
        let before = Record::read(existing, &destination.cache);
        let mut old_names = list(existing)?;
        old_names.retain(|name| !name.starts_with(INSIDE_PREFIX));
        if destination.found != Found::Replaceable && !old_names.is_empty() {
            return Err(destination.unsuitable(Unsuitable::Raced));
        }
        let new_names = list(self.root().as_fd())?;
        Record {
            state: State::Unfinished,
            ..complete.clone()
        }
        .write(existing, &destination.cache)
        .map_err(|error| destination.failed("record that it is unfinished", error))?;
        let restore_record = || {
            if let Some(record) = &before {
                record
                    .write(existing, &destination.cache)
                    .map_err(|error| destination.failed("restore its record", error))
            } else {
                Record::remove(existing, &destination.cache);
                Ok(())
            }
        };
        let (old, old_directory) = match make_stage(&existing, INSIDE_PREFIX, &destination.cache) {
            Ok(made) => made,
            Err(error) => {
                restore_record()?;
                return Err(destination.failed("create a directory in it", error));
            }
        };
        let result = (|| {
            let mut out = Moves::new(existing, old_directory.as_fd());
            out.carry_out(&old_names)
                .map_err(failed("move what was there aside"))?;
            let mut up = Moves::new(self.root().directory(), existing);
            up.carry_out(&new_names)
                .map_err(failed("move the finished root into it"))?;
            finish_top_level(&Root::new(existing))?;
            // A directory that somebody else owns keeps its own mode and time.
            if let Err(error) = finish_root(&Root::new(existing)) {
                tracing::debug!(%error, "cannot set the mode and time of the root");
            }
            if is_durable {
                nix::unistd::syncfs(existing).map_err(failed("write it to the disk"))?;
            }
            complete
                .write(existing, &destination.cache)
                .map_err(|error| destination.failed("record what it is made of", error))?;
            up.keep();
            out.keep();
            Ok(())
        })();
        drop(old_directory);
        if let Err(error) = result {
            restore_record()?;
            if let Err(error) = remove_tree(existing, &old) {
                tracing::warn!(%error, "a directory of ours is left");
            }
            return Err(error);
        }
        if let Err(error) = remove_tree(existing, &old) {
            published
                .left_behind
                .push(destination.left_behind(&old, error));
        }
        Ok(published)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let holder = match &self.inside {
            Some(existing) => existing.as_fd(),
            None => self.destination.parent.as_fd(),
        };
        if self.directory.is_none() {
            return;
        }
        if let Err(error) = remove_tree(holder, &self.name) {
            tracing::warn!(directory = %OsStr::from_bytes(&self.name).display(), %error, "left behind; the next run removes it");
        }
        // Removing the empty stage was the last change in the root, and changed its time.
        if self.is_published
            && let Err(error) = finish_root(&Root::new(holder))
        {
            tracing::debug!(%error, "cannot set the mode and time of the root");
        }
    }
}

/// Gives the root its mode and time: it is nobody's entry.
fn finish_root(root: &Root<impl AsFd>) -> Result<(), Errno> {
    set_mode(root.as_fd(), Object::IMPLIED.mode)?;
    set_modified(root.as_fd(), Object::IMPLIED.modified)
}

/// Makes a directory whose name begins with `prefix`, locked, marked as ours, and free of what its parent hands on.
fn make_stage(
    holder: &impl AsFd,
    prefix: &[u8],
    cache: &CacheFolder,
) -> Result<(Vec<u8>, Flock<OwnedFd>), Errno> {
    let prefix = OsString::from_vec(prefix.to_vec());
    let make = |path: &Path| -> io::Result<(Vec<u8>, Flock<OwnedFd>)> {
        // Only the name is random; where it is made is decided by the descriptor.
        let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
        mkdirat(holder, name.as_slice(), ModeBits::S_IRWXU)?;
        let locked = open_directory(holder, &name).and_then(|directory| {
            Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)
        });
        match locked {
            // Before it was locked, another run may have taken it for something left behind.
            Ok(directory) if fstat(&*directory).is_ok_and(|about| about.st_nlink > 0) => {
                Ok((name, directory))
            }
            Ok(_) | Err(Errno::EWOULDBLOCK | Errno::ENOENT) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            Err(error) => {
                unlinkat(holder, name.as_slice(), UnlinkatFlags::RemoveDir)?;
                Err(error.into())
            }
        }
    };
    let named = tempfile::Builder::new()
        .prefix(&prefix)
        .make_in("", make)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)))?;
    // It is not for that crate to remove it.
    let ((name, directory), _) = named.keep().map_err(|_| Errno::EIO)?;
    remove_inherited(&*directory);
    fchmod(&*directory, ModeBits::S_IRWXU)?;
    if let Err(error) = (Record {
        state: State::Unfinished,
        content: [0; 32],
    })
    .write(&*directory, cache)
    {
        tracing::debug!(%error, "cannot mark the staging directory");
    }
    Ok((name, directory))
}

/// Removes what killed runs left in `holder`: directories of our naming that nobody has locked and that are marked as ours, or
/// are empty still.
fn reclaim(holder: &impl AsFd, prefix: &[u8], cache: &CacheFolder) {
    let Ok(names) = open_directory(holder, b".").and_then(names_in) else {
        return;
    };
    for name in names.into_iter().filter(|name| name.starts_with(prefix)) {
        let Ok(directory) = open_directory(holder, &name) else {
            continue;
        };
        let Ok(directory) = Flock::lock(directory, FlockArg::LockExclusiveNonblock) else {
            continue;
        };
        let is_empty = || {
            open_directory(holder, &name)
                .and_then(names_in)
                .is_ok_and(|names| names.is_empty())
        };
        if Record::read(&*directory, cache).is_none() && !is_empty() {
            continue;
        }
        match remove_tree(holder, &name) {
            Ok(()) => {
                tracing::info!(directory = %OsStr::from_bytes(&name).display(), "removed what an interrupted run left");
            }
            Err(error) => {
                tracing::warn!(directory = %OsStr::from_bytes(&name).display(), %error, "cannot remove what an interrupted run left");
            }
        }
    }
}

/// Marks a root that is given up, so that the next run removes it if this one cannot.
fn mark_for_removal(root: &OwnedFd, cache: &CacheFolder) {
    if let Err(error) = (Record {
        state: State::Unfinished,
        content: [0; 32],
    })
    .write(root, cache)
    {
        tracing::debug!(%error, "cannot mark the old root");
    }
}

/// Whether `name` is the directory that was opened before.
fn is_same(parent: &OwnedFd, name: &[u8], opened: Option<&OwnedFd>) -> bool {
    let (Ok(Some(there)), Some(Ok(opened))) = (examine(parent, name), opened.map(fstat)) else {
        return false;
    };
    (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
}
