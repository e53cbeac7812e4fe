//! What a directory holds that serves as a layer.

use std::collections::HashMap;

use crate::entry::Object;

/// What a directory holds that serves as a layer.
#[derive(Debug, Default)]
pub struct Listing {
    pub(super) names: Vec<u8>,
    pub(super) entries: Vec<ListedEntry>,
    /// The modes of those that have set-id or sticky bits.
    pub(super) special: HashMap<u32, u16>,
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
        if unix_mode & 0o7000 != 0 {
            self.special.insert(index, unix_mode);
        }
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
