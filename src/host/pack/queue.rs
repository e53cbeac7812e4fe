//! Brings what the threads make into its order, and writes it.
//!
//! Whoever has made the next item writes it, and whatever is ready behind it. What is in the making, or made and not written, is
//! bounded: a thread waits before it begins another item, but never with the next one, so that there is always somebody to
//! go on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::deflate::joined_crc32;
use crate::archive::{ArchiveWriter, Method, NewEntry};
use crate::host::error::HostError;
use crate::plan::{FlattenPlan, PlannedEntry};

/// What one thread makes at once: an entry, or a block of a large one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Which of the plan's entries.
    pub(super) entry: usize,
    pub(super) block: Option<Block>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: u64,
    pub(super) stop: u64,
    /// Whether the file ends here.
    pub(super) is_last: bool,
}

/// What an item has become.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) method: Method,
    pub(super) crc32: u32,
    pub(super) uncompressed_bytes: u64,
    /// The data as the archive is to keep it.
    pub(super) data: Vec<u8>,
}

/// What is known of an entry before its data is there.
pub(super) fn new_entry(planned: &PlannedEntry) -> NewEntry<'_> {
    NewEntry {
        name: &planned.name,
        kind: planned.kind,
        mode: planned.mode,
        modified: planned.modified,
        method: Method::Stored,
        crc32: 0,
        compressed_bytes: 0,
        uncompressed_bytes: 0,
    }
}

/// The items, and how far they are.
#[derive(Debug)]
pub(super) struct Queue<'q> {
    plan: &'q FlattenPlan,
    items: &'q [Item],
    most_bytes: usize,
    written: &'q AtomicU64,
    ordered: Mutex<Ordered<'q>>,
    turn: Condvar,
}

/// What one thread at a time may touch.
#[derive(Debug)]
struct Ordered<'q> {
    /// The item to be written next.
    next: usize,
    ready: BTreeMap<usize, Made>,
    /// Bytes in the making, or made and not written.
    held_bytes: usize,
    archive: ArchiveWriter,
    out: BufWriter<&'q File>,
    large: Option<Large>,
    /// A thread failed: nobody waits any more.
    is_over: bool,
}

/// The entry whose blocks are being written.
#[derive(Clone, Copy, Debug, Default)]
struct Large {
    crc32: u32,
    compressed_bytes: u64,
    uncompressed_bytes: u64,
}

impl<'q> Queue<'q> {
    /// A queue of `items`, to be written to `file`.
    pub(super) fn new(
        plan: &'q FlattenPlan,
        items: &'q [Item],
        file: &'q File,
        most_bytes: usize,
        written: &'q AtomicU64,
    ) -> Self {
        Self {
            plan,
            items,
            most_bytes,
            written,
            ordered: Mutex::new(Ordered {
                next: 0,
                ready: BTreeMap::new(),
                held_bytes: 0,
                archive: ArchiveWriter::default(),
                out: BufWriter::with_capacity(1 << 20, file),
                large: None,
                is_over: false,
            }),
            turn: Condvar::new(),
        }
    }

    /// An item and the entry that it belongs to.
    pub(super) fn item(&self, place: usize) -> Option<(Item, &'q PlannedEntry)> {
        let &item = self.items.get(place)?;
        Some((item, self.plan.entries().get(item.entry)?))
    }

    /// How many bytes may be in the making, or made and not written.
    pub(super) const fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Ordered<'q>> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_time`; `None` when another thread failed meanwhile.
    fn wait_until(
        &self,
        is_time: impl Fn(&Ordered<'q>) -> bool,
    ) -> Option<MutexGuard<'_, Ordered<'q>>> {
        let is_too_early = |ordered: &mut Ordered<'q>| !ordered.is_over && !is_time(ordered);
        let ordered = self
            .turn
            .wait_while(self.lock(), is_too_early)
            .unwrap_or_else(PoisonError::into_inner);
        (!ordered.is_over).then_some(ordered)
    }

    /// Makes an item, for which `bytes` are needed meanwhile, and writes it as soon as all before it are written; whether
    /// there is any use in going on.
    ///
    /// # Errors
    ///
    /// What `work` answers, and why the archive cannot be written.
    pub(super) fn make(
        &self,
        place: usize,
        bytes: usize,
        work: impl FnOnce() -> Result<Made, HostError>,
    ) -> Result<bool, HostError> {
        let has_room = |ordered: &Ordered<'_>| {
            ordered.next == place || ordered.held_bytes.saturating_add(bytes) <= self.most_bytes
        };
        let Some(mut ordered) = self.wait_until(has_room) else {
            return Ok(false);
        };
        ordered.held_bytes += bytes;
        drop(ordered);
        let made = work()?;
        let mut ordered = self.lock();
        ordered.held_bytes = ordered.held_bytes - bytes + made.data.len();
        ordered.ready.insert(place, made);
        self.write_ready(&mut ordered)?;
        Ok(!ordered.is_over)
    }

