//! Reads chosen files of a stack on all threads, so that something can be made of their content without extracting it.

use rayon::prelude::*;

use super::HostError;
use super::budget::Budget;
use super::content::Reader;
use super::source::LoadedStack;
use crate::merge::Origin;

/// What is looked at of a file that does not fit the budget.
const HEAD_BYTES: usize = 1 << 20;

/// The content of a file as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// All of it, or its first bytes.
    pub bytes: &'a [u8],
    /// Whether that is all.
    pub is_whole: bool,
}

/// Hands every one of these files, read and verified, to `look`, and gives what it made of them in the order of `origins`.
/// A file too large for the budget is verified whole and handed over as its first bytes.
///
/// # Errors
///
/// Of several files that cannot be read the first one, by layer and entry.
pub fn inspect<T: Send>(
    loaded: &LoadedStack,
    origins: &[Origin],
    budget: &Budget,
    look: impl Fn(Origin, Content<'_>) -> T + Sync,
) -> Result<Vec<T>, HostError> {
    let outcomes: Vec<Result<T, HostError>> = origins
        .par_iter()
        .map_init(
            || Reader::new(budget),
            |reader, &origin| look_at(loaded, origin, budget, reader, &look),
        )
        .collect();
    let mut seen = Vec::with_capacity(outcomes.len());
    let mut failed: Option<HostError> = None;
    for outcome in outcomes {
        match outcome {
            Ok(made) => seen.push(made),
            Err(error) => {
                failed = Some(match failed {
                    Some(first) => first.first(error),
                    None => error,
                });
            }
        }
    }
    failed.map_or(Ok(seen), Err)
}

fn look_at<T>(
    loaded: &LoadedStack,
    origin: Origin,
    budget: &Budget,
    reader: &mut Reader<'_>,
    look: &impl Fn(Origin, Content<'_>) -> T,
) -> Result<T, HostError> {
    let size = loaded
        .stack
        .get(origin.layer)
        .map_or(0, |layer| layer.object(origin.node).size);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut made = None;
    let mut gathered = Vec::new();
    let mut grant = None;
    reader.read(loaded, origin, |piece| {
        if piece.len() == size {
            let content = Content {
                bytes: piece,
                is_whole: true,
            };
            made = Some(look(origin, content));
        } else {
            if gathered.is_empty() {
                grant = budget.take(size);
            }
            let most = if grant.is_some() { size } else { HEAD_BYTES };
            let wanted = piece.len().min(most - gathered.len().min(most));
            gathered.extend_from_slice(piece.get(..wanted).unwrap_or_default());
        }
        Ok(())
    })?;
    // Only a file that came in pieces, or an empty one of which none came, is not looked at yet.
    Ok(made.unwrap_or_else(|| {
        let content = Content {
            bytes: &gathered,
            is_whole: gathered.len() == size,
        };
        look(origin, content)
    }))
}
