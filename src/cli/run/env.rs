//! `env`: print the runtime environment.

pub(crate) mod explanation;
mod formats;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use slashopt::environment::{
    Assignment, Caller, Environment, EnvironmentError, LeftOutReason, OPT, Places, Request, Target,
    VAR_TASK, environment, implied_runtimes,
};
use slashopt::host::exec::places::{DiskPlaces, loader_directories};
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::merge::MergedTree;
use slashopt::runtime::Runtime;

use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;
use crate::cli::{GlobalArgs, Outcome};
use explanation::shown;
use formats::{Format, Shape};

const WHAT: &str = "cannot compute the environment";

/// The variable in which AWS's images, and functions, carry their runtime.
pub(crate) const EXECUTION_ENVIRONMENT: &str = "AWS_EXECUTION_ENV";
/// What most distributions give to a process that has no `PATH`.
pub(crate) const BASE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Not a doc comment, where the variable would need backticks, which help does not have.
pub(crate) const RUNTIME_HELP: &str =
    "Use this runtime, such as python3.12 [default: what AWS_EXECUTION_ENV names]";

/// Print the runtime environment that the layers give
#[derive(Debug, Args)]
#[command(after_help = "\
Formats (--format): sh (default), dotenv, docker, json, null

Examples:
  eval \"$(slashopt env --runtime python3.12)\"
  slashopt env base.zip deps.zip --runtime python3.12 --root /srv/opt
  slashopt env --runtime java21 --root /srv/opt --explain
  slashopt env --runtime nodejs22.x --format docker >layers.env
  slashopt env --runtime ruby3.4 --target lambda --format json")]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    layers: LayerArgs,
    #[arg(long, value_name = "ID", help = RUNTIME_HELP, env = "SLASHOPT_RUNTIME", hide_env = true)]
    runtime: Option<String>,
    /// Choose for whom the environment is
    #[arg(long, value_enum, default_value_t = TargetArg::Host, value_name = "TARGET")]
    target: TargetArg,
    /// Say of every variable and directory why it is there, and whether it exists
    #[arg(long)]
    explain: bool,
    /// Say where the layers are; with LAYERs, where they will be [default: /opt]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Say where the function's code is
    #[arg(long, value_name = "DIR", default_value = VAR_TASK)]
    task_root: PathBuf,
    /// Configure the function: replace a default whole, as on Lambda (can be repeated)
    #[arg(long, value_name = "K=V")]
    set: Vec<OsString>,
    /// Set any variable, over everything else (can be repeated)
    #[arg(long, value_name = "K=V")]
    env: Vec<OsString>,
    /// Set the hooks too that `exec` sets for stock interpreters: layers' .pth files are run, and import finds layers
    #[arg(long, conflicts_with = "explain")]
    hooks: bool,
    /// Begin PATH with this, in the formats that know no caller: dotenv, docker, json, null
    #[arg(long, value_name = "PATH", default_value = BASE_PATH)]
    base_path: OsString,
    #[command(flatten)]
    stack: StackArgs,
}

/// For whom the environment is, as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TargetArg {
    /// Stock interpreters on this machine or in a container, in Lambda's search order
    Host,
    /// Exactly what a function sees on Lambda
    Lambda,
    /// What Lambda gives to the runtime's own bootstrap
    Bootstrap,
}

impl From<TargetArg> for Target {
    fn from(target: TargetArg) -> Self {
        match target {
            TargetArg::Host => Self::Host,
            TargetArg::Lambda => Self::Lambda,
            TargetArg::Bootstrap => Self::Bootstrap,
        }
    }
}

