//! A lock file: of which layers a stack is made, whatever becomes of their names.
//!
//! It is JSON, one value a line, in merge order, so that a change of one layer is a change of its lines.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use slashopt::digest::Digest;
use slashopt::host::error::LayerLabel;
use slashopt::host::read::input::LayerInput;
use slashopt::registry::VersionArn;
use slashopt::runtime::{Architecture, Runtime};

use super::LayersRegistry;
use super::flags::StackArgs;
use crate::cli::args::runtime::find_runtime;
use crate::cli::output::failure::{Exit, Failure, LOCK_AGAIN};
use crate::cli::output::report::Report;

/// The form that is written; another one gets another number.
const VERSION: u32 = 1;
/// More than any lock file has.
const MOST_BYTES: u64 = 1 << 20;

/// What is in a lock file.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    /// Where it is, as the user named it.
    pub(crate) file: PathBuf,
    pub(crate) runtime: Option<&'static Runtime>,
    pub(crate) architecture: Option<Architecture>,
    /// In merge order.
    pub(crate) layers: Vec<LockedLayer>,
}

/// A layer that is locked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LockedLayer {
    pub(crate) source: LockedSource,
    pub(crate) digest: Digest,
    /// Bytes of the zip file; of all files for a directory.
    pub(crate) bytes: u64,
    /// What it was published for.
    pub(crate) runtimes: Option<Vec<String>>,
    pub(crate) architectures: Option<Vec<String>>,
}

/// Where a locked layer was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LockedSource {
    /// A version in a registry.
    Arn(VersionArn),
    /// A zip file or a directory, from where the lock file is.
    Path(PathBuf),
}

impl fmt::Display for LockedSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arn(arn) => arn.fmt(formatter),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "lock file `{}`", self.file.display())
    }
}

/// The file as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    lock_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    layers: Vec<LayerShape>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LayerShape {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The path in base64 where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    sha256: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtimes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architectures: Option<Vec<String>>,
}

/// What every form of the file has.
#[derive(Deserialize)]
struct AnyShape {
    lock_version: u32,
}

