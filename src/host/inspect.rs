//! Reads chosen files of a stack on all threads, so that something can be made of their content without extracting it.

use rayon::prelude::*;

use super::HostError;
use super::budget::Budget;
use super::content::Reader;
use super::source::LoadedStack;
use crate::archive::Refusal;
use crate::layer::LayerId;
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

/// What was made of files that were read.
#[derive(Debug)]
pub struct Inspected<T> {
    /// What was made of each, in the order in which they were named.
    pub made: Vec<T>,
    /// What `--lenient` waived in reading them, by layer and entry.
    pub admitted: Vec<(LayerId, Refusal)>,
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
    Ok(inspect_noting(loaded, origins, budget, look)?.made)
}

/// The same, for who wants to know what was waived.
///
/// # Errors
///
/// As [`inspect`].
pub fn inspect_noting<T: Send>(
    loaded: &LoadedStack,
    origins: &[Origin],
    budget: &Budget,
    look: impl Fn(Origin, Content<'_>) -> T + Sync,
) -> Result<Inspected<T>, HostError> {
    let outcomes: Vec<Result<(T, Vec<Refusal>), HostError>> = origins
        .par_iter()
        .map_init(
            || Reader::new(budget),
            |reader, &origin| {
                let made = look_at(loaded, origin, budget, reader, &look)?;
                Ok((made, std::mem::take(&mut reader.admitted)))
            },
        )
        .collect();
    let mut made = Vec::with_capacity(outcomes.len());
    let mut admitted = Vec::new();
    let mut failed: Option<HostError> = None;
    for (outcome, origin) in outcomes.into_iter().zip(origins) {
        match outcome {
            Ok((one, waived)) => {
                made.push(one);
                admitted.extend(waived.into_iter().map(|refusal| (origin.layer, refusal)));
            }
            Err(error) => {
                failed = Some(match failed {
                    Some(first) => first.first(error),
                    None => error,
                });
            }
        }
    }
    admitted.sort_by(|(one, a), (other, b)| (one, &a.entry).cmp(&(other, &b.entry)));
    failed.map_or(Ok(Inspected { made, admitted }), Err)
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
