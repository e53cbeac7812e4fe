//! The layers of a command: what is typed, what it means, and how the stack is loaded or prepared.

pub(crate) mod args;
pub(crate) mod flags;
pub(crate) mod load;
pub(crate) mod lock_file;
#[cfg(not(feature = "registry"))]
mod no_registry;
mod prepare;
#[cfg(feature = "registry")]
mod registry;
pub(crate) mod resolved;
#[cfg(feature = "registry")]
pub(crate) mod store;
pub(crate) mod warnings;

/// Where layers are looked for that are not files: nowhere, in a program without the registry.
#[cfg(not(feature = "registry"))]
pub(crate) use no_registry::LayersRegistry;
/// Where layers are looked for that are not files.
#[cfg(feature = "registry")]
pub(crate) use store::StoreArgs as LayersRegistry;
