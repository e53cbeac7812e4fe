//! Which runtime is meant.

use clap::Args;

use slashopt::environment::{RootView, implied_runtimes};
use slashopt::runtime::Runtime;

use crate::cli::output::failure::{Exit, Failure};

/// Not a doc comment, where the variable would need backticks, which help does not have.
const RUNTIME_HELP: &str =
    "Use this runtime, such as python3.12 [default: what AWS_EXECUTION_ENV names]";

/// `--runtime`; a command that means something else by it replaces the help text.
#[derive(Debug, Args)]
pub(crate) struct RuntimeArgs {
    #[arg(long, value_name = "ID", help = RUNTIME_HELP, env = "SLASHOPT_RUNTIME", hide_env = true)]
    runtime: Option<String>,
}

impl RuntimeArgs {
    /// What was typed, or is in the variable.
    pub(crate) fn asked(&self) -> Option<&str> {
        self.runtime.as_deref()
    }
}

/// The variable in which AWS's images, and functions, carry their runtime.
pub(crate) const EXECUTION_ENVIRONMENT: &str = "AWS_EXECUTION_ENV";

/// The runtime that was named; where none is, what to do about it.
pub(crate) fn required_runtime(
    named: Option<&'static Runtime>,
    in_root: &dyn RootView,
) -> Result<&'static Runtime, Failure> {
    if let Some(runtime) = named {
        return Ok(runtime);
    }
    let failure = Failure::whole(
        Exit::Usage,
        "cannot choose the runtime: --runtime: none is given",
    );
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
        Failure::whole(Exit::Usage, message).hint(match unknown.suggestion {
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
