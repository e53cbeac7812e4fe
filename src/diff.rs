//! What changed between two merged trees: two versions of a layer, or of a stack.
//!
//! A directory that only one side has is told by what lies in it; an empty one by itself. Times count only if they are asked
//! for, since most packers write the hour of packing.

mod happened;
mod packages;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::entry::Kind;
use crate::merge::{MergedTree, NodeId, Origin};
use crate::path::LayerPath;

pub use happened::Happened;
pub use packages::{PackageChange, explained_files, package_changes};

/// The two trees, each with the nodes of its own stack.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'t, 's> {
    /// Before.
    pub left: &'t MergedTree<'s>,
    /// After.
    pub right: &'t MergedTree<'s>,
}

/// In what two objects at one path differ.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Aspect {
    /// One is a file, the other a directory or a link. Nothing else is compared then.
    Kind,
    /// The bytes of a file.
    Content,
    /// Where a link leads.
    Target,
    /// The permission bits.
    Mode,
    /// When it was modified.
    Time,
}

impl fmt::Display for Aspect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Target => "target",
            Self::Mode => "mode",
            Self::Time => "time",
        })
    }
}

/// Whether a different time alone makes two objects differ.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Times {
    /// It does.
    Compared,
    /// It does not: most packers write the time of packing.
    #[default]
    Ignored,
}

/// An object that only one side has, or that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Where it is.
    pub path: LayerPath,
    /// It on the left, if it is there.
    pub left: Option<NodeId>,
    /// It on the right, if it is there.
    pub right: Option<NodeId>,
    /// In what they differ; empty where one is missing.
    pub aspects: Vec<Aspect>,
}

impl Difference {
    /// What happened to it.
    pub const fn happened(&self) -> Happened {
        match (self.left, self.right) {
            (None, _) => Happened::Added,
            (_, None) => Happened::Removed,
            _ => Happened::Changed,
        }
    }
}

/// How large both sides are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sizes {
    /// Bytes of the files on the left.
    pub left: u64,
    /// Bytes of the files on the right.
    pub right: u64,
}

/// What changed between two trees.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TreeDiff {
    /// Sorted by path, component by component.
    pub all: Vec<Difference>,
    /// Bytes of all files.
    pub total: Sizes,
    /// The same by the directory in the root that they lie in; for files in the root itself the root.
    pub by_top: BTreeMap<LayerPath, Sizes>,
}

/// The pairs of files of which only their bytes can say whether they are the same, left one first.
pub fn pairs_to_compare(sides: Sides<'_, '_>) -> Vec<(Origin, Origin)> {
    let mut pairs = Vec::new();
    join(sides, |_, left, right| {
        if let (Some(left), Some(right)) = (left, right)
            && may_have_same_bytes(sides, left, right)
        {
            pairs.push((sides.left.provider(left), sides.right.provider(right)));
        }
    });
    pairs
}

/// Whether two objects are files that size and CRC-32 do not tell apart.
fn may_have_same_bytes(sides: Sides<'_, '_>, left: NodeId, right: NodeId) -> bool {
    let (left, right) = (sides.left.object(left), sides.right.object(right));
    (left.kind, right.kind) == (Kind::File, Kind::File)
        && left.size == right.size
        && (left.crc32 == right.crc32 || left.crc32.is_none() || right.crc32.is_none())
}

impl TreeDiff {
    /// Compares two trees. `compared` says for each of [`pairs_to_compare`] whether the bytes are the same; a pair that it does
    /// not name differs.
    pub fn of(
        sides: Sides<'_, '_>,
        compared: &HashMap<(Origin, Origin), bool>,
        times: Times,
    ) -> Self {
        let mut diff = Self::default();
        join(sides, |path, left, right| {
            diff.add_sizes(sides, path, left, right);
            let aspects = match (left, right) {
                (Some(left), Some(right)) => {
                    let aspects = differing(sides, left, right, compared, times);
                    if aspects.is_empty() {
                        return;
                    }
                    aspects
                }
                _ if is_told_by_contents(sides.left, left)
                    || is_told_by_contents(sides.right, right) =>
                {
                    return;
                }
                _ => Vec::new(),
            };
            diff.all.push(Difference {
                path: path.clone(),
                left,
                right,
                aspects,
            });
        });
        diff
    }

