//! How a stack is made ready: from its record alone if it can be, else by a child that builds what is missing, and then from
//! its record.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, futimens, stat};
use nix::sys::time::TimeSpec;

use super::boot::Boot;
use super::ensure::Built;
use super::lock::{out_of_the_way, share_directory, share_file};
use super::memo::FileState;
use super::open::Cache;
use super::ready::{Building, Ready, ReadyLayer, StackPolicy};
use super::stack_record::{StackRecord, stack_digest};
use super::trees::{MEMO, MOST_RECORD_BYTES, STACKS, TREES};
use crate::digest::Digest;
use crate::host::error::{Abandoned, ChildFailure, HostError, LayerLabel};
use crate::host::read::input::{LayerInput, spool_stdin};
use crate::host::read::listing::load_directory;
use crate::host::system::child::in_child;
use crate::host::system::durability::Durability;
use crate::host::system::encoding::{Decoder, Encoder, Mark};
use crate::host::system::root::{open_directory, uninterrupted};
use crate::host::system::whole_file;
use crate::layer::NameHasher;
use crate::quota::FileIdentity;
use crate::summary::Summary;

/// How often what was just built may vanish before it is used: `prune` leaves what is new alone.
const ATTEMPTS: usize = 5;
/// How exactly the last use of a stack is known, in seconds: writing it down costs a start nothing most of the time.
const USE_SECONDS: i64 = 3600;
/// The first bytes of what a child answers.
const ANSWER: Mark = *b"slansw 1";

/// What is known of a layer before anything of it is read.
struct Known {
    digest: Option<Digest>,
    identity: Option<FileIdentity>,
}

impl Cache {
    /// Makes a stack ready to be mounted. The process must have one thread, and still has when this returns: what needs more is
    /// done by a child that does not survive it.
    ///
    /// # Errors
    ///
    /// What is wrong with the lowest layer, or why the cache cannot be used.
    pub fn prepare(
        &self,
        inputs: &[LayerInput],
        policy: &StackPolicy,
        building: &Building,
    ) -> Result<Ready, HostError> {
        match self.prepare_if(inputs, policy, building, &mut || true)? {
            Some(ready) => Ok(ready),
            None => self.nothing(),
        }
    }

    /// The same, but that before something is built `is_worth_it` is asked; nothing if it is not.
    ///
    /// # Errors
    ///
    /// As [`Cache::prepare`].
    pub fn prepare_if(
        &self,
        inputs: &[LayerInput],
        policy: &StackPolicy,
        building: &Building,
        is_worth_it: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Ready>, HostError> {
        if inputs.is_empty() {
            return self.nothing().map(Some);
        }
        // What is read here cannot be read again by whoever has to do without the cache.
        let is_read_once = inputs
            .iter()
            .any(|input| matches!(input, LayerInput::Stdin));
        if is_read_once && !is_worth_it() {
            return Ok(None);
        }
        let inputs = spooled(inputs)?;
        let places = LayerInput::labels(&inputs);
        let memo = self.folder.open_below(MEMO).ok();
        let mut known: Vec<Known> = inputs
            .iter()
            .zip(&places)
            .map(|(input, place)| look_up(input, place, policy, memo.as_ref()))
            .collect();
        let boot = Boot::now();
        let mut is_warm = true;
        let mut left_behind = Vec::new();
        for _ in 0..ATTEMPTS {
            let digests: Option<Vec<Digest>> = known.iter().map(|known| known.digest).collect();
            if let Some(digests) = digests
                && let Some((record, locks)) = self.recorded(&digests, policy, building, &boot)?
                && let Some(ready) = self.ready(&record, locks)?
            {
                let ready = finish(ready, &known, &places, is_warm, left_behind);
                return Ok(Some(ready));
            }
            if is_warm && !is_read_once && !is_worth_it() {
                return Ok(None);
            }
            is_warm = false;
            let built = self.build_in_child(&inputs, policy, building)?;
            left_behind.extend(built.left_behind);
            for (known, digest) in known.iter_mut().zip(built.digests) {
                known.digest = Some(digest);
            }
            // What could not be recorded is used as it was told, its trees locked one by one.
            if let Some(record) = built.unrecorded
                && let Some(locks) = self.lock_trees(&record)?
                && let Some(ready) = self.ready(&record, locks)?
            {
                let ready = finish(ready, &known, &places, is_warm, left_behind);
                return Ok(Some(ready));
            }
        }
        let raced = std::io::Error::other("something keeps removing what is built");
        Err(self.failed("use the cache", "", raced))
    }

    /// The stack of no layers, which needs no tree and no record.
    fn nothing(&self) -> Result<Ready, HostError> {
        Ok(Ready {
            directories: Vec::new(),
            names: Vec::new(),
            folder: self.require(TREES)?,
            path: self.path().join(TREES),
            locks: Vec::new(),
            layers: Vec::new(),
            summary: Summary::default(),
            waived: Vec::new(),
            is_warm: true,
            left_behind: Vec::new(),
        })
    }

    /// The record of a stack and the lock on it, if the trees may be believed.
    fn recorded(
        &self,
        digests: &[Digest],
        policy: &StackPolicy,
        building: &Building,
        boot: &Boot,
    ) -> Result<Option<(StackRecord, Vec<OwnedFd>)>, HostError> {
        let Ok(stacks) = self.folder.open_below(STACKS) else {
            return Ok(None);
        };
        let name = stack_digest(digests, policy).hex();
        let file = match share_file(&stacks, &name) {
            Ok(Some(file)) => file,
            // What may not be read is built again, or not: the child says why.
            Ok(None) | Err(Errno::EACCES) => return Ok(None),
            Err(error) => return Err(self.failed("lock the record of the stack", STACKS, error)),
        };
        let record = file
            .try_clone()
            .ok()
            .and_then(|file| whole_file::read_open(file, MOST_RECORD_BYTES))
            .and_then(|record| StackRecord::decode(&record))
            .filter(|record| record.is_settled(boot))
            .filter(|record| !self.needs_sync(record, building));
        let Some(record) = record else {
            return Ok(None);
        };
        policy
            .limits
            .judge_sums(record.layers.iter().fold((0, 0), |sums, layer| {
                let (entries, bytes): (u64, u64) = sums;
                (
                    entries.saturating_add(layer.entries),
                    bytes.saturating_add(layer.unzipped_bytes),
                )
            }))?;
        note_use(&file);
        Ok(Some((record, vec![out_of_the_way(file)])))
    }

    /// Whether trees are wanted to survive a power cut that need not have been before.
    fn needs_sync(&self, record: &StackRecord, building: &Building) -> bool {
        building.durability == Durability::Survives
            && self.folder.is_writable
            && record.trees.iter().any(|tree| !tree.is_durable)
    }

    /// Locks the trees of a stack one by one; `None` when one is not there any more.
    fn lock_trees(&self, record: &StackRecord) -> Result<Option<Vec<OwnedFd>>, HostError> {
        let trees = self.require(TREES)?;
        let mut locks = Vec::with_capacity(record.trees.len());
        for tree in &record.trees {
            match share_directory(&trees, &tree.key.name()) {
                Ok(Some(tree)) => locks.push(out_of_the_way(tree)),
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.failed("lock a tree", TREES, error)),
            }
        }
        Ok(Some(locks))
    }

