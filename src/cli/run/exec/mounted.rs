//! What a command sees: the layers, mounted for it alone or, where that is not possible, extracted.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sys::stat::fstat;
use nix::unistd::geteuid;

use slashopt::environment::VAR_TASK;
use slashopt::host::exec::namespace::{MountRequest, Namespace, enter};
use slashopt::host::exec::probe::{Extractable, extractable};
use slashopt::host::mount::{Calls, Lower, MountError};

use super::args::ExecArgs;
use super::command::Start;
use super::extracted;
use crate::cli::layers::resolved::Layers;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::report::Report;
use crate::cli::run::lowers::{Directories, Prepared, is_directory};
use crate::cli::run::mount_advice::{self, Attempt};

/// What a mount of `exec` calls its source.
const SOURCE: &str = "slashopt";

/// What a command is to stand on.
pub(crate) struct ExecRootRequest<'w> {
    pub(crate) arguments: &'w ExecArgs,
    pub(crate) layers: &'w Layers,
    pub(crate) at: &'w Path,
    pub(crate) task_root: Option<&'w Path>,
    pub(crate) calls: Calls,
    pub(crate) command: &'w Start<'w>,
}

/// What a command stands on.
pub(crate) struct ExecRoot {
    /// The namespace that was entered, unless the layers were extracted.
    pub(crate) namespace: Option<Namespace>,
    /// Where the function's code is to be found, if there is some.
    pub(crate) task_root: Option<PathBuf>,
    /// What keeps the trees in the cache as long as they are open.
    pub(crate) locks: Vec<OwnedFd>,
}

impl ExecRoot {
    /// Mounts the layers, or extracts them where nothing can be mounted, and says so.
    pub(crate) fn prepare(wanted: &ExecRootRequest<'_>, report: &Report) -> Result<Self, Failure> {
        let mut attempts = Vec::new();
        match wanted.mount(&mut attempts, report)? {
            Some(root) => Ok(root),
            None => wanted.extract(&attempts, report),
        }
    }
}

