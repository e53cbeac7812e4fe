//! How layers are read.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::archive::Strictness;
use crate::digest::Digest;
use crate::host::error::{HostError, LayerLabel};
use crate::layer::{Layer, NameHasher};
use crate::plan::Limits;

/// How layers are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'c> {
    /// How much ambiguity is accepted.
    pub strictness: Strictness,
    /// What stops bombs.
    pub limits: Limits,
    /// Where layers are that are known by their digests.
    pub cache: Option<&'c dyn LayersByDigest>,
}

/// Where layers are that are known by their digests alone.
pub trait LayersByDigest: fmt::Debug + Sync {
    /// A layer, and its tree, which is not removed as long as it is open.
    ///
    /// # Errors
    ///
    /// [`HostError::NotCached`], or what was accepted under `--lenient` when the tree was built, and is not now.
    fn layer(
        &self,
        digest: Digest,
        place: &LayerLabel,
        strictness: Strictness,
        hasher: &NameHasher,
    ) -> Result<(Layer, OwnedFd), HostError>;
}
