//! AWS's own quotas for layers, in AWS's own sentences, so that what fails in the cloud fails here with the same words.
//!
//! From the AWS Lambda Developer Guide, *Lambda quotas*: five layers; 250 MB for "the contents of a deployment package,
//! including layers and custom runtimes (unzipped)", which is 262,144,000 bytes. The sentences are those that the service
//! answers with, recorded in January 2026.

use crate::layer::LayerStack;

/// Layers that a function can have.
pub const MAX_LAYERS: usize = 5;
/// Bytes of a function and all its layers, unzipped. Files that a later layer overrides count too: sums, not the merge, are
/// what the service reports.
pub const MAX_UNZIPPED_BYTES: u64 = 262_144_000;
/// Bytes of an archive that is uploaded in the request itself; a larger one goes through S3.
pub const MAX_ZIPPED_BYTES: u64 = 52_428_800;

/// Which file a layer is, so that the same one is recognised under two names: its device and inode.
pub type FileIdentity = (u64, u64);

/// A quota that the service would enforce.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaExceeded {
    /// More than [`MAX_LAYERS`].
    #[error("Cannot reference more than 5 layers.")]
    Layers,
    /// One layer twice.
    #[error(
        "Two different versions of the same layer are not allowed to be referenced in the same function. {0} and {1} are versions of the same layer."
    )]
    SameLayer(String, String),
    /// One archive reaches [`MAX_UNZIPPED_BYTES`].
    #[error("Unzipped size must be smaller than 262144000 bytes")]
    Archive {
        /// The layer, counted from 1.
        layer: usize,
    },
    /// One archive reaches [`MAX_ZIPPED_BYTES`] and is uploaded directly.
    #[error("Zipped size must be smaller than 52428800 bytes")]
    Zipped,
    /// The layers together exceed [`MAX_UNZIPPED_BYTES`].
    #[error("Layers consume more than the available size of 262144000 bytes")]
    AllLayers,
    /// The function and its layers exceed it.
    #[error(
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is {0} bytes."
    )]
    FunctionAndLayers(u64),
}

/// What the service weighs of a layer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Weight<'l> {
    /// What the user called it.
    pub source: &'l str,
    /// The bytes of all its files and links.
    pub unzipped_bytes: u64,
    /// Which file it is; `None` for one that has no identity.
    pub identity: Option<FileIdentity>,
}

/// Every quota that the stack exceeds, `task_root_bytes` being those of the function itself where they are known.
/// `identities` tells the layers apart, in merge order; `None` for one that has no identity.
pub fn judge(
    stack: &LayerStack,
    identities: &[Option<FileIdentity>],
    task_root_bytes: Option<u64>,
) -> Vec<QuotaExceeded> {
    judge_weights(&weights(stack, identities), task_root_bytes)
}

/// What the service weighs of the layers of a stack, in merge order.
pub fn weights<'l>(stack: &'l LayerStack, identities: &[Option<FileIdentity>]) -> Vec<Weight<'l>> {
    let identities = identities.iter().copied().chain(std::iter::repeat(None));
    stack
        .in_merge_order()
        .zip(identities)
        .map(|((_, layer), identity)| Weight {
            source: &layer.source,
            unzipped_bytes: layer.unzipped_bytes,
            identity,
        })
        .collect()
}

/// The same of layers of which no more than their weights is known, in merge order.
pub fn judge_weights(weights: &[Weight<'_>], task_root_bytes: Option<u64>) -> Vec<QuotaExceeded> {
    let mut exceeded = Vec::new();
    if weights.len() > MAX_LAYERS {
        exceeded.push(QuotaExceeded::Layers);
    }
    for (position, weight) in weights.iter().enumerate() {
        let is_same =
            |other: &&Weight<'_>| weight.identity.is_some() && other.identity == weight.identity;
        let Some(first) = weights.iter().take(position).find(is_same) else {
            continue;
        };
        exceeded.push(QuotaExceeded::SameLayer(
            first.source.to_owned(),
            weight.source.to_owned(),
        ));
    }
    let mut sum: u64 = 0;
    for (weight, number) in weights.iter().zip(1..) {
        if weight.unzipped_bytes >= MAX_UNZIPPED_BYTES {
            exceeded.push(QuotaExceeded::Archive { layer: number });
        }
        sum = sum.saturating_add(weight.unzipped_bytes);
    }
    match task_root_bytes {
        Some(task_root) if sum.saturating_add(task_root) > MAX_UNZIPPED_BYTES => exceeded.push(
            QuotaExceeded::FunctionAndLayers(sum.saturating_add(task_root)),
        ),
        None if sum > MAX_UNZIPPED_BYTES => exceeded.push(QuotaExceeded::AllLayers),
        _ => {}
    }
    exceeded
}

/// Every quota that one archive exceeds that is to be published as a layer. `zipped_bytes` is `None` before it is written.
pub fn judge_archive(unzipped_bytes: u64, zipped_bytes: Option<u64>) -> Vec<QuotaExceeded> {
    let mut exceeded = Vec::new();
    if unzipped_bytes >= MAX_UNZIPPED_BYTES {
        exceeded.push(QuotaExceeded::Archive { layer: 1 });
    }
    if zipped_bytes.is_some_and(|bytes| bytes >= MAX_ZIPPED_BYTES) {
        exceeded.push(QuotaExceeded::Zipped);
    }
    exceeded
}
