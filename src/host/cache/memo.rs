//! The memory of digests: what a file was when it was hashed, so that it need not be hashed again.
//!
//! A file is known by device, inode, size and both times, to the nanosecond, as far as the file system keeps them. One that was
//! changed within the last moments could be changed again without any of these showing it, as clocks tick slowly: of such a
//! file nothing is remembered (git calls it racy).

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::FileStat;

use crate::digest::Digest;
use crate::entry::Mode;
use crate::host::system::durability::Durability;
use crate::host::system::encoding::{Decoder, Encoder, Mark};
use crate::host::system::whole_file;

const MARK: Mark = *b"slmemo 1";
/// A memo is this long, and a bit.
const MOST_BYTES: u64 = 4096;
/// How old a change must be to be believed.
const SETTLED: Duration = Duration::from_secs(2);

/// Seconds and nanoseconds since 1970.
type Moment = (i64, i64);

/// What a file or a directory is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FileState {
    /// The name of its memo.
    name: String,
    /// All that must be as it was.
    facts: Vec<i64>,
    /// When it was last changed.
    changed: Moment,
}

impl FileState {
    pub(super) fn of_file(about: &FileStat) -> Self {
        let (modified, changed) = (
            (about.st_mtime, about.st_mtime_nsec),
            (about.st_ctime, about.st_ctime_nsec),
        );
        Self {
            name: format!("{:x}-{:x}", about.st_dev, about.st_ino),
            facts: vec![about.st_size, modified.0, modified.1, changed.0, changed.1],
            changed: modified.max(changed),
        }
    }

    /// Of a directory by the fingerprint of its listing, and the latest change of anything in it.
    pub(super) fn of_directory(fingerprint: [u8; 32], changed: Moment) -> Self {
        Self {
            name: format!("d-{}", Digest(fingerprint).hex()),
            facts: Vec::new(),
            changed,
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let (seconds, nanoseconds) = self.changed;
        let changed = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        now.is_ok_and(|now| now.checked_sub(changed).is_some_and(|age| age >= SETTLED))
    }

    /// The digest, if it is remembered.
    pub(super) fn recall(&self, folder: &OwnedFd) -> Option<Digest> {
        let memo = whole_file::read(folder, &self.name, MOST_BYTES)?;
        let mut decoder = Decoder::new(&memo, MARK)?;
        let facts = decoder.list(Decoder::signed)?;
        let digest = decoder.digest()?;
        decoder.end()?;
        (facts == self.facts).then_some(digest)
    }

    /// Remembers the digest, if what was hashed has not changed of late.
    pub(super) fn remember(&self, folder: &OwnedFd, digest: Digest, mode: Mode) {
        if !self.is_settled() {
            return;
        }
        let mut encoder = Encoder::new(MARK);
        encoder.list(&self.facts, |encoder, &fact| {
            encoder.signed(fact);
        });
        encoder.digest(digest);
        let written = whole_file::write(
            folder,
            &self.name,
            &encoder.finish(),
            mode,
            Durability::Fast,
        );
        if let Err(error) = written {
            tracing::debug!(%error, "cannot remember a digest");
        }
    }
}

/// The digest in a memo of this name, if it can be read.
pub(super) fn digest_in(folder: &OwnedFd, name: &str) -> Option<Digest> {
    let memo = whole_file::read(folder, name, MOST_BYTES)?;
    let mut decoder = Decoder::new(&memo, MARK)?;
    decoder.list(Decoder::signed)?;
    decoder.digest()
}
