//! `diff`: what changed between two layers, or two stacks.

mod compared;
mod text;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rayon::ThreadPool;
use serde_json::{Map, Value, json};

use slashopt::diff::{
    Difference, Happened, PackageChange, Sides, Times, TreeDiff, package_changes, pairs_to_compare,
};
use slashopt::host::read::compare::{self, same_bytes};
use slashopt::host::read::inspect::package_facts;
use slashopt::host::system::budget::Budget;
use slashopt::merge::{MergedTree, NodeId};
use slashopt::packages::{Package, PackageId, Packages};

use crate::cli::explain::diff::compared::{Compared, Side};
use crate::cli::layers::LayersRegistry;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json as shape;
use crate::cli::output::json::version_json;
use crate::cli::output::report::Report;
use crate::cli::output::words::Listing;

/// Show what changed between two layers, or two stacks of layers
///
/// Packages come first, then the files that no change of version explains. The exit status is 1 if anything differs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt diff deps-1.zip deps-2.zip
  slashopt diff --left base.zip deps-1.zip --right base.zip deps-2.zip
  slashopt diff --left-locked old.lock --right-locked layers.lock
  slashopt diff deps-1.zip deps-2.zip --all --times
  slashopt diff deps-1.zip deps-2.zip --format json")]
pub(crate) struct DiffArgs {
    /// The older layer: a zip file, a directory, or - for a zip on standard input
    #[arg(
        value_name = "A",
        required_unless_present = "the_left",
        conflicts_with = "the_left",
        requires = "newer"
    )]
    older: Option<OsString>,
    /// The newer layer
    #[arg(value_name = "B")]
    newer: Option<OsString>,
    /// The layers of the older stack, in merge order
    #[arg(long, value_name = "LAYER", num_args = 1.., group = "the_left", requires = "the_right")]
    left: Vec<OsString>,
    /// The layers of the newer stack, in merge order
    #[arg(long, value_name = "LAYER", num_args = 1.., group = "the_right", requires = "the_left")]
    right: Vec<OsString>,
    /// The older stack: the layers that this lock file names
    #[arg(long, value_name = "FILE", group = "the_left", requires = "the_right")]
    left_locked: Option<PathBuf>,
    /// The newer stack: the layers that this lock file names
    #[arg(long, value_name = "FILE", group = "the_right", requires = "the_left")]
    right_locked: Option<PathBuf>,
    #[command(flatten)]
    registry: LayersRegistry,
    /// Compare the times of files, links and directories, too
    #[arg(long)]
    times: bool,
    /// List every path, also those of packages that changed
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) fn run(arguments: &DiffArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let (left, right) = arguments.sides()?;
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let left = arguments
        .read(&left, &pool, &budget, report)
        .map_err(|failure| failure.at("the left side"))?;
    let right = arguments
        .read(&right, &pool, &budget, report)
        .map_err(|failure| failure.at("the right side"))?;
    let linked = arguments.stack.on_type_conflict().linked_directory();
    let left_tree = MergedTree::merge(&left.loaded.stack, linked);
    let right_tree = MergedTree::merge(&right.loaded.stack, linked);
    let trees = Sides {
        left: &left_tree,
        right: &right_tree,
    };
    let stacks = compare::Sides {
        left: &left.loaded,
        right: &right.loaded,
    };
    let pairs = pairs_to_compare(trees);
    let compared = pool
        .install(|| same_bytes(stacks, &pairs, &budget))
        .map_err(Failure::host)?;
    // A runtime's search order matters to neither: both sides are asked what is there.
    let packages = (
        &Packages::of(&left_tree, &left.facts, None),
        &Packages::of(&right_tree, &right.facts, None),
    );
    let compared = Compared {
        left: &left.loaded,
        right: &right.loaded,
        trees,
        diff: &TreeDiff::of(
            trees,
            &compared,
            if arguments.times {
                Times::Compared
            } else {
                Times::Ignored
            },
        ),
        packages,
        changes: &package_changes(packages.0, packages.1),
        with_times: arguments.times,
    };
    if global.is_json() {
        report.json(&compared.to_json())?;
    } else {
        let text = text::text(compared, Listing::of_flag(arguments.all), report.paint());
        report.result(text.as_bytes())?;
    }
    Ok(if compared.is_same() {
        ExitCode::SUCCESS
    } else {
        Exit::Findings.into()
    })
}

impl DiffArgs {
    /// The layers of both sides.
    fn sides(&self) -> Result<(LayerArgs, LayerArgs), Failure> {
        let side = |one: &Option<OsString>, stack: &[OsString], locked: &Option<PathBuf>| {
            let layers = one.iter().chain(stack).cloned().collect();
            LayerArgs::new(layers, locked.clone(), self.registry.clone())
        };
        let sides = (
            side(&self.older, &self.left, &self.left_locked),
            side(&self.newer, &self.right, &self.right_locked),
        );
        let is_stdin = |layer: &OsString| layer == OsStr::new("-");
        if sides.0.layers.iter().any(is_stdin) && sides.1.layers.iter().any(is_stdin) {
            return Err(Failure::usage("standard input can be read once")
                .hint("give `-` for one layer only"));
        }
        Ok(sides)
    }

