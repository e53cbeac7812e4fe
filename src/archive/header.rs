//! One entry as the central directory describes it.

use super::entry::{Entry, MAX_TARGET_BYTES, Method};
use super::records::{DirectoryHeader, Extra, Fields, contains_signature, flag};
use super::rules::BrokenRule;
use crate::entry::Kind;
use crate::path::{EntryName, JudgedName, NameError};
use crate::timestamp::Timestamp;

/// Deflate turns a byte into at most 1032 (zlib's *Technical Details*, "maximum compression factor").
const MAX_RATIO: u64 = 1032;

/// Judges one central directory header. Harmless rules that it breaks are appended to `broken`.
pub(super) fn judge_header(
    header: &DirectoryHeader<'_>,
    prepended_bytes: u64,
    directory_offset: u64,
    broken: &mut Vec<BrokenRule>,
) -> Result<Entry, BrokenRule> {
    let name = EntryName(header.name).judge()?;
    if header.flags & flag::UTF8 != 0 && std::str::from_utf8(header.name).is_err() {
        return Err(BrokenRule::Name(NameError::NotUtf8));
    }
    if contains_signature(header.comment) {
        return Err(BrokenRule::SignatureInComment);
    }
    if header.flags & (flag::ENCRYPTED | flag::STRONG_ENCRYPTION | flag::MASKED_HEADER) != 0
        || header.method == 99
    {
        return Err(BrokenRule::Encrypted);
    }
    if header.flags & flag::PATCH_DATA != 0 {
        return Err(BrokenRule::PatchData);
    }
    let method = match header.method {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => return Err(BrokenRule::Method(other)),
    };
    let extra = Extra::parse(header.extra).map_err(BrokenRule::ExtraFields)?;
    judge_unicode_name(header.name, extra.unicode_path)?;
    let sizes = Sizes::of_directory(header, extra.zip64).map_err(BrokenRule::Zip64)?;
    let (kind, unix_mode) = judge_kind(header, name, broken)?;
    if kind != Kind::Directory && name.components().next().is_none() {
        return Err(BrokenRule::RootNotDirectory);
    }
    let (compressed, uncompressed) = (sizes.compressed, sizes.uncompressed);
    match method {
        // An empty deflate stream of two bytes is what some writers keep for a directory.
        Method::Deflated if kind == Kind::Directory && uncompressed == 0 && compressed == 2 => {}
        _ if kind == Kind::Directory && (uncompressed != 0 || compressed != 0) => {
            return Err(BrokenRule::DirectoryWithData);
        }
        Method::Stored if compressed != uncompressed => {
            return Err(BrokenRule::StoredSizes {
                compressed,
                uncompressed,
            });
        }
        Method::Deflated
            if uncompressed
                > compressed
                    .saturating_mul(MAX_RATIO)
                    .saturating_add(MAX_RATIO) =>
        {
            return Err(BrokenRule::Ratio {
                compressed,
                uncompressed,
            });
        }
        Method::Stored | Method::Deflated => {}
    }
    if kind == Kind::Symlink {
        if uncompressed == 0 {
            return Err(BrokenRule::EmptyTarget);
        }
        if uncompressed > MAX_TARGET_BYTES {
            return Err(BrokenRule::TargetTooLong(uncompressed));
        }
    }
    let header_offset = sizes
        .header_offset
        .checked_add(prepended_bytes)
        .filter(|&offset| offset < directory_offset)
        .ok_or(BrokenRule::BeyondEntries)?;
    let dos_time = Timestamp::from_dos(header.date, header.time);
    Ok(Entry {
        name_start: 0,
        // A name in the directory is at most 65,535 bytes long by its format.
        name_bytes: u16::try_from(header.name.len()).unwrap_or(u16::MAX),
        flags: header.flags,
        unix_mode,
        kind,
        method,
        crc32: header.crc32,
        modified: extra.modified.map_or(dos_time, |seconds| {
            Timestamp::from_extended(seconds, dos_time)
        }),
        compressed_bytes: compressed,
        uncompressed_bytes: uncompressed,
        header_offset,
        boundary: header_offset,
    })
}

/// Hosts whose attributes hold a Unix mode in their high half (APPNOTE 4.4.2.2).
const UNIX: u8 = 3;
const MACOS: u8 = 19;

