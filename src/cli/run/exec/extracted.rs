//! The layers as a tree on disk, for a command that nothing can be mounted for: built once, and found again by the next start.

use std::path::Path;

use slashopt::host::error::{Abandoned, ChildFailure, HostError, Unsuitable};
use slashopt::host::extract::build::{RootState, build_root};
use slashopt::host::extract::extraction::Progress;
use slashopt::host::extract::stamp::Sources;
use slashopt::host::system::child::in_child;
use slashopt::host::system::interrupt::Interrupt;

use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::resolved::Layers;
use crate::cli::layers::warnings::root_warnings;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

/// What the child says when the root is there.
const DONE: u8 = b'+';

/// Makes the layers' root appear at a place that is empty, ours, or not there yet. Threads do it, so a child process does it.
pub(crate) fn extract(
    layers: &Layers,
    stack: &StackArgs,
    at: &Path,
    report: &Report,
) -> Result<(), Failure> {
    let cache = stack.cache_folder();
    // The same flags judge the same files in the same way.
    let sources = Sources::look(layers.inputs()?, &format!("{stack:?}"));
    if sources
        .as_ref()
        .is_some_and(|sources| sources.made(at, &cache))
    {
        return Ok(());
    }
    let told = in_child(
        |interrupt| match build(layers, stack, at, interrupt, report) {
            Ok(()) => vec![DONE],
            Err(failure) => failure.into_child().to_bytes(),
        },
    );
    let died = |why: &str| {
        let message = format!("the layers could not be extracted: {why}");
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
                    Err(Failure::host(HostError::Interrupted(signal)))
                })
            }
            (None, bytes) => Err(match ChildFailure::from_bytes(bytes) {
                Some(failure) => Failure::of_child(failure, Exit::NotStarted),
                None => died("the process that does it said nothing"),
            }),
        },
        Err(error) => Err(died(error.desc())),
    }
}

fn build(
    layers: &Layers,
    stack: &StackArgs,
    at: &Path,
    interrupt: &Interrupt,
    report: &Report,
) -> Result<(), Failure> {
    let workshop = stack.workshop(interrupt.clone())?;
    let loaded = stack.load(layers, &workshop.pool, &workshop.budget, report)?;
    let request = stack.root_request(at);
    let built = build_root(&loaded, &request, &workshop, &Progress::default())
        .map_err(|abandoned| unsuitable(abandoned, report))?;
    if built.state == RootState::Present {
        for left in &built.left_behind {
            report.warning(left);
        }
        return Ok(());
    }
    for warning in root_warnings(&built, &loaded, stack.on_collision()) {
        report.warning(&warning);
    }
    Ok(())
}

/// Why the layers cannot be extracted at a place: nothing is ever replaced by `exec`.
fn unsuitable(abandoned: Abandoned, report: &Report) -> Failure {
    let is_taken = matches!(
        abandoned.error,
        HostError::Destination {
            reason: Unsuitable::NotOurs | Unsuitable::OtherRoot,
            ..
        }
    );
    let failure = report.abandoned(abandoned);
    if is_taken {
        failure.hint("empty it, or name another directory with --at DIR")
    } else {
        failure
    }
}
