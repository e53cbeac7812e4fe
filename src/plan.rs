//! From a merged tree to what has to be done, in which order, and how much it is.
//!
//! A plan decides everything that can be decided without touching the machine, so that carrying it out needs no policy.

mod flatten;

use std::ops::Range;

use crate::collisions::SameBytes;
use crate::entry::Kind;
use crate::layer::LayerStack;
use crate::merge::{LinkedDirectory, MergedTree, NodeId};
use crate::path::LayerPath;
pub use flatten::{Dropped, FlattenPlan, PlannedEntry, Unwritable, dropped};

/// What collisions are worth.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnCollision {
    /// They are counted.
    Allow,
    /// They are worth a line.
    #[default]
    Warn,
    /// One that is not [`Class::Identical`](crate::collisions::Class::Identical) forbids to build.
    Error,
}

impl OnCollision {
    /// How files of one size are compared: where a difference forbids to build, by their bytes.
    pub const fn same_bytes(self) -> SameBytes {
        match self {
            Self::Error => SameBytes::ByComparison,
            Self::Allow | Self::Warn => SameBytes::ByChecksum,
        }
    }
}

/// What happens where two layers disagree on what kind of object a path is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum OnTypeConflict {
    /// The later object replaces the earlier one, with all that lay below it.
    #[default]
    Replace,
    /// Nothing is built.
    Error,
    /// As `Replace`, but a directory merges through a link to a directory inside the root, as `unzip -o` does.
    Follow,
}

impl OnTypeConflict {
    /// How merging treats a link that leads to a directory.
    pub const fn linked_directory(self) -> LinkedDirectory {
        match self {
            Self::Replace | Self::Error => LinkedDirectory::Replace,
            Self::Follow => LinkedDirectory::Follow,
        }
    }
}

/// Why a tree must not be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyViolation {
    /// Collisions, under [`OnCollision::Error`].
    #[error("{count} {} of another layer: {}", if *.count == 1 { "path overrides one" } else { "paths override one" }, listed(.examples, *.count))]
    Collisions {
        /// How many matter.
        count: usize,
        /// The first few.
        examples: Vec<LayerPath>,
    },
    /// Conflicts of kind, under [`OnTypeConflict::Error`].
    #[error("{count} {} of another kind in another layer: {}", if *.count == 1 { "path is" } else { "paths are" }, listed(.examples, *.count))]
    TypeConflicts {
        /// How many there are.
        count: usize,
        /// The first few.
        examples: Vec<LayerPath>,
    },
}

/// How many paths a sentence names before it says how many more there are.
pub const EXAMPLES: usize = 3;

/// `` `a`, `b`, `c` and 4 more ``.
pub fn listed(examples: &[LayerPath], count: usize) -> String {
    let names: Vec<String> = examples
        .iter()
        .take(EXAMPLES)
        .map(|path| format!("`{path}`"))
        .collect();
    match count.saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Bounds that hold whatever AWS's quotas say: they stop archives that are made to fill a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of all files of all layers, before merging.
    pub max_bytes: u64,
    /// Entries of all layers.
    pub max_entries: u64,
}

impl Default for Limits {
    /// 10 GiB, forty times what Lambda takes, and a million entries.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 30,
            max_entries: 1_000_000,
        }
    }
}

/// A limit that is exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LimitExceeded {
    /// [`Limits::max_bytes`].
    #[error("the layers unzip to {bytes} bytes, more than the limit of {limit}")]
    Bytes {
        /// What the layers hold.
        bytes: u64,
        /// What was allowed.
        limit: u64,
    },
    /// [`Limits::max_entries`].
    #[error("the layers have {entries} entries, more than the limit of {limit}")]
    Entries {
        /// What the layers hold.
        entries: u64,
        /// What was allowed.
        limit: u64,
    },
}

impl Limits {
    /// Judges a stack, before anything is written.
    ///
    /// # Errors
    ///
    /// The limit that is exceeded.
    pub fn judge(&self, stack: &LayerStack) -> Result<(), LimitExceeded> {
        let sums = stack.in_merge_order().fold((0, 0), |sums, (_, layer)| {
            let (entries, bytes): (u64, u64) = sums;
            (
                entries.saturating_add(layer.entries() as u64),
                bytes.saturating_add(layer.unzipped_bytes),
            )
        });
        self.judge_sums(sums)
    }

