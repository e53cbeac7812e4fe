//! From a name that nobody vouches for to a path that stays inside the root.
//!
//! [`EntryName`] holds the bytes as an archive or a directory gave them; [`EntryName::judge`] is the only way to the
//! components of a [`LayerPath`]. What writes to a disk accepts only the second. Paths are bytes throughout: Lambda's file
//! system is Linux, and a name needs no encoding there. A backslash is an ordinary character, as it is in Lambda.

use std::fmt;

/// Bytes in one name, `PATH_MAX` without the final NUL (`path_resolution(7)`).
pub const MAX_NAME_BYTES: usize = 4095;
/// Bytes in one component, `NAME_MAX` of every file system that a root is built on.
pub const MAX_COMPONENT_BYTES: usize = 255;
/// Components in one path. Real layers stay below 30; the bound keeps every walk of a tree short.
pub const MAX_DEPTH: usize = 128;

/// Why a name cannot become a path below the root.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It begins with `/`.
    #[error("the name is absolute")]
    Absolute,
    /// One component is longer than [`MAX_COMPONENT_BYTES`].
    #[error("a component of the name is {0} bytes long, more than 255")]
    ComponentTooLong(usize),
    /// It holds a byte below 0x20, or 0x7f.
    #[error("the name contains the control character 0x{0:02x}")]
    ControlCharacter(u8),
    /// It has more components than [`MAX_DEPTH`].
    #[error("the name has more than 128 levels")]
    TooDeep,
    /// It begins with a drive letter and a colon, which some readers drop and others keep.
    #[error("the name begins with a drive letter")]
    Drive,
    /// It has no bytes.
    #[error("the name is empty")]
    Empty,
    /// The archive calls it UTF-8 (general purpose bit 11), and it is not.
    #[error("the name is marked as UTF-8 and is not")]
    NotUtf8,
    /// It holds a NUL, where C programs stop reading.
    #[error("the name contains a NUL byte")]
    Nul,
    /// A component is `..`.
    #[error("the name leaves the root: it contains a `..` component")]
    Parent,
    /// It is longer than [`MAX_NAME_BYTES`].
    #[error("the name is {0} bytes long, more than 4095")]
    TooLong(usize),
}

/// A name as an archive or a directory gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryName<'a>(pub &'a [u8]);

impl<'a> EntryName<'a> {
    /// Judges the name; what is returned has no way out of the root.
    ///
    /// # Errors
    ///
    /// The first rule that the name breaks.
    pub fn judge(self) -> Result<JudgedName<'a>, NameError> {
        let bytes = self.0;
        match bytes {
            [] => return Err(NameError::Empty),
            [b'/', ..] => return Err(NameError::Absolute),
            [letter, b':', ..] if letter.is_ascii_alphabetic() => return Err(NameError::Drive),
            _ => {}
        }
        if bytes.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong(bytes.len()));
        }
        // Folds without an exit, which the compiler turns into a look at many bytes at once: every name of every layer passes here.
        let is_control = |byte: u8| byte < 0x20 || byte == 0x7f;
        if bytes
            .iter()
            .fold(false, |any, &byte| any | is_control(byte))
        {
            return Err(match bytes.iter().find(|&&byte| is_control(byte)) {
                None | Some(0) => NameError::Nul,
                Some(&byte) => NameError::ControlCharacter(byte),
            });
        }
        let name = JudgedName(bytes);
        // What is so short has no component that is too long, and not too many of them.
        const { assert!(MAX_COMPONENT_BYTES.div_ceil(2) <= MAX_DEPTH) };
        let are_dots = |(&one, &other): (&u8, &u8)| (one ^ b'.') | (other ^ b'.') == 0;
        let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
        let has_dots = pairs.fold(false, |any, pair| any | are_dots(pair));
        if bytes.len() <= MAX_COMPONENT_BYTES && !has_dots {
            return Ok(name);
        }
        let mut depth = 0;
        for component in name.components() {
            if component == b".." {
                return Err(NameError::Parent);
            }
            if component.len() > MAX_COMPONENT_BYTES {
                return Err(NameError::ComponentTooLong(component.len()));
            }
            depth += 1;
        }
        if depth > MAX_DEPTH {
            return Err(NameError::TooDeep);
        }
        Ok(name)
    }
}

/// A name whose components are all ordinary: none is `..`, none is too long, none holds a control character.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JudgedName<'a>(&'a [u8]);

