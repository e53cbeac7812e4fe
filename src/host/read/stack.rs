//! Opens layers and judges them: a zip file, a directory, or a zip on standard input.
//!
//! A file is opened once and never by its name again, so that what was judged is what is read.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::digest::digest_of;
use super::index::Index;
pub use super::listing::Keep;
use super::listing::{Listed, load_kept};
use crate::archive::Strictness;
use crate::digest::Digest;
use crate::host::cache::Cache;
use crate::host::error::{HostError, LayerPlace, OtherDigest};
use crate::host::system::budget::Budget;
use crate::host::system::interrupt::Interrupt;
use crate::layer::{Layer, LayerStack, NameHasher};
use crate::plan::Limits;
use crate::quota::FileIdentity;

/// Where a layer is to be read from.
#[derive(Clone, Debug)]
pub enum LayerInput {
    /// A tree in the cache.
    Cached {
        /// What the user called it.
        name: String,
        /// The digest of the layer that it is of.
        digest: Digest,
    },
    /// A zip file or a directory of which somebody says what its digest is: that is believed to look it up, and verified when
    /// it is read.
    Expected {
        /// What the user called it.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
    /// A zip file that is open already.
    Open {
        /// What the user called it.
        name: String,
        /// The file.
        file: Arc<File>,
    },
    /// A zip file or a directory.
    Path(PathBuf),
    /// A zip on standard input.
    Stdin,
}

impl LayerInput {
    /// What the user called it.
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Cached { name, .. } | Self::Expected { name, .. } | Self::Open { name, .. } => {
                name.clone()
            }
            Self::Stdin => "-".to_owned(),
        }
    }

    /// How people name each of these layers.
    pub(in crate::host) fn places(inputs: &[Self]) -> Vec<LayerPlace> {
        let place = |(input, number): (&Self, usize)| LayerPlace {
            number,
            of: inputs.len(),
            source: input.name(),
        };
        inputs.iter().zip(1..).map(place).collect()
    }
}

/// An open layer, to read contents from.
#[derive(Debug)]
pub enum Source {
    /// The archive's file.
    Archive(File),
    /// The directory.
    Directory(OwnedFd),
    /// A tree in the cache: one of ours, which we can read whatever modes are in it.
    Tree(OwnedFd),
}

/// A stack that was read and judged, with what its contents are read from.
#[derive(Debug)]
pub struct LoadedStack {
    /// The layers in merge order.
    pub stack: LayerStack,
    /// The hash that their trees were made with; [`crate::merge::MergedTree::merge`] wants it.
    pub hasher: NameHasher,
    sources: Vec<Source>,
    places: Vec<LayerPlace>,
    identities: Vec<Option<FileIdentity>>,
    fingerprints: Vec<[u8; 32]>,
}

/// How layers are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'c> {
    /// How much ambiguity is accepted.
    pub strictness: Strictness,
    /// What stops bombs.
    pub limits: Limits,
    /// Where layers are that are known by their digests.
    pub cache: Option<&'c Cache>,
}

impl LoadedStack {
    /// Reads the indexes of all layers, several at once, and judges them. Nothing is inflated but the targets of links.
    ///
    /// # Errors
    ///
    /// What is wrong with the lowest layer that cannot be read or is refused.
    pub fn load(
        inputs: &[LayerInput],
        options: LoadOptions<'_>,
        budget: &Budget,
    ) -> Result<Self, HostError> {
        let placed: Vec<(&LayerInput, LayerPlace)> =
            inputs.iter().zip(LayerInput::places(inputs)).collect();
        let loaded = Self::load_some(&placed, options, budget)?;
        options.limits.judge(&loaded.stack)?;
        Ok(loaded)
    }

    /// The same of layers that may be some of a larger stack, each with its place in that. The limits are only those of one
    /// layer.
    pub(in crate::host) fn load_some(
        inputs: &[(&LayerInput, LayerPlace)],
        options: LoadOptions<'_>,
        budget: &Budget,
    ) -> Result<Self, HostError> {
        let hasher = NameHasher::new();
        let loaded: Vec<Result<Loaded, HostError>> = inputs
            .par_iter()
            .map(|(input, place)| load_layer(input, place, options, budget, &hasher))
            .collect();
        let places = inputs.iter().map(|(_, place)| place.clone());
        Self::of(loaded.into_iter().zip(places), hasher)
    }

