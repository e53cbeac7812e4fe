//! A class, as Lambda's class loader finds it: in the first jar that has it.

use super::resolution::Resolution;
use super::search::{Search, folder};
use super::view::{Hit, View};
use crate::layer::LayerNodeId;
use crate::merge::{MergedTree, Origin};
use crate::packages::{Ecosystem, Fact, Facts, java_order};

pub(super) fn resolve(tree: &MergedTree<'_>, facts: &Facts, name: &str) -> Resolution {
    let mut search = Search::new(tree, Ecosystem::Java);
    let class = name
        .strip_suffix(".class")
        .unwrap_or(name)
        .replace('.', "/");
    let has_class = |origin: Origin| match facts.get(&origin) {
        Some(Fact::Jar(jar)) => jar
            .classes
            .binary_search_by(|known| known.as_ref().cmp(class.as_str()))
            .is_ok(),
        _ => false,
    };
    let folder = folder("java/lib");
    // By the name of the file, in the order of loading; of one name the merged tree's comes first, then that of the highest layer.
    let mut names: Vec<&[u8]> = Vec::new();
    for (_, layer) in tree.stack().in_merge_order() {
        let Some(directory) = layer.find(&folder) else {
            continue;
        };
        let jars = layer.node_ids().filter(|&node| {
            node != LayerNodeId::ROOT
                && layer.parent(node) == directory
                && layer.name(node).ends_with(b".jar")
        });
        names.extend(jars.map(|jar| layer.name(jar)));
    }
    names.sort_by_cached_key(|name| java_order(name));
    names.dedup();
    for jar in names {
        let path = [b"java/lib/", jar].concat();
        let find = |view: View<'_, '_>| -> Option<Hit> {
            view.file(&path).filter(|hit| has_class(hit.origin))
        };
        if search.resolved.is_empty() {
            search
                .resolved
                .extend(find(View::Merged(tree)).map(|hit| hit.origin));
        }
        search.folder(&folder, find);
    }
    search.done()
}
