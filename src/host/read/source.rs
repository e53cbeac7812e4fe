//! What the contents of a layer are read from.

use std::fs::File;
use std::os::fd::OwnedFd;

/// What the contents of a layer are read from.
#[derive(Debug)]
pub enum Source {
    /// The archive's file.
    Archive(File),
    /// The directory.
    Directory(OwnedFd),
    /// A tree in the cache: one of ours, which we can read whatever modes are in it.
    Tree(OwnedFd),
}
