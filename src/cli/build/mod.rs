//! Commands that make something: roots, archives, trees in the cache, lock files.

pub(crate) mod archive;
pub(crate) mod cache;
pub(crate) mod extract;
pub(crate) mod flatten;
pub(crate) mod lock;
pub(crate) mod pack;
