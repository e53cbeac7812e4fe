//! Gathers the candidates for a name, as every language does.

use super::resolution::{Candidate, Obstacle, Resolution};
use super::view::{Hit, View};
use crate::entry::Kind;
use crate::merge::{MergedTree, Origin};
use crate::packages::Ecosystem;
use crate::packages::contents::Contents;
use crate::path::LayerPath;

/// A path that is written in this program.
pub(super) fn folder(path: &str) -> LayerPath {
    LayerPath::parse(path.as_bytes()).unwrap_or_default()
}

/// Gathers candidates, each once.
pub(super) struct Search<'t, 's> {
    tree: &'t MergedTree<'s>,
    /// The layers, the highest first.
    layers: Vec<Contents<'s>>,
    ecosystem: Ecosystem,
    /// What a program gets.
    pub(super) resolved: Vec<Origin>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) obstacle: Option<Obstacle>,
}

impl<'t, 's> Search<'t, 's> {
    pub(super) fn new(tree: &'t MergedTree<'s>, ecosystem: Ecosystem) -> Self {
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
    pub(super) fn folder(
        &mut self,
        folder: &LayerPath,
        find: impl Fn(View<'_, '_>) -> Option<Hit>,
    ) {
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

    pub(super) fn done(mut self) -> Resolution {
        self.candidates.sort_by_key(|candidate| !candidate.resolves);
        Resolution {
            ecosystem: self.ecosystem,
            candidates: self.candidates,
            obstacle: self.obstacle,
        }
    }
}
