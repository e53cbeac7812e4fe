//! The one file that leaves files out of a package, in the syntax of `gitignore(5)`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::host::error::HostError;

/// The name of the file, at the top of the directory that is packed.
pub const IGNORE_FILE: &str = ".slashoptignore";

/// What the file says.
#[derive(Debug)]
pub struct Ignored(Gitignore);

impl Ignored {
    /// Reads the file of `directory`, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a line of it is no pattern.
    pub fn read(directory: &Path) -> Result<Self, HostError> {
        let path = directory.join(IGNORE_FILE);
        let failed = |place: String, error| HostError::io("read the patterns", place, error);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(format!("`{}`", path.display()), error)),
        };
        let mut builder = GitignoreBuilder::new("");
        // As git does with a file that begins with the mark of UTF-8.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
            let place = || format!("`{}`: line {number}", path.display());
            let broken = |why: String| failed(place(), io::Error::other(why));
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let pattern =
                std::str::from_utf8(line).map_err(|_| broken("it is not UTF-8".to_owned()))?;
            builder
                .add_line(None, &without_alternatives(pattern))
                .map_err(|error| broken(error.to_string()))?;
        }
        let matcher = builder.build().map_err(|error| {
            failed(
                format!("`{}`", path.display()),
                io::Error::other(error.to_string()),
            )
        })?;
        Ok(Self(matcher))
    }

    /// Whether the object at `name` below the directory is left out. What lies in a directory that is left out is not asked
    /// for: it cannot be taken in again, as in git.
    pub fn leaves_out(&self, name: &[u8], is_directory: bool) -> bool {
        // The patterns are no content.
        name == IGNORE_FILE.as_bytes()
            || self
                .0
                .matched(Path::new(OsStr::from_bytes(name)), is_directory)
                .is_ignore()
    }
}

/// Braces mean themselves in git, and alternatives in the matcher unless they are escaped.
fn without_alternatives(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let (mut is_escaped, mut is_in_class) = (false, false);
    for character in pattern.chars() {
        match character {
            '{' | '}' if !is_escaped && !is_in_class => text.push('\\'),
            '[' if !is_escaped => is_in_class = true,
            ']' => is_in_class = false,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_ordinary_characters() {
        for (pattern, expected) in [
            ("a{b,c}", "a\\{b,c\\}"),
            ("a\\{b", "a\\{b"),
            ("[{}]x}", "[{}]x\\}"),
            ("\\\\{", "\\\\\\{"),
        ] {
            assert_eq!(without_alternatives(pattern), expected);
        }
    }
}
