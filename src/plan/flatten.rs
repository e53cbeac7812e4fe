//! What one archive holds that gives the merged tree again: every object by an entry of its own, directories too, sorted by the
//! bytes of their names, so that the same tree makes the same archive.

use crate::entry::{Kind, Mode};
use crate::layer::LayerId;
use crate::merge::{MergedTree, Origin};
use crate::path::{EntryName, Escaped, LayerPath, NameError};
use crate::timestamp::Timestamp;

/// One entry of the archive to be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedEntry {
    /// The path from the root; a directory's ends in `/`.
    pub name: Vec<u8>,
    /// Who brings it; `None` for a directory that only stands above the others.
    pub origin: Option<Origin>,
    /// What it is.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: Mode,
    /// Its time.
    pub modified: Timestamp,
    /// Bytes of the file, or of the link's target.
    pub bytes: u64,
}

/// A path that no archive may hold: a reader that takes it would refuse it again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("entry `{}`: {reason}", Escaped(.name))]
#[non_exhaustive]
pub struct Unwritable {
    /// The path.
    pub name: Vec<u8>,
    /// What is wrong with it.
    pub reason: NameError,
}

/// The entries of one archive, in its order: by the bytes of their names, so that a directory precedes what lies in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FlattenPlan {
    entries: Vec<PlannedEntry>,
}

impl FlattenPlan {
    /// Plans one archive of what won everywhere in `tree`.
    ///
    /// # Errors
    ///
    /// A path that is longer or deeper than those of archives may be: following links makes such paths of allowed ones.
    pub fn new(tree: &MergedTree<'_>) -> Result<Self, Unwritable> {
        let mut entries = Vec::new();
        tree.walk(|path, node| {
            let object = tree.object(node);
            entries.push(PlannedEntry {
                name: name(path, object.kind),
                origin: Some(tree.provider(node)),
                kind: object.kind,
                mode: object.mode,
                modified: object.modified,
                bytes: object.size,
            });
        });
        Self { entries }.sorted()
    }

    /// The same below `directory`, which gets an entry, and so does every directory above it.
    ///
    /// # Errors
    ///
    /// A path that this makes too long or too deep.
    pub fn placed_under(mut self, directory: &LayerPath) -> Result<Self, Unwritable> {
        let mut prefix = name(directory, Kind::Directory);
        if directory.as_bytes().is_empty() {
            return Ok(self);
        }
        for entry in &mut self.entries {
            entry.name.splice(0..0, prefix.iter().copied());
        }
        while !prefix.is_empty() {
            self.entries.push(PlannedEntry {
                name: prefix.clone(),
                origin: None,
                kind: Kind::Directory,
                mode: Mode::DIRECTORY,
                modified: Timestamp::ZIP_EPOCH,
                bytes: 0,
            });
            prefix.pop();
            let parent = prefix.iter().rposition(|&byte| byte == b'/');
            prefix.truncate(parent.map_or(0, |slash| slash + 1));
        }
        self.sorted()
    }

    fn sorted(mut self) -> Result<Self, Unwritable> {
        self.entries
            .sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for entry in &self.entries {
            if let Err(reason) = EntryName(&entry.name).judge() {
                let name = entry.name.clone();
                return Err(Unwritable { name, reason });
            }
        }
        Ok(self)
    }

    /// Gives the entries that `is_meant` names the mode that Lambda needs and no more: 0755 to directories and to files that somebody may execute,
    /// 0644 to the others. "644 for non-executable files, 755 for directories and executable files" (AWS Lambda Developer
    /// Guide, *Working with .zip file archives for Python Lambda functions*).
    pub fn normalise_modes(&mut self, is_meant: impl Fn(&PlannedEntry) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| is_meant(entry)) {
            entry.mode = match entry.kind {
                Kind::Directory => Mode::DIRECTORY,
                Kind::File if entry.mode.bits() & 0o111 != 0 => Mode::from_bits(0o755),
                Kind::File => Mode::FILE,
                Kind::Symlink => Mode::SYMLINK,
            };
        }
    }

    /// Gives the entries that `is_meant` names one time.
    pub fn set_times(&mut self, modified: Timestamp, is_meant: impl Fn(&PlannedEntry) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| is_meant(entry)) {
            entry.modified = modified;
        }
    }

    /// Leaves out every entry of which `is_kept` says so. A directory must go with all that lies in it.
    pub fn retain(&mut self, is_kept: impl FnMut(&PlannedEntry) -> bool) {
        self.entries.retain(is_kept);
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[PlannedEntry] {
        &self.entries
    }

    /// How many entries are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .count()
    }

    /// What AWS counts: the bytes of all files and links.
    pub fn unzipped_bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }

    /// The entries whose time no archive can hold, and which get the nearest one that it can.
    pub fn clamped_times(&self) -> impl Iterator<Item = &PlannedEntry> {
        self.entries
            .iter()
            .filter(|entry| entry.modified.in_archive() != entry.modified)
    }
}

fn name(path: &LayerPath, kind: Kind) -> Vec<u8> {
    let mut name = path.as_bytes().to_vec();
    if kind == Kind::Directory {
        name.push(b'/');
    }
    name
}

/// What of one layer is not in the merged tree, because later layers override it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dropped {
    /// The layer.
    pub layer: LayerId,
    /// How many of its files and links.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What each layer loses, in merge order.
pub fn dropped(tree: &MergedTree<'_>, plan: &FlattenPlan) -> Vec<Dropped> {
    let mut all: Vec<Dropped> = tree
        .stack()
        .in_merge_order()
        .map(|(layer, content)| {
            let objects = content
                .node_ids()
                .map(|node| content.object(node))
                .filter(|object| object.kind != Kind::Directory);
            objects.fold(
                Dropped {
                    layer,
                    files: 0,
                    bytes: 0,
                },
                |sum, object| Dropped {
                    files: sum.files + 1,
                    bytes: sum.bytes.saturating_add(object.size),
                    ..sum
                },
            )
        })
        .collect();
    for entry in plan.entries() {
        if entry.kind != Kind::Directory
            && let Some(origin) = entry.origin
        {
            let layer = &mut all[usize::from(origin.layer.0)];
            layer.files = layer.files.saturating_sub(1);
            layer.bytes = layer.bytes.saturating_sub(entry.bytes);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str, kind: Kind) -> PlannedEntry {
        PlannedEntry {
            name: name.into(),
            origin: None,
            kind,
            mode: Mode::FILE,
            modified: Timestamp::ZIP_EPOCH,
            bytes: 0,
        }
    }

    #[test]
    fn what_is_placed_under_a_directory_gets_its_parents_and_stays_sorted() {
        let plan = FlattenPlan {
            entries: vec![planned("b", Kind::File), planned("a-b", Kind::File)],
        };
        let under = LayerPath::parse(b"python/lib").unwrap_or_default();
        let placed = plan.placed_under(&under).map(|plan| {
            plan.entries
                .into_iter()
                .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
                .collect::<Vec<_>>()
        });
        let expected = ["python/", "python/lib/", "python/lib/a-b", "python/lib/b"];
        assert_eq!(placed, Ok(expected.map(String::from).to_vec()));
    }

    #[test]
    fn a_path_that_gets_too_deep_is_named() {
        let plan = FlattenPlan {
            entries: vec![planned(&"d/".repeat(128), Kind::Directory)],
        };
        let under = LayerPath::parse(b"python").unwrap_or_default();
        let refused = plan.placed_under(&under);
        assert!(refused.is_err_and(|refused| refused.reason == NameError::TooDeep));
    }
}
