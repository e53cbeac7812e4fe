//! Which packages came, went, or are there in another version.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::happened::Happened;
use crate::merge::Origin;
use crate::packages::{Ecosystem, PackageId, Packages};

/// A package of which one side has a version that the other side lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PackageChange {
    /// What kind of thing it is.
    pub ecosystem: Ecosystem,
    /// The name that packages are compared by.
    pub name: String,
    /// What the left side has of it.
    pub left: Vec<PackageId>,
    /// What the right side has of it.
    pub right: Vec<PackageId>,
}

impl PackageChange {
    /// What happened to it.
    pub fn happened(&self) -> Happened {
        if self.left.is_empty() {
            Happened::Added
        } else if self.right.is_empty() {
            Happened::Removed
        } else {
            Happened::Changed
        }
    }

    /// Whether its files need not be told besides it: it has a version, which stands for them.
    const fn stands_for_files(&self) -> bool {
        !matches!(
            self.ecosystem,
            Ecosystem::Library | Ecosystem::Command | Ecosystem::Extension
        )
    }
}

/// Compares the packages that can be seen in two trees, by name and by versions; sorted by ecosystem and name.
pub fn package_changes(left: &Packages, right: &Packages) -> Vec<PackageChange> {
    let (before, after) = (visible(left), visible(right));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let changes = names.into_iter().filter_map(|name| {
        let of = |side: &BTreeMap<_, Vec<PackageId>>| side.get(&name).cloned().unwrap_or_default();
        let (before, after) = (of(&before), of(&after));
        let is_same = before.is_empty() == after.is_empty()
            && versions(left, &before) == versions(right, &after);
        (!is_same).then(|| PackageChange {
            ecosystem: name.0,
            name: name.1.to_owned(),
            left: before,
            right: after,
        })
    });
    changes.collect()
}

/// The files of the packages that changed, in the stack of the left and in that of the right side: what a change of version
/// explains.
pub fn explained_files(
    changes: &[PackageChange],
    left: &Packages,
    right: &Packages,
) -> (HashSet<Origin>, HashSet<Origin>) {
    let changes = || changes.iter().filter(|change| change.stands_for_files());
    let before = changes().flat_map(|change| &change.left);
    let after = changes().flat_map(|change| &change.right);
    (files(left, before), files(right, after))
}

fn files<'i>(packages: &Packages, ids: impl Iterator<Item = &'i PackageId>) -> HashSet<Origin> {
    let packages = ids.map(|&id| packages.package(id));
    packages
        .flat_map(|package| {
            let layer = package.layer;
            let nodes = package.files.iter();
            nodes.map(move |&node| Origin { layer, node })
        })
        .collect()
}

fn visible(packages: &Packages) -> BTreeMap<(Ecosystem, &str), Vec<PackageId>> {
    let mut visible: BTreeMap<_, Vec<PackageId>> = BTreeMap::new();
    for set in &packages.sets {
        let there = set.members.iter().copied();
        let there = there.filter(|&id| packages.is_visible(set, id));
        let name = (set.ecosystem, set.name.as_str());
        for id in there {
            visible.entry(name).or_default().push(id);
        }
    }
    visible
}

fn versions<'p>(packages: &'p Packages, ids: &[PackageId]) -> BTreeSet<Option<&'p str>> {
    let packages = ids.iter().map(|&id| packages.package(id));
    packages.map(|package| package.version.as_deref()).collect()
}
