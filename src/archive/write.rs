//! Writes the records of an archive that every reader reads alike.
//!
//! Sizes and checksums stand in the local headers: no data descriptor is needed, so that the archive can be read as a stream
//! too. Entries are made on Unix, with mode and type bits; the exact time stands in an extended timestamp beside the DOS time.
//! Zip64 fields appear only where a number does not fit.

use super::entry::Method;
use super::records::{
    DIRECTORY_HEADER, DIRECTORY_HEADER_BYTES, END_RECORD, LOCAL_HEADER, LOCAL_HEADER_BYTES,
    ZIP64_END_RECORD, ZIP64_END_RECORD_BYTES, ZIP64_LOCATOR, extra, flag,
};
use crate::entry::{Kind, Mode};
use crate::timestamp::Timestamp;

/// Version of the format that is needed to extract (APPNOTE 4.4.3): 2.0 for deflate and directories, 4.5 for zip64.
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// The host in "version made by" whose attributes hold a mode (4.4.2.2).
const UNIX: u16 = 3;
/// The MS-DOS attribute of a directory, which readers on other systems look at.
const DOS_DIRECTORY: u32 = 0x10;
/// From this size on an entry's sizes are written with 64 bits, whatever it is compressed to: a header has the same length
/// before its data is there. What deflate adds to data that it cannot compress stays below the distance to 4 GiB.
const LARGE_BYTES: u64 = 0xff00_0000;

/// An entry that is to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewEntry<'a> {
    /// The path from the root; a directory's ends in `/`. At most 65,535 bytes, which every judged name is below.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: Mode,
    /// When it was modified.
    pub modified: Timestamp,
    /// How its data is kept.
    pub method: Method,
    /// CRC-32 of its data.
    pub crc32: u32,
    /// Bytes of its data as kept in the archive.
    pub compressed_bytes: u64,
    /// Bytes of its data.
    pub uncompressed_bytes: u64,
}

impl NewEntry<'_> {
    fn is_large(&self) -> bool {
        self.uncompressed_bytes >= LARGE_BYTES || self.compressed_bytes >= u64::from(u32::MAX)
    }

    /// The local header, with what stands between it and the data. Its length does not depend on checksum and compressed
    /// size, so that it can be written over once these are known.
    pub fn local_header(&self) -> Vec<u8> {
        let is_large = self.is_large();
        let mut extra = self.timestamp();
        if is_large {
            // In a local header both sizes must be there (4.5.3).
            put_u16(&mut extra, extra::ZIP64);
            put_u16(&mut extra, 16);
            put_u64(&mut extra, self.uncompressed_bytes);
            put_u64(&mut extra, self.compressed_bytes);
        }
        let mut header = Vec::with_capacity(LOCAL_HEADER_BYTES + self.name.len() + extra.len());
        put_u32(&mut header, LOCAL_HEADER);
        self.put_common(&mut header, is_large);
        put_u32(&mut header, self.short(self.compressed_bytes));
        put_u32(&mut header, self.short(self.uncompressed_bytes));
        put_u16(&mut header, length(self.name));
        put_u16(&mut header, length(&extra));
        header.extend_from_slice(self.name);
        header.append(&mut extra);
        header
    }

    /// The header in the central directory, of an entry whose local header stands at `offset`.
    fn directory_header(&self, offset: u64, directory: &mut Vec<u8>) {
        let is_large = self.is_large();
        let is_far = offset >= u64::from(u32::MAX);
        let mut extra = self.timestamp();
        if is_large || is_far {
            put_u16(&mut extra, extra::ZIP64);
            put_u16(
                &mut extra,
                if is_large { 16 } else { 0 } + if is_far { 8 } else { 0 },
            );
        }
        if is_large {
            put_u64(&mut extra, self.uncompressed_bytes);
            put_u64(&mut extra, self.compressed_bytes);
        }
        if is_far {
            put_u64(&mut extra, offset);
        }
        let (type_bits, attributes) = match self.kind {
            Kind::Directory => (0o040_000, DOS_DIRECTORY),
            Kind::File => (0o100_000, 0),
            Kind::Symlink => (0o120_000, 0),
        };
        let unix_mode = u32::from(type_bits | self.mode.bits());
        directory.reserve(DIRECTORY_HEADER_BYTES + self.name.len() + extra.len());
        put_u32(directory, DIRECTORY_HEADER);
        put_u16(directory, UNIX << 8 | version(is_large || is_far));
        self.put_common(directory, is_large || is_far);
        put_u32(directory, self.short(self.compressed_bytes));
        put_u32(directory, self.short(self.uncompressed_bytes));
        put_u16(directory, length(self.name));
        put_u16(directory, length(&extra));
        // No comment, the first disk, no internal attributes.
        directory.extend_from_slice(&[0; 6]);
        put_u32(directory, unix_mode << 16 | attributes);
        put_u32(directory, saturated(offset));
        directory.extend_from_slice(self.name);
        directory.append(&mut extra);
    }

    /// What both headers have, from the version on to the checksum.
    fn put_common(&self, header: &mut Vec<u8>, is_zip64: bool) {
        let is_utf8 = !self.name.is_ascii() && std::str::from_utf8(self.name).is_ok();
        let (date, time) = self.modified.to_dos();
        put_u16(header, version(is_zip64));
        put_u16(header, if is_utf8 { flag::UTF8 } else { 0 });
        put_u16(header, if self.method == Method::Stored { 0 } else { 8 });
        put_u16(header, time);
        put_u16(header, date);
        put_u32(header, self.crc32);
    }

    /// The time as an extra field, where one can hold it.
    fn timestamp(&self) -> Vec<u8> {
        const HAS_MODIFIED: u8 = 1;
        let mut field = Vec::new();
        if let Some(seconds) = self.modified.to_extended() {
            put_u16(&mut field, extra::EXTENDED_TIMESTAMP);
            put_u16(&mut field, 5);
            field.push(HAS_MODIFIED);
            field.extend_from_slice(&seconds.to_le_bytes());
        }
        field
    }

    fn short(&self, bytes: u64) -> u32 {
        if self.is_large() {
            u32::MAX
        } else {
            saturated(bytes)
        }
    }
}

