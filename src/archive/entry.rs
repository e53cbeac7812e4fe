//! One entry of an archive, as it is known from the central directory.

use crate::entry::{Kind, Object};
use crate::timestamp::Timestamp;

/// Bytes of a link's target, `PATH_MAX` without the final NUL: `symlink(2)` takes no more.
pub const MAX_TARGET_BYTES: u64 = 4095;

/// How an entry's data is kept (APPNOTE 4.4.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// As it is.
    Stored,
    /// Deflated (RFC 1951).
    Deflated,
}

/// One entry of an archive, judged from the central directory alone.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    pub(super) name_start: u32,
    pub(super) name_bytes: u16,
    pub(super) flags: u16,
    /// The attributes' high half as they stand there, type bits included; `None` where the writing host's mean nothing.
    pub unix_mode: Option<u16>,
    /// What it is.
    pub kind: Kind,
    /// How its data is kept.
    pub method: Method,
    /// CRC-32 of the data, as stated.
    pub crc32: u32,
    /// When it was modified.
    pub modified: Timestamp,
    /// Bytes of its data as kept in the archive.
    pub compressed_bytes: u64,
    /// Bytes of its data.
    pub uncompressed_bytes: u64,
    /// Where its local header begins, counted from the start of the file.
    pub header_offset: u64,
    /// Where the next entry's local header, or the central directory, begins.
    pub boundary: u64,
}

impl Entry {
    /// Where in [`Archive::directory`] the name stands, and its length.
    pub(crate) fn name_place(&self) -> (usize, usize) {
        (self.name_start as usize, self.name_bytes.into())
    }

    /// The object that the entry makes.
    pub const fn object(&self) -> Object {
        Object::new(
            self.kind,
            self.unix_mode,
            self.modified,
            self.uncompressed_bytes,
            Some(self.crc32),
        )
    }
}
