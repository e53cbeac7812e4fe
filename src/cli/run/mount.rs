//! `mount` and `umount`: layers at a place for everybody to see, until they are unmounted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::errno::Errno;
use sha2::{Digest as _, Sha256};

use slashopt::digest::Digest;
use slashopt::environment::OPT;
use slashopt::host::mount::MountError;
use slashopt::host::mount::persistent::{self, PersistentMount, UnmountError, persistent_mount_at};

use super::lowers::{Directories, Prepared};
use crate::cli::args::values::{absolute, calls};
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

const EXEC_NEEDS_NO_RIGHTS: &str =
    "`slashopt exec LAYER... -- COMMAND` mounts them for one command, and needs no rights";

/// Mount layers for everybody to see; only root can
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt mount base.zip deps.zip --at /opt
  slashopt umount /opt

What is mounted stays when this command ends. `slashopt exec` needs no rights, and leaves nothing to unmount.")]
pub(crate) struct MountArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Show the layers here; what is there now is hidden
    #[arg(
        long,
        value_name = "DIR",
        required = true,
        env = "SLASHOPT_AT",
        hide_env = true
    )]
    at: PathBuf,
    #[command(flatten)]
    stack: StackArgs,
}

/// Unmount what `mount` mounted, and nothing else
#[derive(Debug, Args)]
pub(crate) struct UmountArgs {
    /// Where the layers are mounted
    #[arg(value_name = "DIR", default_value = OPT)]
    at: PathBuf,
}

pub(crate) fn mount(arguments: &MountArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let at = absolute(&arguments.at)?;
    mount_at(&at, arguments, global, report)
        .map_err(|failure| failure.during(&format!("cannot mount at `{}`", at.display())))
}

fn mount_at(at: &Path, arguments: &MountArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let place = at.display();
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(Exit::Machine, "only root can").hint(EXEC_NEEDS_NO_RIGHTS));
    }
    let found = persistent_mount_at(at).map_err(|error| {
        Failure::new(Exit::Machine, error.to_string())
            .hint("create the directory first, and see that there is a /proc")
    })?;
    let MountArgs { layers, stack, .. } = arguments;
    let layers = layers.resolve(stack)?;
    let Some(prepared) = Prepared::of(&layers, stack, Directories::Cached, report, &mut || true)?
    else {
        return Err(Failure::new(Exit::Machine, "nothing was built"));
    };
    let digest = digest_of(&prepared);
    let is_changed = match found {
        PersistentMount::Ours(there) if there == digest => false,
        PersistentMount::Ours(_) => {
            return Err(
                Failure::new(Exit::Machine, "other layers are mounted there")
                    .hint(format!("`slashopt umount {place}` unmounts them")),
            );
        }
        PersistentMount::Nothing | PersistentMount::Foreign => {
            persistent::mount(&prepared.lowers, at, &digest, calls())
                .map_err(|error| not_mounted(&error))?;
            true
        }
    };
    if global.is_json() {
        report.json(&serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "root": at.to_string_lossy(),
            "source": format!("slashopt:{digest}"),
            "changed": is_changed,
        }))?;
    } else if is_changed {
        report.result(format!("{place}: mounted\n").as_bytes())?;
    } else {
        report.result(format!("{place}: nothing to do, these layers are mounted\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is mounted, in a digest: the trees and their order.
fn digest_of(prepared: &Prepared) -> String {
    let mut hash = Sha256::new();
    for lower in &prepared.lowers {
        let name = lower.path.file_name().unwrap_or_default();
        hash.update(name.as_encoded_bytes());
        hash.update([0]);
    }
    Digest(hash.finalize().into()).hex()
}

fn not_mounted(error: &MountError) -> Failure {
    let failure = Failure::new(Exit::Machine, error.to_string());
    match error.errno {
        Errno::EPERM | Errno::EACCES => failure.hint(EXEC_NEEDS_NO_RIGHTS),
        _ => failure.hint("`slashopt probe` tries each way of mounting, and says what is missing"),
    }
}

pub(crate) fn unmount(arguments: &UmountArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let place = arguments.at.display();
    persistent::unmount(&arguments.at).map_err(|error| {
        let failure = Failure::whole(Exit::Machine, format!("cannot unmount `{place}`: {error}"));
        match &error {
            UnmountError::Foreign => failure.hint("`umount` unmounts what others have mounted"),
            UnmountError::Nothing | UnmountError::Io(_) => {
                failure.hint("/proc/self/mountinfo lists what is mounted")
            }
            _ if error.is_busy() => failure.hint(format!(
                "end the processes that use it: `fuser -vm {place}`"
            )),
            UnmountError::Refused(_) => failure.hint("only root can unmount"),
        }
    })?;
    if global.is_json() {
        let root = arguments.at.to_string_lossy();
        report.json(&serde_json::json!({ "schema_version": SCHEMA_VERSION, "root": root }))?;
    } else {
        report.result(format!("{place}: unmounted\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
