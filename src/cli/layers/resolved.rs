//! The layers of a command, as they were meant.

use std::ffi::OsString;

use slashopt::host::error::{ChildFailure, HostError};
use slashopt::host::read::input::LayerInput;
use slashopt::runtime::{Architecture, Runtime};

use super::lock_file::Lock;
use crate::cli::args::runtime::named_runtime;
use crate::cli::output::failure::Failure;
use crate::cli::output::report::Report;

/// The variable that names a lock file.
pub(super) const LOCKED: &str = "SLASHOPT_LOCKED";

/// Layers in merge order, lowest first. A registry that is not on this machine was asked for its layers already.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The names of the layers, one for each input; none where a lock file names them.
    pub(crate) named: Vec<OsString>,
    /// What they are read from.
    inputs: Vec<LayerInput>,
    /// The lock file that names them.
    pub(crate) lock: Option<Lock>,
}

impl Layers {
    /// Layers of these names.
    pub(super) const fn of_names(named: Vec<OsString>, inputs: Vec<LayerInput>) -> Self {
        Self {
            named,
            inputs,
            lock: None,
        }
    }

    /// The layers of a lock file.
    pub(super) const fn of_lock(lock: Lock, inputs: Vec<LayerInput>) -> Self {
        Self {
            named: Vec::new(),
            inputs,
            lock: Some(lock),
        }
    }

    /// Whether nobody named a layer.
    pub(crate) const fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.lock.is_none()
    }

    /// What the layers are read from, at least one.
    pub(crate) fn inputs(&self) -> Result<&[LayerInput], Failure> {
        if self.is_empty() {
            return Err(Failure::usage("no layer is named").hint(format!(
                "name zip files or directories in merge order, or set SLASHOPT_LAYERS or {LOCKED}"
            )));
        }
        Ok(&self.inputs)
    }

    /// Each layer as a stack of its own, with its name.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&OsString, Self)> {
        self.named.iter().zip(&self.inputs).map(|(name, input)| {
            let only = Self::of_names(vec![name.clone()], vec![input.clone()]);
            (name, only)
        })
    }

    /// The runtime that was asked for, or else the one of the lock file, or else the one in which we run. Says which others are
    /// contradicted.
    pub(crate) fn runtime(
        &self,
        asked: Option<&str>,
        report: &Report,
    ) -> Result<Option<&'static Runtime>, Failure> {
        let named = named_runtime(asked)?;
        let Some(lock) = &self.lock else {
            return Ok(named);
        };
        let is_asked = asked.is_some_and(|asked| !asked.is_empty());
        let chosen = named.filter(|_| is_asked).or(lock.runtime).or(named);
        if let (Some(locked), Some(named)) = (lock.runtime, named)
            && locked.identifier != named.identifier
        {
            report.warning(&format!("{lock}: it is for {locked}, not for {named}"));
        }
        if let Some(chosen) = chosen {
            lock.tell_others_runtimes(chosen, report);
        }
        Ok(chosen)
    }

    /// The architecture that was asked for, or else the one of the lock file, or else Lambda's default.
    pub(crate) fn architecture(
        &self,
        asked: Option<Architecture>,
        report: &Report,
    ) -> Architecture {
        let Some(lock) = &self.lock else {
            return asked.unwrap_or_default();
        };
        let chosen = asked.or(lock.architecture).unwrap_or_default();
        if let Some(locked) = lock.architecture.filter(|locked| *locked != chosen) {
            report.warning(&format!("{lock}: it is for {locked}, not for {chosen}"));
        }
        lock.tell_others_architectures(chosen, report);
        chosen
    }

    /// What the machine, or a layer, did not allow.
    pub(crate) fn failure(&self, error: HostError) -> Failure {
        if self.lock.is_some() {
            Failure::locked(error)
        } else {
            Failure::host(error)
        }
    }

    /// How a child process tells that.
    pub(crate) fn describe(&self) -> fn(HostError) -> ChildFailure {
        if self.lock.is_some() {
            Failure::locked_child_failure
        } else {
            Failure::child_failure
        }
    }
}
