//! What a store in a directory is asked most: whether an object is there, what a small one holds, and what a folder has.
//!
//! An object store hands each question to another thread, as some take long. These take the kernel less than changing threads does,
//! twice, so they are answered where they are asked. A failure is told to nobody: the object store is asked again, and finds the
//! words for it.

use std::fs::FileType;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use object_store::path::Path as Key;

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
}

impl Local {
    /// `root` is absolute and has no links in it, as the object store has it.
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where an object is. Our keys have no characters that are written in another way.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_ref())
    }

    /// Whether an object is there.
    pub(super) fn exists(&self, key: &Key) -> io::Result<bool> {
        let there = if_there(std::fs::metadata(self.path(key)))?;
        Ok(there.is_some_and(|there| there.is_file()))
    }

    /// The bytes of a small object, if it is there.
    pub(super) fn read(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        if_there(std::fs::read(self.path(key)))
    }

    /// The names of the folders in a folder.
    pub(super) fn folders(&self, folder: &Key) -> io::Result<Vec<String>> {
        self.names(folder, FileType::is_dir)
    }

    /// The names of the objects in a folder.
    pub(super) fn objects(&self, folder: &Key) -> io::Result<Vec<String>> {
        self.names(folder, FileType::is_file)
    }

    fn names(
        &self,
        folder: &Key,
        is_wanted: impl Fn(&FileType) -> bool,
    ) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in if_there(std::fs::read_dir(self.path(folder)))?
            .into_iter()
            .flatten()
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                return Err(io::Error::from(ErrorKind::Unsupported));
            }
            if is_wanted(&kind) {
                // What is no text is none of ours.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }
}

fn if_there<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}
