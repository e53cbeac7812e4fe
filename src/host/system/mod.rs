//! What the rest of the host asks of the kernel: descriptors, whole files, removal, buffers, signals, children.

pub mod budget;
pub mod cache_folder;
pub mod child;
pub mod interrupt;
pub(in crate::host) mod pages;
pub(in crate::host) mod remove;
pub mod root;
pub(in crate::host) mod whole_file;
