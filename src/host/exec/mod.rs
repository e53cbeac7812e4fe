//! A command with the layers at `/opt`: namespaces, identities, programs, and what this machine allows.

pub mod namespace;
pub mod places;
pub mod probe;
pub mod process;
pub mod program;
