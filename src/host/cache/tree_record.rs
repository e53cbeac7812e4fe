//! What is known of a tree in the cache: a small record of what it is made of and whether it is whole, and a manifest of every
//! object in it.

use super::boot::Boot;
use crate::digest::Digest;
use crate::entry::{Kind, Mode, Object};
use crate::host::error::WaivedRule;
use crate::host::system::checksum::crc32;
use crate::host::system::encoding::{Decoder, Encoder, Mark};
use crate::layer::{Layer, Listing, NameHasher};
use crate::merge::{MergedTree, NodeId};
use crate::timestamp::Timestamp;

const RECORD: Mark = *b"sltree 1";
const MANIFEST: Mark = *b"slmani 1";
/// The version of how trees are built: another one is another tree.
const FORMAT: u32 = 1;

/// What a tree is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TreeKind {
    /// One layer.
    Layer,
    /// Directories that put right what overlay shows of a stack.
    Corrections,
    /// A whole stack, merged.
    Merged,
}

/// The name of a tree in the cache.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TreeKey {
    /// What it is.
    pub kind: TreeKind,
    /// The digest of the layer, or of the stack.
    pub digest: Digest,
}

impl TreeKey {
    /// The tree of a layer.
    pub const fn layer(digest: Digest) -> Self {
        Self {
            kind: TreeKind::Layer,
            digest,
        }
    }

    /// Its name in `trees/`.
    pub(super) fn name(self) -> String {
        let kind = match self.kind {
            TreeKind::Layer => "",
            TreeKind::Corrections => "c",
            TreeKind::Merged => "m",
        };
        format!("{FORMAT}{kind}-{}", self.digest.hex())
    }

    /// The tree of that name; `None` when it is of another format.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let (before, hex) = name.split_once('-')?;
        let kind = match before.strip_prefix(&FORMAT.to_string())? {
            "" => TreeKind::Layer,
            "c" => TreeKind::Corrections,
            "m" => TreeKind::Merged,
            _ => return None,
        };
        let digest = Digest::from_hex(hex.as_bytes()).ok()?;
        Some(Self { kind, digest })
    }
}

/// Which directory the root of a tree is: its device and inode.
pub(super) type RootIdentity = (u64, u64);

/// What is known of a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TreeRecord {
    pub(super) key: TreeKey,
    pub(super) root: RootIdentity,
    /// When it was last known to be whole.
    pub(super) boot: Boot,
    /// It was on the disk before it was here: then it is whole after a power cut too, and a copy of it is as good.
    pub(super) is_durable: bool,
    /// Bytes of the archive; of all files for a directory or a tree of our own.
    pub(super) code_bytes: u64,
    pub(super) unzipped_bytes: u64,
    pub(super) entries: u64,
    /// Bytes of all files in the tree.
    pub(super) bytes: u64,
    /// What was accepted under `--lenient`.
    pub(super) waived: Vec<WaivedRule>,
    pub(super) manifest_bytes: u64,
    pub(super) manifest_crc32: u32,
}

impl TreeRecord {
    /// Notes which manifest it goes with.
    #[must_use]
    pub(super) fn with_manifest(mut self, manifest: &[u8]) -> Self {
        self.manifest_bytes = manifest.len() as u64;
        self.manifest_crc32 = crc32(0, manifest);
        self
    }

    /// Whether this is its manifest.
    pub(super) fn has_manifest(&self, manifest: &[u8]) -> bool {
        self.manifest_bytes == manifest.len() as u64 && self.manifest_crc32 == crc32(0, manifest)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(RECORD);
        encoder
            .bytes(self.key.name().as_bytes())
            .number(self.root.0)
            .number(self.root.1);
        self.boot.encode(&mut encoder);
        encoder
            .flag(self.is_durable)
            .number(self.code_bytes)
            .number(self.unzipped_bytes)
            .number(self.entries)
            .number(self.bytes)
            .list(&self.waived, WaivedRule::encode)
            .number(self.manifest_bytes)
            .number(self.manifest_crc32.into());
        encoder.finish()
    }

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(record, RECORD)?;
        let record = Self {
            key: TreeKey::from_name(&decoder.text()?)?,
            root: (decoder.number()?, decoder.number()?),
            boot: Boot::decode(&mut decoder)?,
            is_durable: decoder.flag()?,
            code_bytes: decoder.number()?,
            unzipped_bytes: decoder.number()?,
            entries: decoder.number()?,
            bytes: decoder.number()?,
            waived: decoder.list(WaivedRule::decode)?,
            manifest_bytes: decoder.number()?,
            manifest_crc32: u32::try_from(decoder.number()?).ok()?,
        };
        decoder.end().map(|()| record)
    }
}

