//! The cache as a folder: where it is, and whether it may be written.

use crate::host::error::HostError;
use crate::host::system::cache_folder::{CacheFolder, Folder};

/// An open cache.
#[derive(Debug)]
pub struct Cache {
    pub(super) folder: Folder,
}

impl Cache {
    /// Opens the cache, and makes it if it is not there yet.
    ///
    /// # Errors
    ///
    /// Why none of the folders can be used.
    pub fn open(folders: &CacheFolder) -> Result<Self, HostError> {
        let folder = folders.open_or_make();
        folder
            .map(|folder| Self { folder })
            .map_err(|(path, error)| {
                let place = format!("`{}`", path.display());
                HostError::io("use it as the cache", place, error)
            })
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.folder.path
    }

    /// Whether this user may write there.
    pub const fn is_writable(&self) -> bool {
        self.folder.is_writable
    }
}
