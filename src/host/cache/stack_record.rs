//! What is known of a stack: which trees it is mounted of and what there is to say of it, so that a start reads no index.

use sha2::{Digest as _, Sha256};

use super::boot::Boot;
use super::ready::StackPolicy;
use super::tree_record::{RootIdentity, TreeKey};
use crate::archive::Strictness;
use crate::collisions::Counts;
use crate::digest::Digest;
use crate::host::error::WaivedRule;
use crate::host::system::encoding::{Decoder, Encoder, Mark};
use crate::plan::{OnCollision, OnTypeConflict};
use crate::summary::{Paths, Summary};

const MARK: Mark = *b"slstck 1";

/// The name of a stack's record: what decides everything in it.
pub(super) fn stack_digest(layers: &[Digest], policy: &StackPolicy) -> Digest {
    let flags = [
        policy.on_collision == OnCollision::Error,
        policy.on_type_conflict == OnTypeConflict::Follow,
        policy.strictness == Strictness::Lenient,
    ];
    let mut hash = Sha256::new();
    hash.update(MARK);
    hash.update(flags.map(u8::from));
    for &layer in layers {
        hash.update(TreeKey::layer(layer).name());
    }
    Digest(hash.finalize().into())
}

/// A tree that a stack is mounted of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct StackTree {
    pub(super) key: TreeKey,
    pub(super) root: RootIdentity,
    pub(super) is_durable: bool,
}

/// What is known of one of its layers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct StackLayer {
    pub(super) digest: Digest,
    pub(super) code_bytes: u64,
    pub(super) unzipped_bytes: u64,
    pub(super) entries: u64,
    pub(super) waived: Vec<WaivedRule>,
}

/// What is known of a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct StackRecord {
    /// When its trees were last known to be whole.
    pub(super) boot: Boot,
    /// The trees, lowest first.
    pub(super) trees: Vec<StackTree>,
    /// The layers in merge order.
    pub(super) layers: Vec<StackLayer>,
    pub(super) summary: Summary,
}

impl StackRecord {
    /// Whether all trees may be believed without looking into them.
    pub(super) fn is_settled(&self, now: &Boot) -> bool {
        self.boot.is(now) || self.trees.iter().all(|tree| tree.is_durable)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(MARK);
        self.boot.encode(&mut encoder);
        encoder
            .list(&self.trees, |encoder, tree| {
                encoder
                    .bytes(tree.key.name().as_bytes())
                    .number(tree.root.0)
                    .number(tree.root.1)
                    .flag(tree.is_durable);
            })
            .list(&self.layers, |encoder, layer| {
                encoder
                    .digest(layer.digest)
                    .number(layer.code_bytes)
                    .number(layer.unzipped_bytes)
                    .number(layer.entries)
                    .list(&layer.waived, WaivedRule::encode);
            });
        let summary = &self.summary;
        encoder
            .count(summary.files)
            .count(summary.directories)
            .count(summary.symlinks)
            .number(summary.bytes)
            .count(summary.collisions.identical)
            .count(summary.collisions.mode)
            .count(summary.collisions.content)
            .count(summary.collisions.r#type);
        for paths in [
            &summary.overridden,
            &summary.conflicts,
            &summary.unreadable,
            &summary.leaving,
        ] {
            encoder
                .count(paths.count)
                .list(&paths.examples, |encoder, path| {
                    encoder.bytes(path.as_bytes());
                });
        }
        encoder.list(&summary.extensions, |encoder, name| {
            encoder.bytes(name);
        });
        encoder.finish()
    }

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(record, MARK)?;
        let boot = Boot::decode(&mut decoder)?;
        let trees = decoder.list(|decoder| {
            Some(StackTree {
                key: TreeKey::from_name(&decoder.text()?)?,
                root: (decoder.number()?, decoder.number()?),
                is_durable: decoder.flag()?,
            })
        })?;
        let layers = decoder.list(|decoder| {
            Some(StackLayer {
                digest: decoder.digest()?,
                code_bytes: decoder.number()?,
                unzipped_bytes: decoder.number()?,
                entries: decoder.number()?,
                waived: decoder.list(WaivedRule::decode)?,
            })
        })?;
        let summary = decode_summary(&mut decoder)?;
        decoder.end().map(|()| Self {
            boot,
            trees,
            layers,
            summary,
        })
    }
}

fn decode_summary(decoder: &mut Decoder<'_>) -> Option<Summary> {
    let paths = |decoder: &mut Decoder<'_>| {
        Some(Paths {
            count: decoder.count()?,
            examples: decoder.list(Decoder::path)?,
        })
    };
    Some(Summary {
        files: decoder.count()?,
        directories: decoder.count()?,
        symlinks: decoder.count()?,
        bytes: decoder.number()?,
        collisions: Counts {
            identical: decoder.count()?,
            mode: decoder.count()?,
            content: decoder.count()?,
            r#type: decoder.count()?,
        },
        overridden: paths(decoder)?,
        conflicts: paths(decoder)?,
        unreadable: paths(decoder)?,
        leaving: paths(decoder)?,
        extensions: decoder.list(|decoder| decoder.bytes().map(<[u8]>::to_vec))?,
    })
}
