//! `collisions`: what overrides what, and whether it matters.

mod csv;
pub(crate) mod packages;
mod report;
mod text;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use slashopt::collisions::{Collision, Explanation, SameBytes};
use slashopt::environment::implied_runtimes;
use slashopt::host::read::inspect::facts_of_several;
use slashopt::host::system::budget::Budget;
use slashopt::merge::{MergedTree, Origin};
use slashopt::packages::{Cures, Packages};
use slashopt::plan::{OnCollision, OnTypeConflict};
use slashopt::runtime::Runtime;

use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::explain::collisions::report::CollisionReport;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::load::classify;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json as shape;
use crate::cli::output::report::Report;
use crate::cli::output::words::Listing;
use packages::Contests;

/// Not a doc comment, where the variable would need backticks, which help does not have.
const RUNTIME_HELP: &str = "Find packages in this runtime's search order, such as python3.12 \
    [default: what AWS_EXECUTION_ENV names, else the only one that the layers' folders imply]";

/// Show what overrides what, and whether it matters
///
/// Packages come first, then the files that no package explains. Bytes are compared before something is called identical.
#[derive(Debug, Args)]
#[command(mut_arg("runtime", |argument| argument.help(RUNTIME_HELP)), after_help = "\
Examples:
  slashopt collisions base.zip deps.zip
  slashopt collisions base.zip deps.zip --runtime python3.12 --all
  slashopt collisions base.zip deps.zip --format csv >collisions.csv
  slashopt collisions base.zip deps.zip --on-collision error

--format prints text, json or csv. With --on-collision error the exit status is 1 if anything but identical files collides.")]
pub(crate) struct CollisionsArgs {
    #[command(flatten)]
    layers: LayerArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// List everything instead of the first of each kind
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Text,
    Json,
    Csv,
}

pub(crate) fn run(arguments: &CollisionsArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let format = match global.format.as_deref() {
        None | Some("text") => Format::Text,
        Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some(other) => {
            return Err(Failure::usage(format!("--format: `{other}` is unknown"))
                .hint("this command prints `text`, `json` or `csv`"));
        }
    };
    let layers = arguments.layers.resolve(&arguments.stack)?;
    let named = layers.runtime(arguments.runtime.asked(), report)?;
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments.stack.load(&layers, &pool, &budget, report)?;
    let on_type_conflict = arguments.stack.on_type_conflict();
    let linked = on_type_conflict.linked_directory();
    let tree = MergedTree::merge(&loaded.stack, linked);
    let means = SameBytes::ByComparison;
    // Each has stretches that keep one thread busy.
    let (collisions, facts) = pool.install(|| {
        rayon::join(
            || classify(&loaded, &tree, means, &pool, &budget),
            || (format != Format::Csv).then(|| facts_of_several(&loaded, &budget)),
        )
    });
    let collisions = collisions?;
    let runtime = named.or_else(|| only_implied(&tree));
    let packages = match facts {
        Some(facts) => {
            let (scope, facts) = facts.map_err(Failure::host)?;
            Packages::within(&scope, &tree, &facts, runtime)
        }
        None => Packages::default(),
    };
    let found = CollisionReport {
        loaded: &loaded,
        tree: &tree,
        collisions: &collisions,
        packages: &packages,
        explanation: &Explanation::of(&collisions, &packages),
        cures: &Cures::new(&packages, &loaded.stack),
        runtime,
        is_assumed: named.is_none(),
    };
    match format {
        Format::Text => {
            let text = text::text(found, Listing::of_flag(arguments.all), report.paint());
            report.result(text.as_bytes())?;
        }
        Format::Json => report.json(&to_json(found))?,
        Format::Csv => report.result(&csv::rows(&tree, &collisions))?,
    }
    let counts = &collisions.counts;
    let is_forbidden = arguments.stack.on_collision() == OnCollision::Error
        && counts.that_matter() > 0
        || on_type_conflict == OnTypeConflict::Error && counts.r#type > 0;
    Ok(if is_forbidden {
        Exit::Findings.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// The runtime that the folders speak for, if they speak for one only.
fn only_implied(tree: &MergedTree<'_>) -> Option<&'static Runtime> {
    match implied_runtimes(tree).as_slice() {
        &[runtime] => Some(runtime),
        _ => None,
    }
}

fn to_json(found: CollisionReport<'_>) -> Value {
    let contests = Contests(found);
    let collisions: Vec<Value> = found
        .collisions
        .all
        .iter()
        .map(|collision| collision_json(found.tree, collision))
        .collect();
    json!({
        "schema_version": shape::SCHEMA_VERSION,
        "layers": shape::layers(found.loaded),
        "runtime": found.runtime.map(|runtime| runtime.identifier),
        "runtime_assumed": found.runtime.is_some() && found.is_assumed,
        "collisions": collisions,
        "packages": contests.to_json(),
        "shared_classes": contests.shared_classes_json(),
        "summary": shape::counts(&found.collisions.counts),
    })
}

fn collision_json(tree: &MergedTree<'_>, collision: &Collision) -> Value {
    let mut object = shape::with_path(&collision.path);
    object.insert("class".to_owned(), collision.class.to_string().into());
    object.insert("winner".to_owned(), side_json(tree, collision.winner));
    let shadowed = collision.shadowed.iter();
    object.insert(
        "shadowed".to_owned(),
        shadowed.map(|&loser| side_json(tree, loser)).collect(),
    );
    Value::Object(object)
}

fn side_json(tree: &MergedTree<'_>, origin: Origin) -> Value {
    let mut object = Map::new();
    object.insert("layer".to_owned(), origin.layer.number().into());
    shape::put_object(&mut object, &tree.object_of(origin), tree.target_of(origin));
    Value::Object(object)
}
