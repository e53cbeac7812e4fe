//! Which packages have to be looked for: all of them, or those that may be there several times.
//!
//! Most packages of a stack are there once, and whoever asks what collides need not read them. What may be there twice is told
//! from names alone: a distribution is called as its `.dist-info` is (PEP 427), a package of Node.js as its directory, and a
//! module without metadata as whatever brings a module of its name. Everything else, jars and gems and libraries, is few files
//! whose names say less, and is always looked at.

use std::collections::{HashMap, HashSet};

use super::contents::Contents;
use super::facts::{Facts, is_wanted};
use super::package::Ecosystem;
use super::{python, search_order};
use crate::entry::Kind;
use crate::layer::{Layer, LayerId, LayerNodeId, LayerStack};
use crate::merge::Origin;
use crate::path::LayerPath;

/// The packages that are looked for.
#[derive(Debug, Default)]
pub struct Scope {
    /// The metadata of distributions, the modules and the directories of Node.js packages that count; `None` if all do.
    nodes: Option<HashSet<Origin>>,
    /// The layers in which there is nothing to be found.
    idle: HashSet<LayerId>,
    /// Directories of which not all distributions are in the scope: with the metadata of all.
    divided: Vec<(Origin, Vec<Origin>)>,
}

impl Scope {
    /// Every package.
    pub fn everything() -> Self {
        Self::default()
    }

    /// The packages that may be there several times.
    pub fn of_several(stack: &LayerStack) -> Self {
        let mut candidates = Candidates::default();
        for (id, layer) in stack.in_merge_order() {
            if candidates.add(id, layer).is_none() {
                return Self::everything();
            }
        }
        let mut nodes = HashSet::new();
        for named in candidates.by_name.into_values() {
            if are_several(&named) {
                nodes.extend(named.into_iter().map(|candidate| candidate.node));
            }
        }
        let mut busy = candidates.with_others;
        busy.extend(nodes.iter().map(|node| node.layer));
        let is_idle = |(id, _): (LayerId, _)| (!busy.contains(&id)).then_some(id);
        let mut divided: Vec<(Origin, Vec<Origin>)> = candidates.folders.into_iter().collect();
        divided.retain(|(folder, metadata)| {
            busy.contains(&folder.layer) && !metadata.iter().all(|one| nodes.contains(one))
        });
        divided.sort_unstable();
        Self {
            nodes: Some(nodes),
            idle: stack.in_merge_order().filter_map(is_idle).collect(),
            divided,
        }
    }

    /// Whether there is anything to be found in a layer.
    pub(super) fn is_in(&self, layer: LayerId) -> bool {
        !self.idle.contains(&layer)
    }

    /// Whether the metadata, the module or the directory at a node counts.
    pub(super) fn has(&self, node: Origin) -> bool {
        self.nodes
            .as_ref()
            .is_none_or(|nodes| nodes.contains(&node))
    }

    /// The files whose content says something about these packages, in the order of layers and nodes.
    pub fn wanted(&self, stack: &LayerStack) -> Vec<Origin> {
        let mut wanted = Vec::new();
        for (id, layer) in stack.in_merge_order() {
            if self.is_in(id) {
                let files = layer
                    .node_ids()
                    .filter(|&node| is_wanted(layer, node) && self.wants(id, layer, node));
                wanted.extend(files.map(|node| Origin { layer: id, node }));
            }
        }
        wanted
    }

    fn wants(&self, id: LayerId, layer: &Layer, node: LayerNodeId) -> bool {
        let has = |node| self.has(Origin { layer: id, node });
        match layer.name(node) {
            name if name == b"package.json" || python::is_description(name) => {
                has(layer.parent(node))
            }
            name if name.ends_with(b".egg-info") => has(node),
            _ => true,
        }
    }

    /// Takes in all distributions of a directory where those that are in the scope do not own alone what they have a part in, as
    /// their records say, which are in `facts`. Whether there were any: then more files are wanted.
    pub fn widen(&mut self, stack: &LayerStack, facts: &Facts) -> bool {
        let Some(nodes) = &mut self.nodes else {
            return false;
        };
        let mut is_wider = false;
        for (folder, metadata) in std::mem::take(&mut self.divided) {
            let layer = stack.layer(folder.layer);
            let inside = nodes
                .iter()
                .filter(|node| node.layer == folder.layer && layer.parent(node.node) == folder.node)
                .map(|node| node.node);
            let is_metadata = |&node: &LayerNodeId| python::is_metadata(layer.name(node));
            let (chosen, modules): (Vec<LayerNodeId>, Vec<LayerNodeId>) =
                inside.partition(is_metadata);
            if chosen.is_empty() && modules.is_empty() {
                continue;
            }
            let contents = Contents::new(folder.layer, layer);
            if !python::own_alone(&contents, facts, folder.node, &chosen, &modules) {
                nodes.extend(metadata);
                is_wider = true;
            }
        }
        is_wider
    }
}