impl Lock {
    /// Reads a lock file.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let text = read_file(file).map_err(|error| {
            Failure::new(Exit::Machine, format!("lock file `{shown}`: {error}"))
                .hint("`slashopt lock LAYER...` makes one")
        })?;
        let broken =
            |why: String| Failure::usage(format!("lock file `{shown}`: {why}")).hint(LOCK_AGAIN);
        let AnyShape { lock_version } = serde_json::from_slice(&text)
            .map_err(|error| broken(format!("it is not a lock file: {error}")))?;
        if lock_version != VERSION {
            return Err(broken(format!(
                "it has the form {lock_version}, and this program knows {VERSION}"
            )));
        }
        let shape: Shape =
            serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if shape.layers.is_empty() {
            return Err(broken("it names no layer".to_owned()));
        }
        let runtime = shape.runtime.as_deref();
        let architecture = shape.architecture.as_deref().map(str::parse).transpose();
        let layers = shape.layers.into_iter().zip(1..).map(|(layer, number)| {
            LockedLayer::try_from(layer).map_err(|why| broken(format!("layer {number}: {why}")))
        });
        Ok(Self {
            file: file.to_owned(),
            runtime: runtime
                .map(|runtime| find_runtime(runtime, &format!("lock file `{shown}`")))
                .transpose()?,
            architecture: architecture.map_err(
                |error: slashopt::runtime::UnknownArchitecture| broken(error.to_string()),
            )?,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// The file's bytes: the same for the same layers.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let shape = Shape {
            lock_version: VERSION,
            runtime: self.runtime.map(|runtime| runtime.identifier.to_owned()),
            architecture: self
                .architecture
                .map(|architecture| architecture.to_string()),
            layers: self.layers.iter().map(LayerShape::from).collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&shape).map_err(|error| {
            Failure::whole(Exit::Machine, format!("cannot write {self}: {error}"))
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// What the layers are read from: where they were, or the cache, or what a registry elsewhere gives.
    pub(crate) fn inputs(
        &self,
        registry: &LayersRegistry,
        stack: &StackArgs,
    ) -> Result<Vec<LayerInput>, Failure> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let layers = self.layers.iter().zip(1..).map(|(layer, number)| {
            let path = match &layer.source {
                LockedSource::Path(path) => Some(folder.join(path)),
                LockedSource::Arn(_) => registry.archive(layer.digest),
            };
            let name = match (&layer.source, &path) {
                (LockedSource::Path(_), Some(path)) => path.display().to_string(),
                (source, _) => source.to_string(),
            };
            let about = path.as_ref().map(fs::metadata);
            let is_elsewhere = match &about {
                None => true,
                Some(Ok(_)) => false,
                Some(Err(error)) => error.kind() == io::ErrorKind::NotFound,
            };
            let digest = layer.digest;
            let Some(path) = path.filter(|_| !is_elsewhere) else {
                let fetched = match layer.source {
                    LockedSource::Arn(_) if !stack.has_cached(digest) => {
                        registry.fetched(digest, &name)?
                    }
                    _ => None,
                };
                return Ok(fetched.unwrap_or(LayerInput::Cached { name, digest }));
            };
            // Its digest is for whoever reads it; this costs nothing.
            match about {
                Some(Ok(about)) if about.is_file() && about.len() != layer.bytes => {
                    let place = LayerLabel {
                        number,
                        of: self.layers.len(),
                        source: name,
                    };
                    Err(Failure {
                        layer: Some(number),
                        ..Failure::new(
                            Exit::Refused,
                            format!(
                                "{place}: another size than locked: expected {} bytes, found {}",
                                layer.bytes,
                                about.len()
                            ),
                        )
                    }
                    .hint(LOCK_AGAIN))
                }
                _ => Ok(LayerInput::Expected { name, path, digest }),
            }
        });
        layers.collect()
    }

    /// Warns of layers that were published for other runtimes.
    pub(crate) fn tell_others_runtimes(&self, runtime: &Runtime, report: &Report) {
        self.tell_others(|layer| &layer.runtimes, runtime.identifier, report);
    }

    /// Warns of layers that were published for another architecture.
    pub(crate) fn tell_others_architectures(&self, architecture: Architecture, report: &Report) {
        let architecture = architecture.to_string();
        self.tell_others(|layer| &layer.architectures, &architecture, report);
    }

    fn tell_others(
        &self,
        declared: impl Fn(&LockedLayer) -> &Option<Vec<String>>,
        chosen: &str,
        report: &Report,
    ) {
        for (layer, number) in self.layers.iter().zip(1..) {
            let names = declared(layer).as_deref().unwrap_or_default();
            if !names.is_empty() && !names.iter().any(|name| name == chosen) {
                let place = LayerLabel {
                    number,
                    of: self.layers.len(),
                    source: layer.source.to_string(),
                };
                report.warning(&format!(
                    "{place}: it was published for {}, not for {chosen}",
                    names.join(", ")
                ));
            }
        }
    }
}

fn read_file(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("it is too long to be a lock file"));
    }
    Ok(text)
}

impl TryFrom<LayerShape> for LockedLayer {
    type Error = String;

    fn try_from(shape: LayerShape) -> Result<Self, String> {
        let source = match (shape.arn, shape.path, shape.path_bytes) {
            (Some(arn), None, None) => {
                let arn = arn.parse().map_err(|error| format!("`{arn}`: {error}"))?;
                LockedSource::Arn(arn)
            }
            (None, Some(path), None) => LockedSource::Path(path.into()),
            (None, _, Some(bytes)) => {
                use std::os::unix::ffi::OsStringExt as _;
                let bytes = STANDARD
                    .decode(bytes)
                    .map_err(|error| format!("path_bytes: {error}"))?;
                LockedSource::Path(std::ffi::OsString::from_vec(bytes).into())
            }
            _ => return Err("it needs an `arn` or a `path`".to_owned()),
        };
        Ok(Self {
            source,
            digest: Digest::from_hex(shape.sha256.as_bytes())
                .map_err(|_| "sha256: 64 lowercase hex digits are needed".to_owned())?,
            bytes: shape.size,
            runtimes: shape.runtimes,
            architectures: shape.architectures,
        })
    }
}

impl From<&LockedLayer> for LayerShape {
    fn from(layer: &LockedLayer) -> Self {
        let mut shape = Self {
            sha256: layer.digest.hex(),
            size: layer.bytes,
            runtimes: layer.runtimes.clone(),
            architectures: layer.architectures.clone(),
            ..Self::default()
        };
        match &layer.source {
            LockedSource::Arn(arn) => shape.arn = Some(arn.to_string()),
            LockedSource::Path(path) => {
                use std::os::unix::ffi::OsStrExt as _;
                shape.path = Some(path.to_string_lossy().into_owned());
                if path.to_str().is_none() {
                    shape.path_bytes = Some(STANDARD.encode(path.as_os_str().as_bytes()));
                }
            }
        }
        shape
    }
}
