//! What a root says of itself: that slashopt made it, of what, and whether it is whole.
//!
//! The record is an extended attribute of the root, so that it moves and vanishes with it. Where a file system has none, it is
//! a file in the cache that names the root by device, inode and time of birth.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, renameat};
use nix::sys::stat::{Mode as ModeBits, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{AtFlags, StatxFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, statx};

use super::root::{Root, create_directory, open_directory, uninterrupted};
use crate::entry::Mode;

const ATTRIBUTE: &str = "user.slashopt.root";
/// The first word of every record. Another format gets another number.
const FORMAT: &str = "slashopt-root-1";

/// Whether a root is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// All of it is there.
    Complete,
    /// Its entries are being moved into place; if nobody does, that was cut short.
    Unfinished,
}

/// The record of a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Whether it is whole.
    pub state: State,
    /// Of which stack, under which policy, it was made: a digest of both.
    pub content: [u8; 32],
}

impl Record {
    fn to_text(&self) -> String {
        let state = match self.state {
            State::Complete => "complete",
            State::Unfinished => "unfinished",
        };
        let digest = self.content.iter().fold(String::new(), |mut digest, byte| {
            // Writing to a string does not fail.
            let _ = write!(digest, "{byte:02x}");
            digest
        });
        format!("{FORMAT} {state} sha256:{digest}")
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(FORMAT) {
            return None;
        }
        let state = match words.next()? {
            "complete" => State::Complete,
            "unfinished" => State::Unfinished,
            _ => return None,
        };
        let digest = words
            .next()?
            .strip_prefix("sha256:")
            .filter(|digest| digest.len() == 64 && digest.is_ascii())?;
        let mut content = [0; 32];
        for (byte, place) in content.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(digest.get(place..place + 2)?, 16).ok()?;
        }
        words.next().is_none().then_some(Self { state, content })
    }

    /// Reads the record of a root; `None` when it has none, or one that this version does not know.
    pub fn read(root: impl AsFd, cache: &CacheFolder) -> Option<Self> {
        let mut buffer = [0; 256];
        let found = uninterrupted(|| fgetxattr(&root, ATTRIBUTE, &mut buffer[..]).map_err(errno));
        let text = match found {
            Ok(bytes) => std::str::from_utf8(buffer.get(..bytes)?).ok()?.to_owned(),
            Err(error) if error == Errno::ENODATA || is_without_attributes(error) => {
                let name = file_name(root)?;
                let folder = open_directory(cache.open()?, ROOTS).ok()?;
                let file = Root::new(folder).open_file(name.as_bytes()).ok()?;
                let mut text = String::new();
                File::from(file).take(256).read_to_string(&mut text).ok()?;
                text
            }
            Err(_) => return None,
        };
        Self::from_text(&text)
    }

    /// Writes the record of a root.
    ///
    /// # Errors
    ///
    /// Why neither the attribute nor the file could be written.
    pub fn write(&self, root: impl AsFd, cache: &CacheFolder) -> io::Result<()> {
        let text = self.to_text();
        let written = uninterrupted(|| {
            fsetxattr(&root, ATTRIBUTE, text.as_bytes(), XattrFlags::empty()).map_err(errno)
        });
        match written {
            Err(error) if is_without_attributes(error) => {
                let name = file_name(root).ok_or(error)?;
                let folder = cache.make()?;
                write_file(&folder, &name, &text)
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                // What another user, or an older kernel, had to write there holds no more.
                remove_file(root, cache);
                Ok(())
            }
        }
    }

    /// Removes the record of a root that is given up.
    pub fn remove(root: impl AsFd, cache: &CacheFolder) {
        let removed = uninterrupted(|| fremovexattr(&root, ATTRIBUTE).map_err(errno));
        if let Err(error) = removed {
            tracing::debug!(%error, "no attribute removed");
        }
        remove_file(root, cache);
    }

    /// Removes the record of a root that is gone, if it did not go with it.
    pub fn forget(root: impl AsFd, cache: &CacheFolder) {
        remove_file(root, cache);
    }
}

/// Whether a file system, or a filter of system calls, has no attributes, or not for us: in a sticky directory that is
/// somebody else's.
fn is_without_attributes(error: Errno) -> bool {
    [
        Errno::EOPNOTSUPP,
        Errno::ENOSYS,
        Errno::EPERM,
        Errno::EACCES,
    ]
    .contains(&error)
}

