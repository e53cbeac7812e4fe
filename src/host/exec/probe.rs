//! Which ways of mounting work here, each really tried in a child process, and what of the surroundings may forbid the others.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, accessat};

use super::namespace::{MountRequest, Namespace, enter};
use crate::host::mount::{Calls, Layering, Lower, MountError, failed};
use crate::host::system::root::names_in;

/// What a machine may have that forbids to mount.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all of them may hold at once"
)]
pub struct Surroundings {
    /// A filter of system calls is in force: `Seccomp: 2` in `/proc/self/status`.
    pub has_seccomp_filter: bool,
    /// `CAP_SYS_ADMIN` is effective.
    pub has_capability: bool,
    /// The sysctl `user.max_user_namespaces` is 0.
    pub has_no_user_namespaces: bool,
    /// The sysctl `kernel.unprivileged_userns_clone` of Debian and its like is 0.
    pub keeps_user_namespaces_for_root: bool,
    /// The sysctl `kernel.apparmor_restrict_unprivileged_userns` of Ubuntu is 1.
    pub confines_user_namespaces: bool,
    /// There is no `/proc`, as in a bare `chroot`.
    pub has_no_proc: bool,
}

/// `CAP_SYS_ADMIN` in `capabilities(7)`.
const CAP_SYS_ADMIN: u32 = 21;

impl Surroundings {
    /// Reads them.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let sysctl = |path: &str| fs::read_to_string(Path::new("/proc/sys").join(path)).ok();
        let is = |path: &str, value: &str| sysctl(path).is_some_and(|text| text.trim() == value);
        let effective = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or(0);
        Self {
            has_seccomp_filter: field("Seccomp:") == "2",
            has_capability: effective >> CAP_SYS_ADMIN & 1 == 1,
            has_no_user_namespaces: is("user/max_user_namespaces", "0"),
            keeps_user_namespaces_for_root: is("kernel/unprivileged_userns_clone", "0"),
            confines_user_namespaces: is("kernel/apparmor_restrict_unprivileged_userns", "1"),
            has_no_proc: status.is_empty(),
        }
    }
}

/// A way to let a command see layers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Mechanism {
    /// In which namespace.
    pub namespace: Namespace,
    /// Several directories as an overlay, or one as a bind.
    pub is_overlay: bool,
    /// With which calls.
    pub calls: Calls,
}

/// What was found out of a mechanism.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tried {
    /// Which one.
    pub mechanism: Mechanism,
    /// Why it does not work.
    pub failure: Option<MountError>,
}

/// Tries every mechanism on `target`; `cache`, if there is one, is what is mounted. Nothing stays of it.
///
/// This process must have one thread.
pub fn mechanisms(target: &Path, cache: Option<&Path>) -> Vec<Tried> {
    let was_there = target.exists();
    let mut tried = Vec::new();
    for namespace in [Namespace::Mount, Namespace::User] {
        for (is_overlay, calls) in [
            (true, Calls::Descriptors),
            (true, Calls::Strings),
            (true, Calls::Classic),
            (false, Calls::Descriptors),
            (false, Calls::Classic),
        ] {
            let mechanism = Mechanism {
                namespace,
                is_overlay,
                calls,
            };
            tried.push(Tried {
                mechanism,
                failure: mechanism.attempt(target, cache).err(),
            });
        }
    }
    if !was_there && let Err(error) = fs::remove_dir(target) {
        tracing::debug!(%error, "the target was not made");
    }
    tried
}

impl Mechanism {
    /// Does in a child what `exec` does: an empty file system on the target, and directories in it over that.
    fn attempt(self, target: &Path, cache: Option<&Path>) -> Result<(), MountError> {
        let request = MountRequest {
            lowers: &[],
            target,
            keeps_host: false,
            is_writable: true,
            task: None,
            source: "slashopt:probe",
            calls: self.calls,
        };
        let mount = || {
            enter(self.namespace)?;
            request.mount_all(self.namespace)?;
            let mut lowers = Vec::new();
            for name in ["a", "b"] {
                let place = target.join(name);
                fs::create_dir(&place).map_err(|error| MountError::of_io("mkdir(2)", &error))?;
                lowers.push(Lower::open(place).map_err(failed("open(2)"))?);
            }
            if let Some(cache) = cache {
                lowers.pop();
                lowers.push(Lower::open(cache).map_err(failed("open(2) of the cache"))?);
            }
            if !self.is_overlay {
                lowers.remove(0);
            }
            let lowers: Vec<&Lower> = lowers.iter().collect();
            let layering = Layering {
                lowers: &lowers,
                is_writable: false,
                is_in_user_namespace: self.namespace == Namespace::User,
                source: "slashopt:probe",
                calls: self.calls,
            };
            layering.attach(target)
        };
        MountError::from_child(mount)
    }
}

/// Whether the layers could be extracted at a place instead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extractable {
    /// It is an empty directory that can be written, or can be made.
    Yes,
    /// There is something in it.
    NotEmpty,
    /// This user may not write there.
    NotWritable,
    /// It is no directory.
    NotADirectory,
}

/// Looks whether the layers could be extracted at a place.
pub fn extractable(target: &Path) -> Extractable {
    let may_write = |place: &Path| {
        accessat(
            rustix::fs::CWD,
            place,
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        )
        .is_ok()
    };
    let parent: PathBuf = target.parent().unwrap_or(Path::new("/")).into();
    if !target.exists() {
        return if may_write(&parent) {
            Extractable::Yes
        } else {
            Extractable::NotWritable
        };
    }
    if !target.is_dir() {
        return Extractable::NotADirectory;
    }
    let names = fs::File::open(target).map(|directory| names_in(OwnedFd::from(directory)));
    match names {
        Ok(Ok(names)) if !names.is_empty() => Extractable::NotEmpty,
        _ if may_write(target) => Extractable::Yes,
        _ => Extractable::NotWritable,
    }
}
