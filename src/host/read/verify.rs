//! Looks for the entry to name when several are bad: which one a thread met first is chance.

use std::fs::File;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::entry::Reader;
use super::stack::LoadedStack;
use crate::archive::Archive;
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::read::stack::OpenLayer;
use crate::host::system::budget::Budget;
use crate::host::system::interrupt::Interrupt;
use crate::merge::Origin;

/// What it takes to read objects of a stack for nothing but to know whether they can be trusted.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Verifier<'v> {
    pub(in crate::host) loaded: &'v LoadedStack,
    pub(in crate::host) pool: &'v ThreadPool,
    pub(in crate::host) budget: &'v Budget,
    pub(in crate::host) interrupt: &'v Interrupt,
}

impl<'v> Verifier<'v> {
    /// Does `work` for all items on all threads; of several failures the one that stands first is returned.
    pub(in crate::host) fn for_each<T: Sync>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<(), HostError> + Sync,
    ) -> Result<(), HostError> {
        let failures: Option<HostError> = self.pool.install(|| {
            items
                .par_iter()
                .with_min_len(8)
                .filter_map(|item| work(item).err())
                .reduce_with(HostError::first)
        });
        failures.map_or(Ok(()), Err)
    }

    /// Of the failure of one entry and those of all `origins` the one that stands first: by layer, then by entry.
    pub(in crate::host) fn first_bad_entry(
        &self,
        failure: HostError,
        origins: impl Iterator<Item = Origin>,
    ) -> HostError {
        let HostError::Refused { layer, refusal } = &failure else {
            return failure;
        };
        let found = (
            layer.number,
            refusal.entry.as_ref().map_or(0, |entry| entry.index),
        );
        let earlier = origins.filter(|&origin| self.place_of(origin) < found);
        let verify = |origins: &&[Origin]| {
            let mut reader = Reader::new(self.budget);
            for &origin in *origins {
                self.interrupt.check()?;
                self.verify(&mut reader, origin)?;
            }
            Ok(())
        };
        // In the order of their places, so that a piece's first failure is its lowest.
        let mut sorted: Vec<Origin> = earlier.collect();
        sorted.sort_unstable_by_key(|&origin| self.place_of(origin));
        self.for_each(&sorted.chunks(64).collect::<Vec<_>>(), verify)
            .err()
            .unwrap_or(failure)
    }

    /// Where an object stands among all: by layer, then by entry.
    fn place_of(&self, origin: Origin) -> (usize, u32) {
        let entry = self.loaded.stack.layer(origin.layer).entry_of(origin.node);
        // A directory that no entry made comes first.
        (self.loaded.label(origin.layer).number, entry.unwrap_or(0))
    }

    /// Reads an object: a file's bytes, and what an archive says of a directory.
    pub(in crate::host) fn verify(
        &self,
        reader: &mut Reader<'_>,
        origin: Origin,
    ) -> Result<(), HostError> {
        let kind = self.loaded.stack.layer(origin.layer).kind(origin.node);
        match (kind, self.archive_entry(origin)) {
            (Kind::File, _) => reader.read(self.loaded, origin, |_| Ok(())),
            (_, Some((file, archive, entry))) => {
                let place = self.loaded.label(origin.layer);
                reader.read_entry(file, archive, entry, place, |_| Ok(()))
            }
            (_, None) => Ok(()),
        }
    }

    /// The entry of an archive that an object comes from, if it comes from one.
    pub(in crate::host) fn archive_entry(
        &self,
        origin: Origin,
    ) -> Option<(&'v File, &'v Archive, u32)> {
        let OpenLayer::Archive { archive, file } = self.loaded.open(origin.layer) else {
            return None;
        };
        let entry = self
            .loaded
            .stack
            .layer(origin.layer)
            .entry_of(origin.node)?;
        Some((file, archive, entry))
    }
}
