//! One layer as a tree of judged objects, and the stack of them in merge order.

mod listing;
mod tree;

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use crate::archive::{Archive, Refusal, Strictness};
use crate::entry::{Kind, Object};
use crate::path::LayerPath;
pub use listing::Listing;
use listing::SPECIAL;
pub(crate) use tree::NameHasher;
use tree::{Grown, LayerNode, NO_ENTRY, Names, grow};

/// Position of a layer in its stack, from 0, lowest first. People count from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerId(pub u16);

impl LayerId {
    /// The number that people see.
    pub const fn number(self) -> usize {
        self.0 as usize + 1
    }
}

/// Position of a node in its layer's tree; 0 is the root, and a parent always precedes its children.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerNodeId(pub u32);

impl LayerNodeId {
    /// The layer's root.
    pub const ROOT: Self = Self(0);
}

/// What a layer was read from.
#[derive(Debug)]
pub enum LayerForm {
    /// A zip archive.
    Archive(Archive),
    /// A directory, walked without following links.
    Directory(Listing),
}

/// One layer, judged: every path in it is contained, no name stands for two things, nothing lies below a file or a link.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layer {
    /// What the user called it.
    pub source: String,
    /// The path of its file or directory, where it has one that its user may change: not what a registry, the cache or standard
    /// input gave.
    pub path: Option<String>,
    /// What it was read from.
    pub form: LayerForm,
    /// Bytes of the archive; of all files for a directory.
    pub code_bytes: u64,
    /// What AWS counts against its quota: the bytes of all files and links, before merging.
    pub unzipped_bytes: u64,
    nodes: Vec<LayerNode>,
    /// The targets of the symbolic links, by entry. They are read before merging: whether a directory merges through a link,
    /// and whether a link leaves the root, cannot be known otherwise.
    targets: HashMap<u32, Box<[u8]>>,
    /// Entries that no node stands for: those of the root itself, and those whose place a later one of their name took.
    unplaced: Vec<u32>,
    /// What was waived in the names, and in what was read before merging.
    waived: Vec<Refusal>,
    /// The hash of `()`, which identifies the hasher: its key is random.
    hasher_mark: u64,
}

impl Layer {
    /// The layer that an archive makes. `hasher` is the one of the stack that it will be in.
    ///
    /// # Errors
    ///
    /// The rule that is broken by the first entry which stands in another one's way.
    pub fn from_archive(
        source: String,
        archive: Archive,
        code_bytes: u64,
        hasher: &NameHasher,
    ) -> Result<Self, Refusal> {
        let Grown {
            nodes,
            unplaced,
            unzipped_bytes,
            waived,
        } = grow(
            &archive,
            archive.entries().len(),
            archive.strictness(),
            hasher,
        )?;
        Ok(Self {
            source,
            path: None,
            form: LayerForm::Archive(archive),
            code_bytes,
            unzipped_bytes,
            nodes,
            targets: HashMap::new(),
            unplaced,
            waived,
            hasher_mark: mark_of(hasher),
        })
    }

    /// The layer that a directory makes. `hasher` is the one of the stack that it will be in.
    ///
    /// # Errors
    ///
    /// The rule that a name breaks.
    pub fn from_listing(
        source: String,
        listing: Listing,
        hasher: &NameHasher,
    ) -> Result<Self, Refusal> {
        let Grown {
            nodes,
            unplaced,
            unzipped_bytes,
            waived,
        } = grow(&listing, listing.len(), Strictness::Strict, hasher)?;
        Ok(Self {
            source,
            path: None,
            form: LayerForm::Directory(listing),
            code_bytes: unzipped_bytes,
            unzipped_bytes,
            nodes,
            targets: HashMap::new(),
            unplaced,
            waived,
            hasher_mark: mark_of(hasher),
        })
    }

    /// The links whose targets are still to be read: entries in the layer's order, none of them overridden in it.
    pub fn unread_links(&self) -> Vec<u32> {
        let mut links: Vec<u32> = self
            .nodes
            .iter()
            .filter(|node| node.kind == Kind::Symlink && !self.targets.contains_key(&node.entry))
            .map(|node| node.entry)
            .collect();
        links.sort_unstable();
        links
    }

    /// The entries that no tree holds, those of the root itself and those that a later one of their name replaced, in the
    /// layer's order: they make nothing, but must not hide anything either.
    pub fn unplaced(&self) -> &[u32] {
        &self.unplaced
    }

