//! Which architecture is meant.

use clap::Args;

use slashopt::runtime::{Architecture, UnknownArchitecture};

/// Not a doc comment, where the names would need backticks, which help does not have.
const ARCHITECTURE_HELP: &str = "Judge for this architecture: x86_64 or arm64 [default: x86_64]";

/// `--architecture`; a command that means something else by it replaces the help text.
#[derive(Debug, Args)]
pub(crate) struct ArchitectureArgs {
    #[arg(long, value_name = "ARCHITECTURE", help = ARCHITECTURE_HELP, value_parser = parse, env = "SLASHOPT_ARCHITECTURE", hide_env = true)]
    architecture: Option<Architecture>,
}

impl ArchitectureArgs {
    /// What was typed, or is in the variable.
    pub(crate) const fn asked(&self) -> Option<Architecture> {
        self.architecture
    }
}

fn parse(typed: &str) -> Result<Architecture, String> {
    typed
        .parse()
        .map_err(|unknown: UnknownArchitecture| match unknown.suggestion {
            Some(meant) => format!("Lambda has x86_64 and arm64; did you mean {meant}?"),
            None => "Lambda has x86_64 and arm64".to_owned(),
        })
}
