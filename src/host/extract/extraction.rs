//! Carries out an [`ExtractPlan`].
//!
//! Measured on tmpfs and ext4: one `openat` in the open directory with the final mode, one write, the time, close is the
//! cheapest way to make a file; walking its whole path again, a rename a file, `fallocate`, mapped output and `io_uring` all
//! cost more. Threads take files of different directories, because creating takes the lock of the parent.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::sys::stat::{Mode as ModeBits, umask};
use rayon::ThreadPool;

use super::destination::Destination;
use super::stage::Stage;
use crate::archive::Refusal;
use crate::entry::{Kind, Mode};
use crate::host::error::{Abandoned, HostError};
use crate::host::read::entry::Reader;
use crate::host::read::stack::LoadedStack;
use crate::host::read::verify::Verifier;
use crate::host::system::budget::Budget;
use crate::host::system::durability::Durability;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::{
    Root, create_directory, create_file, create_symlink, open_directory, set_mode, set_modified,
    set_modified_at,
};
use crate::merge::{MergedTree, NodeId};
use crate::plan::{Batch, ExtractPlan};

/// What building a root needs besides the plan.
#[derive(Debug)]
pub struct Extraction<'e> {
    /// The layers, to read from.
    pub loaded: &'e LoadedStack,
    /// Their merge.
    pub tree: &'e MergedTree<'e>,
    /// What to do.
    pub plan: &'e ExtractPlan,
    /// The threads to do it with.
    pub pool: &'e ThreadPool,
    /// The memory to do it in.
    pub budget: &'e Budget,
    /// Whether to go on.
    pub interrupt: &'e Interrupt,
    /// The permission bits that the process does not grant to what it creates: [`read_umask`].
    pub umask: u16,
    /// Whether the root must survive a power cut after this returned.
    pub durability: Durability,
}

/// What was done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Extracted {
    /// What `--lenient` waived while contents were read, the layer's number first.
    pub waived: Vec<(usize, Refusal)>,
    /// What could not be cleaned up.
    pub left_behind: Vec<String>,
}

/// How far an extraction is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of file contents written.
    pub bytes: AtomicU64,
    /// Bytes of file contents to be written; 0 until that is known.
    pub total_bytes: AtomicU64,
}

impl Progress {
    /// From now on it is known how much there is to do.
    pub fn begin(&self, total_bytes: u64) {
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
    }
}

/// Reads the process's umask, which takes setting it for a moment: no other thread may be creating files. One that takes
/// rights from the owner is loosened by them for good, as nobody could build in directories that he cannot enter.
pub fn read_umask() -> u16 {
    let bits = umask(ModeBits::S_IRWXG | ModeBits::S_IRWXO);
    umask(bits & !ModeBits::S_IRWXU);
    u16::try_from(bits.bits()).unwrap_or(0)
}

