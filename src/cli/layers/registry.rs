//! Layers of the registry where any command takes LAYERs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use slashopt::digest::Digest;
use slashopt::host::read::input::LayerInput;
use slashopt::host::store::{Location, Store, StoreError};
use slashopt::registry::{ApiError, Code, LayerVersion, Reference, VersionArn, operations};

use super::store::{FETCH, StoreArgs};
use crate::cli::output::failure::{Exit, Failure};

/// What says that a name is meant of the registry and not of a file.
const PREFIX: &str = "registry:";

impl StoreArgs {
    /// The layer that is meant, if one of the registry is. It is fetched, where the registry is not on this machine.
    pub(crate) fn layer(&self, typed: &OsStr) -> Result<Option<LayerInput>, Failure> {
        let name = typed.display().to_string();
        match meant(self, typed)? {
            None => Ok(None),
            Some(Meant::Here(version, path)) => Ok(Some(LayerInput::Expected {
                name,
                path,
                digest: version.code_sha256,
            })),
            Some(Meant::Remote(location, _)) => {
                self.fetch(&location, &name.clone(), name).map(Some)
            }
        }
    }

    /// The archive of this digest, if the registry is not on this machine: fetched, whether a version needs it or not.
    pub(crate) fn fetched(
        &self,
        digest: Digest,
        name: &str,
    ) -> Result<Option<LayerInput>, Failure> {
        match self.location() {
            Ok(location) if location.is_remote() => {
                let wanted = digest.to_string();
                self.fetch(&location, &wanted, name.to_owned()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Fetches an archive, verified, by a process of its own: this one may be about to become another program, and starts no
    /// runtime.
    fn fetch(
        &self,
        location: &Location,
        wanted: &str,
        name: String,
    ) -> Result<LayerInput, Failure> {
        let failed = |error| Failure::new(Exit::Machine, format!("layer `{name}`: {error}"));
        let file = tempfile::tempfile().map_err(failed)?;
        let caller = self.caller();
        let status = Command::new("/proc/self/exe")
            .args(["registry", FETCH, wanted, "--format", "text"])
            .args(["--account", caller.account.as_str()])
            .args(["--region", caller.region.as_str()])
            .arg("--store")
            .arg(location.to_string())
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(failed)?)
            .status()
            .map_err(failed)?;
        if !status.success() {
            return Err(Failure::new(
                Exit::Registry,
                format!("layer `{name}`: it cannot be fetched from `{location}`"),
            )
            .hint("the message before this one says why"));
        }
        Ok(LayerInput::Open {
            name,
            file: Arc::new(file),
        })
    }

    /// The version that is meant. For a registry that is not on this machine that starts a runtime.
    pub(crate) fn version(&self, typed: &OsStr) -> Result<Option<LayerVersion>, Failure> {
        let (location, reference) = match meant(self, typed)? {
            None => return Ok(None),
            Some(Meant::Here(version, _)) => return Ok(Some(*version)),
            Some(Meant::Remote(location, reference)) => (location, reference),
        };
        let found =
            find(&location, &reference).map_err(|error| Failure::store(&location, &error))?;
        match found {
            RegistryMatch::Version(version) => Ok(Some(*version)),
            RegistryMatch::NoRegistry => Err(Failure::store(&location, &StoreError::Missing)),
            RegistryMatch::Nothing => Err(absent(&typed.to_string_lossy(), &reference)),
        }
    }

    /// Where a registry on this machine has an archive, if it has it, whether a version needs it or not.
    pub(crate) fn archive(&self, digest: Digest) -> Option<PathBuf> {
        archive_in(&self.location().ok()?, digest)
    }
}

/// What of a registry is meant.
enum Meant {
    /// A version, and where its archive is.
    Here(Box<LayerVersion>, PathBuf),
    /// Something in a registry that takes a network.
    Remote(Location, Reference),
}

/// The version that is meant: an argument with a slash or ending in `.zip` is a path, another one is a path if that exists and the
/// registry has no such layer.
fn meant(store: &StoreArgs, typed: &OsStr) -> Result<Option<Meant>, Failure> {
    let Some(text) = typed.to_str() else {
        return Ok(None);
    };
    let (is_certain, name) = match text.strip_prefix(PREFIX) {
        Some(name) => (true, name),
        None => (text.starts_with("arn:"), text),
    };
    let looks_like_a_path = text.contains('/')
        || Path::new(text)
            .extension()
            .is_some_and(|ending| ending == "zip");
    if !is_certain && (looks_like_a_path || text.starts_with(slashopt::digest::PREFIX)) {
        return Ok(None);
    }
    let reference = match Reference::parse(name, &store.caller()) {
        Ok(reference) => reference,
        Err(error) if is_certain => {
            return Err(Failure::usage(format!("layer `{text}`: {error}"))
                .hint("name a layer as NAME, NAME:VERSION, or by its ARN"));
        }
        Err(_) => return Ok(None),
    };
    let is_file = !text.starts_with(PREFIX) && Path::new(text).exists();
    // Without a place for a registry there is none, and a file needs none.
    let location = match store.location() {
        Ok(location) => location,
        Err(failure) if is_certain => return Err(failure),
        Err(_) => return Ok(None),
    };
    if location.is_remote() {
        return Ok((!is_file).then_some(Meant::Remote(location, reference)));
    }
    let found = find(&location, &reference).map_err(|error| Failure::store(&location, &error))?;
    let version = match found {
        RegistryMatch::Version(version) => version,
        // Of a name alone nobody can tell what was meant: it is more often a file.
        RegistryMatch::Nothing if is_file || !is_certain && reference.version.is_none() => {
            return Ok(None);
        }
        RegistryMatch::NoRegistry if !is_certain => return Ok(None),
        RegistryMatch::NoRegistry => return Err(Failure::store(&location, &StoreError::Missing)),
        RegistryMatch::Nothing => return Err(absent(text, &reference)),
    };
    if is_file {
        return Err(Failure::usage(format!(
            "layer `{text}`: there is such a file, and such a layer in the registry"
        ))
        .hint(format!(
            "`./{text}` is the file, `{PREFIX}{text}` is the layer"
        )));
    }
    let path = archive_in(&location, version.code_sha256);
    Ok(path.map(|path| Meant::Here(version, path)))
}

fn archive_in(location: &Location, digest: Digest) -> Option<PathBuf> {
    location
        .directory()
        .map(|path| Store::blob_in(path, &digest))
}

enum RegistryMatch {
    NoRegistry,
    Nothing,
    Version(Box<LayerVersion>),
}

fn find(location: &Location, reference: &Reference) -> Result<RegistryMatch, StoreError> {
    Store::block_on(location, async {
        let store = match Store::open_existing(location).await {
            Ok(store) => store,
            Err(StoreError::Missing) => return Ok(RegistryMatch::NoRegistry),
            Err(error) => return Err(error),
        };
        let version = match reference.version {
            None => store
                .newest(&reference.layer)
                .await?
                .map(|newest| Box::new(LayerVersion::clone(&newest))),
            Some(version) => {
                let arn = VersionArn {
                    layer: reference.layer.clone(),
                    version,
                };
                operations::must_exist(&arn, store.find(&arn).await?).ok()
            }
        };
        Ok(version.map_or(RegistryMatch::Nothing, RegistryMatch::Version))
    })?
}

fn absent(text: &str, reference: &Reference) -> Failure {
    let version = reference
        .version
        .map_or_else(String::new, |version| format!(":{version}"));
    let message = format!("Layer version {}{version} does not exist.", reference.layer);
    let error = ApiError::new(Code::ResourceNotFound, message);
    Failure::registry(&error)
        .at(&format!("layer `{text}`"))
        .hint("`slashopt registry layers` lists what is there")
}
