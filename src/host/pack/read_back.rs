//! Reads an archive that was just written with a reader that shares no code with the writer: what appears is what others read.
//!
//! The `zip` crate finds the entries, compares each local header with the central directory, inflates with `zlib-rs` and
//! compares sizes and checksums; here what it found is compared with the plan. Whatever differs is a fault of ours, of a
//! library, or of the machine, and no archive appears.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use rayon::ThreadPool;
use rayon::prelude::*;
use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{ExtraField, ZipArchive, ZipReadOptions};

use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::system::interrupt::Interrupt;
use crate::path::Escaped;
use crate::plan::{FlattenPlan, PlannedEntry};

/// Bytes that are read of the archive at once, and inflated at once.
const BUFFER_BYTES: usize = 128 << 10;
/// Entries that a thread takes at once.
const ENTRIES_AT_ONCE: usize = 64;

/// Compares the archive in `file` with the plan that it was written by.
///
/// # Errors
///
/// How the first entry that differs does so, or why it cannot be read.
pub(super) fn read_back(
    file: &File,
    plan: &FlattenPlan,
    pool: &ThreadPool,
    interrupt: &Interrupt,
) -> Result<(), HostError> {
    let bytes = file.metadata().map_err(failed)?.len();
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let archive = ZipArchive::with_config(config, SharedFile::new(file, bytes))
        .map_err(|error| failed(to_io(error)))?;
    let planned = plan.entries();
    if archive.len() != planned.len() {
        let text = format!("it has {} entries, not {}", archive.len(), planned.len());
        return Err(failed(io::Error::other(text)));
    }
    let failure = pool.install(|| {
        let chunks = planned.par_chunks(ENTRIES_AT_ONCE).enumerate();
        chunks.find_map_first(|(chunk, planned)| {
            let mut reader = Comparison {
                archive: archive.clone(),
                buffer: vec![0; BUFFER_BYTES],
                interrupt,
            };
            let indices = chunk * ENTRIES_AT_ONCE..;
            let mut entries = planned.iter().zip(indices);
            entries.find_map(|(planned, index)| reader.compare(planned, index).err())
        })
    });
    failure.map_or(Ok(()), Err)
}

struct Comparison<'r> {
    archive: ZipArchive<SharedFile<'r>>,
    buffer: Vec<u8>,
    interrupt: &'r Interrupt,
}

impl Comparison<'_> {
    /// Reads entry `index` and compares it with what was planned.
    fn compare(&mut self, planned: &PlannedEntry, index: usize) -> Result<(), HostError> {
        let failed = |error: io::Error| {
            let name = Escaped(&planned.name);
            let text = format!("entry `{name}`: {error}");
            failed(io::Error::new(error.kind(), text))
        };
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let entry = self.archive.by_index_with_options(index, options);
        let mut entry = entry.map_err(|error| failed(to_io(error)))?;
        if let Some(difference) = difference(&entry, planned) {
            return Err(failed(io::Error::other(difference)));
        }
        let mut bytes = 0;
        loop {
            self.interrupt.check()?;
            // At the end the reader compares the checksum.
            match entry.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => bytes += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if bytes != planned.bytes {
            let text = format!("it inflates to {bytes} bytes, not {}", planned.bytes);
            return Err(failed(io::Error::other(text)));
        }
        Ok(())
    }
}

/// How an entry of the archive differs from the planned one.
fn difference(entry: &ZipFile<'_, SharedFile<'_>>, planned: &PlannedEntry) -> Option<String> {
    let type_bits = match planned.kind {
        Kind::Directory => 0o040_000,
        Kind::File => 0o100_000,
        Kind::Symlink => 0o120_000,
    };
    let mode = type_bits | u32::from(planned.mode.bits());
    let modified = planned.modified.to_extended().map(i32::cast_unsigned);
    let mut times = entry.extra_data_fields().filter_map(|field| match field {
        ExtraField::ExtendedTimestamp(time) => Some(time.mod_time()),
        _ => None,
    });
    if entry.name_raw() != planned.name {
        Some(format!("its name is `{}`", Escaped(entry.name_raw())))
    } else if entry.unix_mode() != Some(mode) {
        let found = entry.unix_mode().unwrap_or_default();
        Some(format!("its mode is {found:06o}, not {mode:06o}"))
    } else if entry.size() != planned.bytes {
        let found = entry.size();
        Some(format!("it has {found} bytes, not {}", planned.bytes))
    } else if times.next().flatten() != modified {
        Some("its time differs from the planned one".to_owned())
    } else {
        None
    }
}

fn failed(error: io::Error) -> HostError {
    HostError::io("read it back", "the archive", error)
}

fn to_io(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// A place in a file that several threads read, each at its own.
struct SharedFile<'f> {
    file: &'f File,
    bytes: u64,
    at: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
}

impl<'f> SharedFile<'f> {
    const fn new(file: &'f File, bytes: u64) -> Self {
        Self {
            file,
            bytes,
            at: 0,
            buffer: Vec::new(),
            start: 0,
        }
    }
}

impl Clone for SharedFile<'_> {
    /// At the beginning, with nothing read.
    fn clone(&self) -> Self {
        Self::new(self.file, self.bytes)
    }
}

impl Read for SharedFile<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self.start + self.buffer.len() as u64;
        if !(self.start..end).contains(&self.at) {
            self.buffer.resize(BUFFER_BYTES, 0);
            let count = self.file.read_at(&mut self.buffer, self.at);
            self.buffer.truncate(*count.as_ref().unwrap_or(&0));
            self.start = self.at;
            count?;
        }
        let skipped = usize::try_from(self.at - self.start).unwrap_or(usize::MAX);
        let mut ready = self.buffer.get(skipped..).unwrap_or_default();
        let count = ready.read(into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SharedFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