    /// Opens the trees of a stack; `None` when one is not there, or not the one that was recorded.
    fn ready(&self, record: &StackRecord, locks: Vec<OwnedFd>) -> Result<Option<Ready>, HostError> {
        let folder = self.require(TREES)?;
        let mut directories = Vec::with_capacity(record.trees.len());
        let mut names = Vec::with_capacity(record.trees.len());
        for tree in &record.trees {
            let name = tree.key.name();
            let directory = match open_directory(&folder, name.as_bytes()) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) => return Ok(None),
                Err(error) => return Err(self.failed("open a tree", TREES, error)),
            };
            if !tree.is_durable {
                let about = nix::sys::stat::fstat(&directory)
                    .map_err(|error| self.failed("examine a tree", TREES, error))?;
                if (about.st_dev, about.st_ino) != tree.root {
                    return Ok(None);
                }
            }
            directories.push(directory);
            names.push(name);
        }
        let layers = record.layers.iter().map(|layer| ReadyLayer {
            source: String::new(),
            digest: layer.digest,
            identity: None,
            code_bytes: layer.code_bytes,
            unzipped_bytes: layer.unzipped_bytes,
            entries: layer.entries,
        });
        let waived = record.layers.iter().zip(1..).flat_map(|(layer, number)| {
            let waived = layer.waived.iter().cloned();
            waived.map(move |waived| (number, waived))
        });
        Ok(Some(Ready {
            directories,
            names,
            folder,
            path: self.path().join(TREES),
            locks,
            layers: layers.collect(),
            summary: record.summary.clone(),
            waived: waived.collect(),
            is_warm: true,
            left_behind: Vec::new(),
        }))
    }

    fn build_in_child(
        &self,
        inputs: &[LayerInput],
        policy: &StackPolicy,
        building: &Building,
    ) -> Result<Built, HostError> {
        let failed = |error: std::io::Error| self.failed("build what is missing", "", error);
        let report = in_child(|interrupt| {
            let answer = self.build(inputs, policy, building, interrupt);
            encode_answer(answer, building.describe)
        })
        .map_err(|error| failed(error.into()))?;
        match (decode_answer(&report.bytes), report.signal) {
            (Some(Answer::Built(_)), Some(signal)) => Err(HostError::Interrupted(signal)),
            (Some(Answer::Built(built)), None) => Ok(*built),
            (Some(Answer::Failed(failure)), _) => Err(match failure.signal {
                Some(signal) => HostError::Interrupted(signal),
                None => HostError::Child(failure),
            }),
            (None, _) => {
                let death = report.death.unwrap_or_else(|| "it said nothing".to_owned());
                let reason = format!("the process that builds failed: {death}");
                Err(failed(std::io::Error::other(reason)))
            }
        }
    }
}

