//! `completions` and `man`: generated from the definitions that the command line itself is parsed by.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::failure::{Exit, Failure, Outcome};
use super::output::report::Report;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt completions bash >/etc/bash_completion.d/slashopt
  slashopt completions zsh >~/.zfunc/_slashopt")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Print the manual page, or write one a command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt man | man -l -
  slashopt man --into /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write slashopt.1 and a page for each command here
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Prints a script that completes the command line of `program`.
pub(crate) fn completions(
    arguments: &CompletionsArgs,
    mut program: Command,
    report: &Report,
) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "slashopt", &mut script);
    report.result(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page of `program`, or writes a page for each of its commands.
pub(crate) fn man(arguments: &ManArgs, program: Command, report: &Report) -> Outcome {
    let failed = |error| Failure::whole(Exit::Machine, format!("cannot write the manual: {error}"));
    if let Some(folder) = &arguments.into {
        clap_mangen::generate_to(program, folder).map_err(failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(program)
        .render(&mut page)
        .map_err(failed)?;
    report.result(&page)?;
    Ok(ExitCode::SUCCESS)
}
