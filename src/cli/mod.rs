//! What can be typed, and who carries it out. Everything in this folder belongs to the program, not to the library:
//! all words, all of clap, and every line that is printed.
//!
//! ```text
//! mod ─> registry ─> build ─> { run | explain } ─> layers ─> args ─> output
//! ```
//!
//! A wing names those to its right, and no other.

mod args;
mod build;
#[cfg(feature = "documentation")]
mod documentation;
mod explain;
mod layers;
mod output;
#[cfg(feature = "registry")]
mod registry;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::output::global::GlobalArgs;
use output::report::Report;

/// Put AWS Lambda layers into /opt on any Linux machine
#[derive(Debug, Parser)]
#[command(
    name = "slashopt",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
Examples:
  slashopt extract base.zip deps.zip --into /opt
  slashopt exec base.zip deps.zip --runtime python3.13 -- python3 app.py
  eval \"$(slashopt env base.zip deps.zip --runtime python3.13)\"
  slashopt which /opt/python/urllib3 base.zip deps.zip
  slashopt collisions base.zip deps.zip --runtime python3.13
  slashopt check base.zip deps.zip --runtime python3.13

Every flag that several commands share has a variable: SLASHOPT_THREADS for --threads, and so on; a flag beats it.

Exit status: 0 done, 1 findings, 2 wrong usage, 3 a layer is refused, 4 this machine lacks something or input or output failed, 5 the registry refused or cannot be reached; exec: the command's own, or 125, 126, 127")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

impl Cli {
    /// Whether what the library traces is shown. Without `-v` only a server has something to say this way, and to listen takes
    /// memory that a start can do without.
    fn is_traced(&self) -> bool {
        #[cfg(feature = "registry")]
        if matches!(self.command, Command::Registry(_)) {
            return true;
        }
        self.global.verbose > 0
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Cache(build::cache::CacheArgs),
    Extract(build::extract::ExtractArgs),
    Env(run::env::EnvArgs),
    Exec(Box<run::exec::args::ExecArgs>),
    Flatten(build::flatten::FlattenArgs),
    List(explain::list::ListArgs),
    Lock(build::lock::LockArgs),
    Report(explain::page::HtmlReportArgs),
    Mount(run::mount::MountArgs),
    Probe(run::probe::ProbeArgs),
    Umount(run::mount::UmountArgs),
    Pack(build::pack::PackArgs),
    Which(explain::which::args::WhichArgs),
    Check(explain::check::CheckArgs),
    Collisions(explain::collisions::CollisionsArgs),
    Diff(explain::diff::DiffArgs),
    #[cfg(feature = "registry")]
    Registry(registry::RegistryArgs),
    #[cfg(feature = "documentation")]
    Completions(documentation::CompletionsArgs),
    #[cfg(feature = "documentation")]
    Man(documentation::ManArgs),
}

impl Command {
    /// What a failure of the command is about. Each command says only where and why.
    const fn cannot(&self) -> &'static str {
        match self {
            Self::Cache(arguments) => arguments.cannot(),
            Self::Check(_) => "cannot check the layers",
            Self::Collisions(_) => "cannot compare the layers",
            Self::Diff(_) => "cannot compare",
            Self::Env(_) => "cannot compute the environment",
            Self::Exec(_) => "cannot start the command",
            Self::Extract(_) => "cannot extract",
            Self::Flatten(_) => "cannot flatten",
            Self::List(_) => "cannot list",
            Self::Lock(_) => "cannot lock the layers",
            Self::Mount(_) => "cannot mount",
            Self::Pack(_) => "cannot pack",
            Self::Probe(_) => "cannot probe",
            Self::Report(_) => "cannot make the report",
            Self::Umount(_) => "cannot unmount",
            Self::Which(_) => "cannot look it up",
            #[cfg(feature = "registry")]
            Self::Registry(arguments) => arguments.cannot(),
            #[cfg(feature = "documentation")]
            Self::Completions(_) => "cannot write the completions",
            #[cfg(feature = "documentation")]
            Self::Man(_) => "cannot write the manual",
        }
    }
}

/// A command line that begins with `exec`.
///
/// To describe every command takes longer than to mount layers, so a start that has to be fast describes its own alone. What is
/// not understood so is parsed again, by [`Cli`], which has the words.
#[derive(Debug, Parser)]
struct ExecLine {
    #[command(flatten)]
    arguments: run::exec::args::ExecArgs,
    #[command(flatten)]
    global: GlobalArgs,
}

impl ExecLine {
    /// What these words mean, the program's own name first, if they are understood so.
    fn understood(words: impl IntoIterator<Item = OsString>) -> Option<Cli> {
        let mut words = words.into_iter().skip(1).peekable();
        words.peek().filter(|&word| word == "exec")?;
        let parsed = Self::try_parse_from(words).ok()?;
        Some(Cli {
            command: Command::Exec(Box::new(parsed.arguments)),
            global: parsed.global,
        })
    }
}

/// A command line that asks for the version alone, which takes no description of any command.
#[derive(Debug, Parser)]
#[command(name = "slashopt", version)]
struct VersionLine {}

impl VersionLine {
    /// The parser's answer, if these words ask for it.
    fn answer(words: impl Iterator<Item = OsString>) -> Option<clap::Error> {
        let words: Vec<OsString> = words.take(3).collect();
        let [_, word] = &words[..] else { return None };
        if word != "--version" && word != "-V" {
            return None;
        }
        Self::try_parse_from(words).err()
    }
}

