//! What a root on disk holds.
//!
//! Nothing here writes. Answers are for printing and choosing, never for deciding where to write: a root
//! that somebody changes meanwhile can only make them stale.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use crate::environment::{OPT, RootView, VAR_TASK};

/// How many links a path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

/// A root on disk, answering [`RootView`].
///
/// Links are followed, but only inside the root: the tree may be looked at here and used elsewhere, so a
/// link that leaves it leads nowhere. An absolute link counts as inside where it begins with the place
/// that the root stands for (`/opt/python` in a root extracted to `/srv/layers`), or with the root's own.
#[derive(Clone, Debug)]
pub struct DiskRoot {
    root: PathBuf,
    stands_for: PathBuf,
}

impl DiskRoot {
    /// A directory that stands for `/opt`. It need not exist; then it holds nothing.
    pub fn opt(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            stands_for: PathBuf::from(OPT),
        }
    }

    /// A directory that stands for `/var/task`. It need not exist; then it holds nothing.
    pub fn task(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            stands_for: PathBuf::from(VAR_TASK),
        }
    }

    /// Whether the root itself is there.
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// The path on disk, free of links below the root, of what `path` leads to inside it.
    fn resolve(&self, path: &[u8]) -> Option<PathBuf> {
        // The components still to walk, the next one last.
        let mut ahead = reversed_components(Path::new(OsStr::from_bytes(path)))?;
        let mut walked: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(step) = ahead.pop() {
            if step == ".." {
                // Above the root there is nothing.
                walked.pop()?;
                continue;
            }
            walked.push(step);
            let here = self.on_disk(&walked);
            if !fs::symlink_metadata(&here).ok()?.is_symlink() {
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            let target = fs::read_link(&here).ok()?;
            walked.pop();
            if target.is_absolute() {
                walked.clear();
                ahead.extend(reversed_components(self.inside(&target)?)?);
            } else {
                ahead.extend(reversed_components(&target)?);
            }
        }
        Some(self.on_disk(&walked))
    }

    fn on_disk(&self, walked: &[OsString]) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(walked);
        path
    }

    /// The part of an absolute link's target below the root.
    fn inside<'a>(&self, target: &'a Path) -> Option<&'a Path> {
        target
            .strip_prefix(&self.stands_for)
            .or_else(|_| target.strip_prefix(&self.root))
            .ok()
    }
}

/// The names of a relative path from the last to the first, `..` among them; nothing if it is absolute.
fn reversed_components(path: &Path) -> Option<Vec<OsString>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => names.push(OsString::from("..")),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    names.reverse();
    Some(names)
}

impl RootView for DiskRoot {
    fn is_directory(&self, path: &[u8]) -> bool {
        self.resolve(path).is_some_and(|path| path.is_dir())
    }

    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let Some(Ok(entries)) = self.resolve(path).map(fs::read_dir) else {
            return Vec::new();
        };
        entries
            .flatten()
            .map(|entry| entry.file_name().into_vec())
            .collect()
    }

    fn provided_by(&self, _path: &[u8]) -> Vec<usize> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn directories_and_names_are_told() {
        let root = tree(&["python/a.py", "java/lib/a.jar", "java/lib/b.jar"]);
        let root_on_disk = DiskRoot::opt(root.path());
        assert!(root_on_disk.is_directory(b"python") && root_on_disk.is_directory(b""));
        assert!(
            !root_on_disk.is_directory(b"python/a.py")
                && !root_on_disk.is_directory(b"python/a.py/x")
        );
        assert!(!root_on_disk.is_directory(b"nothing"));
        let mut names = root_on_disk.names_in(b"java/lib");
        names.sort();
        assert_eq!(names, [b"a.jar".to_vec(), b"b.jar".to_vec()]);
        assert!(
            root_on_disk.names_in(b"python/a.py").is_empty()
                && root_on_disk.names_in(b"x").is_empty()
        );
        assert!(root_on_disk.provided_by(b"python").is_empty());
    }

    #[test]
    fn links_are_followed_inside_the_root_alone() {
        let root = tree(&["real/x"]);
        for (name, target) in [
            ("relative", "real"),
            ("through_opt", "/opt/real"),
            ("twice", "through_opt"),
            ("down_and_up", "real/../real"),
            ("outside", "/etc"),
            ("above", "../"),
            ("loop", "loop"),
            ("beside", "/optical"),
            ("dangling", "nothing"),
        ] {
            symlink(target, root.path().join(name)).unwrap();
        }
        symlink(root.path().join("real"), root.path().join("own")).unwrap();
        let root_on_disk = DiskRoot::opt(root.path());
        for inside in ["relative", "through_opt", "twice", "down_and_up", "own"] {
            assert!(root_on_disk.is_directory(inside.as_bytes()), "{inside}");
            assert_eq!(
                root_on_disk.names_in(inside.as_bytes()),
                [b"x".to_vec()],
                "{inside}"
            );
        }
        for outside in [
            "outside", "above", "loop", "beside", "dangling", "../etc", "/etc",
        ] {
            assert!(!root_on_disk.is_directory(outside.as_bytes()), "{outside}");
            assert!(
                root_on_disk.names_in(outside.as_bytes()).is_empty(),
                "{outside}"
            );
        }
    }

    #[test]
    fn a_missing_root_holds_nothing() {
        let above = tempfile::tempdir().unwrap();
        let root_on_disk = DiskRoot::opt(above.path().join("absent"));
        assert!(
            !root_on_disk.exists()
                && !root_on_disk.is_directory(b"")
                && root_on_disk.names_in(b"").is_empty()
        );
    }
}
