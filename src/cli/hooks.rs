//! What `exec`, and `env --hooks`, add for stock interpreters beyond search paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use slashopt::environment::{Assignment, Environment, HookRequest, needs_hooks};
use slashopt::runtime::Runtime;

use super::report::Report;
use super::stack::StackArgs;

/// Adds the hooks of the runtime's interpreter to an environment for a host. Where they cannot be kept, that is said, and the
/// environment is as it would be without.
pub(crate) fn add(
    made: &mut Environment,
    runtime: Option<&'static Runtime>,
    stack: &StackArgs,
    (configuration, overrides): (&[Assignment], &[Assignment]),
    node_options: Option<&OsStr>,
    report: &Report,
) {
    let Some(runtime) = runtime.filter(|runtime| needs_hooks(runtime)) else {
        return;
    };
    let what = "no hook for the interpreter is set";
    let directory = match stack.cache(what).and_then(|cache| {
        let hooks = cache.hooks();
        hooks.map_err(|error| super::failure::Failure::host(what, error))
    }) {
        Ok(directory) if !directory.as_os_str().as_bytes().contains(&b':') => directory,
        Ok(directory) => {
            report.warning(&format!(
                "{what}: `{}` holds `:`, which separates search paths",
                directory.display()
            ));
            return;
        }
        Err(failure) => {
            report.warning(&failure.message);
            return;
        }
    };
    made.add_hooks(&HookRequest {
        runtime,
        directory: &directory,
        node_options,
        configuration,
        overrides,
    });
}
