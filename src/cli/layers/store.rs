//! Which registry is meant, and how a command opens it.

use std::path::PathBuf;

use clap::Args;

use slashopt::host::store::{Location, Store, StoreError};
use slashopt::host::system::home::home;
use slashopt::registry::{Account, Caller, Reference, Region, VersionArn};

use crate::cli::output::failure::Failure;

/// Not doc comments, where names would need backticks, which help does not have.
const STORE_HELP: &str = "Where the registry is: a directory, or s3://BUCKET/PREFIX [default: slashopt in the user's data \
    folder]";

const REGION_HELP: &str = "In which region [default: AWS_REGION, AWS_DEFAULT_REGION, or us-east-1]";

/// The subcommand of `registry` by which the program runs itself to fetch an archive.
pub(crate) const FETCH: &str = "fetch-1";

/// Which registry, and whose layers.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct StoreArgs {
    #[arg(
        long,
        help = STORE_HELP,
        value_name = "STORE",
        env = "SLASHOPT_STORE",
        hide_env = true
    )]
    pub(crate) store: Option<PathBuf>,
    /// Whose layers: twelve digits [default: 000000000000]
    #[arg(
        long,
        value_name = "ACCOUNT",
        env = "SLASHOPT_ACCOUNT",
        hide_env = true
    )]
    account: Option<Account>,
    #[arg(
        long,
        help = REGION_HELP,
        value_name = "REGION",
        env = "SLASHOPT_REGION",
        hide_env = true
    )]
    region: Option<Region>,
}

impl StoreArgs {
    pub(crate) fn location(&self) -> Result<Location, Failure> {
        let path = match &self.store {
            Some(path) => path.clone(),
            None => data_folder().ok_or_else(|| {
                Failure::usage(
                    "nothing says where the registry is: neither XDG_DATA_HOME nor HOME is set",
                )
                .hint("name a directory with --store")
            })?,
        };
        Location::parse(&path).map_err(|why| {
            Failure::usage(format!("--store: `{}`: {why}", path.display()))
                .hint("name a directory, or s3://BUCKET/PREFIX")
        })
    }

    pub(crate) fn caller(&self) -> Caller {
        let region = || {
            ["AWS_REGION", "AWS_DEFAULT_REGION"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok()?.parse().ok())
        };
        Caller {
            account: self.account.clone().unwrap_or_default(),
            region: self.region.clone().or_else(region).unwrap_or_default(),
            organization: None,
        }
    }

    /// Opens the registry, and does what `work` says with it.
    pub(crate) fn with<T>(
        &self,
        access: Access,
        work: impl AsyncFnOnce(&Store) -> Result<T, Undone>,
    ) -> Result<T, Failure> {
        let location = self.location()?;
        let done = Store::block_on(&location, async {
            let store = match access {
                Access::Read => Store::open_existing(&location).await,
                Access::Change => Store::open_to_change(&location).await,
                Access::Write => Store::open(&location).await,
            };
            let store = store.map_err(|error| Failure::store(&location, &error))?;
            work(&store).await.map_err(|undone| match undone {
                Undone::Failure(failure) => failure,
                Undone::Store(error) => Failure::store(&location, &error),
            })
        });
        done.map_err(|error| Failure::store(&location, &error))?
    }
}

/// `$XDG_DATA_HOME/slashopt`, or where the XDG Base Directory Specification says that it is.
fn data_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let below_home = || home().map(|home| home.join(".local/share"));
    named
        .filter(|folder| folder.is_absolute())
        .or_else(below_home)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("slashopt"))
}

/// What a command wants of a registry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// To look; a registry that is not there is an error.
    Read,
    /// To change what is there; a registry that is not there is an error.
    Change,
    /// To publish; a registry that is not there is made.
    Write,
}

/// Why a command could not be done with an open registry.
pub(crate) enum Undone {
    Failure(Failure),
    Store(StoreError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reads `NAME`, `NAME:VERSION` or an ARN.
pub(crate) fn reference(text: &str, caller: &Caller) -> Result<Reference, Failure> {
    let text = text.strip_prefix("registry:").unwrap_or(text);
    Reference::parse(text, caller).map_err(|error| {
        Failure::usage(format!("`{text}`: {error}"))
            .hint("name a layer as NAME, NAME:VERSION, or by its ARN")
    })
}

/// The same where a version has to be named.
pub(crate) fn version_reference(text: &str, caller: &Caller) -> Result<VersionArn, Failure> {
    let Reference { layer, version } = reference(text, caller)?;
    let version = version.ok_or_else(|| {
        Failure::usage(format!("`{text}`: no version is named")).hint(format!(
            "name one as {text}:1; `slashopt registry versions {text}` lists them"
        ))
    })?;
    Ok(VersionArn { layer, version })
}
