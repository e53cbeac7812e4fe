//! What is known of the collisions of a stack.

use slashopt::collisions::{Collisions, Explanation};
use slashopt::host::read::stack::LoadedStack;
use slashopt::merge::MergedTree;
use slashopt::packages::{Cures, Packages};
use slashopt::runtime::Runtime;

/// Everything that is known of the collisions of a stack.
#[derive(Clone, Copy)]
pub(crate) struct CollisionReport<'a> {
    pub(crate) loaded: &'a LoadedStack,
    pub(crate) tree: &'a MergedTree<'a>,
    pub(crate) collisions: &'a Collisions,
    pub(crate) packages: &'a Packages,
    pub(crate) explanation: &'a Explanation,
    pub(crate) cures: &'a Cures<'a>,
    pub(crate) runtime: Option<&'static Runtime>,
    /// Nobody named the runtime: the folders of the layers speak for no other one.
    pub(crate) is_assumed: bool,
}
