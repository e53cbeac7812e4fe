//! Layers as directories that can be mounted.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use slashopt::host::cache::Ready;
use slashopt::host::mount::Lower;
use slashopt::host::system::durability::Durability;

use crate::cli::args::values::absolute;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::resolved::Layers;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

/// How a layer that is a directory is mounted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Directories {
    /// Its copy in the cache.
    Cached,
    /// The directory itself, so that changes show.
    Live,
}

/// Layers as directories that can be mounted.
pub(crate) struct Prepared {
    pub(crate) lowers: Vec<Lower>,
    pub(crate) locks: Vec<OwnedFd>,
}

impl Prepared {
    /// Finds the layers' trees in the cache, or has them built; nothing if that is not worth it.
    pub(crate) fn of(
        layers: &Layers,
        stack: &StackArgs,
        directories: Directories,
        report: &Report,
        is_worth_it: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Self>, Failure> {
        let mut all = Self {
            lowers: Vec::new(),
            locks: Vec::new(),
        };
        if layers.is_empty() && std::env::var_os("SLASHOPT_LAYERS").is_some() {
            return Ok(Some(all));
        }
        let mut add = |all: &mut Self, layers: &Layers| {
            let ready = stack.prepare_if(layers, Durability::Fast, report, is_worth_it)?;
            ready.map(|ready| all.add(ready)).transpose()
        };
        if directories == Directories::Live
            && let Some(lock) = &layers.lock
        {
            return Err(
                Failure::usage(format!("--live: {lock}: what is locked does not change"))
                    .hint("name the LAYERs to see their directories as they are"),
            );
        }
        if directories == Directories::Cached || !layers.named.iter().any(is_directory) {
            return Ok(add(&mut all, layers)?.map(|()| all));
        }
        // Each by itself: what lies in a directory that changes cannot be merged ahead.
        for (name, layer) in layers.each() {
            if is_directory(name) {
                all.lowers.push(live(Path::new(name))?);
            } else if add(&mut all, &layer)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(all))
    }

    fn add(&mut self, ready: Ready) -> Result<(), Failure> {
        let trees = absolute(&ready.path)?;
        let named = ready.directories.into_iter().zip(ready.names);
        self.lowers.extend(named.map(|(directory, name)| Lower {
            directory,
            path: trees.join(name),
        }));
        self.locks.extend(ready.locks);
        Ok(())
    }
}

pub(super) fn is_directory(layer: &OsString) -> bool {
    Path::new(layer).is_dir()
}

/// A directory that is mounted as it is.
pub(super) fn live(path: &Path) -> Result<Lower, Failure> {
    path.canonicalize()
        .and_then(|whole| Ok(Lower::open(whole)?))
        .map_err(|error| {
            let place = path.display();
            Failure::new(Exit::Machine, format!("`{place}`: {error}"))
        })
}
