//! A SHA-256 as people write it: `sha256:` and 64 lowercase hex digits.

use std::fmt;
use std::str::FromStr;

/// Bytes of a SHA-256.
pub const DIGEST_BYTES: usize = 32;
/// What a digest begins with.
pub const PREFIX: &str = "sha256:";

/// The SHA-256 of something.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(pub [u8; DIGEST_BYTES]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 lowercase hex digits")]
pub struct NotADigest;

impl Digest {
    /// The 64 hex digits alone, as in names of files.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit =
            |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        self.0
            .iter()
            .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
            .collect()
    }

    /// What tells it from every other one where 16 bytes must do.
    pub fn identity(&self) -> (u64, u64) {
        let mut eights = self.0.as_chunks().0.iter();
        let mut next = || eights.next().copied().map_or(0, u64::from_le_bytes);
        (next(), next())
    }

    /// Reads 64 hex digits; upper case is refused, so that one digest has one name.
    ///
    /// # Errors
    ///
    /// [`NotADigest`].
    pub fn from_hex(hex: &[u8]) -> Result<Self, NotADigest> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(NotADigest),
        };
        let (pairs, rest) = hex.as_chunks::<2>();
        if pairs.len() != DIGEST_BYTES || !rest.is_empty() {
            return Err(NotADigest);
        }
        let mut bytes = [0; DIGEST_BYTES];
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        Self::from_hex(text.strip_prefix(PREFIX).ok_or(NotADigest)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written_and_in_no_other_form() {
        let digest = Digest(std::array::from_fn(|place| {
            u8::try_from(place * 8).unwrap_or(0)
        }));
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        for broken in [
            "",
            "sha256:",
            &text.to_uppercase(),
            text.strip_prefix(PREFIX).unwrap_or_default(),
            &format!("{text}0"),
            &text.replace('8', "g"),
            &text.replace("sha256", "sha512"),
        ] {
            assert_eq!(broken.parse::<Digest>(), Err(NotADigest), "{broken}");
        }
    }
}
