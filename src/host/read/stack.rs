//! A stack of layers that were read and judged, with what their contents are read from.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sha2::{Digest as _, Sha256};

pub use super::listing::Keep;
use super::source::Source;
use crate::archive::Archive;
use crate::host::error::{HostError, LayerLabel};
use crate::layer::{Layer, LayerForm, LayerId, LayerStack, NameHasher};
use crate::merge::Origin;
use crate::quota::FileIdentity;

/// A stack that was read and judged, with what its contents are read from.
#[derive(Debug)]
pub struct LoadedStack {
    /// The layers in merge order.
    pub stack: LayerStack,
    /// One for each layer of `stack`, in the same order.
    layers: Vec<LoadedLayer>,
}

/// What is known of a layer beside its tree.
#[derive(Debug)]
pub(in crate::host) struct LoadedLayer {
    /// What its contents are read from: [`Source::Archive`] exactly if the form of its tree is an archive.
    pub(in crate::host) source: Source,
    /// How people name it.
    pub(in crate::host) label: LayerLabel,
    /// Which file it is, to recognise one that is named twice.
    pub(in crate::host) identity: Option<FileIdentity>,
    /// Equal only for the same layer; see [`LoadedStack::fingerprint`].
    pub(in crate::host) fingerprint: [u8; 32],
}

/// A layer's tree with the descriptor that its contents are read from.
#[derive(Clone, Copy, Debug)]
pub enum OpenLayer<'l> {
    /// An archive.
    Archive {
        /// What it holds.
        archive: &'l Archive,
        /// Its file.
        file: &'l File,
    },
    /// A directory.
    Directory(&'l OwnedFd),
    /// A tree in the cache: one of ours, which we can read whatever modes are in it.
    Tree(&'l OwnedFd),
}

impl LoadedStack {
    /// A stack of these layers in merge order.
    pub(in crate::host) fn new(
        loaded: impl IntoIterator<Item = (Layer, LoadedLayer)>,
        hasher: NameHasher,
    ) -> Self {
        let (trees, layers): (Vec<Layer>, Vec<LoadedLayer>) = loaded.into_iter().unzip();
        Self {
            stack: LayerStack::new(trees, hasher),
            layers,
        }
    }

    /// A directory that was listed, as a stack of one layer.
    pub(in crate::host) fn of_directory(
        (tree, fingerprint): (Layer, [u8; 32]),
        directory: &File,
        label: &LayerLabel,
        hasher: NameHasher,
    ) -> Result<Self, HostError> {
        let directory = directory
            .try_clone()
            .map_err(|error| label.failed("open the layer", error))?;
        let layer = LoadedLayer {
            source: Source::Directory(directory.into()),
            label: label.clone(),
            identity: None,
            fingerprint,
        };
        Ok(Self::new([(tree, layer)], hasher))
    }

    /// A layer with what its contents are read from.
    ///
    /// # Panics
    ///
    /// The stack has no such layer: the id is another stack's.
    pub fn open(&self, id: LayerId) -> OpenLayer<'_> {
        match (&self.stack.layer(id).form, &self.layer(id).source) {
            (LayerForm::Archive(archive), Source::Archive(file)) => {
                OpenLayer::Archive { archive, file }
            }
            (LayerForm::Directory(_), Source::Directory(directory)) => {
                OpenLayer::Directory(directory)
            }
            (LayerForm::Directory(_), Source::Tree(tree)) => OpenLayer::Tree(tree),
            (_, source) => panic!("layer {} is not what it is read from: {source:?}", id.0),
        }
    }

    /// The entry of an archive that made an object.
    pub(in crate::host) fn entry_of(&self, origin: Origin) -> u32 {
        let entry = self.stack.layer(origin.layer).entry_of(origin.node);
        entry.unwrap_or_else(|| panic!("no entry made {origin:?}"))
    }

    /// Which files the layers are, in merge order, to recognise one that is named twice.
    pub fn identities(&self) -> Vec<Option<FileIdentity>> {
        self.layers.iter().map(|layer| layer.identity).collect()
    }

    /// Which file a layer is, if it is one that can be named twice.
    pub(in crate::host) fn identity(&self, id: LayerId) -> Option<FileIdentity> {
        self.layer(id).identity
    }

    /// How people name a layer of this stack.
    ///
    /// # Panics
    ///
    /// The stack has no such layer: the id is another stack's.
    pub fn label(&self, id: LayerId) -> &LayerLabel {
        &self.layer(id).label
    }

    /// What the stack is, in 32 bytes: equal only if the layers and their order are. An archive is known by its central
    /// directory, which names every entry with its size, mode, time and CRC-32; a directory by the names, sizes and times of
    /// what it holds, the time of the last change of state among them. No content is hashed.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for layer in &self.layers {
            hash.update(layer.fingerprint);
        }
        hash.finalize().into()
    }

    fn layer(&self, id: LayerId) -> &LoadedLayer {
        let (index, count) = (usize::from(id.0), self.layers.len());
        assert!(index < count, "layer {index} of a stack of {count}");
        &self.layers[index]
    }
}

impl AsFd for OpenLayer<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Archive { file, .. } => file.as_fd(),
            Self::Directory(directory) | Self::Tree(directory) => directory.as_fd(),
        }
    }
}
