//! Which collisions are nothing but two versions of one package, so that a sentence says more than their paths.

use std::collections::{HashMap, HashSet};

use super::class::{Class, Counts};
use super::collision::Collisions;
use crate::merge::Origin;
use crate::packages::{Package, PackageSet, Packages, SetState};

/// The collisions of a tree, told by its packages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// For each of [`Collisions::all`] the position in [`Packages::sets`] of the set that explains it. A conflict of kinds is
    /// explained by nothing.
    pub set_of: Vec<Option<usize>>,
    /// Of the paths that each set explains, how many there are of each class; in the order of [`Packages::sets`].
    pub counts: Vec<Counts>,
    /// Whether a set is one version in several layers with the same bytes, so that nothing is lost whoever wins; in the same
    /// order.
    pub is_harmless: Vec<bool>,
}

impl Explanation {
    /// Assigns to each collision the packages that it comes from, if all its objects belong to packages of one name.
    pub fn of(collisions: &Collisions, packages: &Packages) -> Self {
        let owners = owners(packages);
        let mut explanation = Self {
            counts: vec![Counts::default(); packages.sets.len()],
            ..Self::default()
        };
        let mut lost_nothing = HashSet::new();
        for collision in &collisions.all {
            if matches!(collision.class, Class::Identical | Class::Mode) {
                lost_nothing.extend(collision.shadowed.iter().copied());
            }
            let none = Vec::new();
            let sets = |origin: &Origin| owners.get(origin).unwrap_or(&none);
            let set = sets(&collision.winner).iter().copied().find(|set| {
                collision.class != Class::Type
                    && collision
                        .shadowed
                        .iter()
                        .all(|loser| sets(loser).contains(set))
            });
            if let Some(set) = set {
                *explanation.counts[set].of_mut(collision.class) += 1;
            }
            explanation.set_of.push(set);
        }
        explanation.is_harmless = packages
            .sets
            .iter()
            .zip(&explanation.counts)
            .map(|(set, counts)| counts.mode == 0 && is_harmless(set, packages, &lost_nothing))
            .collect();
        explanation
    }
}

/// The sets that each file of a package that collides belongs to.
fn owners(packages: &Packages) -> HashMap<Origin, Vec<usize>> {
    let mut owners: HashMap<Origin, Vec<usize>> = HashMap::new();
    for (index, set) in packages.sets.iter().enumerate() {
        if !set.is_contested() {
            continue;
        }
        for package in set.members.iter().map(|&id| packages.package(id)) {
            for file in files(package) {
                let sets = owners.entry(file).or_default();
                if sets.last() != Some(&index) {
                    sets.push(index);
                }
            }
        }
    }
    owners
}

fn files(package: &Package) -> impl Iterator<Item = Origin> + '_ {
    let layer = package.layer;
    let nodes = package.files.iter();
    nodes.map(move |&node| Origin { layer, node })
}

fn is_harmless(set: &PackageSet, packages: &Packages, lost_nothing: &HashSet<Origin>) -> bool {
    let Some(winner) = set.winner.map(|winner| packages.package(winner)) else {
        return false;
    };
    set.state == SetState::Clean
        && set
            .members
            .iter()
            .filter(|&&id| set.winner != Some(id))
            .map(|&id| packages.package(id))
            .all(|loser| {
                loser.version == winner.version
                    && files(loser).all(|file| lost_nothing.contains(&file))
            })
}
