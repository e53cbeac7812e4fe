//! What a root on disk holds, and where this machine's loader looks: the environment's two questions to
//! the disk.
//!
//! Nothing here writes. Answers are for printing and choosing, never for deciding where to write: a root
//! that somebody changes meanwhile can only make them stale.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::environment::{OPT, RootView, VAR_TASK};

/// How many links a path may lead through, as in Linux.
const MAX_LINKS: usize = 40;
/// How deep configuration files of the loader may include each other before we stop reading.
const MAX_INCLUDES: usize = 8;

/// A root on disk, answering [`RootView`].
///
/// Links are followed, but only inside the root: the tree may be looked at here and used elsewhere, so a
/// link that leaves it leads nowhere. An absolute link counts as inside where it begins with the place
/// that the root stands for (`/opt/python` in a root extracted to `/srv/layers`), or with the root's own.
#[derive(Clone, Debug)]
pub struct DiskPlaces {
    root: PathBuf,
    stands_for: PathBuf,
}

impl DiskPlaces {
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

impl RootView for DiskPlaces {
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

/// The directories in which this machine's dynamic loader looks by itself, as far as they exist and each
/// once, in its order.
///
/// They are named in `LD_LIBRARY_PATH` before any directory of a layer, for the loader searches that
/// variable before them. Otherwise a library that a layer happens to bring, built for Amazon Linux, would
/// take the place of the system's in every program: at best an unknown symbol version, at worst another
/// `libcrypto` than the one the distribution patches. On Lambda the system's come first for the same
/// reason.
///
/// For glibc these are the directories of `/etc/ld.so.conf`, in the order written, then the ones it was
/// built with, for `x86_64` and `arm64` alike with Debian's multiarch directories first (ld.so(8)); for
/// musl the lines of `/etc/ld-musl-ARCH.path`, else `/lib`, `/usr/local/lib` and `/usr/lib`.
pub fn loader_directories() -> Vec<PathBuf> {
    loader_directories_of(Path::new("/"), std::env::consts::ARCH)
}

/// The like for a system whose files lie under `system`; `architecture` is the name that Linux has for it.
fn loader_directories_of(system: &Path, architecture: &str) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let musl = format!("ld-musl-{architecture}");
    if below(system, Path::new("/lib").join(format!("{musl}.so.1"))).exists()
        && !below(system, "/etc/ld.so.conf").exists()
    {
        let listed = fs::read(below(
            system,
            Path::new("/etc").join(format!("{musl}.path")),
        ));
        let separates = |byte: &u8| matches!(byte, b'\n' | b':');
        match &listed {
            Ok(text) => directories.extend(
                text.split(separates)
                    .map(OsStr::from_bytes)
                    .map(PathBuf::from),
            ),
            Err(_) => directories.extend(["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from)),
        }
    } else {
        read_configuration(
            system,
            Path::new("/etc/ld.so.conf"),
            MAX_INCLUDES,
            &mut directories,
        );
        let multiarch = format!("{architecture}-linux-gnu");
        directories.extend(["/lib", "/usr/lib"].map(|library| Path::new(library).join(&multiarch)));
        directories.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
    }
    existing_once(system, directories)
}

/// Adds the directories that a file of the loader's configuration names (ldconfig(8)): separated by
/// blanks, `,` or `:`, with `#` for comments and `include` for other files.
fn read_configuration(system: &Path, file: &Path, depth: usize, directories: &mut Vec<PathBuf>) {
    let Ok(text) = fs::read(below(system, file)) else {
        return;
    };
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = line
            .split(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b':'))
            .filter(|word| !word.is_empty());
        match words.next() {
            Some(b"include") if depth > 0 => {
                for pattern in words {
                    for included in matching(system, file, Path::new(OsStr::from_bytes(pattern))) {
                        read_configuration(system, &included, depth - 1, directories);
                    }
                }
            }
            Some(b"include" | b"hwcap") | None => {}
            Some(first) => directories.extend(
                std::iter::once(first)
                    .chain(words)
                    .map(OsStr::from_bytes)
                    .map(PathBuf::from),
            ),
        }
    }
}

/// The files that an `include` names, sorted; only its last component may be a pattern.
fn matching(system: &Path, file: &Path, pattern: &Path) -> Vec<PathBuf> {
    let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern);
    let (Some(directory), Some(wanted)) = (pattern.parent(), pattern.file_name()) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(below(system, directory)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.file_name())
        // As in a shell, `*` does not find hidden files.
        .filter(|name| wanted == name || !name.as_bytes().starts_with(b"."))
        .filter(|name| matches_pattern(name.as_bytes(), wanted.as_bytes()))
        .map(|name| directory.join(name))
        .collect();
    files.sort();
    files
}

/// Whether a name fits a pattern in which `*` stands for any letters and `?` for one.
fn matches_pattern(name: &[u8], pattern: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches_pattern(name, rest) => true,
        (Some((b'*', _)), Some((_, name))) => matches_pattern(name, pattern),
        (Some((b'?', rest)), Some((_, name))) => matches_pattern(name, rest),
        (Some((wanted, rest)), Some((letter, name))) => {
            wanted == letter && matches_pattern(name, rest)
        }
        _ => false,
    }
}

