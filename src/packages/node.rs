//! Node.js: the directories below every `node_modules`.

use super::contents::Contents;
use super::facts::{Fact, Facts};
use super::package::{Ecosystem, RawPackage};
use crate::layer::LayerNodeId;
use crate::merge::Origin;

/// What one layer brings of Node.js, of what `counts`.
pub(super) fn find(
    contents: &Contents<'_>,
    facts: &Facts,
    counts: impl Fn(Origin) -> bool,
    found: &mut Vec<RawPackage>,
) {
    let counts = |node| counts(contents.origin(node));
    for folder in contents.directories() {
        if contents.name(folder) != b"node_modules" {
            continue;
        }
        for &child in contents.children(folder) {
            if !contents.is_directory(child) {
                continue;
            }
            match contents.text(child) {
                name if name.starts_with('@') => {
                    for &scoped in contents.children(child) {
                        if !counts(scoped) {
                            continue;
                        }
                        let name = format!("{name}/{}", contents.text(scoped));
                        found.extend(package(contents, facts, folder, scoped, name));
                    }
                }
                // `.bin`, `.cache` and the like are npm's own.
                name if name.is_empty() || name.starts_with('.') => {}
                name if counts(child) => {
                    found.extend(package(contents, facts, folder, child, name.to_owned()));
                }
                _ => {}
            }
        }
    }
}

fn package(
    contents: &Contents<'_>,
    facts: &Facts,
    folder: LayerNodeId,
    directory: LayerNodeId,
    name: String,
) -> Option<RawPackage> {
    // A nested package is one of its own.
    let enter = |node| contents.name(node) != b"node_modules";
    let mut files = Vec::new();
    contents.files_below(directory, &enter, &mut files);
    if !contents.is_directory(directory) || files.is_empty() {
        return None;
    }
    files.sort_unstable();
    let manifest = contents.child(directory, b"package.json");
    let fact = manifest.and_then(|manifest| facts.get(&contents.origin(manifest)));
    let (real_name, version) = match fact {
        Some(Fact::Manifest(manifest)) => (manifest.name.clone(), manifest.version.clone()),
        _ => (None, None),
    };
    let path = contents.path(folder);
    let depth = path
        .components()
        .filter(|component| *component == b"node_modules")
        .count();
    Some(RawPackage {
        ecosystem: Ecosystem::Node,
        display_name: real_name.unwrap_or_else(|| name.clone()),
        modules: vec![name.clone()],
        // An alias is required by the name of its directory.
        name,
        version,
        node: directory,
        folder: path,
        is_private: depth > 1,
        metadata: Vec::new(),
        files,
        lacking: 0,
    })
}
