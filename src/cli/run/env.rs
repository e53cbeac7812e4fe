//! `env`: print the runtime environment.

pub(crate) mod explanation;
pub(crate) mod formats;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use slashopt::environment::{Caller, Environment, OPT, Request, RootView, VAR_TASK, environment};
use slashopt::host::exec::disk_root::DiskRoot;
use slashopt::host::exec::loader::loader_directories;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::merge::MergedTree;

use crate::cli::args::runtime::{RuntimeArgs, named_runtime, required_runtime};
use crate::cli::args::target::TargetArg;
use crate::cli::args::values::{BASE_PATH, absolute, assignments};
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::resolved::Layers;
use crate::cli::output::failure::{Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::report::Report;
use crate::cli::output::words::shown;
use crate::cli::run::environment::{not_possible, warn_of_left_out};
use formats::{Format, Shape};

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
    #[command(flatten)]
    runtime: RuntimeArgs,
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

pub(crate) fn run(arguments: &EnvArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let shape = Shape::parse(global.format.as_deref(), arguments.explain)?;
    let root = absolute(arguments.root.as_deref().unwrap_or(Path::new(OPT)))?;
    let task_root = absolute(&arguments.task_root)?;
    let loaded = load_layers(arguments, report)?;
    let tree = loaded.as_ref().map(|(_, loaded)| {
        let linked = arguments.stack.on_type_conflict().linked_directory();
        MergedTree::merge(&loaded.stack, linked)
    });
    let on_disk = DiskRoot::opt(&root);
    let in_root: &dyn RootView = match &tree {
        Some(tree) => tree,
        None => places_on_disk(&on_disk, arguments, &root, report),
    };
    let in_task_root = DiskRoot::task(task_root.as_path());
    let asked = arguments.runtime.asked();
    let named = match &loaded {
        Some((layers, _)) => layers.runtime(asked, report)?,
        None => named_runtime(asked)?,
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
fn load_layers(
    arguments: &EnvArgs,
    report: &Report,
) -> Result<Option<(Layers, LoadedStack)>, Failure> {
    let EnvArgs {
        layers,
        root,
        stack,
        ..
    } = arguments;
    if !layers.is_typed() && root.is_some() || !layers.is_given() {
        return Ok(None);
    }
    let layers = layers.resolve(stack)?;
    let pool = stack.pool()?;
    let loaded = stack.load(&layers, &pool, &Budget::default(), report)?;
    Ok(Some((layers, loaded)))
}

/// What the root holds on disk.
fn places_on_disk<'p>(
    places: &'p DiskRoot,
    arguments: &EnvArgs,
    root: &Path,
    report: &Report,
) -> &'p dyn RootView {
    // `/opt` may well be missing where nobody put a layer; a directory that was typed should not be.
    if arguments.root.is_some() && !places.exists() {
        let root = shown(root.as_os_str());
        report.warning(&format!(
            "the root `{root}` is not a directory: nothing of it is listed"
        ));
    }
    places
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
