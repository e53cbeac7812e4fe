//! One layer as a folder that can be looked into: by name, and from a directory down.

use crate::entry::Kind;
use crate::layer::{Layer, LayerId, LayerNodeId};
use crate::merge::Origin;
use crate::path::LayerPath;

/// A layer with its nodes in the order of their directories.
#[derive(Debug)]
pub(crate) struct Contents<'l> {
    pub(crate) id: LayerId,
    pub(crate) layer: &'l Layer,
    /// Every node but the root, by directory and then by name.
    order: Vec<LayerNodeId>,
    /// Of each node, where in `order` its children begin: what a path leads to is asked for every file of every package.
    starts: Vec<u32>,
}

impl<'l> Contents<'l> {
    pub(crate) fn new(id: LayerId, layer: &'l Layer) -> Self {
        let nodes = || {
            let all = layer.node_ids();
            all.filter(|&node| node != LayerNodeId::ROOT)
        };
        let mut starts: Vec<u32> = vec![0; layer.node_ids().len() + 1];
        for node in nodes() {
            starts[layer.parent(node).0 as usize + 1] += 1;
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        // Each into the place of its directory first: what is sorted then is short.
        let mut order = vec![LayerNodeId::ROOT; nodes().count()];
        let mut ends = starts.clone();
        for node in nodes() {
            let end = &mut ends[layer.parent(node).0 as usize];
            order[*end as usize] = node;
            *end += 1;
        }
        for bounds in starts.windows(2) {
            if let &[start, end] = bounds
                && let Some(children) = order.get_mut(start as usize..end as usize)
                && children.len() > 1
            {
                children.sort_unstable_by_key(|&child| layer.name(child));
            }
        }
        Self {
            id,
            layer,
            order,
            starts,
        }
    }

    pub(crate) fn origin(&self, node: LayerNodeId) -> Origin {
        Origin {
            layer: self.id,
            node,
        }
    }

    pub(crate) fn name(&self, node: LayerNodeId) -> &'l [u8] {
        self.layer.name(node)
    }

    /// The name as text; what is not UTF-8 names no package.
    pub(crate) fn text(&self, node: LayerNodeId) -> &'l str {
        std::str::from_utf8(self.name(node)).unwrap_or_default()
    }

    pub(crate) fn is_directory(&self, node: LayerNodeId) -> bool {
        self.layer.kind(node) == Kind::Directory
    }

    /// What lies directly in a directory, sorted by name.
    pub(crate) fn children(&self, directory: LayerNodeId) -> &[LayerNodeId] {
        let at = directory.0 as usize;
        let (start, stop) = (self.starts[at] as usize, self.starts[at + 1] as usize);
        &self.order[start..stop]
    }

    /// What is called so in a directory.
    pub(crate) fn child(&self, directory: LayerNodeId, name: &[u8]) -> Option<LayerNodeId> {
        let children = self.children(directory);
        let place = children
            .binary_search_by_key(&name, |&child| self.name(child))
            .ok()?;
        children.get(place).copied()
    }

    /// What a path leads to from a directory; links are not followed, and `..` leads no further up than to the root.
    pub(crate) fn find(&self, from: LayerNodeId, path: &[u8]) -> Option<LayerNodeId> {
        let components = path.split(|&byte| byte == b'/');
        components
            .filter(|component| !component.is_empty() && *component != b".")
            .try_fold(from, |at, component| {
                if component == b".." {
                    Some(self.layer.parent(at))
                } else {
                    self.child(at, component)
                }
            })
    }

    /// The path of a node.
    pub(crate) fn path(&self, node: LayerNodeId) -> LayerPath {
        self.layer.path(node)
    }

    /// Appends the files and links from a node down, leaving out directories that `enter` refuses.
    pub(crate) fn files_below(
        &self,
        node: LayerNodeId,
        enter: &impl Fn(LayerNodeId) -> bool,
        files: &mut Vec<LayerNodeId>,
    ) {
        if self.is_directory(node) {
            for &child in self.children(node) {
                if !self.is_directory(child) || enter(child) {
                    self.files_below(child, enter, files);
                }
            }
        } else {
            files.push(node);
        }
    }

    /// The directories of the layer, the root included.
    pub(crate) fn directories(&self) -> impl Iterator<Item = LayerNodeId> + '_ {
        let all = self.layer.node_ids();
        all.filter(|&node| node == LayerNodeId::ROOT || self.is_directory(node))
    }
}
