//! What a root is made of, in one digest.

use sha2::{Digest as _, Sha256};

use crate::archive::Strictness;
use crate::host::read::stack::LoadedStack;
use crate::merge::LinkedDirectory;

/// The digest of what a root is made of and by which rules: roots of the same digest are the same.
pub fn content_digest(
    loaded: &LoadedStack,
    linked: LinkedDirectory,
    strictness: Strictness,
) -> [u8; 32] {
    let follows = u8::from(linked == LinkedDirectory::Follow);
    let is_lenient = u8::from(strictness == Strictness::Lenient);
    Sha256::new()
        .chain_update(loaded.fingerprint())
        .chain_update([follows, is_lenient])
        .finalize()
        .into()
}
