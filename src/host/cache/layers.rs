//! What a layer's digest is, and that the layer that is extracted is the one that was hashed.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::sys::stat::fstat;
use rayon::prelude::*;

use super::builder::Builder;
use super::memo::FileState;
use super::trees::MEMO;
use crate::digest::Digest;
use crate::host::error::{HostError, LayerLabel, OtherDigest};
use crate::host::read::digest::{hash_directory, hash_file, is_directory};
use crate::host::read::input::{LayerInput, open};
use crate::host::read::listing::{Listed, load_directory};
use crate::host::read::options::LoadOptions;
use crate::host::read::stack::LoadedStack;
use crate::layer::{LayerId, NameHasher};
use crate::plan::Limits;

/// A layer that somebody wants in the cache.
pub(super) struct RequestedLayer<'i> {
    input: &'i LayerInput,
    pub(super) place: LayerLabel,
    /// What was hashed, if anything was.
    opened: Option<Opened>,
}

/// Something that was opened and hashed.
struct Opened {
    file: Arc<File>,
    digest: Digest,
    state: FileState,
    /// The checksums of a directory's files; nothing for an archive.
    checksums: Option<HashMap<Vec<u8>, u32>>,
}

/// A layer that was judged and is to be built.
pub(super) struct JudgedLayer {
    /// Which of the wanted layers.
    pub(super) index: usize,
    pub(super) digest: Digest,
    /// The layer alone.
    pub(super) stack: LoadedStack,
    /// The checksums of files by path, where the layer itself does not know them.
    pub(super) checksums: HashMap<Vec<u8>, u32>,
}

impl<'i> RequestedLayer<'i> {
    pub(super) fn all(inputs: &'i [LayerInput]) -> Vec<Self> {
        inputs
            .iter()
            .zip(LayerInput::labels(inputs))
            .map(|(input, place)| Self {
                input,
                place,
                opened: None,
            })
            .collect()
    }

    fn path(&self) -> Option<&'i Path> {
        match self.input {
            LayerInput::Path(path) | LayerInput::Expected { path, .. } => Some(path),
            LayerInput::Cached { .. } | LayerInput::Open { .. } | LayerInput::Stdin => None,
        }
    }

    fn changed(&self) -> HostError {
        let reason = io::Error::other("it changed while it was read");
        self.place.failed("read the layer", reason)
    }
}

