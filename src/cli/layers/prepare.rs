//! A stack from the cache, ready to be mounted, with all that is said of it.

use slashopt::host::cache::{Building, Ready, StackPolicy};
use slashopt::host::error::HostError;
use slashopt::host::system::durability::Durability;

use super::flags::StackArgs;
use super::resolved::Layers;
use super::warnings::{tree_warnings, waived_rule};
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

impl StackArgs {
    /// Makes a stack ready to be mounted, warns about what there is to warn of, and judges it. The process must have one thread,
    /// and keeps it.
    pub(crate) fn prepare(
        &self,
        layers: &Layers,
        durability: Durability,
        report: &Report,
    ) -> Result<Ready, Failure> {
        let ready = self.prepare_if(layers, durability, report, &mut || true)?;
        ready.ok_or_else(|| Failure::new(Exit::Machine, "nothing was built"))
    }

    /// The same, but that before something is built `is_worth_it` is asked; nothing if it is not.
    pub(crate) fn prepare_if(
        &self,
        layers: &Layers,
        durability: Durability,
        report: &Report,
        is_worth_it: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Ready>, Failure> {
        let inputs = layers.inputs()?;
        let policy = StackPolicy {
            on_collision: self.on_collision(),
            on_type_conflict: self.on_type_conflict(),
            strictness: self.strictness(),
            limits: self.limits(),
        };
        let building = Building {
            threads: self.threads,
            durability,
            describe: layers.describe(),
        };
        let ready = self
            .cache()?
            .prepare_if(inputs, &policy, &building, is_worth_it)
            .map_err(|error| {
                if let HostError::Child(told) = &error {
                    for left in &told.left_behind {
                        report.warning(left);
                    }
                }
                layers.failure(error)
            })?;
        let Some(ready) = ready else {
            return Ok(None);
        };
        for (number, waived) in &ready.waived {
            let layer = ready.layers.get(number - 1);
            let source = layer.map(|layer| layer.source.as_str()).unwrap_or_default();
            report.warning(&format!(
                "layer {number} of {} (`{source}`): {}",
                ready.layers.len(),
                waived_rule(waived.entry.as_deref(), &waived.rule)
            ));
        }
        self.judge_weights(&ready.weights(), report)?;
        ready
            .summary
            .judge(policy.on_collision, policy.on_type_conflict)
            .map_err(|violation| Failure::host(violation.into()))?;
        let warnings = tree_warnings(&ready.summary, policy.on_collision);
        for warning in warnings.iter().chain(&ready.left_behind) {
            report.warning(warning);
        }
        Ok(Some(ready))
    }
}
