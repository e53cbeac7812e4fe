//! What a root says of itself: that slashopt made it, of what, and whether it is whole.
//!
//! The record is an extended attribute of the root, so that it moves and vanishes with it. Where a file system has none, it is
//! a file in the cache that names the root by device, inode and time of birth.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, statx};

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
        let text = match fgetxattr(&root, ATTRIBUTE, &mut buffer[..]) {
            Ok(bytes) => std::str::from_utf8(buffer.get(..bytes)?).ok()?.to_owned(),
            Err(rustix::io::Errno::NODATA) => return None,
            Err(_) => fs::read_to_string(record_file(root, &cache.find()?)?).ok()?,
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
        let Err(error) = fsetxattr(&root, ATTRIBUTE, text.as_bytes(), XattrFlags::empty()) else {
            return Ok(());
        };
        let file = cache
            .find()
            .and_then(|cache| record_file(root, &cache))
            .ok_or(error)?;
        if let Some(folder) = file.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        fs::write(file, text)
    }

    /// Removes the record of a root that is given up.
    pub fn remove(root: impl AsFd, cache: &CacheFolder) {
        if fremovexattr(&root, ATTRIBUTE).is_err()
            && let Some(file) = cache.find().and_then(|cache| record_file(root, &cache))
            && let Err(error) = fs::remove_file(&file)
        {
            tracing::debug!(file = %file.display(), %error, "no record to remove");
        }
    }
}

/// Where the record of a root is kept that can have no attribute. An inode is used again when a root is gone; together with
/// the time of birth it is not.
fn record_file(root: impl AsFd, cache: &Path) -> Option<PathBuf> {
    let about = statx(
        root,
        "",
        AtFlags::EMPTY_PATH,
        StatxFlags::INO | StatxFlags::BTIME,
    )
    .ok()?;
    let born = about.stx_btime;
    let name = format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}",
        about.stx_dev_major, about.stx_dev_minor, about.stx_ino, born.tv_sec, born.tv_nsec
    );
    Some(cache.join("roots").join(name))
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

    /// The first that is ours or root's and that nobody else may write, made if need be; `None` when there is none.
    pub fn find(&self) -> Option<PathBuf> {
        let user = nix::unistd::geteuid().as_raw();
        let is_usable = |folder: &&PathBuf| {
            let created = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder);
            let Ok(about) = fs::symlink_metadata(folder) else {
                return false;
            };
            created.is_ok()
                && about.is_dir()
                && (about.uid() == user || about.uid() == 0)
                && about.mode() & 0o022 == 0
        };
        self.candidates.iter().find(is_usable).cloned()
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
