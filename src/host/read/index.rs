//! Reads the index of one archive: its central directory, and the little of its entries that merging wants to know.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use super::entry::Reader;
use super::options::LoadOptions;
use crate::archive::{
    Archive, BrokenRule, DirectoryLocation, MAX_DIRECTORY_BYTES, Refusal, TAIL_BYTES,
};
use crate::host::error::{HostError, LayerLabel};
use crate::host::system::budget::Budget;
use crate::layer::{Layer, LayerForm, NameHasher};
use crate::plan::LimitExceeded;

/// What an archive holds, judged.
pub(in crate::host) struct Index {
    pub(in crate::host) layer: Layer,
    /// The SHA-256 of its central directory and its length: equal only if the entries are.
    pub(super) fingerprint: [u8; 32],
}

impl Index {
    /// Reads and judges the index. Nothing is inflated but the targets of links.
    ///
    /// # Errors
    ///
    /// The rule that the archive breaks, the limit that it exceeds, or why it cannot be read.
    pub(in crate::host) fn read(
        file: &File,
        place: &LayerLabel,
        options: LoadOptions<'_>,
        budget: &Budget,
        hasher: &NameHasher,
    ) -> Result<Self, HostError> {
        let read_failed = |error| place.failed("read the layer", error);
        let archive_bytes = file.metadata().map_err(read_failed)?.len();
        let (location, directory) =
            read_directory(file, archive_bytes, options).map_err(|error| match error {
                ReadError::Io(error) => read_failed(error),
                ReadError::Limit(limit) => HostError::Limit(limit),
                ReadError::Refused(refusal) => place.refused(refusal),
            })?;
        let fingerprint = Sha256::new()
            .chain_update(b"archive")
            .chain_update(archive_bytes.to_le_bytes())
            .chain_update(&directory)
            .finalize()
            .into();
        let refused = |refusal| place.refused(refusal);
        let archive = Archive::judge(directory, location, options.strictness).map_err(refused)?;
        let mut layer = Layer::from_archive(place.source.clone(), archive, archive_bytes, hasher)
            .map_err(refused)?;
        read_links_and_unplaced(&mut layer, file, place, budget)?;
        tracing::debug!(
            layer = place.number,
            entries = layer.entries(),
            "index read"
        );
        Ok(Self { layer, fingerprint })
    }
}

enum ReadError {
    Io(io::Error),
    Limit(LimitExceeded),
    Refused(Refusal),
}

/// Bytes at the end of an archive that tell, as a rule, where its directory begins.
const GLANCE_BYTES: u64 = 1 << 10;

/// Finds the central directory and reads it: with one read, as a rule, together with all that may follow it.
fn read_directory(
    file: &File,
    archive_bytes: u64,
    options: LoadOptions<'_>,
) -> Result<(DirectoryLocation, Vec<u8>), ReadError> {
    let find = |bytes: &[u8]| DirectoryLocation::find(bytes, archive_bytes, options.strictness);
    let judge = |location: &DirectoryLocation| match location.entries {
        entries if entries > options.limits.max_entries => Err(LimitExceeded::Entries {
            entries,
            limit: options.limits.max_entries,
        }),
        _ => Ok(()),
    };
    let glance = read_from(
        file,
        archive_bytes.saturating_sub(GLANCE_BYTES),
        archive_bytes,
    )?;
    let expected = find(&glance)
        .ok()
        .filter(|location| judge(location).is_ok());
    let tail_start = archive_bytes.saturating_sub(TAIL_BYTES as u64);
    let start = expected.map_or(tail_start, |location| location.offset.min(tail_start));
    let mut bytes = read_from(file, start, archive_bytes)?;
    // It counts only what the whole tail says.
    let tail = bytes.len().saturating_sub(TAIL_BYTES);
    let location = find(bytes.get(tail..).unwrap_or_default()).map_err(ReadError::Refused)?;
    judge(&location).map_err(ReadError::Limit)?;
    debug_assert!(
        location.bytes <= MAX_DIRECTORY_BYTES,
        "the location was judged"
    );
    let Some(before) = location.offset.checked_sub(start) else {
        let directory = read_from(file, location.offset, location.offset + location.bytes)?;
        return Ok((location, directory));
    };
    // Both lengths are of something in memory.
    bytes.truncate(usize::try_from(before + location.bytes).unwrap_or(usize::MAX));
    bytes.drain(..usize::try_from(before).unwrap_or(usize::MAX));
    Ok((location, bytes))
}

/// The bytes of a file from `start` to `stop`, which is not after its end and not too far away.
fn read_from(file: &File, start: u64, stop: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; usize::try_from(stop - start).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)
        .map_err(ReadError::Io)?;
    Ok(bytes)
}

/// Bytes of all link targets of one archive.
const MAX_TARGETS_BYTES: u64 = 16 << 20;

/// Reads what merging wants to know, the targets of the links, and judges what it leaves out, the entries that no tree holds:
/// neither is read again.
fn read_links_and_unplaced(
    layer: &mut Layer,
    file: &File,
    place: &LayerLabel,
    budget: &Budget,
) -> Result<(), HostError> {
    let LayerForm::Archive(archive) = &layer.form else {
        return Ok(());
    };
    let links = layer.unread_links();
    let refused = |refusal| place.refused(refusal);
    let total: u64 = links
        .iter()
        .map(|&link| archive.entry(link).uncompressed_bytes)
        .sum();
    if total > MAX_TARGETS_BYTES {
        return Err(refused(Refusal::archive(BrokenRule::TargetsTooLong)));
    }
    let mut reader = Reader::new(budget);
    let mut targets = Vec::with_capacity(links.len());
    for index in links {
        let mut target = Vec::new();
        reader.read_entry(file, archive, index, place, |bytes| {
            target.extend_from_slice(bytes);
            Ok(())
        })?;
        if target.contains(&0) {
            return Err(refused(archive.refusal(BrokenRule::TargetNul, index)));
        }
        targets.push((index, target.into_boxed_slice()));
    }
    for &index in layer.unplaced() {
        reader.verify_headers(file, archive, index, place)?;
    }
    layer.waive(reader.waived);
    for (index, target) in targets {
        layer.set_target(index, target);
    }
    Ok(())
}
