//! `require 'x'`: the directories of `RUBYLIB`, then the gems, by name and the newest first, as `RubyGems` sorts what it
//! activates for a file that is not on the load path yet (`Gem::Specification.stubs`).

use std::cmp::Reverse;

use super::resolution::Resolution;
use super::search::Search;
use super::view::{View, join};
use crate::merge::{MergedTree, Origin};
use crate::packages::{Ecosystem, Fact, Facts, Gem, gem_order, searched};
use crate::path::LayerPath;
use crate::runtime::Runtime;

pub(super) fn resolve(
    tree: &MergedTree<'_>,
    facts: &Facts,
    runtime: &Runtime,
    name: &str,
) -> Resolution {
    let mut search = Search::new(tree, Ecosystem::Ruby);
    let files: Vec<String> = match name.rsplit_once('.') {
        Some((_, "rb" | "so")) => vec![name.to_owned()],
        _ => vec![format!("{name}.rb"), format!("{name}.so")],
    };
    if name.is_empty() || name.starts_with(['/', '.']) {
        return search.done();
    }
    let mut look = |folder: &LayerPath, places: &[LayerPath]| {
        let find = |view: View<'_, '_>| {
            let mut paths = files
                .iter()
                .flat_map(|file| places.iter().map(move |place| join(place, file)));
            paths.find_map(|path| view.file(&path))
        };
        if search.resolved.is_empty() {
            let found = find(View::Merged(tree));
            search.resolved.extend(found.map(|hit| hit.origin));
        }
        search.folder(folder, find);
    };
    for folder in searched(tree, runtime, "RUBYLIB") {
        look(&folder, std::slice::from_ref(&folder));
    }
    for folder in searched(tree, runtime, "GEM_PATH") {
        for gem in gems(tree, facts, &folder) {
            let home = join(&folder, &format!("gems/{}", gem.full_name()));
            let places = gem.require_paths.iter().filter_map(|path| {
                // A gem that was compiled names where that is by an absolute path of the machine that compiled it.
                LayerPath::parse(&[&home, &b"/"[..], path.as_bytes()].concat()).ok()
            });
            let mut places: Vec<LayerPath> = places.collect();
            places.extend(built(tree, &folder, &gem.full_name()));
            look(&folder, &places);
        }
    }
    search.done()
}

/// The gems below a folder: of every layer, as what is shadowed is a candidate too.
fn gems<'f>(tree: &MergedTree<'_>, facts: &'f Facts, folder: &LayerPath) -> Vec<&'f Gem> {
    let specifications = join(folder, "specifications/");
    let mut gems: Vec<&Gem> = facts
        .iter()
        .filter_map(|(origin, fact)| match fact {
            Fact::Gem(gem) if is_below(tree, *origin, &specifications) => Some(gem),
            _ => None,
        })
        .collect();
    gems.sort_by_cached_key(|gem| {
        (
            gem.name.clone(),
            Reverse(gem_order(&gem.version)),
            gem.full_name(),
        )
    });
    gems.dedup_by_key(|gem| gem.full_name());
    gems
}

fn is_below(tree: &MergedTree<'_>, origin: Origin, directory: &[u8]) -> bool {
    let layer = tree.stack().layer(origin.layer);
    layer.path(origin.node).as_bytes().starts_with(directory)
}

/// `extensions/PLATFORM/API/NAME`, where what a gem compiled lies.
fn built(tree: &MergedTree<'_>, folder: &LayerPath, full_name: &str) -> Vec<LayerPath> {
    let children = |path: &LayerPath| -> Vec<LayerPath> {
        let node = tree.resolve(path);
        let children = node.into_iter().flat_map(|node| tree.sorted_children(node));
        children.map(|child| tree.path(child)).collect()
    };
    let extensions = LayerPath::parse(&join(folder, "extensions")).unwrap_or_default();
    let platforms = children(&extensions).into_iter();
    let apis = platforms.flat_map(|platform| children(&platform));
    apis.filter_map(|api| LayerPath::parse(&join(&api, full_name)).ok())
        .collect()
}