pub(crate) fn run(arguments: &EnvArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let shape = Shape::parse(global.format.as_deref(), arguments.explain)?;
    let root = absolute(arguments.root.as_deref().unwrap_or(Path::new(OPT)))?;
    let task_root = absolute(&arguments.task_root)?;
    let loaded = load_layers(arguments, report)?;
    let tree = loaded.as_ref().map(|loaded| {
        let linked = arguments.stack.on_type_conflict().linked_directory();
        MergedTree::merge(&loaded.stack, linked, &loaded.hasher)
    });
    let on_disk = DiskPlaces::opt(&root);
    let in_root: &dyn Places = match &tree {
        Some(tree) => tree,
        None => places_on_disk(&on_disk, arguments, &root, report),
    };
    let in_task_root = DiskPlaces::task(task_root.as_path());
    let named = if loaded.is_some() {
        let asked = arguments.runtime.as_deref();
        arguments.layers.runtime(asked, WHAT, report)?
    } else {
        named_runtime(arguments.runtime.as_deref())?
    };
    let runtime = required_runtime(named, in_root)?;
    let configuration = assignments(&arguments.set, "--set")?;
    let overrides = assignments(&arguments.env, "--env")?;
    let mut made = environment(&Request {
        runtime: Some(runtime),
        target: arguments.target.into(),
        root: &root,
        task_root: &task_root,
        in_root,
        in_task_root: &in_task_root,
        caller: &head_of_paths(shape, &arguments.base_path),
        loader_directories: &loader_directories,
        is_on_this_machine: &Path::exists,
        configuration: &configuration,
        overrides: &overrides,
    })
    .map_err(|error| not_possible(&error))?;
    if arguments.hooks && arguments.target == TargetArg::Host {
        // What is printed for a shell is for this one, and for other readers begins from nothing.
        let callers = std::env::var_os("NODE_OPTIONS");
        let is_for_this_shell = shape == Shape::Variables(Format::Sh);
        super::hooks::add(
            &mut made,
            Some(runtime),
            &arguments.stack,
            (&configuration, &overrides),
            callers.as_deref().filter(|_| is_for_this_shell),
            None,
            report,
        );
    }
    warn(&made, shape, report);
    let printed = formats::print(&made, shape, runtime, arguments.target.into())?;
    report.result(&printed)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the layers, when layers are given; `--root` then only names the place.
///
/// LAYERs on the command line count always, `SLASHOPT_LAYERS` only where no `--root` was typed.
fn load_layers(arguments: &EnvArgs, report: &Report) -> Result<Option<LoadedStack>, Failure> {
    let EnvArgs {
        layers,
        root,
        stack,
        ..
    } = arguments;
    if !layers.is_typed() && root.is_some() || !layers.is_given() {
        return Ok(None);
    }
    let pool = stack.pool()?;
    stack
        .load(layers, WHAT, &pool, &Budget::default(), report)
        .map(Some)
}

/// What the root holds on disk.
fn places_on_disk<'p>(
    places: &'p DiskPlaces,
    arguments: &EnvArgs,
    root: &Path,
    report: &Report,
) -> &'p dyn Places {
    // `/opt` may well be missing where nobody put a layer; a directory that was typed should not be.
    if arguments.root.is_some() && !places.exists() {
        let root = shown(root.as_os_str());
        report.warning(&format!(
            "the root `{root}` is not a directory: nothing of it is listed"
        ));
    }
    places
}

/// The path as a search path can hold it: absolute, whatever the working directory will be.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::new(
            Exit::Machine,
            format!(
                "cannot make the path absolute: `{}`: {error}",
                shown(path.as_os_str())
            ),
        )
    })
}

/// The caller's variables as far as the shape of the result may depend on them.
fn head_of_paths(shape: Shape, base_path: &OsStr) -> Caller {
    match shape {
        // What is printed refers to the values that the evaluating shell has then; only what is
        // replaced is of interest now.
        Shape::Variables(Format::Sh) => Caller::reading(|name| match name {
            "PATH" | "LD_LIBRARY_PATH" => None,
            _ => std::env::var_os(name),
        }),
        Shape::Explanation => Caller::reading(std::env::var_os),
        Shape::Variables(_) | Shape::ExplainedJson => Caller::with_path(base_path),
    }
}

