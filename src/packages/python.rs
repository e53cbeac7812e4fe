//! Python: distributions by their metadata, and the modules that no metadata speaks for.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::contents::Contents;
use super::facts::{Fact, Facts, Recorded};
use super::package::{Ecosystem, RawPackage};
use super::search_order;
use crate::layer::LayerNodeId;
use crate::merge::Origin;
use crate::path::LayerPath;

/// What one layer brings of Python, of what `counts`.
pub(super) fn find(
    contents: &Contents<'_>,
    facts: &Facts,
    counts: impl Fn(Origin) -> bool,
    found: &mut Vec<RawPackage>,
) {
    let counts = |node| counts(contents.origin(node));
    for directory in contents.directories() {
        let metadata = contents
            .children(directory)
            .iter()
            .copied()
            .filter(|&child| is_metadata(contents.name(child)) && counts(child));
        let metadata: Vec<LayerNodeId> = metadata.collect();
        let path = contents.path(directory);
        let is_searched = search_order::is_searched(Ecosystem::Python, &path);
        if metadata.is_empty() && !is_searched {
            continue;
        }
        Folder {
            contents,
            facts,
            directory,
            path,
        }
        .find(&metadata, |child| is_searched && counts(child), found);
    }
}

pub(super) fn is_metadata(name: &[u8]) -> bool {
    name.ends_with(b".dist-info") || name.ends_with(b".egg-info")
}

/// Whether a file of this name describes the distribution whose metadata it lies in.
pub(super) fn is_description(name: &[u8]) -> bool {
    matches!(
        name,
        b"METADATA" | b"PKG-INFO" | b"RECORD" | b"installed-files.txt" | b"top_level.txt"
    )
}

/// Whether these distributions of a directory own whatever they have a part in, and all of these modules, but for bytecode; and
/// say so themselves.
pub(super) fn own_alone(
    contents: &Contents<'_>,
    facts: &Facts,
    directory: LayerNodeId,
    metadata: &[LayerNodeId],
    modules: &[LayerNodeId],
) -> bool {
    let folder = Folder {
        contents,
        facts,
        directory,
        path: contents.path(directory),
    };
    if !metadata.iter().all(|&node| folder.record(node).is_some()) {
        return false;
    }
    let mut owned = HashSet::new();
    let mut touched: HashSet<LayerNodeId> = modules.iter().copied().collect();
    for &node in metadata {
        let distribution = folder.distribution(node);
        for file in distribution.files.difference(&distribution.metadata) {
            owned.insert(*file);
            touched.extend(folder.child_above(*file));
        }
    }
    touched.into_iter().all(|child| {
        let mut files = Vec::new();
        contents.files_below(child, &|_| true, &mut files);
        let is_owned =
            |file: &LayerNodeId| owned.contains(file) || contents.name(*file).ends_with(b".pyc");
        files.iter().all(is_owned)
    })
}

/// The name of PEP 503: lower case, runs of `-`, `_` and `.` as one `-`.
pub(super) fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Which distributions' files lie in a directory.
#[derive(Clone, Copy)]
enum Owner {
    One(usize),
    Several,
}

/// A directory that holds distributions.
struct Folder<'c, 'l> {
    contents: &'c Contents<'l>,
    facts: &'c Facts,
    directory: LayerNodeId,
    pub(crate) path: LayerPath,
}

/// A distribution while its files are gathered.
struct Distribution {
    node: LayerNodeId,
    name: String,
    version: Option<String>,
    files: BTreeSet<LayerNodeId>,
    metadata: BTreeSet<LayerNodeId>,
    lacking: usize,
}

