//! Reads the layers that were named, merges nothing, and judges them by quotas.

use rayon::ThreadPool;

use slashopt::collisions::{Collisions, SameBytes};
use slashopt::host::read::compare;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::merge::MergedTree;
use slashopt::quota;
use slashopt::quota::Weight;

use crate::cli::layers::flags::{Quota, StackArgs};
use crate::cli::layers::resolved::Layers;
use crate::cli::layers::warnings::waived;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

/// Finds and classifies the collisions; what only the bytes can decide is read.
pub(crate) fn classify(
    loaded: &LoadedStack,
    tree: &MergedTree<'_>,
    means: SameBytes,
    pool: &ThreadPool,
    budget: &Budget,
) -> Result<Collisions, Failure> {
    compare::classify(loaded, tree, means, pool, budget).map_err(Failure::host)
}

impl StackArgs {
    /// Reads the layers, and judges them by AWS's quotas.
    pub(crate) fn load(
        &self,
        layers: &Layers,
        pool: &ThreadPool,
        budget: &Budget,
        report: &Report,
    ) -> Result<LoadedStack, Failure> {
        let loaded = self.load_whatever_the_quotas(layers, pool, budget, report)?;
        self.judge_quotas(&loaded, report)?;
        Ok(loaded)
    }

    /// Reads the layers, and says what was waived for them.
    pub(crate) fn load_whatever_the_quotas(
        &self,
        layers: &Layers,
        pool: &ThreadPool,
        budget: &Budget,
        report: &Report,
    ) -> Result<LoadedStack, Failure> {
        let loaded = self.read(layers, pool, budget)?;
        for (id, layer) in loaded.stack.in_merge_order() {
            for refusal in layer.waived() {
                report.warning(&format!("{}: {}", loaded.label(id), waived(refusal)));
            }
        }
        Ok(loaded)
    }

    /// Reads the layers and says nothing of them.
    pub(crate) fn read(
        &self,
        layers: &Layers,
        pool: &ThreadPool,
        budget: &Budget,
    ) -> Result<LoadedStack, Failure> {
        let inputs = layers.inputs()?;
        let is_cached = |input: &LayerInput| matches!(input, LayerInput::Cached { .. });
        let cache = inputs
            .iter()
            .any(is_cached)
            .then(|| self.cache())
            .transpose()?;
        let options = LoadOptions {
            strictness: self.strictness(),
            limits: self.limits(),
            cache: cache.as_ref().map(|cache| cache as _),
        };
        pool.install(|| LoadedStack::load(inputs, options, budget))
            .map_err(|error| layers.failure(error))
    }

    /// The quotas of AWS that the layers exceed; none with `--quota off`.
    pub(crate) fn exceeded_quotas(&self, loaded: &LoadedStack) -> Vec<quota::QuotaExceeded> {
        if self.quota == Quota::Off {
            return Vec::new();
        }
        quota::judge(&loaded.stack, &loaded.identities(), None)
    }

    fn judge_quotas(&self, loaded: &LoadedStack, report: &Report) -> Result<(), Failure> {
        self.judge_weights(&quota::weights(&loaded.stack, &loaded.identities()), report)
    }

    pub(crate) fn judge_weights(
        &self,
        weights: &[Weight<'_>],
        report: &Report,
    ) -> Result<(), Failure> {
        if self.quota == Quota::Off {
            return Ok(());
        }
        let exceeded = quota::judge_weights(weights, None);
        if self.quota == Quota::Error
            && let Some(first) = exceeded.first()
        {
            let mut failure = Failure::new(
                Exit::Refused,
                format!("AWS Lambda would refuse these layers: {first}"),
            )
            .hint("--quota warn goes on all the same");
            if let quota::QuotaExceeded::Archive { layer } = first {
                failure.layer = Some(*layer);
            }
            return Err(failure);
        }
        for quota in exceeded {
            report.warning(&format!("AWS Lambda would refuse these layers: {quota}"));
        }
        Ok(())
    }
}
