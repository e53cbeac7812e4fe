//! `report`: one page for people who would rather look than read. It needs no network: style, script and data are in it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use slashopt::check::{Configuration, Finding, RuleLevels};
use slashopt::collisions::{Class, Collision, Collisions, SameBytes};
use slashopt::entry::Kind;
use slashopt::environment::implied_runtimes;
use slashopt::host::check::{JudgedStack, judge, read_everything};
use slashopt::host::error::Abandoned;
use slashopt::host::extract::extraction::read_umask;
use slashopt::host::pack::output::Output;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::layer::LayerId;
use slashopt::merge::{MergedTree, NodeId};
use slashopt::packages::{Cures, PackageSet, Packages, SetState};
use slashopt::path::Escaped;
use slashopt::quota::MAX_UNZIPPED_BYTES;

use crate::cli::args::architecture::ArchitectureArgs;
use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::load::classify;
use crate::cli::output::failure::{Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::report::Report;

/// The page, with places for its three parts.
const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Write one page that shows the stack, the root, packages, collisions and findings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt report base.zip deps.zip --runtime python3.13 --output report.html
  slashopt report base.zip deps.zip --output - >report.html")]
pub(crate) struct HtmlReportArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Write the page here; - for standard output
    #[arg(short, long, value_name = "HTML")]
    output: OsString,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) fn run(arguments: &HtmlReportArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let given = arguments.layers.resolve(&arguments.stack)?;
    let named = given.runtime(arguments.runtime.asked(), report)?;
    let architecture = given.architecture(arguments.architecture.asked(), report);
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments.stack.load(&given, &pool, &budget, report)?;
    let tree = MergedTree::merge(
        &loaded.stack,
        arguments.stack.on_type_conflict().linked_directory(),
    );
    let runtime = named.or_else(|| match implied_runtimes(&tree).as_slice() {
        &[only] => Some(only),
        _ => None,
    });
    let contents = pool
        .install(|| read_everything(&loaded, &budget))
        .map_err(Failure::host)?;
    let quotas = arguments.stack.exceeded_quotas(&loaded);
    let configuration = Configuration {
        runtime,
        architecture,
        variables: &[],
    };
    let JudgedStack {
        outcome, packages, ..
    } = judge(
        &tree,
        &contents,
        configuration,
        &quotas,
        &RuleLevels::default(),
    );
    let means = SameBytes::ByComparison;
    let collisions = classify(&loaded, &tree, means, &pool, &budget)?;
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "quota": MAX_UNZIPPED_BYTES,
        "layers": layers(&loaded, &tree),
        "files": files(&tree),
        "tree": directory(&tree, NodeId::ROOT),
        "collisions": collided(&tree, &collisions),
        "runtime": runtime.map(|runtime| runtime.identifier),
        "architecture": architecture.to_string(),
        "packages": inventory(&loaded, &packages),
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
    });
    let page = page(&data);
    if arguments.output == "-" {
        report.result(page.as_bytes())?;
    } else {
        write(Path::new(&arguments.output), &page)
            .map_err(|abandoned| report.abandoned(abandoned))?;
        report.note(&format!(
            "wrote `{}`: open it in a browser",
            Escaped(arguments.output.as_bytes())
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, page: &str) -> Result<(), Abandoned> {
    Output::examine(path)?.write(page.as_bytes(), read_umask())
}

/// The page with its parts in their places.
fn page(data: &Value) -> String {
    // A script ends at the first `</`, whatever it means to its own language; JSON may escape any character.
    let data = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("{{style}}", STYLE),
        ("{{data}}", &data),
        ("{{script}}", SCRIPT),
    ];
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = PAGE;
    for (place, part) in parts {
        // Each stands in the page once, in this order, so nothing in a part is taken for a place.
        let Some((before, after)) = rest.split_once(place) else {
            continue;
        };
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page.push_str(rest);
    page
}

/// The layers, with how much of each a reader of the root sees.
fn layers(loaded: &LoadedStack, tree: &MergedTree<'_>) -> Value {
    let mut visible = vec![0_u64; loaded.stack.len()];
    tree.walk(|_, id| {
        if let Some(sum) = visible.get_mut(usize::from(tree.provider(id).layer.0)) {
            *sum += tree.object(id).size;
        }
    });
    let layers = loaded.stack.in_merge_order().zip(visible);
    layers
        .map(|((_, layer), visible)| {
            json!({
                "source": layer.source,
                "code": layer.code_bytes,
                "unzipped": layer.unzipped_bytes,
                "visible": visible,
                "entries": layer.entries(),
            })
        })
        .collect()
}

fn files(tree: &MergedTree<'_>) -> usize {
    let mut files = 0;
    tree.walk(|_, id| files += usize::from(tree.kind(id) != Kind::Directory));
    files
}

/// The children of a directory: `[name, children]`, or `[name, size, layer]`.
fn directory(tree: &MergedTree<'_>, id: NodeId) -> Value {
    let children = tree.sorted_children(id).into_iter().map(|child| {
        let name = Escaped(tree.name(child)).to_string();
        if tree.kind(child) == Kind::Directory {
            json!([name, directory(tree, child)])
        } else {
            json!([
                name,
                tree.object(child).size,
                tree.provider(child).layer.number()
            ])
        }
    });
    children.collect()
}

fn collided(tree: &MergedTree<'_>, collisions: &Collisions) -> Value {
    let row = |collision: &Collision| {
        let shadowed = collision.shadowed.iter().map(|origin| origin.layer);
        json!({
            "path": collision.path.to_string(),
            "class": collision.class.to_string(),
            "winner": collision.winner.layer.number(),
            "shadowed": shadowed.map(LayerId::number).collect::<Vec<_>>(),
            "size": tree.object_of(collision.winner).size,
        })
    };
    // What nobody expects first.
    let mut worst_first: Vec<&Collision> = collisions.all.iter().collect();
    worst_first.sort_by_key(|collision| match collision.class {
        Class::Type => 0,
        Class::Content => 1,
        Class::Mode => 2,
        Class::Identical => 3,
    });
    worst_first.into_iter().map(row).collect()
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule,
        "severity": finding.severity.to_string(),
        "layer": finding.layer.map(LayerId::number),
        "path": finding.path.as_ref().map(ToString::to_string),
        "message": finding.message,
        "help": finding.help,
    })
}

/// Every package, with what becomes of it in one word.
fn inventory(loaded: &LoadedStack, packages: &Packages) -> Value {
    let cures = Cures::new(packages, &loaded.stack);
    let mut rows = Vec::with_capacity(packages.all.len());
    // What is there several times first, the gravest before all.
    let mut sets: Vec<&PackageSet> = packages.sets.iter().collect();
    sets.sort_by_key(|set| std::cmp::Reverse((set.is_contested(), set.state)));
    for set in sets {
        let cure = cures.of(set).map(|cure| cure.to_string());
        for &id in &set.members {
            let package = packages.package(id);
            let found = match (package.position, set.winner == Some(id), set.state) {
                (None, ..) => "not searched",
                (_, false, _) => "shadowed",
                (.., SetState::Mixed) => "mixed",
                (.., SetState::Parallel) => "one of several",
                (.., SetState::Clean) => "yes",
            };
            rows.push(json!({
                "ecosystem": package.ecosystem.to_string(),
                "name": package.display_name,
                "version": package.version,
                "layer": package.layer.number(),
                "files": package.files.len(),
                "size": package.bytes,
                "found": found,
                "cure": cure.clone().filter(|_| set.winner == Some(id)),
            }));
        }
    }
    rows.into()
}
