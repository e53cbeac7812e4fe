//! What is printed: reports, failures with their exit codes, JSON, and the words that several commands share.

pub(crate) mod failure;
pub(crate) mod global;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod words;
