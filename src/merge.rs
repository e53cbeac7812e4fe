//! From a stack of layers to one tree: for every path the winner, and what it shadows.
//!
//! Merging cannot fail, and a conflict is a value: whether it matters is decided by who reads the tree. Nothing that a layer
//! brought is forgotten: a replaced directory stays in the tree with all that lay below it, unreachable from the root.

mod merger;
mod tree;

use crate::layer::{LayerId, LayerStack};
use merger::Merger;

pub use merger::LinkedDirectory;
pub use tree::{MergedTree, NodeId, Origin, Shadowed};

impl<'s> MergedTree<'s> {
    /// Merges the layers in their order, first is lowest. Work and memory grow with the number of entries, whatever their
    /// names.
    pub fn merge(stack: &'s LayerStack, linked: LinkedDirectory) -> Self {
        let mut merger = Merger::new(stack, linked);
        for (id, layer) in stack.in_merge_order() {
            merger.add_layer(id, layer);
        }
        merger.tree
    }

    /// The tree of one layer alone, its nodes numbered as in the stack.
    pub fn of_layer(stack: &'s LayerStack, id: LayerId) -> Self {
        let mut merger = Merger::new(stack, LinkedDirectory::Replace);
        merger.add_layer(id, stack.layer(id));
        merger.tree
    }

    /// What the kernel's overlay file system shows of the trees of these layers, the lowest first: of a directory that several
    /// have, mode and time are those of the topmost, also where that one has no entry for it (Linux,
    /// *Documentation/filesystems/overlayfs.rst*, "Directories").
    pub(crate) fn as_overlay(stack: &'s LayerStack, layers: &[LayerId]) -> Self {
        let mut merger = Merger::new(stack, LinkedDirectory::Replace).with_topmost();
        for &id in layers {
            merger.add_layer(id, stack.layer(id));
        }
        merger.tree
    }
}