/// The directories that exist, each only under the first of its names (`/lib` is often `/usr/lib`), so
/// that the loader does not look twice for every library of every program.
fn existing_once(system: &Path, directories: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let is_new = |directory: &PathBuf| {
        // A `:` cannot be escaped in a search path.
        let is_usable =
            directory.is_absolute() && !directory.as_os_str().as_bytes().contains(&b':');
        let Ok(found) = fs::metadata(below(system, directory)) else {
            return false;
        };
        let identity = (found.dev(), found.ino());
        let is_new = is_usable && found.is_dir() && !seen.contains(&identity);
        if is_new {
            seen.push(identity);
        }
        is_new
    };
    directories.into_iter().filter(is_new).collect()
}

/// An absolute path as seen under `system`.
fn below(system: &Path, path: impl AsRef<Path>) -> PathBuf {
    system.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()))
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
        let places = DiskPlaces::opt(root.path());
        assert!(places.is_directory(b"python") && places.is_directory(b""));
        assert!(!places.is_directory(b"python/a.py") && !places.is_directory(b"python/a.py/x"));
        assert!(!places.is_directory(b"nothing"));
        let mut names = places.names_in(b"java/lib");
        names.sort();
        assert_eq!(names, [b"a.jar".to_vec(), b"b.jar".to_vec()]);
        assert!(places.names_in(b"python/a.py").is_empty() && places.names_in(b"x").is_empty());
        assert!(places.provided_by(b"python").is_empty());
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
        let places = DiskPlaces::opt(root.path());
        for inside in ["relative", "through_opt", "twice", "down_and_up", "own"] {
            assert!(places.is_directory(inside.as_bytes()), "{inside}");
            assert_eq!(
                places.names_in(inside.as_bytes()),
                [b"x".to_vec()],
                "{inside}"
            );
        }
        for outside in [
            "outside", "above", "loop", "beside", "dangling", "../etc", "/etc",
        ] {
            assert!(!places.is_directory(outside.as_bytes()), "{outside}");
            assert!(places.names_in(outside.as_bytes()).is_empty(), "{outside}");
        }
    }

    #[test]
    fn a_missing_root_holds_nothing() {
        let places = DiskPlaces::opt("/nonexistent/slashopt");
        assert!(!places.exists() && !places.is_directory(b"") && places.names_in(b"").is_empty());
    }

    fn loaders(system: &tempfile::TempDir, architecture: &str) -> Vec<String> {
        let found = loader_directories_of(system.path(), architecture);
        found
            .into_iter()
            .map(|path| path.into_os_string().into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_loader_looks_where_its_configuration_says_and_then_in_its_own_directories() {
        let system = tree(&[
            "etc/ld.so.conf.d/20-b.conf",
            "usr/lib64/x",
            "usr/lib/aarch64-linux-gnu/x",
            "usr/local/lib/x",
            "opt/vendor/x",
            "extra/x",
        ]);
        let at = |path: &str| system.path().join(path);
        fs::write(
            at("etc/ld.so.conf"),
            "# a\ninclude ld.so.conf.d/*.conf\n/extra # b\nhwcap 1 x\n",
        )
        .unwrap();
        fs::write(at("etc/ld.so.conf.d/20-b.conf"), "/opt/vendor:/gone\n").unwrap();
        fs::write(
            at("etc/ld.so.conf.d/10-a.conf"),
            "/usr/local/lib\nrelative\n",
        )
        .unwrap();
        fs::write(at("etc/ld.so.conf.d/.hidden.conf"), "/hidden\n").unwrap();
        fs::write(
            at("etc/ld.so.conf.d/loop.conf"),
            "include /etc/ld.so.conf\n",
        )
        .unwrap();
        symlink("usr/lib64", at("lib64")).unwrap();
        symlink("usr/lib", at("lib")).unwrap();
        assert_eq!(
            loaders(&system, "aarch64"),
            [
                "/usr/local/lib",
                "/opt/vendor",
                "/extra",
                "/lib/aarch64-linux-gnu",
                "/lib64",
                "/lib",
            ]
        );
        assert!(
            !loaders(&system, "x86_64")
                .iter()
                .any(|one| one.contains("linux-gnu"))
        );
    }

    #[test]
    fn musls_loader_has_a_file_of_its_own() {
        let system = tree(&[
            "lib/ld-musl-x86_64.so.1",
            "usr/lib/x",
            "usr/local/lib/x",
            "deep/x",
        ]);
        assert_eq!(
            loaders(&system, "x86_64"),
            ["/lib", "/usr/local/lib", "/usr/lib"]
        );
        fs::create_dir(system.path().join("etc")).unwrap();
        fs::write(
            system.path().join("etc/ld-musl-x86_64.path"),
            "/deep\n/lib:/gone\n",
        )
        .unwrap();
        assert_eq!(loaders(&system, "x86_64"), ["/deep", "/lib"]);
    }

    #[test]
    fn this_machines_loader_directories_exist_and_none_comes_twice() {
        let found = loader_directories();
        assert!(!found.is_empty() && found.iter().all(|directory| directory.is_dir()));
        assert!((1..found.len()).all(|place| !found[..place].contains(&found[place])));
    }
}
