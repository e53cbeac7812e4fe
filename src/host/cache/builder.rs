//! Builds what a stack needs and the cache lacks: trees of layers, corrections, merges, and the record that names them.
//!
//! A tree is built beside its name and renamed there by the engine of `extract`; its record is written last, and without one
//! there is no tree. Who builds a tree holds a lock named like it, and all who build share one on the cache, so that `prune`
//! can wait for them.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::syncfs;
use rayon::ThreadPool;

use super::boot::Boot;
use super::damage::{damages, is_root_intact};
use super::lock::{NamedLock, Sharing};
use super::open::Cache;
use super::ready::StackPolicy;
use super::tree_record::{TreeKey, TreeRecord};
use super::trees::{LOCKS, MANIFESTS, MEMO, RECORDS, STACKS, TREES, TreeState};
use crate::digest::Digest;
use crate::host::error::HostError;
use crate::host::system::budget::Budget;
use crate::host::system::durability::Durability;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::uninterrupted;
use crate::host::system::whole_file;

/// The lock that all who build share.
pub(super) const BUILDERS: &str = "builders";

pub(super) struct Builder<'b> {
    pub(super) cache: &'b Cache,
    pub(super) policy: &'b StackPolicy,
    pub(super) durability: Durability,
    pub(super) pool: ThreadPool,
    pub(super) budget: Budget,
    pub(super) interrupt: &'b Interrupt,
    pub(super) umask: u16,
    pub(super) boot: Boot,
    pub(super) left_behind: Vec<String>,
}

impl Builder<'_> {
    /// Removes what killed runs left, whatever they were building.
    pub(super) fn sweep(&mut self) -> Result<(), HostError> {
        for part in [RECORDS, MANIFESTS, STACKS, MEMO] {
            whole_file::sweep(&self.cache.require(part)?);
        }
        let nothing = self.destination(TREES, &Digest([0; 32]))?;
        self.left_behind.extend(nothing.reclaim_all_beside());
        self.left_behind.extend(self.cache.empty_trash());
        Ok(())
    }

    pub(super) fn lock<'f>(
        &self,
        locks: &'f OwnedFd,
        name: &str,
        sharing: Sharing,
    ) -> Result<NamedLock<'f>, HostError> {
        let mode = self.cache.folder.file_mode();
        NamedLock::wait(locks, name, sharing, mode)
            .map_err(|error| self.cache.failed("take a lock of the cache", LOCKS, error))
    }

    /// Whether a tree is there and whole; it is looked through if that is not known. What is damaged is taken away.
    pub(super) fn is_whole(&mut self, key: TreeKey) -> Result<bool, HostError> {
        let record = match self.cache.tree_state(key, &self.boot) {
            TreeState::Whole(record) => {
                if self.durability == Durability::Survives && !record.is_durable {
                    self.make_durable(record)?;
                }
                return Ok(true);
            }
            TreeState::Unchecked(record) => Some(record),
            TreeState::Missing => None,
        };
        if let Some(record) = record
            && let Ok((tree, root)) = self.cache.open_tree(key)
            && let Some(nodes) = self.cache.manifest(&record)
            && is_root_intact(&tree)
        {
            let found = self
                .pool
                .install(|| damages(&tree, &nodes, self.interrupt))?;
            if found.is_empty() {
                let boot = self.boot.clone();
                let checked = TreeRecord {
                    root,
                    boot,
                    ..record
                };
                if self.durability == Durability::Survives {
                    self.make_durable(checked)?;
                } else if self.cache.folder.is_writable {
                    self.write_record(&checked)?;
                }
                return Ok(true);
            }
            for damage in found.iter().take(crate::plan::EXAMPLES) {
                tracing::info!(tree = key.name(), %damage, "damaged, and built again");
            }
        }
        if !self.cache.folder.is_writable {
            return Ok(false);
        }
        if self.cache.is_in_use(key)? {
            let place = self.cache.tree_path(key).display().to_string();
            return Err(HostError::io(
                "build the damaged tree again",
                place,
                Errno::EBUSY,
            ));
        }
        self.left_behind.extend(self.cache.discard(key));
        Ok(false)
    }

    /// Writes a tree to the disk that is whole already.
    fn make_durable(&self, record: TreeRecord) -> Result<(), HostError> {
        if !self.cache.folder.is_writable {
            return Ok(());
        }
        self.cache.require(TREES).and_then(|trees| {
            uninterrupted(|| syncfs(&trees))
                .map_err(|error| self.cache.failed("write it to the disk", TREES, error))
        })?;
        self.write_record(&TreeRecord {
            is_durable: true,
            ..record
        })
    }
}
