//! The merged tree: a node for every path, and what each of them shadows.

use crate::entry::{Kind, Object};
use crate::layer::{LayerId, LayerNodeId, LayerStack};
use crate::path::LayerPath;

/// Where an object comes from: a node of a layer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin {
    /// The layer.
    pub layer: LayerId,
    /// The node in its tree.
    pub node: LayerNodeId,
}

/// Position of a node in a merged tree; 0 is the root.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root, `/opt` itself.
    pub const ROOT: Self = Self(0);

    /// The position as an index, for tables beside the tree.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

pub(super) const NONE: u32 = u32::MAX;
/// In place of a replaced directory: one that is part of the winner still.
pub(super) const MERGED: u32 = u32::MAX - 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    pub(super) first_child: u32,
    pub(super) next_sibling: u32,
    /// The newest of the older objects at this path, in [`MergedTree::history`].
    pub(super) older: u32,
    /// Who decides its kind, mode, time and content.
    pub(super) provider: Origin,
    /// Some layer's node of that name: under `Follow` the provider's may be another.
    pub(super) namesake: Origin,
    pub(super) kind: Kind,
    /// Another object took this node's path, and with it all that lies below.
    pub(super) is_replaced: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Older {
    pub(super) origin: Origin,
    /// The replaced directory, if it was one: what lay below hangs there. `MERGED` if it merged with a later one.
    pub(super) directory: u32,
    pub(super) next: u32,
}

impl Older {
    /// The directory that leads to what was replaced together with it.
    fn replaced_directory(&self) -> Option<NodeId> {
        (self.directory < MERGED).then_some(NodeId(self.directory))
    }
}

/// The merge of a stack.
#[derive(Debug)]
pub struct MergedTree<'s> {
    pub(super) stack: &'s LayerStack,
    pub(super) nodes: Vec<Node>,
    pub(super) history: Vec<Older>,
}

