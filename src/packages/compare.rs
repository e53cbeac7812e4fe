//! The packages of several layers against each other: which of one name is found, and what is left of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::contents::Contents;
use super::facts::{Fact, Facts};
use super::package::{Ecosystem, Package, PackageId, RawPackage};
use super::scope::Scope;
use super::search_order::{SearchOrder, gem_order, java_order};
use super::sets::{Leftover, PackageSet, Packages, SetState, SharedClasses};
use super::{node, others, python, search_order};
use crate::entry::Kind;
use crate::layer::{LayerId, LayerNodeId};
use crate::merge::{MergedTree, NodeId, Origin};
use crate::path::{Escaped, LayerPath};
use crate::runtime::Runtime;

impl Packages {
    /// Finds the packages of every layer of a merged tree, and compares those of one name as `runtime` would find them; as any
    /// runtime of their language would without one. `facts` is what [`super::read`] made of the files that [`super::wanted`]
    /// names; of what is missing in it, the names of files speak.
    pub fn of(tree: &MergedTree<'_>, facts: &Facts, runtime: Option<&Runtime>) -> Self {
        Self::within(&Scope::everything(), tree, facts, runtime)
    }

    /// The same of those in a scope, of which `facts` holds what [`Scope::wanted`] names.
    pub fn within(
        scope: &Scope,
        tree: &MergedTree<'_>,
        facts: &Facts,
        runtime: Option<&Runtime>,
    ) -> Self {
        let sights = Sights::of(tree);
        let order = SearchOrder::of(tree, runtime);
        let mut found: Vec<(LayerId, LayerPath, RawPackage)> = Vec::new();
        let layers = tree.stack().in_merge_order();
        for (id, layer) in layers.filter(|&(id, _)| scope.is_in(id)) {
            let contents = Contents::new(id, layer);
            let mut here = Vec::new();
            python::find(&contents, facts, |origin| scope.has(origin), &mut here);
            node::find(&contents, facts, |origin| scope.has(origin), &mut here);
            others::find(&contents, facts, &mut here);
            found.extend(
                here.into_iter()
                    .map(|found| (id, contents.path(found.node), found)),
            );
        }
        name_bare_modules(&mut found);
        name_bare_jars(&mut found);
        found.sort_by(|(layer, path, one), (other_layer, other_path, other)| {
            (one.ecosystem, &one.name, layer, path).cmp(&(
                other.ecosystem,
                &other.name,
                other_layer,
                other_path,
            ))
        });
        let mut metadata = Vec::with_capacity(found.len());
        let all = found.into_iter().map(|(layer, path, found)| {
            let origins = found.files.iter().map(|&node| Origin { layer, node });
            let standing = origins.filter(|&file| sights.stands(file)).count();
            metadata.push(found.metadata);
            Package {
                position: order
                    .position(found.ecosystem, &found.folder)
                    .filter(|_| !found.is_private),
                bytes: found.files.iter().fold(0, |sum: u64, &node| {
                    sum.saturating_add(tree.object_of(Origin { layer, node }).size)
                }),
                ecosystem: found.ecosystem,
                name: printable(found.name),
                display_name: printable(found.display_name),
                version: found.version.map(printable),
                layer,
                path,
                folder: found.folder,
                is_private: found.is_private,
                files: found.files,
                standing,
                lacking: found.lacking,
            }
        });
        let mut packages = Self {
            all: all.collect(),
            ..Self::default()
        };
        let comparison = Comparison {
            tree,
            libraries: Libraries::of(tree),
            sights: &sights,
            metadata: &metadata,
            all: &packages.all,
        };
        let sets = comparison.groups().into_iter();
        let sets = sets.map(|members| comparison.set(members)).collect();
        let shared = comparison.shared_classes(facts);
        packages.sets = sets;
        packages.shared_classes = shared;
        packages
    }
}

/// What metadata says is printed, and must not write over a terminal.
fn printable(text: String) -> String {
    if text.contains(char::is_control) {
        Escaped(text.as_bytes()).to_string()
    } else {
        text
    }
}

