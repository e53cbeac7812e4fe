//! Builds zip archives and writes every byte of them itself, so that odd and hostile ones can be built as easily as good ones.
//!
//! ```text
//! archive([
//!     directory("bin/"),
//!     file("bin/tool", b"#!/bin/sh\n").mode(0o755).deflated(),
//!     link("bin/alias", "tool"),
//! ])
//! .comment("made by hand")
//! ```
//!
//! What is not said is what a good archiver would write. What is said is written, right or wrong: `in_local`, `in_central` and
//! `in_end` put any value into any field of one header and leave everything else as it was.

use std::io::Write as _;

/// The archive was made on MS-DOS or by something that says so.
pub(crate) const FAT: u8 = 0;
/// The archive was made on Unix.
pub(crate) const UNIX: u8 = 3;
/// The archive was made on Windows NT.
pub(crate) const NTFS: u8 = 10;
/// The archive was made on macOS.
pub(crate) const MACOS: u8 = 19;

/// The type bits of a regular file in `st_mode`.
pub(crate) const S_IFREG: u32 = 0o100_000;
/// The type bits of a directory.
pub(crate) const S_IFDIR: u32 = 0o040_000;
/// The type bits of a symbolic link.
pub(crate) const S_IFLNK: u32 = 0o120_000;
/// The type bits of a FIFO.
pub(crate) const S_IFIFO: u32 = 0o010_000;

/// General purpose bit 0: encrypted.
pub(crate) const ENCRYPTED: u16 = 1;
/// General purpose bit 3: sizes and CRC follow the data.
pub(crate) const DESCRIPTOR: u16 = 1 << 3;
/// General purpose bit 11: the name is UTF-8.
pub(crate) const UTF8: u16 = 1 << 11;

/// The DOS date and time that entries have unless told otherwise: 2024-01-02 03:04:06.
pub(crate) const USUAL_TIME: (u16, u16) = dos(2024, 1, 2, 3, 4, 6);
/// The same in seconds since 1970, read as UTC.
pub(crate) const USUAL_SECONDS: i64 = 1_704_164_646;

/// A date and a time as MS-DOS packs them, `(date, time)`; nothing is checked, so that impossible ones can be packed too.
pub(crate) const fn dos(
    year: u16,
    month: u16,
    day: u16,
    hour: u16,
    minute: u16,
    second: u16,
) -> (u16, u16) {
    (
        ((year - 1980) << 9) | (month << 5) | day,
        (hour << 11) | (minute << 5) | (second / 2),
    )
}

/// A field of a header or of an end record, for overriding it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field {
    Signature,
    MadeBy,
    Needed,
    Flags,
    Method,
    Time,
    Date,
    Crc,
    CompressedSize,
    Size,
    NameLength,
    ExtraLength,
    CommentLength,
    Disk,
    InternalAttributes,
    ExternalAttributes,
    Offset,
    /// Of the end records: the disk on which the central directory starts.
    DirectoryDisk,
    /// Of the end records: entries on this disk.
    EntriesHere,
    /// Of the end records: entries in all.
    Entries,
    DirectorySize,
    DirectoryOffset,
    /// Of the zip64 end record: its own size, without the first twelve bytes.
    RecordSize,
    /// Of the zip64 locator: where the zip64 end record is.
    RecordOffset,
}

/// Whether and how sizes and CRC are repeated behind the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Descriptor {
    None,
    Signed,
    Unsigned,
    /// With sizes of 64 bits, whatever the rest of the entry has.
    SignedLong,
    /// The same without a signature.
    UnsignedLong,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Compression {
    Stored,
    Deflated,
}

