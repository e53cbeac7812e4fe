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
mod headers;
mod jar;
mod json;
mod node;
mod others;
mod package;
mod python;
mod scope;
mod search_order;
mod sets;

pub use cure::{Cure, Cures};
pub use facts::{Fact, Facts, Gem, Manifest, Recorded, read, wanted};
pub use jar::{Coordinates, Jar};
pub use json::Value;
pub use package::{Ecosystem, Package, PackageId};
pub use scope::Scope;
pub(crate) use search_order::{gem_order, java_order, searched};
pub use sets::{Leftover, PackageSet, Packages, SetState, SharedClasses};
