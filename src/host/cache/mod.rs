//! The cache: one immutable tree a layer, and a record a stack, so that a function starts without reading an archive.
//!
//! ```text
//! trees/NAME       a tree: a layer (`1-DIGEST`), corrections (`1c-DIGEST`) or a whole merge (`1m-DIGEST`) of a stack
//! records/NAME     what the tree is made of, when it was known to be whole; written last, without it there is no tree
//! manifests/NAME   every object of the tree with its checksum
//! stacks/DIGEST    which trees a stack is mounted of, and what there is to say of it; locked by whoever uses it
//! memo/ID          the digest of a file or directory that has not changed since
//! locks/           locks of builders        trash/  what is being removed        roots/  see `record`
//! ```
//!
//! Trees are built by the engine that `extract` has, under a lock, and renamed in. Who starts a function takes no lock but a
//! shared one on the stack's record, and does nothing that grows with the layers.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::error::{Admitted, HostError, LayerPlace, Told};
use super::system::cache_folder::{CacheFolder, Folder};
use super::system::root::open_directory;
use crate::archive::Strictness;
use crate::digest::Digest;
use crate::layer::{Layer, NameHasher};
use crate::plan::{Limits, OnCollision, OnTypeConflict};
use crate::quota::{FileIdentity, Weight};
use crate::summary::Summary;

mod boot;
mod builder;
mod damage;
mod draft;
mod encoding;
mod hooks;
mod layers;
mod lock;
pub(in crate::host) mod memo;
mod prepare;
mod prune;
mod stack;
mod stack_record;
mod tree_record;
mod trees;

pub use builder::Built;
pub use damage::Damage;
pub use prune::{Damaged, Pruned, Pruning, RECENT, Stored, Verified};
pub use tree_record::{TreeKey, TreeKind};

/// What decides which tree a stack becomes, and whether it may be one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Under [`OnCollision::Error`] the bytes of what collides are compared. Whether the collisions are too many is for the
    /// caller to judge, by [`Summary::judge`].
    pub on_collision: OnCollision,
    /// How conflicts of kind are merged.
    pub on_type_conflict: OnTypeConflict,
    /// How much ambiguity is accepted.
    pub strictness: Strictness,
    /// What stops bombs.
    pub limits: Limits,
}

/// How trees are built that are missing.
#[derive(Clone, Copy, Debug)]
pub struct Building {
    /// Threads to build with; one for each processor that may be used, if nothing is said.
    pub threads: Option<u16>,
    /// Whether a tree must survive a power cut once it is there; then it is believed after one.
    pub is_durable: bool,
    /// How a failure in the process that builds is told in this one.
    pub describe: fn(HostError) -> Told,
}

/// One layer of a stack that is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadyLayer {
    /// What the user called it.
    pub source: String,
    /// The SHA-256 of the archive; of the listing, contents included, for a directory.
    pub digest: Digest,
    /// Which file it is, to recognise one that is named twice.
    pub identity: Option<FileIdentity>,
    /// Bytes of the archive; of all files for a directory.
    pub code_bytes: u64,
    /// Bytes of all its files and links.
    pub unzipped_bytes: u64,
    /// How many objects it names.
    pub entries: u64,
}

/// A stack whose trees are in the cache, to be mounted. Nothing of it is removed as long as `locks` are open, in this process
/// or in the one that takes its place.
#[derive(Debug)]
pub struct Ready {
    /// The trees to put one above the other, lowest first. None: an empty directory. One: bind it. More: an overlay.
    pub directories: Vec<OwnedFd>,
    /// Their names in `folder`, for kernels that take no descriptors.
    pub names: Vec<String>,
    /// The directory that they lie in.
    pub folder: OwnedFd,
    /// Where that is: in another mount namespace it has to be opened again.
    pub path: PathBuf,
    /// What keeps the trees from being removed: descriptors from 200 on, closed on `execve` until somebody says otherwise.
    /// One, but for a cache that we may not write.
    pub locks: Vec<OwnedFd>,
    /// The layers in merge order.
    pub layers: Vec<ReadyLayer>,
    /// What there is to say of the merged tree.
    pub summary: Summary,
    /// What was accepted under `--lenient`, the layer's number first.
    pub admitted: Vec<(usize, Admitted)>,
    /// Whether it was all there.
    pub is_warm: bool,
    /// What could not be removed, a sentence each for the user.
    pub left_behind: Vec<String>,
}

impl Ready {
    /// What [`crate::quota::judge_weights`] wants to know.
    pub fn weights(&self) -> Vec<Weight<'_>> {
        self.layers
            .iter()
            .map(|layer| Weight {
                source: &layer.source,
                unzipped_bytes: layer.unzipped_bytes,
                identity: layer.identity,
            })
            .collect()
    }
}

/// An open cache.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
}

impl Cache {
    /// Opens the cache, and makes it if it is not there yet.
    ///
    /// # Errors
    ///
    /// Why none of the folders can be used.
    pub fn open(folders: &CacheFolder) -> Result<Self, HostError> {
        let folder = folders.open_or_make();
        folder
            .map(|folder| Self { folder })
            .map_err(|(path, error)| {
                let place = format!("`{}`", path.display());
                HostError::io("use it as the cache", place, error)
            })
    }

    /// Whether the first of these folders that can be used has a layer.
    pub fn holds(folders: &CacheFolder, digest: Digest) -> bool {
        let name = TreeKey::layer(digest).name();
        folders
            .open()
            .and_then(|folder| folder.open_below(trees::TREES).ok())
            .is_some_and(|trees| open_directory(&trees, name.as_bytes()).is_ok())
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.folder.path
    }

    /// Whether this user may write there.
    pub const fn is_writable(&self) -> bool {
        self.folder.is_writable
    }

    /// A layer that is in the cache, and its tree, which is not removed as long as it is open.
    ///
    /// # Errors
    ///
    /// [`HostError::NotCached`], or what was accepted under `--lenient` when it was built, and is not now.
    pub(super) fn load(
        &self,
        digest: Digest,
        place: &LayerPlace,
        strictness: Strictness,
        hasher: &NameHasher,
    ) -> Result<(Layer, OwnedFd), HostError> {
        let not_cached = || HostError::NotCached {
            layer: place.clone(),
            cache: self.path().display().to_string(),
        };
        let key = TreeKey::layer(digest);
        let trees = self.part(trees::TREES).map_err(|_| not_cached())?;
        let tree = lock::share_directory(&trees, &key.name())
            .ok()
            .flatten()
            .ok_or_else(not_cached)?;
        let record = self.tree_record(key).ok_or_else(not_cached)?;
        if strictness == Strictness::Strict
            && let Some(admitted) = record.admitted.first()
        {
            return Err(HostError::NotAdmitted {
                layer: place.clone(),
                admitted: Box::new(admitted.clone()),
            });
        }
        let layer = self
            .manifest(&record)
            .and_then(|nodes| tree_record::layer_of(place.source.clone(), &nodes, hasher))
            .ok_or_else(not_cached)?;
        Ok((layer, tree))
    }
}
