//! What fails on the machine, and where: every failure says what was attempted, on what, and why.

use std::{fmt, io};

use crate::archive::Refusal;
use crate::digest::Digest;
use crate::path::Escaped;
use crate::plan::{LimitExceeded, PolicyViolation};

/// Which layer, as people name it: ``layer 2 of 3 (`deps.zip`)``.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerLabel {
    /// Counted from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// What the user called it.
    pub source: String,
}

impl fmt::Display for LayerLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "layer {} of {} (`{}`)",
            self.number,
            self.of,
            Escaped(self.source.as_bytes())
        )
    }
}

impl LayerLabel {
    /// A system call failed while the layer was read.
    pub(in crate::host) fn failed(&self, operation: &'static str, source: io::Error) -> HostError {
        HostError::Io {
            operation,
            place: self.to_string(),
            layer: Some(self.clone()),
            source,
        }
    }

    /// The same, at some place in the layer.
    pub(in crate::host) fn failed_at(
        &self,
        operation: &'static str,
        at: &str,
        source: io::Error,
    ) -> HostError {
        let place = format!("{self}: {at}");
        HostError::Io {
            operation,
            place,
            layer: Some(self.clone()),
            source,
        }
    }

    /// The layer breaks a rule.
    pub(in crate::host) fn refused(&self, refusal: Refusal) -> HostError {
        HostError::Refused {
            layer: self.clone(),
            refusal: Box::new(refusal),
        }
    }
}

/// Why the machine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A process of ours failed that did the work.
    #[error("{}", .0.message)]
    Child(Box<ChildFailure>),
    /// A destination that must not be built into.
    #[error("`{destination}`: {reason}")]
    Destination {
        /// The destination, as the user named it.
        destination: String,
        /// Why not.
        reason: Unsuitable,
    },
    /// A signal asked the process to end.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// A system call failed.
    #[error("{place}: cannot {operation}: {source}")]
    Io {
        /// What was attempted: a verb and its object.
        operation: &'static str,
        /// On what.
        place: String,
        /// The layer that was being read, if one was.
        layer: Option<LayerLabel>,
        /// Why it failed.
        source: io::Error,
    },
    /// A layer was found to be another one than somebody said.
    #[error("{layer}: its digest is {}, not {}", .digests.found, .digests.expected)]
    OtherDigest {
        /// Which layer.
        layer: LayerLabel,
        /// What was said, and what it is.
        digests: Box<OtherDigest>,
    },
    /// A layer that is known by its digest alone is not in the cache.
    #[error("{layer}: it is not in the cache `{cache}`")]
    NotCached {
        /// Which layer.
        layer: LayerLabel,
        /// Where the cache is.
        cache: String,
    },
    /// Something is wrong that was accepted under `--lenient` before, and is not now.
    #[error("{layer}: {}{}", waived.entry.as_ref().map(|entry| format!("entry `{}`: ", Escaped(entry))).unwrap_or_default(), waived.rule)]
    NotWaived {
        /// Which layer.
        layer: LayerLabel,
        /// What is wrong.
        waived: Box<WaivedRule>,
    },
    /// The caller's own policy forbids what the layers would make.
    #[error("{0}")]
    Policy(#[from] PolicyViolation),
    /// A limit of ours is exceeded.
    #[error("{0}")]
    Limit(#[from] LimitExceeded),
    /// A layer breaks a rule.
    #[error("{layer}: {}{}", refusal.entry.as_ref().map(|entry| format!("entry `{}`: ", Escaped(&entry.name))).unwrap_or_default(), refusal.rule)]
    Refused {
        /// Which layer.
        layer: LayerLabel,
        /// Which rule, and by which entry.
        refusal: Box<Refusal>,
    },
}

/// A failure of a child process, as the child tells it to its parent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChildFailure {
    /// Whether a layer is to blame: it breaks a rule, or a limit.
    pub is_refusal: bool,
    /// What failed, where, and why.
    pub message: String,
    /// Whether the message says by itself what could not be done.
    pub is_whole: bool,
    /// The layer at fault, counted from 1.
    pub layer: Option<usize>,
    /// The entry at fault, as printed.
    pub entry: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The signal that asked the child to end.
    pub signal: Option<i32>,
    /// What could not be cleaned up, a sentence each for the user.
    pub left_behind: Vec<String>,
}

