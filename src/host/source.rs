//! Opens layers and judges them: a zip file, a directory, or a zip on standard input.
//!
//! A file is opened once and never by its name again, so that what was judged is what is read.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::budget::Budget;
use super::cache::{Cache, digest_of};
use super::content::Reader;
use super::interrupt::Interrupt;
pub use super::listing::Keep;
use super::listing::{Listed, load_kept};
use super::{HostError, LayerPlace, OtherDigest};
use crate::archive::{
    Archive, DirectoryLocation, MAX_DIRECTORY_BYTES, Refusal, Rule, Strictness, TAIL_BYTES,
};
use crate::digest::Digest;
use crate::layer::{Layer, LayerForm, LayerStack, NameHasher};
use crate::plan::{LimitExceeded, Limits};
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
    pub(super) fn places(inputs: &[Self]) -> Vec<LayerPlace> {
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
    pub(super) fn load_some(
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
    pub(super) fn of_layers(known: Vec<(Layer, Source, LayerPlace)>, hasher: NameHasher) -> Self {
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
    pub(super) fn number(&self, layer: crate::layer::LayerId) -> usize {
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
        return load_archive(file, None, place, options, budget, hasher);
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
        load_archive(file, identity, place, options, budget, hasher)?
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

pub(super) fn open(input: &LayerInput) -> io::Result<File> {
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

fn load_archive(
    file: File,
    identity: Option<FileIdentity>,
    place: &LayerPlace,
    options: LoadOptions<'_>,
    budget: &Budget,
    hasher: &NameHasher,
) -> Result<Loaded, HostError> {
    let read_failed = |error| place.failed("read the layer", error);
    let archive_bytes = file.metadata().map_err(read_failed)?.len();
    let (location, directory) =
        read_directory(&file, archive_bytes, options).map_err(|error| match error {
            ReadError::Io(error) => read_failed(error),
            ReadError::Limit(limit) => HostError::Limit(limit),
            ReadError::Refused(refusal) => place.refused(refusal),
        })?;
    let fingerprint = Sha256::new()
        .chain_update(b"archive")
        .chain_update(archive_bytes.to_le_bytes())
        .chain_update(&directory)
        .finalize()
        .into();
    let refused = |refusal| place.refused(refusal);
    let archive = Archive::judge(directory, location, options.strictness).map_err(refused)?;
    let mut layer = Layer::from_archive(place.source.clone(), archive, archive_bytes, hasher)
        .map_err(refused)?;
    read_links_and_unplaced(&mut layer, &file, place, budget)?;
    tracing::debug!(
        layer = place.number,
        entries = layer.entries(),
        "index read"
    );
    Ok(Loaded {
        layer,
        source: Source::Archive(file),
        identity,
        fingerprint,
    })
}

enum ReadError {
    Io(io::Error),
    Limit(LimitExceeded),
    Refused(Refusal),
}

/// Bytes at the end of an archive that tell, as a rule, where its directory begins.
const GLANCE_BYTES: u64 = 1 << 10;

/// Finds the central directory and reads it: with one read, as a rule, together with all that may follow it.
fn read_directory(
    file: &File,
    archive_bytes: u64,
    options: LoadOptions<'_>,
) -> Result<(DirectoryLocation, Vec<u8>), ReadError> {
    let find = |bytes: &[u8]| DirectoryLocation::find(bytes, archive_bytes, options.strictness);
    let judge = |location: &DirectoryLocation| match location.entries {
        entries if entries > options.limits.max_entries => Err(LimitExceeded::Entries {
            entries,
            limit: options.limits.max_entries,
        }),
        _ => Ok(()),
    };
    let glance = read_from(
        file,
        archive_bytes.saturating_sub(GLANCE_BYTES),
        archive_bytes,
    )?;
    let expected = find(&glance)
        .ok()
        .filter(|location| judge(location).is_ok());
    let tail_start = archive_bytes.saturating_sub(TAIL_BYTES as u64);
    let start = expected.map_or(tail_start, |location| location.offset.min(tail_start));
    let mut bytes = read_from(file, start, archive_bytes)?;
    // It counts only what the whole tail says.
    let tail = bytes.len().saturating_sub(TAIL_BYTES);
    let location = find(bytes.get(tail..).unwrap_or_default()).map_err(ReadError::Refused)?;
    judge(&location).map_err(ReadError::Limit)?;
    debug_assert!(
        location.bytes <= MAX_DIRECTORY_BYTES,
        "the location was judged"
    );
    let Some(before) = location.offset.checked_sub(start) else {
        let directory = read_from(file, location.offset, location.offset + location.bytes)?;
        return Ok((location, directory));
    };
    // Both lengths are of something in memory.
    bytes.truncate(usize::try_from(before + location.bytes).unwrap_or(usize::MAX));
    bytes.drain(..usize::try_from(before).unwrap_or(usize::MAX));
    Ok((location, bytes))
}

/// The bytes of a file from `start` to `stop`, which is not after its end and not too far away.
fn read_from(file: &File, start: u64, stop: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; usize::try_from(stop - start).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)
        .map_err(ReadError::Io)?;
    Ok(bytes)
}

/// Bytes of all link targets of one archive.
const MAX_TARGETS_BYTES: u64 = 16 << 20;

/// Reads what merging wants to know, the targets of the links, and judges what it leaves out, the entries that no tree holds:
/// neither is read again.
fn read_links_and_unplaced(
    layer: &mut Layer,
    file: &File,
    place: &LayerPlace,
    budget: &Budget,
) -> Result<(), HostError> {
    let LayerForm::Archive(archive) = &layer.form else {
        return Ok(());
    };
    let links = layer.unread_links();
    let refused = |refusal| place.refused(refusal);
    let total: u64 = links
        .iter()
        .filter_map(|&link| archive.entries().get(link as usize))
        .map(|entry| entry.uncompressed_bytes)
        .sum();
    if total > MAX_TARGETS_BYTES {
        return Err(refused(Refusal::archive(Rule::TargetsTooLong)));
    }
    let mut reader = Reader::new(budget);
    let mut targets = Vec::with_capacity(links.len());
    for index in links {
        let mut target = Vec::new();
        reader.read_entry(file, archive, index, place, |bytes| {
            target.extend_from_slice(bytes);
            Ok(())
        })?;
        if target.contains(&0) {
            return Err(refused(archive.refusal(Rule::TargetNul, index)));
        }
        targets.push((index, target.into_boxed_slice()));
    }
    for &index in layer.unplaced() {
        reader.verify_headers(file, archive, index, place)?;
    }
    layer.admit(reader.admitted);
    for (index, target) in targets {
        layer.set_target(index, target);
    }
    Ok(())
}

/// Judges an archive that is no layer of a stack yet, and verifies every entry of it: what nobody could unzip is not worth
/// keeping. The layer is named as `name` if it is refused.
///
/// # Errors
///
/// The rule that it breaks, or the limit that it exceeds; nothing is inflated beyond `limits`.
pub fn verify_archive(
    file: File,
    name: &str,
    options: LoadOptions<'_>,
    budget: &Budget,
) -> Result<Layer, HostError> {
    let place = LayerPlace {
        number: 1,
        of: 1,
        source: name.to_owned(),
    };
    let same = file
        .try_clone()
        .map_err(|error| place.failed("open the layer", error))?;
    let loaded = load_archive(file, None, &place, options, budget, &NameHasher::new())?;
    let mut layer = loaded.layer;
    let unzipped_bytes = layer.unzipped_bytes;
    if unzipped_bytes > options.limits.max_bytes {
        return Err(HostError::Limit(LimitExceeded::Bytes {
            bytes: unzipped_bytes,
            limit: options.limits.max_bytes,
        }));
    }
    let LayerForm::Archive(archive) = &layer.form else {
        return Ok(layer);
    };
    let mut reader = Reader::new(budget);
    for (index, _) in (0..).zip(archive.entries()) {
        reader.read_entry(&same, archive, index, &place, |_| Ok(()))?;
    }
    layer.admit(reader.admitted);
    Ok(layer)
}

/// Standard input as a file that nobody else can open: an index stands at the end of an archive, so it has to be there whole.
pub(super) fn spool_stdin() -> io::Result<File> {
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
