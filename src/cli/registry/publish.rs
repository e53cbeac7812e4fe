//! `registry publish`: a zip becomes the next version of a layer.

use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use slashopt::host::store::{Archive, Unpublishable};
use slashopt::host::system::budget::Budget;
use slashopt::path::Escaped;
use slashopt::registry::call::{Call, ContentFields, Fields, PublishFields};
use slashopt::registry::{Caller, Request};

use super::shapes;
use crate::cli::build::pack;
use crate::cli::layers::store::{Access, StoreArgs, Undone};
use crate::cli::layers::warnings::waived;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// Publish a zip file, or what a directory holds, as the next version of a layer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt registry publish deps deps.zip
  slashopt registry publish deps ./layer
  slashopt registry publish deps deps.zip --compatible-runtimes python3.12 python3.13 --description 'what the API needs'")]
pub(crate) struct PublishArgs {
    /// The layer: a name, or its ARN
    #[arg(value_name = "NAME")]
    name: String,
    /// Its content: a zip file, - for one on standard input, or a directory, which is packed as `slashopt pack` does
    #[arg(value_name = "ZIP|DIR")]
    content: PathBuf,
    /// What it is, in at most 256 characters
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The licence: an SPDX identifier, a URL, or its text in one line
    #[arg(long, value_name = "TEXT")]
    license_info: Option<String>,
    /// The runtimes that it is for
    #[arg(long, value_name = "ID", num_args = 0.., value_delimiter = ',')]
    compatible_runtimes: Option<Vec<String>>,
    /// The architectures that it is for: `x86_64`, arm64
    #[arg(long, value_name = "NAME", num_args = 0.., value_delimiter = ',')]
    compatible_architectures: Option<Vec<String>>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(arguments: &PublishArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let call = Call::Publish {
        name: arguments.name.clone(),
    };
    let fields = Fields::Publish(PublishFields {
        description: arguments.description.clone(),
        license_info: arguments.license_info.clone(),
        compatible_runtimes: arguments.compatible_runtimes.clone(),
        compatible_architectures: arguments.compatible_architectures.clone(),
        content: Some(ContentFields {
            has_zip_file: true,
            ..ContentFields::default()
        }),
    });
    let caller = arguments.store.caller();
    // Who has the store owns all layers in it.
    let caller = arguments
        .name
        .parse()
        .map_or(caller, |layer| Caller::owner_of(&layer));
    let judged = Request::judge(call, fields, &caller);
    let publish = match judged.map_err(|error| Failure::registry(&error))? {
        Request::Publish(publish) => publish,
        other => {
            return Err(Failure::usage(format!("{other:?} publishes nothing")));
        }
    };
    let source = arguments.content.display().to_string();
    let file = open(&arguments.content, &source, report)?;
    let version = arguments.store.with(Access::Write, async |store| {
        let cannot_read = |error| Failure::new(Exit::Machine, format!("`{source}`: {error}"));
        let archive = match file {
            Some(file) => store.take_in(file),
            None => store.take_in(std::io::stdin().lock()),
        };
        let archive = archive.map_err(cannot_read)?;
        judge(&archive, &source, report)?;
        store
            .publish(&publish, &archive)
            .await
            .map_err(Undone::from)
    })?;
    if global.is_json() {
        let mut value = shapes::version(&version);
        if let Value::Object(object) = &mut value {
            object.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
        }
        report.json(&value)?;
    } else {
        report.result(format!("{}\n", version.arn).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file to publish; `None` for standard input.
fn open(path: &Path, source: &str, report: &Report) -> Result<Option<File>, Failure> {
    if path == Path::new("-") {
        return Ok(None);
    }
    if path.is_dir() {
        let failed = |error| Failure::new(Exit::Machine, format!("`{source}`: {error}"));
        let mut file = tempfile::tempfile().map_err(failed)?;
        pack::into_file(path, &file, report).map_err(|failure| failure.during("cannot pack"))?;
        file.rewind().map_err(failed)?;
        return Ok(Some(file));
    }
    File::open(path).map(Some).map_err(|error| {
        Failure::new(Exit::Machine, format!("`{source}`: {error}"))
            .hint("check the path; a layer is published from a zip file")
    })
}

/// What the service would not take is not taken here either.
fn judge(archive: &Archive, source: &str, report: &Report) -> Result<(), Failure> {
    let waivers = archive.judge(source, &Budget::default());
    let waivers = waivers.map_err(|why| match why {
        Unpublishable::Api(error) => Failure::registry(&error),
        Unpublishable::Archive(error) => Failure::host(error),
    })?;
    for refusal in &waivers {
        report.warning(&format!(
            "`{}`: {}",
            Escaped(source.as_bytes()),
            waived(refusal)
        ));
    }
    Ok(())
}
