//! The hooks of interpreters, kept as files: an interpreter reads them by path, and so can a person.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::open::Cache;
use crate::digest::Digest;
use crate::environment::HOOKS;
use crate::host::error::HostError;

const FOLDER: &str = "hooks";

impl Cache {
    /// The directory that holds [`HOOKS`], written now if they are not there as they should be. Other versions of them have
    /// other directories.
    ///
    /// # Errors
    ///
    /// When a file is missing that cannot be written.
    pub fn hooks(&self) -> Result<PathBuf, HostError> {
        let mut hash = Sha256::new();
        for hook in HOOKS {
            hash.update(hook.content);
        }
        let version = Digest(hash.finalize().into()).hex();
        // Read by people, in the middle of a variable.
        let version = version.get(..12).unwrap_or(&version);
        let directory = self.path().join(FOLDER).join(version);
        for hook in HOOKS {
            let path = directory.join(hook.path);
            if !fs::read(&path).is_ok_and(|found| found == hook.content.as_bytes()) {
                write(self.path(), &path, hook.content).map_err(|error| {
                    HostError::io("write the hook", format!("`{}`", path.display()), error)
                })?;
            }
        }
        Ok(directory)
    }
}

/// Writes a file that all users may read, whole or not at all.
fn write(cache: &Path, path: &Path, content: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(cache);
    fs::create_dir_all(parent)?;
    // Whatever the umask: who may enter the cache may read what is in it.
    let below = parent.ancestors().take_while(|&folder| folder != cache);
    for folder in below {
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(content.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
