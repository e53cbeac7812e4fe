//! One way to make a root: examine the destination, merge, judge, extract.

use std::path::PathBuf;

use rayon::{ThreadPool, ThreadPoolBuildError};

use super::content::content_digest;
use super::destination::{Destination, Occupant, Replace};
use super::extraction::{Extraction, Progress, read_umask};
use crate::archive::{Refusal, Strictness};
use crate::collisions::Collisions;
use crate::host::error::{Abandoned, HostError};
use crate::host::read::compare::classify;
use crate::host::read::input::LayerInput;
use crate::host::read::options::LoadOptions;
use crate::host::read::stack::LoadedStack;
use crate::host::system::budget::{Budget, thread_count};
use crate::host::system::cache_folder::CacheFolder;
use crate::host::system::durability::Durability;
use crate::host::system::home::home;
use crate::host::system::interrupt::Interrupt;
use crate::merge::MergedTree;
use crate::plan::{ExtractPlan, OnCollision, OnTypeConflict};
use crate::summary::Summary;

/// Which root to build, where, and what it may replace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RootRequest {
    /// The destination.
    pub into: PathBuf,
    /// The user's home directory: it and its ancestors are never replaced.
    pub home: Option<PathBuf>,
    /// What may be replaced.
    pub replace: Replace,
    /// What collisions are worth; under [`OnCollision::Error`] their bytes are compared.
    pub on_collision: OnCollision,
    /// How conflicts of kind are merged.
    pub on_type_conflict: OnTypeConflict,
    /// How much ambiguity is accepted.
    pub strictness: Strictness,
    /// Where roots are recorded that cannot carry their record themselves.
    pub cache: CacheFolder,
    /// Whether the root must survive a power cut once it is there.
    pub durability: Durability,
    /// Whether everything is judged and nothing is written.
    pub is_dry_run: bool,
}

impl RootRequest {
    /// A root that replaces nothing, by the rules of Lambda. The home directory and the places of a cache are those that the
    /// process's environment names.
    #[must_use]
    pub fn new(into: impl Into<PathBuf>) -> Self {
        Self {
            into: into.into(),
            home: home(),
            replace: Replace::default(),
            on_collision: OnCollision::default(),
            on_type_conflict: OnTypeConflict::default(),
            strictness: Strictness::default(),
            cache: CacheFolder::of_environment(None),
            durability: Durability::default(),
            is_dry_run: false,
        }
    }
}

/// What a build uses: threads, memory, the interrupt, the umask.
#[derive(Debug)]
pub struct Workshop {
    /// The threads.
    pub pool: ThreadPool,
    /// The memory.
    pub budget: Budget,
    /// Whether to go on.
    pub interrupt: Interrupt,
    /// The permission bits that the process does not grant to what it creates: [`read_umask`].
    pub umask: u16,
}

impl Workshop {
    /// Starts `threads` threads, or one for each processor that may be used. The umask is read first, which takes setting it
    /// for a moment: no other thread of the process may be creating files.
    ///
    /// # Errors
    ///
    /// The threads cannot be started.
    pub fn open(threads: Option<u16>, interrupt: Interrupt) -> Result<Self, ThreadPoolBuildError> {
        let umask = read_umask();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(thread_count(threads))
            .build()?;
        Ok(Self {
            pool,
            budget: Budget::default(),
            interrupt,
            umask,
        })
    }
}

/// What became of a destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RootState {
    /// The root was there already.
    Present,
    /// It was built.
    Built,
    /// It would have been built, but for [`RootRequest::is_dry_run`].
    Planned,
}

/// A root that is there, or would be.
#[derive(Debug)]
#[non_exhaustive]
pub struct BuiltRoot {
    /// What became of the destination.
    pub state: RootState,
    /// What was there before.
    pub occupant: Occupant,
    /// What the root holds.
    pub plan: ExtractPlan,
    /// What was overridden.
    pub collisions: Collisions,
    /// What there is to say of the merge.
    pub summary: Summary,
    /// What `--lenient` waived while contents were read, the layer's number first.
    pub waived: Vec<(usize, Refusal)>,
    /// What could not be cleaned up, a sentence each for the user.
    pub left_behind: Vec<String>,
}

/// Makes a root of layers appear at a destination, whole or not at all, with one thread for each processor.
///
/// # Errors
///
/// What is wrong with the lowest layer, why nothing may be built there, or what failed. The destination is then as it was.
pub fn make_root(inputs: &[LayerInput], request: &RootRequest) -> Result<BuiltRoot, Abandoned> {
    let workshop = Workshop::open(None, Interrupt::default()).map_err(|error| {
        let place = "the process".to_owned();
        HostError::io("start threads", place, std::io::Error::other(error))
    })?;
    let options = LoadOptions {
        strictness: request.strictness,
        ..LoadOptions::default()
    };
    let loaded = workshop
        .pool
        .install(|| LoadedStack::load(inputs, options, &workshop.budget))?;
    build_root(&loaded, request, &workshop, &Progress::default())
}

/// Makes the root of a stack appear at a destination, whole or not at all.
///
/// # Errors
///
/// Why nothing may be built there, the policy that forbids it, or what failed. The destination is then as it was.
pub fn build_root(
    loaded: &LoadedStack,
    request: &RootRequest,
    workshop: &Workshop,
    progress: &Progress,
) -> Result<BuiltRoot, Abandoned> {
    let Workshop {
        pool,
        budget,
        interrupt,
        umask,
    } = workshop;
    interrupt.check()?;
    let linked = request.on_type_conflict.linked_directory();
    let content = content_digest(loaded, linked, request.strictness);
    let destination = Destination::examine(
        &request.into,
        request.home.as_deref(),
        request.replace,
        &content,
        request.cache.clone(),
    )?;
    let tree = MergedTree::merge(&loaded.stack, linked);
    let means = request.on_collision.same_bytes();
    let collisions = classify(loaded, &tree, means, pool, budget)?;
    let plan = ExtractPlan::new(&tree);
    let summary = Summary::of(&tree, &plan, &collisions);
    summary
        .judge(request.on_collision, request.on_type_conflict)
        .map_err(HostError::Policy)?;
    let state = match destination.occupant {
        _ if request.is_dry_run && destination.occupant != Occupant::Wanted => RootState::Planned,
        Occupant::Wanted => RootState::Present,
        Occupant::Absent | Occupant::Empty | Occupant::Replaceable => RootState::Built,
    };
    let (mut waived, mut left_behind) = (Vec::new(), Vec::new());
    match state {
        RootState::Present if !request.is_dry_run => left_behind = destination.reclaim(),
        RootState::Present | RootState::Planned => {}
        RootState::Built => {
            let extraction = Extraction {
                loaded,
                tree: &tree,
                plan: &plan,
                pool,
                budget,
                interrupt,
                umask: *umask,
                durability: request.durability,
            };
            progress.begin(plan.bytes);
            let extracted = extraction.run(&destination, content, progress)?;
            (waived, left_behind) = (extracted.waived, extracted.left_behind);
        }
    }
    Ok(BuiltRoot {
        state,
        occupant: destination.occupant,
        plan,
        collisions,
        summary,
        waived,
        left_behind,
    })
}
