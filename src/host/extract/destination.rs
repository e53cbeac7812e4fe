//! The place where a root is to be: what is there, and whether it may be built into.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode as ModeBits, SFlag, fstat};

use super::record::{Completion, Record};
use crate::host::error::{HostError, Unsuitable};
use crate::host::system::cache_folder::CacheFolder;
use crate::host::system::root::{examine, names_in, open_directory, uninterrupted};

/// What the names of directories inside a destination begin with that are ours for the time of a run.
pub(super) const INSIDE_PREFIX: &[u8] = b".slashopt-";

/// What may be replaced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    /// Nothing but an empty directory, or a root of ours that was never finished.
    #[default]
    Nothing,
    /// A root of ours too.
    Ours,
    /// Whatever directory is there.
    Any,
}

/// What is at a destination now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occupant {
    /// Nothing.
    Absent,
    /// An empty directory.
    Empty,
    /// Exactly the root that is wanted.
    Wanted,
    /// A directory that will be replaced.
    Replaceable,
}

/// A place where a root is to be.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    pub(super) parent: OwnedFd,
    pub(super) name: OsString,
    pub(super) existing: Option<OwnedFd>,
    /// What is there.
    pub occupant: Occupant,
    pub(super) cache: CacheFolder,
}

impl Destination {
    /// Examines `path`, where a root of this `content` is wanted.
    ///
    /// # Errors
    ///
    /// Why nothing may be built there; nothing was changed.
    pub fn examine(
        path: &Path,
        home: Option<&Path>,
        replace: Replace,
        content: &[u8; 32],
        cache: CacheFolder,
    ) -> Result<Self, HostError> {
        let unsuitable = |reason| HostError::Destination {
            destination: path.display().to_string(),
            reason,
        };
        let failed = |operation| {
            move |error: io::Error| HostError::io(operation, format!("`{}`", path.display()), error)
        };
        let name = path
            .file_name()
            .ok_or_else(|| unsuitable(Unsuitable::Ancestor))?
            .to_owned();
        let parent_path = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let open_parent = |access| {
            let flags = access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            uninterrupted(|| open(parent_path, flags, ModeBits::empty()))
        };
        let parent = match open_parent(OFlag::O_RDONLY) {
            Err(Errno::ENOENT) => return Err(unsuitable(Unsuitable::NoParent)),
            // A parent that we may not list still serves to look a name up.
            Err(Errno::EACCES) => open_parent(OFlag::O_PATH),
            other => other,
        }
        .map_err(|error| failed("open its parent directory")(error.into()))?;
        let whole = parent_path
            .canonicalize()
            .map_err(failed("find its parent directory"))?
            .join(&name);
        let precious = [
            home.and_then(|home| home.canonicalize().ok()),
            std::env::current_dir().ok(),
        ];
        if precious
            .iter()
            .flatten()
            .any(|precious| precious.starts_with(&whole))
        {
            return Err(unsuitable(Unsuitable::Ancestor));
        }
        let mut destination = Self {
            path: path.to_path_buf(),
            parent,
            name,
            existing: None,
            occupant: Occupant::Absent,
            cache,
        };
        let Some(about) = examine(&destination.parent, destination.name.as_bytes())
            .map_err(|error| failed("examine it")(error.into()))?
        else {
            return Ok(destination);
        };
        match kind_of(&about) {
            SFlag::S_IFDIR => {}
            SFlag::S_IFLNK => return Err(unsuitable(Unsuitable::Symlink)),
            _ => return Err(unsuitable(Unsuitable::NotADirectory)),
        }
        // What vanishes now, another run is replacing.
        let failed_unless_gone = |operation| {
            move |error| match error {
                Errno::ENOENT => unsuitable(Unsuitable::Raced),
                error => failed(operation)(error.into()),
            }
        };
        let existing = open_directory(&destination.parent, destination.name.as_bytes())
            .map_err(failed_unless_gone("open it"))?;
        let names = names_in(existing.try_clone().map_err(failed("list it"))?)
            .map_err(failed_unless_gone("list it"))?;
        let is_empty = names.iter().all(|name| name.starts_with(INSIDE_PREFIX));
        let record = Record::read(&existing, &destination.cache);
        destination.occupant = match record {
            Some(Record {
                state: Completion::Complete,
                content: there,
            }) if there == *content => Occupant::Wanted,
            _ if is_empty => Occupant::Empty,
            Some(Record {
                state: Completion::Unfinished,
                ..
            }) => Occupant::Replaceable,
            Some(_) if replace != Replace::Nothing => Occupant::Replaceable,
            Some(_) => return Err(unsuitable(Unsuitable::OtherRoot)),
            None if replace == Replace::Any => Occupant::Replaceable,
            None => return Err(unsuitable(Unsuitable::NotOurs)),
        };
        destination.existing = Some(existing);
        Ok(destination)
    }

    /// The destination as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn unsuitable(&self, reason: Unsuitable) -> HostError {
        HostError::Destination {
            destination: self.path.display().to_string(),
            reason,
        }
    }

    pub(super) fn failed(&self, operation: &'static str, error: impl Into<io::Error>) -> HostError {
        HostError::io(operation, format!("`{}`", self.path.display()), error)
    }

    /// Whether something is mounted on the destination. A kernel that does not tell (before 5.8) shows another device.
    pub(super) fn is_mount_point(&self) -> bool {
        let Some(existing) = &self.existing else {
            return false;
        };
        let about = rustix::fs::statx(
            existing,
            "",
            rustix::fs::AtFlags::EMPTY_PATH,
            rustix::fs::StatxFlags::BASIC_STATS,
        );
        let attribute = rustix::fs::StatxAttributes::MOUNT_ROOT;
        let is_marked = about.is_ok_and(|about| {
            about.stx_attributes_mask.contains(attribute)
                && about.stx_attributes.contains(attribute)
        });
        let device = |directory: &OwnedFd| fstat(directory).map(|about| about.st_dev).ok();
        is_marked || device(existing) != device(&self.parent)
    }
}

impl Destination {
    pub(super) fn left_behind(&self, name: &[u8], error: Errno) -> String {
        let holder = if name.starts_with(INSIDE_PREFIX) {
            Some(self.path.as_path())
        } else {
            self.path.parent()
        };
        let path = holder
            .unwrap_or(Path::new(""))
            .join(OsStr::from_bytes(name));
        format!(
            "`{}` could not be removed ({error}); the next run tries again",
            path.display()
        )
    }
}

fn kind_of(about: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT
}

impl fmt::Display for Occupant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "absent",
            Self::Empty => "empty",
            Self::Wanted => "already the wanted root",
            Self::Replaceable => "to be replaced",
        })
    }
}
