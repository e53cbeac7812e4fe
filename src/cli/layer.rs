//! Layers as they are typed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::Args;

use slashopt::digest::{Digest, NotADigest, PREFIX};
use slashopt::host::source::LayerInput;

use super::failure::Failure;

/// Not a doc comment, where the variable would need backticks, which help does not have.
const LAYER_HELP: &str = "Layers in merge order, the first is lowest: zip files, directories, - for a zip on \
    standard input, sha256:HEX for a layer in the cache, FILE@sha256:HEX for both, NAME, NAME:VERSION or an ARN for a layer of the registry [default: what SLASHOPT_LAYERS names, one a line or separated by commas]";

/// Layers in merge order, lowest first.
#[derive(Clone, Debug, Args)]
pub(crate) struct LayerArgs {
    #[arg(value_name = "LAYER", help = LAYER_HELP)]
    pub(crate) layers: Vec<OsString>,
    #[command(flatten)]
    pub(crate) registry: LayersRegistry,
}

/// Where layers are looked for that are no files.
#[cfg(feature = "registry")]
pub(crate) type LayersRegistry = super::registry::StoreArgs;
/// This build has no registry to look in.
#[cfg(not(feature = "registry"))]
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LayersRegistry {}

impl LayerArgs {
    /// The layers that were named, by argument or by `SLASHOPT_LAYERS`; none is no error.
    pub(crate) fn named(&self) -> Vec<OsString> {
        if !self.layers.is_empty() {
            return self.layers.clone();
        }
        let variable = std::env::var_os("SLASHOPT_LAYERS").unwrap_or_default();
        let parts = variable
            .as_bytes()
            .split(|&byte| byte == b'\n' || byte == b',');
        parts
            .map(<[u8]>::trim_ascii)
            .filter(|part| !part.is_empty())
            .map(|part| OsString::from_vec(part.to_vec()))
            .collect()
    }

    /// What they are read from, at least one.
    pub(crate) fn inputs(&self, what: &str) -> Result<Vec<LayerInput>, Failure> {
        let named = self.named();
        if named.is_empty() {
            return Err(Failure::usage(format!("{what}: no layer is named"))
                .hint("name zip files or directories in merge order, or set SLASHOPT_LAYERS"));
        }
        if named
            .iter()
            .filter(|layer| *layer == OsStr::new("-"))
            .count()
            > 1
        {
            return Err(
                Failure::usage(format!("{what}: standard input can be read once"))
                    .hint("give `-` for one layer only"),
            );
        }
        let input = |layer: &OsString| self.input(layer, what);
        named.iter().map(input).collect()
    }
}

impl LayerArgs {
    /// What a layer that was typed is read from.
    fn input(&self, typed: &OsStr, what: &str) -> Result<LayerInput, Failure> {
        if typed == OsStr::new("-") {
            return Ok(LayerInput::Stdin);
        }
        #[cfg(feature = "registry")]
        if let Some(found) = super::registry::layer(&self.registry, typed, what)? {
            return Ok(found);
        }
        file_or_digest(typed, what)
    }
}

/// A file, a directory, or what a digest stands for.
fn file_or_digest(typed: &OsStr, what: &str) -> Result<LayerInput, Failure> {
    let path = PathBuf::from(typed);
    let Some((file, digest)) = split_digest(typed.as_bytes()) else {
        return Ok(LayerInput::Path(path));
    };
    match (digest, file) {
        (Some(digest), b"") => Ok(LayerInput::Cached(digest)),
        (Some(digest), file) => {
            let file = PathBuf::from(OsStr::from_bytes(file));
            Ok(LayerInput::Expected {
                name: file.display().to_string(),
                path: file,
                digest,
            })
        }
        (None, _) if path.exists() => Ok(LayerInput::Path(path)),
        (None, _) => Err(Failure::usage(format!(
            "{what}: layer `{}`: {NotADigest}",
            path.display()
        ))
        .hint("`slashopt cache add FILE` prints a layer's digest")),
    }
}

/// The file, which may be empty, and the digest in `FILE@sha256:HEX`; `None` if it is not meant as one.
fn split_digest(typed: &[u8]) -> Option<(&[u8], Option<Digest>)> {
    let start = typed
        .windows(PREFIX.len())
        .rposition(|window| window == PREFIX.as_bytes())?;
    let (file, digest) = typed.split_at_checked(start)?;
    let file = match file {
        [] => file,
        [file @ .., b'@'] if !file.is_empty() => file,
        _ => return None,
    };
    let digest = std::str::from_utf8(digest).ok();
    Some((file, digest.and_then(|digest| digest.parse().ok())))
}
