//! How a root appears: whole, or not at all.
//!
//! What was built beside the destination is renamed into place. What was built inside it is moved up entry by entry, in one
//! pass that is undone when it fails.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::{Mode as ModeBits, fstat, mkdirat};
use nix::unistd::{fchown, fsync, syncfs};
use rustix::fs::RenameFlags;

use super::destination::{Destination, INSIDE_PREFIX, Occupant};
use super::moves::{Moves, rename_to_absent, rename_with};
use super::record::{Completion, Record};
use super::stage::{ABANDONED, Inside, Stage, finish_existing, finish_root, is_same, restore};
use crate::host::error::{Abandoned, HostError, Unsuitable};
use crate::host::system::durability::Durability;
use crate::host::system::remove::remove_tree;
use crate::host::system::root::{Root, names_in, open_directory, uninterrupted};

impl Stage<'_> {
    /// Makes the root appear at the destination; what could not be removed afterwards. `finish_top_level` sets the modes and
    /// times of the top-level directories once they are where they stay, below the directory that it is given.
    ///
    /// # Errors
    ///
    /// Why it does not appear; the destination is as it was.
    pub fn publish(
        mut self,
        content: [u8; 32],
        durability: Durability,
        finish_top_level: impl Fn(&Root<BorrowedFd<'_>>) -> Result<(), HostError>,
    ) -> Result<Vec<String>, Abandoned> {
        let complete = Record {
            state: Completion::Complete,
            content,
        };
        let published = match self.inside.take() {
            Some(inside) => {
                let published = self.move_up(&inside, &complete, durability, finish_top_level);
                self.inside = Some(inside);
                published
            }
            None => self.rename(&complete, durability),
        };
        match published {
            Ok(()) => Ok(std::mem::take(&mut self.left_behind)),
            Err(error) => Err(self.abandon(error)),
        }
    }

    /// Renames the root to the destination, and removes what was there.
    fn rename(&mut self, complete: &Record, durability: Durability) -> Result<(), HostError> {
        let destination = self.destination;
        let root = self.root();
        finish_root(&root)
            .map_err(|error| destination.failed("set the mode and time of the root", error))?;
        complete
            .write(root.as_fd(), &destination.cache)
            .map_err(|error| destination.failed("record what it is made of", error))?;
        if durability == Durability::Survives {
            uninterrupted(|| syncfs(root.as_fd()))
                .map_err(|error| destination.failed("write it to the disk", error))?;
        }
        let old = self.rename_into_place()?;
        if durability == Durability::Survives
            && let Err(error) = self.sync_parent()
        {
            self.take_back(old.as_deref()).map_err(|error| {
                destination.failed("take the root away that is not safely on the disk", error)
            })?;
            return Err(destination.failed("write its parent directory to the disk", error));
        }
        self.is_done = true;
        if let (Some(old), Some(existing)) = (old, &destination.existing) {
            if let Err(error) = ABANDONED.write(existing, &destination.cache) {
                tracing::debug!(%error, "cannot mark the old root");
            }
            match remove_tree(&destination.parent, &old) {
                Ok(()) => Record::forget(existing, &destination.cache),
                Err(error) => self.left_behind.push(destination.left_behind(&old, error)),
            }
        }
        Ok(())
    }

    fn sync_parent(&self) -> Result<(), Errno> {
        match uninterrupted(|| fsync(&self.destination.parent)) {
            // It may not be listed, and is open only to look names up.
            Err(Errno::EBADF) => uninterrupted(|| syncfs(&self.scratch.directory)),
            other => other,
        }
    }

    /// The rename that makes the root appear; the name that what was there has now.
    fn rename_into_place(&self) -> Result<Option<Vec<u8>>, HostError> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let stage_name = self.scratch.name.as_slice();
        let answer = match destination.occupant {
            Occupant::Absent | Occupant::Wanted => rename_to_absent(parent, stage_name, name),
            Occupant::Empty => uninterrupted(|| renameat(parent, stage_name, parent, name)),
            Occupant::Replaceable => return self.exchange().map(Some),
        };
        match answer {
            Ok(()) => Ok(None),
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {
                Err(destination.unsuitable(Unsuitable::Raced))
            }
            Err(error) => Err(destination.failed("rename the finished root to it", error)),
        }
    }

    /// Exchanges the root with the directory that is there.
    fn exchange(&self) -> Result<Vec<u8>, HostError> {
        let destination = self.destination;
        let Some(existing) = &destination.existing else {
            return Err(destination.unsuitable(Unsuitable::Raced));
        };
        match self.swap() {
            Ok(()) => {
                // Whatever came out must be what was examined, or somebody else published meanwhile.
                if !is_same(&destination.parent, &self.scratch.name, existing) {
                    self.swap()
                        .map_err(|error| destination.failed("undo an exchange", error))?;
                    return Err(destination.unsuitable(Unsuitable::Raced));
                }
                Ok(self.scratch.name.clone())
            }
            Err(Errno::ENOENT) => Err(destination.unsuitable(Unsuitable::Raced)),
            Err(Errno::EXDEV) => Err(destination.unsuitable(Unsuitable::LowerLayer)),
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename_aside(),
            Err(error) => Err(destination.failed("exchange it with the finished root", error)),
        }
    }

    fn swap(&self) -> Result<(), Errno> {
        let (parent, name) = (&self.destination.parent, self.destination.name.as_bytes());
        let stage_name = self.scratch.name.as_slice();
        rename_with(parent, stage_name, parent, name, RenameFlags::EXCHANGE)
    }

    /// For file systems that cannot exchange: the old root goes aside, and the new one takes its place.
    fn rename_aside(&self) -> Result<Vec<u8>, HostError> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let aside = [self.scratch.name.as_slice(), b"-old"].concat();
        let rename = |from: &[u8], to: &[u8]| uninterrupted(|| renameat(parent, from, parent, to));
        rename(name, &aside).map_err(|error| match error {
            Errno::EXDEV => destination.unsuitable(Unsuitable::LowerLayer),
            error => destination.failed("rename the old root aside", error),
        })?;
        if let Err(error) = rename(&self.scratch.name, name) {
            rename(&aside, name)
                .map_err(|error| destination.failed("put the old root back", error))?;
            return Err(destination.failed("rename the finished root to it", error));
        }
        Ok(aside)
    }

    /// Undoes the rename: the stage is a stage again, and the destination what it was.
    fn take_back(&self, old: Option<&[u8]>) -> Result<(), Errno> {
        let destination = self.destination;
        let (parent, name) = (&destination.parent, destination.name.as_bytes());
        let stage_name = self.scratch.name.as_slice();
        if old == Some(stage_name) {
            return self.swap();
        }
        uninterrupted(|| renameat(parent, name, parent, stage_name))?;
        match (old, &destination.existing) {
            (Some(old), _) => uninterrupted(|| renameat(parent, old, parent, name)),
            // An empty directory that was renamed over is gone: its like is made.
            (None, Some(existing)) => {
                let before = fstat(existing)?;
                uninterrupted(|| mkdirat(parent, name, ModeBits::S_IRWXU))?;
                let made = open_directory(parent, name)?;
                let owner = (Some(before.st_uid.into()), Some(before.st_gid.into()));
                if let Err(error) = fchown(&made, owner.0, owner.1) {
                    tracing::debug!(%error, "cannot restore the owner of the destination");
                }
                restore(&made, &before);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Moves the top-level entries up into the destination, what was there before into a directory of ours first.
    fn move_up(
        &mut self,
        inside: &Inside,
        complete: &Record,
        durability: Durability,
        finish_top_level: impl Fn(&Root<BorrowedFd<'_>>) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let destination = self.destination;
        let existing = &inside.directory;
        let before = Record::read(existing, &destination.cache);
        let mut old_names = self.list(existing.as_fd())?;
        old_names.retain(|name| !name.starts_with(INSIDE_PREFIX));
        if destination.occupant != Occupant::Replaceable && !old_names.is_empty() {
            return Err(destination.unsuitable(Unsuitable::Raced));
        }
        let new_names = self.list(self.root().as_fd())?;
        let mut left_behind = Vec::new();
        let old = destination
            .make_scratch(existing, INSIDE_PREFIX, &mut left_behind)
            .map_err(|error| destination.failed("create a directory in it", error));
        self.left_behind.append(&mut left_behind);
        let old = old?;
        let old_directory = old.directory.as_fd();
        let mut out = Moves::new(existing.as_fd(), old_directory);
        let mut up = Moves::new(self.scratch.directory.as_fd(), existing.as_fd());
        let failed = |operation| move |error: Errno| destination.failed(operation, error);
        let recorded = |record: &Record| record.write(existing, &destination.cache);
        let result = (|| {
            recorded(&Record {
                state: Completion::Unfinished,
                ..complete.clone()
            })
            .map_err(|error| destination.failed("record that it is unfinished", error))?;
            out.carry_out(&old_names)
                .map_err(failed("move what was there aside"))?;
            up.carry_out(&new_names)
                .map_err(failed("move the finished root into it"))?;
            finish_top_level(&Root::borrow(existing))?;
            finish_existing(existing).map_err(failed("set the mode and time of the root"))?;
            if durability == Durability::Survives {
                uninterrupted(|| syncfs(existing)).map_err(failed("write it to the disk"))?;
            }
            recorded(complete)
                .map_err(|error| destination.failed("record what it is made of", error))?;
            if durability == Durability::Survives {
                uninterrupted(|| fsync(existing)).map_err(failed("write it to the disk"))?;
            }
            Ok(())
        })();
        if result.is_ok() {
            drop((out, up));
            destination.remove(existing, &old, &mut self.left_behind);
            self.remove_entry_of(inside);
            return Ok(());
        }
        let stuck: Vec<(Vec<u8>, Errno)> = up.undo().into_iter().chain(out.undo()).collect();
        let keeps_old = out.is_any_left();
        drop((out, up));
        let mut notes: Vec<String> = stuck
            .iter()
            .map(|(name, error)| {
                let name = OsStr::from_bytes(name).display();
                let path = destination.path().display();
                format!("`{name}` in `{path}` could not be moved back ({error})")
            })
            .collect();
        if keeps_old {
            // What is in there may be all that there is of somebody's files: it is for them to decide.
            if before.is_none() {
                Record::remove(&old.directory, &destination.cache);
            }
            notes.push(destination.kept(&old.name));
        } else {
            destination.remove(existing, &old, &mut notes);
        }
        let restored = match &before {
            // It is not what it was: the next run builds it again.
            Some(_) if !stuck.is_empty() => Ok(()),
            Some(record) => recorded(record),
            None if stuck.is_empty() || keeps_old => {
                Record::remove(existing, &destination.cache);
                Ok(())
            }
            None => Ok(()),
        };
        if let Err(error) = restored {
            notes.push(format!(
                "the record of `{}` could not be restored ({error}); the next run builds it again",
                destination.path().display()
            ));
        }
        self.left_behind.append(&mut notes);
        result
    }

    /// Removes the stage out of the destination that is finished: that was the last change in it, and changed its time.
    fn remove_entry_of(&mut self, inside: &Inside) {
        self.is_done = true;
        let destination = self.destination;
        destination.remove(&inside.directory, &self.scratch, &mut self.left_behind);
        if let Err(error) = finish_existing(&inside.directory) {
            self.left_behind.push(destination.unfinished(error));
        }
    }

    fn list(&self, directory: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, HostError> {
        open_directory(directory, b".")
            .and_then(names_in)
            .map_err(|error| self.destination.failed("list it", error))
    }
}

impl Destination {
    /// For a root that is whole but for its own mode and time.
    pub(super) fn unfinished(&self, error: Errno) -> String {
        format!(
            "the mode and time of `{}` could not be set ({error}); the next run sets them",
            self.path().display()
        )
    }

    /// For what was there before and is kept in a directory of ours.
    fn kept(&self, name: &[u8]) -> String {
        let path = self.path().join(OsStr::from_bytes(name));
        format!("what was there before is kept in `{}`", path.display())
    }
}
