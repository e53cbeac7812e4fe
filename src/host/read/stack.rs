//! Opens layers and judges them: a zip file, a directory, or a zip on standard input.
//!
//! A file is opened once and never by its name again, so that what was judged is what is read.

use std::fs::File;

use sha2::{Digest as _, Sha256};

pub use super::listing::Keep;
use crate::host::error::{HostError, LayerLabel};
use crate::host::read::source::Source;
use crate::layer::{Layer, LayerStack, NameHasher};
use crate::quota::FileIdentity;

/// A stack that was read and judged, with what its contents are read from.
#[derive(Debug)]
pub struct LoadedStack {
    /// The layers in merge order.
    pub stack: LayerStack,
    /// The hash that their trees were made with; [`crate::merge::MergedTree::merge`] wants it.
    pub hasher: NameHasher,
    pub(super) sources: Vec<Source>,
    pub(super) places: Vec<LayerLabel>,
    pub(super) identities: Vec<Option<FileIdentity>>,
    pub(super) fingerprints: Vec<[u8; 32]>,
}

impl LoadedStack {
    pub(super) fn empty(hasher: NameHasher) -> Self {
        Self {
            stack: LayerStack::default(),
            hasher,
            sources: Vec::new(),
            places: Vec::new(),
            identities: Vec::new(),
            fingerprints: Vec::new(),
        }
    }

    /// A stack of layers that are known already.
    pub(in crate::host) fn of_layers(
        known: Vec<(Layer, Source, LayerLabel)>,
        hasher: NameHasher,
    ) -> Self {
        let mut all = Self::empty(hasher);
        let mut layers = Vec::with_capacity(known.len());
        for (layer, source, place) in known {
            layers.push(layer);
            all.sources.push(source);
            all.places.push(place);
            all.identities.push(None);
        }
        all.stack = LayerStack::new(layers);
        all
    }

    /// A directory that was listed, as a stack of one layer.
    pub(in crate::host) fn of_directory(
        layer: Layer,
        directory: &File,
        place: &LayerLabel,
        hasher: NameHasher,
    ) -> Result<Self, HostError> {
        let directory = directory
            .try_clone()
            .map_err(|error| place.failed("open the layer", error))?;
        let source = Source::Directory(directory.into());
        Ok(Self::of_layers(
            vec![(layer, source, place.clone())],
            hasher,
        ))
    }

    /// What a layer's contents are read from.
    pub fn source(&self, layer: crate::layer::LayerId) -> Option<&Source> {
        self.sources.get(usize::from(layer.0))
    }

    /// Which files the layers are, in merge order, to recognise one that is named twice.
    pub fn identities(&self) -> &[Option<FileIdentity>] {
        &self.identities
    }

    /// How people name a layer of this stack.
    pub fn place(&self, layer: crate::layer::LayerId) -> &LayerLabel {
        static NOWHERE: LayerLabel = LayerLabel {
            number: 0,
            of: 0,
            source: String::new(),
        };
        self.places.get(usize::from(layer.0)).unwrap_or(&NOWHERE)
    }

    /// The number that people know a layer by.
    pub(in crate::host) fn number(&self, layer: crate::layer::LayerId) -> usize {
        let place = self.places.get(usize::from(layer.0));
        place.map_or(layer.number(), |place| place.number)
    }

    /// What the stack is, in 32 bytes: equal only if the layers and their order are. An archive is known by its central
    /// directory, which names every entry with its size, mode, time and CRC-32; a directory by the names, sizes and times of
    /// what it holds, the time of the last change of state among them. No content is hashed.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for fingerprint in &self.fingerprints {
            hash.update(fingerprint);
        }
        hash.finalize().into()
    }
}
