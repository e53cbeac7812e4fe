//! The fixed records of the format, byte by byte, without a judgement beyond "this is one".

/// `PK\x03\x04`, a local file header (APPNOTE 4.3.7).
pub(super) const LOCAL_HEADER: u32 = 0x0403_4b50;
/// `PK\x01\x02`, a central directory header (4.3.12).
pub(super) const DIRECTORY_HEADER: u32 = 0x0201_4b50;
/// `PK\x05\x06`, the end of central directory record (4.3.16).
pub(super) const END_RECORD: u32 = 0x0605_4b50;
/// `PK\x06\x06`, the zip64 end of central directory record (4.3.14).
pub(super) const ZIP64_END_RECORD: u32 = 0x0606_4b50;
/// `PK\x06\x07`, its locator (4.3.15).
pub(super) const ZIP64_LOCATOR: u32 = 0x0706_4b50;
/// `PK\x07\x08`, the optional signature of a data descriptor (4.3.9.3).
pub(super) const DATA_DESCRIPTOR: u32 = 0x0807_4b50;

/// Bytes of a local file header before its name.
pub(super) const LOCAL_HEADER_BYTES: usize = 30;
/// Bytes of a central directory header before its name.
pub(super) const DIRECTORY_HEADER_BYTES: usize = 46;
/// Bytes of an end record before its comment.
pub(super) const END_RECORD_BYTES: usize = 22;
/// Bytes of a zip64 end record without extensible data.
pub(super) const ZIP64_END_RECORD_BYTES: usize = 56;
/// Bytes of a zip64 locator.
pub(super) const ZIP64_LOCATOR_BYTES: usize = 20;

/// General purpose bits (4.4.4).
pub(super) mod flag {
    pub(in super::super) const ENCRYPTED: u16 = 1;
    pub(in super::super) const DATA_DESCRIPTOR: u16 = 1 << 3;
    pub(in super::super) const PATCH_DATA: u16 = 1 << 5;
    pub(in super::super) const STRONG_ENCRYPTION: u16 = 1 << 6;
    pub(in super::super) const UTF8: u16 = 1 << 11;
    pub(in super::super) const MASKED_HEADER: u16 = 1 << 13;
}

/// Identifiers of extra fields (4.5, 4.6).
pub(super) mod extra {
    pub(in super::super) const ZIP64: u16 = 0x0001;
    pub(in super::super) const EXTENDED_TIMESTAMP: u16 = 0x5455;
    pub(in super::super) const UNICODE_PATH: u16 = 0x7075;
}

/// Whether a comment could be taken for a record: `PK` and the second half of a signature.
pub(super) fn contains_signature(comment: &[u8]) -> bool {
    comment.windows(4).any(|window| {
        matches!(
            window,
            [b'P', b'K', 1, 2]
                | [b'P', b'K', 3, 4]
                | [b'P', b'K', 5, 5 | 6]
                | [b'P', b'K', 6, 6 | 7]
        )
    })
}

/// Little-endian fields taken one after the other from a slice; `None` when it is too short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// An end of central directory record.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndRecord<'a> {
    pub(super) disk: u16,
    pub(super) directory_disk: u16,
    pub(super) entries_on_disk: u16,
    pub(super) entries: u16,
    pub(super) directory_bytes: u32,
    pub(super) directory_offset: u32,
    pub(super) comment: &'a [u8],
}

impl<'a> EndRecord<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != END_RECORD {
            return None;
        }
        Some(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_on_disk: fields.u16()?,
            entries: fields.u16()?,
            directory_bytes: fields.u32()?,
            directory_offset: fields.u32()?,
            comment: {
                let length = fields.u16()?;
                fields.bytes(length.into())?
            },
        })
    }
}

/// A zip64 end of central directory record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zip64EndRecord {
    /// Bytes of the record after this field: 44 without extensible data.
    pub(super) remaining_bytes: u64,
    pub(super) disk: u32,
    pub(super) directory_disk: u32,
    pub(super) entries_on_disk: u64,
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_offset: u64,
}

impl Zip64EndRecord {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != ZIP64_END_RECORD {
            return None;
        }
        let remaining_bytes = fields.u64()?;
        let (_made_by, _needed) = (fields.u16()?, fields.u16()?);
        Some(Self {
            remaining_bytes,
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_on_disk: fields.u64()?,
            entries: fields.u64()?,
            directory_bytes: fields.u64()?,
            directory_offset: fields.u64()?,
        })
    }
}

