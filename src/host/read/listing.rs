//! A directory as a layer: walked without following links, judged by the rules that archives are judged by.

use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::archive::{BrokenRule, MAX_DIRECTORY_BYTES, Refusal};
use crate::entry::{Kind, Object};
use crate::host::error::{HostError, LayerLabel};
use crate::layer::{Layer, Listing, NameHasher};
use crate::plan::{LimitExceeded, Limits};
use crate::timestamp::Timestamp;

/// What of a directory is part of the layer: asked for each name below it, and whether that is a directory's. What lies in a
/// directory that is not kept is never looked at.
pub type Keep<'k> = &'k (dyn Fn(&[u8], bool) -> bool + Sync);

/// What a directory holds.
pub(in crate::host) struct Listed {
    /// The layer that it makes.
    pub(in crate::host) layer: Layer,
    pub(in crate::host) fingerprint: [u8; 32],
    /// When anything in it, or it itself, was last changed: seconds and nanoseconds since 1970.
    pub(in crate::host) changed: (i64, i64),
}

/// Lists a directory, all of it.
pub(in crate::host) fn load_directory(
    root: &Path,
    place: &LayerLabel,
    limits: Limits,
    hasher: &NameHasher,
) -> Result<Listed, HostError> {
    load_kept(root, place, limits, hasher, &|_, _| true)
}

/// Lists what is kept of a directory.
///
/// The fingerprint is of all names, kinds, modes, sizes, times and changes of state: no content is read.
pub(super) fn load_kept(
    root: &Path,
    place: &LayerLabel,
    limits: Limits,
    hasher: &NameHasher,
    is_kept: Keep<'_>,
) -> Result<Listed, HostError> {
    let own = std::fs::metadata(root).map_err(|error| place.failed("examine the layer", error))?;
    let mut changed = (own.ctime(), own.ctime_nsec());
    let mut listing = Listing::default();
    let mut targets = Vec::new();
    let mut names_bytes = 0;
    let mut fingerprint = Sha256::new().chain_update(b"directory");
    let walk = WalkDir::new(root).min_depth(1).follow_links(false);
    let walk = walk.sort_by_file_name().into_iter().filter_entry(|found| {
        let name = found.path().strip_prefix(root).unwrap_or(found.path());
        is_kept(name.as_os_str().as_bytes(), found.file_type().is_dir())
    });
    for found in walk {
        let failed =
            |at: &Path, error| place.failed_at("examine it", &format!("`{}`", at.display()), error);
        let found = found.map_err(|error| {
            let at = error.path().unwrap_or(root).to_path_buf();
            let cause = error.into_io_error();
            failed(
                &at,
                cause.unwrap_or_else(|| io::Error::other("a loop of links")),
            )
        })?;
        let name = found.path().strip_prefix(root).unwrap_or(found.path());
        let name = name.as_os_str().as_bytes();
        names_bytes += name.len() as u64;
        let entries = listing.len() as u64 + 1;
        if entries > limits.max_entries || names_bytes > MAX_DIRECTORY_BYTES {
            let limit = limits.max_entries;
            return Err(LimitExceeded::Entries { entries, limit }.into());
        }
        let (metadata, target) = examine(&found).map_err(|error| failed(found.path(), error))?;
        let kind = kind(metadata.file_type()).map_err(|what| {
            let index = u32::try_from(listing.len()).unwrap_or(u32::MAX);
            place.refused(Refusal::entry(BrokenRule::SpecialFile(what), index, name))
        })?;
        update(&mut fingerprint, name, &metadata);
        changed = changed.max((metadata.ctime(), metadata.ctime_nsec()));
        let size = match (kind, &target) {
            (Kind::File, _) => metadata.len(),
            (_, Some(target)) => target.len() as u64,
            (_, None) => 0,
        };
        let unix_mode = u16::try_from(metadata.mode() & 0xffff).unwrap_or(0);
        let modified = Timestamp(metadata.mtime());
        let object = Object::new(kind, Some(unix_mode), modified, size, None);
        let index = listing.push(name, object);
        listing.note_mode(index, unix_mode);
        targets.extend(target.map(|target| (index, target)));
    }
    let mut layer = Layer::from_listing(place.source.clone(), listing, hasher)
        .map_err(|refusal| place.refused(refusal))?;
    for (index, target) in targets {
        layer.set_target(index, target.as_bytes().into());
    }
    Ok(Listed {
        layer,
        fingerprint: fingerprint.finalize().into(),
        changed,
    })
}

/// What is known of an object without opening it, and the target of a link.
fn examine(found: &DirEntry) -> io::Result<(Metadata, Option<OsString>)> {
    let metadata = found.metadata()?;
    let target = if metadata.is_symlink() {
        Some(std::fs::read_link(found.path())?.into_os_string())
    } else {
        None
    };
    Ok((metadata, target))
}

fn update(fingerprint: &mut Sha256, name: &[u8], metadata: &Metadata) {
    fingerprint.update((name.len() as u64).to_le_bytes());
    fingerprint.update(name);
    for value in [
        i64::from(metadata.mode()),
        metadata.mtime(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ] {
        fingerprint.update(value.to_le_bytes());
    }
    fingerprint.update(metadata.size().to_le_bytes());
}

/// What a layer may hold of it, or the name of what it may not.
fn kind(kind: FileType) -> Result<Kind, &'static str> {
    if kind.is_file() {
        Ok(Kind::File)
    } else if kind.is_dir() {
        Ok(Kind::Directory)
    } else if kind.is_symlink() {
        Ok(Kind::Symlink)
    } else if kind.is_fifo() {
        Err("FIFO")
    } else if kind.is_socket() {
        Err("socket")
    } else {
        Err("device")
    }
}