    /// Judges how many entries there are, and how many bytes they unzip to.
    ///
    /// # Errors
    ///
    /// The limit that is exceeded.
    pub const fn judge_sums(&self, (entries, bytes): (u64, u64)) -> Result<(), LimitExceeded> {
        if entries > self.max_entries {
            return Err(LimitExceeded::Entries {
                entries,
                limit: self.max_entries,
            });
        }
        if bytes > self.max_bytes {
            return Err(LimitExceeded::Bytes {
                bytes,
                limit: self.max_bytes,
            });
        }
        Ok(())
    }
}

/// Files above this size are scheduled alone and first, the largest at the head: a deflate stream is serial, so that the
/// longest one decides when the whole is done.
const LARGE_FILE_BYTES: u64 = 1 << 20;
/// Files that one thread takes at once: enough that taking them costs nothing, few enough that no thread waits long.
const BATCH_FILES: usize = 64;

/// Files of one directory, to be written by one thread: threads in different directories do not wait for one another's lock.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// The directory that they lie in.
    pub directory: NodeId,
    /// Which of [`ExtractPlan::files`].
    pub files: Range<usize>,
}

/// What it takes to build a merged tree: directories level by level, then files, then links, then the directories' modes and
/// times, the deepest first. A link exists only when every file has been written, so that nothing can be written through one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExtractPlan {
    /// The directories below the root by depth, those of one parent beside one another.
    pub levels: Vec<Vec<NodeId>>,
    /// The files, in the order of the batches.
    pub files: Vec<NodeId>,
    /// In the order in which they should be begun.
    pub batches: Vec<Batch>,
    /// The links.
    pub symlinks: Vec<NodeId>,
    /// Bytes of all files.
    pub bytes: u64,
}

impl ExtractPlan {
    /// Plans to build `tree`.
    pub fn new(tree: &MergedTree<'_>) -> Self {
        let mut plan = Self::default();
        let mut large = Vec::new();
        let mut level = vec![NodeId::ROOT];
        while !level.is_empty() {
            let mut next = Vec::new();
            for &directory in &level {
                let start = plan.files.len();
                for child in tree.children(directory) {
                    match tree.kind(child) {
                        Kind::Directory => next.push(child),
                        Kind::Symlink => plan.symlinks.push(child),
                        Kind::File => {
                            let bytes = tree.object(child).size;
                            plan.bytes = plan.bytes.saturating_add(bytes);
                            if bytes > LARGE_FILE_BYTES {
                                large.push((bytes, child));
                            } else {
                                plan.files.push(child);
                            }
                        }
                    }
                }
                plan.add_batches(tree, directory, start);
            }
            plan.levels.push(std::mem::replace(&mut level, next));
        }
        // The root exists before any plan is carried out.
        plan.levels.remove(0);
        plan.put_first(tree, large);
        plan
    }

    /// Makes batches of the files from `start` on, which lie in `directory`.
    fn add_batches(&mut self, tree: &MergedTree<'_>, directory: NodeId, start: usize) {
        let stop = self.files.len();
        if let Some(files) = self.files.get_mut(start..) {
            // Nodes of one layer are numbered in the order of its entries, which is that of their bytes: reads go forward.
            files.sort_unstable_by_key(|&file| tree.provider(file));
        }
        for first in (start..stop).step_by(BATCH_FILES) {
            self.batches.push(Batch {
                directory,
                files: first..stop.min(first + BATCH_FILES),
            });
        }
    }

    fn put_first(&mut self, tree: &MergedTree<'_>, mut large: Vec<(u64, NodeId)>) {
        large.sort_unstable_by_key(|&(bytes, file)| (std::cmp::Reverse(bytes), file));
        let mut batches = Vec::with_capacity(large.len() + self.batches.len());
        for (_, file) in large {
            let place = self.files.len();
            self.files.push(file);
            batches.push(Batch {
                directory: tree.parent(file),
                files: place..place + 1,
            });
        }
        batches.append(&mut self.batches);
        self.batches = batches;
    }

    /// How many directories there are below the root.
    pub fn directories(&self) -> usize {
        self.levels.iter().map(Vec::len).sum()
    }
}
