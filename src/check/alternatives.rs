//! Files of which a program picks one: builds of one thing for several platforms, side by side.
//!
//! Packages bring an addon for every platform, or a library for every Python, and load the one that fits. The others are no
//! mistake, so nothing is said of them while one fits.

/// Words in names that say for which platform a file is. What they have in common is dropped from a path, so that files for
/// several platforms get the same one. A word that begins another one stands after it.
const PLATFORM_WORDS: [&str; 44] = [
    "x86_64",
    "x86-64",
    "x86",
    "amd64",
    "x64",
    "aarch64",
    "arm64v8",
    "arm64",
    "armv8",
    "armv7l",
    "armv7",
    "armv6l",
    "armv6",
    "armhf",
    "arm",
    "ia32",
    "i386",
    "i586",
    "i686",
    "386",
    "ppc64le",
    "ppc64",
    "s390x",
    "riscv64",
    "loong64",
    "mips64el",
    "mips64le",
    "mipsel",
    "linuxmusl",
    "linux",
    "musl",
    "glibc",
    "gnueabihf",
    "gnu",
    "darwin",
    "macos",
    "osx",
    "windows",
    "win32",
    "win64",
    "win",
    "freebsd",
    "openbsd",
    "android",
];

/// The path without the words that name a platform or a version of Node.js, and without what separates them: the same one for
/// `prebuilds/linux-x64/a.node` and for `prebuilds/darwin-arm64/a.node`.
pub(super) fn common_path(path: &[u8]) -> Vec<u8> {
    let mut common = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let starts_word = common.last().is_none_or(|byte| !is_of_word(*byte));
        if let Some(word) = starts_word.then(|| platform_word(rest)).flatten() {
            rest = rest.get(word..).unwrap_or_default();
            while matches!(common.last(), Some(b'-' | b'_' | b'.' | b'+')) {
                common.pop();
            }
        } else {
            common.push(byte);
            rest = after;
        }
    }
    common
}

/// How long the platform's word is that stands at the beginning.
fn platform_word(text: &[u8]) -> Option<usize> {
    let ends_there = |length: usize| text.get(length).is_none_or(|byte| !is_of_word(*byte));
    let of_node = addon_directory(text).map(|(_, length)| length);
    of_node.or_else(|| module_version_tag(text)).or_else(|| {
        PLATFORM_WORDS
            .iter()
            .map(|word| word.len())
            .zip(PLATFORM_WORDS)
            .find(|(length, word)| text.starts_with(word.as_bytes()) && ends_there(*length))
            .map(|(length, _)| length)
    })
}

/// `abi108`, as prebuildify tags file names: how many bytes it has.
fn module_version_tag(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"abi")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ends_there = rest.get(digits).is_none_or(|byte| !is_of_word(*byte));
    (digits > 0 && ends_there).then_some(b"abi".len() + digits)
}

/// `node-v108`, as node-pre-gyp names directories: the module version, and how many bytes say so.
pub(super) fn addon_directory(text: &[u8]) -> Option<(u16, usize)> {
    let rest = text.strip_prefix(b"node-v")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(rest.get(..digits)?).ok()?;
    Some((number.parse().ok()?, b"node-v".len() + digits))
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The package that a path lies in, as far as its folders say: its own directory below `node_modules` or in one of Python's, or
/// else the directory that the file is in.
pub(super) fn package_of(path: &[u8]) -> &[u8] {
    let components = |from: usize, count: usize| {
        let rest = path.get(from..).unwrap_or_default();
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let (end, _) = ends.clone().nth(count - 1)?;
        path.get(..from + end)
    };
    let after = |folder: &[u8]| {
        path.windows(folder.len())
            .rposition(|window| window == folder)
            .map(|at| at + folder.len())
    };
    let in_folder = if let Some(from) = after(b"node_modules/") {
        let is_scoped = path.get(from) == Some(&b'@');
        components(from, if is_scoped { 2 } else { 1 })
    } else if let Some(from) = after(b"site-packages/") {
        components(from, 1)
    } else if path.starts_with(b"python/") {
        components(b"python/".len(), 1)
    } else {
        None
    };
    in_folder.unwrap_or_else(|| {
        let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        path.get(..end).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Escaped;

    #[test]
    fn builds_of_one_thing_have_one_path_in_common() {
        for (one, other) in [
            (
                "a/prebuilds/linux-x64/a.node",
                "a/prebuilds/darwin-x64+arm64/a.node",
            ),
            (
                "a/prebuilds/linux-x64/node.napi.glibc.node",
                "a/prebuilds/android-arm/node.napi.armv7.node",
            ),
            (
                "@img/sharp-linux-arm64/lib/sharp-linux-arm64.node",
                "@img/sharp-linuxmusl-x64/lib/sharp-linuxmusl-x64.node",
            ),
            (
                "a/b.cpython-312-x86_64-linux-gnu.so",
                "a/b.cpython-312-aarch64-linux-gnu.so",
            ),
            ("bin/amd64/tool", "bin/arm64/tool"),
            (
                "prebuilds/linux-x64/a.musl.node.abi108.node",
                "prebuilds/linux-arm64/a.node.abi127.node",
            ),
            (
                "binding/node-v108-linux-x64/a.node",
                "binding/node-v115-linux-arm64/a.node",
            ),
        ] {
            let [one, other] = [one, other].map(|path| common_path(path.as_bytes()));
            assert_eq!(Escaped(&one).to_string(), Escaped(&other).to_string());
        }
        for path in ["python/alarm/b.so", "lib/libx64dbg.so", "a/gnumeric"] {
            assert_eq!(common_path(path.as_bytes()), path.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_file_lies_in_the_package_that_its_folders_name() {
        for (path, package) in [
            ("python/numpy/core/a.so", "python/numpy"),
            (
                "python/lib/python3.12/site-packages/numpy/a.so",
                "python/lib/python3.12/site-packages/numpy",
            ),
            ("python/a.so", "python"),
            ("nodejs/node_modules/a/b.node", "nodejs/node_modules/a"),
            (
                "nodejs/node_modules/@s/a/node_modules/b/c/d.node",
                "nodejs/node_modules/@s/a/node_modules/b",
            ),
            (
                "nodejs/node_modules/@s/a/b.node",
                "nodejs/node_modules/@s/a",
            ),
            ("lib/a.so", "lib"),
            ("bootstrap", ""),
        ] {
            let found = package_of(path.as_bytes());
            assert_eq!(Escaped(found).to_string(), package, "{path}");
        }
    }
}
