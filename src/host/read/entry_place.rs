//! Which entry is being read, for whoever has to say what is wrong with it.

use std::fs::File;
use std::io;

use crate::archive::{Archive, BrokenRule, Entry, Refusal};
use crate::host::error::{HostError, LayerLabel};
use crate::path::Escaped;

/// In which form an entry's data is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// Inflated.
    Content,
    /// As it is kept.
    Kept,
}

/// An entry, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Reading<'r> {
    pub(super) file: &'r File,
    pub(super) archive: &'r Archive,
    pub(super) entry: &'r Entry,
    pub(super) index: u32,
    pub(super) place: &'r LayerLabel,
    pub(super) form: Form,
}

impl Reading<'_> {
    pub(super) fn refused(&self, refusal: Refusal) -> HostError {
        self.place.refused(refusal)
    }

    pub(super) fn broken(&self, rule: BrokenRule) -> HostError {
        self.refused(self.archive.refusal(rule, self.index))
    }

    pub(super) fn failed(&self, error: io::Error) -> HostError {
        let source = if error.kind() == io::ErrorKind::UnexpectedEof {
            io::Error::other("the file became shorter while it was read")
        } else {
            error
        };
        let name = Escaped(self.archive.name(self.entry));
        self.place
            .failed_at("read it", &format!("entry `{name}`"), source)
    }

    pub(super) fn judge_crc(&self, found: u32) -> Result<(), HostError> {
        let stated = self.entry.crc32;
        if found == stated {
            Ok(())
        } else {
            Err(self.broken(BrokenRule::Crc { stated, found }))
        }
    }
}