const fn version(is_zip64: bool) -> u16 {
    if is_zip64 { VERSION_ZIP64 } else { VERSION }
}

/// An archive that is being written: its central directory so far.
#[derive(Debug, Default)]
pub struct ArchiveWriter {
    directory: Vec<u8>,
    offset: u64,
    entries: u64,
}

impl ArchiveWriter {
    /// Where the next local header belongs, counted from the beginning.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// How many entries there are.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Notes the next entry; its local header, which belongs at [`ArchiveWriter::offset`], followed by the compressed data.
    pub fn add(&mut self, entry: &NewEntry<'_>) -> Vec<u8> {
        entry.directory_header(self.offset, &mut self.directory);
        let header = entry.local_header();
        self.offset += header.len() as u64 + entry.compressed_bytes;
        self.entries += 1;
        header
    }

    /// What follows the last entry's data: the central directory and the end records.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.directory;
        let directory_bytes = bytes.len() as u64;
        let short_entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        let is_zip64 = short_entries == u16::MAX
            || directory_bytes >= u64::from(u32::MAX)
            || self.offset >= u64::from(u32::MAX);
        if is_zip64 {
            let record_offset = self.offset + directory_bytes;
            put_u32(&mut bytes, ZIP64_END_RECORD);
            // Without the signature and this field itself.
            put_u64(&mut bytes, ZIP64_END_RECORD_BYTES as u64 - 12);
            put_u16(&mut bytes, UNIX << 8 | VERSION_ZIP64);
            put_u16(&mut bytes, VERSION_ZIP64);
            put_u32(&mut bytes, 0);
            put_u32(&mut bytes, 0);
            for number in [self.entries, self.entries, directory_bytes, self.offset] {
                put_u64(&mut bytes, number);
            }
            put_u32(&mut bytes, ZIP64_LOCATOR);
            put_u32(&mut bytes, 0);
            put_u64(&mut bytes, record_offset);
            put_u32(&mut bytes, 1);
        }
        put_u32(&mut bytes, END_RECORD);
        put_u32(&mut bytes, 0);
        put_u16(&mut bytes, short_entries);
        put_u16(&mut bytes, short_entries);
        put_u32(&mut bytes, saturated(directory_bytes));
        put_u32(&mut bytes, saturated(self.offset));
        put_u16(&mut bytes, 0);
        bytes
    }
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Names and fields are shorter than their format allows.
fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

fn put_u16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend_from_slice(&value.to_le_bytes());
}
