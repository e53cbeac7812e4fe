//! The packages in a stack of layers: which there are, which of several versions a runtime finds, and whether it finds it
//! whole.
//!
//! Layers are made of packages, and people think in them, so the thousands of paths that two layers share become a sentence:
//! two versions of urllib3, the second wins, three modules of the first are left in it. Three steps lead there, each a pure
//! function:
//!
//! 1. [`wanted`] names the few files whose content says something (`METADATA`, `RECORD`, `package.json`, jars, gemspecs,
//!    libraries).
//! 2. [`read`] makes a [`Fact`] of the bytes of one. Whoever has effects reads the files in between.
//! 3. [`Packages::of`] finds the packages of every layer, and compares them in the merged tree by a runtime's search order.
//!
//! What is there counts, not what a package claims: a file that a `RECORD` names and the layer lacks is [`Package::lacking`],
//! and a layer that lost its metadata is understood by its folders.

mod compare;
pub(crate) mod contents;
mod cure;
mod facts;
mod jar;
mod json;
mod node;
mod others;
mod python;
mod scope;
mod search_order;

use std::fmt;

use crate::layer::{LayerId, LayerNodeId};
use crate::merge::Origin;
use crate::path::LayerPath;

pub use cure::{Cure, Cures};
pub use facts::{Fact, Facts, Gem, Manifest, Recorded, read, wanted};
pub use jar::{Coordinates, Jar};
pub use json::Value;
pub use scope::Scope;
pub(crate) use search_order::{gem_order, java_order, searched};

/// What kind of thing a package is, which decides how a runtime finds it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Ecosystem {
    /// A Python distribution, or a module without one's metadata.
    Python,
    /// A Node.js package below a `node_modules`.
    Node,
    /// A jar.
    Java,
    /// A gem.
    Ruby,
    /// A shared library on the library path.
    Library,
    /// A command in `bin`.
    Command,
    /// A Lambda extension.
    Extension,
}

impl Ecosystem {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Python,
        Self::Node,
        Self::Java,
        Self::Ruby,
        Self::Library,
        Self::Command,
        Self::Extension,
    ];
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Java => "java",
            Self::Ruby => "ruby",
            Self::Library => "library",
            Self::Command => "command",
            Self::Extension => "extension",
        })
    }
}

/// Position of a package in [`Packages::all`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackageId(pub u32);

/// One package as one layer brings it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// What kind of thing it is.
    pub ecosystem: Ecosystem,
    /// Its name for comparison: PEP 503 for Python, `group:artifact` (or the artifact alone) for a jar, the SONAME for a
    /// library, else as it is.
    pub name: String,
    /// Its name as it spells it.
    pub display_name: String,
    /// Its version, where anything says it.
    pub version: Option<String>,
    /// The layer that brings it.
    pub layer: LayerId,
    /// Its own place: the `.dist-info`, the directory of a `package.json`, the jar, the gemspec, the library, the command;
    /// for a Python module without metadata the module.
    pub path: LayerPath,
    /// The directory in which it is found: `python`, `nodejs/node_modules`, `java/lib`, `ruby/gems/3.4.0`, `lib`, `bin`.
    pub folder: LayerPath,
    /// Where that directory stands in the search order of the runtime, from 0; `None` where the runtime does not look. Without
    /// a runtime every directory that some runtime searches has a position.
    pub position: Option<usize>,
    /// It lies in another package's own `node_modules`: nobody but that package finds it.
    pub is_private: bool,
    /// Its files and links in the layer, metadata too, ascending.
    pub files: Vec<LayerNodeId>,
    /// Bytes of these.
    pub bytes: u64,
    /// How many of these files a reader of the merged tree sees with this content: those that no layer shadows, and those
    /// shadowed by a file of the same size and CRC-32. Where a directory serves as a layer, which has no CRC-32, only the first.
    pub standing: usize,
    /// How many files its `RECORD` names that the layer lacks or has in another size. A trimmed layer lacks some, too.
    pub lacking: usize,
}

/// A package as it was found in one layer, before anything is compared.
#[derive(Debug)]
struct Found {
    ecosystem: Ecosystem,
    name: String,
    display_name: String,
    version: Option<String>,
    /// The node of [`Package::path`].
    node: LayerNodeId,
    folder: LayerPath,
    is_private: bool,
    /// What a program calls it by.
    modules: Vec<String>,
    /// Those of the files that describe it, ascending.
    metadata: Vec<LayerNodeId>,
    files: Vec<LayerNodeId>,
    lacking: usize,
}

impl Package {
    /// Whether every one of its files is there for a reader of the merged tree.
    pub fn is_whole(&self) -> bool {
        self.standing == self.files.len()
    }
}

/// What became of several packages of one name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// One is visible, and it is whole.
    Clean,
    /// Another one is whole, too, elsewhere on the search path or beside the winner: it is shadowed there, or loaded as well.
    Parallel,
    /// Files of another version stand among the winner's, its metadata at least; or one layer had both installed over one
    /// another.
    Mixed,
}

impl fmt::Display for State {
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
    pub state: State,
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
    pub fn get(&self, id: PackageId) -> Option<&Package> {
        self.all.get(id.0 as usize)
    }

    /// The sets that hold more than one package: what collides.
    pub fn contested(&self) -> impl Iterator<Item = &PackageSet> {
        self.sets.iter().filter(|set| set.is_contested())
    }

    /// Whether a reader of the merged tree sees a package of a set: it wins, or something of it was not replaced.
    pub fn is_visible(&self, set: &PackageSet, id: PackageId) -> bool {
        set.winner == Some(id)
            || set.state != State::Clean && self.get(id).is_some_and(|package| package.standing > 0)
    }

    /// The set that a package is in.
    pub fn set_of(&self, id: PackageId) -> Option<&PackageSet> {
        self.sets.iter().find(|set| set.members.contains(&id))
    }
}
