//! A stack of trees that are there: how it is mounted, what that takes besides, and what is recorded of it.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use rayon::prelude::*;

use super::builder::Builder;
use super::layers::RequestedLayer;
use super::lock::{Sharing, try_own};
use super::planned_tree::PlannedTree;
use super::stack_record::{StackLayer, StackRecord, StackTree, stack_digest};
use super::tree_record::{TreeKey, TreeKind, TreeRecord, encode_manifest, layer_of, nodes_of};
use super::trees::{MOST_RECORD_BYTES, STACKS, TREES};
use crate::archive::Strictness;
use crate::digest::Digest;
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::read::compare::classify;
use crate::host::read::source::Source;
use crate::host::read::stack::{LoadedLayer, LoadedStack};
use crate::host::system::root::Root;
use crate::host::system::whole_file;
use crate::layer::{Layer, NameHasher};
use crate::merge::{MergedTree, NodeId};
use crate::mount_plan::MountPlan;
use crate::plan::ExtractPlan;
use crate::summary::Summary;

/// What became of the record of a stack.
pub(super) enum StackOutcome {
    /// It is written.
    Recorded,
    /// All trees are there, and the record could not be written: the cache is another user's, or the old record is in use.
    Unrecorded(Box<StackRecord>),
    /// A tree is not what its record says, so nothing can be recorded.
    TreeDamaged,
}

