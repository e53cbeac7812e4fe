//! What a command is started with: its environment, its words, its working directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use slashopt::environment::{
    Assignment, Caller, Environment, OPT, Request, Target, VAR_TASK, environment,
};
use slashopt::host::exec::disk_root::DiskRoot;
use slashopt::host::exec::loader::loader_directories;
use slashopt::host::exec::process::{Command, candidates};
use slashopt::host::exec::program::{Role, needed};
use slashopt::host::mount::Lower;
use slashopt::runtime::{Family, Runtime};

use super::args::ExecArgs;
use crate::cli::args::values::{BASE_PATH, assignments};
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;
use crate::cli::run::environment::{not_possible, warn_of_left_out};

/// The program in AWS's base images that starts a function.
const RUNTIME_BOOTSTRAP: &str = "/var/runtime/bootstrap";
/// The program that a function of an OS-only runtime brings, or a layer for it.
const BOOTSTRAP: &str = "bootstrap";
/// What is put before the command that starts a function, on the service by the runtime's bootstrap.
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";
/// The file that makes the service start no extensions (`internal/lambda/extensions` of its runtime interface emulator).
const DISABLE_EXTENSIONS: &str = "disable-extensions-jwigqn8j";

/// How a command is started.
pub(crate) struct Start<'s> {
    pub(crate) arguments: &'s ExecArgs,
    pub(crate) runtime: Option<&'static Runtime>,
    /// Where the layers are.
    pub(crate) at: &'s Path,
}

