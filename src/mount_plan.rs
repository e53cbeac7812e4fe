//! How a stack of cached trees becomes one directory: what is put on top of what, decided without touching the machine.
//!
//! The kernel's overlay file system shows trees one above the other, but its rules are not ours in every point: of a directory
//! that several trees have it takes mode and time from the topmost, also where that one has no entry for it; it follows no
//! links; it refuses one tree twice. So what overlay would show is computed and compared with what is wanted. Where only modes
//! or times of directories differ, one more tree on top puts them right; where more differs, the merge itself is mounted.

use crate::entry::Kind;
use crate::layer::LayerId;
use crate::merge::{MergedTree, NodeId};

/// Trees that one overlay is made of at the most. The kernel takes 500, but each costs time at every start, and where the
/// kernel takes no descriptors the options of a mount, one page, name about so many.
pub const MAX_LOWERS: usize = 60;

/// What is to be mounted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MountPlan {
    /// An empty directory: there is no layer.
    Empty,
    /// The tree of this layer, alone: overlay refuses a single one.
    Bind(LayerId),
    /// An overlay of the trees of these layers, the lowest first.
    Overlay {
        /// No tree stands twice: of several equal ones the highest is kept, which hides whatever the lower ones show.
        layers: Vec<LayerId>,
        /// Directories by level, those of one parent beside one another, for one more tree on top of all: those that overlay
        /// would show with another mode or time, and the directories that they lie in. Mostly none.
        corrections: Vec<Vec<NodeId>>,
    },
    /// The merged tree, built and mounted alone.
    Merged,
}

impl MountPlan {
    /// Decides how `tree` is mounted. `contents` tells for each layer, in merge order, what it is: layers with equal ones have
    /// the same tree.
    pub fn of<T: Eq>(tree: &MergedTree<'_>, contents: &[T]) -> Self {
        let layers: Vec<LayerId> = tree
            .stack()
            .in_merge_order()
            .map(|(id, _)| id)
            .filter(|id| {
                let place = usize::from(id.0);
                let later = contents.get(place + 1..).unwrap_or_default();
                contents.get(place).is_none_or(|own| !later.contains(own))
            })
            .collect();
        if layers.is_empty() {
            return Self::Empty;
        }
        if layers.len() > MAX_LOWERS {
            return Self::Merged;
        }
        let overlay = MergedTree::as_overlay(tree.stack(), &layers);
        let Some(wrong) = wrong_directories(tree, &overlay) else {
            return Self::Merged;
        };
        let corrections = with_ancestors(tree, wrong);
        match layers.as_slice() {
            _ if !corrections.is_empty() && layers.len() == MAX_LOWERS => Self::Merged,
            [only] if corrections.is_empty() => Self::Bind(*only),
            _ => Self::Overlay {
                layers,
                corrections,
            },
        }
    }
}

/// The directories of `wanted` that have another mode or time in `shown`; `None` if anything else differs.
fn wrong_directories(wanted: &MergedTree<'_>, shown: &MergedTree<'_>) -> Option<Vec<NodeId>> {
    let mut wrong = Vec::new();
    let mut pairs = vec![(NodeId::ROOT, NodeId::ROOT)];
    while let Some((in_wanted, in_shown)) = pairs.pop() {
        let (ours, theirs) = (
            wanted.sorted_children(in_wanted),
            shown.sorted_children(in_shown),
        );
        if ours.len() != theirs.len() {
            return None;
        }
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            if wanted.name(ours) != shown.name(theirs) || wanted.kind(ours) != shown.kind(theirs) {
                return None;
            }
            if wanted.kind(ours) == Kind::Directory {
                let (object, shown_object) = (wanted.object(ours), shown.object(theirs));
                if (object.mode, object.modified) != (shown_object.mode, shown_object.modified) {
                    wrong.push(ours);
                }
                pairs.push((ours, theirs));
            } else if wanted.provider(ours) != shown.provider(theirs) {
                return None;
            }
        }
    }
    Some(wrong)
}

/// These directories and all that they lie in, by level. A directory stands beside its siblings because parents are put in
/// order before their children are.
fn with_ancestors(tree: &MergedTree<'_>, directories: Vec<NodeId>) -> Vec<Vec<NodeId>> {
    let mut levels: Vec<Vec<NodeId>> = Vec::new();
    let mut seen = vec![false; tree.len()];
    for directory in directories {
        let mut chain = Vec::new();
        let mut at = directory;
        while at != NodeId::ROOT {
            chain.push(at);
            at = tree.parent(at);
        }
        for (level, &node) in chain.iter().rev().enumerate() {
            if levels.len() <= level {
                levels.push(Vec::new());
            }
            if !std::mem::replace(&mut seen[node.index()], true) {
                levels[level].push(node);
            }
        }
    }
    for level in &mut levels {
        level.sort_unstable_by_key(|&node| (tree.parent(node).index(), node.index()));
    }
    levels
}
