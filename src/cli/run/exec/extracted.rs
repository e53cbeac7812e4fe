//! The layers as a tree on disk, for a command that nothing can be mounted for: built once, and found again by the next start.

use std::path::{Path, PathBuf};

use slashopt::collisions::SameBytes;
use slashopt::host::error::{Abandoned, HostError, Unsuitable};
use slashopt::host::extract::destination::{Destination, Found, Replace};
use slashopt::host::extract::extraction::{Extraction, Progress, read_umask};
use slashopt::host::extract::stamp::Sources;
use slashopt::host::system::budget::Budget;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::child::in_child;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::merge::MergedTree;
use slashopt::plan::{ExtractPlan, OnCollision};
use slashopt::summary::Summary;

use super::args::WHAT;
use crate::cli::build::extract::content_digest;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::load::classify;
use crate::cli::layers::warnings::{tree_warnings, waived};
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

/// What the child says when the root is there.
const DONE: u8 = b'+';

/// Makes the layers' root appear at a place that is empty, ours, or not there yet. Threads do it, so a child process does it.
pub(crate) fn extract(
    layers: &LayerArgs,
    stack: &StackArgs,
    at: &Path,
    report: &Report,
) -> Result<(), Failure> {
    let cache = CacheFolder::new(stack.cache_dir.as_deref(), |name| std::env::var_os(name));
    // The same flags judge the same files in the same way.
    let sources = Sources::look(layers.inputs(stack, WHAT)?, &format!("{stack:?}"));
    if sources
        .as_ref()
        .is_some_and(|sources| sources.made(at, &cache))
    {
        return Ok(());
    }
    let told = in_child(
        |interrupt| match build(layers, stack, at, interrupt, report) {
            Ok(()) => vec![DONE],
            Err(failure) => to_bytes(&failure),
        },
    );
    let died = |why: &str| {
        let message = format!("{WHAT}: the layers could not be extracted: {why}");
        Failure::new(Exit::NotStarted, message)
    };
    match told {
        Ok(told) => match (told.death, told.bytes.as_slice()) {
            (Some(death), _) => Err(died(&format!("the process that does it: {death}"))),
            (None, [DONE]) => {
                if let Some(sources) = sources {
                    sources.remember(at, &cache);
                }
                // It came too late for the child.
                told.signal.map_or(Ok(()), |signal| {
                    Err(Failure::host(WHAT, HostError::Interrupted(signal)))
                })
            }
            (None, failure) => Err(from_bytes(failure)),
        },
        Err(error) => Err(died(error.desc())),
    }
}

fn build(
    layers: &LayerArgs,
    stack: &StackArgs,
    at: &Path,
    interrupt: &Interrupt,
    report: &Report,
) -> Result<(), Failure> {
    let host = |error| Failure::host(WHAT, error);
    let umask = read_umask();
    let pool = stack.pool()?;
    let budget = Budget::default();
    let loaded = stack.load(layers, WHAT, &pool, &budget, report)?;
    let on_type_conflict = stack.on_type_conflict();
    let content = content_digest(&loaded, on_type_conflict, stack.strictness());
    let cache = CacheFolder::new(stack.cache_dir.as_deref(), |name| std::env::var_os(name));
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from);
    let destination = Destination::examine(at, home.as_deref(), Replace::Nothing, &content, cache)
        .map_err(unsuitable)?;
    if destination.found == Found::Wanted {
        for left in destination.reclaim() {
            report.warning(&left);
        }
        return Ok(());
    }
    let linked = on_type_conflict.linked_directory();
    let tree = MergedTree::merge(&loaded.stack, linked, &loaded.hasher);
    let on_collision = stack.on_collision();
    let means = match on_collision {
        OnCollision::Error => SameBytes::ByComparison,
        _ => SameBytes::ByChecksum,
    };
    let collisions = classify(&loaded, &tree, means, &pool, &budget, WHAT)?;
    let plan = ExtractPlan::new(&tree);
    let summary = Summary::of(&tree, &plan, &collisions);
    summary
        .judge(on_collision, on_type_conflict)
        .map_err(|violation| Failure::policy(WHAT, &violation))?;
    let mut warnings = tree_warnings(&summary, on_collision);
    let extraction = Extraction {
        loaded: &loaded,
        tree: &tree,
        plan: &plan,
        pool: &pool,
        budget: &budget,
        interrupt,
        umask,
        is_durable: false,
    };
    let extracted = extraction
        .run(&destination, content, &Progress::default())
        .map_err(|Abandoned { error, left_behind }| {
            for left in &left_behind {
                report.warning(left);
            }
            host(error)
        })?;
    let layers = loaded.stack.len();
    let waived = extracted
        .admitted
        .iter()
        .map(|(layer, refusal)| format!("layer {layer} of {layers}: {}", waived(refusal)));
    warnings.extend(waived);
    warnings.extend(extracted.left_behind);
    for warning in &warnings {
        report.warning(warning);
    }
    Ok(())
}

/// Why the layers cannot be extracted at a place: nothing is ever replaced by `exec`.
fn unsuitable(error: HostError) -> Failure {
    let is_taken = matches!(
        error,
        HostError::Destination {
            reason: Unsuitable::NotOurs | Unsuitable::OtherRoot,
            ..
        }
    );
    let failure = Failure::host(WHAT, error);
    if is_taken {
        failure.hint("empty it, or name another directory with --at DIR")
    } else {
        failure
    }
}

/// A failure for the process that asked: signal, whether a layer is refused, message, hint.
fn to_bytes(failure: &Failure) -> Vec<u8> {
    let signal = failure.signal.unwrap_or(0).to_string();
    let refused = u8::from(failure.exit == Exit::Refused).to_string();
    let hint = failure.hint.clone().unwrap_or_default();
    [signal, refused, failure.message.clone(), hint]
        .join("\0")
        .into_bytes()
}

fn from_bytes(bytes: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let signal = parts.next().and_then(|signal| signal.parse().ok());
    let exit = if parts.next() == Some("1") {
        Exit::Refused
    } else {
        Exit::NotStarted
    };
    let mut failure = Failure::new(exit, parts.next().unwrap_or_default());
    failure.signal = signal.filter(|&signal| signal != 0);
    failure.hint = parts
        .next()
        .filter(|hint| !hint.is_empty())
        .map(str::to_owned);
    failure
}
