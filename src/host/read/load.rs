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
use crate::host::read::stack::{LoadedLayer, LoadedStack};
use crate::host::system::budget::Budget;
use crate::host::system::interrupt::Interrupt;
use crate::layer::{Layer, NameHasher};
use crate::plan::Limits;
use crate::quota::FileIdentity;

fn load_layer(
    input: &LayerInput,
    place: &LayerLabel,
    options: LoadOptions<'_>,
    budget: &Budget,
    hasher: &NameHasher,
) -> Result<(Layer, LoadedLayer), HostError> {
    let failed = |operation| move |error| place.failed(operation, error);
    if let LayerInput::Cached { digest, .. } = input {
        let cache = options.cache.ok_or_else(|| HostError::NotCached {
            layer: place.clone(),
            cache: "none".to_owned(),
        })?;
        let (layer, tree) = cache.layer(*digest, place, options.strictness, hasher)?;
        let loaded = LoadedLayer {
            source: Source::Tree(tree),
            label: place.clone(),
            identity: Some(digest.identity()),
            fingerprint: digest.0,
        };
        return Ok((layer, loaded));
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
    let (mut layer, loaded) = if metadata.is_dir() {
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
    layer.path = path
        .to_str()
        .filter(|path| *path == input.name())
        .map(str::to_owned);
    Ok((layer, loaded))
}

fn listed(
    path: &Path,
    directory: File,
    identity: Option<FileIdentity>,
    place: &LayerLabel,
    limits: Limits,
    hasher: &NameHasher,
    is_kept: Keep<'_>,
) -> Result<(Layer, LoadedLayer), HostError> {
    let Listed {
        layer, fingerprint, ..
    } = load_kept(path, place, limits, hasher, is_kept)?;
    let loaded = LoadedLayer {
        source: Source::Directory(directory.into()),
        label: place.clone(),
        identity,
        fingerprint,
    };
    Ok((layer, loaded))
}

fn archived(
    file: File,
    identity: Option<FileIdentity>,
    place: &LayerLabel,
    options: LoadOptions<'_>,
    budget: &Budget,
    hasher: &NameHasher,
) -> Result<(Layer, LoadedLayer), HostError> {
    let Index { layer, fingerprint } = Index::read(&file, place, options, budget, hasher)?;
    let loaded = LoadedLayer {
        source: Source::Archive(file),
        label: place.clone(),
        identity,
        fingerprint,
    };
    Ok((layer, loaded))
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
            inputs.iter().zip(LayerInput::labels(inputs)).collect();
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
        let loaded: Vec<Result<(Layer, LoadedLayer), HostError>> = inputs
            .par_iter()
            .map(|(input, place)| load_layer(input, place, options, budget, &hasher))
            .collect();
        // Of several failures the one of the lowest layer.
        let loaded: Result<Vec<_>, HostError> = loaded.into_iter().collect();
        Ok(Self::new(loaded?, hasher))
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
            listed(path, file, identity, &place, limits, &hasher, is_kept)
        };
        let loaded: Result<Vec<_>, HostError> = inputs.iter().enumerate().map(load).collect();
        let all = Self::new(loaded?, hasher);
        limits.judge(&all.stack)?;
        Ok(all)
    }
}