/// Removes the file that is the record of a root, if there is one.
fn remove_file(root: impl AsFd, cache: &CacheFolder) {
    let Some((name, folder)) = file_name(root).zip(cache.open()) else {
        return;
    };
    let Ok(folder) = open_directory(folder, ROOTS) else {
        return;
    };
    let file = UnlinkatFlags::NoRemoveDir;
    match uninterrupted(|| unlinkat(&folder, name.as_str(), file)) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => tracing::debug!(name, %error, "cannot remove the record"),
    }
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// Writes a file that appears whole, in a folder that nothing leads out of.
fn write_file(folder: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let new = format!(".{name}.{}", std::process::id());
    // A process of that number may have been killed here.
    if unlinkat(folder, new.as_str(), UnlinkatFlags::NoRemoveDir).is_ok() {
        tracing::debug!(new, "removed what a killed process left");
    }
    let written = Root::borrow(folder)
        .create_file(new.as_bytes(), Mode::FILE)
        .map_err(io::Error::from)
        .and_then(|file| {
            let mut file = File::from(file);
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| {
            Ok(uninterrupted(|| {
                renameat(folder, new.as_str(), folder, name)
            })?)
        });
    if written.is_err()
        && let Err(error) = unlinkat(folder, new.as_str(), UnlinkatFlags::NoRemoveDir)
    {
        tracing::debug!(new, %error, "cannot remove");
    }
    written
}

/// The name of the file that is the record of a root that can have no attribute. An inode is used again when a root is gone;
/// together with the time of birth it is not.
fn file_name(root: impl AsFd) -> Option<String> {
    let about = statx(
        root,
        "",
        AtFlags::EMPTY_PATH,
        StatxFlags::INO | StatxFlags::BTIME,
    )
    .ok()?;
    let born = about.stx_btime;
    Some(format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}",
        about.stx_dev_major, about.stx_dev_minor, about.stx_ino, born.tv_sec, born.tv_nsec
    ))
}

/// Makes a new directory as if it had been made anywhere: without the default access control list that its parent hands on
/// (it would change the mode of every file below), and without the set-group-ID bit.
pub(super) fn remove_inherited(directory: impl AsFd) {
    for attribute in ["system.posix_acl_default", "system.posix_acl_access"] {
        match fremovexattr(&directory, attribute) {
            Ok(()) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => tracing::debug!(attribute, %error, "cannot remove"),
        }
    }
}

/// The folder that records and caches are kept in.
#[derive(Clone, Debug, Default)]
pub struct CacheFolder {
    candidates: Vec<PathBuf>,
}

impl CacheFolder {
    /// `cache_dir` if given, else where the XDG base directory specification says, `/var/cache/slashopt` without a usable
    /// home, and last a folder in the temporary directory. `variable` looks up the environment.
    pub fn new(
        cache_dir: Option<&Path>,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Self {
        let user = nix::unistd::geteuid().as_raw();
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let candidates = match cache_dir {
            Some(folder) => vec![folder.to_path_buf()],
            None => [
                absolute("XDG_CACHE_HOME").map(|folder| folder.join("slashopt")),
                absolute("HOME")
                    .filter(|home| home != Path::new("/"))
                    .map(|home| home.join(".cache/slashopt")),
                Some(PathBuf::from("/var/cache/slashopt")),
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
        Self { candidates }
    }

    /// Opens the first that is there, ours or root's, and writable by nobody else.
    fn open(&self) -> Option<OwnedFd> {
        self.candidates
            .iter()
            .find_map(|folder| open_own(folder).ok())
    }

    /// The folder of the records in the first candidate that can be used, made if need be.
    fn make(&self) -> io::Result<OwnedFd> {
        let mut failure = io::Error::from(Errno::ENOENT);
        for folder in &self.candidates {
            match make_roots(folder) {
                Ok(roots) => return Ok(roots),
                Err(error) => {
                    let text = format!("the cache folder `{}`: {error}", folder.display());
                    failure = io::Error::other(text);
                }
            }
        }
        Err(failure)
    }
}

/// The folder in the cache that records are kept in.
const ROOTS: &[u8] = b"roots";

fn make_roots(folder: &Path) -> io::Result<OwnedFd> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let folder = open_own(folder)?;
    match create_directory(&folder, ROOTS, Mode::PRIVATE) {
        Ok(()) | Err(Errno::EEXIST) => Ok(open_directory(&folder, ROOTS)?),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder that is ours or root's and that nobody else may write.
fn open_own(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = uninterrupted(|| open(folder, flags, ModeBits::empty()))?;
    let about = fstat(&folder)?;
    let is_trusted = about.st_uid == nix::unistd::geteuid().as_raw() || about.st_uid == 0;
    if is_trusted && about.st_mode & 0o022 == 0 {
        Ok(folder)
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may write it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            state: State::Unfinished,
            content: std::array::from_fn(|place| u8::try_from(place * 8).unwrap_or(0)),
        };
        assert_eq!(Record::from_text(&record.to_text()), Some(record.clone()));
        for broken in [
            "",
            "slashopt-root-2 complete sha256:00",
            &record.to_text().replace("unfinished", "half"),
            &(record.to_text() + " more"),
        ] {
            assert_eq!(Record::from_text(broken), None, "{broken}");
        }
    }
}
