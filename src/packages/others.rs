//! What is a package by its place alone: jars, gems, libraries, commands, extensions.

use super::contents::Contents;
use super::facts::{Fact, Facts, is_library_name};
use super::package::{Ecosystem, RawPackage};
use crate::entry::Kind;
use crate::layer::LayerNodeId;

/// What one layer brings of all of them.
pub(super) fn find(contents: &Contents<'_>, facts: &Facts, found: &mut Vec<RawPackage>) {
    let directory = |path: &[u8]| contents.find(LayerNodeId::ROOT, path);
    if let Some(folder) = directory(b"java/lib") {
        jars(contents, facts, folder, found);
    }
    for folder in contents.directories() {
        if contents.name(folder) == b"specifications" {
            gems(contents, facts, folder, found);
        }
    }
    if let Some(folder) = directory(b"lib") {
        libraries(contents, facts, folder, found);
    }
    for (ecosystem, folder) in [
        (Ecosystem::Command, &b"bin"[..]),
        (Ecosystem::Extension, b"extensions"),
    ] {
        if let Some(folder) = directory(folder) {
            for &child in contents.children(folder) {
                if !contents.is_directory(child) {
                    let name = String::from_utf8_lossy(contents.name(child)).into_owned();
                    found.push(single(contents, ecosystem, child, name, None));
                }
            }
        }
    }
}

/// A package that is one file.
fn single(
    contents: &Contents<'_>,
    ecosystem: Ecosystem,
    file: LayerNodeId,
    name: String,
    version: Option<String>,
) -> RawPackage {
    RawPackage {
        ecosystem,
        display_name: name.clone(),
        modules: vec![name.clone()],
        name,
        version,
        node: file,
        folder: contents.path(contents.layer.parent(file)),
        is_private: false,
        metadata: Vec::new(),
        files: vec![file],
        lacking: 0,
    }
}

fn jars(contents: &Contents<'_>, facts: &Facts, folder: LayerNodeId, found: &mut Vec<RawPackage>) {
    let (mut jars, mut links) = (Vec::new(), Vec::new());
    for &child in contents.children(folder) {
        let file_name = contents.text(child);
        let Some(stem) = file_name.strip_suffix(".jar") else {
            continue;
        };
        match contents.layer.kind(child) {
            Kind::File if !stem.is_empty() => {}
            Kind::Symlink => {
                links.push(child);
                continue;
            }
            Kind::File | Kind::Directory => continue,
        }
        let (named, named_version) = split_version(stem);
        let jar = match facts.get(&contents.origin(child)) {
            Some(Fact::Jar(jar)) => Some(jar),
            _ => None,
        };
        let own = jar.and_then(|jar| jar.own_coordinates(file_name));
        let (name, version) = match own {
            Some(own) => (
                format!("{}:{}", own.group, own.artifact),
                Some(own.version.clone()),
            ),
            None => (
                named.to_owned(),
                // Manifests of repackaged jars keep the version of what was repackaged.
                named_version
                    .map(str::to_owned)
                    .or(jar.and_then(|jar| jar.version.clone())),
            ),
        };
        jars.push(single(contents, Ecosystem::Java, child, name, version));
    }
    give_links(contents, &links, &mut jars);
    found.extend(jars);
}

/// `commons-lang3-3.12.0` is commons-lang3 in version 3.12.0: the version begins with the first digit behind a `-`.
fn split_version(stem: &str) -> (&str, Option<&str>) {
    let place = stem
        .match_indices('-')
        .find(|&(place, _)| {
            stem.get(place + 1..)
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        })
        .map(|(place, _)| place);
    match place.and_then(|place| stem.split_at_checked(place)) {
        Some((name, version)) => (name, version.get(1..)),
        None => (stem, None),
    }
}

fn gems(contents: &Contents<'_>, facts: &Facts, folder: LayerNodeId, found: &mut Vec<RawPackage>) {
    let home = contents.layer.parent(folder);
    for &child in contents.children(folder) {
        let Some(full_name) = contents.text(child).strip_suffix(".gemspec") else {
            continue;
        };
        let fact = facts.get(&contents.origin(child));
        let (name, version, full_name) = if let Some(Fact::Gem(gem)) = fact {
            (gem.name.clone(), Some(gem.version.clone()), gem.full_name())
        } else {
            let (name, version) = split_version(full_name);
            (
                name.to_owned(),
                version.map(str::to_owned),
                full_name.to_owned(),
            )
        };
        let mut files = vec![child];
        let code = contents.find(home, format!("gems/{full_name}").as_bytes());
        if let Some(code) = code {
            contents.files_below(code, &|_| true, &mut files);
        }
        // extensions/x86_64-linux/3.4.0/NAME holds what was compiled.
        let platforms = contents.child(home, b"extensions");
        for &platform in platforms.map_or(&[][..], |all| contents.children(all)) {
            for &api in contents.children(platform) {
                if let Some(built) = contents.child(api, full_name.as_bytes()) {
                    contents.files_below(built, &|_| true, &mut files);
                }
            }
        }
        files.sort_unstable();
        found.push(RawPackage {
            ecosystem: Ecosystem::Ruby,
            display_name: name.clone(),
            modules: Vec::new(),
            name,
            version,
            node: child,
            folder: contents.path(home),
            is_private: false,
            metadata: vec![child],
            files,
            lacking: usize::from(code.is_none()),
        });
    }
}

fn libraries(
    contents: &Contents<'_>,
    facts: &Facts,
    folder: LayerNodeId,
    found: &mut Vec<RawPackage>,
) {
    let mut links = Vec::new();
    let mut libraries = Vec::new();
    for &child in contents.children(folder) {
        let file_name = contents.text(child);
        if !is_library_name(file_name.as_bytes()) {
            continue;
        }
        match contents.layer.kind(child) {
            Kind::Directory => {}
            Kind::Symlink => links.push(child),
            Kind::File => {
                let soname = match facts.get(&contents.origin(child)) {
                    Some(Fact::Library { soname }) => soname.clone(),
                    _ => None,
                };
                let (implied, version) = implied_soname(file_name);
                let name = soname.unwrap_or_else(|| implied.to_owned());
                libraries.push(single(contents, Ecosystem::Library, child, name, version));
            }
        }
    }
    give_links(contents, &links, &mut libraries);
    found.extend(libraries);
}

/// A link is part of what it leads to: `libz.so.1` of `libz.so.1.3.1`. One that leads elsewhere is part of nothing.
fn give_links(contents: &Contents<'_>, links: &[LayerNodeId], packages: &mut [RawPackage]) {
    for &link in links {
        let target = contents.layer.target(link).unwrap_or_default();
        let named = target.rsplit(|&byte| byte == b'/').next();
        let owner = packages
            .iter_mut()
            .find(|package| named == Some(contents.name(package.node)));
        if let Some(owner) = owner {
            owner.files.push(link);
            owner.files.sort_unstable();
        }
    }
}

/// What a library is linked by when its file follows the custom, and the rest of its version: `libz.so.1.3.1` is `libz.so.1`
/// in version 1.3.1.
fn implied_soname(file_name: &str) -> (&str, Option<String>) {
    let Some((_, version)) = file_name.split_once(".so.") else {
        return (file_name, None);
    };
    let major = version.split('.').next().unwrap_or(version);
    let end = file_name.len() - version.len() + major.len();
    (
        file_name.get(..end).unwrap_or(file_name),
        Some(version.to_owned()),
    )
}