impl Start<'_> {
    fn brings_its_own_runtime(&self) -> bool {
        self.runtime
            .is_some_and(|runtime| runtime.family == Family::Provided)
    }

    fn target(&self) -> Target {
        match self.arguments.target {
            Some(target) => target.into(),
            None if Path::new(RUNTIME_BOOTSTRAP).exists() => Target::Bootstrap,
            None => Target::Host,
        }
    }

    /// Judges what was typed, before anything is done.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        self.assigned()?;
        if self.arguments.command.is_empty() && !self.brings_its_own_runtime() {
            return Err(Failure::usage("none is given")
                .hint("write it behind `--`; only provided.* runtimes have one of their own"));
        }
        Ok(())
    }

    /// What is assigned by hand: the configuration, and what overrides everything.
    fn assigned(&self) -> Result<(Vec<Assignment>, Vec<Assignment>), Failure> {
        Ok((
            assignments(&self.arguments.set, "--set")?,
            assignments(&self.arguments.env, "--env")?,
        ))
    }

    /// Refuses a command that would hide itself, or what starts it, by what is mounted over it. What the directories bring
    /// themselves is not hidden.
    pub(crate) fn judge_hiding(&self, lowers: &[Lower]) -> Result<(), Failure> {
        let Some(name) = self.arguments.command.first() else {
            return Ok(());
        };
        let is_empty = || {
            fs::read_dir(self.at).map_or_else(
                |error| error.kind() == ErrorKind::NotFound,
                |mut entries| entries.next().is_none(),
            )
        };
        if self.arguments.keep_host || is_empty() {
            return Ok(());
        }
        let path = self.callers_path()?;
        let target = self
            .at
            .canonicalize()
            .unwrap_or_else(|_| self.at.to_owned());
        for (role, file) in needed(&candidates(name, path.as_deref()), path.as_deref()) {
            let there = file.canonicalize().unwrap_or_else(|_| file.clone());
            let below = [&file, &there].into_iter().find_map(|file| {
                file.strip_prefix(&target)
                    .or_else(|_| file.strip_prefix(self.at))
                    .ok()
            });
            let Some(below) = below else { continue };
            let is_brought = lowers
                .iter()
                .any(|lower| lower.path.join(below).symlink_metadata().is_ok());
            if !is_brought {
                return Err(self.hides(role, &file));
            }
        }
        Ok(())
    }

    fn hides(&self, role: Role, file: &Path) -> Failure {
        let (role, file, at) = (role.name(), file.display(), self.at.display());
        Failure::new(
            Exit::NotStarted,
            format!("`{at}`: the layers would hide {role}, `{file}`"),
        )
        .hint("--at DIR shows the layers elsewhere, --keep-host keeps what is there now below them")
    }

    /// The `PATH` by which the command would be found now.
    fn callers_path(&self) -> Result<Option<OsString>, Failure> {
        let (configuration, overrides) = self.assigned()?;
        let mut assigned = configuration.iter().chain(&overrides);
        Ok(
            match assigned.rfind(|assignment| assignment.name() == "PATH") {
                Some(assignment) => Some(assignment.value().to_owned()),
                None if self.arguments.clean_env => Some(OsString::from(BASE_PATH)),
                None => std::env::var_os("PATH"),
            },
        )
    }

    /// The command with its environment, and the directory that it is to start in if that is not the caller's: that of the
    /// function's code, `task_root`, wherever that could be shown.
    pub(crate) fn command(
        &self,
        task_root: Option<&Path>,
        report: &Report,
    ) -> Result<(Command, Option<PathBuf>), Failure> {
        let made = self.environment(task_root, report)?;
        let mut variables: Vec<(OsString, OsString)> = if self.arguments.clean_env {
            Vec::new()
        } else {
            std::env::vars_os().collect()
        };
        for variable in made.variables {
            put(&mut variables, variable.name, variable.value);
        }
        let task = task_root.unwrap_or(Path::new(VAR_TASK));
        let mut arguments = self.arguments.command.clone();
        let mut directory = task_root;
        if arguments.is_empty() {
            arguments.push(self.bootstrap(task)?.into());
            directory = directory.or_else(|| Some(task).filter(|task| task.is_dir()));
        }
        if let Some(wrapper) = self.wrapper(&variables)? {
            arguments.insert(0, wrapper);
        }
        if let Some(directory) = directory {
            let is_set = |(name, _): &(OsString, OsString)| name == "PWD";
            if variables.iter().any(is_set) {
                put(&mut variables, "PWD".into(), directory.into());
            }
        }
        let command = Command {
            arguments,
            environment: variables,
        };
        Ok((command, directory.map(Path::to_owned)))
    }

    fn environment(
        &self,
        task_root: Option<&Path>,
        report: &Report,
    ) -> Result<Environment, Failure> {
        let task_root = task_root.unwrap_or(Path::new(VAR_TASK));
        let (configuration, overrides) = self.assigned()?;
        let caller = if self.arguments.clean_env {
            Caller::with_path(OsStr::new(BASE_PATH))
        } else {
            Caller::reading(std::env::var_os)
        };
        let in_root = DiskRoot::opt(self.at);
        let in_task_root = DiskRoot::task(task_root);
        let target = self.target();
        let mut made = environment(&Request {
            runtime: self.runtime,
            target,
            root: self.at,
            task_root,
            in_root: &in_root,
            in_task_root: &in_task_root,
            caller: &caller,
            loader_directories: &loader_directories,
            is_on_this_machine: &Path::exists,
            configuration: &configuration,
            overrides: &overrides,
        })
        .map_err(|error| not_possible(&error))?;
        if target == Target::Host && !self.arguments.no_hooks {
            let callers = std::env::var_os("NODE_OPTIONS").filter(|_| !self.arguments.clean_env);
            crate::cli::run::hooks::add(
                &mut made,
                self.runtime,
                &self.arguments.stack,
                (&configuration, &overrides),
                callers.as_deref(),
                self.arguments.user,
                report,
            );
        }
        if target == Target::Host {
            for name in &made.replaced {
                report.warning(&format!("the caller's {name} is replaced, not extended"));
            }
        } else if self.at != Path::new(OPT) {
            report.warning(&format!(
                "the environment says {OPT}, as on Lambda, but the layers are at `{}`",
                self.at.display()
            ));
        }
        warn_of_left_out(&made, report);
        Ok(made)
    }

    /// What an OS-only runtime starts: the first of the two that is no directory (AWS Lambda Developer Guide, *Building a custom
    /// runtime*). Whether it can be executed shows when it is.
    fn bootstrap(&self, task: &Path) -> Result<PathBuf, Failure> {
        let places = [task.join(BOOTSTRAP), self.at.join(BOOTSTRAP)];
        let is_file = |place: &&PathBuf| fs::metadata(place).is_ok_and(|about| !about.is_dir());
        places.iter().find(is_file).cloned().ok_or_else(|| {
            let [task, opt] = places.each_ref().map(|place| place.display());
            Failure::new(
                Exit::NotFound,
                format!("Couldn't find valid bootstrap(s): [{task} {opt}]"),
            )
            .hint("the function or a layer brings a file of that name; or write a command behind `--`")
        })
    }

    /// The wrapper that starts the command, judged as AWS's bootstraps do. In their images they start it themselves, and OS-only
    /// runtimes have none.
    fn wrapper(&self, variables: &[(OsString, OsString)]) -> Result<Option<OsString>, Failure> {
        let is_ours = self.target() != Target::Bootstrap && !self.brings_its_own_runtime();
        let variable = variables.iter().find(|(name, _)| name == WRAPPER);
        let Some((_, wrapper)) = variable.filter(|(_, value)| !value.is_empty()) else {
            return Ok(None);
        };
        if self.arguments.no_wrapper || !is_ours {
            return Ok(None);
        }
        let file = Path::new(wrapper);
        let about = fs::metadata(file).ok().filter(fs::Metadata::is_file);
        let failed = |exit, why| {
            Failure::new(exit, format!("{WRAPPER}: {}: {why}", file.display()))
                .hint("--no-wrapper starts the command without it")
        };
        match about {
            None => Err(failed(Exit::NotFound, "does not exist")),
            Some(about) if about.permissions().mode() & 0o111 == 0 => {
                Err(failed(Exit::NotExecutable, "is not an executable"))
            }
            Some(_) => Ok(Some(wrapper.clone())),
        }
    }

    /// Says which extensions the service would start beside the function.
    pub(crate) fn tell_extensions(&self, report: &Report) {
        if self.at.join(DISABLE_EXTENSIONS).exists() {
            return;
        }
        let listed = fs::read_dir(self.at.join("extensions"));
        let mut names: Vec<String> = listed
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
            .map(|entry| crate::cli::output::words::shown(&entry.file_name()))
            .collect();
        names.sort_unstable();
        let are = if names.len() == 1 {
            "extension is"
        } else {
            "extensions are"
        };
        if !names.is_empty() {
            report.note(&format!(
                "{} {are} not started: {}",
                names.len(),
                names.join(", ")
            ));
        }
    }
}

/// Why the command did not start, in the words of `env(1)`.
pub(crate) fn not_started(command: &Command, error: Errno) -> Failure {
    let name = command.arguments.first().cloned().unwrap_or_default();
    let name = crate::cli::output::words::shown(&name);
    let exit = match error {
        Errno::ENOENT | Errno::ENOTDIR => Exit::NotFound,
        _ => Exit::NotExecutable,
    };
    let failure = Failure::new(exit, format!("`{name}`: {}", error.desc()));
    let path = command.environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, value)| value.as_os_str());
    let found = needed(&command.candidates(), path);
    match found.get(1) {
        Some((role, file)) if error == Errno::ENOENT && !file.exists() => failure.hint(format!(
            "{} is missing here: `{}`",
            role.name(),
            file.display()
        )),
        _ if error == Errno::ENOENT && !name.contains('/') => {
            failure.hint("it is looked up in PATH, which ends in the layers' `bin`")
        }
        _ => failure,
    }
}

/// Puts a variable at the place of its namesake, or at the end.
fn put(variables: &mut Vec<(OsString, OsString)>, name: OsString, value: OsString) {
    match variables.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => variables.push((name, value)),
    }
}