/// What the entry is, and its mode if it has one.
fn judge_kind(
    header: &DirectoryHeader<'_>,
    name: JudgedName<'_>,
    broken: &mut Vec<BrokenRule>,
) -> Result<(Kind, Option<u16>), BrokenRule> {
    const DOS_DIRECTORY: u32 = 0x10;
    let unix_mode = (header.attributes >> 16) as u16;
    let is_unix = matches!(header.host, UNIX | MACOS);
    let has_slash = name.is_directory_name();
    let type_bits = match unix_mode & 0o170_000 {
        0 => None,
        0o040_000 => Some(Kind::Directory),
        0o100_000 => Some(Kind::File),
        0o120_000 => Some(Kind::Symlink),
        other if is_unix => {
            return Err(BrokenRule::SpecialFile(match other {
                0o010_000 => "FIFO",
                0o020_000 => "character device",
                0o060_000 => "block device",
                0o140_000 => "socket",
                _ => "file of an unknown type",
            }));
        }
        _ => None,
    };
    if !is_unix {
        let kind = if has_slash {
            Kind::Directory
        } else {
            Kind::File
        };
        if !has_slash && header.attributes & DOS_DIRECTORY != 0 {
            broken.push(BrokenRule::DirectoryWithoutSlash);
            return Ok((Kind::Directory, None));
        }
        // Other hosts' high bits count where they cannot be anything but a mode: they form the kind that the name has.
        return Ok((kind, (type_bits == Some(kind)).then_some(unix_mode)));
    }
    let kind = match (type_bits, has_slash) {
        (Some(Kind::Symlink), true) => return Err(BrokenRule::SymlinkWithSlash),
        (Some(Kind::File), true) => {
            broken.push(BrokenRule::FileWithSlash);
            Kind::Directory
        }
        (_, true) => Kind::Directory,
        (Some(Kind::Symlink), false) => Kind::Symlink,
        (Some(Kind::Directory), false) => {
            broken.push(BrokenRule::DirectoryWithoutSlash);
            Kind::Directory
        }
        (Some(Kind::File) | None, false) if header.attributes & DOS_DIRECTORY != 0 => {
            broken.push(BrokenRule::DirectoryWithoutSlash);
            Kind::Directory
        }
        (Some(Kind::File) | None, false) => Kind::File,
    };
    Ok((kind, (unix_mode != 0).then_some(unix_mode)))
}

/// Info-ZIP's Unicode path extra field (APPNOTE 4.6.9): version 1, CRC-32 of the plain name, the name in UTF-8. One whose
/// CRC is stale is ignored, as the format demands; a current one must give the plain name, or readers would differ.
pub(super) fn judge_unicode_name(name: &[u8], field: Option<&[u8]>) -> Result<(), BrokenRule> {
    let Some([1, crc32 @ ..]) = field else {
        return Ok(());
    };
    let Some((crc32, unicode)) = crc32.split_first_chunk() else {
        return Ok(());
    };
    if u32::from_le_bytes(*crc32) == crc32_of(name) && unicode != name {
        return Err(BrokenRule::UnicodeName);
    }
    Ok(())
}

/// CRC-32 (IEEE 802.3) of a few bytes; data goes through the faster one beside the decoder.
fn crc32_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                crc >> 1 ^ 0xedb8_8320
            }
        })
    })
}

/// The sizes and the place of an entry, from the 32-bit fields and the zip64 extra field (APPNOTE 4.5.3).
struct Sizes {
    compressed: u64,
    uncompressed: u64,
    header_offset: u64,
}

impl Sizes {
    fn of_directory(
        header: &DirectoryHeader<'_>,
        zip64: Option<&[u8]>,
    ) -> Result<Self, &'static str> {
        let short = [
            header.uncompressed_bytes,
            header.compressed_bytes,
            header.header_offset,
        ];
        let has_long_disk = header.disk == 0xffff;
        let [uncompressed, compressed, header_offset] = widen(short, has_long_disk, zip64)?;
        if header.disk != 0
            && !(has_long_disk && zip64.is_some_and(|field| field.ends_with(&[0; 4])))
        {
            return Err("it lies on another disk");
        }
        Ok(Self {
            compressed,
            uncompressed,
            header_offset,
        })
    }
}

/// Replaces every saturated 32-bit value by the next 64-bit one of the zip64 field. A field that repeats values which were
/// not saturated is accepted where all readers agree on it: all values, in order, equal.
pub(super) fn widen<const N: usize>(
    short: [u32; N],
    has_long_disk: bool,
    zip64: Option<&[u8]>,
) -> Result<[u64; N], &'static str> {
    let mut long = short.map(u64::from);
    let Some(field) = zip64 else { return Ok(long) };
    let mut fields = Fields(field);
    let asked = short.iter().filter(|&&value| value == u32::MAX).count();
    let exact = asked * 8 + if has_long_disk { 4 } else { 0 };
    if field.len() == exact {
        for (long, _) in long
            .iter_mut()
            .zip(short)
            .filter(|(_, short)| *short == u32::MAX)
        {
            *long = fields.u64().ok_or("the zip64 field is too short")?;
        }
        return Ok(long);
    }
    // All saturated values come first in the field's order, so that a reader who takes only those reads the same.
    if short.iter().skip(asked).any(|&value| value == u32::MAX) || field.len() < exact {
        return Err("the zip64 field holds other values than were asked for");
    }
    for (long, short) in long.iter_mut().zip(short) {
        let Some(value) = fields.u64() else { break };
        if short != u32::MAX && u64::from(short) != value {
            return Err("the zip64 field repeats a size with another value");
        }
        *long = value;
    }
    if fields.0.is_empty() || fields.0 == [0; 4] {
        Ok(long)
    } else {
        Err("the zip64 field is longer than its values")
    }
}
