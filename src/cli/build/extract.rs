//! `extract`: merge layers into a directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use slashopt::collisions::Class;
use slashopt::host::extract::build::{BuiltRoot, RootState, build_root};
use slashopt::host::extract::destination::Replace;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::durability::Durability;
use slashopt::host::system::interrupt::Interrupt;

use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::warnings::root_warnings;
use crate::cli::output::failure::Outcome;
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json;
use crate::cli::output::progress::with_progress;
use crate::cli::output::report::Report;
use crate::cli::output::words::{grouped, human_bytes};

/// Merge layers into a directory, as Lambda does into /opt
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt extract base.zip deps.zip --into /opt
  slashopt extract ./layer-directory newer.zip --into ./opt --replace
  curl -s $URL | slashopt extract - --into /opt --format json")]
pub(crate) struct ExtractArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Build the root here; it appears whole or not at all
    #[arg(long, value_name = "DIR", env = "SLASHOPT_INTO", hide_env = true)]
    into: PathBuf,
    /// Replace a root that slashopt built of other layers; with `=any`, whatever directory is there
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "ours", value_name = "WHAT", env = "SLASHOPT_REPLACE", hide_env = true)]
    replace: Option<ReplaceArg>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Return only when the root would survive a power cut
    #[arg(long, env = "SLASHOPT_DURABLE", hide_env = true)]
    durable: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ReplaceArg {
    Ours,
    Any,
}

impl ExtractArgs {
    const fn replace(&self) -> Replace {
        match self.replace {
            None => Replace::Nothing,
            Some(ReplaceArg::Ours) => Replace::Ours,
            Some(ReplaceArg::Any) => Replace::Any,
        }
    }
}

pub(crate) fn run(arguments: &ExtractArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let started = Instant::now();
    global.only_text_or_json()?;
    let stack = &arguments.stack;
    let workshop = stack.workshop(Interrupt::install())?;
    let layers = arguments.layers.resolve(stack)?;
    let loaded = stack.load(&layers, &workshop.pool, &workshop.budget, report)?;
    let mut request = stack.root_request(&arguments.into);
    request.replace = arguments.replace();
    if arguments.durable {
        request.durability = Durability::Survives;
    }
    request.is_dry_run = arguments.dry_run;
    let built = with_progress(report.shows_progress(), |progress| {
        build_root(&loaded, &request, &workshop, progress)
    })
    .map_err(|abandoned| report.abandoned(abandoned))?;
    let warnings = root_warnings(&built, &loaded, stack.on_collision());
    for warning in &warnings {
        report.warning(warning);
    }
    let done = Done {
        arguments,
        loaded: &loaded,
        built: &built,
        warnings,
    };
    if global.is_json() {
        report.json(&done.to_json())?;
    } else {
        report.result(done.to_text(started.elapsed()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is to tell.
struct Done<'d> {
    arguments: &'d ExtractArgs,
    loaded: &'d LoadedStack,
    built: &'d BuiltRoot,
    warnings: Vec<String>,
}

impl Done<'_> {
    fn to_text(&self, elapsed: Duration) -> String {
        let counted = |count: usize, one: &str, many: &str| {
            format!(
                "{} {}",
                grouped(count as u64),
                if count == 1 { one } else { many }
            )
        };
        let BuiltRoot {
            plan, collisions, ..
        } = self.built;
        let root = self.arguments.into.display();
        let mut parts = vec![
            counted(self.loaded.stack.len(), "layer", "layers"),
            counted(plan.files.len(), "file", "files"),
        ];
        parts.push(counted(plan.directories(), "directory", "directories"));
        if !plan.symlinks.is_empty() {
            parts.push(counted(plan.symlinks.len(), "link", "links"));
        }
        parts.push(human_bytes(plan.bytes));
        let amount = parts.join(", ");
        let text = match self.built.state {
            RootState::Present => {
                format!("{root}: nothing to do, it is this root already: {amount}\n")
            }
            RootState::Planned => {
                format!(
                    "{root}: would be built ({}): {amount}\n",
                    self.built.occupant
                )
            }
            _ => format!("{root}: {amount} in {:.2} s\n", elapsed.as_secs_f64()),
        };
        let classes = Class::ALL
            .into_iter()
            .rev()
            .map(|class| (class, collisions.counts.of(class)))
            .filter(|&(_, count)| count > 0);
        let counts: Vec<String> = classes
            .map(|(class, count)| format!("{} {class}", grouped(count as u64)))
            .collect();
        let counts = if counts.is_empty() {
            "none".to_owned()
        } else {
            counts.join(", ")
        };
        text + &format!("collisions: {counts}\n")
    }

    fn to_json(&self) -> serde_json::Value {
        let BuiltRoot {
            plan, collisions, ..
        } = self.built;
        serde_json::json!({
            "schema_version": json::SCHEMA_VERSION,
            "root": self.arguments.into.to_string_lossy(),
            "layers": json::layers(self.loaded),
            "files": plan.files.len(),
            "directories": plan.directories(),
            "symlinks": plan.symlinks.len(),
            "bytes": plan.bytes,
            "collisions": json::counts(&collisions.counts),
            "warnings": self.warnings,
        })
    }
}
