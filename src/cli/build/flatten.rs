//! `flatten`: several layers as one reproducible zip.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use slashopt::host::extract::extraction::read_umask;
use slashopt::host::pack::archive::Assembly;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::merge::MergedTree;
use slashopt::plan::{Dropped, ExtractPlan, FlattenPlan, dropped};
use slashopt::quota::{self, QuotaExceeded};
use slashopt::summary::Summary;

use super::archive::{LevelArgs, OutputPlace, Writing};
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::load::classify;
use crate::cli::layers::warnings::{tree_warnings, waived};
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json;
use crate::cli::output::report::Report;
use crate::cli::output::words::{grouped, human_bytes};

/// Merge layers into one reproducible layer zip
#[derive(Debug, Args)]
#[command(after_help = "\
The archive holds what Lambda would put into /opt: the winner of every path, with its mode, time and link target, sorted by
name. Compressed data is verified and taken over as it is. The same layers give the same bytes.

Examples:
  slashopt flatten base.zip deps.zip fixes.zip --output all.zip
  slashopt flatten base.zip ./layer-directory --output - | sha256sum")]
pub(crate) struct FlattenArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Write the zip here, whole or not at all; `-` is standard output
    #[arg(
        short,
        long,
        value_name = "ZIP",
        env = "SLASHOPT_OUTPUT",
        hide_env = true
    )]
    output: PathBuf,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) fn run(arguments: &FlattenArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let umask = read_umask();
    let interrupt = Interrupt::install();
    let place = OutputPlace::parse(&arguments.output, global)?;
    let stack = &arguments.stack;
    let pool = stack.pool()?;
    let budget = Budget::default();
    let layers = arguments.layers.resolve(stack)?;
    let loaded = stack.load_whatever_the_quotas(&layers, &pool, &budget, report)?;
    interrupt.check().map_err(Failure::host)?;

    let (on_type_conflict, on_collision) = (stack.on_type_conflict(), stack.on_collision());
    let linked = on_type_conflict.linked_directory();
    let tree = MergedTree::merge(&loaded.stack, linked);
    let collisions = classify(&loaded, &tree, on_collision.same_bytes(), &pool, &budget)?;
    let summary = Summary::of(&tree, &ExtractPlan::new(&tree), &collisions);
    summary
        .judge(on_collision, on_type_conflict)
        .map_err(|violation| Failure::host(violation.into()))?;
    let plan = FlattenPlan::new(&tree).map_err(|unwritable| {
        Failure::new(Exit::Refused, unwritable.to_string())
            .hint("--on-type-conflict replace does not follow links, which makes such paths")
    })?;
    let mut warnings = tree_warnings(&summary, on_collision);

    let assembly = Assembly {
        loaded: &loaded,
        tree: &tree,
        plan: &plan,
        pool: &pool,
        budget: &budget,
        interrupt: &interrupt,
        level: arguments.level.level(),
    };
    let writing = Writing {
        quota: stack.quota,
        umask,
        report,
        look: &|_| Ok(()),
    };
    let package = writing.write(&assembly, &place, &mut warnings, |(layer, refusal)| {
        let of = loaded.stack.len();
        format!("layer {layer} of {of}: {}", waived(refusal))
    })?;
    for warning in &warnings {
        report.warning(warning);
    }

    let lost = dropped(&tree, &plan);
    // What AWS would have said of the layers one by one.
    let before = quota::judge(&loaded.stack, &loaded.identities(), None);
    let text = package.to_text() + &dropped_text(&loaded, &lost) + &before_text(&before);
    let mut json = package.to_json(&warnings);
    json.insert("layers".to_owned(), json::layers(&loaded));
    json.insert("collisions".to_owned(), json::counts(&collisions.counts));
    json.insert("dropped".to_owned(), dropped_json(&lost));
    if let Some(Value::Object(quota)) = json.get_mut("quota") {
        let sentences: Vec<String> = before.iter().map(ToString::to_string).collect();
        quota.insert("exceeded_before".to_owned(), sentences.into());
    }
    package.tell(report, global, &text, json)?;
    Ok(ExitCode::SUCCESS)
}

fn dropped_text(loaded: &LoadedStack, lost: &[Dropped]) -> String {
    let lines: Vec<String> = lost
        .iter()
        .filter(|lost| lost.files > 0)
        .map(|lost| {
            let noun = if lost.files == 1 { "file" } else { "files" };
            format!(
                "dropped: {}: {} {noun}, {}\n",
                loaded.label(lost.layer),
                grouped(lost.files as u64),
                human_bytes(lost.bytes)
            )
        })
        .collect();
    if lines.is_empty() {
        "dropped: nothing\n".to_owned()
    } else {
        lines.concat()
    }
}

fn before_text(before: &[QuotaExceeded]) -> String {
    let lines: Vec<String> = before
        .iter()
        .map(|exceeded| format!("before: AWS Lambda would have refused the layers: {exceeded}\n"))
        .collect();
    lines.concat()
}

fn dropped_json(lost: &[Dropped]) -> Value {
    lost.iter()
        .map(|lost| {
            json!({ "layer": lost.layer.number(), "files": lost.files, "bytes": lost.bytes })
        })
        .collect()
}
