//! The environment in which a runtime finds what the layers bring: variables in order, each with its why.
//!
//! [`environment`] is a pure function. What it needs to know of the world comes in as values: the
//! caller's variables, this machine's loader directories, and two views ([`Places`]) that say which
//! directories a root and a task root hold. Nothing here reads a variable or a disk.
//!
//! There are three targets, because three readers want three things; see [`Target`]. Always true of the
//! result:
//! - every value is bytes, as given: names that are not UTF-8 pass through;
//! - a search path made here has no empty element (which would mean the working directory), and no rule
//!   adds what is there already; the one exception is the `:` that ends `GEM_PATH` on a host, which
//!   `RubyGems` reads as "and the directories of your own";
//! - roots are absolute, and none holds a `:`.
//!
//! What variables alone cannot do, and this module therefore does not: stock Node.js ignores `NODE_PATH`
//! for `import`, which the runtimes since nodejs18.x do not; and stock Python does not run the `.pth`
//! files of directories in `PYTHONPATH`, which Lambda's bootstrap does for the layers' folders.

mod configuration;
mod hooks;
mod host;
mod service;
mod suggestion;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use crate::entry::Kind;
use crate::layer::LayerId;
use crate::merge::MergedTree;
use crate::runtime::Runtime;

pub use configuration::{Assignment, AssignmentError, ConfigurationError, judge_configuration};
pub use hooks::{HOOKS, Hook, HookRequest, needs_hooks};
pub use suggestion::implied_runtimes;

/// Where the layers are on the service, always.
pub const OPT: &str = "/opt";
/// Where the function's code is on the service, always (`LAMBDA_TASK_ROOT`).
pub const VAR_TASK: &str = "/var/task";

/// The variables that are search paths: lists of directories (or jars) separated by `:`.
const SEARCH_VARIABLES: [&str; 7] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "NODE_PATH",
    "CLASSPATH",
    "GEM_PATH",
    "RUBYLIB",
];

/// What the rules ask about a root or a task root; answered by a merged tree or by a disk.
pub trait Places {
    /// Is there a directory at this path, relative to the root, links followed inside the root?
    fn is_directory(&self, path: &[u8]) -> bool;
    /// The names directly in that directory (any order); empty when there is none.
    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>>;
    /// The layers, counted from 1, that provide something at that path; empty for a disk.
    fn provided_by(&self, path: &[u8]) -> Vec<usize>;
}

impl Places for MergedTree<'_> {
    fn is_directory(&self, path: &[u8]) -> bool {
        self.resolve_bytes(path)
            .is_some_and(|node| self.kind(node) == Kind::Directory)
    }

    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let directory = self.resolve_bytes(path);
        directory
            .into_iter()
            .flat_map(|directory| self.children(directory))
            .map(|child| self.name(child).to_vec())
            .collect()
    }

    fn provided_by(&self, path: &[u8]) -> Vec<usize> {
        let layers = self.resolve_bytes(path).map(|node| self.layers(node));
        layers.into_iter().flatten().map(LayerId::number).collect()
    }
}

/// For whom the environment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// Stock interpreters on this machine or in a container, searched in Lambda's order.
    ///
    /// Only search paths are set. `AWS_EXECUTION_ENV`, `LAMBDA_TASK_ROOT`, `LANG` and `TZ` are not: they
    /// would tell programs that they run on Lambda, and change the shell of whoever evaluates them.
    Host,
    /// What a function of the runtime sees on the service, string for string: always `/opt` and
    /// `/var/task`, whatever the roots are.
    ///
    /// Left out is what differs from one function or invocation to the next or would mean nothing
    /// elsewhere: credentials, region, function name, version, memory and logs, `_HANDLER`,
    /// `AWS_LAMBDA_INITIALIZATION_TYPE`, the addresses of the runtime API and the X-Ray daemon,
    /// `_X_AMZN_TRACE_ID`, the telemetry file descriptor, and the `PWD` and `SHLVL` of the shell that
    /// runs the bootstrap.
    Lambda,
    /// What the service gives to the runtime's own bootstrap, which then sets the rest. AWS's base
    /// images add the layers' folders themselves, and only when their variables are unset.
    Bootstrap,
}

impl Target {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Lambda => "lambda",
            Self::Bootstrap => "bootstrap",
        }
    }
}

