//! Carries out a [`FlattenPlan`]: one archive, entry after entry in the plan's order, made by all threads.
//!
//! What comes from an archive is inflated once, to verify it, and its compressed data is written as it is; what comes from a
//! directory is deflated. Threads make the entries in order; whoever has the next one writes it, and whatever else is ready
//! behind it. What is made and not written yet is bounded, but the next one is never made to wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::ThreadPool;

use super::deflate::{BLOCK_BYTES, Deflater, Level, WHOLE_BYTES, WINDOW_BYTES, deflate_block};
use super::queue::{Block, Item, Made, Queue, new_entry};
use crate::archive::{Archive, Method, NewEntry, Refusal};
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::read::entry::Reader;
use crate::host::read::stack::{LoadedStack, OpenLayer};
use crate::host::read::verify::Verifier;
use crate::host::system::budget::Budget;
use crate::host::system::checksum::crc32;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::Root;
use crate::merge::{MergedTree, Origin};
use crate::path::Escaped;
use crate::plan::{FlattenPlan, PlannedEntry};

/// What making an archive needs besides the plan.
#[derive(Debug)]
pub struct Assembly<'a> {
    /// The layers, to read from.
    pub loaded: &'a LoadedStack,
    /// Their merge.
    pub tree: &'a MergedTree<'a>,
    /// What to write.
    pub plan: &'a FlattenPlan,
    /// The threads to do it with.
    pub pool: &'a ThreadPool,
    /// The memory to do it in.
    pub budget: &'a Budget,
    /// Whether to go on.
    pub interrupt: &'a Interrupt,
    /// How hard to compress what is not compressed yet.
    pub level: Level,
}

/// What was written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Assembled {
    /// Bytes of the archive.
    pub bytes: u64,
    /// What `--lenient` waived while contents were read, the layer's number first.
    pub waived: Vec<(usize, Refusal)>,
}

/// Where an item's content is.
enum From<'a> {
    /// A directory, or a link: what it has is known.
    Here(&'a [u8]),
    /// An entry of an archive.
    Kept(&'a File, &'a Archive, u32, Origin),
    /// A file of a directory.
    Listed(Origin),
}

impl Assembly<'_> {
    /// Writes the archive to `file`, which is empty.
    ///
    /// # Errors
    ///
    /// The first failure by layer and entry, whatever the threads did. What is in the file then is of no use.
    pub fn write(&self, file: &File, written: &AtomicU64) -> Result<Assembled, HostError> {
        let items = self.items();
        // The rest of the budget is for reading.
        let most_bytes = self.budget.left() / 4;
        let queue = Queue::new(self.plan, &items, file, most_bytes, written);
        let next = AtomicUsize::new(0);
        let outcomes = self.pool.broadcast(|_| {
            let mut worker = Worker {
                assembly: self,
                queue: &queue,
                reader: Reader::new(self.budget),
                deflater: None,
                content: Vec::new(),
                waived: Vec::new(),
            };
            let outcome = worker.work(&next);
            if outcome.is_err() {
                queue.give_up();
            }
            outcome.map(|()| worker.waived)
        });
        let waived = HostError::all_or_first(outcomes).map_err(|failure| {
            let origins = self.plan.entries().iter().filter_map(|entry| entry.origin);
            self.verifier().first_bad_entry(failure, origins)
        })?;
        let mut waived: Vec<_> = waived.into_iter().flatten().collect();
        self.interrupt.check()?;
        waived.sort_by(|(one, a), (other, b)| {
            (one, a.entry.as_ref()).cmp(&(other, b.entry.as_ref()))
        });
        let bytes = queue.finish()?;
        #[cfg(feature = "read-back")]
        super::read_back::read_back(file, self.plan, self.pool, self.interrupt)?;
        Ok(Assembled { bytes, waived })
    }

    const fn verifier(&self) -> Verifier<'_> {
        Verifier {
            loaded: self.loaded,
            pool: self.pool,
            budget: self.budget,
            interrupt: self.interrupt,
        }
    }

    fn items(&self) -> Vec<Item> {
        let mut items = Vec::with_capacity(self.plan.entries().len());
        for (place, entry) in self.plan.entries().iter().enumerate() {
            let is_listed = matches!(self.from(entry), From::Listed(_));
            if !is_listed || entry.bytes <= WHOLE_BYTES {
                items.push(Item {
                    entry: place,
                    block: None,
                });
                continue;
            }
            let mut start = 0;
            while start < entry.bytes {
                let stop = entry.bytes.min(start + BLOCK_BYTES);
                let is_last = stop == entry.bytes;
                items.push(Item {
                    entry: place,
                    block: Some(Block {
                        start,
                        stop,
                        is_last,
                    }),
                });
                start = stop;
            }
        }
        items
    }

    fn from(&self, entry: &PlannedEntry) -> From<'_> {
        let Some(origin) = entry.origin else {
            return From::Here(&[]);
        };
        if entry.kind == Kind::Symlink {
            return From::Here(self.tree.target_of(origin).unwrap_or_default());
        }
        match self.verifier().archive_entry(origin) {
            Some((file, archive, index)) => From::Kept(file, archive, index, origin),
            None if entry.kind == Kind::File => From::Listed(origin),
            None => From::Here(&[]),
        }
    }
}

