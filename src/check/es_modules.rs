//! ES modules in layers, which older runtimes do not find.

use std::collections::HashSet;

use super::facts::FileFacts;
use super::finding::Severity;
use super::rule::Rule;
use crate::path::{Escaped, LayerPath};
use crate::runtime::Family;

/// The first version of Node.js whose runtime finds ES modules in layers.
const FIRST_WITH: u32 = 18;

pub(super) static ES_MODULE_NOT_FOUND: Rule = Rule {
    id: "es-module-not-found",
    severity: Severity::Error,
    summary: "packages that can only be imported, in a layer where `import` does not look",
    explanation: "\
Node.js ignores NODE_PATH for `import`. \"For Node.js runtimes 16 and earlier, Lambda doesn't support layered JavaScript ES module \
dependencies\" (AWS re:Post, \"Lambda: import module error, Node.js\"); nodejs18.x and later do search the layers. A package that offers no \
`require` either cannot be used from a layer there, except by its whole path or by another package of the layer.",
    says: Some("Error [ERR_MODULE_NOT_FOUND]: Cannot find package '...'"),
    cure: "use nodejs18.x or later, put the package into the function, or import it as `/opt/nodejs/node_modules/NAME/...`",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some(runtime) = subject
            .runtime
            .filter(|runtime| runtime.family == Family::Node)
        else {
            return;
        };
        let version: u32 = runtime.version.parse().unwrap_or(FIRST_WITH);
        if version >= FIRST_WITH {
            return;
        }
        let own = format!("nodejs/node{version}/node_modules");
        let folders = ["nodejs/node_modules", &own];
        let manifests = || {
            subject
                .regular_files()
                .filter_map(|file| match subject.facts(file.origin) {
                    Some(FileFacts::Manifest(manifest)) => Some((file, manifest)),
                    _ => None,
                })
        };
        // Another package of the layer finds its dependencies beside itself, without NODE_PATH.
        let needed: HashSet<&[u8]> = manifests()
            .flat_map(|(_, manifest)| manifest.dependencies.iter().map(Vec::as_slice))
            .collect();
        let common_js: HashSet<&[u8]> = manifests()
            .filter(|(_, manifest)| manifest.is_common_js)
            .filter_map(|(file, _)| package_around(&file.path, &folders))
            .collect();
        for (file, manifest) in manifests() {
            let Some(name) = package(&file.path, &folders) else {
                continue;
            };
            if manifest.is_only_imported && !needed.contains(name) && !common_js.contains(name) {
                let (name, runtime) = (Escaped(name), runtime.identifier);
                let message =
                    format!("`{name}` cannot be required, and {runtime} does not import it");
                findings.at(file, message);
            }
        }
    },
};

/// What lies below one of these folders, as a path from there.
fn below<'p>(path: &'p LayerPath, folders: &[&str]) -> Option<&'p [u8]> {
    folders.iter().find_map(|folder| {
        path.as_bytes()
            .strip_prefix(folder.as_bytes())?
            .strip_prefix(b"/")
    })
}

/// The package in one of these folders that a file belongs to.
fn package_around<'p>(path: &'p LayerPath, folders: &[&str]) -> Option<&'p [u8]> {
    let below = below(path, folders)?;
    let is_scoped = below.starts_with(b"@");
    let mut slashes = (0..below.len()).filter(|&at| below.get(at) == Some(&b'/'));
    below.get(..slashes.nth(usize::from(is_scoped))?)
}

/// The package in one of these folders whose own `package.json` this is.
fn package<'p>(path: &'p LayerPath, folders: &[&str]) -> Option<&'p [u8]> {
    let name = package_around(path, folders)?;
    let rest = below(path, folders)?.get(name.len()..)?;
    (rest == b"/package.json").then_some(name)
}