/// One entry to be written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    content: Vec<u8>,
    /// The type bits.
    kind: u32,
    /// The permission bits; without them the high half of the external attributes is zero.
    mode: Option<u32>,
    host: u8,
    compression: Compression,
    dos: (u16, u16),
    extended: Option<i32>,
    set: u16,
    cleared: u16,
    descriptor: Descriptor,
    comment: Vec<u8>,
    zip64: bool,
    extra_local: Vec<u8>,
    extra_central: Vec<u8>,
    local_name: Option<Vec<u8>>,
    raw_data: Option<Vec<u8>>,
    gap_before: Vec<u8>,
    gap_after: Vec<u8>,
    in_local: Vec<(Field, u64)>,
    in_central: Vec<(Field, u64)>,
    in_descriptor: Vec<(Field, u64)>,
    has_local: bool,
    has_central: bool,
}

/// A regular file, mode 0644, stored.
pub(crate) fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Entry {
    Entry::new(name.as_ref(), content.as_ref(), S_IFREG, 0o644)
}

/// A directory, mode 0755. The name is written as given: the trailing slash is the caller's.
pub(crate) fn directory(name: impl AsRef<[u8]>) -> Entry {
    Entry::new(name.as_ref(), b"", S_IFDIR, 0o755)
}

/// A symbolic link, as Info-ZIP writes it: the target is the content.
pub(crate) fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    Entry::new(name.as_ref(), target.as_ref(), S_IFLNK, 0o777)
}

impl Entry {
    fn new(name: &[u8], content: &[u8], kind: u32, mode: u32) -> Self {
        Self {
            name: name.to_vec(),
            content: content.to_vec(),
            kind,
            mode: Some(mode),
            host: UNIX,
            compression: Compression::Stored,
            dos: USUAL_TIME,
            extended: None,
            set: 0,
            cleared: 0,
            descriptor: Descriptor::None,
            comment: Vec::new(),
            zip64: false,
            extra_local: Vec::new(),
            extra_central: Vec::new(),
            local_name: None,
            raw_data: None,
            gap_before: Vec::new(),
            gap_after: Vec::new(),
            in_local: Vec::new(),
            in_central: Vec::new(),
            in_descriptor: Vec::new(),
            has_local: true,
            has_central: true,
        }
    }

    /// The twelve low bits of the Unix mode.
    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// No Unix mode and no type bits at all, as many Windows tools and libraries write.
    pub(crate) fn without_mode(mut self) -> Self {
        self.mode = None;
        self
    }

    /// Other type bits: a FIFO, or zero.
    pub(crate) fn kind(mut self, bits: u32) -> Self {
        self.kind = bits;
        self
    }

    /// The system that the entry claims to have been made on.
    pub(crate) fn host(mut self, host: u8) -> Self {
        self.host = host;
        self
    }

    /// The content deflated.
    pub(crate) fn deflated(mut self) -> Self {
        self.compression = Compression::Deflated;
        self
    }

    /// These bytes as the entry's data instead of the (compressed) content; sizes follow, the CRC stays that of the content.
    pub(crate) fn raw_data(mut self, data: impl AsRef<[u8]>) -> Self {
        self.raw_data = Some(data.as_ref().to_vec());
        self
    }

    /// The DOS date and time, made with [`dos`] or raw.
    pub(crate) fn dos(mut self, (date, time): (u16, u16)) -> Self {
        self.dos = (date, time);
        self
    }

    /// An extended timestamp (0x5455) with the modification time in seconds since 1970, in both headers.
    pub(crate) fn extended(mut self, seconds: i32) -> Self {
        self.extended = Some(seconds);
        self
    }

    /// General purpose bits set in both headers, besides those that the entry needs.
    pub(crate) fn flag(mut self, bits: u16) -> Self {
        self.set |= bits;
        self
    }

    /// General purpose bits cleared in both headers, although the entry needs them.
    pub(crate) fn without_flag(mut self, bits: u16) -> Self {
        self.cleared |= bits;
        self
    }

    /// Sizes and CRC behind the data, zeros in the local header.
    pub(crate) fn descriptor(mut self, descriptor: Descriptor) -> Self {
        self.descriptor = descriptor;
        self
    }

