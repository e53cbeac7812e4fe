//! `registry`: publish layers, look at them, share and delete them.

mod garbage;
mod permission;
mod publish;
#[cfg(feature = "serve")]
mod serve;
mod shapes;
mod show;

use clap::{Args, Subcommand};

use super::output::failure::Outcome;
use super::output::global::GlobalArgs;
use super::output::report::Report;
pub(crate) use show::FetchArgs;

/// Publish layers, look at them, share and delete them
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(after_help = "\
Examples:
  slashopt registry publish deps deps.zip --compatible-runtimes python3.13
  slashopt registry versions deps
  slashopt registry get deps:1 --output deps.zip
  slashopt registry permission add deps:1 --statement-id everybody --principal '*'
  slashopt registry serve")]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    Publish(publish::PublishArgs),
    Layers(show::LayersArgs),
    Versions(show::VersionsArgs),
    Get(show::GetArgs),
    // The program runs itself by this command, which is parsed apart, so that no help, manual or completion names it.
    #[command(skip)]
    Fetch(FetchArgs),
    Delete(show::DeleteArgs),
    Permission(permission::PermissionArgs),
    Gc(garbage::GcArgs),
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
}

impl RegistryArgs {
    /// The arguments of the command by which the program runs itself.
    pub(crate) const fn fetch(arguments: FetchArgs) -> Self {
        Self {
            command: RegistryCommand::Fetch(arguments),
        }
    }

    /// What a failure of the command is about.
    pub(crate) const fn cannot(&self) -> &'static str {
        match &self.command {
            RegistryCommand::Publish(_) => "cannot publish",
            RegistryCommand::Layers(_) => "cannot list the layers",
            RegistryCommand::Versions(_) => "cannot list the versions",
            RegistryCommand::Get(_) | RegistryCommand::Fetch(_) => "cannot get it",
            RegistryCommand::Delete(_) => "cannot delete it",
            RegistryCommand::Permission(arguments) => arguments.cannot(),
            RegistryCommand::Gc(_) => "cannot collect garbage",
            #[cfg(feature = "serve")]
            RegistryCommand::Serve(_) => "cannot serve",
        }
    }
}

pub(crate) fn run(arguments: &RegistryArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    match &arguments.command {
        RegistryCommand::Publish(arguments) => publish::run(arguments, global, report),
        RegistryCommand::Layers(arguments) => show::layers(arguments, global, report),
        RegistryCommand::Versions(arguments) => show::versions(arguments, global, report),
        RegistryCommand::Get(arguments) => show::get(arguments, global, report),
        RegistryCommand::Fetch(arguments) => show::fetch(arguments, global, report),
        RegistryCommand::Delete(arguments) => show::delete(arguments, global, report),
        RegistryCommand::Permission(arguments) => permission::run(arguments, global, report),
        RegistryCommand::Gc(arguments) => garbage::run(arguments, global, report),
        #[cfg(feature = "serve")]
        RegistryCommand::Serve(arguments) => serve::run(arguments, global, report),
    }
}
