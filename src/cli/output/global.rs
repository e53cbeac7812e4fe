//! The flags that every command has: all of them are about output.

use clap::{Args, ValueEnum};

use crate::cli::output::failure::Exit;
use crate::cli::output::failure::Failure;

/// Flags that every command knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct GlobalArgs {
    /// Print results as text, as one JSON object, or in a format of the command's own
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "SLASHOPT_FORMAT",
        hide_env = true
    )]
    pub(crate) format: Option<String>,
    /// Colour messages
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", env = "SLASHOPT_COLOR", hide_env = true)]
    pub(crate) color: Color,
    /// Say what is done, step by step (can be repeated)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Hide warnings and progress
    #[arg(short, long, global = true, env = "SLASHOPT_QUIET", hide_env = true)]
    pub(crate) quiet: bool,
}

impl GlobalArgs {
    /// Whether results are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format.as_deref() == Some("json")
    }

    /// Judges `--format` for a command that has no format of its own.
    pub(crate) fn only_text_or_json(&self) -> Result<(), Failure> {
        match self.format.as_deref() {
            None | Some("text" | "json") => Ok(()),
            Some(format) => Err(Failure::whole(
                Exit::Usage,
                format!("cannot print the result: --format: `{format}` is unknown"),
            )
            .hint("this command prints `text` or `json`")),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}
