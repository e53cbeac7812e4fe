//! `registry layers`, `versions`, `get` and `delete`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use slashopt::digest::{Digest, PREFIX};
use slashopt::host::store::{Page, Store, StoreError};
use slashopt::registry::call::{Call, Fields, ListCall};
use slashopt::registry::request::Listing;
use slashopt::registry::{Code, LayerVersion, Request, operations};

use super::shapes;
use crate::cli::layers::store::{Access, StoreArgs, Undone, reference, version_reference};
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// List the layers, each with its newest version
#[derive(Debug, Args)]
pub(crate) struct LayersArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// List the versions of a layer, the newest first
#[derive(Debug, Args)]
pub(crate) struct VersionsArgs {
    /// The layer: a name, or its ARN
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Show a version, or write its zip file
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The version: NAME for the newest one, NAME:VERSION, or an ARN; sha256:HEX for the zip file of a version that may be deleted
    #[arg(value_name = "NAME:VERSION")]
    version: String,
    /// Write its zip file here; - is standard output
    #[arg(long, value_name = "ZIP")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Write an archive to standard output
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// NAME, NAME:VERSION, an ARN, or sha256:HEX
    archive: String,
    #[command(flatten)]
    store: StoreArgs,
}

/// Delete a version; its number is not used again
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The version: NAME:VERSION, or an ARN
    #[arg(value_name = "NAME:VERSION")]
    version: String,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Only what is for this runtime
    #[arg(long, value_name = "ID")]
    compatible_runtime: Option<String>,
    /// Only what is for this architecture
    #[arg(long, value_name = "NAME")]
    compatible_architecture: Option<String>,
}

impl FilterArgs {
    fn list(&self) -> ListCall {
        ListCall {
            runtime: self.compatible_runtime.clone(),
            architecture: self.compatible_architecture.clone(),
            ..ListCall::default()
        }
    }
}

pub(super) fn layers(arguments: &LayersArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let caller = arguments.store.caller();
    let request = Request::judge(
        Call::ListLayers(arguments.filter.list()),
        Fields::None,
        &caller,
    );
    let mut listing = match request.map_err(|error| Failure::registry(&error))? {
        Request::ListLayers(listing) => listing,
        _ => Listing::default(),
    };
    let found = arguments.store.with(Access::Read, async |store| {
        let mut all = Vec::new();
        loop {
            let page = store
                .layers(&caller.account, &caller.region, &listing)
                .await?;
            all.extend(page.items);
            match page.next {
                Some(next) => listing.after = Some(next.0),
                None => return Ok(all),
            }
        }
    })?;
    print(&found, "layers", global, report)
}

pub(super) fn versions(arguments: &VersionsArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let caller = arguments.store.caller();
    let reference = reference(&arguments.name, &caller)?;
    if let Some(version) = reference.version {
        return Err(
            Failure::usage(format!("`{}`: it names version {version}", arguments.name))
                .hint("name the layer alone; `slashopt registry get` shows one version"),
        );
    }
    let layer = reference.layer;
    let call = Call::ListVersions {
        name: layer.name.as_str().to_owned(),
        list: arguments.filter.list(),
    };
    let request = Request::judge(call, Fields::None, &caller);
    let mut listing = match request.map_err(|error| Failure::registry(&error))? {
        Request::ListVersions(_, listing) => listing,
        _ => Listing::default(),
    };
    let found = arguments.store.with(Access::Read, async |store| {
        let mut all = Vec::new();
        while let Some(Page { items, next }) = store.versions(&layer, &listing).await? {
            all.extend(items);
            let Some(next) = next else { break };
            listing.after = Some(next.0);
        }
        Ok(all)
    })?;
    print(&found, "versions", global, report)
}