/// What an environment is asked for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The runtime; without one only `PATH` and `LD_LIBRARY_PATH` are known.
    pub runtime: Option<&'static Runtime>,
    /// For whom it is.
    pub target: Target,
    /// Where the merged tree is or will be, absolute.
    pub root: &'a Path,
    /// Where the function's code is or will be, absolute.
    pub task_root: &'a Path,
    /// What the root holds.
    pub in_root: &'a dyn Places,
    /// What the task root holds.
    pub in_task_root: &'a dyn Places,
    /// The variables of the caller: the head of `PATH` and `LD_LIBRARY_PATH` on a host.
    pub caller: &'a Caller,
    /// The directories in which this machine's loader looks by itself, in its order. Asked for only where they matter.
    pub loader_directories: &'a dyn Fn() -> Vec<PathBuf>,
    /// Whether there is something at a path of this machine.
    pub is_on_this_machine: &'a dyn Fn(&Path) -> bool,
    /// The function's own configuration. It replaces a default whole and cannot set what AWS reserves.
    pub configuration: &'a [Assignment],
    /// Assignments that are made last and may set anything.
    pub overrides: &'a [Assignment],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request")
            .field("runtime", &self.runtime.map(|runtime| runtime.identifier))
            .field("target", &self.target)
            .field("root", &self.root)
            .field("task_root", &self.task_root)
            .finish_non_exhaustive()
    }
}

/// The caller's variables that the rules look at: its search paths, where they are set and not empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller(Vec<(&'static str, OsString)>);

impl Caller {
    /// Reads each variable that matters with the given function, such as `std::env::var_os`.
    pub fn reading(mut variable: impl FnMut(&'static str) -> Option<OsString>) -> Self {
        let read = SEARCH_VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, variable(name)?)));
        Self(read.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// A caller that has a `PATH` and nothing else.
    pub fn with_path(path: &OsStr) -> Self {
        Self::reading(|name| (name == "PATH").then(|| path.to_owned()))
    }

    fn value(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_os_str())
    }
}

/// The variables of an environment, in order, and what became of the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// The variables, each name once.
    pub variables: Vec<Variable>,
    /// What a rule would have listed, and why it is not listed.
    pub left_out: Vec<LeftOut>,
    /// The caller's search variables that this environment replaces with another value.
    pub replaced: Vec<&'static str>,
}

impl Environment {
    /// The variable of this name.
    pub fn variable(&self, name: impl AsRef<OsStr>) -> Option<&Variable> {
        self.variables
            .iter()
            .find(|variable| variable.name == name.as_ref())
    }

    /// The value of the variable of this name.
    pub fn value(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variable(name)
            .map(|variable| variable.value.as_os_str())
    }

    /// Puts a variable at the place of its namesake, or at the end.
    fn put(&mut self, variable: Variable) {
        match self
            .variables
            .iter_mut()
            .find(|known| known.name == variable.name)
        {
            Some(known) => *known = variable,
            None => self.variables.push(variable),
        }
    }
}

/// A variable: its value, why it has it, and the parts of it where it is a search path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// The name.
    pub name: OsString,
    /// The whole value.
    pub value: OsString,
    /// Why it is set so, in a short sentence.
    pub rule: &'static str,
    /// The entries of the value in their order; empty unless it is a search path.
    pub entries: Vec<SearchEntry>,
    /// Where the value begins.
    pub beginning: Beginning,
}

/// With what the value of a variable begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beginning {
    /// With the value that the caller has, to which entries are added.
    Caller,
    /// Afresh, whatever the caller has.
    Fresh,
}

/// One entry of a search path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SearchEntry {
    /// The directory or jar as it stands in the value.
    pub directory: OsString,
    /// Why it stands there, in a short sentence.
    pub rule: &'static str,
    /// Whether it is there.
    pub presence: Presence,
    /// The layers behind it, counted from 1; empty when no layers were given or none is concerned.
    pub provided_by: Vec<usize>,
}

/// Whether something that a search path names is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not. Lambda lists such entries too, and interpreters skip them.
    Missing,
    /// It lies outside the root and the task root, where nobody looked.
    Unjudged,
}

impl Presence {
    fn of(present: bool) -> Self {
        if present {
            Self::Present
        } else {
            Self::Missing
        }
    }
}

/// An entry that a rule knows and that is not in the value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// The variable in which it would stand.
    pub variable: &'static str,
    /// The directory or jar.
    pub directory: OsString,
    /// Why it does not stand there.
    pub reason: LeftOutReason,
}

