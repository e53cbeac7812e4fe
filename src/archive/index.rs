//! The index of one archive, judged as a whole: which entries it has, and that none of them share a byte.

use super::entry::Entry;
use super::header::judge_header;
use super::location::DirectoryLocation;
use super::records::{DIRECTORY_HEADER_BYTES, DirectoryHeader, Fields, LOCAL_HEADER_BYTES};
use super::rules::{BrokenRule, Refusal, Strictness};
use crate::path::Escaped;

/// The judged index of one archive.
#[derive(Clone)]
pub struct Archive {
    directory: Vec<u8>,
    entries: Vec<Entry>,
    /// What was waived, in the order of the entries.
    pub waived: Vec<Refusal>,
    strictness: Strictness,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Archive({} entries)", self.entries.len())
    }
}

impl Archive {
    /// Judges the whole archive from its central directory, which lies where `location` says.
    ///
    /// # Errors
    ///
    /// The rule that is broken by the entry that stands first in the directory.
    pub fn judge(
        directory: Vec<u8>,
        location: DirectoryLocation,
        strictness: Strictness,
    ) -> Result<Self, Refusal> {
        let mut waived = location.waived;
        // Never more than the directory can hold, whatever it says.
        let mut entries: Vec<Entry> = Vec::with_capacity(
            usize::try_from(location.entries)
                .unwrap_or(usize::MAX)
                .min(directory.len() / DIRECTORY_HEADER_BYTES),
        );
        let mut fields = Fields(&directory);
        while !fields.0.is_empty() {
            let index = u32::try_from(entries.len()).map_err(|_| {
                Refusal::archive(BrokenRule::DirectoryDamaged(
                    "it has more entries than any archive",
                ))
            })?;
            let Some(header) = DirectoryHeader::parse(&mut fields) else {
                return Err(Refusal::archive(BrokenRule::DirectoryDamaged(
                    "an entry is not one, or is cut off",
                )));
            };
            if entries.len() as u64 == location.entries {
                // Those that nobody announced are counted, not kept.
                let more = std::iter::from_fn(|| DirectoryHeader::parse(&mut fields)).count();
                return Err(Refusal::archive(BrokenRule::EntryCount {
                    stated: location.entries,
                    found: location.entries + 1 + more as u64,
                }));
            }
            let name_start = directory.len()
                - fields.0.len()
                - header.comment.len()
                - header.extra.len()
                - header.name.len();
            let mut rules = Vec::new();
            let entry = judge_header(
                &header,
                location.prepended_bytes,
                location.offset,
                &mut rules,
            );
            for rule in rules {
                Refusal::entry(rule, index, header.name).waive(strictness, &mut waived)?;
            }
            let entry = entry.map_err(|rule| Refusal::entry(rule, index, header.name))?;
            // The directory is shorter than MAX_DIRECTORY_BYTES, so its offsets fit.
            entries.push(Entry {
                name_start: u32::try_from(name_start).unwrap_or(u32::MAX),
                ..entry
            });
        }
        let found = entries.len() as u64;
        if found != location.entries {
            return Err(Refusal::archive(BrokenRule::EntryCount {
                stated: location.entries,
                found,
            }));
        }
        let mut archive = Self {
            directory,
            entries,
            waived,
            strictness,
        };
        archive.judge_spans(location.prepended_bytes, location.offset)?;
        Ok(archive)
    }

    /// Makes sure that no two entries share a byte, and notes where each one's bytes end at the latest. An entry occupies at
    /// least its local header, its name and its data: what else lies before the next one is judged when it is read.
    fn judge_spans(&mut self, first: u64, directory_offset: u64) -> Result<(), Refusal> {
        let offset_of = |entries: &[Entry], index: u32| {
            entries.get(index as usize).map(|entry| entry.header_offset)
        };
        // Most writers list the entries as they lie.
        let mut order = Vec::new();
        if !self.entries.is_sorted_by_key(|entry| entry.header_offset) {
            order.extend((0..).zip(&self.entries).map(|(index, _)| index));
            order.sort_unstable_by_key(|&index| (offset_of(&self.entries, index), index));
        }
        let nth = |position: u32| order.get(position as usize).copied().unwrap_or(position);
        // Without any entry the directory itself comes first.
        let start = offset_of(&self.entries, nth(0)).unwrap_or(directory_offset);
        if start > first {
            Refusal::archive(BrokenRule::PrependedBytes(start - first))
                .waive(self.strictness, &mut self.waived)?;
        }
        // Of several bad entries the one that stands first in the directory is named.
        let mut worst: Option<(u32, u32)> = None;
        for position in 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            let (index, next) = (nth(position), nth(position + 1));
            let boundary = offset_of(&self.entries, next).unwrap_or(directory_offset);
            let Some(entry) = self.entries.get_mut(index as usize) else {
                continue;
            };
            entry.boundary = boundary;
            let least = (LOCAL_HEADER_BYTES as u64 + u64::from(entry.name_bytes))
                .checked_add(entry.compressed_bytes)
                .and_then(|bytes| bytes.checked_add(entry.header_offset));
            if least.is_none_or(|least| least > boundary)
                && worst.is_none_or(|(worst, _)| index < worst)
            {
                worst = Some((index, next));
            }
        }
        let Some((index, other)) = worst else {
            return Ok(());
        };
        let rule = match self.entries.get(other as usize) {
            Some(other) => BrokenRule::Overlap(Escaped(self.name(other)).to_string()),
            None => BrokenRule::BeyondEntries,
        };
        Err(self.refusal(rule, index))
    }

    /// All entries in the order of the central directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One of [`Archive::entries`].
    ///
    /// # Panics
    ///
    /// The archive has fewer: the index is that of an entry of another one.
    #[track_caller]
    pub fn entry(&self, index: u32) -> &Entry {
        let Some(entry) = self.entries.get(index as usize) else {
            let count = self.entries.len();
            panic!("entry {index} was asked for in an archive of {count}");
        };
        entry
    }

    /// The name of one of [`Archive::entries`] as the archive gives it.
    ///
    /// # Panics
    ///
    /// The entry is one of another archive, and its name lies beyond this one's directory.
    #[track_caller]
    pub fn name(&self, entry: &Entry) -> &[u8] {
        let (start, bytes) = entry.name_place();
        let Some(name) = self.directory.get(start..start + bytes) else {
            let length = self.directory.len();
            panic!("a name at {start} was asked for in a central directory of {length} bytes");
        };
        name
    }

    /// The central directory, which says all there is to know but the bytes of the data: their CRC-32 stands for them.
    pub fn directory(&self) -> &[u8] {
        &self.directory
    }

    /// How much ambiguity the archive was judged with.
    pub const fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// A refusal that names one of the entries.
    pub(crate) fn refusal(&self, rule: BrokenRule, index: u32) -> Refusal {
        Refusal::entry(rule, index, self.name(self.entry(index)))
    }
}
