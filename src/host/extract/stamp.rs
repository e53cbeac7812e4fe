//! How a start recognises the root that an earlier one extracted from the same files, without reading any of them.
//!
//! The root carries, beside its record, a digest of that record and of what `stat(2)` says of the layers. An archive that was
//! written again has another inode, size or time of change; one that changed only a moment ago is not believed, as it may change
//! once more within what a clock can tell. Where a root can carry no attributes, the layers' indexes are read.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::stat::{FileStat, SFlag, stat};
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use sha2::{Digest as _, Sha256};

use super::record::{Completion, Record};
use crate::host::read::input::LayerInput;
use crate::host::system::cache_folder::CacheFolder;
use crate::host::system::root::open_directory;

const ATTRIBUTE: &str = "user.slashopt.start";
/// What changed less than this many seconds ago may change again unnoticed.
const UNSETTLED_SECONDS: u64 = 2;

/// What a root is made of, as far as it is known without reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sources([u8; 32]);

impl Sources {
    /// Looks at the layers; `rules` says how they are merged and judged. Nothing of a directory, which may change in its depth, of
    /// standard input, or of what changed just now.
    pub fn look(inputs: &[LayerInput], rules: &str) -> Option<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut hash = Sha256::new();
        hash.update(b"slashopt-start-1\0");
        hash.update(rules);
        for input in inputs {
            let (path, digest) = match input {
                LayerInput::Path(path) => (path, None),
                LayerInput::Expected { path, digest, .. } => (path, Some(digest)),
                _ => return None,
            };
            let about = stat(path).ok()?;
            if !is_file(&about) || !is_settled(&about, now) {
                return None;
            }
            let numbers = [
                i128::from(about.st_dev),
                i128::from(about.st_ino),
                i128::from(about.st_size),
                i128::from(about.st_mtime),
                i128::from(about.st_mtime_nsec),
                i128::from(about.st_ctime),
                i128::from(about.st_ctime_nsec),
            ];
            hash.update(b"\0file");
            for number in numbers {
                hash.update(number.to_le_bytes());
            }
            if let Some(digest) = digest {
                hash.update(digest.hex());
            }
        }
        Some(Self(hash.finalize().into()))
    }

    /// Whether there is a whole root of ours that was made of these.
    pub fn made(&self, root: &Path, cache: &CacheFolder) -> bool {
        let Ok(directory) = open_directory(rustix::fs::CWD, root.as_os_str().as_encoded_bytes())
        else {
            return false;
        };
        let mut buffer = [0; 32];
        let found = fgetxattr(&directory, ATTRIBUTE, &mut buffer[..]);
        found == Ok(buffer.len())
            && self.with(Record::read(directory.as_fd(), cache)) == Some(buffer)
    }

    /// Remembers that a root was made of these; that it cannot be remembered costs time alone.
    pub fn remember(&self, root: &Path, cache: &CacheFolder) {
        let Ok(directory) = open_directory(rustix::fs::CWD, root.as_os_str().as_encoded_bytes())
        else {
            return;
        };
        let record = Record::read(directory.as_fd(), cache);
        let written = self
            .with(record)
            .map(|digest| fsetxattr(&directory, ATTRIBUTE, &digest, XattrFlags::empty()));
        if let Some(Err(error)) = written {
            tracing::debug!(%error, "the next start reads the indexes");
        }
    }

    /// The digest for a root with this record. A root that was replaced in its place since has another.
    fn with(&self, record: Option<Record>) -> Option<[u8; 32]> {
        let record = record.filter(|record| record.state == Completion::Complete)?;
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(record.content);
        Some(hash.finalize().into())
    }
}

fn is_file(about: &FileStat) -> bool {
    SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn is_settled(about: &FileStat, now: u64) -> bool {
    let changed = about.st_ctime.max(about.st_mtime);
    u64::try_from(changed).is_ok_and(|changed| changed + UNSETTLED_SECONDS < now)
}