impl Extraction<'_> {
    /// Builds the root and makes it appear at `destination`. `content` is what the root records of itself.
    ///
    /// # Errors
    ///
    /// The first failure by layer and entry, whatever the threads did. The destination is then as it was.
    pub fn run(
        &self,
        destination: &Destination,
        content: [u8; 32],
        progress: &Progress,
    ) -> Result<Extracted, Abandoned> {
        self.interrupt.check()?;
        let stage = destination.stage()?;
        let mut waived = match self.build(&stage, progress) {
            Ok(waived) => waived,
            Err(error) => return Err(stage.abandon(error)),
        };
        let kept_writable = self.kept_writable(&stage);
        let left_behind = stage.publish(content, self.durability, |root| {
            self.finish_directories(root, 0..kept_writable)
        })?;
        waived.sort_by(|(one, a), (other, b)| {
            (one, a.entry.as_ref()).cmp(&(other, b.entry.as_ref()))
        });
        Ok(Extracted {
            waived,
            left_behind,
        })
    }

    /// How many levels of directories must stay writable until the root is in its place.
    fn kept_writable(&self, stage: &Stage<'_>) -> usize {
        usize::from(stage.moves_top_level()).min(self.plan.levels.len())
    }

    /// Builds the root where it is not seen.
    fn build(
        &self,
        stage: &Stage<'_>,
        progress: &Progress,
    ) -> Result<Vec<(usize, Refusal)>, HostError> {
        let root = stage.root();
        self.create_directories(&root)?;
        let mut waived = self.write_files(&root, progress)?;
        self.verify_directories(&mut waived)?;
        self.create_symlinks(&root)?;
        self.finish_directories(&root, self.kept_writable(stage)..self.plan.levels.len())?;
        self.interrupt.check()?;
        Ok(waived)
    }

    fn failed(&self, operation: &'static str, node: NodeId, error: Errno) -> HostError {
        HostError::io(operation, format!("`{}`", self.tree.path(node)), error)
    }

    /// Creates the directories level by level, each with its final mode where that lets us work in it: nobody else can enter
    /// the stage that they lie in.
    fn create_directories(&self, root: &Root<BorrowedFd<'_>>) -> Result<(), HostError> {
        for level in &self.plan.levels {
            self.interrupt.check()?;
            self.for_each_family(root, level, |parent, node| {
                let mode = if self.needs_mode(node) {
                    Mode::PRIVATE
                } else {
                    self.tree.object(node).mode
                };
                create_directory(parent, self.tree.name(node), mode)
                    .map_err(|error| self.failed("create the directory", node, error))
            })?;
        }
        Ok(())
    }

    /// Whether a directory's mode has to be set when all that lies in it is there: it forbids us to work, or the umask to give
    /// it at once.
    fn needs_mode(&self, node: NodeId) -> bool {
        let bits = self.tree.object(node).mode.bits();
        bits & 0o700 != 0o700 || bits & self.umask != 0
    }

    /// Does `work` for all `nodes`, each with its parent directory open. Those of one parent must stand beside one another: it
    /// is opened once for all of them.
    fn for_each_family(
        &self,
        root: &Root<BorrowedFd<'_>>,
        nodes: &[NodeId],
        work: impl Fn(&OwnedFd, NodeId) -> Result<(), HostError> + Sync,
    ) -> Result<(), HostError> {
        let is_family =
            |&one: &NodeId, &other: &NodeId| self.tree.parent(one) == self.tree.parent(other);
        let families: Vec<&[NodeId]> = nodes.chunk_by(is_family).collect();
        self.for_each(&families, |family| {
            let Some(&first) = family.first() else {
                return Ok(());
            };
            let parent = self.tree.parent(first);
            let directory = root
                .enter(self.tree.path(parent).as_bytes())
                .map_err(|error| self.failed("open the directory", parent, error))?;
            family.iter().try_for_each(|&node| work(&directory, node))
        })
    }

    /// Does `work` for all items on all threads; of several failures the one that stands first is returned.
    fn for_each<T: Sync>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<(), HostError> + Sync,
    ) -> Result<(), HostError> {
        self.verifier().for_each(items, work)
    }

    const fn verifier(&self) -> Verifier<'_> {
        Verifier {
            loaded: self.loaded,
            pool: self.pool,
            budget: self.budget,
            interrupt: self.interrupt,
        }
    }

    /// Writes all files. When one fails, every thread finishes the entry in hand.
    fn write_files(
        &self,
        root: &Root<BorrowedFd<'_>>,
        progress: &Progress,
    ) -> Result<Vec<(usize, Refusal)>, HostError> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let outcomes = self.pool.broadcast(|_| {
            let mut writer = Writer {
                extraction: self,
                root,
                reader: Reader::new(self.budget),
                waived: Vec::new(),
            };
            while !stop.load(Ordering::Relaxed) {
                let Some(batch) = self.plan.batches.get(next.fetch_add(1, Ordering::Relaxed))
                else {
                    break;
                };
                writer
                    .write_batch(batch, progress)
                    .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            }
            Ok(writer.waived)
        });
        let waived = HostError::all_or_first(outcomes).map_err(|failure| {
            let directories = self.plan.levels.iter().flatten();
            let origins = directories
                .chain(&self.plan.files)
                .map(|&node| self.tree.provider(node));
            self.verifier().first_bad_entry(failure, origins)
        })?;
        Ok(waived.into_iter().flatten().collect())
    }

    /// A directory has no data, or two bytes that inflate to none, but its local header may contradict the central directory
    /// like any other.
    fn verify_directories(&self, waived: &mut Vec<(usize, Refusal)>) -> Result<(), HostError> {
        let directories: Vec<NodeId> = self.plan.levels.iter().flatten().copied().collect();
        let found = Mutex::new(Vec::new());
        self.for_each(&directories.chunks(64).collect::<Vec<_>>(), |nodes| {
            let mut reader = Reader::new(self.budget);
            for &node in *nodes {
                let origin = self.tree.provider(node);
                self.verifier().verify(&mut reader, origin)?;
                let mut found = found
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                found.extend(
                    reader
                        .waived
                        .drain(..)
                        .map(|refusal| (self.loaded.label(origin.layer).number, refusal)),
                );
            }
            Ok(())
        })?;
        waived.append(
            &mut found
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        Ok(())
    }

    fn create_symlinks(&self, root: &Root<BorrowedFd<'_>>) -> Result<(), HostError> {
        self.for_each_family(root, &self.plan.symlinks, |parent, node| {
            let target = self
                .tree
                .target_of(self.tree.provider(node))
                .unwrap_or_default();
            let modified = self.tree.object(node).modified;
            create_symlink(parent, self.tree.name(node), target, modified)
                .map_err(|error| self.failed("create the link", node, error))
        })
    }

    /// Sets the times of the directories of some levels, and the modes that could not be set at once. What is made in a
    /// directory changes its time, so this comes last; what is set in one changes nothing in the directory above.
    fn finish_directories(
        &self,
        root: &Root<BorrowedFd<'_>>,
        levels: Range<usize>,
    ) -> Result<(), HostError> {
        let levels = self.plan.levels.get(levels).unwrap_or_default();
        let directories: Vec<NodeId> = levels.iter().flatten().copied().collect();
        self.for_each_family(root, &directories, |parent, node| {
            let object = self.tree.object(node);
            if self.needs_mode(node) {
                open_directory(parent, self.tree.name(node))
                    .and_then(|directory| set_mode(directory, object.mode))
                    .map_err(|error| self.failed("set the mode of the directory", node, error))?;
            }
            set_modified_at(parent, self.tree.name(node), object.modified)
                .map_err(|error| self.failed("set the time of the directory", node, error))
        })
    }
}

