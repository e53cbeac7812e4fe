//! Makes sure that a stack has its trees: identify the layers, build what is missing, record the stack.

use std::os::fd::OwnedFd;

use rayon::prelude::*;

use super::boot::Boot;
use super::builder::Builder;
use super::layers::{JudgedLayer, RequestedLayer};
use super::lock::Sharing;
use super::open::Cache;
use super::planned_tree::PlannedTree;
use super::ready::{Building, StackPolicy};
use super::stack::StackOutcome;
use super::stack_record::StackRecord;
use super::tree_record::{TreeKey, encode_manifest, nodes_of};
use super::trees::{LOCKS, TreeState};
use crate::digest::Digest;
use crate::host::cache::builder::BUILDERS;
use crate::host::error::{Abandoned, HostError, LayerLabel, WaivedRule};
use crate::host::extract::extraction::read_umask;
use crate::host::read::entry::Reader;
use crate::host::read::input::LayerInput;
use crate::host::read::stack::{LoadedStack, OpenLayer};
use crate::host::system::budget::{Budget, thread_count};
use crate::host::system::durability::Durability;
use crate::host::system::interrupt::Interrupt;
use crate::layer::LayerId;
use crate::merge::MergedTree;
use crate::plan::ExtractPlan;

/// How often a tree that is found to be damaged is built again within one run.
const ATTEMPTS: usize = 3;

/// What was built, or was there.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The digests of the layers, in merge order.
    pub digests: Vec<Digest>,
    /// The record of the stack, where it could not be written.
    pub(super) unrecorded: Option<StackRecord>,
    /// What could not be removed, a sentence each for the user.
    pub left_behind: Vec<String>,
}

impl Cache {
    /// Builds whatever a stack needs. This starts threads.
    ///
    /// # Errors
    ///
    /// What is wrong with the lowest layer, or why the cache cannot be used.
    pub fn build(
        &self,
        inputs: &[LayerInput],
        policy: &StackPolicy,
        building: &Building,
        interrupt: &Interrupt,
    ) -> Result<Built, Abandoned> {
        let umask = read_umask();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(thread_count(building.threads))
            .build()
            .map_err(|error| self.failed("start threads", "", std::io::Error::other(error)))?;
        let mut builder = Builder {
            cache: self,
            policy,
            durability: building.durability,
            pool,
            budget: Budget::default(),
            interrupt,
            umask,
            boot: Boot::now(),
            left_behind: Vec::new(),
        };
        let built = builder.run(inputs);
        let left_behind = builder.left_behind;
        match built {
            Ok((digests, unrecorded)) => Ok(Built {
                digests,
                unrecorded,
                left_behind,
            }),
            Err(error) => Err(Abandoned { error, left_behind }),
        }
    }
}

/// What a layer's tree is to be. One thread works it out, so several layers' are worked out at once.
struct Shape<'l> {
    tree: MergedTree<'l>,
    plan: ExtractPlan,
    manifest: Vec<u8>,
}

impl<'l> Shape<'l> {
    fn of(loaded: &'l JudgedLayer) -> Self {
        let stack = &loaded.stack;
        let tree = MergedTree::of_layer(&stack.stack, LayerId(0));
        let nodes = nodes_of(
            &tree,
            |node| loaded.checksums.get(tree.path(node).as_bytes()).copied(),
            |_| true,
        );
        Self {
            plan: ExtractPlan::new(&tree),
            manifest: encode_manifest(&nodes),
            tree,
        }
    }
}

