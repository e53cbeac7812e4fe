//! What can be typed after `exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use slashopt::environment::OPT;
use slashopt::host::exec::process::Identity;

use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::args::target::TargetArg;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;

/// Run a command with the layers at /opt
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt exec base.zip deps.zip --runtime python3.12 -- python3 app.py
  slashopt exec deps.zip --runtime nodejs22.x --at ./opt -- node app.js
  slashopt exec layer.zip --runtime provided.al2023 --task-root ./build
  slashopt exec --locked layers.lock -- python3 app.py

In a Dockerfile:
  ENV SLASHOPT_LAYERS=/layers/base.zip,/layers/deps.zip SLASHOPT_RUNTIME=python3.12
  ENTRYPOINT [\"slashopt\", \"exec\", \"--\"]

Exit status: that of the command; 125 if it could not be started, 126 if it cannot be executed, 127 if it is not found")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what they are")]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
    /// Run this command [default with provided.*: the bootstrap that Lambda would find]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) runtime: RuntimeArgs,
    /// Show the layers here
    #[arg(long, value_name = "DIR", default_value = OPT, env = "SLASHOPT_AT", hide_env = true)]
    pub(crate) at: PathBuf,
    /// Let the command write there; what it writes is gone when it ends
    #[arg(long, env = "SLASHOPT_WRITABLE", hide_env = true)]
    pub(crate) writable: bool,
    /// Show layers that are directories as they are, and as they change
    #[arg(long, env = "SLASHOPT_LIVE", hide_env = true)]
    pub(crate) live: bool,
    /// Run the command as this user and group, by number; only root can
    #[arg(long, value_name = "UID:GID", value_parser = parse_identity, env = "SLASHOPT_USER", hide_env = true)]
    pub(crate) user: Option<Identity>,
    /// Choose for whom the environment is [default: bootstrap inside AWS's base images, else host]
    #[arg(
        long,
        value_enum,
        value_name = "TARGET",
        env = "SLASHOPT_TARGET",
        hide_env = true
    )]
    pub(crate) target: Option<TargetArg>,
    /// Configure the function: replace a default whole, as on Lambda (can be repeated)
    #[arg(long, value_name = "K=V")]
    pub(crate) set: Vec<OsString>,
    /// Set any variable, over everything else (can be repeated)
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<OsString>,
    /// Hand none of the caller's variables on
    #[arg(long, env = "SLASHOPT_CLEAN_ENV", hide_env = true)]
    pub(crate) clean_env: bool,
    /// Show the function's code, in this directory, at /var/task too, and start there
    #[arg(long, value_name = "DIR", env = "SLASHOPT_TASK_ROOT", hide_env = true)]
    pub(crate) task_root: Option<PathBuf>,
    /// Keep what is at /opt now visible below the layers
    #[arg(long, env = "SLASHOPT_KEEP_HOST", hide_env = true)]
    pub(crate) keep_host: bool,
    /// Fail where the layers cannot be mounted, instead of extracting them
    #[arg(long, env = "SLASHOPT_REQUIRE_MOUNT", hide_env = true)]
    pub(crate) require_mount: bool,
    /// Leave interpreters alone: no .pth files of layers are run, and import does not find layers
    #[arg(long, env = "SLASHOPT_NO_HOOKS", hide_env = true)]
    pub(crate) no_hooks: bool,
    /// Do not start the command by what `AWS_LAMBDA_EXEC_WRAPPER` names
    #[arg(long, env = "SLASHOPT_NO_WRAPPER", hide_env = true)]
    pub(crate) no_wrapper: bool,
    /// Keep the capabilities that a user namespace gives
    #[arg(long, env = "SLASHOPT_KEEP_CAPS", hide_env = true)]
    pub(crate) keep_caps: bool,
    #[command(flatten)]
    pub(crate) stack: StackArgs,
}

/// `1000:1000` as a user and a group.
pub(super) fn parse_identity(typed: &str) -> Result<Identity, String> {
    let parsed = typed
        .split_once(':')
        .and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
    match parsed {
        Some((user, group)) => Ok(Identity { user, group }),
        None => Err("write two numbers, such as 1000:1000".to_owned()),
    }
}
