//! An archive that lies in memory whole, as a jar in a layer does.

use zlib_rs::{Inflate, InflateFlush};

use super::entry::Method;
use super::index::Archive;
use super::location::{DirectoryLocation, TAIL_BYTES};
use super::rules::Strictness;

/// An archive and its bytes. Whether it is a good one, who loads it decides; here it is only looked into.
#[derive(Debug)]
pub(crate) struct ArchiveInMemory<'b> {
    /// Its index.
    pub(crate) archive: Archive,
    bytes: &'b [u8],
}

impl<'b> ArchiveInMemory<'b> {
    /// Finds and judges the index, leniently; `None` if there is none that all readers would agree on.
    pub(crate) fn open(bytes: &'b [u8]) -> Option<Self> {
        let tail = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..)?;
        let location =
            DirectoryLocation::find(tail, bytes.len() as u64, Strictness::Lenient).ok()?;
        let start = usize::try_from(location.offset).ok()?;
        let end = start.checked_add(usize::try_from(location.bytes).ok()?)?;
        let directory = bytes.get(start..end)?.to_vec();
        Some(Self {
            archive: Archive::judge(directory, location, Strictness::Lenient).ok()?,
            bytes,
        })
    }

    /// Reads the first bytes of entry `index`, as many as there is room for; how many there are. Nothing behind them is
    /// inflated, and no checksum is compared. `inflate` is of raw deflate, and may have been used before.
    pub(crate) fn read(&self, index: u32, room: &mut [u8], inflate: &mut Inflate) -> Option<usize> {
        let entry = self.archive.entry(index);
        let local = self
            .bytes
            .get(usize::try_from(entry.header_offset).ok()?..)?;
        let start = self.archive.judge_local(index, local).ok()?.data_start;
        let data = local.get(start..)?;
        let data = data.get(..usize::try_from(entry.compressed_bytes).ok()?)?;
        match entry.method {
            Method::Stored => {
                let count = data.len().min(room.len());
                room.get_mut(..count)?.copy_from_slice(data.get(..count)?);
                Some(count)
            }
            Method::Deflated => {
                inflate.reset(false);
                inflate.decompress(data, room, InflateFlush::NoFlush).ok()?;
                usize::try_from(inflate.total_out()).ok()
            }
        }
    }
}
