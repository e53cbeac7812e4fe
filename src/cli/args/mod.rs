//! What is typed, as values: runtimes, architectures, targets, paths, sizes, assignments.

pub(crate) mod architecture;
pub(crate) mod runtime;
pub(crate) mod target;
pub(crate) mod values;
