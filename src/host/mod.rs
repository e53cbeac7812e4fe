//! All effects: files, threads, signals. A plan comes in, the machine changes, and every failure says what was attempted, on
//! what, and why.
//!
//! ```text
//! { serve | cache } ─> { store | check | pack | extract | exec } ─> { read | mount } ─> system ─> error
//! ```
//!
//! A wing names those to its right, and no other.

pub mod cache;
pub mod check;
pub mod error;
pub mod exec;
pub mod extract;
pub mod mount;
pub mod pack;
pub mod read;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "registry")]
pub mod store;
pub mod system;
