//! What can be typed after `which`.

use std::ffi::OsString;

use clap::Args;

use crate::cli::args::architecture::ArchitectureArgs;
use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;

/// Show which layer provides a path or a module, and what it shadows
#[derive(Debug, Args)]
#[command(mut_arg("architecture", |argument| argument.help(ARCHITECTURE_HELP)), after_help = "\
Examples:
  slashopt which /opt/python/urllib3/__init__.py base.zip deps.zip
  slashopt which --cat 1 python/urllib3/__init__.py base.zip deps.zip
  slashopt which --module urllib3.util --runtime python3.12 base.zip deps.zip
  slashopt which --module @aws-sdk/client-s3 --runtime nodejs22.x base.zip
  slashopt which --module com.google.gson.Gson --runtime java21 base.zip")]
pub(crate) struct WhichArgs {
    #[arg(value_name = "PATH", help = PATH_HELP, required_unless_present = "module")]
    pub(crate) path: Option<OsString>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
    /// Find what a program gets that imports or requires this: a module, a class, a command
    #[arg(long, value_name = "NAME", conflicts_with = "cat")]
    pub(crate) module: Option<String>,
    #[command(flatten)]
    pub(crate) runtime: RuntimeArgs,
    #[command(flatten)]
    pub(crate) architecture: ArchitectureArgs,
    /// Write the file as layer N has it to standard output
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) cat: Option<u16>,
    #[command(flatten)]
    pub(crate) stack: StackArgs,
}

// Not doc comments, where the names would need backticks, which help does not have.
const PATH_HELP: &str =
    "A path below /opt, with or without /opt/ before it; with --module, the first layer";

const ARCHITECTURE_HELP: &str = "Look for Python modules that were compiled for this architecture: x86_64 or arm64 [default: x86_64]";

impl WhichArgs {
    /// The layers where a module is asked for: then what stands where a path would is one of them.
    pub(crate) fn layers_of_module(&self) -> LayerArgs {
        let named = self.path.iter().chain(&self.layers.layers);
        LayerArgs::new(
            named.cloned().collect(),
            self.layers.locked.clone(),
            self.layers.registry.clone(),
        )
    }
}