/// A zip64 end of central directory locator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zip64Locator {
    pub(super) disk: u32,
    pub(super) record_offset: u64,
    pub(super) disks: u32,
}

impl Zip64Locator {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != ZIP64_LOCATOR {
            return None;
        }
        Some(Self {
            disk: fields.u32()?,
            record_offset: fields.u64()?,
            disks: fields.u32()?,
        })
    }
}

/// A central directory header with what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectoryHeader<'a> {
    pub(super) host: u8,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) time: u16,
    pub(super) date: u16,
    pub(super) crc32: u32,
    pub(super) compressed_bytes: u32,
    pub(super) uncompressed_bytes: u32,
    pub(super) disk: u16,
    pub(super) attributes: u32,
    pub(super) header_offset: u32,
    pub(super) name: &'a [u8],
    pub(super) extra: &'a [u8],
    pub(super) comment: &'a [u8],
}

impl<'a> DirectoryHeader<'a> {
    pub(super) fn parse(fields: &mut Fields<'a>) -> Option<Self> {
        if fields.u32()? != DIRECTORY_HEADER {
            return None;
        }
        // Version made by: the low byte is the format's version, the high one the host whose attributes these are (4.4.2).
        let [_version, host] = fields.u16()?.to_le_bytes();
        let _needed = fields.u16()?;
        let (flags, method, time, date) =
            (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        let (crc32, compressed_bytes, uncompressed_bytes) =
            (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_bytes, extra_bytes, comment_bytes) =
            (fields.u16()?, fields.u16()?, fields.u16()?);
        let (disk, _internal, attributes, header_offset) =
            (fields.u16()?, fields.u16()?, fields.u32()?, fields.u32()?);
        Some(Self {
            host,
            flags,
            method,
            time,
            date,
            crc32,
            compressed_bytes,
            uncompressed_bytes,
            disk,
            attributes,
            header_offset,
            name: fields.bytes(name_bytes.into())?,
            extra: fields.bytes(extra_bytes.into())?,
            comment: fields.bytes(comment_bytes.into())?,
        })
    }
}

/// A local file header with what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalHeader<'a> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) compressed_bytes: u32,
    pub(super) uncompressed_bytes: u32,
    pub(super) name: &'a [u8],
    pub(super) extra: &'a [u8],
}

impl<'a> LocalHeader<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != LOCAL_HEADER {
            return None;
        }
        let _needed = fields.u16()?;
        let (flags, method, _time, _date) =
            (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        let (crc32, compressed_bytes, uncompressed_bytes) =
            (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_bytes, extra_bytes) = (fields.u16()?, fields.u16()?);
        Some(Self {
            flags,
            method,
            crc32,
            compressed_bytes,
            uncompressed_bytes,
            name: fields.bytes(name_bytes.into())?,
            extra: fields.bytes(extra_bytes.into())?,
        })
    }
}

/// The extra fields that matter here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra<'a> {
    pub(super) zip64: Option<&'a [u8]>,
    pub(super) unicode_path: Option<&'a [u8]>,
    /// Modification time of the extended timestamp, in seconds since 1970 (Info-ZIP's `extrafld.txt`).
    pub(super) modified: Option<i32>,
}

impl<'a> Extra<'a> {
    /// Walks the fields exactly. Up to three zero bytes, or zero bytes alone, are padding: zipalign writes them.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut parsed = Self::default();
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            if fields.0.iter().all(|&byte| byte == 0)
                && (fields.0.len() < 4 || fields.0.len() == bytes.len())
            {
                break;
            }
            let (Some(id), Some(length)) = (fields.u16(), fields.u16()) else {
                return Err("one is cut off");
            };
            let Some(content) = fields.bytes(length.into()) else {
                return Err("one is cut off");
            };
            match id {
                extra::ZIP64 if parsed.zip64.replace(content).is_some() => {
                    return Err("two give zip64 sizes");
                }
                extra::UNICODE_PATH if parsed.unicode_path.replace(content).is_some() => {
                    return Err("two give a Unicode name");
                }
                extra::EXTENDED_TIMESTAMP => {
                    if let [flags, a, b, c, d, ..] = *content
                        && flags & 1 != 0
                    {
                        parsed.modified = Some(i32::from_le_bytes([a, b, c, d]));
                    }
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}
