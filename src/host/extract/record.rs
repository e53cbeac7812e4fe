//! What a root says of itself: that slashopt made it, of what, and whether it is whole.
//!
//! The record is an extended attribute of the root, so that it moves and vanishes with it. Where a file system has none, it is
//! a file in the cache that names the root by device, inode and time of birth.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{AtFlags, StatxFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, statx};

use crate::digest::Digest;
use crate::entry::Mode;
use crate::host::system::cache_folder::CacheFolder;
use crate::host::system::durability::Durability;
use crate::host::system::root::uninterrupted;
use crate::host::system::whole_file;

const ATTRIBUTE: &str = "user.slashopt.root";
/// The first word of every record. Another format gets another number.
const FORMAT: &str = "slashopt-root-1";

/// Whether a root is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completion {
    /// All of it is there.
    Complete,
    /// Its entries are being moved into place; if nobody does, that was cut short.
    Unfinished,
}

/// The record of a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Whether it is whole.
    pub state: Completion,
    /// Of which stack, under which policy, it was made: a digest of both.
    pub content: [u8; 32],
}

impl Record {
    fn to_text(&self) -> String {
        let state = match self.state {
            Completion::Complete => "complete",
            Completion::Unfinished => "unfinished",
        };
        format!("{FORMAT} {state} {}", Digest(self.content))
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(FORMAT) {
            return None;
        }
        let state = match words.next()? {
            "complete" => Completion::Complete,
            "unfinished" => Completion::Unfinished,
            _ => return None,
        };
        let Digest(content) = words.next()?.parse().ok()?;
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
                let folder = cache.open()?.open_below(ROOTS).ok()?;
                String::from_utf8(whole_file::read(&folder, &name, 256)?).ok()?
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
                let folder = cache.open_or_make().map_err(|(path, error)| {
                    let path = path.display();
                    io::Error::new(error.kind(), format!("the cache folder `{path}`: {error}"))
                })?;
                let folder = folder.make_below(ROOTS)?;
                whole_file::sweep(&folder);
                whole_file::write(
                    &folder,
                    &name,
                    text.as_bytes(),
                    Mode::FILE,
                    Durability::Survives,
                )
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
    let Ok(folder) = folder.open_below(ROOTS) else {
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

/// The folder in the cache that records are kept in.
const ROOTS: &str = "roots";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            state: Completion::Unfinished,
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