/// The command line by which the program runs itself to fetch a layer.
#[cfg(feature = "registry")]
#[derive(Debug, Parser)]
#[command(name = "slashopt registry fetch-1")]
struct FetchLine {
    #[command(flatten)]
    arguments: registry::FetchArgs,
    #[command(flatten)]
    global: GlobalArgs,
}

#[cfg(feature = "registry")]
impl FetchLine {
    /// What these words mean, if they are such a line.
    fn understood(words: impl Iterator<Item = OsString>) -> Option<Result<Cli, clap::Error>> {
        let words: Vec<OsString> = words.collect();
        let [_, registry, fetch, ..] = &words[..] else {
            return None;
        };
        if registry != "registry" || fetch != layers::store::FETCH {
            return None;
        }
        let parsed = Self::try_parse_from(words.into_iter().skip(2));
        Some(parsed.map(|parsed| Cli {
            command: Command::Registry(registry::RegistryArgs::fetch(parsed.arguments)),
            global: parsed.global,
        }))
    }
}

fn parsed() -> Result<Cli, clap::Error> {
    if let Some(cli) = ExecLine::understood(std::env::args_os()) {
        return Ok(cli);
    }
    #[cfg(feature = "registry")]
    if let Some(parsed) = FetchLine::understood(std::env::args_os()) {
        return parsed;
    }
    VersionLine::answer(std::env::args_os()).map_or_else(Cli::try_parse, Err)
}

/// Parses the command line, runs the command, reports a failure; the process's exit status.
pub(crate) fn main() -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    if cli.is_traced() {
        trace(cli.global.verbose);
    }
    let report = Report::new(&cli.global);
    let cannot = cli.command.cannot();
    let outcome = match cli.command {
        Command::Cache(arguments) => build::cache::run(&arguments, &cli.global, &report),
        Command::Extract(arguments) => build::extract::run(&arguments, &cli.global, &report),
        Command::Env(arguments) => run::env::run(&arguments, &cli.global, &report),
        Command::Exec(arguments) => run::exec::run(&arguments, &cli.global, &report),
        Command::Flatten(arguments) => build::flatten::run(&arguments, &cli.global, &report),
        Command::List(arguments) => explain::list::run(&arguments, &cli.global, &report),
        Command::Lock(arguments) => build::lock::run(&arguments, &cli.global, &report),
        Command::Report(arguments) => explain::page::run(&arguments, &cli.global, &report),
        Command::Mount(arguments) => run::mount::mount(&arguments, &cli.global, &report),
        Command::Probe(arguments) => run::probe::run(&arguments, &cli.global, &report),
        Command::Umount(arguments) => run::mount::unmount(&arguments, &cli.global, &report),
        Command::Pack(arguments) => build::pack::run(&arguments, &cli.global, &report),
        Command::Which(arguments) => explain::which::run(&arguments, &cli.global, &report),
        Command::Check(arguments) => explain::check::run(&arguments, &cli.global, &report),
        Command::Collisions(arguments) => {
            explain::collisions::run(&arguments, &cli.global, &report)
        }
        Command::Diff(arguments) => explain::diff::run(&arguments, &cli.global, &report),
        #[cfg(feature = "registry")]
        Command::Registry(arguments) => registry::run(&arguments, &cli.global, &report),
        #[cfg(feature = "documentation")]
        Command::Completions(arguments) => {
            documentation::completions(&arguments, Cli::command(), &report)
        }
        #[cfg(feature = "documentation")]
        Command::Man(arguments) => documentation::man(&arguments, Cli::command(), &report),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => report.failure(&failure.during(cannot)),
    }
}

/// Prints what the parser has to say: help, the version, or what is wrong with the command line.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && is_exec() {
        // Where a terminal is closed, there is nowhere to say so.
        drop(error.print());
        return run::exec::usage_status();
    }
    error.exit()
}

/// Whether the command line that could not be parsed is one of `exec`.
fn is_exec() -> bool {
    let parsed = Cli::command().ignore_errors(true).try_get_matches();
    parsed.is_ok_and(|matches| matches.subcommand_name() == Some("exec"))
}

/// Sends what the library traces to standard error, with `-v`. What the user must know comes as a value, never this way.
fn trace(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_exec_means_the_same_however_it_is_parsed() {
        for (line, is_understood) in [
            (
                "slashopt exec a.zip b.zip --runtime python3.12 -- python3 -c x",
                true,
            ),
            ("slashopt exec -- env --format json", true),
            (
                "slashopt exec -vq --format json --color never a --at=/x -- true",
                true,
            ),
            (
                "slashopt exec --set A=b --env C=d --user 1:2 --threads 4 a",
                true,
            ),
            (
                "slashopt exec --lenient --no-hooks --max-bytes 1G - --",
                true,
            ),
            ("slashopt -q exec a -- true", false),
            ("slashopt exec --help", false),
            ("slashopt exec --version", false),
            ("slashopt exec --unknown", false),
            ("slashopt exec --user root a", false),
            ("slashopt extract a --into b", false),
            ("slashopt", false),
        ] {
            let words = || line.split(' ').map(OsString::from);
            let one = ExecLine::understood(words());
            assert_eq!(one.is_some(), is_understood, "{line}");
            let Some(one) = one else { continue };
            let other = Cli::try_parse_from(words()).ok();
            assert_eq!(format!("{:?}", Some(one)), format!("{other:?}"), "{line}");
        }
    }
}