impl Builder<'_> {
    /// Decides how the stack is mounted, and builds what that takes.
    pub(super) fn stack(
        &mut self,
        wanted: &[RequestedLayer<'_>],
        digests: &[Digest],
        locks: Option<&OwnedFd>,
    ) -> Result<StackOutcome, HostError> {
        let hasher = NameHasher::new();
        let known: Vec<Option<(TreeRecord, Layer)>> = self.pool.install(|| {
            wanted
                .par_iter()
                .zip(digests)
                .map(|(wanted, &digest)| {
                    let record = self.cache.tree_record(TreeKey::layer(digest))?;
                    let nodes = self.cache.manifest(&record)?;
                    let layer = layer_of(wanted.place.source.clone(), &nodes, &hasher)?;
                    Some((record, layer))
                })
                .collect()
        });
        let mut trees = Vec::with_capacity(digests.len());
        let mut layers = Vec::with_capacity(digests.len());
        for ((wanted, &digest), known) in wanted.iter().zip(digests).zip(known) {
            let key = TreeKey::layer(digest);
            let (Some((record, layer)), Ok((directory, _))) = (known, self.cache.open_tree(key))
            else {
                return Ok(StackOutcome::TreeDamaged);
            };
            if self.policy.strictness == Strictness::Strict
                && let Some(waived) = record.waived.first()
            {
                return Err(HostError::NotWaived {
                    layer: wanted.place.clone(),
                    waived: Box::new(waived.clone()),
                });
            }
            let loaded = LoadedLayer {
                source: Source::Tree(directory),
                label: wanted.place.clone(),
                identity: None,
                fingerprint: digest.0,
            };
            trees.push((layer, loaded));
            layers.push(StackLayer {
                digest,
                code_bytes: record.code_bytes,
                unzipped_bytes: record.unzipped_bytes,
                entries: record.entries,
                waived: record.waived,
            });
        }
        let loaded = LoadedStack::new(trees, hasher);
        let Some((summary, mounted)) = self.merge(&loaded, digests, locks)? else {
            return Ok(StackOutcome::TreeDamaged);
        };
        let record = StackRecord {
            boot: self.boot.clone(),
            trees: mounted,
            layers,
            summary,
        };
        self.write_stack(digests, record, locks)
    }

    /// Merges the layers: what there is to say of the tree, and the trees to mount.
    fn merge(
        &mut self,
        loaded: &LoadedStack,
        digests: &[Digest],
        locks: Option<&OwnedFd>,
    ) -> Result<Option<(Summary, Vec<StackTree>)>, HostError> {
        let linked = self.policy.on_type_conflict.linked_directory();
        let tree = MergedTree::merge(&loaded.stack, linked);
        let plan = ExtractPlan::new(&tree);
        let means = self.policy.on_collision.same_bytes();
        let collisions = classify(loaded, &tree, means, &self.pool, &self.budget)?;
        let summary = Summary::of(&tree, &plan, &collisions);
        let own = |kind| TreeKey {
            kind,
            digest: stack_digest(digests, self.policy),
        };
        let (layers, extra) = match MountPlan::of(&tree, digests) {
            MountPlan::Empty => (Vec::new(), None),
            MountPlan::Bind(layer) => (vec![layer], None),
            MountPlan::Overlay {
                layers,
                corrections,
            } if corrections.is_empty() => (layers, None),
            MountPlan::Overlay {
                layers,
                corrections,
            } => {
                let plan = ExtractPlan {
                    levels: corrections,
                    ..ExtractPlan::default()
                };
                (layers, Some((own(TreeKind::Corrections), plan)))
            }
            MountPlan::Merged => (Vec::new(), Some((own(TreeKind::Merged), plan))),
        };
        let mut keys: Vec<TreeKey> = layers
            .iter()
            .filter_map(|layer| digests.get(usize::from(layer.0)))
            .copied()
            .map(TreeKey::layer)
            .collect();
        if let Some((key, plan)) = extra {
            self.ensure_own(key, loaded, &tree, &plan, locks)?;
            keys.push(key);
        }
        let mut mounted = Vec::with_capacity(keys.len());
        for key in keys {
            let (Some(record), Ok((_, root))) =
                (self.cache.tree_record(key), self.cache.open_tree(key))
            else {
                return Ok(None);
            };
            mounted.push(StackTree {
                key,
                root,
                is_durable: record.is_durable,
            });
        }
        Ok(Some((summary, mounted)))
    }

    /// Makes sure that a tree is there that belongs to the stack alone.
    fn ensure_own(
        &mut self,
        key: TreeKey,
        loaded: &LoadedStack,
        tree: &MergedTree<'_>,
        plan: &ExtractPlan,
        locks: Option<&OwnedFd>,
    ) -> Result<(), HostError> {
        let _held = match locks {
            Some(locks) => Some(self.lock(locks, &key.name(), Sharing::Exclusive)?),
            None => None,
        };
        if self.is_whole(key)? {
            return Ok(());
        }
        if locks.is_none() {
            let denied = Errno::EROFS;
            return Err(self.cache.failed(
                "build a tree that this stack needs of its own",
                TREES,
                denied,
            ));
        }
        let mut is_planned = vec![false; tree.len()];
        let objects = plan
            .levels
            .iter()
            .flatten()
            .chain(&plan.files)
            .chain(&plan.symlinks);
        for node in objects {
            if let Some(planned) = is_planned.get_mut(node.index()) {
                *planned = true;
            }
        }
        let planned = PlannedTree {
            key,
            loaded,
            tree,
            plan,
            code_bytes: plan.bytes,
            entries: (plan.files.len() + plan.symlinks.len() + plan.directories()) as u64,
            unzipped_bytes: plan.bytes,
            waived: Vec::new(),
        };
        let published = self.publish(&planned)?;
        let is_wanted = |node: NodeId| is_planned.get(node.index()).copied().unwrap_or(false);
        let nodes = nodes_of(tree, |_| None, is_wanted);
        debug_assert!(
            nodes
                .iter()
                .all(|node| node.object.kind != Kind::File || node.object.crc32.is_some()),
            "trees of layers know their checksums"
        );
        self.record(&planned, published, &encode_manifest(&nodes))
    }

    /// Records a stack. A record that somebody has locked is never replaced: his
    /// lock would be on a file that nobody finds any more, and what he uses would look unused.
    fn write_stack(
        &self,
        digests: &[Digest],
        record: StackRecord,
        locks: Option<&OwnedFd>,
    ) -> Result<StackOutcome, HostError> {
        let Some(locks) = locks else {
            return Ok(StackOutcome::Unrecorded(Box::new(record)));
        };
        let failed = |error| {
            self.cache
                .failed("write a record of the cache", STACKS, error)
        };
        let folder = self.cache.require(STACKS)?;
        let name = stack_digest(digests, self.policy).hex();
        let _alone = self.lock(locks, &name, Sharing::Exclusive)?;
        let before = match Root::borrow(&folder).open_file(name.as_bytes()) {
            Err(Errno::ENOENT) => None,
            other => Some(other.map_err(|error| failed(error.into()))?),
        };
        if let Some(before) = &before {
            let is_own = try_own(&folder, &name, before).map_err(|error| failed(error.into()))?;
            let known = whole_file::read(&folder, &name, MOST_RECORD_BYTES)
                .and_then(|known| StackRecord::decode(&known));
            if known.as_ref() == Some(&record) {
                return Ok(StackOutcome::Recorded);
            }
            if !is_own {
                return Ok(StackOutcome::Unrecorded(Box::new(record)));
            }
        }
        let mode = self.cache.folder.file_mode();
        whole_file::write(&folder, &name, &record.encode(), mode, self.durability)
            .map_err(failed)?;
        Ok(StackOutcome::Recorded)
    }
}
