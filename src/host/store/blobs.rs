//! Archives: kept once, under their digest.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{GetResult, ObjectStoreExt as _};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::location::Location;
use super::open::Store;
use crate::digest::Digest;

/// Bytes of an archive that are in memory at a time; S3 takes no smaller parts than 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// How often an archive is looked for where it is kept and where it may have been put aside.
const LOOKS: usize = 3;

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

pub(super) fn key_of(digest: &Digest) -> Key {
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
            Location::Directory(path) => nameless_in(path)?,
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

    /// Keeps an archive, if it is not kept already. Who publishes keeps it once before the version is there and once after, so that
    /// what collects garbage meanwhile either sees the version or is seen to have removed the archive.
    pub(super) async fn keep(&self, archive: &Archive) -> Result<(), StoreError> {
        let key = key_of(&archive.digest);
        match self.objects.head(&key).await {
            Ok(there) if there.size == archive.bytes => return Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(StoreError::object("look for", &key)(error)),
        }
        let failed = |source| StoreError::Directory {
            operation: "read the archive",
            source,
        };
        // An object appears whole, and this one can only ever have these bytes: whoever comes second changes nothing.
        if let Some(local) = &self.local {
            let (file, path) = (archive.file().map_err(failed)?, local.path(&key));
            if elsewhere(move || name(&file, &path)).await {
                return Ok(());
            }
        }
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
        // What collects garbage may put it aside, and back, while it is looked for.
        for _ in 0..LOOKS {
            let kept = key_of(digest);
            if let Some(got) = self.get(&kept).await? {
                return Ok(Some(got));
            }
            for aside in self.put_aside(digest).await? {
                if let Some(got) = self.get(&aside).await? {
                    return Ok(Some(got));
                }
            }
        }
        Ok(None)
    }

    async fn get(&self, key: &Key) -> Result<Option<GetResult>, StoreError> {
        match self.objects.get(key).await {
            Ok(got) => Ok(Some(got)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::object("read", key)(error)),
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
}

/// A file that has no name and gets its place when it is wanted there; where there are no such files, one whose name is gone.
fn nameless_in(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666));
    opened.map_or_else(|_| tempfile::tempfile_in(folder), |file| Ok(file.into()))
}

/// Gives a file its name, which spares copying it, and has both on the disk; `false` where it has to be copied: the name is taken,
/// the file had one before, its folder is not there, or there is no `/proc`.
fn name(file: &File, path: &Path) -> bool {
    let link = || {
        // One file with two names is not renamed from one to the other, and that is how garbage is put aside and back.
        if file.metadata()?.nlink() > 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // What collects garbage sees when it was kept, not when it came.
        file.set_modified(SystemTime::now())?;
        file.sync_all()?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    let linked = link();
    if let Err(error) = &linked {
        tracing::debug!(%error, path = %path.display(), "copied");
    }
    linked.is_ok()
}

/// Does what takes long where it keeps nobody from being answered, in a process that answers.
#[cfg_attr(
    not(feature = "serve"),
    expect(clippy::unused_async, reason = "only who answers others waits")
)]
async fn elsewhere(work: impl FnOnce() -> bool + Send + 'static) -> bool {
    #[cfg(feature = "serve")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        return runtime.spawn_blocking(work).await.unwrap_or(false);
    }
    work()
}

/// The next bytes of a file, at most [`PART_BYTES`].
fn read_part(file: &File, offset: u64, end: u64) -> io::Result<Bytes> {
    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut part = vec![0; left.min(PART_BYTES)];
    file.read_exact_at(&mut part, offset)?;
    Ok(part.into())
}
