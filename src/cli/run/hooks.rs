//! What `exec`, and `env --hooks`, add for stock interpreters beyond search paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use slashopt::environment::{Assignment, Environment, HOOKS, HookRequest, needs_hooks};
use slashopt::host::exec::process::{Identity, can_read};
use slashopt::runtime::Runtime;

use crate::cli::args::values::absolute;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::Failure;
use crate::cli::output::report::Report;

/// Adds the hooks of the runtime's interpreter to an environment for a host. Where they cannot be kept, that is said, and the
/// environment is as it would be without.
pub(crate) fn add(
    made: &mut Environment,
    runtime: Option<&'static Runtime>,
    stack: &StackArgs,
    (configuration, overrides): (&[Assignment], &[Assignment]),
    node_options: Option<&OsStr>,
    user: Option<Identity>,
    report: &Report,
) {
    let Some(runtime) = runtime.filter(|runtime| needs_hooks(runtime)) else {
        return;
    };
    let what = "no hook for the interpreter is set";
    let kept = stack.cache().and_then(|cache| {
        let hooks = cache.hooks().map_err(Failure::host)?;
        // Programs go elsewhere before they start an interpreter.
        absolute(&hooks)
    });
    let directory = match kept {
        Ok(directory) if !directory.as_os_str().as_bytes().contains(&b':') => directory,
        Ok(directory) => {
            report.warning(&format!(
                "{what}: `{}` holds `:`, which separates search paths",
                directory.display()
            ));
            return;
        }
        Err(failure) => {
            report.warning(&failure.during(what).message);
            return;
        }
    };
    // A cache in a home is private, and Node.js does not start without a file that it is told to load.
    if let Some(user) = user {
        let mut files = HOOKS.iter().map(|hook| directory.join(hook.path));
        if let Some(file) = files.find(|file| !can_read(user, file)) {
            report.warning(&format!(
                "{what}: user {} may not read `{}`; --cache-dir DIR names a cache for everybody",
                user.user,
                file.display()
            ));
            return;
        }
    }
    made.add_hooks(&HookRequest {
        runtime,
        directory: &directory,
        node_options,
        configuration,
        overrides,
    });
}
