//! A command with the layers at `/opt`: namespaces, identities, programs, and what this machine allows.

pub mod disk_root;
pub mod loader;
pub mod namespace;
pub mod probe;
pub mod process;
pub mod program;