/// A module without metadata is the distribution's that has a module of this name in another layer, or another folder that is
/// searched: somebody left the metadata out to save space.
fn name_bare_modules(found: &mut [(LayerId, LayerPath, RawPackage)]) {
    let mut owners: HashMap<String, BTreeSet<String>> = HashMap::new();
    let is_bare = |found: &RawPackage| found.version.is_none() && found.metadata.is_empty();
    for (_, _, found) in found.iter() {
        let is_found = search_order::is_searched(Ecosystem::Python, &found.folder);
        if found.ecosystem == Ecosystem::Python && !is_bare(found) && is_found {
            for module in &found.modules {
                let owners = owners.entry(module.clone()).or_default();
                owners.insert(found.name.clone());
            }
        }
    }
    for (_, _, found) in found.iter_mut() {
        if found.ecosystem == Ecosystem::Python && is_bare(found) {
            let owners = found.modules.first().and_then(|module| owners.get(module));
            if let Some(owners) = owners
                && let (1, Some(owner)) = (owners.len(), owners.first())
            {
                found.name.clone_from(owner);
            }
        }
    }
}

/// A jar without coordinates is the artifact that another jar of its name says it is.
fn name_bare_jars(found: &mut [(LayerId, LayerPath, RawPackage)]) {
    let mut full: HashMap<String, BTreeSet<String>> = HashMap::new();
    for (_, _, found) in found.iter() {
        if let (Ecosystem::Java, Some((_, artifact))) =
            (found.ecosystem, found.name.split_once(':'))
        {
            let names = full.entry(artifact.to_owned()).or_default();
            names.insert(found.name.clone());
        }
    }
    for (_, _, found) in found.iter_mut() {
        if found.ecosystem == Ecosystem::Java
            && let Some(names) = full.get(&found.name)
            && let (1, Some(name)) = (names.len(), names.first())
        {
            found.name.clone_from(name);
        }
    }
}

/// What a reader of the merged tree sees of every node of every layer.
struct Sights {
    /// Of each layer, which of its nodes are in the tree.
    provided: Vec<Vec<bool>>,
    /// Shadowed by the same content.
    same: HashSet<Origin>,
}

impl Sights {
    fn of(tree: &MergedTree<'_>) -> Self {
        let layers = tree.stack().in_merge_order();
        let mut provided: Vec<Vec<bool>> = layers
            .map(|(_, layer)| vec![false; layer.node_ids().len()])
            .collect();
        let mut below = vec![NodeId::ROOT];
        while let Some(directory) = below.pop() {
            for child in tree.children(directory) {
                if tree.kind(child) == Kind::Directory {
                    below.push(child);
                } else {
                    let Origin { layer, node } = tree.provider(child);
                    provided[usize::from(layer.0)][node.0 as usize] = true;
                }
            }
        }
        let mut same = HashSet::new();
        tree.shadowed(|shadowed| {
            if shadowed.node != shadowed.winner {
                return;
            }
            let winner = tree.provider(shadowed.winner);
            let winning = tree.object(shadowed.winner);
            same.extend(shadowed.losers.into_iter().filter(|&loser| {
                let losing = tree.object_of(loser);
                winning.kind == losing.kind
                    && winning.size == losing.size
                    && match winning.kind {
                        Kind::Directory => false,
                        Kind::File => winning.crc32.is_some() && winning.crc32 == losing.crc32,
                        Kind::Symlink => tree.target_of(winner) == tree.target_of(loser),
                    }
            }));
        });
        Self { provided, same }
    }

    /// Whether this very file is what a reader sees.
    fn sees(&self, file: Origin) -> bool {
        self.provided[usize::from(file.layer.0)][file.node.0 as usize]
    }

    /// Whether a reader sees it, or the same content.
    fn stands(&self, file: Origin) -> bool {
        self.sees(file) || self.same.contains(&file)
    }
}

/// The folder of libraries, by name, as there may be many.
struct Libraries<'s>(HashMap<&'s [u8], NodeId>);

impl<'s> Libraries<'s> {
    fn of(tree: &MergedTree<'s>) -> Self {
        let folder = tree.resolve_bytes(b"lib");
        let children = folder.into_iter().flat_map(|folder| tree.children(folder));
        Self(children.map(|child| (tree.name(child), child)).collect())
    }