impl<'a> JudgedName<'a> {
    /// A name that [`EntryName::judge`] accepted before.
    pub(crate) fn judged_before(bytes: &'a [u8]) -> Self {
        debug_assert!(EntryName(bytes).judge().is_ok(), "it was judged");
        Self(bytes)
    }

    /// The components from the root down, without the empty and `.` ones that some writers leave (`./a//b`).
    /// None at all means the root itself.
    pub fn components(self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty() && *component != b".")
    }

    /// Whether the name ends in `/`, which makes it a directory's (APPNOTE 4.3.8, 4.4.17).
    pub fn is_directory_name(self) -> bool {
        self.0.last() == Some(&b'/')
    }
}

/// A path below the root: components joined by `/`, no leading or trailing `/`; empty for the root itself.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerPath(Vec<u8>);

impl LayerPath {
    /// The root itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads a path that a person typed: relative to the root, or below `/opt`, where the root stands in Lambda.
    ///
    /// # Errors
    ///
    /// The rule of [`EntryName::judge`] that it breaks; an absolute path elsewhere than `/opt` is [`NameError::Absolute`].
    pub fn parse(typed: &[u8]) -> Result<Self, NameError> {
        let relative = match typed.strip_prefix(b"/opt") {
            Some(rest) if rest.iter().all(|&byte| byte == b'/') => return Ok(Self::root()),
            Some([b'/', rest @ ..]) => rest,
            _ => typed,
        };
        Ok(EntryName(relative).judge()?.into())
    }

    /// The bytes, as they stand on the disk.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// Goes down to `component`, which was judged: only trees of judged names call this.
    pub(crate) fn push(&mut self, component: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(component);
    }

    /// The length in bytes, to be given to [`LayerPath::truncate`] later.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Goes back up to a length that the path had.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}

impl<'a> From<JudgedName<'a>> for LayerPath {
    fn from(name: JudgedName<'a>) -> Self {
        let mut path = Self::root();
        for component in name.components() {
            path.push(component);
        }
        path
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LayerPath({self})")
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            formatter.write_str(".")
        } else {
            Escaped(&self.0).fmt(formatter)
        }
    }
}

/// Shows bytes to a person: UTF-8 as it is, control characters and what is not UTF-8 as `\xNN`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        write!(formatter, "\\x{byte:02x}")?;
                    }
                } else {
                    formatter.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(formatter, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &[u8]) -> Result<String, NameError> {
        Ok(LayerPath::from(EntryName(name).judge()?).to_string())
    }

    #[test]
    fn empty_and_dot_components_are_dropped() {
        for (name, expected) in [
            (&b"a/b"[..], "a/b"),
            (b"./a//./b", "a/b"),
            (b"a/", "a"),
            (b"a/.", "a"),
            (b"./", "."),
            (b".", "."),
            (b"a\\b", "a\\b"),
            (b"..a/b..", "..a/b.."),
            (b"caf\xe9", "caf\\xe9"),
        ] {
            assert_eq!(path(name).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn every_way_out_of_the_root_is_refused_by_name() {
        for (name, expected) in [
            (&b""[..], NameError::Empty),
            (b"/etc/passwd", NameError::Absolute),
            (b"../x", NameError::Parent),
            (b"a/../../x", NameError::Parent),
            (b"a/..", NameError::Parent),
            (b"C:/x", NameError::Drive),
            (b"a\0b", NameError::Nul),
            (b"a\nb", NameError::ControlCharacter(b'\n')),
            (b"a\x7f", NameError::ControlCharacter(0x7f)),
        ] {
            assert_eq!(path(name), Err(expected));
        }
        assert_eq!(path(&[b'a'; 256]), Err(NameError::ComponentTooLong(256)));
        assert_eq!(path(&b"a/".repeat(129)), Err(NameError::TooDeep));
        assert_eq!(path(&b"a".repeat(4096)), Err(NameError::TooLong(4096)));
        assert!(path(&b"a/".repeat(128)).is_ok());
    }

    #[test]
    fn a_typed_path_may_begin_with_opt() {
        for (typed, expected) in [
            (&b"/opt/python/x"[..], "python/x"),
            (b"python/x", "python/x"),
            (b"/opt", "."),
            (b"/opt/", "."),
            (b"optional", "optional"),
        ] {
            assert_eq!(
                LayerPath::parse(typed)
                    .map(|path| path.to_string())
                    .as_deref(),
                Ok(expected)
            );
        }
        assert_eq!(LayerPath::parse(b"/optional"), Err(NameError::Absolute));
    }
}
