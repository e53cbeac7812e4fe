//! One package, as one layer brings it.

use std::fmt;

use crate::layer::{LayerId, LayerNodeId};
use crate::path::LayerPath;

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

/// Position of a package in [`Packages::all`](super::Packages::all).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackageId(pub u32);

/// One package as one layer brings it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
pub(super) struct RawPackage {
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) version: Option<String>,
    /// The node of [`Package::path`].
    pub(super) node: LayerNodeId,
    pub(super) folder: LayerPath,
    pub(super) is_private: bool,
    /// What a program calls it by.
    pub(super) modules: Vec<String>,
    /// Those of the files that describe it, ascending.
    pub(super) metadata: Vec<LayerNodeId>,
    pub(super) files: Vec<LayerNodeId>,
    pub(super) lacking: usize,
}

impl Package {
    /// Whether every one of its files is there for a reader of the merged tree.
    pub fn is_whole(&self) -> bool {
        self.standing == self.files.len()
    }
}