    /// The file that a name leads to, by links in the folder, which are as short as anybody makes them.
    fn find(&self, tree: &MergedTree<'_>, name: &[u8]) -> Option<Origin> {
        let mut node = self.0.get(name).copied()?;
        for _ in 0..8 {
            let provider = tree.provider(node);
            if tree.kind(node) == Kind::File {
                return Some(provider);
            }
            let target = tree.target_of(provider)?;
            let name = target.rsplit(|&byte| byte == b'/').next()?;
            node = self.0.get(name).copied()?;
        }
        None
    }
}

struct Comparison<'a, 's> {
    tree: &'a MergedTree<'s>,
    libraries: Libraries<'s>,
    sights: &'a Sights,
    /// Of each package, the files that describe it.
    metadata: &'a [Vec<LayerNodeId>],
    all: &'a [Package],
}

impl Comparison<'_, '_> {
    fn package(&self, id: PackageId) -> &Package {
        &self.all[id.0 as usize]
    }

    /// The packages that could be taken for one another. Where nobody looks, only those of one folder can.
    fn groups(&self) -> Vec<Vec<PackageId>> {
        let mut groups: BTreeMap<_, Vec<PackageId>> = BTreeMap::new();
        for (package, index) in self.all.iter().zip(0..) {
            let apart = package.position.is_none().then_some(&package.folder);
            let key = (package.ecosystem, &package.name, apart);
            groups.entry(key).or_default().push(PackageId(index));
        }
        groups.into_values().collect()
    }

