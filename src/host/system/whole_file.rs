//! Small files that appear whole or not at all, in a folder that nothing leads out of.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use rustix::fs::{FlockOperation, flock};

use super::durability::Durability;
use super::root::{Root, create_file, list_names, set_mode, uninterrupted};
use crate::entry::Mode;

/// Reads a file; `None` when there is none, or it cannot be read, or it is longer than `most` bytes.
pub(in crate::host) fn read(folder: &OwnedFd, name: &str, most: u64) -> Option<Vec<u8>> {
    read_open(Root::borrow(folder).open_file(name.as_bytes()).ok()?, most)
}

/// The same of a file that is open.
pub(in crate::host) fn read_open(file: OwnedFd, most: u64) -> Option<Vec<u8>> {
    let file = File::from(file);
    let length = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    if length > most {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()? + 1);
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes a file beside its name and renames it there.
///
/// # Errors
///
/// Why it could not be written; what was there before is there still.
pub(in crate::host) fn write(
    folder: &OwnedFd,
    name: &str,
    bytes: &[u8],
    mode: Mode,
    durability: Durability,
) -> io::Result<()> {
    let prefix = OsString::from(format!(".{name}."));
    loop {
        let named = tempfile::Builder::new()
            .prefix(&prefix)
            .make_in("/", |path| {
                // Only the name is random; where the file is made is decided by the descriptor.
                let name = path.file_name().unwrap_or_default().as_bytes();
                let file = create_file(folder, name, Mode::PRIVATE)?;
                Ok((name.to_vec(), File::from(file)))
            })?;
        // It is not for that crate to remove it.
        let ((new, file), _) = named.keep()?;
        match fill(folder, &new, file, name, bytes, mode, durability) {
            // Somebody took it for something left behind, before it was locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
}

fn fill(
    folder: &OwnedFd,
    new: &[u8],
    mut file: File,
    name: &str,
    bytes: &[u8],
    mode: Mode,
    durability: Durability,
) -> io::Result<()> {
    let written = flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::from(io::ErrorKind::NotFound))
        .and_then(|()| {
            file.write_all(bytes)?;
            set_mode(&file, mode)?;
            if durability == Durability::Survives {
                file.sync_all()?;
            }
            uninterrupted(|| renameat(folder, new, folder, name))?;
            Ok(())
        });
    if let Err(error) = written {
        remove(folder, new);
        return Err(error);
    }
    if durability == Durability::Survives {
        uninterrupted(|| fsync(folder))?;
    }
    Ok(())
}

fn remove(folder: &OwnedFd, name: &[u8]) {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => tracing::debug!(%error, "cannot remove a half-written file"),
    }
}

/// Removes what killed processes were writing.
pub(in crate::host) fn sweep(folder: &OwnedFd) {
    let names = list_names(folder).unwrap_or_default();
    for name in names.iter().filter(|name| name.starts_with(b".")) {
        let Ok(file) = Root::borrow(folder).open_file(name) else {
            continue;
        };
        // Who writes one holds a lock on it.
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(folder, name);
        }
    }
}
