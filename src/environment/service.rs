//! The environment on the service: strings as recorded, taken apart only to explain them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::request::Target;
use super::roots::{OPT, Roots, VAR_TASK, below};
use super::variables::{
    Beginning, Environment, Presence, SEARCH_VARIABLES, SearchEntry, Variable, elements,
};
use crate::runtime::{self, Runtime};

/// What a function of the runtime sees.
pub(super) fn as_the_function_sees_it(
    runtime: Option<&'static Runtime>,
    roots: &Roots<'_>,
) -> Environment {
    let mut made = Made {
        environment: Environment::default(),
        target: Target::Lambda,
        roots,
    };
    made.constant("PATH", runtime.map_or(runtime::PATH, Runtime::path));
    made.constant(
        "LD_LIBRARY_PATH",
        runtime.map_or(runtime::LIBRARY_PATH, Runtime::library_path),
    );
    let Some(runtime) = runtime else {
        return made.environment;
    };
    for (name, value) in [
        ("NODE_PATH", runtime.node_path()),
        ("GEM_PATH", runtime.gem_path()),
    ] {
        if let Some(value) = value {
            made.constant(name, value);
        }
    }
    for (name, value) in runtime.variables {
        made.constant(name, *value);
    }
    made.common(runtime);
    made.constant("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    made.environment
}

/// What the service gives to the runtime's bootstrap.
///
/// Where the roots are not `/opt` and `/var/task`, they take their places: a bootstrap of AWS's base
/// images reads `LAMBDA_TASK_ROOT`, and commands and libraries must be found where they are.
pub(super) fn before_the_bootstrap(
    runtime: Option<&'static Runtime>,
    roots: &Roots<'_>,
) -> Environment {
    let mut made = Made {
        environment: Environment::default(),
        target: Target::Bootstrap,
        roots,
    };
    let path = runtime.map_or(runtime::PATH, Runtime::path_before_bootstrap);
    let library_path = runtime.map_or(
        runtime::LIBRARY_PATH,
        Runtime::library_path_before_bootstrap,
    );
    made.constant("PATH", relocated(path, roots));
    made.constant("LD_LIBRARY_PATH", relocated(library_path, roots));
    if let Some(runtime) = runtime {
        made.common(runtime);
    }
    made.environment
}

/// A search path of the service with the request's roots in the places of the service's own.
fn relocated(value: &str, roots: &Roots<'_>) -> OsString {
    let moved = value.split(':').map(|element| {
        for (standard, root) in [(OPT, &roots.opt), (VAR_TASK, &roots.task)] {
            if let Some(path) = below(Path::new(standard), OsStr::new(element)) {
                return root.join(&path);
            }
        }
        // As it is, down to the slash at the end.
        OsString::from(element)
    });
    moved.collect::<Vec<_>>().join(OsStr::new(":"))
}

struct Made<'a> {
    environment: Environment,
    target: Target,
    roots: &'a Roots<'a>,
}

impl Made<'_> {
    /// What every function sees, save that OS-only runtimes have no `AWS_EXECUTION_ENV`.
    ///
    /// `TZ` is that of functions deployed as zip; in AWS's base images it is `:/etc/localtime`.
    fn common(&mut self, runtime: &Runtime) {
        let task_root = match self.target {
            Target::Lambda => OsString::from(VAR_TASK),
            Target::Bootstrap | Target::Host => self.roots.task.join(b""),
        };
        self.constant("LANG", "en_US.UTF-8");
        self.constant("TZ", ":UTC");
        self.constant("LAMBDA_TASK_ROOT", task_root);
        self.constant("LAMBDA_RUNTIME_DIR", "/var/runtime");
        if let Some(value) = runtime.execution_environment() {
            self.constant("AWS_EXECUTION_ENV", value);
        }
    }

    fn constant(&mut self, name: &str, value: impl Into<OsString>) {
        let value = value.into();
        let searched = SEARCH_VARIABLES.contains(&name);
        let entries = if searched {
            entries_of(&value, self.target, self.roots)
        } else {
            Vec::new()
        };
        self.environment.put(Variable {
            name: name.into(),
            value,
            rule: rule_of(name),
            entries,
            beginning: Beginning::Fresh,
        });
    }
}

fn rule_of(name: &str) -> &'static str {
    match name {
        "PATH" => "a constant of the service, whatever exists; the layers' commands come last",
        "LD_LIBRARY_PATH" => {
            "a constant of the service, whatever exists; the layers' libraries come last"
        }
        "NODE_PATH" => "set by the runtime's bootstrap unless the function configures it",
        "PYTHONPATH" => {
            "set by the runtime's bootstrap, which puts the layers' folders on sys.path by itself"
        }
        "AWS_EXECUTION_ENV" | "LAMBDA_RUNTIME_DIR" | "LAMBDA_TASK_ROOT" => {
            "reserved: a function cannot configure it"
        }
        "LANG" | "TZ" | "AWS_XRAY_CONTEXT_MISSING" => "a default of the service",
        _ => "set by the runtime",
    }
}

/// The entries of a value that is taken as it stands: a constant of the service, or one assigned by hand.
///
/// Under [`Target::Lambda`] the value speaks of `/opt` and `/var/task`, wherever the roots are.
pub(super) fn entries_of(value: &OsStr, target: Target, roots: &Roots<'_>) -> Vec<SearchEntry> {
    elements(value)
        .map(|element| entry_of(element, target, roots))
        .collect()
}

fn entry_of(element: &OsStr, target: Target, roots: &Roots<'_>) -> SearchEntry {
    let directory = element.to_owned();
    let (opt, task) = match target {
        Target::Lambda => (Path::new(OPT), Path::new(VAR_TASK)),
        Target::Bootstrap | Target::Host => (roots.opt.path.as_path(), roots.task.path.as_path()),
    };
    let judged = [
        (opt, &roots.opt, "the layers"),
        (task, &roots.task, "the function's code"),
    ]
    .into_iter()
    .filter_map(|(path, place, rule)| Some((below(path, element)?, place, rule)))
    // One root may lie inside the other: the inner one, with the shorter rest, is meant.
    .min_by_key(|(path, _, _)| path.len());
    match judged {
        Some((path, place, rule)) => SearchEntry {
            directory,
            rule,
            presence: Presence::of(place.has(&path)),
            provided_by: place.holds.provided_by(&path),
        },
        None => SearchEntry {
            directory,
            rule: rule_outside(element),
            presence: Presence::Unjudged,
            provided_by: Vec::new(),
        },
    }
}

/// What an entry outside the root and the task root is.
fn rule_outside(element: &OsStr) -> &'static str {
    let path = Path::new(element);
    if path.starts_with("/var/lang") {
        "the language, in the runtime's image"
    } else if path.starts_with("/var/runtime") {
        "the runtime's own code and AWS's SDK"
    } else if ["/bin", "/lib", "/lib64", "/usr"]
        .iter()
        .any(|system| path.starts_with(system))
    {
        "the operating system"
    } else {
        "neither in the root nor in the task root"
    }
}
