//! Environments that cannot be computed, or not expressed whole.

use slashopt::environment::{Environment, EnvironmentError, LeftOutReason};

use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;
use crate::cli::output::words::shown;

/// Why no environment can be computed, or AWS would not take the configuration.
pub(crate) fn not_possible(error: &EnvironmentError) -> Failure {
    let failure = Failure::whole(Exit::Usage, error.to_string());
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