/// Why an entry is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftOutReason {
    /// The name holds a `:`, which no search path can hold. Lambda's class loader can load such a jar.
    ColonInName,
    /// The root has no such directory.
    Missing,
    /// None of the directories for which the variable would be set exists.
    NothingToFind,
}

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

/// The environment for a request.
///
/// # Errors
/// When a root cannot stand in a search path, or the configuration is one that AWS refuses.
pub fn environment(request: &Request<'_>) -> Result<Environment, EnvironmentError> {
    let roots = Roots {
        opt: Place::parse(Root::Opt, request.root, request.in_root)?,
        task: Place::parse(Root::Task, request.task_root, request.in_task_root)?,
    };
    judge_configuration(request.configuration)?;
    let mut environment = match request.target {
        Target::Host => host::defaults(request, &roots),
        Target::Lambda => service::as_the_function_sees_it(request.runtime, &roots),
        Target::Bootstrap => service::before_the_bootstrap(request.runtime, &roots),
    };
    configuration::apply(request, &roots, &mut environment);
    environment.replaced = replaced(request.caller, &environment);
    Ok(environment)
}

/// The caller's variables that get another value without being its beginning.
fn replaced(caller: &Caller, environment: &Environment) -> Vec<&'static str> {
    // Commands and libraries are found through the first two whatever they say; that a target which is
    // asked for by name replaces them is no surprise.
    let of_interpreters = SEARCH_VARIABLES.into_iter().skip(2);
    of_interpreters
        .filter(|name| match (caller.value(name), environment.value(name)) {
            (Some(theirs), Some(ours)) => theirs != ours,
            _ => false,
        })
        .collect()
}

/// The two roots of a request, fit to stand in search paths.
struct Roots<'a> {
    opt: Place<'a>,
    task: Place<'a>,
}

/// A root: its path without trailing or double slashes, and what it holds.
struct Place<'a> {
    path: PathBuf,
    holds: &'a dyn Places,
}

impl<'a> Place<'a> {
    fn parse(which: Root, root: &Path, holds: &'a dyn Places) -> Result<Self, EnvironmentError> {
        if !root.is_absolute() {
            return Err(EnvironmentError::RelativeRoot {
                which,
                root: root.to_owned(),
            });
        }
        if root.as_os_str().as_bytes().contains(&b':') {
            return Err(EnvironmentError::ColonInRoot {
                which,
                root: root.to_owned(),
            });
        }
        Ok(Self {
            path: root.components().collect(),
            holds,
        })
    }

    /// The absolute path of what lies at `path` below the root; the root itself for an empty path.
    fn join(&self, path: &[u8]) -> OsString {
        if path.is_empty() {
            self.path.clone().into_os_string()
        } else {
            self.path.join(OsStr::from_bytes(path)).into_os_string()
        }
    }

    /// The entry for a directory of this root.
    fn entry(&self, path: &[u8], rule: &'static str) -> SearchEntry {
        SearchEntry {
            directory: self.join(path),
            rule,
            presence: Presence::of(self.holds.is_directory(path)),
            provided_by: self.holds.provided_by(path),
        }
    }

    /// Whether there is a directory or, as class paths also list, anything else of that name.
    fn has(&self, path: &[u8]) -> bool {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (path.split_at(slash).0, path.split_at(slash + 1).1),
            None => (&path[..0], path),
        };
        self.holds.is_directory(path) || self.holds.names_in(parent).iter().any(|one| one == name)
    }
}

/// The part of `absolute` below `root`, without `.` and needless slashes.
fn below(root: &Path, absolute: &OsStr) -> Option<Vec<u8>> {
    let rest: PathBuf = Path::new(absolute)
        .strip_prefix(root)
        .ok()?
        .components()
        .filter(|component| *component != Component::CurDir)
        .collect();
    Some(rest.into_os_string().into_vec())
}

/// The elements of a search path; an empty one, which would mean the working directory, is none.
fn elements(value: &OsStr) -> impl Iterator<Item = &OsStr> {
    value
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|one| !one.is_empty())
        .map(OsStr::from_bytes)
}

/// The value that lists these entries.
fn joined(entries: &[SearchEntry]) -> OsString {
    let directories: Vec<&[u8]> = entries
        .iter()
        .map(|entry| entry.directory.as_bytes())
        .collect();
    OsString::from_vec(directories.join(&b':'))
}

#[cfg(test)]
mod tests;