    fn read(
        &self,
        layers: &LayerArgs,
        pool: &ThreadPool,
        budget: &Budget,
        report: &Report,
    ) -> Result<Side, Failure> {
        let loaded = self
            .stack
            .load(&layers.resolve(&self.stack)?, pool, budget, report)?;
        let facts = pool
            .install(|| package_facts(&loaded, budget))
            .map_err(Failure::host)?;
        Ok(Side { loaded, facts })
    }
}

impl<'a> Compared<'a> {
    pub(crate) const fn is_same(self) -> bool {
        self.diff.is_empty() && self.changes.is_empty()
    }

    /// The packages to which this happened.
    pub(crate) fn packages_that(
        self,
        happened: Happened,
    ) -> impl Iterator<Item = &'a PackageChange> {
        let changes = self.changes.iter();
        changes.filter(move |change| change.happened() == happened)
    }

    /// The objects to which this happened.
    pub(crate) fn files_that(self, happened: Happened) -> impl Iterator<Item = &'a Difference> {
        let all = self.diff.all.iter();
        all.filter(move |difference| difference.happened() == happened)
    }

    /// What the left and the right side have of a package.
    pub(crate) fn versions(
        self,
        change: &'a PackageChange,
    ) -> (
        impl Iterator<Item = &'a Package>,
        impl Iterator<Item = &'a Package>,
    ) {
        let (before, after) = self.packages;
        let of = |packages: &'a Packages, ids: &'a [PackageId]| {
            ids.iter().map(move |&id| packages.package(id))
        };
        (of(before, &change.left), of(after, &change.right))
    }

    fn to_json(self) -> Value {
        let kinds = [
            ("added", Happened::Added),
            ("removed", Happened::Removed),
            ("changed", Happened::Changed),
        ];
        let by_kind = |of: &dyn Fn(Happened) -> Value| {
            let lists = kinds.map(|(name, happened)| (name.to_owned(), of(happened)));
            Value::Object(lists.into_iter().collect())
        };
        let packages = |happened| {
            let changes = self.packages_that(happened);
            changes.map(|change| self.package_json(change)).collect()
        };
        let files = |happened| {
            let differences = self.files_that(happened);
            differences.map(|one| self.file_json(one)).collect()
        };
        let directories: Vec<Value> = self
            .diff
            .by_top
            .iter()
            .map(|(path, sizes)| {
                let mut top = shape::with_path(path);
                top.insert("left".to_owned(), sizes.left.into());
                top.insert("right".to_owned(), sizes.right.into());
                Value::Object(top)
            })
            .collect();
        json!({
            "schema_version": shape::SCHEMA_VERSION,
            "layers": {
                "left": shape::layers(self.left),
                "right": shape::layers(self.right),
            },
            "packages": by_kind(&packages),
            "files": by_kind(&files),
            "summary": {
                "packages": by_kind(&|happened| self.packages_that(happened).count().into()),
                "files": by_kind(&|happened| self.files_that(happened).count().into()),
                "size": { "left": self.diff.total.left, "right": self.diff.total.right },
                "directories": directories,
            },
        })
    }

    fn package_json(self, change: &'a PackageChange) -> Value {
        let (before, after) = self.versions(change);
        let before: Vec<&Package> = before.collect();
        let after: Vec<&Package> = after.collect();
        let name = after.first().or(before.first());
        json!({
            "ecosystem": change.ecosystem.to_string(),
            "name": name.map(|package| &package.display_name),
            "key": change.name,
            "left": before.into_iter().map(version_json).collect::<Vec<_>>(),
            "right": after.into_iter().map(version_json).collect::<Vec<_>>(),
        })
    }

    fn file_json(self, difference: &Difference) -> Value {
        let mut file = shape::with_path(&difference.path);
        let left = difference
            .left
            .map(|node| self.object_json(self.trees.left, node));
        let right = difference
            .right
            .map(|node| self.object_json(self.trees.right, node));
        match (left, right) {
            (Some(left), Some(right)) => {
                let aspects = difference.aspects.iter();
                let changes = aspects.map(ToString::to_string);
                file.insert("changes".to_owned(), changes.collect());
                file.insert("left".to_owned(), Value::Object(left));
                file.insert("right".to_owned(), Value::Object(right));
            }
            (only, other) => file.extend(only.or(other).unwrap_or_default()),
        }
        Value::Object(file)
    }

    fn object_json(self, tree: &MergedTree<'_>, node: NodeId) -> Map<String, Value> {
        let object = tree.object(node);
        let provider = tree.provider(node);
        let mut map = Map::new();
        map.insert("layer".to_owned(), provider.layer.number().into());
        shape::put_object(&mut map, &object, tree.target_of(provider));
        if self.with_times {
            map.insert("mtime".to_owned(), object.modified.0.into());
        }
        map
    }
}