    /// A comment in the central directory.
    pub(crate) fn comment(mut self, comment: impl AsRef<[u8]>) -> Self {
        self.comment = comment.as_ref().to_vec();
        self
    }

    /// Sizes and offset in zip64 fields, the 32-bit ones saturated.
    pub(crate) fn zip64(mut self) -> Self {
        self.zip64 = true;
        self
    }

    /// An extra field in both headers.
    pub(crate) fn extra(self, id: u16, data: impl AsRef<[u8]>) -> Self {
        let field = extra(id, data.as_ref());
        self.local_extra(&field).central_extra(&field)
    }

    /// Raw bytes at the end of the local header's extra fields.
    pub(crate) fn local_extra(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.extra_local.extend_from_slice(bytes.as_ref());
        self
    }

    /// Raw bytes at the end of the central header's extra fields.
    pub(crate) fn central_extra(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.extra_central.extend_from_slice(bytes.as_ref());
        self
    }

    /// Another name in the local header.
    pub(crate) fn local_name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.local_name = Some(name.as_ref().to_vec());
        self
    }

    /// Bytes that belong to nothing, before the local header.
    pub(crate) fn gap_before(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.gap_before = bytes.as_ref().to_vec();
        self
    }

    /// Bytes that belong to nothing, behind the data and its descriptor.
    pub(crate) fn gap_after(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.gap_after = bytes.as_ref().to_vec();
        self
    }

    /// This value in this field of the local header.
    pub(crate) fn in_local(mut self, field: Field, value: u64) -> Self {
        self.in_local.push((field, value));
        self
    }

    /// This value in this field of the central header.
    pub(crate) fn in_central(mut self, field: Field, value: u64) -> Self {
        self.in_central.push((field, value));
        self
    }

    /// This value in this field of both headers.
    pub(crate) fn in_both(self, field: Field, value: u64) -> Self {
        self.in_local(field, value).in_central(field, value)
    }

    /// This value in this field of the data descriptor.
    pub(crate) fn in_descriptor(mut self, field: Field, value: u64) -> Self {
        self.in_descriptor.push((field, value));
        self
    }

    /// Not listed in the central directory.
    pub(crate) fn only_local(mut self) -> Self {
        self.has_central = false;
        self
    }

    /// Listed in the central directory, with the offset of where the local header would be.
    pub(crate) fn only_central(mut self) -> Self {
        self.has_local = false;
        self
    }

    fn flags(&self) -> u16 {
        let named = if !self.name.is_ascii() && std::str::from_utf8(&self.name).is_ok() {
            UTF8
        } else {
            0
        };
        let described = if self.descriptor == Descriptor::None {
            0
        } else {
            DESCRIPTOR
        };
        (named | described | self.set) & !self.cleared
    }

    fn data(&self) -> Vec<u8> {
        match (&self.raw_data, self.compression) {
            (Some(data), _) => data.clone(),
            (None, Compression::Stored) => self.content.clone(),
            (None, Compression::Deflated) => deflate(&self.content),
        }
    }

    fn method(&self) -> u64 {
        match self.compression {
            Compression::Stored => 0,
            Compression::Deflated => 8,
        }
    }

    fn external_attributes(&self) -> u64 {
        let dos_directory = if self.kind == S_IFDIR { 0x10 } else { 0 };
        let unix = self.mode.map_or(0, |mode| (self.kind | mode) << 16);
        u64::from(unix | dos_directory)
    }

    fn timestamp(&self) -> Vec<u8> {
        self.extended.map_or_else(Vec::new, |seconds| {
            let mut data = vec![1];
            data.extend_from_slice(&seconds.to_le_bytes());
            extra(0x5455, &data)
        })
    }
}

