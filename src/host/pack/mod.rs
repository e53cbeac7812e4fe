//! Archives out: a directory or a merged tree as one reproducible zip.

pub mod archive;
pub mod deflate;
pub mod directory;
pub mod ignore_file;
pub mod output;
pub mod python;
mod queue;
#[cfg(feature = "read-back")]
mod read_back;
