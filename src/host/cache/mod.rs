//! The cache: one immutable tree a layer, and a record a stack, so that a function starts without reading an archive.
//!
//! ```text
//! trees/NAME       a tree: a layer (`1-DIGEST`), corrections (`1c-DIGEST`) or a whole merge (`1m-DIGEST`) of a stack
//! records/NAME     what the tree is made of, when it was known to be whole; written last, without it there is no tree
//! manifests/NAME   every object of the tree with its checksum
//! stacks/DIGEST    which trees a stack is mounted of, and what there is to say of it; locked by whoever uses it
//! memo/ID          the digest of a file or directory that has not changed since
//! locks/           locks of builders        trash/  what is being removed        roots/  see `record`
//! ```
//!
//! Trees are built by the engine that `extract` has, under a lock, and renamed in. Who starts a function takes no lock but a
//! shared one on the stack's record, and does nothing that grows with the layers.

mod boot;
mod builder;
mod damage;
mod ensure;
mod hooks;
mod layers;
mod lock;
pub(super) mod memo;
mod open;
mod planned_tree;
mod prepare;
mod prune;
mod ready;
mod stack;
mod stack_record;
mod tree_record;
mod trees;

pub use damage::Damage;
pub use ensure::Built;
pub use open::Cache;
pub use prune::{Damaged, Pruned, Pruning, RECENT, Stored, Verified};
pub use ready::{Building, Ready, ReadyLayer, StackPolicy};
pub use tree_record::{TreeKey, TreeKind};
