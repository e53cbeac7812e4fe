//! What the bytes of one file say that a rule wants to know. Pure: bytes in, facts out.
//!
//! Every file is read anyway, to be verified; [`look`] is called with its bytes then, on whatever thread read it. A kind of
//! content is a file in this folder and a variant of [`FileFacts`].

mod bytecode;
mod class_file;
pub(super) mod link_text;
mod manifest;
mod native;
mod shebang;

use crate::path::LayerPath;
pub use manifest::Manifest;

pub use bytecode::{Bytecode, Validation};
pub use class_file::{ClassGroup, Jar};
pub use native::{Addon, ForeignFormat, Libc, NativeCode, NewestNeed};
pub use shebang::Shebang;

/// The bytes of a file as they were read.
#[derive(Clone, Copy, Debug)]
pub struct FileBytes<'a> {
    /// All of them, or the first ones of a file that is too large for memory.
    pub bytes: &'a [u8],
    /// Whether these are all.
    pub is_whole: bool,
}

/// What a file is by its content, with what the rules want to know of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileFacts {
    /// Text that is a path and nothing else, where a link could stand.
    LinkText(Vec<u8>),
    /// A zip archive that is no jar.
    Archive,
    /// An object in the Executable and Linkable Format.
    Elf(Box<NativeCode>),
    /// Native code of another system, where Linux's could stand.
    Foreign(ForeignFormat),
    /// A jar.
    Jar(Jar),
    /// Compiled Python.
    Bytecode(Bytecode),
    /// A script: its first line, `#!` left out, the carriage return of a CRLF kept.
    Script(Vec<u8>),
    /// A `package.json` below a `node_modules`.
    Manifest(Manifest),
}

/// What a file is; `None` for one that no rule wants to know more of.
pub fn look(path: &LayerPath, content: FileBytes<'_>) -> Option<FileFacts> {
    let name = path.components().next_back()?;
    if content.bytes.starts_with(b"PK\x03\x04") {
        if !name.ends_with(b".jar") {
            return Some(FileFacts::Archive);
        }
        return class_file::jar(content.bytes).map(FileFacts::Jar);
    }
    if let Some(code) = NativeCode::of(name, content.bytes) {
        return Some(FileFacts::Elf(Box::new(code)));
    }
    if name.ends_with(b".pyc") {
        return Bytecode::of(content.bytes).map(FileFacts::Bytecode);
    }
    if let Some(format) = ForeignFormat::of(content.bytes) {
        return Some(FileFacts::Foreign(format));
    }
    if let Some(script) = content.bytes.strip_prefix(b"#!") {
        let line = script.split(|&byte| byte == b'\n').next()?;
        // The kernel reads 256 bytes (`execve(2)`).
        return Some(FileFacts::Script(line.get(..256).unwrap_or(line).to_vec()));
    }
    if name == b"package.json" && path.components().any(|name| name == b"node_modules") {
        return Some(FileFacts::Manifest(Manifest::read(content.bytes)));
    }
    if content.is_whole
        && let Some(target) = link_text::target(path, content.bytes)
    {
        return Some(FileFacts::LinkText(target.to_vec()));
    }
    None
}
