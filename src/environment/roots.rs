//! The two roots that are searched: where they are, and what they hold.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::error::{EnvironmentError, Root};
use super::variables::{Presence, SearchEntry};
use crate::entry::Kind;
use crate::layer::LayerId;
use crate::merge::MergedTree;

/// Where the layers are on the service, always.
pub const OPT: &str = "/opt";

/// Where the function's code is on the service, always (`LAMBDA_TASK_ROOT`).
pub const VAR_TASK: &str = "/var/task";

/// What the rules ask about a root or a task root; answered by a merged tree or by a disk.
pub trait RootView {
    /// Is there a directory at this path, relative to the root, links followed inside the root?
    fn is_directory(&self, path: &[u8]) -> bool;
    /// The names directly in that directory (any order); empty when there is none.
    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>>;
    /// The layers, counted from 1, that provide something at that path; empty for a disk.
    fn provided_by(&self, path: &[u8]) -> Vec<usize>;
}

impl RootView for MergedTree<'_> {
    fn is_directory(&self, path: &[u8]) -> bool {
        self.resolve_bytes(path)
            .is_some_and(|node| self.kind(node) == Kind::Directory)
    }

    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let directory = self.resolve_bytes(path);
        directory
            .into_iter()
            .flat_map(|directory| self.children(directory))
            .map(|child| self.name(child).to_vec())
            .collect()
    }

    fn provided_by(&self, path: &[u8]) -> Vec<usize> {
        let layers = self.resolve_bytes(path).map(|node| self.layers(node));
        layers.into_iter().flatten().map(LayerId::number).collect()
    }
}

/// The two roots of a request, fit to stand in search paths.
pub(super) struct Roots<'a> {
    pub(super) opt: SearchedRoot<'a>,
    pub(super) task: SearchedRoot<'a>,
}

/// A root: its path without trailing or double slashes, and what it holds.
pub(super) struct SearchedRoot<'a> {
    pub(super) path: PathBuf,
    pub(super) holds: &'a dyn RootView,
}

impl<'a> SearchedRoot<'a> {
    pub(super) fn parse(
        which: Root,
        root: &Path,
        holds: &'a dyn RootView,
    ) -> Result<Self, EnvironmentError> {
        if !root.is_absolute() {
            return Err(EnvironmentError::RelativeRoot {
                which,
                root: root.to_owned(),
            });
        }
        if root.as_os_str().as_bytes().contains(&b':') {
            return Err(EnvironmentError::ColonInRoot {
                which,
                root: root.to_owned(),
            });
        }
        Ok(Self {
            path: root.components().collect(),
            holds,
        })
    }

    /// The absolute path of what lies at `path` below the root; the root itself for an empty path.
    pub(super) fn join(&self, path: &[u8]) -> OsString {
        if path.is_empty() {
            self.path.clone().into_os_string()
        } else {
            self.path.join(OsStr::from_bytes(path)).into_os_string()
        }
    }

    /// The entry for a directory of this root.
    pub(super) fn entry(&self, path: &[u8], rule: &'static str) -> SearchEntry {
        SearchEntry {
            directory: self.join(path),
            rule,
            presence: Presence::of(self.holds.is_directory(path)),
            provided_by: self.holds.provided_by(path),
        }
    }

    /// Whether there is a directory or, as class paths also list, anything else of that name.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (path.split_at(slash).0, path.split_at(slash + 1).1),
            None => (&path[..0], path),
        };
        self.holds.is_directory(path) || self.holds.names_in(parent).iter().any(|one| one == name)
    }
}

/// The part of `absolute` below `root`, without `.` and needless slashes.
pub(super) fn below(root: &Path, absolute: &OsStr) -> Option<Vec<u8>> {
    let rest: PathBuf = Path::new(absolute)
        .strip_prefix(root)
        .ok()?
        .components()
        .filter(|component| *component != Component::CurDir)
        .collect();
    Some(rest.into_os_string().into_vec())
}
