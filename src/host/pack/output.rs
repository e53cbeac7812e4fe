//! A file that appears whole or not at all: written beside its place under another name, and renamed.
//!
//! Whoever writes holds a lock on what it writes, so that what a killed run left can be told from what a living one needs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempPath;

use crate::host::error::{Abandoned, HostError};
use crate::host::system::root::names_in;

/// Where a file is to appear.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    parent: PathBuf,
    name: OsString,
}

impl Output {
    /// Judges a place before any work is done for it.
    ///
    /// # Errors
    ///
    /// When something is there that is not a regular file, or no directory to put one into.
    pub fn examine(path: &Path) -> Result<Self, HostError> {
        let failed = |error| failed("write it", path, error);
        let reason = |kind, text| failed(io::Error::new(kind, text));
        let is_directory = || reason(io::ErrorKind::IsADirectory, "it is a directory");
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(is_directory());
        };
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(is_directory());
        }
        match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_file() => {}
            Ok(kind) if kind.is_dir() => return Err(is_directory()),
            Ok(_) => {
                let text = "something is there that is not a regular file";
                return Err(reason(io::ErrorKind::AlreadyExists, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        // Real, so that it is known whether it lies in a directory that is read.
        let parent = fs::canonicalize(parent).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            parent,
            name: name.to_owned(),
        })
    }

    /// The path, as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name below `directory` of each thing that is this output, or another run's on its way there; `None` when it is to
    /// appear somewhere else. `directory` must be free of links.
    pub fn is_within(&self, directory: &Path) -> Option<impl Fn(&[u8]) -> bool + use<>> {
        let mut own = self
            .parent
            .strip_prefix(directory)
            .ok()?
            .as_os_str()
            .as_bytes()
            .to_vec();
        if !own.is_empty() {
            own.push(b'/');
        }
        let mut beside = own.clone();
        own.extend_from_slice(self.name.as_bytes());
        beside.extend(self.prefix());
        Some(move |name: &[u8]| {
            let rest = name.strip_prefix(beside.as_slice());
            name == own || rest.is_some_and(|rest| !rest.contains(&b'/'))
        })
    }

    fn prefix(&self) -> Vec<u8> {
        [b".", self.name.as_bytes(), b".slashopt-"].concat()
    }

    /// Makes the file that is to appear, still beside its place. What a killed run left is removed.
    ///
    /// # Errors
    ///
    /// Why it cannot be made.
    pub fn create(&self) -> Result<StagedOutput<'_>, HostError> {
        self.reclaim();
        let prefix = self.prefix();
        loop {
            let (file, temporary) = tempfile::Builder::new()
                .prefix(OsStr::from_bytes(&prefix))
                .tempfile_in(&self.parent)
                .map_err(|error| failed("create a file beside it", &self.path, error))?
                .into_parts();
            // Where locks do not work nobody else gets one either.
            let _unlocked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            // Another run may have taken it for something left behind before it was locked.
            let is_there = file
                .metadata()
                .map_err(|error| failed("examine it", &self.path, error))?
                .nlink()
                > 0;
            if is_there {
                return Ok(StagedOutput {
                    output: self,
                    file,
                    temporary,
                });
            }
        }
    }

    /// Makes a file of these bytes appear, with the mode that a new file has under this umask.
    ///
    /// # Errors
    ///
    /// Why it does not appear; what is in its place is as it was.
    pub fn write(&self, bytes: &[u8], umask: u16) -> Result<(), Abandoned> {
        let draft = self.create()?;
        match draft.file().write_all(bytes) {
            Ok(()) => draft.publish(umask),
            Err(error) => Err(Abandoned {
                error: failed("write it", &self.path, error),
                left_behind: draft.abandon().into_iter().collect(),
            }),
        }
    }

    /// Removes files of runs that were killed: those that nobody has locked.
    fn reclaim(&self) {
        let prefix = self.prefix();
        // The standard library's iterator panics when closing fails.
        let names = File::open(&self.parent)
            .ok()
            .and_then(|directory| names_in(directory.into()).ok())
            .unwrap_or_default();
        for name in names.iter().filter(|name| name.starts_with(&prefix)) {
            let path = self.parent.join(OsStr::from_bytes(name));
            if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            let removed = File::open(&path).and_then(|file| {
                flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                fs::remove_file(&path)
            });
            if let Err(error) = removed {
                tracing::debug!(path = %path.display(), %error, "left as it is");
            }
        }
    }
}

fn failed(operation: &'static str, path: &Path, error: io::Error) -> HostError {
    HostError::io(operation, format!("`{}`", path.display()), error)
}

/// A file that is being written. It is published or abandoned; should it be forgotten, it is removed all the same.
#[derive(Debug)]
#[must_use = "what is written is removed when it is dropped"]
pub struct StagedOutput<'o> {
    output: &'o Output,
    file: File,
    temporary: TempPath,
}

impl StagedOutput<'_> {
    /// The file to write to, empty at first.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file appear in its place, with the mode that a new file has under this umask. A file that is there already
    /// is replaced.
    ///
    /// # Errors
    ///
    /// Why it does not appear; what is in its place is as it was.
    pub fn publish(self, umask: u16) -> Result<(), Abandoned> {
        let path = &self.output.path;
        let mode = Permissions::from_mode(0o666 & !u32::from(umask));
        if let Err(error) = self.file.set_permissions(mode) {
            let error = failed("set the mode of it", path, error);
            return Err(abandoned(self.temporary, error));
        }
        // Some file systems say only at the end that there was no room. The lock goes too: nobody waits for it.
        if let Err(error) = self
            .file
            .try_clone()
            .and_then(|file| close(file).map_err(io::Error::from))
        {
            let error = failed("close it", path, error);
            return Err(abandoned(self.temporary, error));
        }
        let place = self.output.parent.join(&self.output.name);
        let path = path.clone();
        self.temporary.persist(place).map_err(|error| {
            let cause = failed("rename it into its place", &path, error.error);
            abandoned(error.path, cause)
        })
    }

    /// Removes the file; what could not be removed, a sentence for the user.
    pub fn abandon(self) -> Option<String> {
        abandon(self.temporary)
    }
}

/// Some file systems write only now what was written before.
fn close(file: File) -> Result<(), Errno> {
    match nix::unistd::close(file) {
        // Linux has closed it all the same.
        Ok(()) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn abandon(temporary: TempPath) -> Option<String> {
    let path = temporary.to_path_buf();
    let cause = temporary.close().err()?;
    Some(format!(
        "`{}` could not be removed: {cause}",
        path.display()
    ))
}

fn abandoned(temporary: TempPath, error: HostError) -> Abandoned {
    Abandoned {
        error,
        left_behind: abandon(temporary).into_iter().collect(),
    }
}
