//! An open layer.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open layer, to read contents from.
#[derive(Debug)]
pub enum Source {
    /// The archive's file.
    Archive(File),
    /// The directory.
    Directory(OwnedFd),
    /// A tree in the cache: one of ours, which we can read whatever modes are in it.
    Tree(OwnedFd),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Archive(file) => file.as_fd(),
            Self::Directory(directory) | Self::Tree(directory) => directory.as_fd(),
        }
    }
}
