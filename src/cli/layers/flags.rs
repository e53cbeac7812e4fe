//! Layers as they are typed, and how they are read, merged and judged: what every command shares that takes LAYERs.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use slashopt::archive::Strictness;
use slashopt::digest::Digest;
use slashopt::host::cache::Cache;
use slashopt::host::extract::build::{RootRequest, Workshop};
use slashopt::host::system::budget::thread_count;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::plan::{self, Limits};

use crate::cli::args::values::parse_bytes;
use crate::cli::output::failure::{Exit, Failure};

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
    pub(crate) fn cache(&self) -> Result<Cache, Failure> {
        Cache::open(&self.cache_folder()).map_err(Failure::host)
    }

    /// Whether the cache has a layer; none is made for that.
    pub(crate) fn has_cached(&self, digest: Digest) -> bool {
        Cache::holds(&self.cache_folder(), digest)
    }

    /// Where records and trees may be.
    pub(crate) fn cache_folder(&self) -> CacheFolder {
        CacheFolder::of_environment(self.cache_dir.as_deref())
    }

    /// A root of the layers at this place, by these flags.
    pub(crate) fn root_request(&self, into: &Path) -> RootRequest {
        let mut request = RootRequest::new(into);
        request.on_collision = self.on_collision();
        request.on_type_conflict = self.on_type_conflict();
        request.strictness = self.strictness();
        request.cache = self.cache_folder();
        request
    }

    /// What building a root takes. The process must have one thread.
    pub(crate) fn workshop(&self, interrupt: Interrupt) -> Result<Workshop, Failure> {
        Workshop::open(self.threads, interrupt).map_err(|error| not_started(self.threads, &error))
    }

    /// The threads to work with.
    pub(crate) fn pool(&self) -> Result<ThreadPool, Failure> {
        thread_pool(self.threads)
    }
}

/// A pool of this many threads; by default one for each usable processor.
pub(crate) fn thread_pool(threads: Option<u16>) -> Result<ThreadPool, Failure> {
    ThreadPoolBuilder::new()
        .num_threads(thread_count(threads))
        .build()
        .map_err(|error| not_started(threads, &error))
}

fn not_started(threads: Option<u16>, error: &ThreadPoolBuildError) -> Failure {
    let threads = thread_count(threads);
    Failure::whole(
        Exit::Machine,
        format!("cannot start {threads} threads: {error}"),
    )
    .hint("ask for fewer with --threads")
}