impl Builder<'_> {
    /// The digests of all layers; what nobody knows is hashed, and remembered.
    pub(super) fn identify(
        &self,
        wanted: &mut [RequestedLayer<'_>],
    ) -> Result<Vec<Digest>, HostError> {
        let digests: Vec<Result<Digest, HostError>> = self.pool.install(|| {
            wanted
                .par_iter_mut()
                .map(|wanted| match wanted.input {
                    LayerInput::Cached { digest, .. } | LayerInput::Expected { digest, .. } => {
                        Ok(*digest)
                    }
                    LayerInput::Open { .. } | LayerInput::Path(_) | LayerInput::Stdin => {
                        self.hash(wanted)
                    }
                })
                .collect()
        });
        digests.into_iter().collect()
    }

    /// Hashes a layer, unless its digest is remembered.
    fn hash(&self, wanted: &mut RequestedLayer<'_>) -> Result<Digest, HostError> {
        let file = self.open(wanted)?;
        let memo = self.cache.part(MEMO).ok();
        let state = self.state(wanted, &file)?;
        if let Some(digest) = memo.as_ref().and_then(|memo| state.recall(memo)) {
            return Ok(digest);
        }
        let opened = self.hash_opened(wanted, file, state)?;
        let digest = opened.digest;
        if let (Some(memo), true) = (&memo, wanted.path().is_some()) {
            let mode = self.cache.folder.file_mode();
            opened.state.remember(memo, digest, mode);
        }
        wanted.opened = Some(opened);
        Ok(digest)
    }

    fn open(&self, wanted: &RequestedLayer<'_>) -> Result<File, HostError> {
        if let LayerInput::Cached { .. } = wanted.input {
            return Err(HostError::NotCached {
                layer: wanted.place.clone(),
                cache: self.cache.path().display().to_string(),
            });
        }
        open(wanted.input).map_err(|error| wanted.place.failed("open the layer", error))
    }

    /// What the layer is now.
    fn state(&self, wanted: &RequestedLayer<'_>, file: &File) -> Result<FileState, HostError> {
        let about =
            fstat(file).map_err(|error| wanted.place.failed("examine the layer", error.into()))?;
        match wanted.path() {
            Some(path) if is_directory(file) => {
                let limits = self.policy.limits;
                let listed = load_directory(path, &wanted.place, limits, &NameHasher::new())?;
                Ok(FileState::of_directory(listed.fingerprint, listed.changed))
            }
            _ => Ok(FileState::of_file(&about)),
        }
    }

    fn hash_opened(
        &self,
        wanted: &RequestedLayer<'_>,
        file: File,
        state: FileState,
    ) -> Result<Opened, HostError> {
        let (digest, checksums) = match wanted.path() {
            Some(path) if is_directory(&file) => {
                let listed = list(path, &file, &wanted.place, self.policy.limits)?;
                let (digest, checksums) =
                    hash_directory(&listed.stack, LayerId(0), &self.budget, self.interrupt)?;
                (digest, Some(checksums))
            }
            _ => (hash_file(&file, &wanted.place, self.interrupt)?, None),
        };
        if self.state(wanted, &file)? != state {
            return Err(wanted.changed());
        }
        Ok(Opened {
            file: Arc::new(file),
            digest,
            state,
            checksums,
        })
    }

    /// Reads the index of a layer whose digest is known, and makes sure that it is this one's.
    pub(super) fn load(
        &self,
        index: usize,
        digest: Digest,
        wanted: &mut RequestedLayer<'_>,
    ) -> Result<JudgedLayer, HostError> {
        if wanted.opened.is_none() {
            let file = self.open(wanted)?;
            let state = self.state(wanted, &file)?;
            wanted.opened = Some(self.hash_opened(wanted, file, state)?);
        }
        let wanted = &*wanted;
        let Some(opened) = &wanted.opened else {
            return Err(wanted.changed());
        };
        if opened.digest != digest {
            return Err(match wanted.input {
                LayerInput::Expected { .. } => HostError::OtherDigest {
                    layer: wanted.place.clone(),
                    digests: Box::new(OtherDigest {
                        expected: digest,
                        found: opened.digest,
                    }),
                },
                _ => wanted.changed(),
            });
        }
        if let (Some(checksums), Some(path)) = (&opened.checksums, wanted.path()) {
            let ListedStack { stack, state } =
                list(path, &opened.file, &wanted.place, self.policy.limits)?;
            if state != opened.state {
                return Err(wanted.changed());
            }
            return Ok(JudgedLayer {
                index,
                digest,
                stack,
                checksums: checksums.clone(),
            });
        }
        let input = LayerInput::Open {
            name: wanted.input.name(),
            file: Arc::clone(&opened.file),
        };
        let options = LoadOptions {
            strictness: self.policy.strictness,
            limits: self.policy.limits,
            cache: None,
        };
        let placed = [(&input, wanted.place.clone())];
        Ok(JudgedLayer {
            index,
            digest,
            stack: LoadedStack::load_some(&placed, options, &self.budget)?,
            checksums: HashMap::new(),
        })
    }

    /// Makes sure that a layer has not changed since it was hashed.
    pub(super) fn still_is(
        &self,
        wanted: &RequestedLayer<'_>,
        loaded: &JudgedLayer,
    ) -> Result<(), HostError> {
        let Some(opened) = &wanted.opened else {
            return Ok(());
        };
        debug_assert_eq!(opened.digest, loaded.digest, "it was loaded as what it is");
        if self.state(wanted, &opened.file)? == opened.state {
            Ok(())
        } else {
            Err(wanted.changed())
        }
    }
}

/// A directory as a stack of one layer.
struct ListedStack {
    stack: LoadedStack,
    /// What it was when it was listed.
    state: FileState,
}

/// Lists a directory as a stack of one layer.
fn list(
    path: &Path,
    directory: &File,
    place: &LayerLabel,
    limits: Limits,
) -> Result<ListedStack, HostError> {
    let hasher = NameHasher::new();
    let Listed {
        layer,
        fingerprint,
        changed,
    } = load_directory(path, place, limits, &hasher)?;
    Ok(ListedStack {
        stack: LoadedStack::of_directory((layer, fingerprint), directory, place, hasher)?,
        state: FileState::of_directory(fingerprint, changed),
    })
}
