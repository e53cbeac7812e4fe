//! A directory tree as a value: read from disk, compared, shown line by line when it is not what a test expects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::shown;

/// 1980-01-01T00:00:00Z: the time of what has none.
pub(crate) const DOS_EPOCH: i64 = 315_532_800;

/// One object of a tree. Times are whole seconds since 1970; a mode is the low twelve bits, so that a set-id bit shows.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum Node {
    Directory {
        mode: u32,
        mtime: i64,
    },
    File {
        mode: u32,
        mtime: i64,
        bytes: Vec<u8>,
    },
    Link {
        target: Vec<u8>,
        mtime: i64,
    },
    /// A FIFO, a socket, a device: nothing that a layer may make.
    Other,
}

impl Node {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "directory",
            Self::File { .. } => "file",
            Self::Link { .. } => "symlink",
            Self::Other => "other",
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { mode, mtime } => write!(f, "directory {mode:04o} @{mtime}"),
            Self::File { mode, mtime, bytes } => {
                let head = shown(&bytes[..bytes.len().min(24)]);
                write!(
                    f,
                    "file      {mode:04o} @{mtime} {} bytes {head:?}",
                    bytes.len()
                )
            }
            Self::Link { target, mtime } => write!(f, "symlink -> {} @{mtime}", shown(target)),
            Self::Other => write!(f, "neither file nor directory nor link"),
        }
    }
}

/// Every object below a root by its path, without leading slash; the root itself has the empty path.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Tree(pub(crate) BTreeMap<Vec<u8>, Node>);

impl Tree {
    /// Reads what is at `root`, following no link.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_into(root, Vec::new());
        tree
    }

    fn read_into(&mut self, place: &Path, path: Vec<u8>) {
        let metadata = fs::symlink_metadata(place)
            .unwrap_or_else(|error| panic!("cannot look at {}: {error}", place.display()));
        let (mode, mtime) = (metadata.mode() & 0o7777, metadata.mtime());
        let node = if metadata.is_dir() {
            for child in fs::read_dir(place)
                .unwrap_or_else(|error| panic!("cannot list {}: {error}", place.display()))
            {
                let name = child.expect("a directory can be listed").file_name();
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name.as_bytes());
                self.read_into(&place.join(&name), below);
            }
            Node::Directory { mode, mtime }
        } else if metadata.is_file() {
            let bytes = read_whatever_the_mode(place, mode);
            Node::File { mode, mtime, bytes }
        } else if metadata.is_symlink() {
            let target = fs::read_link(place).expect("a link can be read");
            let target = target.into_os_string().into_vec();
            Node::Link { target, mtime }
        } else {
            Node::Other
        };
        self.0.insert(path, node);
    }

    /// The tree with all times made equal, for comparing what may be touched in between.
    pub(crate) fn without_times(mut self) -> Self {
        for node in self.0.values_mut() {
            match node {
                Node::Directory { mtime, .. }
                | Node::File { mtime, .. }
                | Node::Link { mtime, .. } => *mtime = 0,
                Node::Other => {}
            }
        }
        self
    }

    /// All paths but the root's, sorted.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.0
            .keys()
            .filter(|path| !path.is_empty())
            .map(|path| shown(path))
            .collect()
    }

    /// How many objects of this kind there are; the root does not count.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        let below = self.0.iter().filter(|(path, _)| !path.is_empty());
        below.filter(|(_, node)| node.kind() == kind).count() as u64
    }

    #[track_caller]
    pub(crate) fn node(&self, path: impl AsRef<[u8]>) -> &Node {
        let path = path.as_ref();
        self.0
            .get(path)
            .unwrap_or_else(|| panic!("there is no `{}` in\n{self:?}", shown(path)))
    }

    pub(crate) fn has(&self, path: impl AsRef<[u8]>) -> bool {
        self.0.contains_key(path.as_ref())
    }

    #[track_caller]
    pub(crate) fn kind(&self, path: impl AsRef<[u8]>) -> &'static str {
        self.node(path).kind()
    }

    /// The mode of a file or directory, in a form that assertions print in octal.
    #[track_caller]
    pub(crate) fn mode(&self, path: impl AsRef<[u8]>) -> String {
        match self.node(path) {
            Node::Directory { mode, .. } | Node::File { mode, .. } => format!("{mode:04o}"),
            node => panic!("this has no mode: {node:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn mtime(&self, path: impl AsRef<[u8]>) -> i64 {
        match self.node(path) {
            Node::Directory { mtime, .. } | Node::File { mtime, .. } | Node::Link { mtime, .. } => {
                *mtime
            }
            Node::Other => panic!("this has no time"),
        }
    }

    /// The content of a file as text.
    #[track_caller]
    pub(crate) fn text(&self, path: impl AsRef<[u8]>) -> String {
        match self.node(path) {
            Node::File { bytes, .. } => shown(bytes),
            node => panic!("this is no file: {node:?}"),
        }
    }

    /// The target of a link as text.
    #[track_caller]
    pub(crate) fn target(&self, path: impl AsRef<[u8]>) -> String {
        match self.node(path) {
            Node::Link { target, .. } => shown(target),
            node => panic!("this is no link: {node:?}"),
        }
    }

    /// Where this tree is not the expected one, a line for each path: `-` was expected, `+` is there.
    pub(crate) fn difference(&self, expected: &Self) -> Option<String> {
        let paths: BTreeSet<_> = self.0.keys().chain(expected.0.keys()).collect();
        let mut lines = Vec::new();
        for path in paths {
            let (wanted, found) = (expected.0.get(path), self.0.get(path));
            if wanted == found {
                continue;
            }
            for (sign, node) in [('-', wanted), ('+', found)] {
                if let Some(node) = node {
                    let name = shown(path);
                    lines.push(format!("  {sign} /{name:<24} {node:?}"));
                }
            }
            if let (Some(Node::File { bytes: one, .. }), Some(Node::File { bytes: other, .. })) =
                (wanted, found)
                && one != other
            {
                lines.push("    (the bytes differ)".to_owned());
            }
        }
        (!lines.is_empty()).then(|| {
            format!(
                "the trees differ (- expected, + found):\n{}",
                lines.join("\n")
            )
        })
    }

    /// Panics with the difference unless this tree is the expected one.
    #[track_caller]
    pub(crate) fn assert_is(&self, expected: &Self) {
        if let Some(difference) = self.difference(expected) {
            panic!("{difference}");
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, node) in &self.0 {
            writeln!(f, "    /{:<24} {node:?}", shown(path))?;
        }
        Ok(())
    }
}

/// Reads a file that its owner may have no right to read: for the moment of reading the right is given.
fn read_whatever_the_mode(place: &Path, mode: u32) -> Vec<u8> {
    fs::read(place).unwrap_or_else(|_| {
        let set = |mode| fs::set_permissions(place, fs::Permissions::from_mode(mode));
        set(0o600).expect("the owner may change the mode");
        let bytes = fs::read(place).expect("the owner may read now");
        set(mode).expect("the owner may change the mode back");
        bytes
    })
}
