//! Layers as they are typed, and how they are read, merged and judged: what every command shares that takes LAYERs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rayon::ThreadPool;

use slashopt::archive::Strictness;
use slashopt::collisions::{Collisions, SameBytes};
use slashopt::digest::Digest;
use slashopt::host::cache::Cache;
use slashopt::host::read::compare;
use slashopt::host::read::stack::{LayerInput, LoadOptions, LoadedStack};
use slashopt::host::system::budget::{Budget, thread_count};
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::merge::MergedTree;
use slashopt::path::Escaped;
use slashopt::plan::{self, Limits};
use slashopt::quota::{self, Weight};
use slashopt::summary::{Paths, Summary};

use super::args::LayerArgs;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;

/// How layers are read and merged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Layers")]
pub(crate) struct StackArgs {
    /// What collisions are worth: nothing, a warning, or exit status 1 before anything is built
    #[arg(long, value_enum, default_value_t = OnCollision::Warn, value_name = "WHAT", env = "SLASHOPT_ON_COLLISION", hide_env = true)]
    on_collision: OnCollision,
    /// What happens where layers disagree on the kind of a path: the later one replaces the earlier one, nothing is built, or
    /// directories merge through links to directories as `unzip -o` does
    #[arg(long, value_enum, default_value_t = OnTypeConflict::Replace, value_name = "WHAT", env = "SLASHOPT_ON_TYPE_CONFLICT", hide_env = true)]
    on_type_conflict: OnTypeConflict,
    /// What exceeding AWS's quotas is worth
    #[arg(long, value_enum, default_value_t = Quota::Warn, value_name = "WHAT", env = "SLASHOPT_QUOTA", hide_env = true)]
    pub(crate) quota: Quota,
    /// Accept archives that are ambiguous but harmless; each case is reported
    #[arg(long, env = "SLASHOPT_LENIENT", hide_env = true)]
    lenient: bool,
    /// Refuse layers that unzip to more than this together: bytes, or with K, M, G (powers of 1024)
    #[arg(long, value_parser = parse_bytes, default_value = "10G", value_name = "BYTES", env = "SLASHOPT_MAX_BYTES", hide_env = true)]
    max_bytes: u64,
    /// Refuse layers that have more entries than this together
    #[arg(
        long,
        default_value_t = 1_000_000,
        value_name = "N",
        env = "SLASHOPT_MAX_ENTRIES",
        hide_env = true
    )]
    max_entries: u64,
    /// Use this many threads instead of one for each processor that may be used
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N", env = "SLASHOPT_THREADS", hide_env = true)]
    pub(crate) threads: Option<u16>,
    /// Keep records and cached trees here instead of in the user's cache folder
    #[arg(long, value_name = "DIR", env = "SLASHOPT_CACHE_DIR", hide_env = true)]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum OnCollision {
    Allow,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum OnTypeConflict {
    Replace,
    Error,
    Follow,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Quota {
    Warn,
    Error,
    Off,
}

impl StackArgs {
    pub(crate) const fn on_collision(&self) -> plan::OnCollision {
        match self.on_collision {
            OnCollision::Allow => plan::OnCollision::Allow,
            OnCollision::Warn => plan::OnCollision::Warn,
            OnCollision::Error => plan::OnCollision::Error,
        }
    }

    pub(crate) const fn on_type_conflict(&self) -> plan::OnTypeConflict {
        match self.on_type_conflict {
            OnTypeConflict::Replace => plan::OnTypeConflict::Replace,
            OnTypeConflict::Error => plan::OnTypeConflict::Error,
            OnTypeConflict::Follow => plan::OnTypeConflict::Follow,
        }
    }

    pub(crate) const fn strictness(&self) -> Strictness {
        if self.lenient {
            Strictness::Lenient
        } else {
            Strictness::Strict
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_bytes,
            max_entries: self.max_entries,
        }
    }

    /// The cache, made if need be.
    pub(crate) fn cache(&self, what: &str) -> Result<Cache, Failure> {
        let folders = CacheFolder::new(self.cache_dir.as_deref(), |name| std::env::var_os(name));
        Cache::open(&folders).map_err(|error| Failure::host(what, error))
    }

    /// Whether the cache has a layer; none is made for that.
    pub(crate) fn has_cached(&self, digest: Digest) -> bool {
        let folders = CacheFolder::new(self.cache_dir.as_deref(), |name| std::env::var_os(name));
        Cache::holds(&folders, digest)
    }

    /// The threads to work with.
    pub(crate) fn pool(&self) -> Result<ThreadPool, Failure> {
        thread_pool(self.threads)
    }

    /// Reads the layers, and judges them by AWS's quotas.
    pub(crate) fn load(
        &self,
        layers: &LayerArgs,
        what: &str,
        pool: &ThreadPool,
        budget: &Budget,
        report: &Report,
    ) -> Result<LoadedStack, Failure> {
        let loaded = self.load_whatever_the_quotas(layers, what, pool, budget, report)?;
        self.judge_quotas(&loaded, what, report)?;
        Ok(loaded)
    }

    /// Reads the layers, and says what was waived for them.
    pub(crate) fn load_whatever_the_quotas(
        &self,
        layers: &LayerArgs,
        what: &str,
        pool: &ThreadPool,
        budget: &Budget,
        report: &Report,
    ) -> Result<LoadedStack, Failure> {
        let loaded = self.read(layers, what, pool, budget)?;
        for (id, layer) in loaded.stack.in_merge_order() {
            for refusal in layer.admitted() {
                report.warning(&format!("{}: {}", loaded.place(id), waived(refusal)));
            }
        }
        Ok(loaded)
    }

    /// Reads the layers and says nothing of them.
    pub(crate) fn read(
        &self,
        layers: &LayerArgs,
        what: &str,
        pool: &ThreadPool,
        budget: &Budget,
    ) -> Result<LoadedStack, Failure> {
        let inputs = layers.inputs(self, what)?;
        let is_cached = |input: &LayerInput| matches!(input, LayerInput::Cached { .. });
        let cache = inputs
            .iter()
            .any(is_cached)
            .then(|| self.cache(what))
            .transpose()?;
        let options = LoadOptions {
            strictness: self.strictness(),
            limits: self.limits(),
            cache: cache.as_ref(),
        };
        pool.install(|| LoadedStack::load(inputs, options, budget))
            .map_err(|error| layers.failure(what, error))
    }

    /// The quotas of AWS that the layers exceed; none with `--quota off`.
    pub(crate) fn exceeded_quotas(&self, loaded: &LoadedStack) -> Vec<quota::QuotaExceeded> {
        if self.quota == Quota::Off {
            return Vec::new();
        }
        quota::judge(&loaded.stack, loaded.identities(), None)
    }

    fn judge_quotas(
        &self,
        loaded: &LoadedStack,
        what: &str,
        report: &Report,
    ) -> Result<(), Failure> {
        self.judge_weights(
            &quota::weights(&loaded.stack, loaded.identities()),
            what,
            report,
        )
    }

    pub(crate) fn judge_weights(
        &self,
        weights: &[Weight<'_>],
        what: &str,
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
                format!("{what}: AWS Lambda would refuse these layers: {first}"),
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

/// As many threads.
pub(crate) fn thread_pool(threads: Option<u16>) -> Result<ThreadPool, Failure> {
    let threads = thread_count(threads);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| {
            Failure::new(
                Exit::Machine,
                format!("cannot start {threads} threads: {error}"),
            )
            .hint("ask for fewer with --threads")
        })
}

/// What was waived, for a warning.
pub(crate) fn waived(refusal: &slashopt::archive::Refusal) -> String {
    let entry = refusal.entry.as_ref();
    accepted(entry.map(|entry| entry.name.as_slice()), &refusal.rule)
}

/// What was accepted, and whose fault it is.
pub(crate) fn accepted(entry: Option<&[u8]>, rule: &impl std::fmt::Display) -> String {
    match entry {
        Some(entry) => format!("entry `{}`: {rule} (accepted by --lenient)", Escaped(entry)),
        None => format!("{rule} (accepted by --lenient)"),
    }
}

/// Finds and classifies the collisions; what only the bytes can decide is read.
pub(crate) fn classify(
    loaded: &LoadedStack,
    tree: &MergedTree<'_>,
    means: SameBytes,
    pool: &ThreadPool,
    budget: &Budget,
    what: &str,
) -> Result<Collisions, Failure> {
    compare::classify(loaded, tree, means, pool, budget).map_err(|error| Failure::host(what, error))
}

/// What a user should know of a merged tree before it is used.
pub(crate) fn tree_warnings(summary: &Summary, on_collision: plan::OnCollision) -> Vec<String> {
    let mut warnings = Vec::new();
    if on_collision == plan::OnCollision::Warn && summary.overridden.count > 0 {
        warnings.push(overridden(summary));
    }
    for (paths, one, several) in [
        (
            &summary.unreadable,
            "file is unreadable to Lambda's user",
            "files are unreadable to Lambda's user",
        ),
        (
            &summary.leaving,
            "link leads out of /opt",
            "links lead out of /opt",
        ),
    ] {
        let Paths { count, examples } = paths;
        if *count > 0 {
            let what = if *count == 1 { one } else { several };
            warnings.push(format!(
                "{count} {what}: {}",
                plan::listed(examples, *count)
            ));
        }
    }
    warnings
}

/// One line on what was overridden and matters. Conflicts of kind are named: nobody expects them.
fn overridden(summary: &Summary) -> String {
    let counts = summary.collisions;
    let kinds = [
        (counts.content, "with other content"),
        (counts.mode, "with another mode"),
        (counts.r#type, "by another kind of object"),
    ];
    let parts: Vec<String> = kinds
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, how)| format!("{count} {how}"))
        .collect();
    let Paths { count, examples } = &summary.conflicts;
    let named = if *count == 0 {
        String::new()
    } else {
        format!(": {}", plan::listed(examples, *count))
    };
    format!("later layers override paths: {}{named}", parts.join(", "))
}

/// A number of bytes as people type it: `1048576`, `512K`, `10G`, `1GiB`.
pub(crate) fn parse_bytes(typed: &str) -> Result<u64, String> {
    let digits = typed.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor: u64 = match typed.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        unit => return Err(format!("`{unit}` is no unit: use K, M, G or T")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is not a whole number of bytes".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::cli::layers::flags::*;

    #[test]
    fn bytes_are_typed_with_or_without_a_unit() {
        for (typed, expected) in [
            ("0", Some(0)),
            ("512K", Some(524_288)),
            ("10G", Some(10 << 30)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("1X", None),
            ("99999999T", None),
        ] {
            assert_eq!(parse_bytes(typed).ok(), expected, "{typed}");
        }
    }
}
