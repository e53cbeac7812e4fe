//! The parts of the cache on the disk: how each is read, and how a tree is taken away.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::boot::Boot;
use super::open::Cache;
use super::tree_record::{ManifestNode, RootIdentity, TreeKey, TreeRecord, decode_manifest};
use crate::archive::Strictness;
use crate::digest::Digest;
use crate::host::cache::{lock, tree_record};
use crate::host::error::{HostError, LayerLabel};
use crate::host::extract::record::Record;
use crate::host::read::options::LayersByDigest;
use crate::host::system::cache_folder::CacheFolder;
use crate::host::system::remove::remove_tree;
use crate::host::system::root::{examine, list_names, open_directory, uninterrupted};
use crate::host::system::whole_file;
use crate::layer::{Layer, NameHasher};

pub(super) const TREES: &str = "trees";
pub(super) const RECORDS: &str = "records";
pub(super) const MANIFESTS: &str = "manifests";
pub(super) const STACKS: &str = "stacks";
pub(super) const MEMO: &str = "memo";
pub(super) const LOCKS: &str = "locks";
pub(super) const TRASH: &str = "trash";

/// The longest record that is read: nobody writes one of this length.
pub(super) const MOST_RECORD_BYTES: u64 = 64 << 20;
/// The longest manifest: a million entries need a tenth of it.
const MOST_MANIFEST_BYTES: u64 = 2 << 30;

/// What a tree in the cache is worth.
#[derive(Debug)]
pub(super) enum TreeState {
    /// It is whole.
    Whole(TreeRecord),
    /// It was, before the machine started again or somebody copied it.
    Unchecked(TreeRecord),
    /// It is not there, or nothing says what it is.
    Missing,
}

impl Cache {
    /// A directory of the cache: made if need be, where that can be.
    pub(super) fn part(&self, name: &str) -> Result<OwnedFd, Errno> {
        if self.folder.is_writable {
            self.folder.make_below(name)
        } else {
            self.folder.open_below(name)
        }
    }

    /// The same, as a failure that says which.
    pub(super) fn require(&self, name: &str) -> Result<OwnedFd, HostError> {
        self.part(name)
            .map_err(|error| self.failed("open a folder of the cache", name, error))
    }

    pub(super) fn path_of(&self, part: &str, name: &str) -> PathBuf {
        self.folder.path.join(part).join(name)
    }

    pub(super) fn failed(
        &self,
        operation: &'static str,
        at: &str,
        error: impl Into<std::io::Error>,
    ) -> HostError {
        let place = self.folder.path.join(at);
        HostError::io(operation, format!("`{}`", place.display()), error)
    }

    /// The record of a tree, if it has one that can be read.
    pub(super) fn tree_record(&self, key: TreeKey) -> Option<TreeRecord> {
        let folder = self.folder.open_below(RECORDS).ok()?;
        let record = whole_file::read(&folder, &key.name(), MOST_RECORD_BYTES)?;
        TreeRecord::decode(&record).filter(|record| record.key == key)
    }

    /// The objects of a tree, if its manifest is the one that belongs to it.
    pub(super) fn manifest(&self, record: &TreeRecord) -> Option<Vec<ManifestNode>> {
        decode_manifest(&self.read_manifest(record)?)
    }

    fn read_manifest(&self, record: &TreeRecord) -> Option<Vec<u8>> {
        let folder = self.folder.open_below(MANIFESTS).ok()?;
        whole_file::read(&folder, &record.key.name(), MOST_MANIFEST_BYTES)
            .filter(|manifest| record.has_manifest(manifest))
    }

    /// Opens a tree.
    pub(super) fn open_tree(&self, key: TreeKey) -> Result<(OwnedFd, RootIdentity), Errno> {
        let folder = self.folder.open_below(TREES)?;
        let tree = open_directory(&folder, key.name().as_bytes())?;
        let about = fstat(&tree)?;
        Ok((tree, (about.st_dev, about.st_ino)))
    }

    pub(super) fn tree_state(&self, key: TreeKey, now: &Boot) -> TreeState {
        let (Some(record), Ok((_, root))) = (self.tree_record(key), self.open_tree(key)) else {
            return TreeState::Missing;
        };
        if self.read_manifest(&record).is_none() {
            TreeState::Missing
        } else if record.is_durable || (record.root == root && record.boot.is(now)) {
            TreeState::Whole(record)
        } else {
            TreeState::Unchecked(record)
        }
    }