/// One thread's share.
struct Worker<'w, 'q> {
    assembly: &'w Assembly<'w>,
    queue: &'w Queue<'q>,
    reader: Reader<'w>,
    deflater: Option<Deflater>,
    content: Vec<u8>,
    waived: Vec<(usize, Refusal)>,
}

impl Worker<'_, '_> {
    fn work(&mut self, next: &AtomicUsize) -> Result<(), HostError> {
        let (assembly, queue) = (self.assembly, self.queue);
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some((item, entry)) = queue.item(place) else {
                return Ok(());
            };
            assembly.interrupt.check()?;
            let is_going_on = match (assembly.from(entry), item.block) {
                (From::Here(bytes), _) => queue.make(place, bytes.len(), || {
                    Ok(Made {
                        method: Method::Stored,
                        crc32: crc32(0, bytes),
                        uncompressed_bytes: bytes.len() as u64,
                        data: bytes.to_vec(),
                    })
                })?,
                (From::Kept(file, archive, index, origin), _) => {
                    let is_going_on = self.copy(place, entry, file, archive, index, origin)?;
                    let waived = self.reader.waived.drain(..);
                    self.waived
                        .extend(waived.map(|refusal| (origin.layer.number(), refusal)));
                    is_going_on
                }
                (From::Listed(origin), None) => {
                    // Content and result.
                    let bytes = usize::try_from(2 * entry.bytes).unwrap_or(usize::MAX);
                    queue.make(place, bytes, || self.deflate(entry, origin))?
                }
                (From::Listed(origin), Some(block)) => {
                    let bytes = 2 * BLOCK_BYTES + WINDOW_BYTES;
                    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                    queue.make(place, bytes, || self.deflate_block(entry, origin, block))?
                }
            };
            if !is_going_on {
                return Ok(());
            }
        }
    }

    /// Takes over an entry of an archive; whether there is more to do.
    fn copy(
        &mut self,
        place: usize,
        planned: &PlannedEntry,
        file: &File,
        archive: &Archive,
        index: u32,
        origin: Origin,
    ) -> Result<bool, HostError> {
        let (queue, interrupt) = (self.queue, self.assembly.interrupt);
        let layer = self.assembly.loaded.label(origin.layer);
        let entry = archive.entry(index);
        let bytes = usize::try_from(entry.compressed_bytes).unwrap_or(usize::MAX);
        let reader = &mut self.reader;
        if bytes > queue.most_bytes() / 2 && planned.kind == Kind::File {
            let new = NewEntry {
                method: entry.method,
                crc32: entry.crc32,
                compressed_bytes: entry.compressed_bytes,
                uncompressed_bytes: entry.uncompressed_bytes,
                ..new_entry(planned)
            };
            return queue.stream(place, &new, |write| {
                reader.read_kept(file, archive, index, layer, |piece| {
                    interrupt.check()?;
                    write(piece)
                })
            });
        }
        queue.make(place, bytes, || {
            let mut data = Vec::with_capacity(bytes);
            reader.read_kept(file, archive, index, layer, |piece| {
                data.extend_from_slice(piece);
                interrupt.check()
            })?;
            let (method, data) = match planned.kind {
                Kind::File => (entry.method, data),
                // Some writers deflate a directory's nothing to two bytes.
                Kind::Directory | Kind::Symlink => (Method::Stored, Vec::new()),
            };
            Ok(Made {
                method,
                crc32: entry.crc32,
                uncompressed_bytes: entry.uncompressed_bytes,
                data,
            })
        })
    }

    /// Deflates a file of a directory in one piece.
    fn deflate(&mut self, entry: &PlannedEntry, origin: Origin) -> Result<Made, HostError> {
        let assembly = self.assembly;
        self.content.clear();
        let content = &mut self.content;
        self.reader.read(assembly.loaded, origin, |piece| {
            content.extend_from_slice(piece);
            assembly.interrupt.check()
        })?;
        let deflater = match &mut self.deflater {
            Some(deflater) => deflater,
            none => none.insert(
                Deflater::new(assembly.level)
                    .ok_or_else(|| cannot_compress(entry, io::ErrorKind::OutOfMemory.into()))?,
            ),
        };
        let (method, data) = match deflater.deflate(content) {
            Some(data) => (Method::Deflated, data),
            None => (Method::Stored, content.clone()),
        };
        Ok(Made {
            method,
            crc32: crc32(0, content),
            uncompressed_bytes: content.len() as u64,
            data,
        })
    }

    /// Deflates one block of a large file of a directory.
    fn deflate_block(
        &mut self,
        entry: &PlannedEntry,
        origin: Origin,
        block: Block,
    ) -> Result<Made, HostError> {
        let assembly = self.assembly;
        let failed = |error| cannot_compress(entry, error);
        let OpenLayer::Directory(directory) = assembly.loaded.open(origin.layer) else {
            return Err(failed(io::ErrorKind::NotFound.into()));
        };
        let layer = assembly.loaded.stack.layer(origin.layer);
        let place = assembly.loaded.label(origin.layer);
        let path = layer.path(origin.node);
        let unread = |error: io::Error| place.failed_at("read it", &format!("`{path}`"), error);
        let file = File::from(
            Root::borrow(directory)
                .open_file(path.as_bytes())
                .map_err(|error| unread(error.into()))?,
        );
        let (metadata, known) = (file.metadata().map_err(unread)?, layer.object(origin.node));
        if !metadata.is_file()
            || metadata.len() != known.size
            || metadata.mtime() != known.modified.0
        {
            return Err(unread(io::Error::other("it changed after it was examined")));
        }
        let before = block.start.min(WINDOW_BYTES);
        let bytes = usize::try_from(block.stop - block.start + before).unwrap_or(0);
        self.content.clear();
        self.content.resize(bytes, 0);
        file.read_exact_at(&mut self.content, block.start - before)
            .map_err(unread)?;
        let (before, content) = self.content.split_at(usize::try_from(before).unwrap_or(0));
        let data = deflate_block(assembly.level, before, content, block.is_last)
            .ok_or_else(|| failed(io::Error::other("the encoder failed")))?;
        Ok(Made {
            method: Method::Deflated,
            crc32: crc32(0, content),
            uncompressed_bytes: content.len() as u64,
            data,
        })
    }
}

fn cannot_compress(entry: &PlannedEntry, error: io::Error) -> HostError {
    HostError::io("compress it", format!("`{}`", Escaped(&entry.name)), error)
}