/// One thread's share of the files.
struct Writer<'w> {
    extraction: &'w Extraction<'w>,
    root: &'w Root<BorrowedFd<'w>>,
    reader: Reader<'w>,
    waived: Vec<(usize, Refusal)>,
}

impl Writer<'_> {
    fn write_batch(&mut self, batch: &Batch, progress: &Progress) -> Result<(), HostError> {
        let Extraction {
            tree,
            plan,
            interrupt,
            ..
        } = *self.extraction;
        let parent = self
            .root
            .enter(tree.path(batch.directory).as_bytes())
            .map_err(|error| {
                self.extraction
                    .failed("open the directory", batch.directory, error)
            })?;
        let files = plan.files.get(batch.files.clone()).unwrap_or_default();
        for (place, &file) in files.iter().enumerate() {
            interrupt.check()?;
            self.read_ahead(files.get(place..).unwrap_or_default());
            let written = self.write_file(&parent, file)?;
            progress.bytes.fetch_add(written, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads the next files' entries with one call where they lie beside one another.
    fn read_ahead(&mut self, files: &[NodeId]) {
        let Some(&first) = files.first() else { return };
        let origin = self.extraction.tree.provider(first);
        let Some((file, archive, entry)) = self.extraction.verifier().archive_entry(origin) else {
            return;
        };
        let first = archive.entry(entry);
        if self.reader.holds(file, first) {
            return;
        }
        let run = files.iter().map_while(|&next| {
            let next = self.extraction.tree.provider(next);
            let (_, archive, entry) = (next.layer == origin.layer)
                .then(|| self.extraction.verifier().archive_entry(next))
                .flatten()?;
            Some(archive.entry(entry))
        });
        self.reader.read_ahead(file, first, run);
    }

    /// Writes one file; how many bytes it has.
    fn write_file(&mut self, parent: &OwnedFd, node: NodeId) -> Result<u64, HostError> {
        let Extraction {
            tree,
            loaded,
            interrupt,
            umask,
            ..
        } = *self.extraction;
        let object = tree.object(node);
        debug_assert_eq!(object.kind, Kind::File, "the plan lists files");
        let extraction = self.extraction;
        let failed = |operation| move |error: Errno| extraction.failed(operation, node, error);
        let mut file = File::from(
            create_file(parent, tree.name(node), object.mode).map_err(failed("create the file"))?,
        );
        let origin = tree.provider(node);
        self.reader.read(loaded, origin, |bytes| {
            interrupt.check()?;
            file.write_all(bytes).map_err(|error| {
                HostError::io("write the file", format!("`{}`", tree.path(node)), error)
            })
        })?;
        let layer = loaded.label(origin.layer).number;
        let waived = self.reader.waived.drain(..);
        self.waived.extend(waived.map(|refusal| (layer, refusal)));
        if object.mode.bits() & umask != 0 {
            set_mode(&file, object.mode).map_err(failed("set the mode of the file"))?;
        }
        set_modified(&file, object.modified).map_err(failed("set the time of the file"))?;
        // Some file systems say only now that there was no room.
        match nix::unistd::close(file) {
            // Linux has closed it all the same.
            Ok(()) | Err(Errno::EINTR) => {}
            Err(error) => return Err(failed("close the file")(error)),
        }
        Ok(object.size)
    }
}
