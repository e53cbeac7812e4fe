//! All effects: files, threads, signals. A plan comes in, the machine changes, and every failure says what was attempted, on
//! what, and why.

#[cfg(feature = "s3")]
mod bucket;
pub mod cache;
pub mod error;
pub mod extract;
pub mod mount;
pub mod namespace;
pub mod pack;
pub mod places;
pub mod probe;
pub mod process;
pub mod program;
pub mod read;
#[cfg(feature = "serve")]
pub mod serve;
pub mod standing;
#[cfg(feature = "registry")]
pub mod store;
pub mod system;
