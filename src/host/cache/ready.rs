//! A stack that is ready to be mounted, and what decides how it becomes so.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::archive::Strictness;
use crate::digest::Digest;
use crate::host::error::{ChildFailure, HostError, WaivedRule};
use crate::host::system::durability::Durability;
use crate::plan::{Limits, OnCollision, OnTypeConflict};
use crate::quota::{FileIdentity, Weight};
use crate::summary::Summary;

/// What decides which tree a stack becomes, and whether it may be one.
#[derive(Clone, Copy, Debug, Default)]
pub struct StackPolicy {
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
    pub durability: Durability,
    /// How a failure in the process that builds is told in this one.
    pub describe: fn(HostError) -> ChildFailure,
}

/// One layer of a stack that is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
#[non_exhaustive]
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
    pub waived: Vec<(usize, WaivedRule)>,
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