impl Folder<'_, '_> {
    /// Finds the distributions that this metadata describes, and the modules among what `counts` that are of none of them.
    fn find(
        &self,
        metadata: &[LayerNodeId],
        counts: impl Fn(LayerNodeId) -> bool,
        found: &mut Vec<RawPackage>,
    ) {
        let mut distributions: Vec<Distribution> = metadata
            .iter()
            .map(|&node| self.distribution(node))
            .collect();
        let mut owners: HashMap<LayerNodeId, Owner> = HashMap::new();
        for (index, distribution) in distributions.iter().enumerate() {
            for &file in distribution.files.difference(&distribution.metadata) {
                self.own(file, index, &mut owners);
            }
        }
        let mut modules = Vec::new();
        for &child in self.contents.children(self.directory) {
            if metadata.contains(&child) {
                continue;
            }
            match owners.get(&child) {
                // What was compiled or generated after the installation belongs to whom its directory belongs to.
                Some(_) if self.contents.is_directory(child) => {
                    self.adopt(child, &owners, &mut distributions);
                }
                None if counts(child) => modules.extend(self.module(child)),
                Some(_) | None => {}
            }
        }
        let made = distributions.into_iter().map(|distribution| RawPackage {
            ecosystem: Ecosystem::Python,
            name: normalised(&distribution.name),
            modules: self.modules_of(&distribution),
            display_name: distribution.name,
            version: distribution.version,
            node: distribution.node,
            folder: self.path.clone(),
            is_private: false,
            metadata: distribution.metadata.into_iter().collect(),
            files: distribution.files.into_iter().collect(),
            lacking: distribution.lacking,
        });
        found.extend(made);
        found.extend(modules);
    }

    fn fact(&self, node: Option<LayerNodeId>) -> Option<&Fact> {
        self.facts.get(&self.contents.origin(node?))
    }

    /// What metadata says of the files of its distribution.
    fn record(&self, metadata: LayerNodeId) -> Option<&[Recorded]> {
        let child = |name: &[u8]| self.contents.child(metadata, name);
        match self.fact(child(b"RECORD").or(child(b"installed-files.txt")))? {
            Fact::Record(recorded) => Some(recorded),
            _ => None,
        }
    }

    /// What lies directly in the directory and holds a file, or is it.
    fn child_above(&self, file: LayerNodeId) -> Option<LayerNodeId> {
        let layer = self.contents.layer;
        let mut at = file;
        while layer.parent(at) != self.directory {
            if at == LayerNodeId::ROOT {
                return None;
            }
            at = layer.parent(at);
        }
        Some(at)
    }

    fn distribution(&self, node: LayerNodeId) -> Distribution {
        let contents = self.contents;
        let child = |name: &[u8]| contents.child(node, name);
        let described = if contents.is_directory(node) {
            self.fact(child(b"METADATA").or(child(b"PKG-INFO")))
        } else {
            self.fact(Some(node))
        };
        let (name, version) = match described {
            Some(Fact::Distribution { name, version }) => (name.clone(), version.clone()),
            _ => named(contents.text(node)),
        };
        let mut metadata = Vec::new();
        contents.files_below(node, &|_| true, &mut metadata);
        let mut distribution = Distribution {
            node,
            files: metadata.iter().copied().collect(),
            metadata: metadata.into_iter().collect(),
            name,
            version,
            lacking: 0,
        };
        if let Some(recorded) = self.record(node) {
            for one in recorded {
                // pip --target moves scripts beside the modules, and leaves them in the RECORD where they were.
                let path = one.path.as_slice();
                let outside = path.starts_with(b"../").then_some(path);
                let moved = outside.and_then(|path| {
                    let place = path.windows(5).rposition(|window| window == b"/bin/")?;
                    path.get(place + 1..)
                });
                let place = moved.and_then(|moved| contents.find(self.directory, moved));
                match place.or_else(|| contents.find(self.directory, path)) {
                    Some(file) if !contents.is_directory(file) => {
                        let size = contents.layer.object(file).size;
                        distribution.lacking +=
                            usize::from(one.size.is_some_and(|stated| stated != size));
                        distribution.files.insert(file);
                    }
                    _ => {
                        let is_trifle = path.ends_with(b".pyc") || path.starts_with(b"../");
                        distribution.lacking += usize::from(!is_trifle);
                    }
                }
            }
        } else {
            self.guess(&mut distribution);
        }
        distribution
    }

    /// Without a list of files, the modules that `top_level.txt` names are the distribution's, or the one of its name.
    fn guess(&self, distribution: &mut Distribution) {
        let contents = self.contents;
        let top_level = self.fact(contents.child(distribution.node, b"top_level.txt"));
        let modules = match top_level {
            Some(Fact::TopLevel(modules)) => modules.clone(),
            _ => vec![normalised(&distribution.name).replace('-', "_")],
        };
        for &child in contents.children(self.directory) {
            let module = module_name(contents.text(child));
            if module.is_some_and(|module| modules.iter().any(|one| one == module)) {
                let mut files = Vec::new();
                contents.files_below(child, &|_| true, &mut files);
                distribution.files.extend(files);
            }
        }
    }

