//! The merged tree and one layer by itself, looked into in the same way.

use crate::entry::Kind;
use crate::layer::LayerNodeId;
use crate::merge::{MergedTree, Origin};
use crate::packages::contents::Contents;
use crate::path::LayerPath;

/// Where something is looked for.
#[derive(Clone, Copy)]
pub(super) enum View<'v, 's> {
    /// In what all layers make together; links are followed.
    Merged(&'v MergedTree<'s>),
    /// In one layer, where a link is taken for what it should lead to.
    Layer(&'v Contents<'s>),
}

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hit {
    pub(super) path: LayerPath,
    pub(super) origin: Origin,
}

impl View<'_, '_> {
    /// The file at a path.
    pub(super) fn file(self, path: &[u8]) -> Option<Hit> {
        self.hit(path, |kind| kind != Kind::Directory)
    }

    /// The directory at a path.
    pub(super) fn directory(self, path: &[u8]) -> Option<Hit> {
        self.hit(path, |kind| kind == Kind::Directory)
    }

    fn hit(self, path: &[u8], is_wanted: impl Fn(Kind) -> bool) -> Option<Hit> {
        match self {
            View::Merged(tree) => {
                let node = tree.resolve_bytes(path)?;
                is_wanted(tree.kind(node)).then(|| Hit {
                    path: tree.path(node),
                    origin: tree.provider(node),
                })
            }
            View::Layer(contents) => {
                let node = contents.find(LayerNodeId::ROOT, path)?;
                is_wanted(contents.layer.kind(node)).then(|| Hit {
                    path: contents.path(node),
                    origin: contents.origin(node),
                })
            }
        }
    }
}

/// `folder/name`, and `name` alone at the root.
pub(super) fn join(folder: &LayerPath, name: &str) -> Vec<u8> {
    if folder.as_bytes().is_empty() {
        return name.as_bytes().to_vec();
    }
    [folder.as_bytes(), b"/", name.as_bytes()].concat()
}
