//! What stands in place of the registry in a program that has none.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use slashopt::digest::Digest;
use slashopt::host::read::input::LayerInput;
use slashopt::registry::LayerVersion;

use crate::cli::output::failure::Failure;

/// This build has no registry to look in.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LayersRegistry {}

#[expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "a registry would be asked"
)]
impl LayersRegistry {
    /// None of a registry.
    pub(crate) fn layer(&self, _: &OsStr) -> Result<Option<LayerInput>, Failure> {
        Ok(None)
    }

    /// None.
    pub(crate) fn version(&self, _: &OsStr) -> Result<Option<LayerVersion>, Failure> {
        Ok(None)
    }

    /// Nothing.
    pub(crate) fn fetched(&self, _: Digest, _: &str) -> Result<Option<LayerInput>, Failure> {
        Ok(None)
    }

    /// Nowhere.
    pub(crate) fn archive(&self, _: Digest) -> Option<PathBuf> {
        None
    }
}
