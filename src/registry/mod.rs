//! Lambda's layer operations as pure functions: who asks, what for, what the store holds, and what the service answers.
//!
//! The service's own rules are kept to the letter, errors included: types, statuses and sentences are those that were recorded
//! on AWS in November 2025 and January 2026 (the snapshot tests of `LocalStack`), or that users quote; what nobody has recorded is said
//! where it is decided. An operation is done in three steps: [`Request`] is parsed and judged, whoever keeps the versions looks
//! up what [`operations`] asks for, and that decides the answer. Nothing here stores, sends or reads a clock.
//!
//! # Words
//!
//! A **layer** here is a name under an account and a region, and has **versions**, numbered from 1: a number is never used
//! again. What was published is the **archive**, known by its **digest**. A **policy** belongs to one version and lets other
//! accounts get it. A **caller** is who signed a request.

mod archive_source;
pub mod arn;
pub mod call;
mod caller;
pub mod error;
pub mod operations;
pub mod policy;
mod reference;
pub mod request;
mod runtimes;
#[cfg(feature = "serve")]
pub mod signature;
pub mod version;
mod violations;

pub use archive_source::ArchiveSource;
pub use arn::{Account, LayerArn, LayerName, Region, VersionArn};
pub use caller::Caller;
pub use error::{ApiError, Code};
pub use policy::{Policy, Principal, Statement};
pub use reference::Reference;
pub use request::Request;
pub use version::LayerVersion;
