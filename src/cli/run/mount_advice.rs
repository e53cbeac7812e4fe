//! Why nothing could be mounted here, and what to do about it.

use nix::errno::Errno;
use slashopt::host::exec::namespace::Namespace;
use slashopt::host::exec::probe::Surroundings;
use slashopt::host::mount::MountError;

/// A way of mounting that did not work.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) namespace: Namespace,
    pub(crate) error: MountError,
}

impl Attempt {
    pub(crate) const fn new(namespace: Namespace, error: MountError) -> Self {
        Self { namespace, error }
    }
}

/// Everything that was tried, in one line.
pub(crate) fn reasons(attempts: &[Attempt]) -> String {
    let reasons: Vec<String> = attempts
        .iter()
        .map(|attempt| format!("in a {}: {}", attempt.namespace.name(), attempt.error))
        .collect();
    reasons.join("; ")
}

/// What to do so that one of the ways works.
pub(crate) fn cure(attempts: &[Attempt]) -> String {
    let surroundings = Surroundings::read();
    let cures: Vec<&str> = attempts
        .iter()
        .map(|attempt| cure_of(attempt, surroundings))
        .collect();
    // The last way asks for the least.
    cures.last().copied().unwrap_or(RUN_AS_ROOT).to_owned()
}

const RUN_AS_ROOT: &str = "run it as root with the capability CAP_SYS_ADMIN";
const SECCOMP: &str = "a filter of system calls forbids it: give the container CAP_SYS_ADMIN (`--cap-add SYS_ADMIN`), or another \
    profile (`--security-opt seccomp=unconfined`)";
const APPARMOR: &str = "a security module forbids it: give the container another profile (`--security-opt apparmor=unconfined`)";

/// What to do so that this way works.
pub(crate) fn cure_of(attempt: &Attempt, surroundings: Surroundings) -> &'static str {
    let MountError { step, errno, log } = &attempt.error;
    let is_of_entering = step.starts_with("unshare(2)") || step.starts_with("write(2)");
    let is_forbidden = matches!(errno, Errno::EPERM | Errno::EACCES | Errno::ENOSYS);
    if !log.is_empty() || *errno == Errno::EINVAL || *errno == Errno::ELOOP {
        return "the file system of the cache cannot be mounted so: --cache-dir DIR keeps it on another one";
    }
    if step.contains("target") || step.starts_with("readdir") || step.starts_with("pivot_root") {
        return "create the directory once, or show the layers elsewhere with --at DIR";
    }
    match attempt.namespace {
        Namespace::Mount if *errno == Errno::ENOSPC => {
            "more mount namespaces are needed: `sysctl user.max_mnt_namespaces=15000`"
        }
        Namespace::Mount if !surroundings.has_capability => RUN_AS_ROOT,
        Namespace::User if surroundings.confines_user_namespaces && is_forbidden => {
            "this machine confines user namespaces: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        }
        Namespace::User if *errno == Errno::ENOSPC || surroundings.has_no_user_namespaces => {
            "user namespaces are used up: `sysctl user.max_user_namespaces=15000`"
        }
        Namespace::User if surroundings.keeps_user_namespaces_for_root && is_of_entering => {
            "user namespaces are for root alone: `sysctl kernel.unprivileged_userns_clone=1`"
        }
        _ if surroundings.has_seccomp_filter && is_forbidden => SECCOMP,
        _ if !is_of_entering && is_forbidden => APPARMOR,
        Namespace::User if is_of_entering && is_forbidden => {
            "in a chroot no user namespace can be made: run it as root, or enter the root by pivot_root, as containers do"
        }
        _ => RUN_AS_ROOT,
    }
}
