//! Commands that explain: what overrides what, what would fail, what changed.

pub(crate) mod check;
pub(crate) mod collisions;
pub(crate) mod diff;
pub(crate) mod inventory;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod which;
