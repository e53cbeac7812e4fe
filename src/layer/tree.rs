//! Grows the tree of one layer: finds each name its place, and refuses what stands in another one's way.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;

use super::listing::Listing;
use crate::archive::{Archive, BrokenRule, Refusal, Strictness};
use crate::entry::{Kind, Object};
use crate::path::{EntryName, Escaped, JudgedName, NameError};

/// The keyed hash that names are looked up by. Its key is random, so that nobody can choose names that collide.
pub(crate) type NameHasher = std::hash::RandomState;

#[derive(Clone, Copy, Debug)]
pub(super) struct LayerNode {
    pub(super) parent: u32,
    pub(super) name_start: u32,
    /// `NO_ENTRY` for an implied directory.
    pub(super) entry: u32,
    pub(super) name_bytes: u8,
    pub(super) kind: Kind,
    pub(super) path_hash: u64,
}

pub(super) const NO_ENTRY: u32 = u32::MAX;
/// The two forms of a layer, seen alike by the tree: named objects whose names lie in one buffer.
pub(super) trait Names {
    fn buffer(&self) -> &[u8];
    /// Where in the buffer the name of an entry stands, and its length.
    fn name_place(&self, index: u32) -> (usize, usize);
    fn object(&self, index: u32) -> Object;

    fn judged_name(&self, index: u32) -> Result<JudgedName<'_>, NameError> {
        EntryName(self.name(index)).judge()
    }

    fn name(&self, index: u32) -> &[u8] {
        let (start, bytes) = self.name_place(index);
        &self.buffer()[start..start + bytes]
    }
}

impl Names for Archive {
    fn buffer(&self) -> &[u8] {
        self.directory()
    }

    fn name_place(&self, index: u32) -> (usize, usize) {
        self.entry(index).name_place()
    }

    fn object(&self, index: u32) -> Object {
        self.entry(index).object()
    }

    /// Archives are made of entries whose names were judged.
    fn judged_name(&self, index: u32) -> Result<JudgedName<'_>, NameError> {
        Ok(JudgedName::judged_before(Names::name(self, index)))
    }
}

impl Names for Listing {
    fn buffer(&self) -> &[u8] {
        &self.names
    }

    fn name_place(&self, index: u32) -> (usize, usize) {
        let entry = self.entry(index);
        (entry.name_start, entry.name_bytes)
    }

    fn object(&self, index: u32) -> Object {
        self.entry(index).object
    }
}

/// What the entries of a layer make.
pub(super) struct Grown {
    pub(super) nodes: Vec<LayerNode>,
    pub(super) unplaced: Vec<u32>,
    /// Of all entries.
    pub(super) unzipped_bytes: u64,
    pub(super) waived: Vec<Refusal>,
}

/// The tree of all `count` entries, in their order.
pub(super) fn grow<N: Names>(
    names: &N,
    count: usize,
    strictness: Strictness,
    hasher: &NameHasher,
) -> Result<Grown, Refusal> {
    let mut builder = TreeBuilder::new(names, hasher, count);
    let mut waived = Vec::new();
    let mut unzipped_bytes: u64 = 0;
    for index in 0..u32::try_from(count).unwrap_or(u32::MAX) {
        let refuse = |rule| Refusal::entry(rule, index, names.name(index));
        let name = names
            .judged_name(index)
            .map_err(|error| refuse(BrokenRule::Name(error)))?;
        let object = names.object(index);
        unzipped_bytes = unzipped_bytes.saturating_add(object.size);
        if let Err(rule) = builder.insert(name, index, object) {
            refuse(rule).waive(strictness, &mut waived)?;
        }
    }
    builder.unplaced.sort_unstable();
    Ok(Grown {
        nodes: builder.nodes,
        unplaced: builder.unplaced,
        unzipped_bytes,
        waived,
    })
}

/// Grows the tree of a layer entry by entry.
struct TreeBuilder<'n, N> {
    names: &'n N,
    hasher: &'n NameHasher,
    nodes: Vec<LayerNode>,
    table: HashTable<u32>,
    unplaced: Vec<u32>,
    /// The entry before, its directory, and how many bytes of its name say so: most entries lie beside the one before.
    last_parent: Option<(u32, u32, usize)>,
}