    /// Whether the trees are the same.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn add_sizes(
        &mut self,
        sides: Sides<'_, '_>,
        path: &LayerPath,
        left: Option<NodeId>,
        right: Option<NodeId>,
    ) {
        let bytes = |tree: &MergedTree<'_>, node: Option<NodeId>| {
            let object = node.map(|node| tree.object(node));
            object.map_or(0, |object| match object.kind {
                Kind::File => object.size,
                Kind::Directory | Kind::Symlink => 0,
            })
        };
        let (left, right) = (bytes(sides.left, left), bytes(sides.right, right));
        if (left, right) == (0, 0) {
            return;
        }
        let mut top = LayerPath::root();
        let mut components = path.components();
        if let (Some(first), Some(_)) = (components.next(), components.next()) {
            top.push(first);
        }
        for sizes in [&mut self.total, self.by_top.entry(top).or_default()] {
            sizes.left = sizes.left.saturating_add(left);
            sizes.right = sizes.right.saturating_add(right);
        }
    }
}

fn is_told_by_contents(tree: &MergedTree<'_>, node: Option<NodeId>) -> bool {
    node.is_some_and(|node| {
        tree.kind(node) == Kind::Directory && tree.children(node).next().is_some()
    })
}

fn differing(
    sides: Sides<'_, '_>,
    left: NodeId,
    right: NodeId,
    compared: &HashMap<(Origin, Origin), bool>,
    times: Times,
) -> Vec<Aspect> {
    let (before, after) = (sides.left.object(left), sides.right.object(right));
    if before.kind != after.kind {
        return vec![Aspect::Kind];
    }
    let origins = (sides.left.provider(left), sides.right.provider(right));
    let mut aspects = Vec::new();
    match before.kind {
        Kind::File if compared.get(&origins) != Some(&true) => aspects.push(Aspect::Content),
        Kind::Symlink if sides.left.target_of(origins.0) != sides.right.target_of(origins.1) => {
            aspects.push(Aspect::Target);
        }
        Kind::File | Kind::Symlink | Kind::Directory => {}
    }
    if before.mode != after.mode {
        aspects.push(Aspect::Mode);
    }
    if times == Times::Compared && before.modified != after.modified {
        aspects.push(Aspect::Time);
    }
    aspects
}

/// Visits every path below the root that either tree has, a directory before what lies in it, sorted by name within one.
fn join(sides: Sides<'_, '_>, mut visit: impl FnMut(&LayerPath, Option<NodeId>, Option<NodeId>)) {
    let roots = (Some(NodeId::ROOT), Some(NodeId::ROOT));
    join_below(sides, roots, &mut LayerPath::root(), &mut visit);
}

fn join_below(
    sides: Sides<'_, '_>,
    (left, right): (Option<NodeId>, Option<NodeId>),
    path: &mut LayerPath,
    visit: &mut impl FnMut(&LayerPath, Option<NodeId>, Option<NodeId>),
) {
    let children = |tree: &MergedTree<'_>, node: Option<NodeId>| {
        node.map_or_else(Vec::new, |node| tree.sorted_children(node))
    };
    let (before, after) = (children(sides.left, left), children(sides.right, right));
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    loop {
        let name_before = before.peek().map(|&node| sides.left.name(node));
        let name_after = after.peek().map(|&node| sides.right.name(node));
        let (is_left, is_right) = match (name_before, name_after) {
            (None, None) => return,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(before), Some(after)) => (before <= after, after <= before),
        };
        let left = before.next_if(|_| is_left);
        let right = after.next_if(|_| is_right);
        let length = path.len();
        path.push(
            name_before
                .filter(|_| is_left)
                .or(name_after)
                .unwrap_or_default(),
        );
        visit(path, left, right);
        join_below(sides, (left, right), path, visit);
        path.truncate(length);
    }
}
