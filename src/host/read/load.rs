//! Opens layers and judges them: zip files, directories, a zip on standard input, trees in the cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rayon::prelude::*;

use super::digest::digest_of;
use super::index::Index;
use super::listing::{Keep, Listed, load_kept};
use crate::host::error::{HostError, LayerLabel, OtherDigest};
use crate::host::read::input::{LayerInput, open};
use crate::host::read::options::LoadOptions;
use crate::host::read::source::Source;
use crate::host::read::stack::LoadedStack;
use crate::host::system::budget::Budget;
use crate::host::system::interrupt::Interrupt;
use crate::layer::{Layer, LayerStack, NameHasher};
use crate::plan::Limits;
use crate::quota::FileIdentity;

pub(super) struct Loaded {
    layer: Layer,
    source: Source,
    identity: Option<FileIdentity>,
    fingerprint: [u8; 32],
}

pub(super) fn load_layer(
    input: &LayerInput,
    place: &LayerLabel,
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
        let (layer, tree) = cache.layer(*digest, place, options.strictness, hasher)?;
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

pub(super) fn listed(
    path: &Path,
    directory: File,
    identity: Option<FileIdentity>,
    place: &LayerLabel,
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

pub(super) fn archived(
    file: File,
    identity: Option<FileIdentity>,
    place: &LayerLabel,
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
        let placed: Vec<(&LayerInput, LayerLabel)> =
            inputs.iter().zip(LayerInput::places(inputs)).collect();
        let loaded = Self::load_some(&placed, options, budget)?;
        options.limits.judge(&loaded.stack)?;
        Ok(loaded)
    }

    /// The same of layers that may be some of a larger stack, each with its place in that. The limits are only those of one
    /// layer.
    pub(in crate::host) fn load_some(
        inputs: &[(&LayerInput, LayerLabel)],
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
            let place = LayerLabel {
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
        let loaded: Result<Vec<(Loaded, LayerLabel)>, HostError> =
            inputs.iter().enumerate().map(load).collect();
        let loaded = loaded?.into_iter();
        let all = Self::of(loaded.map(|(loaded, place)| (Ok(loaded), place)), hasher)?;
        limits.judge(&all.stack)?;
        Ok(all)
    }

    fn of(
        loaded: impl ExactSizeIterator<Item = (Result<Loaded, HostError>, LayerLabel)>,
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
}
