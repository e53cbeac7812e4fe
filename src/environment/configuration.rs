//! What is assigned by hand: the function's own configuration, and what overrides everything.
//!
//! On the service a configured value replaces the default whole, is taken literally and never expanded
//! (AWS's page "Working with Lambda environment variables", `configuration-envvars.html`). Two defaults
//! also come back for an empty value, because the bootstraps test for emptiness: `NODE_PATH` and .NET's
//! `SSL_CERT_FILE`. An empty `PYTHONPATH`, on the other hand, counts as set.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::assignment::Assignment;
use super::error::ConfigurationError;
use super::request::{Request, Target};
use super::roots::Roots;
use super::service::entries_of;
use super::variables::{Beginning, Environment, SEARCH_VARIABLES, Variable};

/// The variables that a function's configuration cannot set: AWS's page "Defined runtime environment
/// variables" (`configuration-envvars.html#configuration-envvars-runtime`).
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Judges the configuration as AWS's `UpdateFunctionConfiguration` does.
///
/// # Errors
/// When it sets what AWS reserves, or names a variable as AWS does not allow.
pub fn judge_configuration(configuration: &[Assignment]) -> Result<(), ConfigurationError> {
    let mut names: Vec<&'static str> = Vec::new();
    for assignment in configuration {
        let reserved = RESERVED.into_iter().find(|name| assignment.name == *name);
        if let Some(name) = reserved.filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    if !names.is_empty() {
        return Err(ConfigurationError::Reserved { names });
    }
    match configuration
        .iter()
        .find(|one| !is_configurable(one.name.as_bytes()))
    {
        Some(refused) => Err(ConfigurationError::Name {
            name: refused.name.clone(),
        }),
        None => Ok(()),
    }
}

/// AWS's pattern for names: `[a-zA-Z]([a-zA-Z0-9_])+`, so at least two characters.
fn is_configurable(name: &[u8]) -> bool {
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match name.split_first() {
        Some((first, rest)) => {
            first.is_ascii_alphabetic() && !rest.is_empty() && rest.iter().all(of_word)
        }
        None => false,
    }
}

/// Replaces defaults by the configuration, then by the overrides.
pub(super) fn apply(request: &Request<'_>, roots: &Roots<'_>, environment: &mut Environment) {
    for assignment in request.configuration {
        if !means_default(assignment, request.target, environment) {
            let rule = configured_rule(&assignment.name);
            put(assignment, rule, request.target, roots, environment);
        }
    }
    for assignment in request.overrides {
        put(
            assignment,
            "assigned last, over everything else",
            request.target,
            roots,
            environment,
        );
    }
}

/// Whether a bootstrap would take this value for none and keep the default. Before the bootstrap runs,
/// the value is simply there.
fn means_default(assignment: &Assignment, target: Target, environment: &Environment) -> bool {
    target != Target::Bootstrap
        && assignment.value.is_empty()
        && (assignment.name == "NODE_PATH" || assignment.name == "SSL_CERT_FILE")
        && environment.variable(&assignment.name).is_some()
}

fn configured_rule(name: &OsStr) -> &'static str {
    if name == "PYTHONPATH" {
        "the function's own configuration; Lambda then searches no layer folder by itself"
    } else if SEARCH_VARIABLES.iter().any(|known| name == *known) {
        "the function's own configuration; it replaces Lambda's default whole, the layers' folders too"
    } else {
        "the function's own configuration"
    }
}

fn put(
    assignment: &Assignment,
    rule: &'static str,
    target: Target,
    roots: &Roots<'_>,
    environment: &mut Environment,
) {
    let Assignment { name, value } = assignment.clone();
    let searched = SEARCH_VARIABLES.iter().any(|known| name == *known);
    let entries = if searched {
        entries_of(&value, target, roots)
    } else {
        Vec::new()
    };
    // What a rule would have listed no longer matters where no rule decides.
    environment
        .left_out
        .retain(|left_out| name != left_out.variable);
    environment.put(Variable {
        name,
        value,
        rule,
        entries,
        beginning: Beginning::Fresh,
    });
}
