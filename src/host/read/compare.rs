//! Compares the bytes of files, on all threads, and reads each as seldom as can be.

use std::collections::HashMap;

use rayon::ThreadPool;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::entry::Reader;
use super::stack::LoadedStack;
use crate::collisions::{Collisions, SameBytes, pairs_to_compare};
use crate::host::error::HostError;
use crate::host::system::budget::Budget;
use crate::merge::{MergedTree, Origin};

/// Fewer pairs are not worth the buffers of two readers; of more, a thread could be left with the large ones.
const FILES_A_READER: usize = 16;

/// Finds and classifies the collisions; what only the bytes can decide is read.
///
/// # Errors
///
/// A file that could not be read, or is not what its archive says.
pub fn classify(
    loaded: &LoadedStack,
    tree: &MergedTree<'_>,
    means: SameBytes,
    pool: &ThreadPool,
    budget: &Budget,
) -> Result<Collisions, HostError> {
    let sides = Sides {
        left: loaded,
        right: loaded,
    };
    let pairs = pairs_to_compare(tree, means);
    let compared = pool.install(|| same_bytes(sides, &pairs, budget))?;
    Ok(Collisions::of(tree, &compared))
}

/// Where two files come from, each in a stack of its own; often both are the same stack.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'l> {
    /// The stack of the first file of a pair.
    pub left: &'l LoadedStack,
    /// The stack of the second.
    pub right: &'l LoadedStack,
}

/// Says of each of these pairs of files, which have one size, whether their bytes are the same. The files that are compared
/// with one another are each inflated once, and verified; a file larger than the budget is read twice at the most.
///
/// # Errors
///
/// Of several files that cannot be read the first one, by layer and entry.
pub fn same_bytes(
    sides: Sides<'_>,
    pairs: &[(Origin, Origin)],
    budget: &Budget,
) -> Result<HashMap<(Origin, Origin), bool>, HostError> {
    let mut sorted = pairs.to_vec();
    // In the order of the bytes on the disk.
    sorted.sort_unstable();
    sorted.dedup();
    let groups: Vec<&[(Origin, Origin)]> = sorted.chunk_by(|one, other| one.0 == other.0).collect();
    let outcomes: Vec<Result<Vec<bool>, HostError>> = groups
        .par_iter()
        .with_min_len(FILES_A_READER)
        .map_init(
            || (Reader::new(budget), Reader::new(budget)),
            |(one, other), group| {
                compare(sides, group, one, other)
                    .map_err(|error| first_failure(sides, group, one, error))
            },
        )
        .collect();
    let mut compared = HashMap::with_capacity(sorted.len());
    for (group, same) in groups.into_iter().zip(HostError::all_or_first(outcomes)?) {
        compared.extend(group.iter().copied().zip(same));
    }
    Ok(compared)
}

/// Compares the first file, which all pairs of the group share, with the second of each.
fn compare(
    sides: Sides<'_>,
    group: &[(Origin, Origin)],
    one: &mut Reader<'_>,
    other: &mut Reader<'_>,
) -> Result<Vec<bool>, HostError> {
    let Some(&(first, _)) = group.first() else {
        return Ok(Vec::new());
    };
    if group.iter().all(|&pair| is_one_file(sides, pair)) {
        return Ok(vec![true; group.len()]);
    }
    let size = sides.left.stack.layer(first.layer).object(first.node).size;
    let mut same = Vec::with_capacity(group.len());
    one.read(sides.left, first, |piece| {
        if piece.len() as u64 == size {
            for &(_, second) in group {
                same.push(has_bytes(sides.right, second, piece, other)?);
            }
        }
        Ok(())
    })?;
    if same.len() == group.len() {
        return Ok(same);
    }
    // It came in pieces, or it is empty: nothing can be held against it but its digest.
    let digest = digest(sides.left, first, one)?;
    group
        .iter()
        .map(|&(_, second)| Ok(self::digest(sides.right, second, other)? == digest))
        .collect()
}

/// Whether both are the same entry of the same archive, which need not be read to be compared.
fn is_one_file(sides: Sides<'_>, (first, second): (Origin, Origin)) -> bool {
    let identity = |loaded: &LoadedStack, origin: Origin| loaded.identity(origin.layer);
    first.node == second.node
        && identity(sides.left, first).is_some()
        && identity(sides.left, first) == identity(sides.right, second)
}

fn has_bytes(
    loaded: &LoadedStack,
    origin: Origin,
    bytes: &[u8],
    reader: &mut Reader<'_>,
) -> Result<bool, HostError> {
    let (mut at, mut is_same) = (0, true);
    reader.read(loaded, origin, |piece| {
        let end = at + piece.len();
        is_same &= bytes.get(at..end) == Some(piece);
        at = end;
        Ok(())
    })?;
    Ok(is_same && at == bytes.len())
}

/// The SHA-256 of a file that a layer brought.
fn digest(
    loaded: &LoadedStack,
    origin: Origin,
    reader: &mut Reader<'_>,
) -> Result<[u8; 32], HostError> {
    let mut hash = Sha256::new();
    reader.read(loaded, origin, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok(hash.finalize().into())
}

/// Of all files of a group that cannot be read the one to report: the order in which they were read must not matter.
fn first_failure(
    sides: Sides<'_>,
    group: &[(Origin, Origin)],
    reader: &mut Reader<'_>,
    error: HostError,
) -> HostError {
    let firsts = group.iter().take(1).map(|&(first, _)| (sides.left, first));
    let seconds = group.iter().map(|&(_, second)| (sides.right, second));
    firsts.chain(seconds).fold(error, |error, (loaded, file)| {
        match reader.read(loaded, file, |_| Ok(())) {
            Ok(()) => error,
            Err(other) => error.first(other),
        }
    })
}
