//! What an environment is asked for, and for whom.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::assignment::Assignment;
use super::roots::RootView;
use super::variables::SEARCH_VARIABLES;
use crate::runtime::Runtime;

/// For whom the environment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
    pub in_root: &'a dyn RootView,
    /// What the task root holds.
    pub in_task_root: &'a dyn RootView,
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

    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_os_str())
    }
}