/// The runtime that was named; where none is, what to do about it.
pub(crate) fn required_runtime(
    named: Option<&'static Runtime>,
    in_root: &dyn Places,
) -> Result<&'static Runtime, Failure> {
    if let Some(runtime) = named {
        return Ok(runtime);
    }
    let failure = Failure::usage("cannot choose the runtime: --runtime: none is given");
    let implied: Vec<String> = implied_runtimes(in_root)
        .iter()
        .map(|runtime| format!("`--runtime {runtime}`"))
        .collect();
    Err(failure.hint(if implied.is_empty() {
        "name it, for example `--runtime python3.13`, or set SLASHOPT_RUNTIME".to_owned()
    } else {
        format!("the folders in the root suggest {}", implied.join(" or "))
    }))
}

/// The runtime that was asked for, or the one in which we run, if any is named.
pub(crate) fn named_runtime(asked: Option<&str>) -> Result<Option<&'static Runtime>, Failure> {
    if let Some(identifier) = asked.filter(|identifier| !identifier.is_empty()) {
        return find_runtime(identifier, "--runtime").map(Some);
    }
    let here = std::env::var(EXECUTION_ENVIRONMENT).unwrap_or_default();
    Runtime::identifier_in(&here)
        .map(|identifier| find_runtime(identifier, EXECUTION_ENVIRONMENT))
        .transpose()
}

pub(crate) fn find_runtime(identifier: &str, named_by: &str) -> Result<&'static Runtime, Failure> {
    Runtime::find(identifier).map_err(|unknown| {
        let message = format!(
            "cannot choose the runtime: {named_by}: `{identifier}` is not a runtime of Lambda"
        );
        Failure::usage(message).hint(match unknown.suggestion {
            Some(meant) if meant.eq_ignore_ascii_case(identifier) => {
                format!("write `{meant}`: identifiers are case-sensitive")
            }
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                let supported = Runtime::all()
                    .iter()
                    .filter(|runtime| runtime.is_supported());
                let identifiers: Vec<&str> = supported.map(|runtime| runtime.identifier).collect();
                format!("Lambda supports {}", identifiers.join(", "))
            }
        })
    })
}

/// The assignments that were typed with a flag.
pub(crate) fn assignments(texts: &[OsString], flag: &str) -> Result<Vec<Assignment>, Failure> {
    let parsed = texts.iter().map(|text| Assignment::parse(text));
    parsed.collect::<Result<_, _>>().map_err(|error| {
        Failure::usage(error.to_string()).hint(format!("write `{flag} NAME=VALUE`"))
    })
}

/// Why no environment can be computed, or AWS would not take the configuration.
pub(crate) fn not_possible(error: &EnvironmentError) -> Failure {
    let failure = Failure::usage(error.to_string());
    match error {
        EnvironmentError::ColonInRoot { .. } => {
            failure.hint("choose a directory without `:` in its path")
        }
        EnvironmentError::RelativeRoot { .. } => failure.hint("give an absolute path"),
        EnvironmentError::Configuration(_) => {
            failure.hint("`--env K=V` sets any variable, also one that a function cannot configure")
        }
    }
}

/// Says what the result does to the caller, and what it could not express.
fn warn(made: &Environment, shape: Shape, report: &Report) {
    // The other formats are for another process, which has the caller's variables or does not.
    if matches!(shape, Shape::Variables(Format::Sh) | Shape::Explanation) {
        for name in &made.replaced {
            report.warning(&format!("the caller's {name} is replaced, not extended"));
        }
    }
    warn_of_left_out(made, report);
}

/// Says what a search path could not express.
pub(crate) fn warn_of_left_out(made: &Environment, report: &Report) {
    for left_out in &made.left_out {
        if left_out.reason == LeftOutReason::ColonInName {
            let (variable, jar) = (left_out.variable, shown(&left_out.directory));
            report.warning(&format!(
                "{variable} does not list `{jar}`: its name holds `:`"
            ));
        }
    }
}
