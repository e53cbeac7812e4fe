//! All collisions of a merged tree, each with its class.

use std::collections::HashMap;

use super::class::{Class, Counts};
use crate::entry::{Kind, Object};
use crate::merge::{MergedTree, NodeId, Origin};
use crate::path::LayerPath;

/// Two layers naming the same path, unless both bring a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Collision {
    /// The path that collides.
    pub path: LayerPath,
    /// The strongest class among what is shadowed.
    pub class: Class,
    /// What is in the tree: at this path, or the object that replaced a directory above it.
    pub winner: Origin,
    /// What lost, the highest layer first.
    pub shadowed: Vec<Origin>,
}

/// What decides that two files of one size have the same bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameBytes {
    /// Their CRC-32, where both are known.
    ByChecksum,
    /// Nothing less than the bytes.
    ByComparison,
}

/// The pairs of files for which `means` needs their bytes to be compared, winner first.
pub fn pairs_to_compare(tree: &MergedTree<'_>, means: SameBytes) -> Vec<(Origin, Origin)> {
    let mut pairs = Vec::new();
    let mut layers = tree.stack().in_merge_order();
    if means == SameBytes::ByChecksum && layers.all(|(_, layer)| layer.knows_checksums()) {
        return pairs;
    }
    tree.shadowed(|shadowed| {
        if shadowed.node != shadowed.winner {
            return;
        }
        let winner = tree.provider(shadowed.winner);
        let winning = tree.object(shadowed.winner);
        for &loser in &shadowed.losers {
            let losing = tree.object_of(loser);
            if winning.kind != Kind::File
                || losing.kind != Kind::File
                || winning.size != losing.size
            {
                continue;
            }
            let needs_bytes = match (winning.crc32, losing.crc32) {
                (Some(winning), Some(losing)) => {
                    means == SameBytes::ByComparison && winning == losing
                }
                _ => true,
            };
            if needs_bytes {
                pairs.push((winner, loser));
            }
        }
    });
    pairs
}

/// All collisions of a merged tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Collisions {
    /// Sorted by path.
    pub all: Vec<Collision>,
    /// How many there are of each class.
    pub counts: Counts,
}

impl Collisions {
    /// Classifies everything that is shadowed. `compared` says for each of [`pairs_to_compare`] whether the bytes are the
    /// same; a pair that it does not name is settled by CRC-32.
    pub fn of(tree: &MergedTree<'_>, compared: &HashMap<(Origin, Origin), bool>) -> Self {
        let mut collisions = Self::default();
        tree.shadowed(|shadowed| {
            let winner = tree.provider(shadowed.winner);
            let class = if shadowed.node == shadowed.winner {
                let classes = shadowed
                    .losers
                    .iter()
                    .map(|&loser| class(tree, shadowed.winner, loser, compared));
                classes.max().unwrap_or(Class::Identical)
            } else {
                Class::Type
            };
            let mut losers = shadowed.losers;
            losers.sort_by_key(|loser| std::cmp::Reverse(loser.layer));
            *collisions.counts.of_mut(class) += 1;
            collisions.all.push(Collision {
                path: tree.path(shadowed.node),
                class,
                winner,
                shadowed: losers,
            });
        });
        collisions
            .all
            .sort_by(|one, other| one.path.cmp(&other.path));
        collisions.join_paths();
        collisions
    }

    /// A path that was shadowed in several ways (a file in one replaced directory, another file in the next one) is one
    /// collision.
    fn join_paths(&mut self) {
        let counts = &mut self.counts;
        self.all.dedup_by(|later, kept| {
            if later.path != kept.path {
                return false;
            }
            *counts.of_mut(later.class) -= 1;
            *counts.of_mut(kept.class) -= 1;
            kept.class = kept.class.max(later.class);
            *counts.of_mut(kept.class) += 1;
            kept.shadowed.append(&mut later.shadowed);
            kept.shadowed
                .sort_by_key(|loser| std::cmp::Reverse(loser.layer));
            // The object at the path itself is the winner that a reader of the tree sees.
            kept.winner = kept.winner.max(later.winner);
            true
        });
    }
}

fn class(
    tree: &MergedTree<'_>,
    winner: NodeId,
    loser: Origin,
    compared: &HashMap<(Origin, Origin), bool>,
) -> Class {
    let (winning, losing) = (tree.object(winner), tree.object_of(loser));
    if winning.kind != losing.kind {
        return Class::Type;
    }
    let winner = tree.provider(winner);
    if !has_same_content(tree, (winner, winning), (loser, losing), compared) {
        Class::Content
    } else if winning.mode != losing.mode {
        Class::Mode
    } else {
        Class::Identical
    }
}

fn has_same_content(
    tree: &MergedTree<'_>,
    (winner, winning): (Origin, Object),
    (loser, losing): (Origin, Object),
    compared: &HashMap<(Origin, Origin), bool>,
) -> bool {
    match winning.kind {
        Kind::Directory => true,
        Kind::Symlink => tree.target_of(winner) == tree.target_of(loser),
        Kind::File => {
            winning.size == losing.size
                && compared
                    .get(&(winner, loser))
                    .copied()
                    .unwrap_or(winning.crc32.is_some() && winning.crc32 == losing.crc32)
        }
    }
}
