//! What a name leads to: candidates, and what stands in the way.

use std::fmt;

use crate::merge::Origin;
use crate::packages::Ecosystem;
use crate::path::LayerPath;
use crate::runtime::{Architecture, Runtime};

/// A file that a name could lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The file, or the directory of a namespace package, or the jar.
    pub path: LayerPath,
    /// The layer that brings it, and the node there.
    pub origin: Origin,
    /// The folder of the search order in which it was found.
    pub folder: LayerPath,
    /// Whether it is in the merged tree; if not, a later layer took its path.
    pub is_visible: bool,
    /// Whether a program gets it. Of a namespace package it gets several.
    pub resolves: bool,
}

/// What a name leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Resolution {
    /// In what kind of thing it was searched.
    pub ecosystem: Ecosystem,
    /// Everything of this name: what resolves first, then what would be found without it, in that order.
    pub candidates: Vec<Candidate>,
    /// Why the name leads nowhere although there are candidates, or to none of them.
    pub obstacle: Option<Obstacle>,
}

impl Resolution {
    /// Whether the name leads into a layer.
    pub fn is_found(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.resolves)
    }
}

/// What stands in the way of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The language has a module of this name built in.
    BuiltIn,
    /// A package is found, and the rest of the name is not in it; later ones are not asked.
    NotInPackage {
        /// The package, or module, that was found.
        package: LayerPath,
    },
    /// A package is found, and its `exports` do not let the name through; later ones are not asked.
    NotExported {
        /// The package.
        package: LayerPath,
    },
    /// A package is found whose `package.json` is no JSON: Node.js fails to look into it.
    NotJson {
        /// The package.
        package: LayerPath,
    },
    /// A command is there, and may not be executed.
    NotExecutable {
        /// The file.
        file: LayerPath,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => {
                formatter.write_str("the language has it built in, and searches no folder for it")
            }
            Self::NotInPackage { package } => {
                write!(
                    formatter,
                    "`{package}` is found first, and does not have it"
                )
            }
            Self::NotExported { package } => {
                write!(
                    formatter,
                    "`{package}` is found first, and does not export it"
                )
            }
            Self::NotJson { package } => {
                write!(
                    formatter,
                    "`{package}` is found first, and its package.json is no JSON"
                )
            }
            Self::NotExecutable { file } => write!(formatter, "`{file}` is not executable"),
        }
    }
}

/// For whom a name is resolved.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The runtime of the program.
    pub runtime: &'static Runtime,
    /// The machine, which Python's compiled modules are named for.
    pub architecture: Architecture,
}
