//! Commands that run something in the layers, or say what it would see.

pub(crate) mod env;
mod environment;
pub(crate) mod exec;
pub(crate) mod hooks;
mod lowers;
pub(crate) mod mount;
pub(crate) mod mount_advice;
pub(crate) mod probe;
