//! A directory to be packed: what of it is taken, and which compiled modules go with it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io};

use super::ignore_file::Ignored;
use super::output::Output;
use super::python::{Compiled, Python, is_stale_with_other_times};
use crate::bytecode::{CACHE_DIRECTORY, source_of};
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::read::stack::LoadedStack;
use crate::host::system::interrupt::Interrupt;
use crate::layer::LayerId;
use crate::path::LayerPath;
use crate::plan::{FlattenPlan, Limits, PlannedEntry};

/// What is taken of a directory, and how it is read.
#[derive(Debug)]
pub struct Packing<'p> {
    /// The directory.
    pub directory: &'p Path,
    /// Where the archive is to appear, so that it is not packed into itself.
    pub output: Option<&'p Output>,
    /// What stops bombs.
    pub limits: Limits,
    /// Whether to go on.
    pub interrupt: &'p Interrupt,
}

/// A directory that was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packed {
    /// The directory as the highest layer, compiled modules below it where some were made.
    pub loaded: LoadedStack,
    /// How many objects the patterns left out; what lies in a directory that was left out is not counted.
    pub ignored: usize,
    /// The modules that were made, which must live as long as they are read.
    pub compiled: Option<Compiled>,
}

impl Packing<'_> {
    /// Reads the directory.
    ///
    /// # Errors
    ///
    /// What cannot be read, or is refused: Lambda takes no FIFOs, sockets and devices.
    pub fn load(&self) -> Result<Packed, HostError> {
        self.load_with(None, None)
    }

    /// The same with modules that `python` compiles of all its sources, in place of those that are there. Below `under` is where
    /// they will lie in `/opt`.
    ///
    /// # Errors
    ///
    /// As [`Packing::load`], and when the interpreter does not work.
    pub fn load_compiled(
        &self,
        python: &Python,
        under: &LayerPath,
        jobs: usize,
    ) -> Result<Packed, HostError> {
        let before = self.load_with(Some(python), None)?;
        let sources = sources(&before.loaded);
        let mut above = b"/opt/".to_vec();
        if !under.as_bytes().is_empty() {
            above.extend_from_slice(under.as_bytes());
            above.push(b'/');
        }
        let shown = |source: &[u8]| [above.as_slice(), source].concat();
        let compiled = python.compile(self.directory, &sources, shown, jobs, self.interrupt)?;
        self.load_with(Some(python), Some(compiled))
    }

    fn load_with(
        &self,
        python: Option<&Python>,
        compiled: Option<Compiled>,
    ) -> Result<Packed, HostError> {
        let failed =
            |error| HostError::io("open it", format!("`{}`", self.directory.display()), error);
        let real = fs::canonicalize(self.directory).map_err(failed)?;
        if !real.is_dir() {
            let reason = "it is not a directory";
            return Err(failed(io::Error::new(io::ErrorKind::NotADirectory, reason)));
        }
        let ignored = Ignored::read(self.directory)?;
        let is_output = self.output.and_then(|output| output.is_within(&real));
        let count = AtomicUsize::new(0);
        let is_kept = |name: &[u8], is_directory: bool| {
            if name.is_empty() {
                return true;
            }
            if is_output.as_ref().is_some_and(|is_output| is_output(name))
                || python.is_some_and(|python| !is_directory && python.makes(name))
            {
                return false;
            }
            let is_left_out = ignored.leaves_out(name, is_directory);
            if is_left_out && name != super::ignore_file::IGNORE_FILE.as_bytes() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            !is_left_out
        };
        let everything = |_: &[u8], _| true;
        let mut inputs: Vec<(&Path, crate::host::read::listing::Keep<'_>)> = Vec::new();
        if let Some(compiled) = &compiled {
            inputs.push((&compiled.tree, &everything));
        }
        inputs.push((self.directory, &is_kept));
        let loaded = LoadedStack::load_directories(&inputs, self.limits)?;
        Ok(Packed {
            loaded,
            ignored: count.into_inner(),
            compiled,
        })
    }
}

/// The names of all Python sources of the highest layer.
fn sources(loaded: &LoadedStack) -> Vec<Vec<u8>> {
    let Some((_, layer)) = loaded.stack.in_merge_order().last() else {
        return Vec::new();
    };
    let mut sources: Vec<Vec<u8>> = layer
        .node_ids()
        .filter(|&node| layer.kind(node) == Kind::File && layer.name(node).ends_with(b".py"))
        .map(|node| layer.path(node).as_bytes().to_vec())
        .collect();
    sources.sort_unstable();
    sources
}

impl Packed {
    /// The layer that is the directory itself.
    pub fn directory(&self) -> LayerId {
        LayerId(u16::from(self.compiled.is_some()))
    }

    /// Whether an entry is the user's own, not made here.
    pub fn is_own(&self, entry: &PlannedEntry) -> bool {
        entry
            .origin
            .is_some_and(|origin| origin.layer == self.directory())
    }

    /// Takes compiled modules out of the plan that would be stale with other times than their sources had, and cache directories
    /// that hold nothing then; the names of the modules.
    ///
    /// # Errors
    ///
    /// When one cannot be read.
    pub fn drop_timestamp_based(&self, plan: &mut FlattenPlan) -> Result<Vec<Vec<u8>>, HostError> {
        let names: HashSet<&[u8]> = plan
            .entries()
            .iter()
            .map(|entry| entry.name.as_slice())
            .collect();
        let mut stale = HashSet::new();
        for entry in plan.entries() {
            if entry.kind != Kind::File || !self.is_own(entry) {
                continue;
            }
            let Some((source, is_cached)) = source_of(&entry.name) else {
                continue;
            };
            let (Some(origin), true) = (entry.origin, is_cached || names.contains(&*source)) else {
                continue;
            };
            let layer = self.loaded.stack.layer(origin.layer);
            let from = self.loaded.open(origin.layer);
            if is_stale_with_other_times(layer, from, origin.node)? {
                stale.insert(entry.name.clone());
            }
        }
        plan.retain(|entry| !stale.contains(&entry.name));
        let filled: HashSet<Vec<u8>> = plan
            .entries()
            .iter()
            .filter_map(|entry| {
                let name = entry.name.strip_suffix(b"/").unwrap_or(&entry.name);
                let slash = name.iter().rposition(|&byte| byte == b'/')?;
                Some(name.get(..=slash)?.to_vec())
            })
            .collect();
        plan.retain(|entry| !is_cache(&entry.name) || filled.contains(&entry.name));
        let mut stale: Vec<Vec<u8>> = stale.into_iter().collect();
        stale.sort_unstable();
        Ok(stale)
    }
}

fn is_cache(name: &[u8]) -> bool {
    name.strip_suffix(b"/")
        .and_then(|name| name.strip_suffix(CACHE_DIRECTORY))
        .is_some_and(|above| above.is_empty() || above.ends_with(b"/"))
}
