//! One object that a layer names: what kind it is, with which mode, time and content.

use std::fmt;

use crate::timestamp::Timestamp;

/// What an object is. Lambda layers hold nothing else: devices, FIFOs and sockets are refused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, whatever its target.
    Symlink,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink => "symlink",
        })
    }
}

/// Permission bits: the low nine, never set-id or sticky ones.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mode(u16);

impl Mode {
    /// What a directory gets that has no mode of its own.
    pub const DIRECTORY: Self = Self(0o755);
    /// What a file gets that has no mode of its own.
    pub const FILE: Self = Self(0o644);
    /// What nobody but the owner can enter.
    pub const PRIVATE: Self = Self(0o700);
    /// What the kernel shows for every symbolic link.
    pub const SYMLINK: Self = Self(0o777);

    /// Keeps the permission bits of a Unix mode.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0o777)
    }

    /// The nine bits.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mode {
    /// Four octal digits, as in `0644`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

/// What an object is and carries, apart from its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its permission bits, after Lambda's rule for directories ([`Object::new`]).
    pub mode: Mode,
    /// When it was last modified.
    pub modified: Timestamp,
    /// Bytes of a file, or of a link's target; 0 for a directory.
    pub size: u64,
    /// CRC-32 of those bytes; a directory that serves as a layer does not know it before somebody has read the file.
    pub crc32: Option<u32>,
}

impl Object {
    /// The object of a `kind` with these Unix mode bits, `None` where an archive gives none.
    ///
    /// A directory that somebody could not read and enter becomes 0755: "If you don't grant Lambda the permissions it needs
    /// to access directories in your deployment package, Lambda sets the permissions for those directories to 755" (AWS
    /// Lambda Developer Guide, *Working with .zip file archives for Python Lambda functions*). A file's mode is never touched.
    pub const fn new(
        kind: Kind,
        unix_mode: Option<u16>,
        modified: Timestamp,
        size: u64,
        crc32: Option<u32>,
    ) -> Self {
        let mode = match (kind, unix_mode) {
            (Kind::Symlink, _) => Mode::SYMLINK,
            (Kind::File, Some(bits)) => Mode::from_bits(bits),
            (Kind::File, None) => Mode::FILE,
            (Kind::Directory, Some(bits)) if bits & 0o555 == 0o555 => Mode::from_bits(bits),
            (Kind::Directory, _) => Mode::DIRECTORY,
        };
        Self {
            kind,
            mode,
            modified,
            size,
            crc32,
        }
    }

    /// A directory that no entry describes: it exists because something lies below it.
    pub const IMPLIED: Self = Self::new(Kind::Directory, None, Timestamp::ZIP_EPOCH, 0, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_lambda_could_not_enter_get_another_mode() {
        for (kind, bits, expected) in [
            (Kind::File, Some(0o100_600), "0600"),
            (Kind::File, Some(0o104_755), "0755"),
            (Kind::File, Some(0o100_000), "0000"),
            (Kind::File, None, "0644"),
            (Kind::Directory, Some(0o040_700), "0755"),
            (Kind::Directory, Some(0o041_777), "0777"),
            (Kind::Directory, Some(0o040_555), "0555"),
            (Kind::Directory, None, "0755"),
            (Kind::Symlink, Some(0o120_644), "0777"),
        ] {
            assert_eq!(
                Object::new(kind, bits, Timestamp(0), 0, None)
                    .mode
                    .to_string(),
                expected
            );
        }
    }
}
