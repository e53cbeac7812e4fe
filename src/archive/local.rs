//! One entry as it lies in the archive: its local header, its data, what follows it.

use super::entry::{Entry, Method};
use super::header::{judge_unicode_name, widen};
use super::index::Archive;
use super::records::{
    DATA_DESCRIPTOR, Extra, Fields, LOCAL_HEADER, LOCAL_HEADER_BYTES, LocalHeader, flag,
};
use super::rules::{BrokenRule, Refusal, Strictness};

/// Where an entry's data lies, found by [`Archive::judge_local`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalEntry {
    /// First byte of the data, counted from the start of the local header.
    pub data_start: usize,
    /// What was waived.
    pub waived: Vec<Refusal>,
}

impl Entry {
    /// How many bytes from the local header on tell where the data lies: the header, its name, the longest extra fields.
    pub const fn longest_header(&self) -> u64 {
        let longest = LOCAL_HEADER_BYTES as u64 + self.name_bytes as u64 + 0xffff;
        let available = self.boundary - self.header_offset;
        if longest < available {
            longest
        } else {
            available
        }
    }
}

impl Archive {
    /// Judges the local header of entry `index` from the bytes that begin with it, at least [`Entry::longest_header`] of them.
    ///
    /// # Errors
    ///
    /// The rule that is broken.
    pub fn judge_local(&self, index: u32, bytes: &[u8]) -> Result<LocalEntry, Refusal> {
        let mut waived = Vec::new();
        let entry = self.entry(index);
        let refuse = |rule| Refusal::entry(rule, index, self.name(entry));
        let header = LocalHeader::parse(bytes).ok_or_else(|| refuse(BrokenRule::LocalSignature))?;
        let mut waive = |rule| refuse(rule).waive(self.strictness(), &mut waived);
        if header.name != self.name(entry) {
            waive(BrokenRule::LocalName(header.name.to_vec()))?;
        }
        if header.method != (if entry.method == Method::Stored { 0 } else { 8 }) {
            return Err(refuse(BrokenRule::LocalMethod));
        }
        if (header.flags ^ entry.flags) & (flag::ENCRYPTED | flag::DATA_DESCRIPTOR | flag::UTF8)
            != 0
        {
            waive(BrokenRule::LocalFlags)?;
        }
        let extra =
            Extra::parse(header.extra).map_err(|why| refuse(BrokenRule::ExtraFields(why)))?;
        judge_unicode_name(header.name, extra.unicode_path).map_err(refuse)?;
        if let Some(what) = size_conflict(&header, extra.zip64, entry) {
            waive(BrokenRule::LocalSizes(what))?;
        }
        let data_start = LOCAL_HEADER_BYTES + header.name.len() + header.extra.len();
        let ends = entry.header_offset + data_start as u64 + entry.compressed_bytes;
        if ends > entry.boundary {
            return Err(refuse(BrokenRule::BeyondEntries));
        }
        Ok(LocalEntry { data_start, waived })
    }

    /// Judges what lies between the data of entry `index` and the next entry: a data descriptor if there has to be one, then
    /// nothing, or NUL bytes. `rest` is all of it, or its beginning if it is longer than anybody pads.
    ///
    /// # Errors
    ///
    /// The rule that is broken.
    pub fn judge_rest(
        &self,
        index: u32,
        rest: &[u8],
        rest_bytes: u64,
    ) -> Result<Vec<Refusal>, Refusal> {
        let mut waived = Vec::new();
        let entry = self.entry(index);
        // The ordinary case, and by far the most common one: nothing at all.
        if rest_bytes == 0 && entry.flags & flag::DATA_DESCRIPTOR == 0 {
            return Ok(waived);
        }
        let mut waive = |rule| {
            Refusal::entry(rule, index, self.name(entry)).waive(self.strictness(), &mut waived)
        };
        let after = if entry.flags & flag::DATA_DESCRIPTOR == 0 {
            rest
        } else if let Some(after) = strip_descriptor(rest, entry) {
            after
        } else {
            waive(BrokenRule::DataDescriptor)?;
            if self.strictness() == Strictness::Lenient {
                return Ok(waived);
            }
            rest
        };
        let unseen_bytes = rest_bytes - rest.len() as u64;
        if unseen_bytes > 0 || after.iter().any(|&byte| byte != 0) {
            let hides_entry = after
                .windows(4)
                .any(|window| window == LOCAL_HEADER.to_le_bytes());
            waive(if hides_entry {
                BrokenRule::HiddenEntry
            } else {
                BrokenRule::Gap(after.len() as u64 + unseen_bytes)
            })?;
        }
        Ok(waived)
    }
}

/// What of CRC and sizes the local header gives another value than the directory. With a data descriptor each may be left at
/// zero (APPNOTE 4.4.4, bit 3), saturated, or already be right: writers differ.
fn size_conflict(
    header: &LocalHeader<'_>,
    zip64: Option<&[u8]>,
    entry: &Entry,
) -> Option<&'static str> {
    let has_descriptor = header.flags & flag::DATA_DESCRIPTOR != 0;
    let short = [header.uncompressed_bytes, header.compressed_bytes];
    let Ok([uncompressed, compressed]) = widen(short, false, zip64) else {
        return Some("size in its zip64 field");
    };
    let agrees = |local: u64, stated: u64| {
        local == stated
            || has_descriptor && (local == 0 || zip64.is_some() && local == u64::from(u32::MAX))
    };
    if !agrees(header.crc32.into(), entry.crc32.into()) {
        Some("CRC-32")
    } else if !agrees(uncompressed, entry.uncompressed_bytes) {
        Some("uncompressed size")
    } else if !agrees(compressed, entry.compressed_bytes) {
        Some("compressed size")
    } else {
        None
    }
}

/// Takes the data descriptor off the front: with or without signature, with 32-bit or 64-bit sizes (APPNOTE 4.3.9). Of the
/// forms that fit the longest is it, if NUL bytes alone follow.
fn strip_descriptor<'a>(rest: &'a [u8], entry: &Entry) -> Option<&'a [u8]> {
    let forms = [(true, true), (false, true), (true, false), (false, false)];
    let mut fitting = forms.into_iter().filter_map(|(is_signed, is_long)| {
        let mut fields = Fields(rest);
        if is_signed && fields.u32()? != DATA_DESCRIPTOR {
            return None;
        }
        let crc32 = fields.u32()?;
        let (compressed, uncompressed) = if is_long {
            (fields.u64()?, fields.u64()?)
        } else {
            (fields.u32()?.into(), fields.u32()?.into())
        };
        (crc32 == entry.crc32
            && compressed == entry.compressed_bytes
            && uncompressed == entry.uncompressed_bytes)
            .then_some(fields.0)
    });
    fitting.next()
}