impl WaivedRule {
    pub(super) fn encode(encoder: &mut Encoder, waived: &Self) {
        encoder
            .optional(waived.entry.as_deref())
            .bytes(waived.rule.as_bytes());
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            entry: decoder.optional()?.map(<[u8]>::to_vec),
            rule: decoder.text()?,
        })
    }
}

/// One object of a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ManifestNode {
    /// Its path from the root.
    pub(super) path: Vec<u8>,
    /// The layer has an entry for it: an implied directory decides nothing when layers merge.
    pub(super) is_explicit: bool,
    pub(super) object: Object,
    /// The target of a link.
    pub(super) target: Vec<u8>,
}

/// The objects of a tree that was built, in the order of the layers that brought them: a directory before what lies in it, and
/// those of one layer as it has them, which matters where directories merge through links. `crc32` tells the checksum of a
/// file that the tree does not know.
pub(super) fn nodes_of(
    tree: &MergedTree<'_>,
    crc32: impl Fn(NodeId) -> Option<u32>,
    is_wanted: impl Fn(NodeId) -> bool,
) -> Vec<ManifestNode> {
    let mut nodes = Vec::new();
    tree.walk(|path, node| {
        if !is_wanted(node) {
            return;
        }
        let provider = tree.provider(node);
        let mut object = tree.object(node);
        object.crc32 = object.crc32.or_else(|| crc32(node));
        let listed = ManifestNode {
            path: path.as_bytes().to_vec(),
            is_explicit: tree
                .stack()
                .get(provider.layer)
                .is_some_and(|layer| layer.entry_of(provider.node).is_some()),
            object,
            target: tree.target_of(provider).unwrap_or_default().to_vec(),
        };
        nodes.push((provider, listed));
    });
    nodes.sort_by_key(|&(provider, _)| provider);
    nodes.into_iter().map(|(_, listed)| listed).collect()
}

pub(super) fn encode_manifest(nodes: &[ManifestNode]) -> Vec<u8> {
    let mut encoder = Encoder::new(MANIFEST);
    encoder.list(nodes, |encoder, node| {
        let kind = match node.object.kind {
            Kind::Directory => 0,
            Kind::File => 1,
            Kind::Symlink => 2,
        };
        encoder
            .bytes(&node.path)
            .flag(node.is_explicit)
            .number(kind)
            .number(node.object.mode.bits().into())
            .signed(node.object.modified.0)
            .number(node.object.size)
            .number(node.object.crc32.unwrap_or(0).into())
            .bytes(&node.target);
    });
    encoder.finish()
}

pub(super) fn decode_manifest(manifest: &[u8]) -> Option<Vec<ManifestNode>> {
    let mut decoder = Decoder::new(manifest, MANIFEST)?;
    let nodes = decoder.list(|decoder| {
        let path = decoder.bytes()?.to_vec();
        let is_explicit = decoder.flag()?;
        let kind = match decoder.number()? {
            0 => Kind::Directory,
            1 => Kind::File,
            2 => Kind::Symlink,
            _ => return None,
        };
        let mode = Mode::from_bits(u16::try_from(decoder.number()?).ok()?);
        let modified = Timestamp(decoder.signed()?);
        let size = decoder.number()?;
        let crc32 = u32::try_from(decoder.number()?).ok()?;
        let crc32 = (kind == Kind::File).then_some(crc32);
        let object = Object {
            kind,
            mode,
            modified,
            size,
            crc32,
        };
        Some(ManifestNode {
            path,
            is_explicit,
            object,
            target: decoder.bytes()?.to_vec(),
        })
    })?;
    decoder.end().map(|()| nodes)
}

/// The layer that a tree was built of; `None` when its names contradict each other, which only a damaged manifest's do.
pub(super) fn layer_of(
    source: String,
    nodes: &[ManifestNode],
    hasher: &NameHasher,
) -> Option<Layer> {
    let mut listing = Listing::default();
    let mut targets = Vec::new();
    for node in nodes.iter().filter(|node| node.is_explicit) {
        let entry = listing.push(&node.path, node.object);
        if node.object.kind == Kind::Symlink {
            targets.push((entry, node.target.as_slice()));
        }
    }
    let mut layer = Layer::from_listing(source, listing, hasher).ok()?;
    for (entry, target) in targets {
        layer.set_target(entry, target.into());
    }
    Some(layer)
}
