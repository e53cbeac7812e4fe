//! The environment in which a runtime finds what the layers bring: variables in order, each with its why.
//!
//! [`environment`] is a pure function. What it needs to know of the world comes in as values: the
//! caller's variables, this machine's loader directories, and two views ([`RootView`]) that say which
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

mod assignment;
mod configuration;
mod error;
mod hooks;
mod host;
mod request;
mod roots;
mod service;
mod suggestion;
mod variables;

use roots::{Roots, SearchedRoot};
use variables::SEARCH_VARIABLES;

pub use assignment::{Assignment, AssignmentError};
pub use configuration::judge_configuration;
pub use error::{ConfigurationError, EnvironmentError, Root};
pub use hooks::{HOOKS, Hook, HookRequest, needs_hooks};
pub use request::{Caller, Request, Target};
pub use roots::{OPT, RootView, VAR_TASK};
pub use suggestion::implied_runtimes;
pub use variables::{
    Beginning, Environment, LeftOut, LeftOutReason, Presence, SearchEntry, Variable,
};

/// The environment for a request.
///
/// # Errors
/// When a root cannot stand in a search path, or the configuration is one that AWS refuses.
pub fn environment(request: &Request<'_>) -> Result<Environment, EnvironmentError> {
    let roots = Roots {
        opt: SearchedRoot::parse(Root::Opt, request.root, request.in_root)?,
        task: SearchedRoot::parse(Root::Task, request.task_root, request.in_task_root)?,
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

#[cfg(test)]
mod tests;
