//! What happened to something that two sides may have.

/// What happened to an object, seen from the left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Happened {
    /// Only the right side has it.
    Added,
    /// Only the left side has it.
    Removed,
    /// Both have it.
    Changed,
}
