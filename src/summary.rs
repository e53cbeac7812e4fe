//! What there is to say of a merged tree that is about to be used, in numbers and a few examples: enough to judge it and to
//! warn about it, and little enough to be kept.

use crate::collisions::{Class, Collisions, Counts};
use crate::entry::Kind;
use crate::merge::{MergedTree, NodeId};
use crate::path::LayerPath;
use crate::plan::{EXAMPLES, ExtractPlan, OnCollision, OnTypeConflict, PolicyViolation};

/// Paths of one sort: how many there are, and the first few.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Paths {
    /// How many.
    pub count: usize,
    /// The first few in order, at most [`EXAMPLES`].
    pub examples: Vec<LayerPath>,
}

/// What there is to say of a merged tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// How many files it has.
    pub files: usize,
    /// How many directories below the root.
    pub directories: usize,
    /// How many links.
    pub symlinks: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// How many collisions of each class.
    pub collisions: Counts,
    /// Collisions that matter.
    pub overridden: Paths,
    /// Those of class [`Class::Type`].
    pub conflicts: Paths,
    /// Files that Lambda's user cannot read: it runs as an ordinary user, and all files of a layer belong to root.
    pub unreadable: Paths,
    /// Links that lead out of the root.
    pub leaving: Paths,
    /// The names in `extensions/`, which Lambda would start beside the function.
    pub extensions: Vec<Vec<u8>>,
}

impl Summary {
    /// Looks a tree over.
    pub fn of(tree: &MergedTree<'_>, plan: &ExtractPlan, collisions: &Collisions) -> Self {
        let colliding = |least: Class| {
            let paths = collisions
                .all
                .iter()
                .filter(|collision| collision.class >= least)
                .map(|collision| &collision.path);
            Paths {
                count: paths.clone().count(),
                examples: paths.take(EXAMPLES).cloned().collect(),
            }
        };
        let unreadable = |&&file: &&NodeId| tree.object(file).mode.bits() & 0o004 == 0;
        let leaving = |&&link: &&NodeId| tree.leaves_root(link);
        Self {
            files: plan.files.len(),
            directories: plan.directories(),
            symlinks: plan.symlinks.len(),
            bytes: plan.bytes,
            collisions: collisions.counts,
            overridden: colliding(Class::Mode),
            conflicts: colliding(Class::Type),
            unreadable: first_paths(tree, plan.files.iter().filter(unreadable)),
            leaving: first_paths(tree, plan.symlinks.iter().filter(leaving)),
            extensions: extensions(tree),
        }
    }

    /// Judges the collisions of a tree that is to be built.
    ///
    /// # Errors
    ///
    /// The policy that forbids it.
    pub fn judge(
        &self,
        on_collision: OnCollision,
        on_type_conflict: OnTypeConflict,
    ) -> Result<(), PolicyViolation> {
        let Paths { count, examples } = self.conflicts.clone();
        if on_type_conflict == OnTypeConflict::Error && count > 0 {
            return Err(PolicyViolation::TypeConflicts { count, examples });
        }
        let Paths { count, examples } = self.overridden.clone();
        if on_collision == OnCollision::Error && count > 0 {
            return Err(PolicyViolation::Collisions { count, examples });
        }
        Ok(())
    }
}

/// The paths of nodes, counted, and the first ones.
fn first_paths<'n>(tree: &MergedTree<'_>, nodes: impl Iterator<Item = &'n NodeId>) -> Paths {
    let mut paths: Vec<LayerPath> = nodes.map(|&node| tree.path(node)).collect();
    paths.sort_unstable();
    let count = paths.len();
    paths.truncate(EXAMPLES);
    Paths {
        count,
        examples: paths,
    }
}

/// What Lambda would start: the files that lie directly in `/opt/extensions`, or links to files (AWS Lambda Developer Guide,
/// *Using Lambda extensions*).
fn extensions(tree: &MergedTree<'_>) -> Vec<Vec<u8>> {
    let Some(directory) = tree.resolve_bytes(b"extensions") else {
        return Vec::new();
    };
    let mut names: Vec<Vec<u8>> = tree
        .children(directory)
        .filter(|&child| tree.kind(child) != Kind::Directory)
        .map(|child| tree.name(child).to_vec())
        .collect();
    names.sort_unstable();
    names
}
