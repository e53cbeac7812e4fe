//! The packages of a stack, and what became of those that share a name.

use std::fmt;

use super::package::{Ecosystem, Package, PackageId};
use crate::merge::Origin;

/// What became of several packages of one name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SetState {
    /// One is visible, and it is whole.
    Clean,
    /// Another one is whole, too, elsewhere on the search path or beside the winner: it is shadowed there, or loaded as well.
    Parallel,
    /// Files of another version stand among the winner's, its metadata at least; or one layer had both installed over one
    /// another.
    Mixed,
}

impl fmt::Display for SetState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Clean => "clean",
            Self::Parallel => "parallel",
            Self::Mixed => "mixed",
        })
    }
}

/// A file of a package that lost, and that nothing replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Leftover {
    /// The package that it belongs to.
    pub package: PackageId,
    /// The file.
    pub file: Origin,
    /// Whether it describes the package (`METADATA`, `RECORD`, …) or caches its bytecode, and is no part of what runs.
    pub is_metadata: bool,
}

/// All packages of one name that one runtime could take for one another.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PackageSet {
    /// What kind of thing they are.
    pub ecosystem: Ecosystem,
    /// The name that they share.
    pub name: String,
    /// The packages, the winner first, then in the order in which they would be found if those before were not there.
    pub members: Vec<PackageId>,
    /// Which one is found, or would be if the runtime looked there ([`Package::position`]); `None` if nothing of any is left.
    pub winner: Option<PackageId>,
    /// What became of them.
    pub state: SetState,
    /// What is left of the others where the winner is, by path.
    pub leftovers: Vec<Leftover>,
}

impl PackageSet {
    /// Whether more than one layer, or one layer twice, brings it.
    pub fn is_contested(&self) -> bool {
        self.members.len() > 1
    }
}

/// Two jars with classes of the same name: the first in the order of loading provides them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SharedClasses {
    /// The jar that is loaded from.
    pub winner: PackageId,
    /// The jar whose classes are never seen.
    pub loser: PackageId,
    /// How many classes both have.
    pub count: usize,
    /// The first of them by name, as Java writes it: `com.example.Outer$Inner`.
    pub example: String,
}

/// The packages of a stack.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Packages {
    /// Every package of every layer, sorted by ecosystem, name, layer and path.
    pub all: Vec<Package>,
    /// Each package is in exactly one of these, which are sorted by ecosystem and name.
    pub sets: Vec<PackageSet>,
    /// Pairs of jars in the merged tree that have classes in common, whatever their names are; sorted.
    pub shared_classes: Vec<SharedClasses>,
}

impl Packages {
    /// One package; every id that this value holds has one.
    fn get(&self, id: PackageId) -> Option<&Package> {
        self.all.get(id.0 as usize)
    }

    /// One package.
    ///
    /// # Panics
    ///
    /// There are fewer: the id is that of a package of another stack.
    #[track_caller]
    pub fn package(&self, id: PackageId) -> &Package {
        let Some(package) = self.get(id) else {
            let count = self.all.len();
            panic!("package {} was asked for among {count}", id.0);
        };
        package
    }

    /// The sets that hold more than one package: what collides.
    pub fn contested(&self) -> impl Iterator<Item = &PackageSet> {
        self.sets.iter().filter(|set| set.is_contested())
    }

    /// Whether a reader of the merged tree sees a package of a set: it wins, or something of it was not replaced.
    pub fn is_visible(&self, set: &PackageSet, id: PackageId) -> bool {
        set.winner == Some(id) || set.state != SetState::Clean && self.package(id).standing > 0
    }

    /// The set that a package is in.
    pub fn set_of(&self, id: PackageId) -> Option<&PackageSet> {
        self.sets.iter().find(|set| set.members.contains(&id))
    }
}
