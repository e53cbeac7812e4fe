//! `list`: the merged tree with its providers, or the packages in it.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use slashopt::entry::Kind;
use slashopt::host::read::inspect::package_facts;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::merge::{MergedTree, NodeId};
use slashopt::packages::Packages;
use slashopt::path::Escaped;

use super::inventory::Inventory;
use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json as shape;
use crate::cli::output::report::Report;
use crate::cli::output::words::legend;

/// List the merged tree, and which layer provides what
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt list base.zip deps.zip
  slashopt list --tree base.zip deps.zip
  slashopt list --format json base.zip deps.zip
  slashopt list --packages --runtime python3.12 base.zip deps.zip
  slashopt list --packages --format cyclonedx base.zip deps.zip >bom.json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Draw the tree instead of listing paths
    #[arg(long, conflicts_with = "packages")]
    tree: bool,
    /// List the packages instead: what each layer brings, and which of several versions is found
    #[arg(long)]
    packages: bool,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) fn run(arguments: &ListArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let is_bill = arguments.packages && global.format.as_deref() == Some("cyclonedx");
    if !is_bill {
        global.only_text_or_json()?;
    }
    let layers = arguments.layers.resolve(&arguments.stack)?;
    let runtime = if arguments.packages {
        layers.runtime(arguments.runtime.asked(), report)?
    } else {
        None
    };
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments.stack.load(&layers, &pool, &budget, report)?;
    let tree = MergedTree::merge(
        &loaded.stack,
        arguments.stack.on_type_conflict().linked_directory(),
    );
    if arguments.packages {
        let facts = pool
            .install(|| package_facts(&loaded, &budget))
            .map_err(Failure::host)?;
        let inventory = Inventory {
            loaded: &loaded,
            packages: &Packages::of(&tree, &facts, runtime),
            runtime,
        };
        if is_bill {
            report.json(&inventory.to_cyclonedx())?;
        } else if global.is_json() {
            report.json(&inventory.to_json())?;
        } else {
            report.result(inventory.to_text().as_bytes())?;
        }
    } else if global.is_json() {
        report.json(&to_json(&tree))?;
    } else {
        let text = if arguments.tree {
            drawing(&loaded, &tree)
        } else {
            lines(&loaded, &tree)
        };
        report.result(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn to_json(tree: &MergedTree<'_>) -> Value {
    let mut nodes = Vec::new();
    tree.walk(|path, id| {
        let object = tree.object(id);
        let mut node = shape::with_path(path);
        shape::put_object(&mut node, &object, tree.target_of(tree.provider(id)));
        node.insert("mtime".to_owned(), object.modified.0.into());
        node.insert("layer".to_owned(), tree.provider(id).layer.number().into());
        if object.kind == Kind::Directory {
            node.insert(
                "layers".to_owned(),
                tree.layers(id)
                    .into_iter()
                    .map(slashopt::layer::LayerId::number)
                    .collect(),
            );
        }
        nodes.push(Value::Object(node));
    });
    json!({ "schema_version": shape::SCHEMA_VERSION, "nodes": nodes })
}

/// The layers behind a node, as in `1,3`.
fn providers(tree: &MergedTree<'_>, id: NodeId) -> String {
    let layers: Vec<String> = tree
        .layers(id)
        .into_iter()
        .map(|layer| layer.number().to_string())
        .collect();
    layers.join(",")
}

fn suffix(tree: &MergedTree<'_>, id: NodeId) -> String {
    match tree.kind(id) {
        Kind::Directory => "/".to_owned(),
        Kind::File => String::new(),
        Kind::Symlink => format!(
            " -> {}",
            Escaped(tree.target_of(tree.provider(id)).unwrap_or_default())
        ),
    }
}

fn lines(loaded: &LoadedStack, tree: &MergedTree<'_>) -> String {
    let mut text = legend(&loaded.stack);
    tree.walk(|path, id| {
        let object = tree.object(id);
        let kind = match object.kind {
            Kind::Directory => 'd',
            Kind::File => '-',
            Kind::Symlink => 'l',
        };
        let _ = writeln!(
            text,
            "{kind} {} {:>11} {} {:>5}  {path}{}",
            object.mode,
            object.size,
            object.modified,
            providers(tree, id),
            suffix(tree, id)
        );
    });
    text
}

fn drawing(loaded: &LoadedStack, tree: &MergedTree<'_>) -> String {
    let mut text = legend(&loaded.stack);
    text.push_str("/opt\n");
    draw(tree, NodeId::ROOT, &mut String::new(), &mut text);
    text
}

fn draw(tree: &MergedTree<'_>, directory: NodeId, indent: &mut String, text: &mut String) {
    let children = tree.sorted_children(directory);
    for (place, &child) in children.iter().enumerate() {
        let is_last = place + 1 == children.len();
        let branch = if is_last { "└── " } else { "├── " };
        let _ = writeln!(
            text,
            "{indent}{branch}{}{}  [{}]",
            Escaped(tree.name(child)),
            suffix(tree, child),
            providers(tree, child)
        );
        let length = indent.len();
        indent.push_str(if is_last { "    " } else { "│   " });
        draw(tree, child, indent, text);
        indent.truncate(length);
    }
}