    /// This cache as the only one that may be used.
    pub(super) fn as_folder(&self) -> CacheFolder {
        CacheFolder::new(Some(&self.folder.path), |_| None)
    }

    /// Takes a tree out of the cache: its record first, so that nobody believes what is left. What could not be removed.
    #[must_use = "it names what is left behind"]
    pub(super) fn discard(&self, key: TreeKey) -> Vec<String> {
        self.discard_name(&key.name())
    }

    /// The same of whatever has that name among the trees.
    #[must_use = "it names what is left behind"]
    pub(super) fn discard_name(&self, name: &str) -> Vec<String> {
        let moved = self.part(TRASH).and_then(|trash| {
            for part in [RECORDS, MANIFESTS] {
                let folder = self.part(part)?;
                tolerate_absence(unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir))?;
            }
            let trees = self.part(TREES)?;
            // Another of that name may be in the trash still.
            let unique = match examine(&trees, name.as_bytes())? {
                Some(about) => format!("{name}.{:x}", about.st_ino),
                None => return Ok(()),
            };
            if let Ok(tree) = open_directory(&trees, name.as_bytes()) {
                Record::forget(tree, &self.as_folder());
            }
            match uninterrupted(|| renameat(&trees, name, &trash, unique.as_str())) {
                // It comes from an image: nothing believes it any more, so that it may go piece by piece.
                Err(Errno::EXDEV) => remove_tree(&trees, name.as_bytes()),
                other => tolerate_absence(other),
            }
        });
        match moved {
            Ok(()) => self.empty_trash(),
            Err(error) => vec![format!(
                "`{}` could not be removed ({error})",
                self.path_of(TREES, name).display()
            )],
        }
    }

    /// Removes what is in the trash, and half-written files that nobody is writing any more. What could not be removed.
    #[must_use = "it names what is left behind"]
    pub(super) fn empty_trash(&self) -> Vec<String> {
        let mut left_behind = Vec::new();
        let Ok(trash) = self.folder.open_below(TRASH) else {
            return left_behind;
        };
        for name in list_names(&trash).unwrap_or_default() {
            if let Err(error) = remove_tree(trash.as_fd(), &name) {
                let name = String::from_utf8_lossy(&name);
                let path = self.path_of(TRASH, &name);
                left_behind.push(format!(
                    "`{}` could not be removed ({error}); the next run tries again",
                    path.display()
                ));
            }
        }
        left_behind
    }
}

fn tolerate_absence(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

impl Cache {
    /// Whether the first of these folders that can be used has a layer.
    pub fn holds(folders: &CacheFolder, digest: Digest) -> bool {
        let name = TreeKey::layer(digest).name();
        folders
            .open()
            .and_then(|folder| folder.open_below(TREES).ok())
            .is_some_and(|trees| open_directory(&trees, name.as_bytes()).is_ok())
    }
}

impl LayersByDigest for Cache {
    fn layer(
        &self,
        digest: Digest,
        place: &LayerLabel,
        strictness: Strictness,
        hasher: &NameHasher,
    ) -> Result<(Layer, OwnedFd), HostError> {
        let not_cached = || HostError::NotCached {
            layer: place.clone(),
            cache: self.path().display().to_string(),
        };
        let key = TreeKey::layer(digest);
        let trees = self.part(TREES).map_err(|_| not_cached())?;
        let tree = lock::share_directory(&trees, &key.name())
            .ok()
            .flatten()
            .ok_or_else(not_cached)?;
        let record = self.tree_record(key).ok_or_else(not_cached)?;
        if strictness == Strictness::Strict
            && let Some(waived) = record.waived.first()
        {
            return Err(HostError::NotWaived {
                layer: place.clone(),
                waived: Box::new(waived.clone()),
            });
        }
        let layer = self
            .manifest(&record)
            .and_then(|nodes| tree_record::layer_of(place.source.clone(), &nodes, hasher))
            .ok_or_else(not_cached)?;
        Ok((layer, tree))
    }
}
