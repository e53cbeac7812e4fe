//! Archives: kept once, under their digest.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path as Key;
use object_store::{GetResult, ObjectStore as _, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};

use super::{Location, Store, StoreError, now};
use crate::digest::Digest;

/// Bytes of an archive that are in memory at a time; S3 takes no smaller parts than 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// An archive that was kept longer ago than this is kept anew when it is published again, so that what collects garbage sees
/// that somebody wants it.
const FRESH_MILLISECONDS: i64 = 60 * 60 * 1000;

/// An archive to be kept: a file without a name, which nobody else can change.
#[derive(Debug)]
pub struct Archive {
    pub(super) file: File,
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

/// Takes an archive in, byte by byte.
#[derive(Debug)]
pub struct Spool {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Spool {
    /// How many bytes came.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// That was all.
    pub fn finish(self) -> Archive {
        Archive {
            file: self.file,
            digest: Digest(self.hash.finalize().into()),
            bytes: self.bytes,
        }
    }
}

impl io::Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Archive {
    /// Its digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// A second handle of the file, to look at what was taken in.
    ///
    /// # Errors
    ///
    /// There are too many open files.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// What was removed, and what was not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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

fn key_of(digest: &Digest) -> Key {
    Key::from("blobs").join(digest.hex())
}

impl Store {
    /// Where to put an archive before it is judged: where there is room for it at the end.
    ///
    /// # Errors
    ///
    /// No file can be made there.
    pub fn spool(&self) -> io::Result<Spool> {
        let file = match &self.location {
            Location::Directory(path) => tempfile::tempfile_in(path)?,
            #[cfg(feature = "s3")]
            Location::Bucket { .. } => tempfile::tempfile()?,
        };
        Ok(Spool {
            file,
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// Takes in a whole archive.
    ///
    /// # Errors
    ///
    /// It cannot be read, or written.
    pub fn take_in(&self, mut from: impl Read) -> io::Result<Archive> {
        let mut spool = self.spool()?;
        io::copy(&mut from, &mut spool)?;
        let mut archive = spool.finish();
        archive.file.rewind()?;
        Ok(archive)
    }

    /// Keeps an archive, if it is not kept already.
    pub(super) async fn keep(&self, archive: &Archive) -> Result<(), StoreError> {
        let key = key_of(&archive.digest);
        match self.objects.head(&key).await {
            Ok(there)
                if there.size == archive.bytes
                    && now() - there.last_modified.timestamp_millis() < FRESH_MILLISECONDS =>
            {
                return Ok(());
            }
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(StoreError::object("look for", &key)(error)),
        }
        let failed = |source| StoreError::Directory {
            operation: "read the archive",
            source,
        };
        // An object appears whole, and this one can only ever have these bytes: whoever comes second changes nothing.
        if archive.bytes <= PART_BYTES as u64 {
            let bytes = read_part(&archive.file, 0, archive.bytes).map_err(failed)?;
            let put = self.objects.put(&key, bytes.into()).await;
            return put.map(drop).map_err(StoreError::object("write", &key));
        }
        let mut upload = self
            .objects
            .put_multipart(&key)
            .await
            .map_err(StoreError::object("write", &key))?;
        let mut offset = 0;
        while offset < archive.bytes {
            let part = read_part(&archive.file, offset, archive.bytes).map_err(failed)?;
            offset += part.len() as u64;
            if let Err(error) = upload.put_part(part.into()).await {
                // The failure that is told is the first one.
                drop(upload.abort().await);
                return Err(StoreError::object("write", &key)(error));
            }
        }
        let completed = upload.complete().await;
        completed
            .map(drop)
            .map_err(StoreError::object("write", &key))
    }

    /// An archive, to be read from the store; `None` if it is not kept.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn archive(&self, digest: &Digest) -> Result<Option<GetResult>, StoreError> {
        let key = key_of(digest);
        match self.objects.get(&key).await {
            Ok(got) => Ok(Some(got)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::object("read", &key)(error)),
        }
    }

    /// Writes an archive somewhere else, verified; `false` if it is not kept.
    ///
    /// # Errors
    ///
    /// What the store answers, or that what it has is something else.
    pub async fn copy_archive(
        &self,
        digest: &Digest,
        to: &mut impl io::Write,
    ) -> Result<bool, StoreError> {
        let Some(got) = self.archive(digest).await? else {
            return Ok(false);
        };
        let key = key_of(digest);
        let mut hash = Sha256::new();
        let mut parts = got.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(StoreError::object("read", &key))?;
            hash.update(&part);
            to.write_all(&part)
                .map_err(|source| StoreError::Directory {
                    operation: "write the archive",
                    source,
                })?;
        }
        if Digest(hash.finalize().into()) != *digest {
            return Err(StoreError::Damaged {
                key: key.to_string(),
            });
        }
        Ok(true)
    }

    /// The file that a store in a directory keeps an archive in.
    pub fn blob_in(store: &Path, digest: &Digest) -> PathBuf {
        store.join("blobs").join(digest.hex())
    }

    /// Removes the archives that no version has needed for so long: all of theirs were deleted before `before`, in milliseconds
    /// since 1970, and nobody has published them since.
    ///
    /// # Errors
    ///
    /// What the store answers. Nothing is removed before everything was looked at.
    pub async fn collect_garbage(
        &self,
        before: i64,
        is_dry: bool,
    ) -> Result<Collected, StoreError> {
        let root = Key::from("layers");
        let mut needed = HashSet::new();
        let mut objects = self.objects.list(Some(&root));
        while let Some(object) = objects
            .try_next()
            .await
            .map_err(StoreError::object("list", &root))?
        {
            let parts: Vec<_> = object.location.parts().collect();
            let [.., name, kind, number] = &parts[..] else {
                continue;
            };
            if kind.as_ref() != "versions" {
                continue;
            }
            let version = self.described(&object.location).await?;
            let version = version.ok_or_else(|| StoreError::Damaged {
                key: object.location.to_string(),
            })?;
            debug_assert_eq!(version.arn.layer.name.as_str(), name.as_ref());
            let mark = super::versions::folder_of(&version.arn.layer)
                .join("deleted")
                .join(number.as_ref());
            let is_long_gone = self
                .deleted_since(&mark)
                .await?
                .is_some_and(|since| since < before);
            if !is_long_gone {
                needed.insert(version.code_sha256);
            }
        }
        let folder = Key::from("blobs");
        let kept: Vec<_> = self
            .objects
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(StoreError::object("list", &folder))?;
        let mut collected = Collected::default();
        for blob in kept {
            let digest = blob
                .location
                .filename()
                .and_then(|name| Digest::from_hex(name.as_bytes()).ok());
            // It may have been published again since it was listed.
            let is_old = |milliseconds| milliseconds < before;
            let is_needed = digest.is_none_or(|digest| needed.contains(&digest))
                || !is_old(blob.last_modified.timestamp_millis());
            let is_garbage = !is_needed
                && self
                    .objects
                    .head(&blob.location)
                    .await
                    .is_ok_and(|now| is_old(now.last_modified.timestamp_millis()));
            if !is_garbage {
                collected.kept += 1;
                continue;
            }
            if !is_dry {
                self.objects
                    .delete(&blob.location)
                    .await
                    .map_err(StoreError::object("remove", &blob.location))?;
            }
            collected.removed += 1;
            collected.removed_bytes += blob.size;
        }
        if let Some(path) = self.location.directory() {
            for left in half_written(path, before.min(now() - FRESH_MILLISECONDS)) {
                if !is_dry {
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

/// The next bytes of a file, at most [`PART_BYTES`].
fn read_part(file: &File, offset: u64, end: u64) -> io::Result<Bytes> {
    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut part = vec![0; left.min(PART_BYTES)];
    file.read_exact_at(&mut part, offset)?;
    Ok(part.into())
}
