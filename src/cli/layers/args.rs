//! Layers as they are typed, or locked.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::Args;

use slashopt::digest::{Digest, NotADigest, PREFIX};
use slashopt::host::read::input::LayerInput;

use super::LayersRegistry;
use super::flags::StackArgs;
use super::lock_file::Lock;
use super::resolved::{LOCKED, Layers};
use crate::cli::output::failure::Failure;

/// Not a doc comment, where the variable would need backticks, which help does not have.
const LAYER_HELP: &str = "Layers in merge order, the first is lowest: zip files, directories, - for a zip on \
    standard input, sha256:HEX for a layer in the cache, FILE@sha256:HEX for both, NAME, NAME:VERSION or an ARN for a layer of the registry [default: what SLASHOPT_LAYERS names, one a line or separated by commas]";
const LOCKED_HELP: &str = "Take the layers that this lock file names, with its runtime and architecture, and refuse others \
    [default: what SLASHOPT_LOCKED names, where no LAYER is typed]";

/// Layers in merge order, lowest first.
#[derive(Clone, Debug, Args)]
pub(crate) struct LayerArgs {
    #[arg(value_name = "LAYER", help = LAYER_HELP)]
    pub(crate) layers: Vec<OsString>,
    #[arg(long, value_name = "FILE", help = LOCKED_HELP, help_heading = "Layers")]
    pub(crate) locked: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: LayersRegistry,
}

impl LayerArgs {
    /// Layers that were typed in other places than where they usually are.
    pub(crate) fn new(
        layers: Vec<OsString>,
        locked: Option<PathBuf>,
        registry: LayersRegistry,
    ) -> Self {
        Self {
            layers,
            locked,
            registry,
        }
    }

    /// The layers that were named, by argument or by `SLASHOPT_LAYERS`; none is no error. Those of a lock file are not among them.
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

    /// Whether layers were named on the command line.
    pub(crate) fn is_typed(&self) -> bool {
        !self.layers.is_empty() || self.locked.is_some()
    }

    /// Whether layers were named in any way.
    pub(crate) fn is_given(&self) -> bool {
        self.is_typed() || locked_by_variable().is_some() || !self.named().is_empty()
    }

    /// Finds out what is meant: reads the lock file, and asks the registry. A layer that is not there is found missing only when it
    /// is opened.
    pub(crate) fn resolve(&self, stack: &StackArgs) -> Result<Layers, Failure> {
        let named = self.named();
        if let Some(lock) = self.lock(&named)? {
            let inputs = lock.inputs(&self.registry, stack)?;
            return Ok(Layers::of_lock(lock, inputs));
        }
        let stdin = named.iter().filter(|&layer| layer == "-");
        if stdin.count() > 1 {
            return Err(Failure::usage("standard input can be read once")
                .hint("give `-` for one layer only"));
        }
        let inputs = named.iter().map(|layer| self.input(layer));
        let inputs = inputs.collect::<Result<_, _>>()?;
        Ok(Layers::of_names(named, inputs))
    }

    /// The lock file that names the layers, if one does.
    fn lock(&self, named: &[OsString]) -> Result<Option<Lock>, Failure> {
        let file = match (&self.locked, locked_by_variable()) {
            (Some(_), _) if !self.layers.is_empty() => {
                return Err(Failure::usage(
                    "--locked: the lock file says which layers there are, and LAYERs are named",
                )
                .hint(
                    "leave out one or the other; `slashopt lock LAYER...` makes another lock file",
                ));
            }
            (Some(file), _) => file.clone(),
            (None, Some(file)) if self.layers.is_empty() => file,
            (None, _) => return Ok(None),
        };
        if self.locked.is_none() && !named.is_empty() {
            return Err(
                Failure::usage(format!("{LOCKED} and SLASHOPT_LAYERS are both set"))
                    .hint("unset one of them, or name LAYERs"),
            );
        }
        Lock::read(&file).map(Some)
    }

    /// What a layer that was typed is read from.
    fn input(&self, typed: &OsStr) -> Result<LayerInput, Failure> {
        if typed == OsStr::new("-") {
            return Ok(LayerInput::Stdin);
        }
        match self.registry.layer(typed)? {
            Some(found) => Ok(found),
            None => file_or_digest(typed),
        }
    }
}

/// The lock file that the environment names.
fn locked_by_variable() -> Option<PathBuf> {
    let file = std::env::var_os(LOCKED).filter(|file| !file.is_empty());
    file.map(PathBuf::from)
}

/// A file, a directory, or what a digest stands for.
fn file_or_digest(typed: &OsStr) -> Result<LayerInput, Failure> {
    let path = PathBuf::from(typed);
    let Some((file, digest)) = split_digest(typed.as_bytes()) else {
        return Ok(LayerInput::Path(path));
    };
    match (digest, file) {
        (Some(digest), b"") => Ok(LayerInput::Cached {
            name: digest.to_string(),
            digest,
        }),
        (Some(digest), file) => {
            let file = PathBuf::from(OsStr::from_bytes(file));
            Ok(LayerInput::Expected {
                name: file.display().to_string(),
                path: file,
                digest,
            })
        }
        (None, _) if path.exists() => Ok(LayerInput::Path(path)),
        (None, _) => Err(
            Failure::usage(format!("layer `{}`: {NotADigest}", path.display()))
                .hint("`slashopt cache add FILE` prints a layer's digest"),
        ),
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
