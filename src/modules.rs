//! What a name leads to that a program asks for: `import a.b`, `require('x')`, a class, a command.
//!
//! Each language searches in its own way, and a runtime decides in which folders and in which order ([`Runtime`]). The answer is
//! a list of candidates: what the program gets, what it would get if that were not there, and what lower layers brought to
//! the same paths. Only layers are seen: the function's own code comes before them, the runtime's own modules come after them, and
//! what a language brings built in nobody can replace.
//!
//! Left out is what no layer should rely on: `.pth` files and import hooks, `require` from within a package, jars of classes for
//! newer releases of Java.

mod java;
mod node;
mod python;
mod ruby;
mod view;

use std::fmt;

use crate::entry::Kind;
use crate::layer::LayerStack;
use crate::merge::{MergedTree, Origin};
use crate::packages::contents::Contents;
use crate::packages::{self, Ecosystem, Facts};
use crate::path::LayerPath;
use crate::runtime::{Architecture, Family, Runtime};
use view::{Hit, View};

/// A file that a name could lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// The files whose content [`resolve`] needs: those of [`packages::wanted`], and for Node.js every `package.json`, as each
/// directory may have one.
pub fn wanted(stack: &LayerStack, asker: Asker) -> Vec<Origin> {
    let mut wanted = packages::wanted(stack);
    if asker.runtime.family == Family::Node {
        for (id, layer) in stack.in_merge_order() {
            let manifests = layer.node_ids().filter(|&node| {
                layer.kind(node) == Kind::File && layer.name(node) == b"package.json"
            });
            wanted.extend(manifests.map(|node| Origin { layer: id, node }));
        }
        wanted.sort_unstable();
        wanted.dedup();
    }
    wanted
}

/// Resolves a name as a program of the runtime would: a module of its language, and if no layer has one, a command.
pub fn resolve(tree: &MergedTree<'_>, facts: &Facts, asker: Asker, name: &str) -> Resolution {
    let language = match asker.runtime.family {
        Family::Python => Some(python::resolve(tree, asker, name)),
        Family::Node => Some(node::resolve(tree, facts, asker.runtime, name)),
        Family::Java => Some(java::resolve(tree, facts, name)),
        Family::Ruby => Some(ruby::resolve(tree, facts, asker.runtime, name)),
        Family::Dotnet | Family::Go | Family::Provided => None,
    };
    match language {
        Some(found) if !found.candidates.is_empty() || found.obstacle.is_some() => found,
        _ => {
            let command = command(tree, name);
            match language {
                Some(found) if command.candidates.is_empty() => found,
                _ => command,
            }
        }
    }
}

fn command(tree: &MergedTree<'_>, name: &str) -> Resolution {
    let folder = folder("bin");
    let mut search = Search::new(tree, Ecosystem::Command);
    if !name.is_empty() && !name.contains('/') {
        let find = |view: View<'_, '_>| view.file(format!("bin/{name}").as_bytes());
        if let Some(hit) = find(View::Merged(tree)) {
            if tree.object_of(hit.origin).mode.bits() & 0o111 == 0 {
                search.obstacle = Some(Obstacle::NotExecutable { file: hit.path });
            } else {
                search.resolved.push(hit.origin);
            }
        }
        search.folder(&folder, find);
    }
    search.done()
}

/// A path that is written in this program.
fn folder(path: &str) -> LayerPath {
    LayerPath::parse(path.as_bytes()).unwrap_or_default()
}

/// Gathers candidates, each once.
struct Search<'t, 's> {
    tree: &'t MergedTree<'s>,
    /// The layers, the highest first.
    layers: Vec<Contents<'s>>,
    ecosystem: Ecosystem,
    /// What a program gets.
    resolved: Vec<Origin>,
    candidates: Vec<Candidate>,
    obstacle: Option<Obstacle>,
}

impl<'t, 's> Search<'t, 's> {
    fn new(tree: &'t MergedTree<'s>, ecosystem: Ecosystem) -> Self {
        let layers = tree.stack().in_merge_order();
        let layers = layers.map(|(id, layer)| Contents::new(id, layer));
        let mut layers: Vec<Contents<'s>> = layers.collect();
        layers.reverse();
        Self {
            tree,
            layers,
            ecosystem,
            resolved: Vec::new(),
            candidates: Vec::new(),
            obstacle: None,
        }
    }

    /// Notes what `find` finds with one folder: in the merged tree, then in each layer by itself, the highest first.
    fn folder(&mut self, folder: &LayerPath, find: impl Fn(View<'_, '_>) -> Option<Hit>) {
        let merged = find(View::Merged(self.tree));
        let layers = self
            .layers
            .iter()
            .map(|contents| find(View::Layer(contents)));
        let hits: Vec<Option<Hit>> = std::iter::once(merged).chain(layers).collect();
        for hit in hits.into_iter().flatten() {
            self.note(folder, hit);
        }
    }

    fn note(&mut self, folder: &LayerPath, Hit { path, origin }: Hit) {
        if self.candidates.iter().any(|known| known.origin == origin) {
            return;
        }
        let place = self.tree.find(&path);
        let is_visible = place.is_some_and(|place| {
            self.tree.provider(place) == origin || self.tree.kind(place) == Kind::Directory
        });
        // A link that is followed in the merged tree led to a candidate already, or nowhere.
        if is_visible && self.tree.object_of(origin).kind == Kind::Symlink {
            return;
        }
        self.candidates.push(Candidate {
            is_visible,
            resolves: self.resolved.contains(&origin),
            folder: folder.clone(),
            path,
            origin,
        });
    }

    fn done(mut self) -> Resolution {
        self.candidates.sort_by_key(|candidate| !candidate.resolves);
        Resolution {
            ecosystem: self.ecosystem,
            candidates: self.candidates,
            obstacle: self.obstacle,
        }
    }
}
