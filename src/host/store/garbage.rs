//! What nothing needs any more: archives of versions that are long deleted, and what killed processes left.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};

use super::blobs::key_of;
use super::error::StoreError;
use super::open::{Store, new_uuid, now};
use super::versions::AT_ONCE;
use crate::digest::Digest;

/// What nobody has written to for so long is not being written.
const WRITING_MILLISECONDS: i64 = 60 * 60 * 1000;
/// Where archives are between being found to be garbage and being removed.
const TRASH: &str = "trash";

/// What becomes of the archives that nothing needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sweep {
    /// They are counted, and nothing is changed.
    CountOnly,
    /// They are removed.
    Remove,
}

/// What was removed, and what was not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Collected {
    /// Archives that nothing needed.
    pub removed: u64,
    /// Bytes of them.
    pub removed_bytes: u64,
    /// Archives that stay.
    pub kept: u64,
    /// Files that somebody was writing who was killed.
    pub half_written: u64,
}

impl Store {
    /// Removes the archives that no version has needed for so long: all of theirs were deleted before `before`, in milliseconds
    /// since 1970, and they were kept before that too.
    ///
    /// Somebody may publish such an archive at the same time. So it is first put aside; then the versions are looked at again,
    /// and what one needs by now is put back. Who publishes looks after the version is there whether the archive still is.
    ///
    /// # Errors
    ///
    /// What the store answers. Nothing is removed before everything was looked at.
    pub async fn collect_garbage(
        &self,
        before: i64,
        sweep: Sweep,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        if sweep == Sweep::Remove {
            self.put_back_all().await?;
        }
        let needed = self.needed(before).await?;
        // Of several who collect at once each removes only what it put aside itself: what another one did was judged by that one.
        let own = new_uuid()?;
        let mut aside = Vec::new();
        for blob in self.objects_in("blobs").await? {
            let digest = digest_of(&blob).filter(|digest| {
                !needed.contains(digest) && blob.last_modified.timestamp_millis() < before
            });
            match digest {
                Some(digest) => aside.push((digest, blob)),
                None => collected.kept += 1,
            }
        }
        let still_needed = if sweep == Sweep::CountOnly || aside.is_empty() {
            HashSet::new()
        } else {
            for (digest, blob) in &aside {
                self.rename(&blob.location, &trash_of(digest, &own)).await?;
            }
            self.needed(before).await?
        };
        for (digest, blob) in aside {
            let trash = trash_of(&digest, &own);
            if still_needed.contains(&digest) {
                self.put_back(&trash, &digest).await?;
                collected.kept += 1;
                continue;
            }
            if sweep == Sweep::Remove {
                let removed = self.objects.delete(&trash).await;
                Self::unless_gone("remove", &trash, removed)?;
            }
            collected.removed += 1;
            collected.removed_bytes += blob.size;
        }
        if let Some(path) = self.location.directory() {
            for left in half_written(path, before.min(now() - WRITING_MILLISECONDS)) {
                if sweep == Sweep::Remove {
                    std::fs::remove_file(&left).map_err(|source| StoreError::Directory {
                        operation: "remove a half-written file",
                        source,
                    })?;
                }
                collected.half_written += 1;
            }
        }
        Ok(collected)
    }

    /// The archives of all versions that are there, or were at `before`.
    async fn needed(&self, before: i64) -> Result<HashSet<Digest>, StoreError> {
        let versions = self.objects_in("layers").await?;
        let versions = versions.into_iter().filter(|object| {
            let parts: Vec<_> = object.location.parts().collect();
            matches!(&parts[..], [.., kind, _] if kind.as_ref() == "versions")
        });
        stream::iter(versions)
            .map(|object| self.needed_by(object.location, before))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|needed| std::future::ready(Ok(needed)))
            .try_collect()
            .await
    }

    async fn needed_by(&self, key: Key, before: i64) -> Result<Option<Digest>, StoreError> {
        let version = self.described(&key).await?;
        let version = version.ok_or_else(|| StoreError::Damaged {
            key: key.to_string(),
        })?;
        let mark = super::versions::folder_of(&version.arn.layer)
            .join("deleted")
            .join(version.arn.version.to_string());
        let since = self.deleted_since(&mark).await?;
        let is_long_gone = since.is_some_and(|since| since < before);
        Ok((!is_long_gone).then_some(version.code_sha256))
    }

    /// Puts back what somebody put aside who was killed.
    async fn put_back_all(&self) -> Result<(), StoreError> {
        for trash in self.objects_in(TRASH).await? {
            if let Some(digest) = digest_of(&trash) {
                self.put_back(&trash.location, &digest).await?;
            }
        }
        Ok(())
    }

    async fn put_back(&self, trash: &Key, digest: &Digest) -> Result<(), StoreError> {
        // Where it was kept again meanwhile, these are the same bytes.
        self.rename(trash, &key_of(digest)).await
    }

    /// Where an archive was put aside, by whomever.
    pub(super) async fn put_aside(&self, digest: &Digest) -> Result<Vec<Key>, StoreError> {
        let trash = self.objects_in(TRASH).await?.into_iter();
        Ok(trash
            .filter(|trash| digest_of(trash) == Some(*digest))
            .map(|trash| trash.location)
            .collect())
    }

    /// Renames an object, if it is there: somebody else may collect garbage too.
    async fn rename(&self, from: &Key, to: &Key) -> Result<(), StoreError> {
        let renamed = self.objects.rename(from, to).await;
        Self::unless_gone("rename", from, renamed)
    }

    fn unless_gone(
        operation: &'static str,
        key: &Key,
        done: object_store::Result<()>,
    ) -> Result<(), StoreError> {
        match done {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::object(operation, key)(error)),
        }
    }

    async fn objects_in(&self, folder: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let folder = Key::from(folder);
        let objects = self.objects.list(Some(&folder)).try_collect().await;
        objects.map_err(StoreError::object("list", &folder))
    }
}

fn trash_of(digest: &Digest, collector: &str) -> Key {
    Key::from(TRASH).join(format!("{}.{collector}", digest.hex()))
}

/// The digest that an object's name is, or begins with.
fn digest_of(object: &ObjectMeta) -> Option<Digest> {
    let name = object.location.filename()?;
    let digest = name.split_once('.').map_or(name, |(digest, _)| digest);
    Digest::from_hex(digest.as_bytes()).ok()
}

/// What a store in a directory holds of objects that were being written, and not since `before`. They bear the object's name, `#`
/// and a number, which makes them no objects.
fn half_written(store: &Path, before: i64) -> Vec<PathBuf> {
    let is_staged = |name: &[u8]| {
        let mut parts = name.rsplitn(2, |&byte| byte == b'#');
        let number = parts.next().unwrap_or_default();
        parts.next().is_some() && !number.is_empty() && number.iter().all(u8::is_ascii_digit)
    };
    let is_old = |entry: &walkdir::DirEntry| {
        let modified = entry
            .metadata()
            .ok()
            .and_then(|about| about.modified().ok());
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| since.as_millis() < u128::try_from(before).unwrap_or(0))
    };
    walkdir::WalkDir::new(store)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| is_staged(entry.file_name().as_bytes()) && is_old(entry))
        .map(walkdir::DirEntry::into_path)
        .collect()
}
