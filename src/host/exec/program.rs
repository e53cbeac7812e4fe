//! What a command needs to start besides itself: the interpreter that its first line names, the loader that it was linked for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// As long as a first line may be (`BINPRM_BUF_SIZE` in Linux), and as the program headers of an executable are.
const HEAD_BYTES: usize = 4096;
/// The longest path that is believed.
const MAX_PATH_BYTES: u64 = 4096;
/// Interpreters of interpreters, as in Linux.
const MAX_DEPTH: usize = 5;
/// `PT_INTERP` in `elf(5)`.
const PT_INTERP: u32 = 3;

/// Why a file is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It is the command.
    Command,
    /// A script names it in its first line.
    Interpreter,
    /// An executable names it as its dynamic loader.
    Loader,
}

impl Role {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "the command",
            Self::Interpreter => "the command's interpreter",
            Self::Loader => "the command's loader",
        }
    }
}

/// The first of these files that can be executed, and all that it needs to start, as far as they exist.
pub fn needed(candidates: &[PathBuf], path: Option<&OsStr>) -> Vec<(Role, PathBuf)> {
    let mut found = Vec::new();
    let mut next = candidates
        .iter()
        .find(|file| is_executable(file))
        .map(|file| (Role::Command, file.clone()));
    while let Some((role, file)) = next.take().filter(|_| found.len() < MAX_DEPTH) {
        next = names_next(&file, path).ok().flatten();
        found.push((role, file));
    }
    found
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// What a file names that starts it.
fn names_next(file: &Path, path: Option<&OsStr>) -> io::Result<Option<(Role, PathBuf)>> {
    let file = File::open(file)?;
    let mut head = [0; HEAD_BYTES];
    let bytes = file.read_at(&mut head, 0)?;
    let head = head.get(..bytes).unwrap_or_default();
    if let Some(line) = head.strip_prefix(b"#!") {
        return Ok(interpreter(line, path).map(|path| (Role::Interpreter, path)));
    }
    let Some((offset, bytes)) = loader_place(head) else {
        return Ok(None);
    };
    // The length comes out of a file.
    let mut name = vec![0; usize::try_from(bytes.min(MAX_PATH_BYTES)).unwrap_or(0)];
    file.read_exact_at(&mut name, offset)?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Some((Role::Loader, PathBuf::from(OsStr::from_bytes(name)))))
}

/// The interpreter in a first line; what `env` would find for `#!/usr/bin/env NAME`.
fn interpreter(line: &[u8], path: Option<&OsStr>) -> Option<PathBuf> {
    let line = line.split(|&byte| byte == b'\n').next()?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let first = Path::new(OsStr::from_bytes(words.next()?));
    if first.file_name() != Some(OsStr::new("env")) {
        return Some(first.to_path_buf());
    }
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    let name = OsString::from(OsStr::from_bytes(name));
    let directories = path.map(std::env::split_paths).into_iter().flatten();
    directories
        .map(|directory| directory.join(&name))
        .find(|file| is_executable(file))
        .or_else(|| Some(first.to_path_buf()))
}

/// Where an executable of this machine's byte order names its loader: offset and length in the file, from `elf(5)`.
fn loader_place(head: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = head.get(at..at.checked_add(bytes)?)?;
        let little = field.iter().rev();
        Some(little.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    // 64 bits, little-endian: both of Lambda's architectures.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(number(32, 8)?).ok()?;
    let entry_bytes = usize::try_from(number(54, 2)?).ok()?;
    let entries = usize::try_from(number(56, 2)?).ok()?;
    (0..entries).find_map(|index| {
        let at = table.checked_add(index.checked_mul(entry_bytes)?)?;
        (number(at, 4)? == u64::from(PT_INTERP)).then(|| {
            Some((
                number(at.checked_add(8)?, 8)?,
                number(at.checked_add(32)?, 8)?,
            ))
        })?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_names_its_interpreter() {
        let path = Some(OsStr::new("/nowhere"));
        for (line, expected) in [
            (&b"/bin/sh\nrest"[..], Some("/bin/sh")),
            (b" /bin/sh -e\n", Some("/bin/sh")),
            (b"/usr/bin/env no-such-command\n", Some("/usr/bin/env")),
            (b"\n/bin/sh", None),
            (b"", None),
        ] {
            assert_eq!(interpreter(line, path), expected.map(PathBuf::from));
        }
    }

    #[test]
    fn this_program_names_its_loader_or_none() {
        let shell = needed(&[PathBuf::from("/bin/sh")], None);
        assert!(
            shell.iter().all(|(_, file)| file.is_absolute()),
            "{shell:?}"
        );
        assert_eq!(loader_place(b"\x7fELF\x02\x01"), None);
        assert_eq!(loader_place(&[0xff; 64]), None);
    }
}
