//! `import a.b`, as `importlib`'s `PathFinder` and `FileFinder` find it.

use super::resolution::{Asker, Obstacle, Resolution};
use super::search::Search;
use super::view::{Hit, View, join};
use crate::merge::MergedTree;
use crate::packages::{Ecosystem, searched};
use crate::path::LayerPath;
use crate::runtime::Architecture;

/// What one name leads to in a list of directories.
enum Spec {
    /// A package with an `__init__`: its directory is searched for what lies in it.
    Package { init: Hit, directory: LayerPath },
    /// A file.
    Module(Hit),
    /// Directories without an `__init__`, which are one package together (PEP 420).
    Namespace(Vec<Hit>),
}

pub(super) fn resolve(tree: &MergedTree<'_>, asker: Asker, name: &str) -> Resolution {
    let mut search = Search::new(tree, Ecosystem::Python);
    let parts: Vec<&str> = name.split('.').collect();
    if parts
        .iter()
        .any(|part| part.is_empty() || part.contains('/'))
    {
        return search.done();
    }
    let suffixes = suffixes(asker);
    let folders = searched(tree, asker.runtime, "PYTHONPATH");
    match find(View::Merged(tree), &folders, &parts, &suffixes) {
        Ok(Some(Spec::Package { init: hit, .. } | Spec::Module(hit))) => {
            search.resolved.push(hit.origin);
        }
        Ok(Some(Spec::Namespace(portions))) => {
            search
                .resolved
                .extend(portions.iter().map(|portion| portion.origin));
        }
        Ok(None) => {}
        Err(package) => search.obstacle = Some(Obstacle::NotInPackage { package }),
    }
    for folder in &folders {
        let alone = std::slice::from_ref(folder);
        search.folder(folder, |view| match find(view, alone, &parts, &suffixes) {
            Ok(Some(Spec::Package { init: hit, .. } | Spec::Module(hit))) => Some(hit),
            Ok(Some(Spec::Namespace(portions))) => portions.into_iter().next(),
            Ok(None) | Err(_) => None,
        });
    }
    if search.candidates.is_empty() {
        // Nothing has the whole name: then it is no news that the first part does not, either.
        search.obstacle = None;
    }
    search.done()
}

/// What the interpreter of a runtime tries behind a module's name, in its order (`importlib.machinery.all_suffixes` gives them in
/// another one; `_get_supported_file_loaders` decides).
fn suffixes(asker: Asker) -> Vec<String> {
    let version = asker.runtime.version;
    let machine = match asker.architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    };
    // Until 3.7 the name says that the allocator is Python's own.
    let flags = if matches!(version, "3.6" | "3.7") {
        "m"
    } else {
        ""
    };
    let tag = version.replace('.', "");
    if version.starts_with("2.") {
        return [".so", "module.so", ".py", ".pyc"]
            .map(str::to_owned)
            .to_vec();
    }
    vec![
        format!(".cpython-{tag}{flags}-{machine}-linux-gnu.so"),
        ".abi3.so".to_owned(),
        ".so".to_owned(),
        ".py".to_owned(),
        ".pyc".to_owned(),
    ]
}

/// Finds a dotted name part by part.
///
/// # Errors
///
/// The package or module in which the search ends although more of the name follows.
fn find(
    view: View<'_, '_>,
    directories: &[LayerPath],
    parts: &[&str],
    suffixes: &[String],
) -> Result<Option<Spec>, LayerPath> {
    let Some((&first, rest)) = parts.split_first() else {
        return Ok(None);
    };
    let Some(spec) = find_part(view, directories, first, suffixes) else {
        return Ok(None);
    };
    if rest.is_empty() {
        return Ok(Some(spec));
    }
    let (place, inside) = match spec {
        Spec::Module(hit) => return Err(hit.path),
        Spec::Package { init, directory } => (init.path, vec![directory]),
        Spec::Namespace(portions) => {
            let portions: Vec<LayerPath> = portions.into_iter().map(|hit| hit.path).collect();
            (portions.first().cloned().unwrap_or_default(), portions)
        }
    };
    find(view, &inside, rest, suffixes)?.map_or(Err(place), |spec| Ok(Some(spec)))
}

fn find_part(
    view: View<'_, '_>,
    directories: &[LayerPath],
    part: &str,
    suffixes: &[String],
) -> Option<Spec> {
    let mut portions = Vec::new();
    for directory in directories {
        let package = join(directory, part);
        let found = view.directory(&package);
        if let Some(found) = &found {
            for suffix in suffixes {
                let init = [&package, &b"/__init__"[..], suffix.as_bytes()].concat();
                if let Some(init) = view.file(&init) {
                    return Some(Spec::Package {
                        init,
                        directory: found.path.clone(),
                    });
                }
            }
        }
        for suffix in suffixes {
            let module = [&package, suffix.as_bytes()].concat();
            if let Some(hit) = view.file(&module) {
                return Some(Spec::Module(hit));
            }
        }
        portions.extend(found);
    }
    (!portions.is_empty()).then_some(Spec::Namespace(portions))
}