    /// Notes what was waived while links and unplaced entries were read.
    pub fn waive(&mut self, waived: Vec<Refusal>) {
        self.waived.extend(waived);
    }

    /// Notes the target of one of [`Layer::unread_links`].
    pub fn set_target(&mut self, entry: u32, target: Box<[u8]>) {
        self.targets.insert(entry, target);
    }

    /// How many objects the layer names; implied directories are none.
    pub fn entries(&self) -> usize {
        match &self.form {
            LayerForm::Archive(archive) => archive.entries().len(),
            LayerForm::Directory(listing) => listing.len(),
        }
    }

    /// Whether the layer says the checksum of every file, without anybody reading it.
    pub const fn knows_checksums(&self) -> bool {
        matches!(self.form, LayerForm::Archive(_))
    }

    /// Every case in which `--lenient` accepted what would be refused otherwise.
    pub fn waived(&self) -> impl Iterator<Item = &Refusal> {
        let archive = match &self.form {
            LayerForm::Archive(archive) => archive.waived.as_slice(),
            LayerForm::Directory(_) => &[],
        };
        archive.iter().chain(&self.waived)
    }

    /// The nodes from the root down, a parent always before its children.
    pub(crate) fn node_ids(&self) -> impl ExactSizeIterator<Item = LayerNodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(LayerNodeId)
    }

    #[track_caller]
    fn node(&self, id: LayerNodeId) -> &LayerNode {
        let Some(node) = self.nodes.get(id.0 as usize) else {
            panic!(
                "node {} was asked for in a layer of {} nodes (`{}`)",
                id.0,
                self.nodes.len(),
                self.source
            );
        };
        node
    }

    /// The directory that a node lies in; the root lies in itself.
    pub(crate) fn parent(&self, id: LayerNodeId) -> LayerNodeId {
        LayerNodeId(self.node(id).parent)
    }

    /// The last component of a node's path; empty for the root.
    pub(crate) fn name(&self, id: LayerNodeId) -> &[u8] {
        let node = self.node(id);
        let start = node.name_start as usize;
        // An implied directory's name stands in the name of the entry that implied it.
        &self.names().buffer()[start..start + usize::from(node.name_bytes)]
    }

    fn names(&self) -> &dyn Names {
        match &self.form {
            LayerForm::Archive(archive) => archive,
            LayerForm::Directory(listing) => listing,
        }
    }

    /// A keyed hash of the node's whole path, the same in every layer of a stack.
    pub(crate) fn path_hash(&self, id: LayerNodeId) -> u64 {
        self.node(id).path_hash
    }

    /// The entry behind a node; `None` for an implied directory.
    pub fn entry_of(&self, id: LayerNodeId) -> Option<u32> {
        Some(self.node(id).entry).filter(|&entry| entry != NO_ENTRY)
    }

    /// What the node is, without the rest of its object.
    pub fn kind(&self, id: LayerNodeId) -> Kind {
        self.node(id).kind
    }

    /// The object at a node.
    pub fn object(&self, id: LayerNodeId) -> Object {
        self.entry_of(id)
            .map_or(Object::IMPLIED, |entry| self.names().object(entry))
    }

    /// The set-user-ID, set-group-ID and sticky bits that the layer gave the object at a node; its mode has none.
    pub fn special_bits(&self, id: LayerNodeId) -> u16 {
        let Some(entry) = self.entry_of(id) else {
            return 0;
        };
        match &self.form {
            LayerForm::Archive(archive) => archive
                .entry(entry)
                .unix_mode
                .map_or(0, |mode| mode & SPECIAL),
            LayerForm::Directory(listing) => listing.special_bits(entry),
        }
    }

    /// Whether an archive gave the object at a node no mode at all, as those do that are packed on Windows.
    pub fn has_no_mode(&self, id: LayerNodeId) -> bool {
        match (&self.form, self.entry_of(id)) {
            (LayerForm::Archive(archive), Some(entry)) => archive.entry(entry).unix_mode.is_none(),
            _ => false,
        }
    }

    /// The target of the link at a node, once it was read.
    pub fn target(&self, id: LayerNodeId) -> Option<&[u8]> {
        self.targets.get(&self.entry_of(id)?).map(AsRef::as_ref)
    }

    /// The node at a path; links are not followed.
    pub fn find(&self, path: &LayerPath) -> Option<LayerNodeId> {
        let last = path.components().next_back()?;
        self.node_ids()
            .find(|&id| id != LayerNodeId::ROOT && self.name(id) == last && self.path(id) == *path)
    }

    /// The path of a node from the layer's root.
    pub fn path(&self, id: LayerNodeId) -> LayerPath {
        let mut chain = Vec::new();
        let mut at = id;
        while at != LayerNodeId::ROOT {
            chain.push(at);
            at = self.parent(at);
        }
        let mut path = LayerPath::root();
        for &node in chain.iter().rev() {
            path.push(self.name(node));
        }
        path
    }
}