/// Two digests that should be one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtherDigest {
    /// What somebody said that it is.
    pub expected: Digest,
    /// What it is.
    pub found: Digest,
}

/// Why no root appeared, and what could not be cleaned up.
#[derive(Debug)]
#[non_exhaustive]
pub struct Abandoned {
    /// Why.
    pub error: HostError,
    /// What is left, a sentence each for the user.
    pub left_behind: Vec<String>,
}

impl From<HostError> for Abandoned {
    fn from(error: HostError) -> Self {
        Self {
            error,
            left_behind: Vec::new(),
        }
    }
}

impl HostError {
    /// An [`HostError::Io`] that concerns no layer.
    pub fn io(
        operation: &'static str,
        place: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            operation,
            place: place.into(),
            layer: None,
            source: source.into(),
        }
    }

    /// Where among several failures this one stands: by layer, then by entry, so that the same one is named whatever the
    /// threads did. A failure without a place comes last.
    pub(in crate::host) fn rank(&self) -> (usize, u32) {
        match self {
            Self::Refused { layer, refusal } => (
                layer.number,
                refusal.entry.as_ref().map_or(0, |entry| entry.index),
            ),
            Self::Io {
                layer: Some(layer), ..
            } => (layer.number, u32::MAX),
            _ => (usize::MAX, u32::MAX),
        }
    }

    /// The results of all threads, or the failure to report.
    pub(in crate::host) fn all_or_first<T>(
        outcomes: impl IntoIterator<Item = Result<T, Self>>,
    ) -> Result<Vec<T>, Self> {
        let (mut made, mut failure) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(one) => made.push(one),
                Err(error) => {
                    failure = Some(match failure {
                        Some(known) => Self::first(known, error),
                        None => error,
                    });
                }
            }
        }
        failure.map_or(Ok(made), Err)
    }

    /// Of two failures the one to report.
    pub(in crate::host) fn first(self, other: Self) -> Self {
        if other.rank() < self.rank() {
            other
        } else {
            self
        }
    }
}

/// Why a destination is not built into.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsuitable {
    /// Its path ends in `..`, or it is `/`, `$HOME`, the working directory, or one of their ancestors.
    #[error(
        "the working directory, the home directory and the directories above them are never replaced"
    )]
    Ancestor,
    /// Another run is building into it.
    #[error("another run is building into it")]
    Busy,
    /// Its parent does not exist.
    #[error("its parent directory does not exist")]
    NoParent,
    /// It is no directory.
    #[error("it exists and is not a directory")]
    NotADirectory,
    /// It holds something that we did not make.
    #[error("it is not empty, and slashopt did not make it")]
    NotOurs,
    /// It holds a root of ours, made of other layers.
    #[error("it holds a root made of other layers, or with other rules")]
    OtherRoot,
    /// It comes from the lower layer of an overlay, such as an image's.
    #[error("it belongs to an image's layer, which cannot be exchanged")]
    LowerLayer,
    /// Somebody else put something there while the root was built.
    #[error("somebody else changed it while the root was built")]
    Raced,
    /// It is a link.
    #[error("it is a symbolic link")]
    Symlink,
}

/// A case in which `--lenient` accepted what would be refused otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaivedRule {
    /// The entry, if it is one's fault.
    pub entry: Option<Vec<u8>>,
    /// The rule that is broken, in words.
    pub rule: String,
}

impl WaivedRule {
    pub(super) fn of(refusal: &Refusal) -> Self {
        Self {
            entry: refusal.entry.as_ref().map(|entry| entry.name.clone()),
            rule: refusal.rule.to_string(),
        }
    }
}