impl<'s> MergedTree<'s> {
    /// The stack that was merged.
    pub const fn stack(&self) -> &'s LayerStack {
        self.stack
    }

    /// How many nodes were ever made: an upper bound of [`NodeId::index`].
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.children(NodeId::ROOT).next().is_none()
    }

    #[track_caller]
    pub(super) fn node(&self, id: NodeId) -> &Node {
        let Some(node) = self.nodes.get(id.index()) else {
            let count = self.nodes.len();
            panic!("node {} was asked for in a merged tree of {count}", id.0);
        };
        node
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    /// What lies directly in a directory, in no useful order but always the same one.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'_, 's> {
        let mut at = self.node(id).first_child;
        std::iter::from_fn(move || {
            while at != NONE {
                let child = NodeId(at);
                let node = self.node(child);
                at = node.next_sibling;
                if !node.is_replaced {
                    return Some(child);
                }
            }
            None
        })
    }

    /// What lies directly in a directory, sorted by name.
    pub fn sorted_children(&self, id: NodeId) -> Vec<NodeId> {
        let mut children: Vec<NodeId> = self.children(id).collect();
        children.sort_unstable_by_key(|&child| self.name(child));
        children
    }

    /// Every node below the root with its path, a directory before what lies in it, sorted by name within a directory.
    pub fn walk(&self, mut visit: impl FnMut(&LayerPath, NodeId)) {
        self.walk_below(NodeId::ROOT, &mut LayerPath::root(), &mut visit);
    }

    fn walk_below(
        &self,
        directory: NodeId,
        path: &mut LayerPath,
        visit: &mut impl FnMut(&LayerPath, NodeId),
    ) {
        for child in self.sorted_children(directory) {
            let length = path.len();
            path.push(self.name(child));
            visit(path, child);
            self.walk_below(child, path, visit);
            path.truncate(length);
        }
    }

    /// The directory that a node lies in; the root lies in itself.
    pub fn parent(&self, id: NodeId) -> NodeId {
        NodeId(self.node(id).parent)
    }

    /// What the node is.
    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    /// The last component of the node's path; empty for the root.
    pub fn name(&self, id: NodeId) -> &'s [u8] {
        if id == NodeId::ROOT {
            return &[];
        }
        let namesake = self.node(id).namesake;
        self.stack.layer(namesake.layer).name(namesake.node)
    }

    /// The node's path from the root.
    pub fn path(&self, id: NodeId) -> LayerPath {
        let mut path = LayerPath::root();
        self.append_path(id, &mut path);
        path
    }

    /// Appends the node's path to `path`. No path is deeper than [`crate::path::MAX_DEPTH`] for each link followed.
    pub(crate) fn append_path(&self, id: NodeId, path: &mut LayerPath) {
        if id != NodeId::ROOT {
            self.append_path(self.parent(id), path);
            path.push(self.name(id));
        }
    }

    /// Where the winner at this node comes from: whoever decides its kind, mode, time and content.
    pub fn provider(&self, id: NodeId) -> Origin {
        self.node(id).provider
    }

    /// The winner's object.
    pub fn object(&self, id: NodeId) -> Object {
        if id == NodeId::ROOT {
            return Object::IMPLIED;
        }
        self.object_of(self.node(id).provider)
    }

    /// The object that a layer brought.
    pub fn object_of(&self, origin: Origin) -> Object {
        self.stack.layer(origin.layer).object(origin.node)
    }

    /// The target of a link that a layer brought.
    pub fn target_of(&self, origin: Origin) -> Option<&'s [u8]> {
        self.stack.layer(origin.layer).target(origin.node)
    }

    /// The layers that have a part in this node, ascending: all that bring a directory, or the one that a file comes from.
    pub fn layers(&self, id: NodeId) -> Vec<LayerId> {
        if id == NodeId::ROOT {
            return self.stack.in_merge_order().map(|(id, _)| id).collect();
        }
        let node = self.node(id);
        let merged = self
            .older(node)
            .filter(|older| older.directory == MERGED)
            .map(|older| older.origin.layer);
        let mut layers: Vec<LayerId> = merged.chain([node.provider.layer]).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// The node at a path; links are not followed.
    pub fn find(&self, path: &LayerPath) -> Option<NodeId> {
        path.components()
            .try_fold(NodeId::ROOT, |at, component| self.child(at, component))
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        self.children(directory)
            .find(|&child| self.name(child) == name)
    }

    /// The node that a path leads to, links inside the root followed as the kernel would if the root stood at `/opt`.
    pub fn resolve(&self, path: &LayerPath) -> Option<NodeId> {
        self.resolve_bytes(path.as_bytes())
    }

    /// The same for a path that is written in the program, or in a link.
    pub(crate) fn resolve_bytes(&self, path: &[u8]) -> Option<NodeId> {
        self.resolve_from(NodeId::ROOT, path)
    }

    fn resolve_from(&self, directory: NodeId, path: &[u8]) -> Option<NodeId> {
        resolve(self, directory, path, |directory, name| {
            self.child(directory, name)
        })
    }

    /// Whether the target of the link at this node, read as text, lies outside the root. Links on its way are not followed,
    /// and what does not exist leads nowhere: neither leaves the root.
    pub fn leaves_root(&self, link: NodeId) -> bool {
        let target = self.target_of(self.provider(link)).unwrap_or_default();
        let mut depth = if target.starts_with(b"/") {
            0
        } else {
            self.path(self.parent(link)).components().count()
        };
        let relative = match target.strip_prefix(b"/") {
            None => target,
            Some(absolute) => match absolute.strip_prefix(b"opt") {
                Some(rest) if rest.is_empty() || rest.starts_with(b"/") => rest,
                _ => return true,
            },
        };
        for component in relative.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." if depth == 0 => return true,
                b".." => depth -= 1,
                _ => depth += 1,
            }
        }
        false
    }

    fn older(&self, node: &Node) -> impl Iterator<Item = &Older> {
        let mut at = node.older;
        std::iter::from_fn(move || {
            let older = self.history.get(at as usize)?;
            at = older.next;
            Some(older)
        })
    }

    /// Everything that lost its path to something else, in no useful order: the path, the winner, and what it shadows.
    pub fn shadowed(&self, mut visit: impl FnMut(Shadowed)) {
        for (node, index) in self.nodes.iter().zip(0..) {
            if node.older == NONE || !self.is_reachable(NodeId(index)) {
                continue;
            }
            let mut losers = Vec::new();
            let mut directories = Vec::new();
            self.collect_losers(node, &mut losers, &mut directories);
            if !losers.is_empty() {
                visit(Shadowed {
                    node: NodeId(index),
                    winner: NodeId(index),
                    losers,
                });
            }
            for directory in directories {
                self.shadowed_below(directory, NodeId(index), &mut visit);
            }
        }
    }

    /// What a node's path held before, replaced directories apart from the rest.
    fn collect_losers(&self, node: &Node, losers: &mut Vec<Origin>, directories: &mut Vec<NodeId>) {
        for older in self.older(node) {
            if older.directory == MERGED {
                continue;
            }
            losers.push(older.origin);
            if let Some(directory) = older.replaced_directory() {
                directories.push(directory);
                self.collect_all(self.node(directory), losers, directories);
            }
        }
    }

    /// All older objects of a node that lost its path, merged directories too.
    fn collect_all(&self, node: &Node, losers: &mut Vec<Origin>, directories: &mut Vec<NodeId>) {
        for older in self.older(node) {
            losers.push(older.origin);
            if let Some(directory) = older.replaced_directory() {
                directories.push(directory);
                self.collect_all(self.node(directory), losers, directories);
            }
        }
    }

    /// What lay below a replaced directory lost to the object that replaced it.
    fn shadowed_below(&self, directory: NodeId, winner: NodeId, visit: &mut impl FnMut(Shadowed)) {
        for child in self.children(directory) {
            let node = self.node(child);
            let mut losers = vec![node.provider];
            let mut directories = vec![child];
            self.collect_all(node, &mut losers, &mut directories);
            visit(Shadowed {
                node: child,
                winner,
                losers,
            });
            for directory in directories {
                self.shadowed_below(directory, winner, visit);
            }
        }
    }

    fn is_reachable(&self, id: NodeId) -> bool {
        let mut at = id;
        while at != NodeId::ROOT {
            let node = self.node(at);
            if node.is_replaced {
                return false;
            }
            at = NodeId(node.parent);
        }
        true
    }
}

