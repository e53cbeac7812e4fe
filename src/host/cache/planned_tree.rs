//! One tree of the cache, from a plan to its name and its record.

use crate::digest::Digest;
use crate::host::error::{Abandoned, HostError};
use crate::host::extract::destination::{Destination, Replace};
use crate::host::extract::extraction::{Extraction, Progress};
use crate::host::read::stack::LoadedStack;
use crate::host::system::durability::Durability;
use crate::host::system::whole_file;
use crate::merge::MergedTree;
use crate::plan::ExtractPlan;

use super::builder::Builder;
use super::tree_record::{TreeKey, TreeRecord};
use super::trees::{MANIFESTS, RECORDS, TREES};
use crate::host::error::WaivedRule;

/// A tree that is to be built.
pub(super) struct PlannedTree<'d> {
    pub(super) key: TreeKey,
    pub(super) loaded: &'d LoadedStack,
    pub(super) tree: &'d MergedTree<'d>,
    pub(super) plan: &'d ExtractPlan,
    pub(super) code_bytes: u64,
    pub(super) entries: u64,
    pub(super) unzipped_bytes: u64,
    pub(super) waived: Vec<WaivedRule>,
}

impl Builder<'_> {
    /// Builds a tree and renames it to its name; what was accepted under `--lenient` meanwhile.
    pub(super) fn publish(
        &mut self,
        planned: &PlannedTree<'_>,
    ) -> Result<Vec<WaivedRule>, HostError> {
        let content = planned.key.digest;
        let destination = self.destination(&planned.key.name(), &content)?;
        let extraction = Extraction {
            loaded: planned.loaded,
            tree: planned.tree,
            plan: planned.plan,
            pool: &self.pool,
            budget: &self.budget,
            interrupt: self.interrupt,
            umask: self.umask,
            durability: self.durability,
        };
        match extraction.run(&destination, content.0, &Progress::default()) {
            Ok(extracted) => {
                self.left_behind.extend(extracted.left_behind);
                let waived = extracted.waived.iter();
                Ok(waived.map(|(_, refusal)| WaivedRule::of(refusal)).collect())
            }
            Err(Abandoned { error, left_behind }) => {
                self.left_behind.extend(left_behind);
                Err(error)
            }
        }
    }

    /// The place of a tree of this name, which is for this content.
    pub(super) fn destination(
        &self,
        name: &str,
        content: &Digest,
    ) -> Result<Destination, HostError> {
        self.cache.require(TREES)?;
        let folder = self.cache.as_folder();
        let path = self.cache.path_of(TREES, name);
        Destination::examine(&path, None, Replace::Ours, &content.0, folder)
    }

    /// Writes down what was built: from now on it is there.
    pub(super) fn record(
        &self,
        planned: &PlannedTree<'_>,
        published: Vec<WaivedRule>,
        manifest: &[u8],
    ) -> Result<(), HostError> {
        let failed = |error| {
            self.cache
                .failed("write a record of the cache", RECORDS, error)
        };
        let (_, root) = self
            .cache
            .open_tree(planned.key)
            .map_err(|error| failed(error.into()))?;
        let folder = self.cache.require(MANIFESTS)?;
        let mode = self.cache.folder.file_mode();
        let name = planned.key.name();
        whole_file::write(&folder, &name, manifest, mode, self.durability).map_err(failed)?;
        let mut waived = planned.waived.clone();
        waived.extend(published);
        let record = TreeRecord {
            key: planned.key,
            root,
            boot: self.boot.clone(),
            is_durable: self.durability == Durability::Survives,
            code_bytes: planned.code_bytes,
            unzipped_bytes: planned.unzipped_bytes,
            entries: planned.entries,
            bytes: planned.plan.bytes,
            waived,
            manifest_bytes: 0,
            manifest_crc32: 0,
        };
        self.write_record(&record.with_manifest(manifest))
    }

    pub(super) fn write_record(&self, record: &TreeRecord) -> Result<(), HostError> {
        let folder = self.cache.require(RECORDS)?;
        let (name, mode) = (record.key.name(), self.cache.folder.file_mode());
        let durability = if record.is_durable {
            Durability::Survives
        } else {
            Durability::Fast
        };
        whole_file::write(&folder, &name, &record.encode(), mode, durability).map_err(|error| {
            self.cache
                .failed("write a record of the cache", RECORDS, error)
        })
    }
}
