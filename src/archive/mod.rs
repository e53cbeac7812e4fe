//! The bytes of one zip archive, judged: which entries it has, and that every reader would see the same ones.
//!
//! The format is described by PKWARE's APPNOTE 6.3.10. Nothing here reads a file: [`DirectoryLocation::find`] is given the
//! last bytes of an archive, [`Archive::judge`] the central directory, and [`Archive::judge_local`] what lies between one
//! entry's local header and the next one's. The central directory is read into memory once and the entries point into it, so
//! that an archive costs no allocation an entry. Counts and sizes in an archive decide no allocation.

mod entry;
mod header;
mod in_memory;
mod index;
mod local;
mod location;
mod records;
mod rules;
mod write;

pub use entry::{Entry, MAX_TARGET_BYTES, Method};
pub(crate) use in_memory::ArchiveInMemory;
pub use index::Archive;
pub use local::LocalEntry;
pub use location::{DirectoryLocation, MAX_DIRECTORY_BYTES, TAIL_BYTES};
pub use rules::{BrokenRule, EntryPlace, Refusal, Strictness};
pub use write::{ArchiveWriter, NewEntry};