    /// Notes that a file, and with it the directories above it, are a distribution's.
    fn own(&self, file: LayerNodeId, index: usize, owners: &mut HashMap<LayerNodeId, Owner>) {
        let mut at = file;
        while at != self.directory && at != LayerNodeId::ROOT {
            let owner = owners.entry(at).or_insert(Owner::One(index));
            match *owner {
                Owner::One(other) if other != index => *owner = Owner::Several,
                _ => {}
            }
            at = self.contents.layer.parent(at);
        }
    }

    /// Gives what nobody owns below a directory to the owner of the nearest directory that has only one.
    fn adopt(
        &self,
        directory: LayerNodeId,
        owners: &HashMap<LayerNodeId, Owner>,
        distributions: &mut [Distribution],
    ) {
        let mut files = Vec::new();
        self.contents.files_below(directory, &|_| true, &mut files);
        for file in files {
            if owners.contains_key(&file) {
                continue;
            }
            let mut at = self.contents.layer.parent(file);
            while at != self.directory && !owners.contains_key(&at) {
                at = self.contents.layer.parent(at);
            }
            if let Some(Owner::One(index)) = owners.get(&at)
                && let Some(distribution) = distributions.get_mut(*index)
            {
                distribution.files.insert(file);
            }
        }
    }

    /// The module that no distribution speaks for, if this is one.
    fn module(&self, child: LayerNodeId) -> Option<RawPackage> {
        let contents = self.contents;
        let name = module_name(contents.text(child))?;
        let mut files = Vec::new();
        contents.files_below(child, &|_| true, &mut files);
        let is_code = |&file: &LayerNodeId| is_code(contents.name(file));
        if !files.iter().any(is_code) {
            return None;
        }
        // `python/lib/python3.12/site-packages` is no module `lib`.
        if contents.is_directory(child) && name == "lib" && self.path.as_bytes() == b"python" {
            return None;
        }
        files.sort_unstable();
        Some(RawPackage {
            ecosystem: Ecosystem::Python,
            name: normalised(name),
            display_name: name.to_owned(),
            version: None,
            node: child,
            folder: self.path.clone(),
            is_private: false,
            modules: vec![name.to_owned()],
            metadata: Vec::new(),
            files,
            lacking: 0,
        })
    }

    /// The names in the folder that a distribution has code in.
    fn modules_of(&self, distribution: &Distribution) -> Vec<String> {
        let contents = self.contents;
        let code = distribution.files.difference(&distribution.metadata);
        let mut modules: BTreeSet<&str> = BTreeSet::new();
        for &file in code.filter(|&&file| is_code(contents.name(file))) {
            let child = self.child_above(file);
            if let Some(module) = child.and_then(|child| module_name(contents.text(child))) {
                modules.insert(module);
            }
        }
        modules.into_iter().map(str::to_owned).collect()
    }
}

/// Name and version as the name of the metadata gives them: `urllib3-2.2.1.dist-info`.
pub(super) fn named(file_name: &str) -> (String, Option<String>) {
    let stem = file_name
        .strip_suffix(".dist-info")
        .or_else(|| file_name.strip_suffix(".egg-info"))
        .unwrap_or(file_name);
    let mut parts = stem.split('-');
    let name = parts.next().unwrap_or_default().to_owned();
    (name, parts.next().map(str::to_owned))
}

/// Whether it is imported: source, bytecode, or an extension.
pub(super) fn is_code(name: &[u8]) -> bool {
    [&b".py"[..], b".pyc", b".so"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// What `import` calls a file or directory: its name up to the first `.`, if that is an identifier.
pub(super) fn module_name(name: &str) -> Option<&str> {
    let (module, ending) = name.split_once('.').unwrap_or((name, ""));
    let is_identifier = !module.is_empty()
        && !module.starts_with(|first: char| first.is_ascii_digit())
        && module
            .chars()
            .all(|character| character == '_' || character.is_alphanumeric());
    let is_module = ending.is_empty() || is_code(name.as_bytes());
    (is_identifier && is_module && module != "__pycache__").then_some(module)
}