impl<'n, N: Names> TreeBuilder<'n, N> {
    fn new(names: &'n N, hasher: &'n NameHasher, entries: usize) -> Self {
        let root = LayerNode {
            parent: 0,
            name_start: 0,
            entry: NO_ENTRY,
            name_bytes: 0,
            kind: Kind::Directory,
            path_hash: 0,
        };
        // Real layers imply about a tenth of their directories, and name the others.
        let mut nodes = Vec::with_capacity(entries + entries / 8 + 1);
        nodes.push(root);
        Self {
            names,
            hasher,
            nodes,
            table: HashTable::with_capacity(entries),
            unplaced: Vec::new(),
            last_parent: None,
        }
    }

    /// Inserts entry `index`. A rule that is broken but harmless is returned after the entry took its place.
    fn insert(
        &mut self,
        name: JudgedName<'_>,
        index: u32,
        object: Object,
    ) -> Result<(), BrokenRule> {
        let whole = self.names.name(index);
        let mut components = name.components();
        // The root's own entry says nothing that counts.
        let Some(last) = components.next_back() else {
            self.unplaced.push(index);
            return Ok(());
        };
        let parent_bytes = distance(whole, last);
        let parent = match self.last_parent {
            Some((before, parent, bytes))
                if bytes == parent_bytes
                    && self.names.name(before).get(..bytes) == whole.get(..bytes) =>
            {
                parent
            }
            _ => {
                let mut at = 0;
                for component in components {
                    at = self.descend(at, component)?;
                }
                self.last_parent = Some((index, at, parent_bytes));
                at
            }
        };
        let hash = self.hash(parent, last);
        let Some(id) = self.find(hash, parent, last) else {
            self.add(parent, last, index, object.kind, hash);
            return Ok(());
        };
        let place = self.place(last);
        let node = &mut self.nodes[id as usize];
        if (node.kind == Kind::Directory) != (object.kind == Kind::Directory) {
            return Err(BrokenRule::FileAndDirectory);
        }
        let before = (node.entry != NO_ENTRY).then(|| self.names.object(node.entry));
        if node.entry != NO_ENTRY {
            self.unplaced.push(node.entry);
        }
        (node.entry, node.kind, node.name_start) = (index, object.kind, place);
        let differing = match before {
            Some(before) if before.kind != object.kind => "kind",
            Some(before) if (before.size, before.crc32) != (object.size, object.crc32) => "content",
            Some(before) if before.mode != object.mode => "mode",
            _ => return Ok(()),
        };
        Err(BrokenRule::Duplicate(differing))
    }

    /// The directory `component` of `parent`, implied if nothing named it yet.
    fn descend(&mut self, parent: u32, component: &[u8]) -> Result<u32, BrokenRule> {
        let hash = self.hash(parent, component);
        let Some(id) = self.find(hash, parent, component) else {
            return Ok(self.add(parent, component, NO_ENTRY, Kind::Directory, hash));
        };
        let node = &self.nodes[id as usize];
        if node.kind == Kind::Directory {
            return Ok(id);
        }
        let parent = Escaped(self.names.name(node.entry)).to_string();
        Err(BrokenRule::BelowNonDirectory {
            parent,
            kind: node.kind,
        })
    }

    fn add(
        &mut self,
        parent: u32,
        component: &[u8],
        entry: u32,
        kind: Kind,
        path_hash: u64,
    ) -> u32 {
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        // A judged component is at most 255 bytes long.
        let name_bytes = u8::try_from(component.len()).unwrap_or(u8::MAX);
        self.nodes.push(LayerNode {
            parent,
            name_start: self.place(component),
            entry,
            name_bytes,
            kind,
            path_hash,
        });
        let nodes = &self.nodes;
        self.table
            .insert_unique(path_hash, id, |&id| nodes[id as usize].path_hash);
        id
    }

    fn hash(&self, parent: u32, component: &[u8]) -> u64 {
        self.hasher
            .hash_one((self.nodes[parent as usize].path_hash, component))
    }

    fn find(&self, hash: u64, parent: u32, component: &[u8]) -> Option<u32> {
        let is_it = |id: &u32| {
            let node = &self.nodes[*id as usize];
            let start = node.name_start as usize;
            let stop = start + usize::from(node.name_bytes);
            node.path_hash == hash
                && node.parent == parent
                && &self.names.buffer()[start..stop] == component
        };
        self.table.find(hash, is_it).copied()
    }

    /// Where in the buffer a component stands, which is always a part of it. A buffer is shorter than 4 GiB.
    fn place(&self, component: &[u8]) -> u32 {
        u32::try_from(distance(self.names.buffer(), component)).unwrap_or(u32::MAX)
    }
}

/// How many bytes after the start of `whole` its part `part` begins.
fn distance(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}
