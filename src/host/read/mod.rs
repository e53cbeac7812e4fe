//! Layers in: archives and directories are opened, listed, judged, read, compared and hashed.

pub mod compare;
pub(in crate::host) mod digest;
pub mod entry;
mod entry_place;
pub(in crate::host) mod index;
pub(in crate::host) mod inflate;
pub mod inspect;
pub(in crate::host) mod listing;
pub mod stack;
pub(in crate::host) mod verify;
mod window;
