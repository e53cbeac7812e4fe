//! Grows a merged tree layer by layer.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;

use super::tree::{MERGED, MergedTree, NONE, Node, NodeId, Older, Origin, resolve};
use crate::entry::Kind;
use crate::layer::{Layer, LayerId, LayerNodeId, LayerStack, NameHasher};

/// What happens where a directory meets a link that leads to a directory.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LinkedDirectory {
    /// The directory replaces the link.
    #[default]
    Replace,
    /// It merges into the directory that the link leads to in the tree so far, when that lies inside the root.
    Follow,
}

/// A tree that grows layer by layer, with what is needed to find a name in it.
pub(super) struct Merger<'s> {
    pub(super) tree: MergedTree<'s>,
    hasher: &'s NameHasher,
    linked: LinkedDirectory,
    /// Whether the topmost layer that has a directory decides about it, with an entry for it or without.
    is_topmost_deciding: bool,
    table: HashTable<u32>,
    /// The keyed hash of each node's path.
    hashes: Vec<u64>,
}

impl<'s> Merger<'s> {
    pub(super) fn new(stack: &'s LayerStack, linked: LinkedDirectory) -> Self {
        let capacity = stack
            .in_merge_order()
            .map(|(_, layer)| layer.node_ids().len())
            .sum::<usize>()
            .max(1);
        let mut nodes = Vec::with_capacity(capacity);
        nodes.push(Node::root());
        let tree = MergedTree {
            stack,
            nodes,
            history: Vec::new(),
        };
        let mut path_hashes = Vec::with_capacity(capacity);
        path_hashes.push(0);
        Self {
            tree,
            hasher: stack.hasher(),
            linked,
            is_topmost_deciding: false,
            table: HashTable::new(),
            hashes: path_hashes,
        }
    }

    pub(super) const fn with_topmost(mut self) -> Self {
        self.is_topmost_deciding = true;
        self
    }

    pub(super) fn add_layer(&mut self, id: LayerId, layer: &Layer) {
        let nodes = layer.node_ids();
        let is_last = usize::from(id.0) + 1 == self.tree.stack.len();
        // A directory that this layer made holds nothing from others, so nothing in it can collide, unless a link leads there.
        let fresh = if self.linked == LinkedDirectory::Follow {
            NONE
        } else {
            u32::try_from(self.tree.nodes.len()).unwrap_or(NONE)
        };
        if !is_last {
            let hashes = &self.hashes;
            self.table.reserve(nodes.len(), |&id| hashes[id as usize]);
        }
        let mut places = vec![NONE; nodes.len()];
        for node in nodes {
            let place = if node == LayerNodeId::ROOT {
                0
            } else {
                self.place(id, layer, node, &mut places, fresh, is_last)
            };
            places[node.0 as usize] = place;
        }
    }

    /// Puts a node of a layer where it belongs, and says where that is.
    fn place(
        &mut self,
        layer_id: LayerId,
        layer: &Layer,
        id: LayerNodeId,
        places: &mut [u32],
        fresh: u32,
        is_last: bool,
    ) -> u32 {
        let parent_id = layer.parent(id);
        let mut parent = places[parent_id.0 as usize];
        if self.linked == LinkedDirectory::Follow && self.tree.node(NodeId(parent)).is_replaced {
            // Through a link this layer itself replaced the directory that this node's parent had merged into.
            parent = self.place(layer_id, layer, parent_id, places, fresh, is_last);
            places[parent_id.0 as usize] = parent;
        }
        let origin = Origin {
            layer: layer_id,
            node: id,
        };
        let kind = layer.kind(id);
        let name = layer.name(id);
        let hash = match self.linked {
            LinkedDirectory::Replace => layer.path_hash(id),
            LinkedDirectory::Follow => self.hasher.hash_one((self.hashes[parent as usize], name)),
        };
        let existing = if parent >= fresh {
            None
        } else {
            self.find(hash, parent, name)
        };
        let Some(existing) = existing else {
            let added = self.add(parent, origin, kind, hash);
            if !is_last || self.linked == LinkedDirectory::Follow {
                let hashes = &self.hashes;
                self.table
                    .insert_unique(hash, added, |&id| hashes[id as usize]);
            }
            return added;
        };
        match (self.tree.node(NodeId(existing)).kind, kind) {
            (Kind::Directory, Kind::Directory) => self.merge_directory(existing, origin, layer),
            (Kind::Directory, _) => self.replace_directory(existing, origin, kind, hash),
            (Kind::Symlink, Kind::Directory) if self.linked == LinkedDirectory::Follow => {
                match self.linked_directory(existing) {
                    Some(directory) => self.merge_directory(directory, origin, layer),
                    None => self.replace_leaf(existing, origin, kind),
                }
            }
            _ => self.replace_leaf(existing, origin, kind),
        }
    }

