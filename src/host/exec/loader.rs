//! Where this machine's dynamic loader looks for libraries.
//!
//! Answers are for printing and choosing, never for deciding where to write.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How deep configuration files of the loader may include each other before we stop reading.
const MAX_INCLUDES: usize = 8;

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
