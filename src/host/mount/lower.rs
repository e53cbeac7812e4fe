//! A directory that is mounted, and by which calls.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode as ModeBits, fstat};

/// How far back the calls go that are used: the newest that the kernel has, unless a test wants to see the others.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Calls {
    /// `mount(2)` alone.
    Classic,
    /// A file system is configured by strings.
    Strings,
    /// Lower directories are given by descriptor.
    #[default]
    Descriptors,
}

impl Calls {
    /// The calls of this name: `classic`, `strings`, `descriptors`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "classic" => Some(Self::Classic),
            "strings" => Some(Self::Strings),
            "descriptors" => Some(Self::Descriptors),
            _ => None,
        }
    }
}

/// A directory to be mounted, lowest first in every list.
#[derive(Debug)]
pub struct Lower {
    /// The directory, opened in the mount namespace in which it is to be mounted: the kernel takes no other.
    pub directory: OwnedFd,
    /// Where it is.
    pub path: PathBuf,
}

impl Lower {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Errno> {
        let path = path.into();
        Ok(Self {
            directory: open_place(&path)?,
            path,
        })
    }

    /// Opens the same directory once more, in the mount namespace that the process has entered since.
    ///
    /// # Errors
    ///
    /// `ESTALE` when there is another directory at its path by now; else what the kernel says.
    pub fn reopen(&self) -> Result<Self, Errno> {
        let again = Self::open(&self.path)?;
        let (before, after) = (fstat(&self.directory)?, fstat(&again.directory)?);
        if (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino) {
            Ok(again)
        } else {
            Err(Errno::ESTALE)
        }
    }
}

/// Opens a directory to be mounted, or mounted on.
///
/// # Errors
///
/// What the kernel says.
pub fn open_place(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, ModeBits::empty())
}