    /// Reads directories, each without what it does not keep.
    ///
    /// # Errors
    ///
    /// What is wrong with the lowest one that cannot be read or is refused.
    pub fn load_directories(
        inputs: &[(&Path, Keep<'_>)],
        limits: Limits,
    ) -> Result<Self, HostError> {
        let hasher = NameHasher::new();
        let load = |(index, (path, is_kept)): (usize, &(&Path, Keep<'_>))| {
            let place = LayerPlace {
                number: index + 1,
                of: inputs.len(),
                source: path.display().to_string(),
            };
            let file = open(&LayerInput::Path(path.to_path_buf()))
                .map_err(|error| place.failed("open the directory", error))?;
            let metadata = file
                .metadata()
                .map_err(|error| place.failed("examine the directory", error))?;
            if !metadata.is_dir() {
                let reason = "it is not a directory";
                let error = io::Error::new(io::ErrorKind::NotADirectory, reason);
                return Err(place.failed("open the directory", error));
            }
            let identity = Some((metadata.dev(), metadata.ino()));
            let loaded = listed(path, file, identity, &place, limits, &hasher, is_kept)?;
            Ok((loaded, place))
        };
        let loaded: Result<Vec<(Loaded, LayerPlace)>, HostError> =
            inputs.iter().enumerate().map(load).collect();
        let loaded = loaded?.into_iter();
        let all = Self::of(loaded.map(|(loaded, place)| (Ok(loaded), place)), hasher)?;
        limits.judge(&all.stack)?;
        Ok(all)
    }

    fn of(
        loaded: impl ExactSizeIterator<Item = (Result<Loaded, HostError>, LayerPlace)>,
        hasher: NameHasher,
    ) -> Result<Self, HostError> {
        let mut layers = Vec::with_capacity(loaded.len());
        let mut all = Self::empty(hasher);
        for (loaded, place) in loaded {
            let Loaded {
                layer,
                source,
                identity,
                fingerprint,
            } = loaded?;
            layers.push(layer);
            all.sources.push(source);
            all.places.push(place);
            all.identities.push(identity);
            all.fingerprints.push(fingerprint);
        }
        all.stack = LayerStack::new(layers);
        Ok(all)
    }

    fn empty(hasher: NameHasher) -> Self {
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
        known: Vec<(Layer, Source, LayerPlace)>,
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

    /// What a layer's contents are read from.
    pub fn source(&self, layer: crate::layer::LayerId) -> Option<&Source> {
        self.sources.get(usize::from(layer.0))
    }

    /// Which files the layers are, in merge order, to recognise one that is named twice.
    pub fn identities(&self) -> &[Option<FileIdentity>] {
        &self.identities
    }

    /// How people name a layer of this stack.
    pub fn place(&self, layer: crate::layer::LayerId) -> &LayerPlace {
        static NOWHERE: LayerPlace = LayerPlace {
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

struct Loaded {
    layer: Layer,
    source: Source,
    identity: Option<FileIdentity>,
    fingerprint: [u8; 32],
}

fn load_layer(
    input: &LayerInput,
    place: &LayerPlace,
    options: LoadOptions<'_>,
    budget: &Budget,
    hasher: &NameHasher,
) -> Result<Loaded, HostError> {
    let failed = |operation| move |error| place.failed(operation, error);
    if let LayerInput::Cached { digest, .. } = input {
        let cache = options.cache.ok_or_else(|| HostError::NotCached {
            layer: place.clone(),
            cache: "none".to_owned(),
        })?;
        let (layer, tree) = cache.load(*digest, place, options.strictness, hasher)?;
        return Ok(Loaded {
            layer,
            source: Source::Tree(tree),
            identity: Some(digest.identity()),
            fingerprint: digest.0,
        });
    }
    let file = open(input).map_err(failed("open the layer"))?;
    if let LayerInput::Expected {
        path,
        digest: expected,
        ..
    } = input
    {
        let limits = options.limits;
        let found = digest_of(&file, path, place, limits, budget, &Interrupt::default())?;
        if found != *expected {
            let expected = *expected;
            return Err(HostError::OtherDigest {
                layer: place.clone(),
                digests: Box::new(OtherDigest { expected, found }),
            });
        }
    }
    let metadata = file.metadata().map_err(failed("examine the layer"))?;
    let (LayerInput::Path(path) | LayerInput::Expected { path, .. }) = input else {
        return archived(file, None, place, options, budget, hasher);
    };
    let identity = Some((metadata.dev(), metadata.ino()));
    let mut loaded = if metadata.is_dir() {
        let everything = &|_: &[u8], _| true;
        listed(
            path,
            file,
            identity,
            place,
            options.limits,
            hasher,
            everything,
        )?
    } else {
        archived(file, identity, place, options, budget, hasher)?
    };
    // Who named something else is no owner of the file: it is in a registry's store.
    loaded.layer.path = path
        .to_str()
        .filter(|path| *path == input.name())
        .map(str::to_owned);
    Ok(loaded)
}

fn listed(
    path: &Path,
    directory: File,
    identity: Option<FileIdentity>,
    place: &LayerPlace,
    limits: Limits,
    hasher: &NameHasher,
    is_kept: Keep<'_>,
) -> Result<Loaded, HostError> {
    let Listed {
        layer, fingerprint, ..
    } = load_kept(path, place, limits, hasher, is_kept)?;
    Ok(Loaded {
        layer,
        source: Source::Directory(directory.into()),
        identity,
        fingerprint,
    })
}

pub(in crate::host) fn open(input: &LayerInput) -> io::Result<File> {
    let path = match input {
        LayerInput::Cached { .. } => return Err(io::ErrorKind::NotFound.into()),
        LayerInput::Expected { path, .. } | LayerInput::Path(path) => path,
        LayerInput::Open { file, .. } => return file.try_clone(),
        LayerInput::Stdin => return spool_stdin(),
    };
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    let reason = "it is neither a file nor a directory";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

fn archived(
    file: File,
    identity: Option<FileIdentity>,
    place: &LayerPlace,
    options: LoadOptions<'_>,
    budget: &Budget,
    hasher: &NameHasher,
) -> Result<Loaded, HostError> {
    let Index { layer, fingerprint } = Index::read(&file, place, options, budget, hasher)?;
    Ok(Loaded {
        layer,
        source: Source::Archive(file),
        identity,
        fingerprint,
    })
}

/// Standard input as a file that nobody else can open: an index stands at the end of an archive, so it has to be there whole.
pub(in crate::host) fn spool_stdin() -> io::Result<File> {
    let mut spooled = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut spooled)?;
    spooled.rewind()?;
    Ok(spooled)
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Archive(file) => file.as_fd(),
            Self::Directory(directory) | Self::Tree(directory) => directory.as_fd(),
        }
    }
}
