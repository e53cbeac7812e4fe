//! What a name leads to that a program asks for: `import a.b`, `require('x')`, a class, a command.
//!
//! Each language searches in its own way, and a runtime decides in which folders and in which order ([`Runtime`]). The answer is
//! a list of candidates: what the program gets, what it would get if that were not there, and what lower layers brought to
//! the same paths. Only layers are seen: the function's own code comes before them, the runtime's own modules come after them, and
//! what a language brings built in nobody can replace.
//!
//! Left out is what no layer should rely on: `.pth` files and import hooks, `require` from within a package, jars of classes for
//! newer releases of Java.
//!
//! [`Runtime`]: crate::runtime::Runtime

mod java;
mod node;
mod python;
mod resolution;
mod ruby;
mod search;
mod view;

use crate::entry::Kind;
use crate::layer::LayerStack;
use crate::merge::{MergedTree, Origin};
use crate::packages::{self, Ecosystem, Facts};
use crate::runtime::Family;
use search::{Search, folder};
use view::View;

pub use resolution::{Asker, Candidate, Obstacle, Resolution};

/// The files whose content [`resolve`] needs: those of [`packages::wanted`], and for Node.js every `package.json`, as each
/// directory may have one.
pub fn wanted(stack: &LayerStack, asker: Asker) -> Vec<Origin> {
    let mut wanted = packages::wanted(stack);
    if asker.runtime.family == Family::Node {
        for (id, layer) in stack.in_merge_order() {
            let manifests = layer.node_ids().filter(|&node| {
                layer.kind(node) == Kind::File && layer.name(node) == b"package.json"
            });
            wanted.extend(manifests.map(|node| Origin { layer: id, node }));
        }
        wanted.sort_unstable();
        wanted.dedup();
    }
    wanted
}

/// Resolves a name as a program of the runtime would: a module of its language, and if no layer has one, a command.
pub fn resolve(tree: &MergedTree<'_>, facts: &Facts, asker: Asker, name: &str) -> Resolution {
    let language = match asker.runtime.family {
        Family::Python => Some(python::resolve(tree, asker, name)),
        Family::Node => Some(node::resolve(tree, facts, asker.runtime, name)),
        Family::Java => Some(java::resolve(tree, facts, name)),
        Family::Ruby => Some(ruby::resolve(tree, facts, asker.runtime, name)),
        Family::Dotnet | Family::Go | Family::Provided => None,
    };
    match language {
        Some(found) if !found.candidates.is_empty() || found.obstacle.is_some() => found,
        _ => {
            let command = command(tree, name);
            match language {
                Some(found) if command.candidates.is_empty() => found,
                _ => command,
            }
        }
    }
}

fn command(tree: &MergedTree<'_>, name: &str) -> Resolution {
    let folder = folder("bin");
    let mut search = Search::new(tree, Ecosystem::Command);
    if !name.is_empty() && !name.contains('/') {
        let find = |view: View<'_, '_>| view.file(format!("bin/{name}").as_bytes());
        if let Some(hit) = find(View::Merged(tree)) {
            if tree.object_of(hit.origin).mode.bits() & 0o111 == 0 {
                search.obstacle = Some(Obstacle::NotExecutable { file: hit.path });
            } else {
                search.resolved.push(hit.origin);
            }
        }
        search.folder(&folder, find);
    }
    search.done()
}
