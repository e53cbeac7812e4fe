//! `registry serve`: Lambda's own API for the registry.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use slashopt::host::serve::{Keys, Objects, Options, ServeError, serve};

use crate::cli::layers::store::StoreArgs;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// Where `LocalStack` listens, and so where many tools already look.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4566);

/// Answer Lambda's operations on layers over HTTP, until interrupted
#[derive(Debug, Args)]
#[command(after_help = "\
Without --keys no signature is verified: an access key id of 12 digits is the account, any other one is that of --account.

A file of keys has a [[key]] for each, with access_key_id, secret_access_key, account, and organization where there is one.

Examples:
  slashopt registry serve
  AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:4566 aws lambda list-layers
  slashopt registry serve --listen 0.0.0.0:4566 --keys keys.toml --public-url https://layers.example.com
  slashopt registry serve --store s3://bucket/layers --s3-root ./buckets")]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_ADDRESS, env = "SLASHOPT_LISTEN", hide_env = true)]
    listen: SocketAddr,
    /// Verify signatures by the keys in this file (TOML)
    #[arg(long, value_name = "FILE", env = "SLASHOPT_KEYS", hide_env = true)]
    keys: Option<PathBuf>,
    /// Without keys, listen where others than this machine can come from
    #[arg(long, env = "SLASHOPT_INSECURE", hide_env = true)]
    insecure: bool,
    /// Begin download links with this [default: http:// and the host of the request]
    #[arg(long, value_name = "URL", env = "SLASHOPT_PUBLIC_URL", hide_env = true, value_parser = parse_url)]
    public_url: Option<String>,
    /// Publish from S3 out of this directory, which has a folder for each bucket
    #[arg(long, value_name = "DIR", env = "SLASHOPT_S3_ROOT", hide_env = true)]
    s3_root: Option<PathBuf>,
    /// Publish from S3 out of this service
    #[cfg(feature = "s3")]
    #[arg(long, value_name = "URL", env = "SLASHOPT_S3_ENDPOINT", hide_env = true, value_parser = parse_url, conflicts_with = "s3_root")]
    s3_endpoint: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(arguments: &ServeArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let keys = match &arguments.keys {
        Some(path) => read_keys(path)?,
        None => Keys::default(),
    };
    if keys.is_empty() && !arguments.listen.ip().is_loopback() {
        if !arguments.insecure {
            return Err(Failure::usage(format!(
                "--listen: `{}`: without keys whoever comes from there could publish and delete as anybody",
                arguments.listen
            ))
            .hint("verify signatures with --keys FILE, listen on 127.0.0.1, or say --insecure"));
        }
        report.warning(&format!(
            "signatures are not verified, and {} is open to others than this machine: whoever comes can publish and delete as anybody",
            arguments.listen
        ));
    }
    let location = arguments.store.location()?;
    let options = Options {
        listen: arguments.listen,
        keys,
        anybody: arguments.store.caller(),
        public_url: arguments.public_url.clone(),
        objects: objects(arguments)?,
    };
    // Told at the end: whoever does not read where this is served may know it all the same.
    let mut announced = Ok(());
    let announce = |address: SocketAddr| {
        let url = format!("http://{address}");
        announced = if global.is_json() {
            report.json(&json!({ "schema_version": SCHEMA_VERSION, "url": url, "store": location.to_string() }))
        } else {
            report.result(format!("{url}\n").as_bytes())
        };
        report.note(&format!(
            "serving {location}; clients find it with AWS_ENDPOINT_URL_LAMBDA={url}"
        ));
    };
    serve(&location, options, announce).map_err(|error| match error {
        ServeError::Store(error) => Failure::store(&location, &error),
        ServeError::Listen { .. } => Failure::new(Exit::Machine, error.to_string())
            .hint("choose another place with --listen, such as 127.0.0.1:0 for a free port"),
        ServeError::Start(_) => Failure::new(Exit::Machine, error.to_string()),
    })?;
    announced.map(|()| ExitCode::SUCCESS)
}

fn read_keys(path: &Path) -> Result<Keys, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Exit::Machine,
            format!("--keys: `{}`: {error}", path.display()),
        )
        .hint("name a file in TOML that this user can read")
    })?;
    Keys::parse(&text).map_err(|error| {
        Failure::usage(format!("--keys: `{}`: {error}", path.display())).hint(
            "write a [[key]] for each, with access_key_id, secret_access_key, account, and organization where there is one",
        )
    })
}

fn objects(arguments: &ServeArgs) -> Result<Objects, Failure> {
    #[cfg(feature = "s3")]
    if let Some(url) = &arguments.s3_endpoint {
        return Ok(Objects::Endpoint(url.clone()));
    }
    let Some(root) = &arguments.s3_root else {
        return Ok(Objects::None);
    };
    if !root.is_dir() {
        return Err(Failure::usage(format!(
            "--s3-root: `{}`: it is no directory",
            root.display()
        ))
        .hint("name a directory that has a folder for each bucket"));
    }
    Ok(Objects::Directory(root.clone()))
}

/// A URL without a slash at its end.
fn parse_url(typed: &str) -> Result<String, String> {
    let is_url = ["http://", "https://"].iter().any(|scheme| {
        typed
            .strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
    });
    if is_url {
        Ok(typed.trim_end_matches('/').to_owned())
    } else {
        Err("it does not begin with http:// or https://".to_owned())
    }
}
