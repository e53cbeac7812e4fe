//! Removes a tree, whatever its modes: a directory that may not be written is made writable first.
//!
//! One directory is open at a time and every name is resolved below the top, so that neither a link that appears on the way
//! nor a low limit on descriptors matters.

use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::sys::stat::{Mode as ModeBits, SFlag, fchmod};
use nix::unistd::UnlinkatFlags;

use super::root::{Root, examine, list, uninterrupted};

/// Removes `name` in `parent` with all that lies below it. What vanishes meanwhile is no failure: somebody else removes it too.
pub(in crate::host) fn remove_tree(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
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
    uninterrupted(|| fchmod(&directory, ModeBits::S_IRWXU))?;
    // Its one descriptor serves to list and to remove: there may be no other left.
    let mut directory = Dir::from_fd(directory)?;
    let mut subdirectories = Vec::new();
    for name in list(&mut directory)? {
        match unlinkat(&directory, &name, UnlinkatFlags::NoRemoveDir) {
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
        tolerate_absence(unlinkat(&directory, name, UnlinkatFlags::RemoveDir))?;
    }
    Ok(())
}

fn unlinkat(parent: impl AsFd, name: &[u8], flags: UnlinkatFlags) -> Result<(), Errno> {
    uninterrupted(|| nix::unistd::unlinkat(&parent, name, flags))
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