fn print(found: &[Arc<LayerVersion>], key: &str, global: &GlobalArgs, report: &Report) -> Outcome {
    if global.is_json() {
        let all: Vec<Value> = found
            .iter()
            .map(|version| shapes::version(version))
            .collect();
        report.json(&json!({ "schema_version": SCHEMA_VERSION, key: all }))?;
    } else {
        let text: String = found.iter().map(|version| shapes::line(version)).collect();
        report.result(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an archive to standard output, for the process that asked.
pub(super) fn fetch(arguments: &FetchArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let get_arguments = GetArgs {
        version: arguments.archive.clone(),
        output: Some(PathBuf::from("-")),
        store: arguments.store.clone(),
    };
    get(&get_arguments, global, report)
}

pub(super) fn get(arguments: &GetArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    if arguments.version.starts_with(PREFIX) {
        return get_archive(arguments, report);
    }
    let caller = arguments.store.caller();
    let wanted = reference(&arguments.version, &caller)?;
    let output = arguments.output.clone();
    let version = arguments.store.with(Access::Read, async |store| {
        let refused = |error| Undone::Failure(Failure::registry(&error));
        let version = match wanted.version {
            Some(version) => {
                let arn = slashopt::registry::VersionArn {
                    layer: wanted.layer,
                    version,
                };
                let found = store.find(&arn).await?;
                // Whoever can read the store owns all of it.
                operations::must_exist(&arn, found).map_err(refused)?
            }
            None => match store.newest(&wanted.layer).await? {
                Some(newest) => Box::new(LayerVersion::clone(&newest)),
                None => {
                    return Err(refused(slashopt::registry::ApiError::new(
                        Code::ResourceNotFound,
                        format!("Layer {} has no version.", wanted.layer),
                    )));
                }
            },
        };
        if let Some(output) = output {
            write(store, version.code_sha256, &output, report).await?;
        }
        Ok(version)
    })?;
    match &arguments.output {
        Some(output) if output == Path::new("-") => {}
        _ if global.is_json() => {
            let mut value = shapes::version(&version);
            if let Value::Object(object) = &mut value {
                object.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
            }
            report.json(&value)?;
        }
        _ => report.result(shapes::text(&version).as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an archive that is named by its digest, as a lock file does: a version that needs it there need not be any more.
fn get_archive(arguments: &GetArgs, report: &Report) -> Outcome {
    let typed = &arguments.version;
    let Some(output) = arguments.output.clone() else {
        let message = format!("`{typed}`: a digest says nothing but which zip file");
        return Err(Failure::usage(message).hint("say with --output where it goes"));
    };
    let digest: Digest = typed
        .parse()
        .map_err(|error| Failure::usage(format!("`{typed}`: {error}")))?;
    arguments.store.with(Access::Read, async |store| {
        write(store, digest, &output, report).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes an archive: beside its place and renamed, so that it is there whole or not at all.
async fn write(
    store: &Store,
    digest: Digest,
    output: &Path,
    report: &Report,
) -> Result<(), Undone> {
    let gone = || Undone::Store(StoreError::Gone { digest });
    if output == Path::new("-") {
        let mut out = ToReport(report);
        let is_there = store.copy_archive(&digest, &mut out).await?;
        return is_there.then_some(()).ok_or_else(gone);
    }
    let failed = |error: io::Error| {
        Undone::Failure(
            Failure::new(Exit::Machine, format!("`{}`: {error}", output.display()))
                .hint("choose a place where this user may write"),
        )
    };
    let folder = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile_in(folder).map_err(failed)?;
    if !store.copy_archive(&digest, &mut file).await? {
        return Err(gone());
    }
    file.flush().map_err(failed)?;
    file.persist(output)
        .map(drop)
        .map_err(|error| failed(error.error))
}

/// A file that anybody may read once it has its name.
fn tempfile_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .prefix(".slashopt-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

/// Standard output, as the report writes it.
struct ToReport<'r>(&'r Report);

impl io::Write for ToReport<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .result(bytes)
            .map(|()| bytes.len())
            .map_err(|failure| io::Error::other(failure.message))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn delete(arguments: &DeleteArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let caller = arguments.store.caller();
    let arn = version_reference(&arguments.version, &caller)?;
    let named = arn.clone();
    let was_there = arguments.store.with(Access::Change, async |store| {
        store.delete(&named).await.map_err(Undone::from)
    })?;
    if !was_there {
        // As in the service, where deleting is done when it is gone.
        report.note(&format!("{arn} was not there"));
    }
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "layer_version_arn": arn.to_string(),
            "deleted": was_there,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}
