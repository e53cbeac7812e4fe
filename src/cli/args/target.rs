//! For whom an environment is.

use clap::ValueEnum;

use slashopt::environment::Target;

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
