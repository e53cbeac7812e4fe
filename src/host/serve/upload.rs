//! The body of `PublishLayerVersion`, taken apart while it comes: the archive goes to a file, only the rest is kept in memory.
//!
//! An archive is one long string in a JSON document. Read whole it would take several times its size of memory for each who
//! publishes, so the string is found by following the document's structure and decoded piece by piece; the document, with an
//! empty string in its place, is left for a real parser to judge.

use std::io::Write;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr2;

use crate::registry::request::MAX_BODY_BYTES;
use crate::registry::{ApiError, Code};

/// The only operation with an archive.
pub(super) const OPERATION: &str = "PublishLayerVersion";
/// Characters of base64 that are decoded at once; a multiple of four.
const PIECE_CHARACTERS: usize = 16 << 10;
/// Bytes of everything but the archive, which is more than anything that is taken can need.
const MAX_REST_BYTES: usize = 512 << 10;
/// Bytes of the longest key that is looked at.
const MAX_KEY_BYTES: usize = 16;

/// With padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The archive cannot be kept.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn not_base64() -> UploadError {
    ApiError::new(Code::Serialization, "Content.ZipFile is not base64").into()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ScanState {
    /// Between strings.
    Structure,
    /// In a key that may matter.
    Key,
    /// In another string.
    Text,
    /// Behind a backslash of a key or another string.
    Escape { in_key: bool },
    /// In the archive.
    Archive,
    /// Behind a backslash of the archive, where PHP writes every slash.
    ArchiveEscape,
    /// In `\u` of the archive: the value so far, and how many digits are to come.
    ArchiveUnicode { value: u32, missing: u8 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Value {
    /// `Content.ZipFile`.
    Archive,
    /// `Content`, or something else in it.
    Content,
    Other,
}

/// A body that comes.
#[derive(Debug)]
pub(super) struct Upload<W> {
    to: W,
    state: ScanState,
    /// How many objects and arrays are open.
    depth: usize,
    /// Whether the outer two of them are objects.
    is_object: [bool; 2],
    /// Whether the next string is a key.
    is_key: bool,
    key: Vec<u8>,
    /// What the last key of the outer two objects leads to.
    value: Value,
    has_archive: bool,
    /// Base64 that is not decoded yet.
    piece: Vec<u8>,
    rest: Vec<u8>,
}

impl<W: Write> Upload<W> {
    /// The archive is written to `to`.
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            state: ScanState::Structure,
            depth: 0,
            is_object: [false; 2],
            is_key: false,
            key: Vec::new(),
            value: Value::Other,
            has_archive: false,
            piece: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// The archive is not base64 or cannot be written, or the rest is too long. Whether the rest is JSON is not judged here.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), UploadError> {
        while !bytes.is_empty() {
            if self.state == ScanState::Archive {
                let end = memchr2(b'"', b'\\', bytes);
                let (run, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.take(run)?;
                bytes = rest;
                if end.is_none() {
                    return Ok(());
                }
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.step(byte)?;
        }
        Ok(())
    }

    /// That was all: the document without the archive, and where the archive went, if there was one.
    pub(super) fn finish(self) -> (Vec<u8>, Option<W>) {
        (self.rest, self.has_archive.then_some(self.to))
    }

    fn step(&mut self, byte: u8) -> Result<(), UploadError> {
        match self.state {
            ScanState::Archive | ScanState::ArchiveEscape | ScanState::ArchiveUnicode { .. } => {
                return self.step_in_archive(byte);
            }
            ScanState::Structure => self.step_between(byte)?,
            ScanState::Key | ScanState::Text => {
                let in_key = self.state == ScanState::Key;
                match byte {
                    b'"' => {
                        if in_key {
                            self.note_key();
                        }
                        self.state = ScanState::Structure;
                    }
                    b'\\' => self.state = ScanState::Escape { in_key },
                    _ if in_key && self.key.len() <= MAX_KEY_BYTES => self.key.push(byte),
                    _ => {}
                }
            }
            ScanState::Escape { in_key } => {
                // A key that is written in such a way is none of those that matter here.
                if in_key {
                    self.key.push(b'\\');
                }
                self.state = if in_key {
                    ScanState::Key
                } else {
                    ScanState::Text
                };
            }
        }
        if self.rest.len() == MAX_REST_BYTES {
            return Err(ApiError::body_too_large(OPERATION, MAX_BODY_BYTES).into());
        }
        self.rest.push(byte);
        Ok(())
    }

    fn step_between(&mut self, byte: u8) -> Result<(), UploadError> {
        match byte {
            b'{' | b'[' => {
                if let Some(is_object) = self.is_object.get_mut(self.depth) {
                    *is_object = byte == b'{';
                }
                self.depth += 1;
                self.is_key = byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.is_key = false;
            }
            b',' => {
                let outer = self.depth.checked_sub(1);
                self.is_key = outer.is_some_and(|at| self.is_object.get(at) == Some(&true));
            }
            b':' => self.is_key = false,
            b'"' if self.is_key && (1..=2).contains(&self.depth) => {
                self.key.clear();
                self.state = ScanState::Key;
            }
            b'"' if self.depth == 2 && self.value == Value::Archive => {
                if self.has_archive {
                    let twice = "Content.ZipFile is there twice";
                    return Err(ApiError::new(Code::Serialization, twice).into());
                }
                self.has_archive = true;
                self.state = ScanState::Archive;
            }
            b'"' => self.state = ScanState::Text,
            _ => {}
        }
        Ok(())
    }

    fn note_key(&mut self) {
        self.value = match (self.depth, self.key.as_slice()) {
            (1, b"Content") => Value::Content,
            (2, b"ZipFile") if self.value != Value::Other => Value::Archive,
            (2, _) if self.value != Value::Other => Value::Content,
            _ => Value::Other,
        };
    }

    fn step_in_archive(&mut self, byte: u8) -> Result<(), UploadError> {
        self.state = match (self.state, byte) {
            (ScanState::Archive, b'"') => {
                self.decode()?;
                self.rest.push(byte);
                ScanState::Structure
            }
            (ScanState::Archive, _) => ScanState::ArchiveEscape,
            (ScanState::ArchiveEscape, b'/') => {
                self.take(b"/")?;
                ScanState::Archive
            }
            // Encoders that fold lines.
            (ScanState::ArchiveEscape, b'n' | b'r') => ScanState::Archive,
            (ScanState::ArchiveEscape, b'u') => ScanState::ArchiveUnicode {
                value: 0,
                missing: 4,
            },
            (ScanState::ArchiveUnicode { value, missing }, digit) => {
                let digit = char::from(digit).to_digit(16).ok_or_else(not_base64)?;
                let value = value << 4 | digit;
                if missing > 1 {
                    ScanState::ArchiveUnicode {
                        value,
                        missing: missing - 1,
                    }
                } else {
                    let byte = u8::try_from(value).map_err(|_| not_base64())?;
                    self.take(&[byte])?;
                    ScanState::Archive
                }
            }
            _ => return Err(not_base64()),
        };
        Ok(())
    }

    fn take(&mut self, mut run: &[u8]) -> Result<(), UploadError> {
        while !run.is_empty() {
            // Only when more comes: the last piece may have padding.
            if self.piece.len() == PIECE_CHARACTERS {
                // Padding ends the archive: nothing may follow it.
                if self.piece.contains(&b'=') {
                    return Err(not_base64());
                }
                self.decode()?;
            }
            let room = PIECE_CHARACTERS - self.piece.len();
            let (now, later) = run.split_at(run.len().min(room));
            self.piece.extend_from_slice(now);
            run = later;
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<(), UploadError> {
        let decoded = BASE64.decode(&self.piece).map_err(|_| not_base64())?;
        self.piece.clear();
        self.to.write_all(&decoded)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The document and the archive that come of a body which comes in pieces of so many bytes.
    fn taken(body: &[u8], piece: usize) -> Result<(String, Option<Vec<u8>>), String> {
        let mut upload = Upload::new(Vec::new());
        for piece in body.chunks(piece) {
            upload.push(piece).map_err(|error| error.to_string())?;
        }
        let (rest, archive) = upload.finish();
        Ok((String::from_utf8_lossy(&rest).into_owned(), archive))
    }

    #[test]
    fn the_archive_is_taken_out_and_the_rest_stays() {
        for (body, rest, archive) in [
            (
                r#"{"Content": {"ZipFile": "UEsFBg=="}, "Description": "\"ZipFile\": \"x\""}"#,
                r#"{"Content": {"ZipFile": ""}, "Description": "\"ZipFile\": \"x\""}"#,
                Some(b"PK\x05\x06".as_slice()),
            ),
            // No padding, slashes as PHP writes them, and a character by its number.
            (
                r#"{"Content":{"ZipFile":"\/\u002f8\u002B"}}"#,
                r#"{"Content":{"ZipFile":""}}"#,
                Some(b"\xff\xff>".as_slice()),
            ),
            (
                r#"{"Content":{"S3Key":"ZipFile","ZipFile":null}}"#,
                r#"{"Content":{"S3Key":"ZipFile","ZipFile":null}}"#,
                None,
            ),
            // Names that stand elsewhere.
            (
                r#"{"ZipFile":"UEsF","X":{"ZipFile":"UEsF"},"Content":{"Y":{"ZipFile":"UEsF"}}}"#,
                r#"{"ZipFile":"UEsF","X":{"ZipFile":"UEsF"},"Content":{"Y":{"ZipFile":"UEsF"}}}"#,
                None,
            ),
            (
                r#"{"Content":["ZipFile","UEsF"]}"#,
                r#"{"Content":["ZipFile","UEsF"]}"#,
                None,
            ),
            // Behind everything else in there.
            (
                r#"{"Content":{"a":[{"b":1}],"ZipFile":"UEsF"},"CompatibleRuntimes":["x"]}"#,
                r#"{"Content":{"a":[{"b":1}],"ZipFile":""},"CompatibleRuntimes":["x"]}"#,
                Some(b"PK\x05".as_slice()),
            ),
        ] {
            for piece in [1, 3, 1000] {
                assert_eq!(
                    taken(body.as_bytes(), piece),
                    Ok((rest.to_owned(), archive.map(<[u8]>::to_vec))),
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn archives_may_end_with_a_piece() {
        const PIECE_BYTES: usize = PIECE_CHARACTERS / 4 * 3;
        for length in
            (PIECE_BYTES - 3..=PIECE_BYTES + 3).chain(2 * PIECE_BYTES - 2..2 * PIECE_BYTES)
        {
            let archive = vec![7; length];
            let base64 = base64::engine::general_purpose::STANDARD.encode(&archive);
            let body = format!(r#"{{"Content":{{"ZipFile":"{base64}"}}}}"#);
            for piece in [1, 1000, 100_000] {
                let got = taken(body.as_bytes(), piece).map(|(_, archive)| archive);
                assert_eq!(got, Ok(Some(archive.clone())), "{length}");
            }
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for archive in ["!", "AA==AAAA", "A", r"\x", r"\u00", r"\u12345"] {
            let body = format!(r#"{{"Content":{{"ZipFile":"{archive}"}}}}"#);
            assert_eq!(
                taken(body.as_bytes(), 7),
                Err("Content.ZipFile is not base64".to_owned()),
                "{archive}"
            );
        }
        let twice = br#"{"Content":{"ZipFile":"AAAA","ZipFile":"AAAA"}}"#;
        assert_eq!(
            taken(twice, 7),
            Err("Content.ZipFile is there twice".to_owned())
        );
    }

    #[test]
    fn the_rest_is_bounded() {
        let body = format!(r#"{{"Description":"{}"}}"#, "x".repeat(MAX_REST_BYTES));
        assert!(taken(body.as_bytes(), 4096).is_err());
    }

    proptest! {
        #[test]
        fn any_document_is_read_as_a_parser_reads_it(
            archive in proptest::collection::vec(any::<u8>(), 0..200_000),
            description in any::<String>(),
            before in any::<bool>(),
            piece in 1_usize..100_000,
        ) {
            let base64 = base64::engine::general_purpose::STANDARD.encode(&archive);
            let content = serde_json::json!({ "ZipFile": base64, "S3Bucket": description });
            let body = if before {
                serde_json::json!({ "A": description, "Content": content })
            } else {
                serde_json::json!({ "Content": content, "Z": [{ "ZipFile": description }] })
            };
            let (rest, got) = taken(body.to_string().as_bytes(), piece).map_err(TestCaseError::fail)?;
            prop_assert_eq!(got, Some(archive));
            let mut expected = body;
            expected["Content"]["ZipFile"] = "".into();
            let rest: serde_json::Value = serde_json::from_str(&rest).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(rest, expected);
        }

        #[test]
        fn random_bytes_are_never_more_than_refused(body in proptest::collection::vec(any::<u8>(), 0..4096)) {
            drop(taken(&body, 100));
        }
    }
}
