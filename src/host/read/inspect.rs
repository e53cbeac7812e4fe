//! Reads chosen files of a stack on all threads, so that something can be made of their content without extracting it.

use rayon::prelude::*;

use super::entry::Reader;
use super::stack::LoadedStack;
use crate::archive::Refusal;
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::read::stack::OpenLayer;
use crate::host::system::budget::Budget;
use crate::layer::{LayerId, LayerNodeId};
use crate::merge::Origin;
use crate::packages::{self, Facts, Scope};

/// Fewer are not worth a reader's buffers, which cost as much to make as fifty small files to read; more would keep threads waiting
/// for the last one.
const FILES_A_READER: usize = 64;
/// What is looked at of a file that does not fit the budget.
const HEAD_BYTES: usize = 1 << 20;

/// The content of a file as it was read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ObjectContent<'a> {
    /// All of it, or its first bytes.
    pub bytes: &'a [u8],
    /// Whether that is all.
    pub is_whole: bool,
}

/// What was made of files that were read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspected<T> {
    /// What was made of each, in the order in which they were named.
    pub made: Vec<T>,
    /// What `--lenient` waived in reading them.
    pub waived: Vec<(LayerId, Refusal)>,
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
    look: impl Fn(Origin, ObjectContent<'_>) -> T + Sync,
) -> Result<Vec<T>, HostError> {
    Ok(inspect_noting(loaded, origins, budget, look)?.made)
}

/// The same for who wants every entry of the layers verified, and to know what was waived: besides the files it reads the entries
/// of archives that no file of a tree comes from.
///
/// # Errors
///
/// Of all entries that cannot be read the first one, by layer and entry.
pub fn inspect_all<T: Send>(
    loaded: &LoadedStack,
    origins: &[Origin],
    budget: &Budget,
    look: impl Fn(Origin, ObjectContent<'_>) -> T + Sync,
) -> Result<Inspected<T>, HostError> {
    let files = inspect_noting(loaded, origins, budget, look);
    let others = verify_entries_without_file(loaded, budget);
    match (files, others) {
        (Ok(mut files), Ok(mut waived)) => {
            files.waived.append(&mut waived);
            Ok(files)
        }
        (Err(one), Err(other)) => Err(one.first(other)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

fn inspect_noting<T: Send>(
    loaded: &LoadedStack,
    origins: &[Origin],
    budget: &Budget,
    look: impl Fn(Origin, ObjectContent<'_>) -> T + Sync,
) -> Result<Inspected<T>, HostError> {
    let outcomes: Vec<Result<(T, Vec<Refusal>), HostError>> = origins
        .par_iter()
        .with_min_len(FILES_A_READER)
        .map_init(
            || Reader::new(budget),
            |reader, &origin| {
                let made = look_at(loaded, origin, budget, reader, &look)?;
                Ok((made, std::mem::take(&mut reader.waived)))
            },
        )
        .collect();
    let mut made = Vec::with_capacity(outcomes.len());
    let mut waived = Vec::new();
    for ((one, refusals), origin) in HostError::all_or_first(outcomes)?.into_iter().zip(origins) {
        made.push(one);
        waived.extend(refusals.into_iter().map(|refusal| (origin.layer, refusal)));
    }
    Ok(Inspected { made, waived })
}

/// Whether the waivers of an entry were reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waivers {
    /// They were, when the archive was loaded.
    Known,
    /// Not yet.
    New,
}

/// Verifies the entries of archives that no file of a tree comes from: directories, and those whose place a later entry of their
/// name took. What was waived in reading the directories is given; of the others it is known from loading.
fn verify_entries_without_file(
    loaded: &LoadedStack,
    budget: &Budget,
) -> Result<Vec<(LayerId, Refusal)>, HostError> {
    let mut entries = Vec::new();
    for (id, layer) in loaded.stack.in_merge_order() {
        let is_directory = |node: &LayerNodeId| layer.kind(*node) == Kind::Directory;
        let directories = layer.node_ids().filter(is_directory);
        entries
            .extend(directories.filter_map(|node| Some((id, layer.entry_of(node)?, Waivers::New))));
        entries.extend(
            layer
                .unplaced()
                .iter()
                .map(|&entry| (id, entry, Waivers::Known)),
        );
    }
    let outcomes: Vec<Result<Vec<(LayerId, Refusal)>, HostError>> = entries
        .par_iter()
        .with_min_len(FILES_A_READER)
        .map_init(
            || Reader::new(budget),
            |reader, &(id, entry, waivers)| {
                let OpenLayer::Archive { archive, file } = loaded.open(id) else {
                    return Ok(Vec::new());
                };
                reader.read_entry(file, archive, entry, loaded.label(id), |_| Ok(()))?;
                let waived = reader.waived.drain(..).filter(|_| waivers == Waivers::New);
                Ok(waived.map(|refusal| (id, refusal)).collect())
            },
        )
        .collect();
    Ok(HostError::all_or_first(outcomes)?.concat())
}

/// Reads what the files of the layers say of the packages that they belong to.
///
/// # Errors
///
/// As [`inspect`].
pub fn package_facts(loaded: &LoadedStack, budget: &Budget) -> Result<Facts, HostError> {
    facts_of(loaded, &packages::wanted(&loaded.stack), budget)
}

/// The same of the packages that may be there several times, and which these are.
///
/// # Errors
///
/// As [`inspect`].
pub fn facts_of_several(
    loaded: &LoadedStack,
    budget: &Budget,
) -> Result<(Scope, Facts), HostError> {
    let mut scope = Scope::of_several(&loaded.stack);
    let wanted = scope.wanted(&loaded.stack);
    let mut facts = facts_of(loaded, &wanted, budget)?;
    if scope.widen(&loaded.stack, &facts) {
        let mut others = scope.wanted(&loaded.stack);
        others.retain(|file| wanted.binary_search(file).is_err());
        facts.extend(facts_of(loaded, &others, budget)?);
    }
    Ok((scope, facts))
}

/// Reads what these files say of packages.
///
/// # Errors
///
/// As [`inspect`].
pub fn facts_of(
    loaded: &LoadedStack,
    wanted: &[Origin],
    budget: &Budget,
) -> Result<Facts, HostError> {
    let facts = inspect(loaded, wanted, budget, |origin, content| {
        let layer = loaded.stack.layer(origin.layer);
        let fact = packages::read(&layer.path(origin.node), content.bytes)?;
        Some((origin, fact))
    })?;
    Ok(facts.into_iter().flatten().collect())
}

fn look_at<T>(
    loaded: &LoadedStack,
    origin: Origin,
    budget: &Budget,
    reader: &mut Reader<'_>,
    look: &impl Fn(Origin, ObjectContent<'_>) -> T,
) -> Result<T, HostError> {
    let layer = loaded.stack.layer(origin.layer);
    let size = layer.object(origin.node).size;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut made = None;
    let mut gathered = Vec::new();
    let mut grant = None;
    reader.read(loaded, origin, |piece| {
        if piece.len() == size {
            let content = ObjectContent {
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
        let content = ObjectContent {
            bytes: &gathered,
            is_whole: gathered.len() == size,
        };
        look(origin, content)
    }))
}
