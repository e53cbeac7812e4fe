//! All effects: files, threads, signals. A plan comes in, the machine changes, and every failure says what was attempted, on
//! what, and why.

pub mod assemble;
#[cfg(feature = "s3")]
mod bucket;
pub mod budget;
pub mod bytecode;
pub mod cache;
pub mod child;
pub mod compare;
pub mod content;
pub mod deflate;
pub mod destination;
pub mod error;
pub mod extract;
pub mod ignored;
mod index;
mod inflate;
pub mod inspect;
pub mod interrupt;
mod listing;
pub mod mount;
mod moves;
pub mod namespace;
pub mod output;
pub mod pack;
mod pages;
pub mod places;
pub mod probe;
pub mod process;
pub mod program;
mod publish;
pub mod record;
mod remove;
pub mod restart;
pub mod root;
#[cfg(feature = "serve")]
pub mod serve;
pub mod source;
pub mod stage;
pub mod standing;
#[cfg(feature = "registry")]
pub mod store;
mod verify;
mod whole_file;
