//! What overrides what, and whether it matters.

mod class;
mod collision;
mod explanation;

pub use class::{Class, Counts};
pub use collision::{Collision, Collisions, SameBytes, pairs_to_compare};
pub use explanation::Explanation;