/// An extra field: its id, its length, its data.
pub(crate) fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    let mut field = id.to_le_bytes().to_vec();
    field.extend_from_slice(&number::<u16>(data.len()).to_le_bytes());
    field.extend_from_slice(data);
    field
}

/// A raw deflate stream of these bytes.
pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(content)
        .expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// The CRC-32 of these bytes.
pub(crate) fn crc32(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

/// An archive to be written.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    entries: Vec<Entry>,
    comment: Vec<u8>,
    prefix: Vec<u8>,
    prefix_is_counted: bool,
    gap_before_directory: Vec<u8>,
    is_directory_reversed: bool,
    behind_directory: Vec<u8>,
    behind_record: Vec<u8>,
    suffix: Vec<u8>,
    zip64: bool,
    in_end: Vec<(Field, u64)>,
    in_end64: Vec<(Field, u64)>,
    in_locator: Vec<(Field, u64)>,
}

/// An archive of these entries, in this order.
pub(crate) fn archive(entries: impl IntoIterator<Item = Entry>) -> Archive {
    Archive {
        entries: entries.into_iter().collect(),
        comment: Vec::new(),
        prefix: Vec::new(),
        prefix_is_counted: false,
        gap_before_directory: Vec::new(),
        is_directory_reversed: false,
        behind_directory: Vec::new(),
        behind_record: Vec::new(),
        suffix: Vec::new(),
        zip64: false,
        in_end: Vec::new(),
        in_end64: Vec::new(),
        in_locator: Vec::new(),
    }
}

impl Archive {
    /// A comment at the end.
    pub(crate) fn comment(mut self, comment: impl AsRef<[u8]>) -> Self {
        self.comment = comment.as_ref().to_vec();
        self
    }

    /// Bytes before the first entry that no offset counts, as when something is put in front of a finished archive.
    pub(crate) fn prefix(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.prefix = bytes.as_ref().to_vec();
        self.prefix_is_counted = false;
        self
    }

    /// Bytes before the first entry that all offsets count, as in a self-extracting archive.
    pub(crate) fn counted_prefix(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.prefix = bytes.as_ref().to_vec();
        self.prefix_is_counted = true;
        self
    }

    /// Bytes between the last entry and the central directory.
    pub(crate) fn gap_before_directory(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.gap_before_directory = bytes.as_ref().to_vec();
        self
    }

    /// The entries in the central directory in the opposite order of their local headers.
    pub(crate) fn directory_reversed(mut self) -> Self {
        self.is_directory_reversed = true;
        self
    }

    /// Bytes behind the last entry of the central directory that count as part of it: a digital signature, or junk.
    pub(crate) fn behind_directory(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.behind_directory = bytes.as_ref().to_vec();
        self
    }

    /// Bytes between the zip64 end record and its locator.
    pub(crate) fn behind_record(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.behind_record = bytes.as_ref().to_vec();
        self
    }

    /// Bytes behind the end record and its comment.
    pub(crate) fn suffix(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.suffix = bytes.as_ref().to_vec();
        self
    }

    /// A zip64 end record and its locator, the 32-bit fields of the end record saturated.
    pub(crate) fn zip64(mut self) -> Self {
        self.zip64 = true;
        self
    }

    /// This value in this field of the end record.
    pub(crate) fn in_end(mut self, field: Field, value: u64) -> Self {
        self.in_end.push((field, value));
        self
    }

    /// This value in this field of the zip64 end record.
    pub(crate) fn in_end64(mut self, field: Field, value: u64) -> Self {
        self.in_end64.push((field, value));
        self
    }

    /// This value in this field of the zip64 locator.
    pub(crate) fn in_locator(mut self, field: Field, value: u64) -> Self {
        self.in_locator.push((field, value));
        self
    }

