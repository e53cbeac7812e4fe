//! The layers of a command: what is typed, what it means, and how the stack is loaded or prepared.

pub(crate) mod args;
pub(crate) mod flags;
pub(crate) mod load;
pub(crate) mod lock_file;
mod prepare;
#[cfg(feature = "registry")]
mod registry;
#[cfg(feature = "registry")]
pub(crate) mod store;
pub(crate) mod warnings;
