//! Why a command could not be done, in the words the user reads, with the exit status and the hint.
//! Every hint of the program is written in this folder; the library gives reasons, not advice.

use std::io;
use std::process::ExitCode;

use slashopt::archive::BrokenRule;
use slashopt::host::error::{ChildFailure, HostError, Unsuitable};
#[cfg(feature = "registry")]
use slashopt::host::store::{Location, StoreError};
use slashopt::path::Escaped;
use slashopt::plan::{LimitExceeded, PolicyViolation};

/// The exit statuses of the program but 0. They are a contract: the README lists them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// 1: the command worked and found something that the user asked to be told by status.
    Findings,
    /// 2: wrong usage: flags, an unknown runtime.
    Usage,
    /// 3: a layer is refused: not a zip, unsafe, over a limit.
    Refused,
    /// 4: this machine lacks something, or input or output failed.
    Machine,
    /// 5: the registry refused, or cannot be reached.
    #[cfg(feature = "registry")]
    Registry,
    /// 125: a command could not be started for a reason of ours.
    NotStarted,
    /// 126: the command is there and cannot be executed.
    NotExecutable,
    /// 127: there is no such command.
    NotFound,
}

/// What a command gives: its exit status, or why it could not be done.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// What to do about a lock file that does not fit what is there.
pub(crate) const LOCK_AGAIN: &str =
    "put back what was locked, or lock what is there now: `slashopt lock LAYER...`";