    fn files(&self, id: PackageId) -> impl Iterator<Item = (Origin, bool)> + use<'_> {
        let metadata = &self.metadata[id.0 as usize];
        let package = self.package(id);
        package.files.iter().map(move |&node| {
            let layer = package.layer;
            let describes = metadata.binary_search(&node).is_ok();
            (
                Origin { layer, node },
                describes || self.is_cache(package, node),
            )
        })
    }

    /// Bytecode in a `__pycache__` is only used beside its source.
    fn is_cache(&self, package: &Package, node: LayerNodeId) -> bool {
        let layer = self.tree.stack().layer(package.layer);
        package.ecosystem == Ecosystem::Python && layer.name(layer.parent(node)) == b"__pycache__"
    }

    /// Whether something of it that runs is seen; if nothing of it runs, whether anything is.
    fn is_seen(&self, id: PackageId) -> bool {
        let mut has_code = false;
        for (file, is_metadata) in self.files(id) {
            if !is_metadata {
                has_code = true;
                if self.sights.sees(file) {
                    return true;
                }
            }
        }
        !has_code && self.files(id).any(|(file, _)| self.sights.sees(file))
    }

    fn set(&self, mut members: Vec<PackageId>) -> PackageSet {
        let (mut ecosystem, mut name) = (Ecosystem::Python, String::new());
        if let Some(first) = members.first().map(|&first| self.package(first)) {
            ecosystem = first.ecosystem;
            name.clone_from(&first.name);
        }
        members.sort_by_cached_key(|&id| self.rank(id));
        let winner = members.first().copied().filter(|&id| self.is_seen(id));
        let leftovers = winner.map_or_else(Vec::new, |winner| self.leftovers(winner, &members));
        let state = winner.map_or(SetState::Clean, |winner| {
            self.state(winner, &members, &leftovers)
        });
        PackageSet {
            ecosystem,
            name,
            members,
            winner,
            state,
            leftovers,
        }
    }

    /// The order in which packages of one name are found: what is seen at all, by the place of its folder, and then as the
    /// ecosystem has it.
    fn rank(&self, id: PackageId) -> impl Ord + use<> {
        let package = self.package(id);
        let (mut jar, mut gem, mut leads) = (Vec::new(), Reverse(Vec::new()), false);
        let version = package.version.as_deref().unwrap_or_default();
        let file_name = package.path.components().next_back().unwrap_or_default();
        match package.ecosystem {
            // All jars of the folder are loaded, the first in this order is asked first.
            Ecosystem::Java => jar = java_order(file_name),
            // RubyGems takes the newest version that is installed.
            Ecosystem::Ruby => gem = Reverse(gem_order(version)),
            Ecosystem::Library => leads = self.is_linked(package),
            _ => {}
        }
        (
            !self.is_seen(id),
            (package.position.is_none(), package.position),
            // In one folder the highest layer wins every path that it has.
            (jar, gem, Reverse(leads), Reverse(package.layer)),
            // Of two in one layer the one whose record fits what is there.
            package.lacking,
            Reverse(gem_order(version)),
            package.path.clone(),
        )
    }

    /// Whether the dynamic loader finds this library under its SONAME.
    fn is_linked(&self, library: &Package) -> bool {
        let found = self.libraries.find(self.tree, library.name.as_bytes());
        found.is_some_and(|found| {
            found.layer == library.layer && library.files.binary_search(&found.node).is_ok()
        })
    }

    fn leftovers(&self, winner: PackageId, members: &[PackageId]) -> Vec<Leftover> {
        let own: HashSet<Origin> = self.files(winner).map(|(file, _)| file).collect();
        let mut leftovers = Vec::new();
        for &loser in members.iter().filter(|&&member| member != winner) {
            if !self.shares_place(winner, loser) {
                continue;
            }
            let left = self
                .files(loser)
                .filter(|(file, _)| self.sights.sees(*file) && !own.contains(file));
            leftovers.extend(left.map(|(file, is_metadata)| Leftover {
                package: loser,
                file,
                is_metadata,
            }));
        }
        let path = |file: Origin| {
            let layer = self.tree.stack().layer(file.layer);
            layer.path(file.node)
        };
        leftovers.sort_by_cached_key(|leftover| path(leftover.file));
        leftovers
    }

    /// Whether the files of two packages mingle: those of Python in one folder, others at one path.
    fn shares_place(&self, one: PackageId, other: PackageId) -> bool {
        let (one, other) = (self.package(one), self.package(other));
        if one.ecosystem == Ecosystem::Python {
            one.folder == other.folder
        } else {
            one.path == other.path
        }
    }

    fn state(&self, winner: PackageId, members: &[PackageId], leftovers: &[Leftover]) -> SetState {
        let still_describes = |leftover: &Leftover| {
            let layer = self.tree.stack().layer(leftover.file.layer);
            let name = layer.name(leftover.file.node);
            matches!(name, b"METADATA" | b"PKG-INFO") || name.ends_with(b".egg-info")
        };
        let is_mixed = leftovers
            .iter()
            .any(|leftover| !leftover.is_metadata || still_describes(leftover));
        // In one layer nothing is left over, as nothing was replaced: one installation went over the other.
        let is_twice_in_a_layer = members.iter().any(|&member| {
            member != winner
                && self.shares_place(winner, member)
                && self.package(winner).layer == self.package(member).layer
        });
        let is_parallel = members.iter().any(|&member| {
            member != winner && !self.shares_place(winner, member) && self.is_seen(member)
        });
        if is_mixed || is_twice_in_a_layer {
            SetState::Mixed
        } else if is_parallel {
            SetState::Parallel
        } else {
            SetState::Clean
        }
    }

    /// The jars that are seen, in the order in which they are loaded, compared by their classes.
    fn shared_classes(&self, facts: &Facts) -> Vec<SharedClasses> {
        let mut jars: Vec<(Vec<u16>, PackageId, &super::Jar)> = Vec::new();
        for (package, index) in self.all.iter().zip(0..) {
            let id = PackageId(index);
            if package.ecosystem != Ecosystem::Java
                || package.position.is_none()
                || !self.is_seen(id)
            {
                continue;
            }
            let jar = package.files.iter().find_map(|&node| {
                let layer = package.layer;
                facts.get(&Origin { layer, node })
            });
            if let Some(Fact::Jar(jar)) = jar {
                let name = package.path.components().next_back().unwrap_or_default();
                jars.push((java_order(name), id, jar));
            }
        }
        jars.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut providers: HashMap<&str, PackageId> = HashMap::new();
        let mut pairs: BTreeMap<(PackageId, PackageId), (usize, &str)> = BTreeMap::new();
        for &(_, id, jar) in &jars {
            for class in &jar.classes {
                let winner = *providers.entry(class).or_insert(id);
                if winner != id {
                    pairs.entry((winner, id)).or_insert((0, class)).0 += 1;
                }
            }
        }
        pairs
            .into_iter()
            .map(|((winner, loser), (count, example))| SharedClasses {
                winner,
                loser,
                count,
                example: printable(example.replace('/', ".")),
            })
            .collect()
    }
}
