//! Where the cache is: a folder that is ours or root's, and that nobody else may write.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode as ModeBits, fchmod, fstat};
use nix::unistd::geteuid;
use rustix::fs::{Access, AtFlags, accessat};

use super::home::home_in;
use super::root::{create_directory, open_directory, set_mode, uninterrupted};
use crate::entry::Mode;

/// Where the cache of the whole machine is.
const SYSTEM: &str = "/var/cache/slashopt";

/// The folders that a cache may be in, the first that can be used counts.
#[derive(Clone, Debug, Default)]
pub struct CacheFolder {
    candidates: Vec<PathBuf>,
    /// The user named it: then it is no other, even where we may only read.
    is_named: bool,
}

/// A folder that can be used.
#[derive(Debug)]
pub(in crate::host) struct Folder {
    pub(in crate::host) path: PathBuf,
    pub(super) directory: OwnedFd,
    pub(in crate::host) is_writable: bool,
    /// The mode of directories in it: what the folder itself grants to others.
    directory_mode: Mode,
}

impl CacheFolder {
    /// `cache_dir` if given, else what the process's environment names, as [`CacheFolder::new`] says.
    #[must_use]
    pub fn of_environment(cache_dir: Option<&Path>) -> Self {
        Self::new(cache_dir, |name| std::env::var_os(name))
    }

    /// `cache_dir` if given, else where the XDG base directory specification says, `/var/cache/slashopt` without a usable
    /// home, and last a folder in the temporary directory. `variable` looks up the environment.
    pub fn new(
        cache_dir: Option<&Path>,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Self {
        let user = geteuid().as_raw();
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let candidates = match cache_dir {
            Some(folder) => vec![folder.to_path_buf()],
            None => [
                absolute("XDG_CACHE_HOME").map(|folder| folder.join("slashopt")),
                home_in(&variable)
                    .filter(|home| home.is_absolute() && home != Path::new("/"))
                    .map(|home| home.join(".cache/slashopt")),
                Some(PathBuf::from(SYSTEM)),
                Some(
                    absolute("TMPDIR")
                        .unwrap_or_else(|| PathBuf::from("/tmp"))
                        .join(format!("slashopt-{user}")),
                ),
            ]
            .into_iter()
            .flatten()
            .collect(),
        };
        Self {
            candidates,
            is_named: cache_dir.is_some(),
        }
    }

    /// Opens the first that is there and can be trusted.
    pub(in crate::host) fn open(&self) -> Option<Folder> {
        self.candidates
            .iter()
            .find_map(|folder| Folder::open(folder).ok())
    }

    /// Opens the first that can be written, made if need be; the one that the user named also if it can only be read. If there
    /// is none, which was tried last, and why not.
    pub(in crate::host) fn open_or_make(&self) -> Result<Folder, (PathBuf, io::Error)> {
        let mut failure = (PathBuf::new(), io::Error::from(Errno::ENOENT));
        for path in &self.candidates {
            let opened = match Folder::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(path),
                other => other,
            };
            match opened {
                Ok(folder) if folder.is_writable || self.is_named => return Ok(folder),
                Ok(_) => failure = (path.clone(), Errno::EACCES.into()),
                Err(error) => failure = (path.clone(), error),
            }
        }
        Err(failure)
    }

    fn make(&self, path: &Path) -> io::Result<Folder> {
        // A home is private; what root makes anywhere else is for everybody, like a package's files.
        let is_shared = geteuid().is_root() && (self.is_named || path == Path::new(SYSTEM));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(if is_shared { 0o755 } else { 0o700 })
            .create(path)?;
        let folder = Folder::open(path)?;
        if !is_shared {
            return Ok(folder);
        }
        uninterrupted(|| fchmod(&folder.directory, ModeBits::from_bits_truncate(0o755)))?;
        Folder::open(path)
    }
}

impl Folder {
    /// Opens a folder that is ours or root's and that nobody else may write.
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = uninterrupted(|| open(path, flags, ModeBits::empty()))?;
        let about = fstat(&directory)?;
        let is_trusted = about.st_uid == geteuid().as_raw() || about.st_uid == 0;
        if !is_trusted || about.st_mode & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others may write it",
            ));
        }
        let is_writable = accessat(
            &directory,
            ".",
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        )
        .is_ok();
        let directory_mode = if about.st_mode & 0o055 == 0o055 {
            Mode::DIRECTORY
        } else {
            Mode::PRIVATE
        };
        Ok(Self {
            path: path.to_path_buf(),
            directory,
            is_writable,
            directory_mode,
        })
    }

    /// Opens a directory in it.
    pub(in crate::host) fn open_below(&self, name: &str) -> Result<OwnedFd, Errno> {
        open_directory(&self.directory, name.as_bytes())
    }

    /// Opens a directory in it, made if need be.
    pub(in crate::host) fn make_below(&self, name: &str) -> Result<OwnedFd, Errno> {
        match self.open_below(name) {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        match create_directory(&self.directory, name.as_bytes(), self.directory_mode) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        let made = self.open_below(name)?;
        set_mode(&made, self.directory_mode)?;
        Ok(made)
    }

    /// The mode of files in it.
    pub(in crate::host) fn file_mode(&self) -> Mode {
        Mode::from_bits(self.directory_mode.bits() & 0o644)
    }
}
