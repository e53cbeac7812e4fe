//! One file that is made as a result: it appears whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::HostError;

/// A file that grows beside its destination under a name of its own, and takes its place when it is whole. Dropped before, it
/// is removed, and what was there stays as it was.
#[derive(Debug)]
pub struct OutputFile {
    growing: NamedTempFile,
    destination: PathBuf,
}

impl OutputFile {
    /// Begins a file that is to stand at `destination`, readable for whom the umask allows.
    ///
    /// # Errors
    ///
    /// When its directory cannot be written, or `destination` is a directory.
    pub fn create(destination: &Path) -> Result<Self, HostError> {
        let failed = |error| HostError::io("write it", shown(destination), error);
        if destination.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let directory = match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let growing = tempfile::Builder::new()
            .prefix(".slashopt-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(failed)?;
        Ok(Self {
            growing,
            destination: destination.to_owned(),
        })
    }

    /// The file, to be written.
    pub fn file(&mut self) -> &mut File {
        self.growing.as_file_mut()
    }

    /// Writes all of these bytes at its end.
    ///
    /// # Errors
    ///
    /// What [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html) answers.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        let written = self.growing.as_file_mut().write_all(bytes);
        written.map_err(|error| HostError::io("write it", shown(&self.destination), error))
    }

    /// Gives it its name. What had that name before is replaced.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn publish(self) -> Result<(), HostError> {
        let Self {
            growing,
            destination,
        } = self;
        growing
            .persist(&destination)
            .map(drop)
            .map_err(|refused| HostError::io("write it", shown(&destination), refused.error))
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
