//! The digest of a layer: of an archive's bytes, or of everything that a directory holds.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::entry::Reader;
use super::listing::load_directory;
use super::stack::LoadedStack;
use crate::digest::Digest;
use crate::entry::Kind;
use crate::host::error::{HostError, LayerLabel};
use crate::host::read::stack::OpenLayer;
use crate::host::system::budget::Budget;
use crate::host::system::checksum::crc32;
use crate::host::system::interrupt::Interrupt;
use crate::layer::{LayerId, NameHasher};
use crate::merge::MergedTree;
use crate::plan::Limits;

/// Bytes that are hashed at once.
const PIECE_BYTES: usize = 1 << 20;
/// The first bytes of what is hashed of a directory. Other rules get another number.
const DIRECTORY: &[u8] = b"slashopt directory 1";

/// The digest of a layer that is open; `path` is where it is.
pub(super) fn digest_of(
    file: &File,
    path: &Path,
    place: &LayerLabel,
    limits: Limits,
    budget: &Budget,
    interrupt: &Interrupt,
) -> Result<Digest, HostError> {
    if !is_directory(file) {
        return hash_file(file, place, interrupt);
    }
    let hasher = NameHasher::new();
    let listed = load_directory(path, place, limits, &hasher)?;
    let stack = LoadedStack::of_directory((listed.layer, listed.fingerprint), file, place, hasher)?;
    let (digest, _) = hash_directory(&stack, LayerId(0), budget, interrupt)?;
    Ok(digest)
}

pub(in crate::host) fn is_directory(file: &File) -> bool {
    file.metadata().is_ok_and(|about| about.is_dir())
}

/// The SHA-256 of a file.
pub(in crate::host) fn hash_file(
    file: &File,
    place: &LayerLabel,
    interrupt: &Interrupt,
) -> Result<Digest, HostError> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        interrupt.check()?;
        match file.read_at(&mut piece, at) {
            Ok(0) => return Ok(Digest(hash.finalize().into())),
            Ok(count) => {
                hash.update(piece.get(..count).unwrap_or_default());
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(place.failed("read the layer", error)),
        }
    }
}

impl LoadedStack {
    /// The digest of a layer, read from what was judged; `None` for a tree in the cache, which is known by nothing else.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a signal came.
    pub fn digest(
        &self,
        layer: LayerId,
        budget: &Budget,
        interrupt: &Interrupt,
    ) -> Result<Option<Digest>, HostError> {
        match self.open(layer) {
            OpenLayer::Archive { file, .. } => {
                hash_file(file, self.label(layer), interrupt).map(Some)
            }
            OpenLayer::Directory(_) => {
                hash_directory(self, layer, budget, interrupt).map(|(digest, _)| Some(digest))
            }
            OpenLayer::Tree(_) => Ok(None),
        }
    }
}

/// The digest of all that a directory holds, sorted by name, with kind, mode, time and bytes; and the checksums of its files
/// by path.
pub(in crate::host) fn hash_directory(
    loaded: &LoadedStack,
    layer: LayerId,
    budget: &Budget,
    interrupt: &Interrupt,
) -> Result<(Digest, HashMap<Vec<u8>, u32>), HostError> {
    let tree = MergedTree::of_layer(&loaded.stack, layer);
    let mut nodes = Vec::new();
    tree.walk(|path, node| nodes.push((path.as_bytes().to_vec(), node)));
    let sums: Vec<Result<(Digest, u32), HostError>> = nodes
        .par_iter()
        .map_init(
            || Reader::new(budget),
            |reader, (_, node)| {
                let (mut hash, mut crc) = (Sha256::new(), 0);
                interrupt.check()?;
                if tree.kind(*node) == Kind::File {
                    reader.read(loaded, tree.provider(*node), |bytes| {
                        hash.update(bytes);
                        crc = crc32(crc, bytes);
                        Ok(())
                    })?;
                }
                Ok((Digest(hash.finalize().into()), crc))
            },
        )
        .collect();
    let mut hash = Sha256::new_with_prefix(DIRECTORY);
    let mut checksums = HashMap::new();
    for ((path, node), sums) in nodes.into_iter().zip(sums) {
        let (digest, crc) = sums?;
        let object = tree.object(node);
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(&path);
        hash.update(object.kind.to_string());
        hash.update(object.mode.bits().to_le_bytes());
        hash.update(object.modified.0.to_le_bytes());
        hash.update(object.size.to_le_bytes());
        hash.update(match object.kind {
            Kind::Symlink => tree.target_of(tree.provider(node)).unwrap_or_default(),
            Kind::Directory | Kind::File => &digest.0,
        });
        if object.kind == Kind::File {
            checksums.insert(path, crc);
        }
    }
    Ok((Digest(hash.finalize().into()), checksums))
}