    fn add(&mut self, parent: u32, origin: Origin, kind: Kind, hash: u64) -> u32 {
        let id = u32::try_from(self.tree.nodes.len()).unwrap_or(NONE);
        let mut node = Node {
            parent,
            provider: origin,
            namesake: origin,
            kind,
            ..Node::root()
        };
        let parent = self.tree.node_mut(NodeId(parent));
        node.next_sibling = parent.first_child;
        parent.first_child = id;
        self.tree.nodes.push(node);
        self.hashes.push(hash);
        id
    }

    /// A directory over a directory: the later entry of its own decides mode and time, an implied one changes neither.
    fn merge_directory(&mut self, existing: u32, origin: Origin, layer: &Layer) -> u32 {
        // The root has no entry that counts.
        if existing == 0 {
            return existing;
        }
        let before = self.tree.node(NodeId(existing)).provider;
        if self.is_topmost_deciding || layer.entry_of(origin.node).is_some() {
            self.remember(existing, before, MERGED);
            self.tree.node_mut(NodeId(existing)).provider = origin;
        } else {
            self.remember(existing, origin, MERGED);
        }
        existing
    }

    /// A file or a link over a directory: the directory leaves the tree with all that lies below it.
    fn replace_directory(&mut self, existing: u32, origin: Origin, kind: Kind, hash: u64) -> u32 {
        let Node {
            parent, provider, ..
        } = *self.tree.node(NodeId(existing));
        let added = self.add(parent, origin, kind, hash);
        self.remember(added, provider, existing);
        self.tree.node_mut(NodeId(existing)).is_replaced = true;
        if let Some(slot) = self.table.find_mut(hash, |&id| id == existing) {
            *slot = added;
        }
        added
    }

    /// Anything over a file or a link.
    fn replace_leaf(&mut self, existing: u32, origin: Origin, kind: Kind) -> u32 {
        let before = self.tree.node(NodeId(existing)).provider;
        self.remember(existing, before, NONE);
        let node = self.tree.node_mut(NodeId(existing));
        (node.provider, node.namesake, node.kind) = (origin, origin, kind);
        existing
    }

    fn remember(&mut self, node: u32, origin: Origin, directory: u32) {
        let older = u32::try_from(self.tree.history.len()).unwrap_or(NONE);
        let node = &mut self.tree.nodes[node as usize];
        self.tree.history.push(Older {
            origin,
            directory,
            next: node.older,
        });
        node.older = older;
    }

    fn find(&self, hash: u64, parent: u32, name: &[u8]) -> Option<u32> {
        let is_it = |id: &u32| {
            self.hashes[*id as usize] == hash
                && self.tree.node(NodeId(*id)).parent == parent
                && self.tree.name(NodeId(*id)) == name
        };
        self.table.find(hash, is_it).copied()
    }

    /// The directory that a link leads to in the tree so far.
    fn linked_directory(&self, link: u32) -> Option<u32> {
        let node = self.tree.node(NodeId(link));
        let target = self.tree.target_of(node.provider)?;
        let found = resolve(
            &self.tree,
            NodeId(node.parent),
            target,
            |directory, name| {
                let hash = self.hasher.hash_one((self.hashes[directory.index()], name));
                self.find(hash, directory.0, name).map(NodeId)
            },
        )?;
        (self.tree.kind(found) == Kind::Directory).then_some(found.0)
    }
}