impl Exit {
    /// The status that the process ends with.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Machine => 4,
            Self::NotStarted => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            #[cfg(feature = "registry")]
            Self::Registry => 5,
        }
    }

    /// The word for it in JSON.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Usage => "usage",
            Self::Refused => "layer_refused",
            Self::Machine => "machine",
            Self::NotStarted => "not_started",
            Self::NotExecutable => "not_executable",
            Self::NotFound => "not_found",
            #[cfg(feature = "registry")]
            Self::Registry => "registry",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// A failure as the user sees it: `error: <message>`, then `hint: <hint>`.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// `<where>: <why>`, lower case, no full stop. [`Failure::during`] puts before it what the command could not do.
    pub(crate) message: String,
    /// Whether the message says by itself what could not be done.
    pub(crate) is_whole: bool,
    /// The layer at fault, counted from 1.
    pub(crate) layer: Option<usize>,
    /// The entry at fault, as printed.
    pub(crate) entry: Option<String>,
    pub(crate) hint: Option<String>,
    /// The signal that asked us to end: we die of it, as we would have without catching it.
    pub(crate) signal: Option<i32>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            is_whole: false,
            layer: None,
            entry: None,
            hint: None,
            signal: None,
        }
    }

    /// A failure whose message says by itself what could not be done, whatever the command is.
    pub(crate) fn whole(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            is_whole: true,
            ..Self::new(exit, message)
        }
    }

    /// Says where the failure was met: "the left side".
    #[must_use]
    pub(crate) fn at(mut self, place: &str) -> Self {
        if !self.is_whole {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// Says what the command could not do: "cannot extract".
    #[must_use]
    pub(crate) fn during(mut self, what: &str) -> Self {
        if !self.is_whole {
            self.message = format!("{what}: {}", self.message);
            self.is_whole = true;
        }
        self
    }

    /// What the machine, or a layer, did not allow.
    pub(crate) fn host(error: HostError) -> Self {
        let words = words(&error);
        Self::in_words(error, words)
    }

    /// The same of layers that a lock file names.
    pub(crate) fn locked(error: HostError) -> Self {
        let words = locked_words(&error);
        Self::in_words(error, words)
    }

    fn in_words(error: HostError, (message, hint): Words) -> Self {
        let failure = Self {
            hint,
            signal: signal(&error),
            ..Self::new(exit(&error), message.clone())
        };
        let (layer, entry) = fault(error);
        Self {
            layer,
            entry,
            ..failure
        }
    }

    /// A failure of a child process, for its parent.
    pub(crate) fn child_failure(error: HostError) -> ChildFailure {
        let words = words(&error);
        Self::child_failure_in_words(error, words)
    }

    /// The same of layers that a lock file names.
    pub(crate) fn locked_child_failure(error: HostError) -> ChildFailure {
        let words = locked_words(&error);
        Self::child_failure_in_words(error, words)
    }

    fn child_failure_in_words(error: HostError, (message, hint): Words) -> ChildFailure {
        let told = ChildFailure {
            is_refusal: exit(&error) == Exit::Refused,
            message,
            hint,
            signal: signal(&error),
            ..ChildFailure::default()
        };
        let (layer, entry) = fault(error);
        ChildFailure {
            layer,
            entry,
            ..told
        }
    }

    /// This failure, which a child process met, for its parent.
    pub(crate) fn into_child(self) -> ChildFailure {
        ChildFailure {
            is_refusal: self.exit == Exit::Refused,
            message: self.message,
            is_whole: self.is_whole,
            layer: self.layer,
            entry: self.entry,
            hint: self.hint,
            signal: self.signal,
            left_behind: Vec::new(),
        }
    }

    /// The failure that [`Failure::into_child`] was made of. What is not the fault of a layer is `otherwise`.
    pub(crate) fn of_child(failure: ChildFailure, otherwise: Exit) -> Self {
        Self {
            exit: if failure.is_refusal {
                Exit::Refused
            } else {
                otherwise
            },
            message: failure.message,
            is_whole: failure.is_whole,
            layer: failure.layer,
            entry: failure.entry,
            hint: failure.hint,
            signal: failure.signal,
        }
    }

    /// What the registry answers.
    #[cfg(feature = "registry")]
    pub(crate) fn registry(refusal: &slashopt::registry::ApiError) -> Self {
        use slashopt::registry::Code;
        let hint = match refusal.code {
            Code::ResourceNotFound => {
                "`slashopt registry layers` and `registry versions NAME` list what is there"
            }
            Code::Validation => "change what the message names; it is the service's own sentence",
            Code::InvalidParameterValue => {
                "publish a zip file that holds something, of less than 250 MiB unzipped"
            }
            Code::ResourceConflict | Code::PreconditionFailed => {
                "`slashopt registry permission list NAME:VERSION` shows what there is"
            }
            Code::PolicyLengthExceeded => "remove a statement first, or share with an organization",
            _ => {
                "ask for a layer of this account and region, or name others with --account and --region"
            }
        };
        Self::new(Exit::Registry, refusal.to_string()).hint(hint)
    }

    /// What the store of the registry did not allow.
    #[cfg(feature = "registry")]
    pub(crate) fn store(location: &Location, error: &StoreError) -> Self {
        let exit = match error {
            StoreError::Directory { .. } => Exit::Machine,
            StoreError::Object { .. } if !location.is_remote() => Exit::Machine,
            _ => Exit::Registry,
        };
        let hint = match error {
            StoreError::Missing => {
                "`slashopt registry publish NAME ZIP` makes one; --store, or SLASHOPT_STORE, says where it is"
            }
            StoreError::Gone { .. } => "publish it again: the same content has the same digest",
            StoreError::Undecided { .. } => "try again",
            StoreError::NotConditional => "use a service that honours `If-None-Match` for `PUT`",
            StoreError::Damaged { .. } => "restore the object from a copy, or use another store",
            StoreError::Object { .. } if location.is_remote() => {
                "check AWS_ENDPOINT_URL, AWS_REGION and the keys in the environment"
            }
            StoreError::Directory { .. } | StoreError::Object { .. } => {
                "choose a place where this user may write: --store DIR"
            }
        };
        Self::new(exit, format!("`{location}`: {error}")).hint(hint)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What failed and why, and what to do about it.
type Words = (String, Option<String>);

fn words(error: &HostError) -> Words {
    (error.to_string(), hint_for(error))
}

/// The same of layers that a lock file names.
fn locked_words(error: &HostError) -> Words {
    match error {
        HostError::OtherDigest { layer, digests } => (
            format!(
                "{layer}: another digest than locked: expected {}, found {}",
                digests.expected, digests.found
            ),
            Some(LOCK_AGAIN.to_owned()),
        ),
        HostError::NotCached { layer, cache } => (
            format!("{layer}: it is neither where it was locked nor in the cache `{cache}`"),
            Some(LOCK_AGAIN.to_owned()),
        ),
        _ => words(error),
    }
}

/// Who is to blame: a layer, the user's own policy, or this machine.
fn exit(error: &HostError) -> Exit {
    match error {
        HostError::Limit(_)
        | HostError::NotWaived { .. }
        | HostError::OtherDigest { .. }
        | HostError::Refused { .. } => Exit::Refused,
        HostError::Child(failure) if failure.is_refusal => Exit::Refused,
        HostError::Policy(_) => Exit::Findings,
        HostError::Child(_)
        | HostError::Destination { .. }
        | HostError::Interrupted(_)
        | HostError::Io { .. }
        | HostError::NotCached { .. } => Exit::Machine,
    }
}

/// The signal that ended the work, if one did.
fn signal(error: &HostError) -> Option<i32> {
    match error {
        HostError::Interrupted(signal) => Some(*signal),
        HostError::Child(failure) => failure.signal,
        _ => None,
    }
}

/// The number of the layer and the name of the entry at fault, if they are.
fn fault(error: HostError) -> (Option<usize>, Option<String>) {
    let shown = |name: &[u8]| Escaped(name).to_string();
    match error {
        HostError::Child(told) => (told.layer, told.entry),
        HostError::NotWaived { layer, waived } => {
            (Some(layer.number), waived.entry.as_deref().map(shown))
        }
        HostError::NotCached { layer, .. } | HostError::OtherDigest { layer, .. } => {
            (Some(layer.number), None)
        }
        HostError::Refused { layer, refusal } => (
            Some(layer.number),
            refusal.entry.map(|entry| shown(&entry.name)),
        ),
        HostError::Io { layer, .. } => (layer.map(|layer| layer.number), None),
        HostError::Destination { .. }
        | HostError::Interrupted(_)
        | HostError::Limit(_)
        | HostError::Policy(_) => (None, None),
    }
}

/// What to do about it.
fn hint_for(error: &HostError) -> Option<String> {
    let hint = match error {
        HostError::NotWaived { .. } => {
            "--lenient accepts this and reports it; better, pack the layer again"
        }
        HostError::NotCached { .. } => {
            "`slashopt cache add FILE` puts it there, and FILE@sha256:HEX names both"
        }
        HostError::OtherDigest { .. } => {
            "this is not the layer that was meant: fetch it again, or correct the digest"
        }
        HostError::Refused { refusal, .. } if refusal.rule.is_harmless() => {
            "--lenient accepts this and reports it; better, pack the layer again"
        }
        HostError::Refused { refusal, .. } => match refusal.rule {
            BrokenRule::NotAZip | BrokenRule::EmptyFile => {
                "a layer is a zip archive or a directory: look at what was downloaded"
            }
            BrokenRule::Crc { .. }
            | BrokenRule::Inflate
            | BrokenRule::DirectoryDamaged(_)
            | BrokenRule::DirectoryRange => "the archive is damaged: fetch or pack it again",
            BrokenRule::Method(_) => "pack the layer with deflate: `zip -r layer.zip .`",
            BrokenRule::Encrypted => "pack the layer without a password",
            _ => "the archive is unsafe, or readers would differ about it: pack the layer again",
        },
        HostError::Limit(LimitExceeded::Bytes { .. }) => "--max-bytes raises the limit",
        HostError::Limit(LimitExceeded::Entries { .. }) => "--max-entries raises the limit",
        HostError::Policy(PolicyViolation::Collisions { .. }) => {
            "`slashopt which PATH LAYER...` shows both sides; --on-collision warn builds all the same"
        }
        HostError::Policy(PolicyViolation::TypeConflicts { .. }) => {
            "`slashopt which PATH LAYER...` shows both sides; --on-type-conflict replace lets the later layer win"
        }
        HostError::Destination { reason, .. } => match reason {
            Unsuitable::Ancestor => "name a directory of its own, such as ./opt",
            Unsuitable::Busy | Unsuitable::Raced => {
                "wait for the other run, or build somewhere else"
            }
            Unsuitable::NoParent => "create its parent directory first",
            Unsuitable::NotADirectory => "remove it, or name another directory",
            Unsuitable::NotOurs => {
                "name another directory, empty this one, or replace it whatever it holds with --replace=any"
            }
            Unsuitable::OtherRoot => "--replace exchanges it for the new one",
            Unsuitable::LowerLayer => {
                "remove it when the image is built, or extract into a directory that is made at run time"
            }
            Unsuitable::Symlink => "name the directory that it leads to",
        },
        HostError::Child(told) => return told.hint.clone(),
        HostError::Interrupted(_) => return None,
        HostError::Io { source, layer, .. } => match source.kind() {
            io::ErrorKind::NotFound if layer.is_some() => {
                "check the path; layers are zip files or directories"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                if layer.is_some() =>
            {
                "make it readable for this user"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a place where this user may write, or run as one who may"
            }
            io::ErrorKind::ResourceBusy => "end the functions that use it, and try again",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, or extract somewhere else; `--dry-run` says how much it takes"
            }
            _ => return None,
        },
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use slashopt::archive::Refusal;
    use slashopt::digest::Digest;
    use slashopt::host::error::{LayerLabel, OtherDigest, WaivedRule};
    use slashopt::path::LayerPath;

    use super::*;

    fn layer() -> LayerLabel {
        LayerLabel {
            number: 2,
            of: 3,
            source: "deps.zip".to_owned(),
        }
    }

    /// A failure of every kind, made anew at each call since none can be copied.
    fn every_kind() -> Vec<HostError> {
        let refusal = Refusal::entry(BrokenRule::Encrypted, 7, b"a\0b");
        vec![
            HostError::Child(Box::new(ChildFailure {
                is_refusal: true,
                message: "layer 1 of 1 (`a.zip`): it is unsafe".to_owned(),
                layer: Some(1),
                entry: Some("x".to_owned()),
                hint: Some("pack it again".to_owned()),
                ..ChildFailure::default()
            })),
            HostError::Destination {
                destination: "opt".to_owned(),
                reason: Unsuitable::NotOurs,
            },
            HostError::Interrupted(15),
            HostError::io("open it", "`opt`", io::Error::other("broken")),
            HostError::Io {
                operation: "read the layer",
                place: layer().to_string(),
                layer: Some(layer()),
                source: io::Error::other("broken"),
            },
            HostError::OtherDigest {
                layer: layer(),
                digests: Box::new(OtherDigest {
                    expected: Digest([0; 32]),
                    found: Digest([1; 32]),
                }),
            },
            HostError::NotCached {
                layer: layer(),
                cache: "none".to_owned(),
            },
            HostError::NotWaived {
                layer: layer(),
                waived: Box::new(WaivedRule {
                    entry: Some(b"python/a.py".to_vec()),
                    rule: "it is there twice".to_owned(),
                }),
            },
            HostError::Policy(PolicyViolation::Collisions {
                count: 1,
                examples: vec![LayerPath::default()],
            }),
            HostError::Limit(LimitExceeded::Entries {
                limit: 1,
                entries: 2,
            }),
            HostError::Refused {
                layer: layer(),
                refusal: Box::new(refusal),
            },
        ]
    }

    #[test]
    fn a_failure_that_a_child_tells_is_the_one_that_it_met() {
        let kinds = every_kind().into_iter().zip(every_kind());
        for (here, there) in kinds {
            let met = Failure::host(here);
            let told = Failure::host(there);
            let bytes = told.into_child().to_bytes();
            let heard =
                ChildFailure::from_bytes(&bytes).map(|child| Failure::of_child(child, met.exit));
            assert_eq!(format!("{heard:?}"), format!("{:?}", Some(met)));
        }
        let whole = Failure::whole(Exit::Machine, "cannot start 8 threads: there are too many");
        let bytes = whole.into_child().to_bytes();
        let heard = ChildFailure::from_bytes(&bytes)
            .map(|child| Failure::of_child(child, Exit::NotStarted))
            .map(|heard| heard.during("cannot start the command").message);
        let message = "cannot start 8 threads: there are too many";
        assert_eq!(heard.as_deref(), Some(message));
    }
}