    /// Writes an entry too large to be held: when its turn has come, piece by piece as `produce` hands them out. Whether there
    /// is any use in going on.
    ///
    /// # Errors
    ///
    /// What `produce` answers, and why the archive cannot be written.
    pub(super) fn stream(
        &self,
        place: usize,
        entry: &NewEntry<'_>,
        produce: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), HostError>) -> Result<(), HostError>,
    ) -> Result<bool, HostError> {
        let Some(mut ordered) = self.wait_until(|ordered| ordered.next == place) else {
            return Ok(false);
        };
        let header = ordered.archive.add(entry);
        ordered.write(&header)?;
        produce(&mut |piece| ordered.write(piece))?;
        self.written
            .fetch_add(entry.uncompressed_bytes, Ordering::Relaxed);
        ordered.next += 1;
        self.write_ready(&mut ordered)?;
        Ok(!ordered.is_over)
    }

    fn write_ready(&self, ordered: &mut Ordered<'q>) -> Result<(), HostError> {
        let next = ordered.next;
        while let Some(made) = ordered.ready.remove(&ordered.next) {
            if let Some((item, entry)) = self.item(ordered.next) {
                match item.block {
                    None => ordered.write_entry(entry, &made),
                    Some(block) => ordered.write_block(entry, block, &made),
                }?;
            }
            self.written
                .fetch_add(made.uncompressed_bytes, Ordering::Relaxed);
            ordered.held_bytes -= made.data.len();
            ordered.next += 1;
        }
        if ordered.next != next {
            self.turn.notify_all();
        }
        Ok(())
    }

    /// Lets nobody wait any more: the archive cannot be finished.
    pub(super) fn give_up(&self) {
        self.lock().is_over = true;
        self.turn.notify_all();
    }

    /// Writes what follows the last entry; how many bytes the archive has.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    pub(super) fn finish(self) -> Result<u64, HostError> {
        let mut ordered = self
            .ordered
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let start = ordered.archive.offset();
        let end = std::mem::take(&mut ordered.archive).finish();
        ordered.write(&end)?;
        ordered.out.flush().map_err(cannot_write)?;
        Ok(start + end.len() as u64)
    }
}

impl Ordered<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        self.out.write_all(bytes).map_err(cannot_write)
    }

    fn write_entry(&mut self, planned: &PlannedEntry, made: &Made) -> Result<(), HostError> {
        let header = self.archive.add(&NewEntry {
            method: made.method,
            crc32: made.crc32,
            compressed_bytes: made.data.len() as u64,
            uncompressed_bytes: made.uncompressed_bytes,
            ..new_entry(planned)
        });
        self.write(&header)?;
        self.write(&made.data)
    }

    /// Writes a block; the header before the first one is written over once all of it is known.
    fn write_block(
        &mut self,
        planned: &PlannedEntry,
        block: Block,
        made: &Made,
    ) -> Result<(), HostError> {
        let entry = |large: Large| NewEntry {
            method: Method::Deflated,
            crc32: large.crc32,
            compressed_bytes: large.compressed_bytes,
            uncompressed_bytes: planned.bytes,
            ..new_entry(planned)
        };
        if block.start == 0 {
            self.write(&entry(Large::default()).local_header())?;
        }
        let before = self.large.take().unwrap_or_default();
        self.write(&made.data)?;
        let large = Large {
            crc32: joined_crc32(before.crc32, made.crc32, made.uncompressed_bytes),
            compressed_bytes: before.compressed_bytes + made.data.len() as u64,
            uncompressed_bytes: before.uncompressed_bytes + made.uncompressed_bytes,
        };
        if !block.is_last {
            self.large = Some(large);
            return Ok(());
        }
        let offset = self.archive.offset();
        let header = self.archive.add(&entry(large));
        self.out
            .flush()
            .and_then(|()| self.out.get_ref().write_all_at(&header, offset))
            .map_err(cannot_write)
    }
}

fn cannot_write(error: io::Error) -> HostError {
    HostError::io("write it", "the archive", error)
}