    /// The archive's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.prefix.clone();
        let uncounted = if self.prefix_is_counted {
            0
        } else {
            self.prefix.len()
        };
        let mut headers = Vec::new();
        for entry in &self.entries {
            out.extend_from_slice(&entry.gap_before);
            let offset = number(out.len() - uncounted);
            if entry.has_local {
                write_local(&mut out, entry);
            }
            out.extend_from_slice(&entry.gap_after);
            if entry.has_central {
                let mut header = Vec::new();
                write_central(&mut header, entry, offset);
                headers.push(header);
            }
        }
        if self.is_directory_reversed {
            headers.reverse();
        }
        let listed = number(headers.len());
        let mut central = headers.concat();
        central.extend_from_slice(&self.behind_directory);
        out.extend_from_slice(&self.gap_before_directory);
        let directory = number(out.len() - uncounted);
        out.extend_from_slice(&central);
        self.write_end(
            &mut out,
            uncounted,
            listed,
            number(central.len()),
            directory,
        );
        out.extend_from_slice(&self.suffix);
        out
    }

    fn write_end(&self, out: &mut Vec<u8>, uncounted: usize, listed: u64, size: u64, offset: u64) {
        if self.zip64 {
            let record = number(out.len() - uncounted);
            put(
                out,
                &[
                    (Field::Signature, 4, 0x0606_4b50),
                    (Field::RecordSize, 8, 44),
                    (Field::MadeBy, 2, u64::from(UNIX) << 8 | 0x2d),
                    (Field::Needed, 2, 45),
                    (Field::Disk, 4, 0),
                    (Field::DirectoryDisk, 4, 0),
                    (Field::EntriesHere, 8, listed),
                    (Field::Entries, 8, listed),
                    (Field::DirectorySize, 8, size),
                    (Field::DirectoryOffset, 8, offset),
                ],
                &self.in_end64,
            );
            out.extend_from_slice(&self.behind_record);
            put(
                out,
                &[
                    (Field::Signature, 4, 0x0706_4b50),
                    (Field::DirectoryDisk, 4, 0),
                    (Field::RecordOffset, 8, record),
                    (Field::Disk, 4, 1),
                ],
                &self.in_locator,
            );
        }
        let or_full = |value, full| if self.zip64 { full } else { value };
        put(
            out,
            &[
                (Field::Signature, 4, 0x0605_4b50),
                (Field::Disk, 2, 0),
                (Field::DirectoryDisk, 2, 0),
                (Field::EntriesHere, 2, or_full(listed, 0xffff)),
                (Field::Entries, 2, or_full(listed, 0xffff)),
                (Field::DirectorySize, 4, or_full(size, 0xffff_ffff)),
                (Field::DirectoryOffset, 4, or_full(offset, 0xffff_ffff)),
                (Field::CommentLength, 2, number(self.comment.len())),
            ],
            &self.in_end,
        );
        out.extend_from_slice(&self.comment);
    }
}