/// One path at which something was shadowed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shadowed {
    /// The node whose path it is; unreachable if a whole directory was replaced.
    pub node: NodeId,
    /// The node that won: the same one, or the one that replaced a directory above.
    pub winner: NodeId,
    /// What lost, at least one, the newest of one path first.
    pub losers: Vec<Origin>,
}

impl Node {
    pub(super) const fn root() -> Self {
        let nowhere = Origin {
            layer: LayerId(0),
            node: LayerNodeId::ROOT,
        };
        Self {
            parent: 0,
            first_child: NONE,
            next_sibling: NONE,
            older: NONE,
            provider: nowhere,
            namesake: nowhere,
            kind: Kind::Directory,
            is_replaced: false,
        }
    }
}

/// Links followed on one path before it counts as a loop, as in `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// Follows a path from a directory, links included, while it stays inside the root. `/opt` is the root; `..` above it and any
/// other absolute path lead outside.
pub(super) fn resolve(
    tree: &MergedTree<'_>,
    from: NodeId,
    path: &[u8],
    child: impl Fn(NodeId, &[u8]) -> Option<NodeId>,
) -> Option<NodeId> {
    let mut links = 0;
    let mut at = from;
    let mut remaining: Vec<Vec<u8>> = Vec::new();
    let follow = |path: &[u8], remaining: &mut Vec<Vec<u8>>, at: &mut NodeId| -> Option<()> {
        let relative = if let Some(rest) = path.strip_prefix(b"/") {
            *at = NodeId::ROOT;
            let rest = rest.strip_prefix(b"opt")?;
            if !rest.is_empty() && rest.first() != Some(&b'/') {
                return None;
            }
            rest
        } else {
            path
        };
        let components = relative
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty() && *component != b".");
        remaining.extend(components.rev().map(<[u8]>::to_vec));
        Some(())
    };
    follow(path, &mut remaining, &mut at)?;
    while let Some(component) = remaining.pop() {
        if component == b".." {
            if at == NodeId::ROOT {
                return None;
            }
            at = tree.parent(at);
            continue;
        }
        if tree.kind(at) != Kind::Directory {
            return None;
        }
        let found = child(at, &component)?;
        if tree.kind(found) == Kind::Symlink {
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            follow(
                tree.target_of(tree.provider(found))?,
                &mut remaining,
                &mut at,
            )?;
        } else {
            at = found;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::super::LinkedDirectory;
    use super::*;

    #[test]
    #[should_panic(expected = "node 9 was asked for in a merged tree of 1")]
    fn the_id_of_another_trees_node_is_a_bug() {
        let stack = LayerStack::default();
        MergedTree::merge(&stack, LinkedDirectory::Replace).kind(NodeId(9));
    }

    #[test]
    fn a_tree_of_no_layers_is_a_root() {
        let stack = LayerStack::default();
        let tree = MergedTree::merge(&stack, LinkedDirectory::Replace);
        assert_eq!(tree.kind(NodeId::ROOT), Kind::Directory);
        assert!(tree.name(NodeId::ROOT).is_empty() && tree.is_empty());
    }
}
