//! What is typed, as values: runtimes, targets, paths, sizes, assignments.

pub(crate) mod runtime;
pub(crate) mod target;
pub(crate) mod values;