fn write_local(out: &mut Vec<u8>, entry: &Entry) {
    let data = entry.data();
    let (crc, compressed, size) = described(entry, &data);
    let is_described = entry.descriptor != Descriptor::None;
    let mut extras = entry.timestamp();
    if entry.zip64 {
        let mut sizes = Vec::new();
        for value in [size, compressed] {
            sizes.extend_from_slice(&if is_described { 0 } else { value }.to_le_bytes());
        }
        extras.extend(extra(1, &sizes));
    }
    extras.extend_from_slice(&entry.extra_local);
    let name = entry.local_name.as_ref().unwrap_or(&entry.name);
    let field = |value| match (entry.zip64, is_described) {
        (true, _) => 0xffff_ffff,
        (false, true) => 0,
        (false, false) => value,
    };
    put(
        out,
        &[
            (Field::Signature, 4, 0x0403_4b50),
            (Field::Needed, 2, if entry.zip64 { 45 } else { 20 }),
            (Field::Flags, 2, u64::from(entry.flags())),
            (Field::Method, 2, entry.method()),
            (Field::Time, 2, u64::from(entry.dos.1)),
            (Field::Date, 2, u64::from(entry.dos.0)),
            (Field::Crc, 4, if is_described { 0 } else { crc }),
            (Field::CompressedSize, 4, field(compressed)),
            (Field::Size, 4, field(size)),
            (Field::NameLength, 2, number(name.len())),
            (Field::ExtraLength, 2, number(extras.len())),
        ],
        &entry.in_local,
    );
    out.extend_from_slice(name);
    out.extend_from_slice(&extras);
    out.extend_from_slice(&data);
    let is_long = matches!(
        entry.descriptor,
        Descriptor::SignedLong | Descriptor::UnsignedLong
    );
    let width = if entry.zip64 || is_long { 8 } else { 4 };
    let values = [
        (Field::Signature, 4, 0x0807_4b50),
        (Field::Crc, 4, crc),
        (Field::CompressedSize, width, compressed),
        (Field::Size, width, size),
    ];
    match entry.descriptor {
        Descriptor::None => {}
        Descriptor::Signed | Descriptor::SignedLong => put(out, &values, &entry.in_descriptor),
        Descriptor::Unsigned | Descriptor::UnsignedLong => {
            put(out, &values[1..], &entry.in_descriptor);
        }
    }
}

fn write_central(out: &mut Vec<u8>, entry: &Entry, offset: u64) {
    let data = entry.data();
    let (crc, compressed, size) = described(entry, &data);
    let mut extras = entry.timestamp();
    if entry.zip64 {
        let mut values = Vec::new();
        for value in [size, compressed, offset] {
            values.extend_from_slice(&value.to_le_bytes());
        }
        extras.extend(extra(1, &values));
    }
    extras.extend_from_slice(&entry.extra_central);
    let field = |value| if entry.zip64 { 0xffff_ffff } else { value };
    let version = if entry.zip64 { 45 } else { 20 };
    put(
        out,
        &[
            (Field::Signature, 4, 0x0201_4b50),
            (Field::MadeBy, 2, u64::from(entry.host) << 8 | version),
            (Field::Needed, 2, version),
            (Field::Flags, 2, u64::from(entry.flags())),
            (Field::Method, 2, entry.method()),
            (Field::Time, 2, u64::from(entry.dos.1)),
            (Field::Date, 2, u64::from(entry.dos.0)),
            (Field::Crc, 4, crc),
            (Field::CompressedSize, 4, field(compressed)),
            (Field::Size, 4, field(size)),
            (Field::NameLength, 2, number(entry.name.len())),
            (Field::ExtraLength, 2, number(extras.len())),
            (Field::CommentLength, 2, number(entry.comment.len())),
            (Field::Disk, 2, 0),
            (Field::InternalAttributes, 2, 0),
            (Field::ExternalAttributes, 4, entry.external_attributes()),
            (Field::Offset, 4, field(offset)),
        ],
        &entry.in_central,
    );
    out.extend_from_slice(&entry.name);
    out.extend_from_slice(&extras);
    out.extend_from_slice(&entry.comment);
}

/// CRC, compressed size and size, as a good archiver would write them.
fn described(entry: &Entry, data: &[u8]) -> (u64, u64, u64) {
    (
        u64::from(crc32(&entry.content)),
        number(data.len()),
        number(entry.content.len()),
    )
}

/// Writes a record: each field little-endian in its width, overridden values in place of the true ones.
fn put(out: &mut Vec<u8>, fields: &[(Field, usize, u64)], overrides: &[(Field, u64)]) {
    for &(field, width, value) in fields {
        let value = overrides
            .iter()
            .rev()
            .find(|(overridden, _)| *overridden == field)
            .map_or(value, |&(_, value)| value);
        out.extend_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// A length as the field's type; no test builds an archive that is too large for it.
fn number<T: TryFrom<usize>>(length: usize) -> T {
    T::try_from(length)
        .ok()
        .expect("a length that fits its field")
}
