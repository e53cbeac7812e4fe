//! Two sides, and how they differ.

use slashopt::diff::{Difference, Happened, PackageChange, Sides, TreeDiff};
use slashopt::entry::Kind;
use slashopt::host::read::stack::LoadedStack;
use slashopt::merge::{MergedTree, NodeId};
use slashopt::packages::Packages;
use slashopt::path::Escaped;

use crate::cli::output::words::count_bytes;

/// One side as it was read.
pub(super) struct Side {
    pub(crate) loaded: LoadedStack,
    pub(crate) facts: slashopt::packages::Facts,
}

/// Everything that is known of the difference between two sides.
#[derive(Clone, Copy)]
pub(crate) struct Compared<'a> {
    pub(crate) left: &'a LoadedStack,
    pub(crate) right: &'a LoadedStack,
    pub(crate) trees: Sides<'a, 'a>,
    pub(crate) diff: &'a TreeDiff,
    pub(crate) packages: (&'a Packages, &'a Packages),
    pub(crate) changes: &'a [PackageChange],
    pub(crate) with_times: bool,
}

/// A line of the list of files.
pub(super) enum Item<'d> {
    /// An object.
    One(&'d Difference),
    /// A directory that only one side has.
    Whole {
        happened: Happened,
        path: &'d [u8],
        files: usize,
        bytes: u64,
    },
}

/// The object that only one side has.
pub(super) fn object(
    compared: Compared<'_>,
    difference: &Difference,
) -> Option<(slashopt::entry::Object, String)> {
    let (tree, node) = match (difference.left, difference.right) {
        (Some(node), _) => (compared.trees.left, node),
        (None, Some(node)) => (compared.trees.right, node),
        (None, None) => return None,
    };
    Some((tree.object(node), described(tree, node)))
}

pub(super) fn described(tree: &MergedTree<'_>, node: NodeId) -> String {
    match tree.kind(node) {
        Kind::Directory => "directory".to_owned(),
        Kind::File => count_bytes(tree.object(node).size),
        Kind::Symlink => {
            let target = tree.target_of(tree.provider(node)).unwrap_or_default();
            format!("link to {}", Escaped(target))
        }
    }
}