/// The hash of `()`, which identifies a hasher: its key is random.
fn mark_of(hasher: &NameHasher) -> u64 {
    hasher.hash_one(())
}

/// The layers of a function in merge order: lowest first, as Lambda lists them.
#[derive(Debug, Default)]
pub struct LayerStack {
    layers: Vec<Layer>,
    hasher: NameHasher,
}

impl LayerStack {
    /// A stack of layers, lowest first, which were all made with `hasher`.
    ///
    /// # Panics
    ///
    /// A layer was made with another hasher: its names would not be found among those of the others.
    pub fn new(layers: Vec<Layer>, hasher: NameHasher) -> Self {
        let mark = mark_of(&hasher);
        for (layer, number) in layers.iter().zip(1..) {
            assert_eq!(
                layer.hasher_mark, mark,
                "layer {number} (`{}`) was made with the hasher of another stack",
                layer.source
            );
        }
        Self { layers, hasher }
    }

    /// The hash that the names in all layers are looked up by.
    pub(crate) const fn hasher(&self) -> &NameHasher {
        &self.hasher
    }

    /// One of the layers.
    ///
    /// # Panics
    ///
    /// The stack has fewer: the id is that of another one.
    #[track_caller]
    pub fn layer(&self, id: LayerId) -> &Layer {
        let Some(layer) = self.layers.get(usize::from(id.0)) else {
            panic!(
                "layer {} was asked for in a stack of {}",
                id.number(),
                self.layers.len()
            );
        };
        layer
    }

    /// The layers, lowest first: "the order in which you add the layers is the order in which Lambda later merges the layer
    /// content" (AWS Lambda Developer Guide, *Adding layers to functions*).
    pub fn in_merge_order(&self) -> impl ExactSizeIterator<Item = (LayerId, &Layer)> {
        self.layers
            .iter()
            .enumerate()
            .map(|(index, layer)| (LayerId(u16::try_from(index).unwrap_or(u16::MAX)), layer))
    }

    /// One layer; `None` if the stack has fewer.
    pub fn get(&self, id: LayerId) -> Option<&Layer> {
        self.layers.get(usize::from(id.0))
    }

    /// The same, to note what was read later.
    pub fn get_mut(&mut self, id: LayerId) -> Option<&mut Layer> {
        self.layers.get_mut(usize::from(id.0))
    }

    /// How many layers there are.
    pub const fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer at all.
    pub const fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn empty_layer(source: &str, hasher: &NameHasher) -> Layer {
        Layer::from_listing(source.to_owned(), Listing::default(), hasher).unwrap()
    }

    #[test]
    #[should_panic(expected = "layer 2 (`b`) was made with the hasher of another stack")]
    fn a_layer_that_another_stacks_hasher_made_is_a_bug() {
        let (ours, theirs) = (NameHasher::new(), NameHasher::new());
        let layers = vec![empty_layer("a", &ours), empty_layer("b", &theirs)];
        LayerStack::new(layers, ours);
    }

    #[test]
    #[should_panic(expected = "layer 3 was asked for in a stack of 1")]
    fn the_id_of_another_stacks_layer_is_a_bug() {
        let hasher = NameHasher::new();
        LayerStack::new(vec![empty_layer("a", &hasher)], hasher).layer(LayerId(2));
    }

    #[test]
    #[should_panic(expected = "node 7 was asked for in a layer of 1 nodes (`a`)")]
    fn the_id_of_another_layers_node_is_a_bug() {
        empty_layer("a", &NameHasher::new()).kind(LayerNodeId(7));
    }

    #[test]
    #[should_panic(expected = "object 0 was asked for in a listing of 0")]
    fn the_index_of_another_listings_object_is_a_bug() {
        Listing::default().entry(0);
    }
}