/// What two packages that could be taken for one another have in common.
#[derive(Debug, Eq, Hash, PartialEq)]
enum Name<'s> {
    /// Distributions of one name, in a directory that is searched or in the same one; and modules that may be called so.
    Distribution(Option<LayerPath>, String),
    /// Modules of one name, in directories that are searched.
    Module(&'s str),
    /// Packages of Node.js of one name, in a directory that is searched or in the same one.
    Node(Option<LayerPath>, Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    node: Origin,
    folder: LayerNodeId,
    is_metadata: bool,
}

/// Whether these of one name may be several packages. A distribution and its own module are one.
fn are_several(named: &[Candidate]) -> bool {
    let place = |candidate: &Candidate| (candidate.node.layer, candidate.folder);
    let first = named.first().map(place);
    named
        .iter()
        .any(|candidate| Some(place(candidate)) != first)
        || named
            .iter()
            .filter(|candidate| candidate.is_metadata)
            .count()
            > 1
}

/// What is there by its name.
#[derive(Debug, Default)]
struct Candidates<'s> {
    by_name: HashMap<Name<'s>, Vec<Candidate>>,
    /// The metadata in each directory that has any.
    folders: HashMap<Origin, Vec<Origin>>,
    /// Layers with jars, gems, libraries, commands or extensions.
    with_others: HashSet<LayerId>,
}

impl<'s> Candidates<'s> {
    /// Adds what a layer has; `None` where names may lead elsewhere than they say, by a link.
    fn add(&mut self, id: LayerId, layer: &'s Layer) -> Option<()> {
        let count = layer.node_ids().len();
        // Of each node the child of a searched directory that it is or lies below. Children come behind their directory.
        let mut tops: Vec<Option<LayerNodeId>> = vec![None; count];
        let mut searched: HashSet<LayerNodeId> = HashSet::new();
        let mut modules: HashSet<LayerNodeId> = HashSet::new();
        for node in layer.node_ids() {
            let (name, parent, kind) = (layer.name(node), layer.parent(node), layer.kind(node));
            if kind == Kind::Symlink && leads_packages(name) {
                return None;
            }
            let top = if searched.contains(&parent) {
                Some(node)
            } else {
                tops[parent.0 as usize]
            };
            tops[node.0 as usize] = top;
            if matches!(name, b"python" | b"site-packages")
                && search_order::is_searched(Ecosystem::Python, &layer.path(node))
            {
                searched.insert(node);
            }
            if let Some(top) = top
                && kind != Kind::Directory
                && python::is_code(name)
                && modules.insert(top)
            {
                self.module(id, layer, top);
            }
            if python::is_metadata(name) {
                self.distribution(id, layer, node);
            }
            if kind == Kind::Directory {
                self.node_package(id, layer, node);
            } else if parent != LayerNodeId::ROOT {
                let folder = layer.name(parent);
                let is_at_top = layer.parent(parent) == LayerNodeId::ROOT;
                if is_at_top && matches!(folder, b"bin" | b"lib" | b"extensions")
                    || name.ends_with(b".jar") && folder == b"lib"
                    || name.ends_with(b".gemspec")
                {
                    self.with_others.insert(id);
                }
            }
        }
        Some(())
    }

    fn put(&mut self, name: Name<'s>, id: LayerId, node: LayerNodeId, folder: LayerNodeId) {
        let is_metadata = matches!(name, Name::Distribution(..));
        self.by_name.entry(name).or_default().push(Candidate {
            node: Origin { layer: id, node },
            folder,
            is_metadata,
        });
    }

    fn module(&mut self, id: LayerId, layer: &'s Layer, node: LayerNodeId) {
        let text = std::str::from_utf8(layer.name(node)).unwrap_or_default();
        let Some(module) = python::module_name(text) else {
            return;
        };
        let folder = layer.parent(node);
        self.put(Name::Module(module), id, node, folder);
        let alike = Name::Distribution(None, python::normalised(module));
        self.by_name.entry(alike).or_default().push(Candidate {
            node: Origin { layer: id, node },
            folder,
            is_metadata: false,
        });
    }

    fn distribution(&mut self, id: LayerId, layer: &'s Layer, node: LayerNodeId) {
        let folder = layer.parent(node);
        let text = std::str::from_utf8(layer.name(node)).unwrap_or_default();
        let (name, _) = python::named(text);
        let apart = apart(Ecosystem::Python, layer, folder);
        let name = Name::Distribution(apart, python::normalised(&name));
        self.put(name, id, node, folder);
        let of_folder = self.folders.entry(Origin {
            layer: id,
            node: folder,
        });
        of_folder.or_default().push(Origin { layer: id, node });
    }

    fn node_package(&mut self, id: LayerId, layer: &'s Layer, node: LayerNodeId) {
        let (name, parent) = (layer.name(node), layer.parent(node));
        let above = layer.parent(parent);
        let (folder, name) = if layer.name(parent) == b"node_modules" && !name.starts_with(b"@") {
            (parent, name.to_vec())
        } else if layer.name(parent).starts_with(b"@") && layer.name(above) == b"node_modules" {
            (above, [layer.name(parent), b"/", name].concat())
        } else {
            return;
        };
        let apart = apart(Ecosystem::Node, layer, folder);
        self.put(Name::Node(apart, name), id, node, folder);
    }
}

/// The directory, where its packages are found by nobody who does not know it.
fn apart(ecosystem: Ecosystem, layer: &Layer, folder: LayerNodeId) -> Option<LayerPath> {
    let folder = layer.path(folder);
    (!search_order::is_searched(ecosystem, &folder)).then_some(folder)
}

/// Whether a link of this name may stand for a directory of packages or for one on the way to it.
fn leads_packages(name: &[u8]) -> bool {
    matches!(name, b"lib" | b"site-packages" | b"node_modules")
        || name.starts_with(b"python")
        || name.starts_with(b"node")
}
