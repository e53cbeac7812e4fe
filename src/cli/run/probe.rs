//! `probe`: which ways of mounting work here, why the others do not, and what to do about it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use slashopt::environment::OPT;
use slashopt::host::cache::Cache;
use slashopt::host::exec::namespace::Namespace;
use slashopt::host::exec::probe::{
    Extractable, Mechanism, Surroundings, Tried, extractable, mechanisms,
};
use slashopt::host::mount::Calls;
use slashopt::host::system::cache_folder::CacheFolder;

use super::mount_advice::{Attempt, cure_of};
use crate::cli::args::values::absolute;
use crate::cli::output::failure::Outcome;
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// Try which ways of mounting work here, and say why the others do not
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt probe
  docker run --rm IMAGE slashopt probe --format json")]
pub(crate) struct ProbeArgs {
    /// Try it here
    #[arg(long, value_name = "DIR", default_value = OPT, env = "SLASHOPT_AT", hide_env = true)]
    at: PathBuf,
    /// Try it with the cache in this folder
    #[arg(long, value_name = "DIR", env = "SLASHOPT_CACHE_DIR", hide_env = true)]
    cache_dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &ProbeArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let at = absolute(&arguments.at)?;
    let folder = CacheFolder::of_environment(arguments.cache_dir.as_deref());
    let cache = Cache::open(&folder).ok();
    let cache = cache.as_ref().map(Cache::path);
    let found = ProbeResult {
        cache,
        tried: mechanisms(&at, cache),
        extractable: extractable(&at),
        surroundings: Surroundings::read(),
        at: &at,
    };
    if global.is_json() {
        report.json(&found.to_json())?;
    } else {
        report.result(found.to_text().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

struct ProbeResult<'f> {
    at: &'f Path,
    cache: Option<&'f Path>,
    tried: Vec<Tried>,
    extractable: Extractable,
    surroundings: Surroundings,
}

impl ProbeResult<'_> {
    /// What `exec` will use.
    fn chosen(&self) -> Option<String> {
        for namespace in [Namespace::Mount, Namespace::User] {
            let mut in_space = self
                .tried
                .iter()
                .filter(|one| one.mechanism.namespace == namespace);
            if in_space.any(|one| one.mechanism.is_overlay && one.failure.is_none()) {
                return Some(format!("mounts in a {}", namespace.name()));
            }
        }
        (self.extractable == Extractable::Yes).then(|| "extraction".to_owned())
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        for namespace in [Namespace::Mount, Namespace::User] {
            line(format!("in a {}:", namespace.name()));
            for one in self
                .tried
                .iter()
                .filter(|one| one.mechanism.namespace == namespace)
            {
                let name = name_of(one.mechanism);
                match &one.failure {
                    None => line(format!("  {name:<34} works")),
                    Some(error) => line(format!("  {name:<34} does not work: {error}")),
                }
            }
            if let Some(cure) = self.cure_of(namespace) {
                line(format!("  cure: {cure}"));
            }
        }
        let at = self.at.display();
        line(format!("extracted to `{at}`: {}", self.extraction()));
        match self.chosen() {
            Some(chosen) => line(format!("`slashopt exec` will use: {chosen}")),
            None => line("`slashopt exec` cannot start a command here".to_owned()),
        }
        text
    }

    const fn extraction(&self) -> &'static str {
        match self.extractable {
            Extractable::Yes => "possible",
            Extractable::NotEmpty => "only if what is there is a root of the same layers",
            Extractable::NotWritable => "not possible: this user may not write there",
            Extractable::NotADirectory => "not possible: it is not a directory",
        }
    }

    fn cure_of(&self, namespace: Namespace) -> Option<&'static str> {
        let mut overlays = self
            .tried
            .iter()
            .filter(|one| one.mechanism.namespace == namespace && one.mechanism.is_overlay);
        if overlays.clone().any(|one| one.failure.is_none()) {
            return None;
        }
        let first = overlays.next_back().and_then(|one| one.failure.clone())?;
        Some(cure_of(&Attempt::new(namespace, first), self.surroundings))
    }

    fn to_json(&self) -> Value {
        let mechanisms: Vec<Value> = self
            .tried
            .iter()
            .map(|Tried { mechanism, failure }| {
                let error = failure.as_ref().map(|error| {
                    json!({
                        "step": error.step,
                        "errno": error.errno as i32,
                        "message": error.errno.desc(),
                        "kernel_log": error.log,
                    })
                });
                json!({
                    "mechanism": if mechanism.is_overlay { "overlay" } else { "bind" },
                    "namespace": match mechanism.namespace {
                        Namespace::Mount => "mount",
                        Namespace::User => "user",
                    },
                    "calls": match mechanism.calls {
                        Calls::Descriptors => "descriptors",
                        Calls::Strings => "strings",
                        Calls::Classic => "classic",
                    },
                    "works": failure.is_none(),
                    "error": error,
                    "cure": failure.clone().map(|failure| {
                        cure_of(&Attempt::new(mechanism.namespace, failure), self.surroundings)
                    }),
                })
            })
            .collect();
        let Surroundings {
            has_seccomp_filter,
            has_capability,
            has_no_user_namespaces,
            keeps_user_namespaces_for_root,
            confines_user_namespaces,
            has_no_proc,
        } = self.surroundings;
        json!({
            "schema_version": SCHEMA_VERSION,
            "target": self.at.to_string_lossy(),
            "cache": self.cache.map(|cache| cache.to_string_lossy()),
            "mechanisms": mechanisms,
            "extraction": {
                "works": self.extractable == Extractable::Yes,
                "message": self.extraction(),
            },
            "surroundings": {
                "seccomp_filter": has_seccomp_filter,
                "cap_sys_admin": has_capability,
                "max_user_namespaces_is_zero": has_no_user_namespaces,
                "unprivileged_userns_clone_is_off": keeps_user_namespaces_for_root,
                "apparmor_restricts_user_namespaces": confines_user_namespaces,
                "proc_is_missing": has_no_proc,
            },
            "chosen": self.chosen(),
        })
    }
}

fn name_of(mechanism: Mechanism) -> String {
    let what = if mechanism.is_overlay {
        "overlay"
    } else {
        "bind"
    };
    let how = match (mechanism.calls, mechanism.is_overlay) {
        (Calls::Descriptors, true) => "directories by descriptor",
        (Calls::Strings, true) => "directories by name",
        (Calls::Descriptors | Calls::Strings, false) => "by open_tree(2)",
        (Calls::Classic, _) => "by mount(2)",
    };
    format!("{what}, {how}")
}