/// What can be known of a layer without opening it, by what is remembered in a folder.
fn look_up(
    input: &LayerInput,
    place: &LayerLabel,
    policy: &StackPolicy,
    memo: Option<&OwnedFd>,
) -> Known {
    let unknown = Known {
        digest: None,
        identity: None,
    };
    match input {
        LayerInput::Cached { digest, .. } => Known {
            digest: Some(*digest),
            identity: Some(digest.identity()),
        },
        LayerInput::Expected { path, digest, .. } => Known {
            digest: Some(*digest),
            identity: std::fs::metadata(path)
                .ok()
                .map(|about| (about.dev(), about.ino())),
        },
        LayerInput::Path(path) => {
            let Ok(about) = uninterrupted(|| stat(path)) else {
                return unknown;
            };
            let is_directory =
                SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
            let state = if is_directory {
                directory_state(path, place, policy)
            } else {
                Some(FileState::of_file(&about))
            };
            Known {
                digest: state.zip(memo).and_then(|(state, memo)| state.recall(memo)),
                identity: Some((about.st_dev, about.st_ino)),
            }
        }
        LayerInput::Open { .. } | LayerInput::Stdin => unknown,
    }
}

/// Adds what only this run knows.
fn finish(
    ready: Ready,
    known: &[Known],
    places: &[LayerLabel],
    is_warm: bool,
    left_behind: Vec<String>,
) -> Ready {
    let layers = ready.layers.into_iter().zip(known.iter().zip(places));
    let layers = layers.map(|(layer, (known, place))| ReadyLayer {
        source: place.source.clone(),
        identity: known.identity,
        ..layer
    });
    Ready {
        layers: layers.collect(),
        is_warm,
        left_behind,
        ..ready
    }
}

/// The inputs with standard input read to its end: it can be read once, and a child may have to.
fn spooled(inputs: &[LayerInput]) -> Result<Vec<LayerInput>, HostError> {
    let places = LayerInput::labels(inputs);
    let spooled = inputs.iter().zip(&places).map(|(input, place)| {
        if !matches!(input, LayerInput::Stdin) {
            return Ok(input.clone());
        }
        let file: File = spool_stdin().map_err(|error| place.failed("read the layer", error))?;
        Ok(LayerInput::Open {
            name: input.name(),
            file: Arc::new(file),
        })
    });
    spooled.collect()
}

/// What a directory is now; that takes a look at all that lies in it, but not into it.
fn directory_state(path: &Path, place: &LayerLabel, policy: &StackPolicy) -> Option<FileState> {
    // What is wrong with it is said by who builds.
    let listed = load_directory(path, place, policy.limits, &NameHasher::new()).ok()?;
    Some(FileState::of_directory(listed.fingerprint, listed.changed))
}

/// Notes that a stack is used, where we may write.
fn note_use(record: &OwnedFd) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
    let is_noted = nix::sys::stat::fstat(record)
        .is_ok_and(|about| (now - USE_SECONDS..=now).contains(&about.st_mtime));
    let now = TimeSpec::new(now, 0);
    if !is_noted && let Err(error) = futimens(record, &now, &now) {
        tracing::debug!(descriptor = record.as_raw_fd(), %error, "cannot note the use of a stack");
    }
}

enum Answer {
    Built(Box<Built>),
    Failed(Box<ChildFailure>),
}

fn encode_answer(
    answer: Result<Built, Abandoned>,
    describe: fn(HostError) -> ChildFailure,
) -> Vec<u8> {
    let mut encoder = Encoder::new(ANSWER);
    match answer {
        Ok(built) => {
            encoder.number(0).list(&built.digests, |encoder, &digest| {
                encoder.digest(digest);
            });
            let record = built.unrecorded.as_ref().map(StackRecord::encode);
            encoder.optional(record.as_deref());
            encoder.list(&built.left_behind, |encoder, text| {
                encoder.bytes(text.as_bytes());
            });
        }
        Err(Abandoned { error, left_behind }) => {
            let failure = ChildFailure {
                left_behind,
                ..describe(error)
            };
            failure.encode(encoder.number(1));
        }
    }
    encoder.finish()
}

fn decode_answer(answer: &[u8]) -> Option<Answer> {
    let mut decoder = Decoder::new(answer, ANSWER)?;
    let answer = match decoder.number()? {
        0 => Answer::Built(Box::new(Built {
            digests: decoder.list(Decoder::digest)?,
            unrecorded: match decoder.optional()? {
                Some(record) => Some(StackRecord::decode(record)?),
                None => None,
            },
            left_behind: decoder.list(Decoder::text)?,
        })),
        1 => Answer::Failed(Box::new(ChildFailure::decode(&mut decoder)?)),
        _ => return None,
    };
    decoder.end().map(|()| answer)
}
