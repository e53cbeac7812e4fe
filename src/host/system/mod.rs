//! What the rest of the host asks of the kernel: descriptors, whole files, removal, buffers, signals, children.

pub mod budget;
pub mod cache_folder;
pub(in crate::host) mod checksum;
pub mod child;
mod child_failure;
pub mod durability;
pub(in crate::host) mod encoding;
pub mod errno;
pub mod home;
pub mod interrupt;
pub(super) mod pages;
pub(super) mod remove;
pub mod root;
pub(super) mod whole_file;
