//! The layers of a command: what is typed, what it means, and how the stack is loaded or prepared.

pub(crate) mod args;
pub(crate) mod flags;
pub(crate) mod lock_file;
mod prepare;
#[cfg(feature = "registry")]
mod registry;