impl Builder<'_> {
    fn run(
        &mut self,
        inputs: &[LayerInput],
    ) -> Result<(Vec<Digest>, Option<StackRecord>), HostError> {
        let is_writable = self.cache.folder.is_writable;
        let locks = is_writable.then(|| self.cache.require(LOCKS)).transpose()?;
        let _running = match &locks {
            Some(locks) => Some(self.lock(locks, BUILDERS, Sharing::Shared)?),
            None => None,
        };
        if is_writable {
            self.sweep()?;
        }
        let mut wanted = RequestedLayer::all(inputs);
        let digests = self.identify(&mut wanted)?;
        for _ in 0..ATTEMPTS {
            self.ensure_layers(&mut wanted, &digests, locks.as_ref())?;
            match self.stack(&wanted, &digests, locks.as_ref())? {
                StackOutcome::Recorded => return Ok((digests, None)),
                StackOutcome::Unrecorded(record) => return Ok((digests, Some(*record))),
                StackOutcome::TreeDamaged => {}
            }
        }
        let reason = std::io::Error::other("what is written to it does not come back");
        Err(self.cache.failed("use the cache", "", reason))
    }

    /// Makes sure that every layer's tree is there and whole.
    fn ensure_layers(
        &mut self,
        wanted: &mut [RequestedLayer<'_>],
        digests: &[Digest],
        locks: Option<&OwnedFd>,
    ) -> Result<(), HostError> {
        let mut keys: Vec<TreeKey> = digests.iter().copied().map(TreeKey::layer).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|&key| !self.is_settled(key));
        // In the order of their names, so that two runs never wait for each other.
        let mut held = Vec::new();
        let mut missing = Vec::new();
        for key in keys {
            if let Some(locks) = locks {
                held.push(self.lock(locks, &key.name(), Sharing::Exclusive)?);
            }
            if !self.is_whole(key)? {
                missing.push(key.digest);
            }
        }
        let mut loaded = self.load_missing(wanted, digests, &missing)?;
        loaded.sort_by_key(|loaded| loaded.index);
        self.judge_limits(digests, &loaded)?;
        let shapes: Vec<Shape<'_>> = self
            .pool
            .install(|| loaded.par_iter().map(Shape::of).collect());
        for (loaded, shape) in loaded.iter().zip(shapes) {
            if let Some(wanted) = wanted.get(loaded.index) {
                self.build_layer(wanted, loaded, &shape)?;
            }
        }
        Ok(())
    }

    /// Whether nothing has to be done for a tree.
    fn is_settled(&self, key: TreeKey) -> bool {
        match self.cache.tree_state(key, &self.boot) {
            TreeState::Whole(record) => record.is_durable || self.durability == Durability::Fast,
            TreeState::Missing | TreeState::Unchecked(_) => false,
        }
    }

    /// Judges what the whole stack unzips to, before anything is written.
    fn judge_limits(&self, digests: &[Digest], loaded: &[JudgedLayer]) -> Result<(), HostError> {
        let mut sums: (u64, u64) = (0, 0);
        for &digest in digests {
            let fresh = loaded
                .iter()
                .find(|loaded| loaded.digest == digest)
                .map(|loaded| loaded.stack.stack.layer(LayerId(0)));
            let (entries, bytes) = match fresh {
                Some(layer) => (layer.entries() as u64, layer.unzipped_bytes),
                None => self
                    .cache
                    .tree_record(TreeKey::layer(digest))
                    .map_or((0, 0), |record| (record.entries, record.unzipped_bytes)),
            };
            sums = (sums.0.saturating_add(entries), sums.1.saturating_add(bytes));
        }
        Ok(self.policy.limits.judge_sums(sums)?)
    }

    fn build_layer(
        &mut self,
        wanted: &RequestedLayer<'_>,
        loaded: &JudgedLayer,
        shape: &Shape<'_>,
    ) -> Result<(), HostError> {
        let stack = &loaded.stack;
        let layer = stack.stack.layer(LayerId(0));
        let mut waived: Vec<WaivedRule> = layer.waived().map(WaivedRule::of).collect();
        waived.extend(self.verify_hidden(stack, &wanted.place)?);
        let key = TreeKey::layer(loaded.digest);
        let planned = PlannedTree {
            key,
            loaded: stack,
            tree: &shape.tree,
            plan: &shape.plan,
            code_bytes: layer.code_bytes,
            entries: layer.entries() as u64,
            unzipped_bytes: layer.unzipped_bytes,
            waived,
        };
        let published = self.publish(&planned)?;
        // What was hashed must be what was extracted.
        if let Err(error) = self.still_is(wanted, loaded) {
            self.left_behind.extend(self.cache.discard(key));
            return Err(error);
        }
        self.record(&planned, published, &shape.manifest)
    }

    /// Reads the entries that no tree holds as if one did.
    fn verify_hidden(
        &self,
        loaded: &LoadedStack,
        place: &LayerLabel,
    ) -> Result<Vec<WaivedRule>, HostError> {
        let mut reader = Reader::new(&self.budget);
        if let OpenLayer::Archive { archive, file } = loaded.open(LayerId(0)) {
            for &entry in loaded.stack.layer(LayerId(0)).unplaced() {
                self.interrupt.check()?;
                reader.read_entry(file, archive, entry, place, |_| Ok(()))?;
            }
        }
        Ok(reader.waived.iter().map(WaivedRule::of).collect())
    }

    /// Reads the missing layers' indexes, several at once.
    fn load_missing(
        &self,
        wanted: &mut [RequestedLayer<'_>],
        digests: &[Digest],
        missing: &[Digest],
    ) -> Result<Vec<JudgedLayer>, HostError> {
        let mut first: Vec<(usize, Digest, &mut RequestedLayer<'_>)> = Vec::new();
        for ((index, wanted), &digest) in wanted.iter_mut().enumerate().zip(digests) {
            let is_first = first.iter().all(|&(_, other, _)| other != digest);
            if is_first && missing.contains(&digest) {
                first.push((index, digest, wanted));
            }
        }
        let loaded: Vec<Result<JudgedLayer, HostError>> = self.pool.install(|| {
            first
                .into_par_iter()
                .map(|(index, digest, wanted)| self.load(index, digest, wanted))
                .collect()
        });
        loaded.into_iter().collect()
    }
}
