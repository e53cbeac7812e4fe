//! What is judged: a stack, what its files hold, and the function that is meant to use it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;

use super::facts::FileFacts;
use crate::archive::Refusal;
use crate::entry::{Kind, Object};
use crate::environment::Assignment;
use crate::layer::{LayerId, LayerStack};
use crate::merge::{MergedTree, NodeId, Origin};
use crate::packages::{Cures, Packages};
use crate::path::LayerPath;
use crate::quota::QuotaExceeded;
use crate::runtime::{Architecture, Family, Runtime};

/// The function that is meant to use the layers, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configuration<'a> {
    /// Its runtime.
    pub runtime: Option<&'static Runtime>,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its own environment variables.
    pub variables: &'a [Assignment],
}

/// One object of the merged tree that is not a directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct File {
    /// Where it lies.
    pub path: LayerPath,
    /// Its node in the tree.
    pub node: NodeId,
    /// The layer and node that it comes from.
    pub origin: Origin,
    /// What it is: a file or a link.
    pub object: Object,
}

/// Everything that a rule may look at.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The merged tree.
    pub tree: &'a MergedTree<'a>,
    /// The layers it was merged from.
    pub stack: &'a LayerStack,
    /// All files and links of the tree, sorted by path.
    pub files: Vec<File>,
    /// The function's runtime.
    pub runtime: Option<&'static Runtime>,
    /// The function's architecture.
    pub architecture: Architecture,
    /// AWS's quotas that the stack exceeds.
    pub quotas: &'a [QuotaExceeded],
    /// The packages of the layers, if they were looked for.
    pub packages: Option<&'a Packages>,
    /// What `--lenient` waived while contents were read; what it waived before stands in the layers.
    pub waived: &'a [(LayerId, Refusal)],
    variables: &'a [Assignment],
    facts: &'a HashMap<Origin, FileFacts>,
    /// Every node by its directory and its name, made when first asked for: a search of a directory for each of its links would
    /// take time in the square of its size.
    names: OnceCell<HashMap<(NodeId, &'a [u8]), NodeId>>,
    /// Made when first asked for: most stacks need none.
    cures: OnceCell<Cures<'a>>,
}

impl<'a> Subject<'a> {
    /// A subject without exceeded quotas, packages and anything waived: these may be set.
    pub fn new(
        tree: &'a MergedTree<'a>,
        facts: &'a HashMap<Origin, FileFacts>,
        configuration: Configuration<'a>,
    ) -> Self {
        let mut files = Vec::new();
        tree.walk(|path, node| {
            let object = tree.object(node);
            if object.kind != Kind::Directory {
                files.push(File {
                    path: path.clone(),
                    node,
                    origin: tree.provider(node),
                    object,
                });
            }
        });
        Self {
            tree,
            stack: tree.stack(),
            files,
            runtime: configuration.runtime,
            architecture: configuration.architecture,
            quotas: &[],
            packages: None,
            waived: &[],
            variables: configuration.variables,
            facts,
            names: OnceCell::new(),
            cures: OnceCell::new(),
        }
    }

    /// The family of the runtime.
    pub fn family(&self) -> Option<Family> {
        self.runtime.map(|runtime| runtime.family)
    }

    /// Whether the function may be of that family: it is, or its runtime is not known.
    pub fn may_be(&self, family: Family) -> bool {
        self.family().is_none_or(|known| known == family)
    }

    /// The value that the function's own configuration gives a variable.
    pub fn configured(&self, name: &str) -> Option<&'a [u8]> {
        let mut last_first = self.variables.iter().rev();
        last_first
            .find(|variable| variable.name() == name)
            .map(|variable| variable.value().as_bytes())
    }

    /// What to do about packages of one name, if packages were looked for.
    pub(super) fn cures(&self) -> Option<&Cures<'a>> {
        let packages = self.packages?;
        Some(self.cures.get_or_init(|| Cures::new(packages, self.stack)))
    }

    /// What the content of a file is, where that is something.
    pub fn facts(&self, origin: Origin) -> Option<&FileFacts> {
        self.facts.get(&origin)
    }

    /// The regular files of the tree, sorted by path.
    pub fn regular_files(&self) -> impl Iterator<Item = &File> {
        let is_file = |file: &&File| file.object.kind == Kind::File;
        self.files.iter().filter(is_file)
    }

    /// The links of the tree, sorted by path.
    pub fn links(&self) -> impl Iterator<Item = &File> {
        let is_link = |file: &&File| file.object.kind == Kind::Symlink;
        self.files.iter().filter(is_link)
    }

    /// What has that name in a directory of the tree.
    pub(super) fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        let names = self.names.get_or_init(|| {
            let mut names = HashMap::new();
            let mut directories = vec![NodeId::ROOT];
            while let Some(directory) = directories.pop() {
                for child in self.tree.children(directory) {
                    names.insert((directory, self.tree.name(child)), child);
                    directories.push(child);
                }
            }
            names
        });
        names.get(&(directory, name)).copied()
    }

    /// Every file that any layer brings, the hidden ones too: what has to be read.
    pub fn contents(stack: &LayerStack) -> Vec<Origin> {
        let mut origins = Vec::new();
        for (layer, content) in stack.in_merge_order() {
            let of_layer = content.node_ids().map(|node| Origin { layer, node });
            origins.extend(of_layer.filter(|origin| content.kind(origin.node) == Kind::File));
        }
        origins
    }
}

/// Whether somebody may execute it who is neither its owner nor of its group: Lambda's user.
pub(super) const fn is_executable(object: &Object) -> bool {
    object.mode.bits() & 0o001 != 0
}
