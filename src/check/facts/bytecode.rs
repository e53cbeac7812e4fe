//! Python's compiled files: for which Python, and of which source.

/// What the first bytes of a `.pyc` say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Bytecode {
    /// The magic number, which each version of Python has its own of.
    pub magic: u16,
    /// How Python tells whether it is still that of the source.
    pub validation: Validation,
}

/// How Python tells whether a `.pyc` is that of its source (PEP 552).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Validation {
    /// By the time and the size of the source, both modulo 2^32.
    Timestamp {
        /// When the source was modified, in seconds since 1970.
        modified: u32,
        /// Bytes of the source.
        size: u32,
    },
    /// By a hash of the source, or not at all.
    Hash {
        /// Whether the source is read and hashed at each import.
        is_checked: bool,
    },
}

/// The magic number of the first Python whose `.pyc` has flags: 3.7.
const FIRST_WITH_FLAGS: u16 = 3390;
/// Magic numbers from here on are those of Python 2 and 3.0, whose `.pyc` records no size.
const WITHOUT_SIZE: u16 = 20_000;

impl Bytecode {
    /// Reads the header; `None` if it is none of Python 3.6 or later.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let [low, high, b'\r', b'\n'] = word(0)?.to_le_bytes() else {
            return None;
        };
        let magic = u16::from_le_bytes([low, high]);
        let timestamp = |at: usize| {
            Some(Validation::Timestamp {
                modified: word(at)?,
                size: word(at + 4)?,
            })
        };
        let validation = match magic {
            WITHOUT_SIZE.. => return None,
            FIRST_WITH_FLAGS.. => match word(4)? {
                0 => timestamp(8)?,
                flags if flags & 1 != 0 => Validation::Hash {
                    is_checked: flags & 2 != 0,
                },
                _ => return None,
            },
            _ => timestamp(4)?,
        };
        Some(Self { magic, validation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_pep_552() {
        let timestamp = Validation::Timestamp {
            modified: 0x0403_0201,
            size: 9,
        };
        for (bytes, expected) in [
            (
                // 3.12: magic, flags, time, size.
                &b"\xcb\x0d\r\n\0\0\0\0\x01\x02\x03\x04\x09\0\0\0"[..],
                Some((3531, timestamp)),
            ),
            (
                // 3.6: magic, time, size.
                b"\x33\x0d\r\n\x01\x02\x03\x04\x09\0\0\0",
                Some((3379, timestamp)),
            ),
            (
                b"\xcb\x0d\r\n\x01\0\0\0hashhash",
                Some((3531, Validation::Hash { is_checked: false })),
            ),
            (
                b"\xcb\x0d\r\n\x03\0\0\0hashhash",
                Some((3531, Validation::Hash { is_checked: true })),
            ),
            // Python 2.7, a flag that nobody defined, a file that is cut off, and something else.
            (b"\x03\xf3\r\n\x01\x02\x03\x04cccccccc", None),
            (b"\xcb\x0d\r\n\x04\0\0\0hashhash", None),
            (b"\xcb\x0d\r\n\0\0\0\0\x01", None),
            (b"not bytecode at all", None),
        ] {
            let read = Bytecode::of(bytes).map(|read| (read.magic, read.validation));
            assert_eq!(read, expected, "{bytes:?}");
        }
    }
}
