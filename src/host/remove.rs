//! Removes a tree, whatever its modes: a directory that may not be written is made writable first.
//!
//! One directory is open at a time and every name is resolved below the top, so that neither a link that appears on the way
//! nor a low limit on descriptors matters.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::stat::{Mode as ModeBits, SFlag, fchmod};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::root::{Root, examine, names_in};

/// Removes `name` in `parent` with all that lies below it. What vanishes meanwhile is no failure: somebody else removes it too.
pub(super) fn remove_tree(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    if !is_directory(&parent, name)? {
        return tolerate_absence(unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir));
    }
    remove_below(&Root::borrow(&parent), name)?;
    tolerate_absence(unlinkat(&parent, name, UnlinkatFlags::RemoveDir))
}

fn remove_below(top: &Root<impl AsFd>, path: &[u8]) -> Result<(), Errno> {
    let directory = match top.open_directory(path) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    fchmod(&directory, ModeBits::S_IRWXU)?;
    let mut subdirectories = Vec::new();
    for name in names_in(directory.try_clone().map_err(|_| Errno::EMFILE)?)? {
        match unlinkat(&directory, name.as_slice(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => subdirectories.push(name),
            // What POSIX has a directory answer; some file systems do.
            Err(Errno::EPERM) if is_directory(&directory, &name)? => subdirectories.push(name),
            other => tolerate_absence(other)?,
        }
    }
    drop(directory);
    let mut below = path.to_vec();
    for name in &subdirectories {
        below.truncate(path.len());
        below.push(b'/');
        below.extend_from_slice(name);
        remove_below(top, &below)?;
    }
    if subdirectories.is_empty() {
        return Ok(());
    }
    let directory = match top.open_directory(path) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    for name in &subdirectories {
        tolerate_absence(unlinkat(
            &directory,
            name.as_slice(),
            UnlinkatFlags::RemoveDir,
        ))?;
    }
    Ok(())
}

fn is_directory(parent: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    let found = examine(parent, name)?;
    Ok(found.is_some_and(|found| {
        SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
    }))
}

fn tolerate_absence(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