impl ExecRootRequest<'_> {
    /// Mounts the layers in a namespace of our own; nothing if that is not possible, and why.
    fn mount(
        &self,
        attempts: &mut Vec<Attempt>,
        report: &Report,
    ) -> Result<Option<ExecRoot>, Failure> {
        let namespace = match enter(Namespace::Mount) {
            Ok(()) => Namespace::Mount,
            Err(error) => {
                attempts.push(Attempt::new(Namespace::Mount, error));
                Namespace::User
            }
        };
        // Before anything is built in vain, a child tries it with nothing to mount.
        let mut refusal = None;
        let mut is_worth_it = || {
            refusal = self.mount_request(&[]).try_out(namespace).err();
            refusal.is_none()
        };
        let Some(prepared) = self.prepare(report, &mut is_worth_it)? else {
            attempts.extend(refusal.map(|error| Attempt::new(namespace, error)));
            return Ok(None);
        };
        let request = self.mount_request(&prepared.lowers);
        let mounted = match namespace {
            Namespace::Mount => request.mount_all(namespace),
            Namespace::User => {
                self.judge_owner(&prepared.lowers)?;
                if self.has_another_way() {
                    request.mount_all_and_enter()
                } else {
                    enter(namespace).and_then(|()| request.mount_all(namespace))
                }
            }
        };
        match mounted {
            Ok(mounted) => Ok(Some(ExecRoot {
                namespace: Some(namespace),
                task_root: self.task_root(mounted.without_task.as_ref(), report),
                locks: prepared.locks,
            })),
            Err(error) => {
                attempts.push(Attempt::new(namespace, error));
                Ok(None)
            }
        }
    }

    /// Whether the command can be started where nothing can be mounted, and this process has to stay fit for that.
    fn has_another_way(&self) -> bool {
        !self.arguments.require_mount && extractable(self.at) != Extractable::NotWritable
    }

    /// Refuses to make writable what belongs to somebody else: in a user namespace nothing of his can be changed, not even in a
    /// copy, and only some calls would fail.
    fn judge_owner(&self, lowers: &[Lower]) -> Result<(), Failure> {
        let is_others = |lower: &&Lower| {
            let owner = fstat(&lower.directory).map(|about| about.st_uid);
            owner != Ok(geteuid().as_raw())
        };
        if !self.arguments.writable {
            return Ok(());
        }
        lowers.iter().find(is_others).map_or(Ok(()), |lower| {
            let place = lower.path.display();
            let message = format!("--writable: `{place}` belongs to another user");
            Err(Failure::new(Exit::NotStarted, message)
                .hint("--cache-dir DIR keeps a cache of your own"))
        })
    }

    fn mount_request<'s>(&'s self, lowers: &'s [Lower]) -> MountRequest<'s> {
        MountRequest {
            lowers,
            target: self.at,
            keeps_host: self.arguments.keep_host,
            is_writable: self.arguments.writable,
            task: self.task_root.map(|code| (code, Path::new(VAR_TASK))),
            source: SOURCE,
            calls: self.calls,
        }
    }

    /// Where the function's code is, now that it was mounted or not.
    fn task_root(&self, failure: Option<&MountError>, report: &Report) -> Option<PathBuf> {
        let code = self.task_root?;
        let Some(error) = failure else {
            return Some(PathBuf::from(VAR_TASK));
        };
        report.warning(&format!(
            "the function's code stays at `{}`, as it cannot be mounted at {VAR_TASK}: {error}",
            code.display()
        ));
        Some(code.to_owned())
    }

    /// The layers as directories; nothing if they would have to be built and that is not worth it.
    fn prepare(
        &self,
        report: &Report,
        is_worth_it: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Prepared>, Failure> {
        let ExecArgs { stack, live, .. } = self.arguments;
        let directories = if *live {
            Directories::Live
        } else {
            Directories::Cached
        };
        let prepared = Prepared::of(self.layers, stack, directories, report, is_worth_it)?;
        if let Some(prepared) = &prepared {
            self.command.judge_hiding(&prepared.lowers)?;
        }
        Ok(prepared)
    }

    /// Extracts the layers where they cannot be mounted, if there is room for them that is nobody else's.
    fn extract(&self, attempts: &[Attempt], report: &Report) -> Result<ExecRoot, Failure> {
        let why = mount_advice::reasons(attempts);
        let at = self.at.display();
        if self.arguments.require_mount {
            return Err(Failure::new(
                Exit::NotStarted,
                format!("`{at}`: the layers cannot be mounted: {why}"),
            )
            .hint(mount_advice::cure(attempts)));
        }
        let root = ExecRoot {
            namespace: None,
            task_root: self.task_root.map(Path::to_owned),
            locks: Vec::new(),
        };
        let ExecArgs { stack, live, .. } = self.arguments;
        let layers = self.layers;
        if layers.is_empty() && extractable(self.at) == Extractable::Yes {
            return Ok(root);
        }
        extracted::extract(layers, stack, self.at, report).map_err(|failure| {
            if failure.signal.is_some() || failure.exit == Exit::Refused {
                return failure;
            }
            let cure = mount_advice::cure(attempts);
            let hint = match &failure.hint {
                Some(hint) => format!("{cure}; or, to extract them: {hint}"),
                None => cure,
            };
            Failure {
                message: format!(
                    "{}; and the layers cannot be mounted: {why}",
                    failure.message
                ),
                ..failure
            }
            .hint(hint)
        })?;
        report.note(&format!(
            "the layers are extracted to `{at}`, as they cannot be mounted: {why}"
        ));
        if self.arguments.writable {
            report.warning(&format!(
                "--writable: what the command writes to `{at}` stays there, and the next start finds it"
            ));
        }
        if *live && layers.named.iter().any(is_directory) {
            report.warning("--live: directories are shown as they are now, not as they change");
        }
        Ok(root)
    }
}
