//! Layers in: archives and directories are opened, listed, judged, read, compared and hashed.

pub mod compare;
pub(super) mod digest;
pub mod entry;
mod entry_place;
pub(super) mod index;
pub(super) mod inflate;
pub mod input;
pub mod inspect;
pub(super) mod listing;
pub mod load;
pub mod object;
pub mod options;
pub mod source;
pub mod stack;
pub(super) mod verify;
mod window;
