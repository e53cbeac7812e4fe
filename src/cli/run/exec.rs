//! `exec`: run a command with the layers at `/opt`. The command takes the place of this process.

pub(crate) mod args;
pub(crate) mod command;
pub(crate) mod extracted;
mod mounted;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use slashopt::environment::VAR_TASK;
use slashopt::host::exec::namespace::{Namespace, drop_power};
use slashopt::host::exec::process::become_user;

use crate::cli::args::values::{absolute, calls};
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::report::Report;
use args::ExecArgs;
use command::{Start, not_started};
use mounted::{ExecRoot, ExecRootRequest};

pub(crate) fn run(arguments: &ExecArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    start(arguments, global, report).map_err(|failure| match failure.exit {
        Exit::NotExecutable | Exit::NotFound => failure,
        _ => Failure {
            exit: Exit::NotStarted,
            ..failure
        },
    })
}

/// Does everything that has to be done before the command, and becomes it.
///
/// No thread is started in this process: it is to enter a user namespace, which takes a process that never had two.
fn start(arguments: &ExecArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let at = absolute(&arguments.at)?;
    if at == Path::new("/") {
        return Err(Failure::usage("--at: `/` would be hidden")
            .hint("name a directory of its own, such as ./opt"));
    }
    let task_root = arguments.task_root.as_deref().map(existing).transpose()?;
    let layers = arguments.layers.resolve(&arguments.stack)?;
    let runtime = layers.runtime(arguments.runtime.asked(), report)?;
    let start = Start {
        arguments,
        runtime,
        at: &at,
    };
    start.judge()?;
    let wanted = ExecRootRequest {
        arguments,
        layers: &layers,
        at: &at,
        task_root: task_root.as_deref(),
        calls: calls(),
        command: &start,
    };
    let ExecRoot {
        namespace,
        task_root,
        locks,
    } = ExecRoot::prepare(&wanted, report)?;
    if runtime.is_none() {
        report.note("no runtime is named: of the variables, only PATH and LD_LIBRARY_PATH are set");
    }
    let (command, directory) = start.command(task_root.as_deref(), report)?;
    start.tell_extensions(report);
    if let Some(directory) = directory {
        std::env::set_current_dir(&directory).map_err(|error| {
            let place = directory.display();
            Failure::new(Exit::NotStarted, format!("cannot enter `{place}`: {error}"))
        })?;
    }
    if namespace == Some(Namespace::User) && !arguments.keep_caps {
        drop_power().map_err(|error| {
            Failure::new(
                Exit::NotStarted,
                format!("cannot give up capabilities: {error}"),
            )
            .hint("--keep-caps keeps them")
        })?;
    }
    if let Some(identity) = arguments.user {
        become_user(identity).map_err(|error| {
            Failure::new(
                Exit::NotStarted,
                format!(
                    "cannot become user {} with group {}: {}",
                    identity.user,
                    identity.group,
                    error.desc()
                ),
            )
            .hint("only root can run a command as another user")
        })?;
    }
    match command.replace_this_process(locks) {
        Ok(never) => match never {},
        Err(error) => Err(not_started(&command, error)),
    }
}

/// The absolute path of a directory that must be there.
fn existing(directory: &Path) -> Result<PathBuf, Failure> {
    let failed = |why: &str| {
        Failure::new(
            Exit::NotStarted,
            format!("--task-root `{}`: {why}", directory.display()),
        )
        .hint(format!(
            "name the directory that is to be seen at {VAR_TASK}"
        ))
    };
    let whole = directory
        .canonicalize()
        .map_err(|error| failed(&error.to_string()))?;
    if whole.is_dir() {
        Ok(whole)
    } else {
        Err(failed("it is not a directory"))
    }
}

/// Wrong usage of `exec` ends with its own status: the command's would be taken for one of ours.
pub(crate) fn usage_status() -> ExitCode {
    Exit::NotStarted.into()
}
