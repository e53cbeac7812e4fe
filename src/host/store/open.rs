//! An open store: its objects are created once and read whole.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};

#[cfg(feature = "s3")]
use super::bucket;
use super::error::StoreError;
use super::local::Local;
use super::location::Location;
use crate::registry::LayerVersion;

/// What stands in `format`.
pub(super) const FORMAT: &[u8] = b"{\"slashopt_registry\":1}\n";

/// Bytes of the secret.
pub(super) const SECRET_BYTES: usize = 32;

/// Versions that are remembered, about half a kilobyte each.
pub(super) const REMEMBERED: usize = 65_536;

/// An open store.
#[derive(Debug)]
pub struct Store {
    pub(super) location: Location,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The same store, where it is a directory.
    pub(super) local: Option<Local>,
    known: Mutex<Known>,
}

/// What never changes once it is seen, and so need not be asked for again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By the folder that holds the numbers: one that is there. There may be higher ones by now.
    highest: HashMap<String, u64>,
    pub(super) versions: HashMap<String, Arc<LayerVersion>>,
    pub(super) deleted: HashSet<String>,
}

impl Store {
    /// Opens a store to write to it, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotConditional`] for one that would let two create the same object, or what it answers.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        if let Some(path) = location.directory() {
            std::fs::create_dir_all(path).map_err(|source| StoreError::Directory {
                operation: "make the directory",
                source,
            })?;
        }
        let store = Self::connect(location)?;
        // Whoever comes first creates it; who creates it a second time was not held back.
        let format = Key::from("format");
        if store.create(&format, FORMAT.to_vec()).await?
            && store.create(&format, FORMAT.to_vec()).await?
        {
            return Err(StoreError::NotConditional);
        }
        store.judge_format(&format).await?;
        Ok(store)
    }

    /// Opens a store that is there, to read from it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`], or what it answers.
    pub async fn open_existing(location: &Location) -> Result<Self, StoreError> {
        if let Some(path) = location.directory()
            && !path.join("format").exists()
        {
            return Err(StoreError::Missing);
        }
        let store = Self::connect(location)?;
        store.judge_format(&Key::from("format")).await?;
        Ok(store)
    }

    /// Opens a store that is there, to change what is in it.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`] and [`Self::open_existing`].
    pub async fn open_to_change(location: &Location) -> Result<Self, StoreError> {
        let store = Self::open_existing(location).await?;
        // It is there, so nobody can create it.
        if store.create(&Key::from("format"), FORMAT.to_vec()).await? {
            return Err(StoreError::NotConditional);
        }
        Ok(store)
    }

    async fn judge_format(&self, key: &Key) -> Result<(), StoreError> {
        match self.read(key).await? {
            Some(bytes) if bytes == FORMAT => Ok(()),
            Some(_) => Err(StoreError::Damaged {
                key: key.to_string(),
            }),
            None => Err(StoreError::Missing),
        }
    }

    fn connect(location: &Location) -> Result<Self, StoreError> {
        let (objects, local): (Arc<dyn ObjectStore>, _) = match location {
            Location::Directory(path) => {
                let objects = LocalFileSystem::new_with_prefix(path)
                    .map_err(StoreError::object("open", &Key::default()))?;
                // The object store did the same: what later becomes of a link to it is no matter to either.
                let root = std::fs::canonicalize(path).map_err(|source| StoreError::Directory {
                    operation: "find the directory",
                    source,
                })?;
                // A number that was given away must be known after a power failure too.
                (Arc::new(objects.with_fsync(true)), Some(Local::new(root)))
            }
            #[cfg(feature = "s3")]
            Location::Bucket { bucket, prefix } => {
                let objects = bucket::connect(bucket, prefix)
                    .map_err(StoreError::object("open", &Key::default()))?;
                (objects, None)
            }
        };
        Ok(Self {
            location: location.clone(),
            objects,
            local,
            known: Mutex::default(),
        })
    }

    /// Where it is.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Waits for what a store is asked, in a process that has no runtime. A thread is started only for one that is not here.
    ///
    /// # Errors
    ///
    /// The runtime that a remote store needs cannot be started.
    pub fn block_on<T>(
        location: &Location,
        future: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        #[cfg(feature = "s3")]
        if location.is_remote() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|source| StoreError::Directory {
                    operation: "start a runtime",
                    source,
                })?;
            return Ok(runtime.block_on(future));
        }
        debug_assert!(!location.is_remote(), "there is no other way to reach it");
        Ok(pollster::block_on(future))
    }

    /// What links are signed with: the same for all who use the store.
    ///
    /// # Errors
    ///
    /// What the store answers, or that there is no randomness.
    pub async fn secret(&self) -> Result<Vec<u8>, StoreError> {
        let key = Key::from("secret");
        let whole = |secret: Vec<u8>| {
            let is_whole = secret.len() == SECRET_BYTES;
            is_whole
                .then_some(secret)
                .ok_or_else(|| StoreError::Damaged {
                    key: "secret".to_owned(),
                })
        };
        if let Some(secret) = self.read(&key).await? {
            return whole(secret);
        }
        let mut secret = [0; SECRET_BYTES];
        fill_random(&mut secret)?;
        let is_ours = match self.location.directory() {
            Some(path) => create_private(&path.join(key.as_ref()), &secret).map_err(|source| {
                StoreError::Directory {
                    operation: "write the secret",
                    source,
                }
            })?,
            None => self.create(&key, secret.to_vec()).await?,
        };
        if is_ours {
            return Ok(secret.to_vec());
        }
        self.read(&key)
            .await?
            .ok_or(StoreError::Missing)
            .and_then(whole)
    }

    /// Creates an object; `false` if it is there already.
    pub(super) async fn create(
        &self,
        key: &Key,
        bytes: impl Into<PutPayload>,
    ) -> Result<bool, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.objects.put_opts(key, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(StoreError::object("create", key)(error)),
        }
    }

    /// A small object; `None` if it is not there.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(Ok(read)) = self.local.as_ref().map(|local| local.read(key)) {
            give_way().await;
            return Ok(read);
        }
        let got = match self.objects.get(key).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(StoreError::object("read", key)(error)),
        };
        let bytes = got.bytes().await.map_err(StoreError::object("read", key))?;
        Ok(Some(bytes.into()))
    }

    pub(super) async fn exists(&self, key: &Key) -> Result<bool, StoreError> {
        if let Some(Ok(exists)) = self.local.as_ref().map(|local| local.exists(key)) {
            give_way().await;
            return Ok(exists);
        }
        match self.objects.head(key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StoreError::object("look for", key)(error)),
        }
    }

    /// The highest number in a folder that numbers its objects without a gap from 1; 0 if there is none.
    pub(super) async fn highest(&self, folder: &Key) -> Result<u64, StoreError> {
        let remembered = self.known(|known| known.highest.get(folder.as_ref()).copied());
        let mut there = remembered.unwrap_or(0);
        let mut step = 1;
        // Mostly the next one is not there, and this is the only question.
        while self.exists(&numbered(folder, there + step)).await? {
            there += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if self.exists(&numbered(folder, there + step)).await? {
                there += step;
            }
        }
        self.remember_highest(folder, there);
        Ok(there)
    }

    pub(super) fn remember_highest(&self, folder: &Key, there: u64) {
        if there == 0 {
            return;
        }
        self.known(|known| {
            if known.highest.len() > REMEMBERED {
                known.highest.clear();
            }
            let highest = known.highest.entry(folder.to_string()).or_default();
            *highest = there.max(*highest);
        });
    }

    pub(super) fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        // Whoever panicked left nothing half-done in it.
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Creates a file that only its owner can read, whole or not at all; `false` if it is there already.
pub(super) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

pub(super) fn numbered(folder: &Key, number: u64) -> Key {
    folder.clone().join(number.to_string())
}

/// Lets others be answered in between: who looks for much here waits for nothing else.
#[cfg_attr(
    not(feature = "serve"),
    expect(clippy::unused_async, reason = "only who answers others waits")
)]
pub(super) async fn give_way() {
    #[cfg(feature = "serve")]
    tokio::task::coop::consume_budget().await;
}

/// Random bytes from the kernel.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Directory {
        operation: "get random bytes",
        source: io::Error::other(error.to_string()),
    })
}

/// A random UUID (RFC 9562, version 4).
///
/// # Errors
///
/// The kernel has no random bytes.
pub fn new_uuid() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    fill_random(&mut bytes)?;
    let value = u128::from_be_bytes(bytes) & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = format!("{value:032x}");
    let part = |range| digits.get(range).unwrap_or_default();
    Ok(format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    ))
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
