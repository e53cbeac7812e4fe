//! Why no environment can be made.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Why no environment can be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvironmentError {
    /// A root holds the separator of search paths, which cannot be escaped.
    #[error(
        "cannot make search paths: {which} {root:?}: it holds `:`, which separates their entries"
    )]
    ColonInRoot {
        /// Which of the roots.
        which: Root,
        /// The root as given.
        root: PathBuf,
    },
    /// A root is relative: what it means would change with the working directory.
    #[error("cannot make search paths: {which} {root:?}: it is not an absolute path")]
    RelativeRoot {
        /// Which of the roots.
        which: Root,
        /// The root as given.
        root: PathBuf,
    },
    /// The function's own configuration is one that AWS refuses.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// The two directories under which everything is searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Root {
    /// The root: where the layers are.
    Opt,
    /// The task root: where the function's code is.
    Task,
}

impl fmt::Display for Root {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Opt => "the root",
            Self::Task => "the task root",
        })
    }
}

/// Why AWS would refuse a function's configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// A name that AWS does not take.
    #[error(
        "cannot configure the function: variable {name:?}: the name does not match AWS's pattern \
         [a-zA-Z]([a-zA-Z0-9_])+"
    )]
    Name {
        /// The name as given.
        name: OsString,
    },
    /// Names that AWS keeps for itself; the reason is AWS's own sentence.
    #[error(
        "cannot configure the function: {}: Lambda was unable to configure your environment variables \
         because the environment variables you have provided contains reserved keys that are currently \
         not supported for modification. Reserved keys used in this request: {}",
        .names.join(", "), .names.join(", ")
    )]
    Reserved {
        /// The names, each once, in the order given.
        names: Vec<&'static str>,
    },
}
