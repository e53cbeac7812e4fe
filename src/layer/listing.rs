//! What a directory holds that serves as a layer.

use std::collections::HashMap;

use crate::entry::Object;

/// The set-user-ID, set-group-ID and sticky bits.
pub(super) const SPECIAL: u16 = 0o7000;

/// What a directory holds that serves as a layer.
#[derive(Debug, Default)]
pub struct Listing {
    pub(super) names: Vec<u8>,
    entries: Vec<ListedEntry>,
    /// The modes of those that have set-id or sticky bits.
    special: HashMap<u32, u16>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ListedEntry {
    pub(super) name_start: usize,
    pub(super) name_bytes: usize,
    pub(super) object: Object,
}

impl Listing {
    /// Adds an object, whose path from the layer's root is `name`. Its index is returned.
    pub fn push(&mut self, name: &[u8], object: Object) -> u32 {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(ListedEntry {
            name_start: self.names.len(),
            name_bytes: name.len(),
            object,
        });
        self.names.extend_from_slice(name);
        index
    }

    /// Notes the whole Unix mode of an object, for what its [`Object`] does not keep.
    pub fn note_mode(&mut self, index: u32, unix_mode: u16) {
        if unix_mode & SPECIAL != 0 {
            self.special.insert(index, unix_mode);
        }
    }

    /// One of the objects.
    #[track_caller]
    pub(super) fn entry(&self, index: u32) -> &ListedEntry {
        let Some(entry) = self.entries.get(index as usize) else {
            let count = self.entries.len();
            panic!("object {index} was asked for in a listing of {count}");
        };
        entry
    }

    /// The set-user-ID, set-group-ID and sticky bits of one of the objects.
    pub(super) fn special_bits(&self, index: u32) -> u16 {
        self.special.get(&index).map_or(0, |mode| mode & SPECIAL)
    }

    /// How many objects were added.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
