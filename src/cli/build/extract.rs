//! `extract`: merge layers into a directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sha2::{Digest as _, Sha256};

use slashopt::archive::Strictness;
use slashopt::collisions::{Class, Collisions, SameBytes};
use slashopt::host::error::Abandoned;
use slashopt::host::extract::destination::{Destination, Found, Replace};
use slashopt::host::extract::extraction::{Extraction, read_umask};
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::merge::MergedTree;
use slashopt::plan::{ExtractPlan, OnCollision, OnTypeConflict};
use slashopt::summary::Summary;

use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::load::classify;
use crate::cli::layers::warnings::{tree_warnings, waived};
use crate::cli::output::failure::{Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json;
use crate::cli::output::progress::with_progress;
use crate::cli::output::report::Report;
use crate::cli::output::words::grouped;
use crate::cli::output::words::human_bytes;

const WHAT: &str = "cannot extract";

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
    let umask = read_umask();
    let interrupt = Interrupt::install();
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments
        .stack
        .load(&arguments.layers, WHAT, &pool, &budget, report)?;
    let host = |error| Failure::host(WHAT, error);
    interrupt.check().map_err(host)?;

    let on_type_conflict = arguments.stack.on_type_conflict();
    let on_collision = arguments.stack.on_collision();
    let content = content_digest(&loaded, on_type_conflict, arguments.stack.strictness());
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from);
    let cache = CacheFolder::new(arguments.stack.cache_dir.as_deref(), |name| {
        std::env::var_os(name)
    });
    let destination = Destination::examine(
        &arguments.into,
        home.as_deref(),
        arguments.replace(),
        &content,
        cache,
    )
    .map_err(host)?;

    let tree = MergedTree::merge(
        &loaded.stack,
        on_type_conflict.linked_directory(),
        &loaded.hasher,
    );
    let means = if on_collision == OnCollision::Error {
        SameBytes::ByComparison
    } else {
        SameBytes::ByChecksum
    };
    let collisions = classify(&loaded, &tree, means, &pool, &budget, WHAT)?;
    let plan = ExtractPlan::new(&tree);
    let summary = Summary::of(&tree, &plan, &collisions);
    summary
        .judge(on_collision, on_type_conflict)
        .map_err(|violation| Failure::policy(WHAT, &violation))?;
    let mut warnings = tree_warnings(&summary, on_collision);

    let is_changed = destination.found != Found::Wanted;
    if !is_changed && !arguments.dry_run {
        warnings.extend(destination.reclaim());
    }
    if is_changed && !arguments.dry_run {
        let extraction = Extraction {
            loaded: &loaded,
            tree: &tree,
            plan: &plan,
            pool: &pool,
            budget: &budget,
            interrupt: &interrupt,
            umask,
            is_durable: arguments.durable,
        };
        let extracted = with_progress(report.shows_progress(), plan.bytes, |progress| {
            extraction.run(&destination, content, progress)
        })
        .map_err(|Abandoned { error, left_behind }| {
            for left in &left_behind {
                report.warning(left);
            }
            host(error)
        })?;
        warnings.extend(extracted.admitted.iter().map(|(layer, refusal)| {
            format!(
                "layer {layer} of {}: {}",
                loaded.stack.len(),
                waived(refusal)
            )
        }));
        warnings.extend(extracted.left_behind);
    }
    for warning in &warnings {
        report.warning(warning);
    }
    let done = Done {
        arguments,
        destination: &destination,
        loaded: &loaded,
        plan: &plan,
        collisions: &collisions,
        warnings,
        is_changed,
    };
    if global.is_json() {
        report.json(&done.to_json())?;
    } else {
        report.result(done.to_text(started.elapsed()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the root is made of and by which rules: a root that records the same is the same.
pub(crate) fn content_digest(
    loaded: &LoadedStack,
    on_type_conflict: OnTypeConflict,
    strictness: Strictness,
) -> [u8; 32] {
    let follows = u8::from(on_type_conflict == OnTypeConflict::Follow);
    let is_lenient = u8::from(strictness == Strictness::Lenient);
    Sha256::new()
        .chain_update(loaded.fingerprint())
        .chain_update([follows, is_lenient])
        .finalize()
        .into()
}

/// What there is to tell.
struct Done<'d> {
    arguments: &'d ExtractArgs,
    destination: &'d Destination,
    loaded: &'d LoadedStack,
    plan: &'d ExtractPlan,
    collisions: &'d Collisions,
    warnings: Vec<String>,
    is_changed: bool,
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
        let root = self.destination.path().display();
        let mut parts = vec![
            counted(self.loaded.stack.len(), "layer", "layers"),
            counted(self.plan.files.len(), "file", "files"),
        ];
        parts.push(counted(self.plan.directories(), "directory", "directories"));
        if !self.plan.symlinks.is_empty() {
            parts.push(counted(self.plan.symlinks.len(), "link", "links"));
        }
        parts.push(human_bytes(self.plan.bytes));
        let amount = parts.join(", ");
        let text = if !self.is_changed {
            format!("{root}: nothing to do, it is this root already: {amount}\n")
        } else if self.arguments.dry_run {
            format!(
                "{root}: would be built ({}): {amount}\n",
                self.destination.found
            )
        } else {
            format!("{root}: {amount} in {:.2} s\n", elapsed.as_secs_f64())
        };
        let classes = Class::ALL
            .into_iter()
            .rev()
            .map(|class| (class, self.collisions.counts.of(class)))
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
        serde_json::json!({
            "schema_version": json::SCHEMA_VERSION,
            "root": self.destination.path().to_string_lossy(),
            "layers": json::layers(self.loaded),
            "files": self.plan.files.len(),
            "directories": self.plan.directories(),
            "symlinks": self.plan.symlinks.len(),
            "bytes": self.plan.bytes,
            "collisions": json::counts(&self.collisions.counts),
            "warnings": self.warnings,
        })
    }
}
