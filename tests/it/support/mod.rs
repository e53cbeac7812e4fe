//! What the tests are written with: archives made byte by byte, trees read from disk, commands run in a sandbox.
//! Nothing in here knows how the program works; it knows zip, Linux and the command line.

#![allow(
    dead_code,
    reason = "a vocabulary: a word that no test says today may be the one that tomorrow's needs"
)]

pub(crate) mod bare;
pub(crate) mod command;
pub(crate) mod machine;
pub(crate) mod project;
pub(crate) mod readers;
pub(crate) mod restricted;
pub(crate) mod runtime_api;
#[cfg(feature = "serve")]
pub(crate) mod server;

#[cfg(feature = "s3")]
pub(crate) mod s3;
pub(crate) mod strace;
pub(crate) mod tree;
pub(crate) mod zip;

/// Bytes as a reader wants to see them: text as it is, everything else escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}
