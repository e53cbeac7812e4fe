//! A mount namespace for one command: entered, mounted, and left to the kernel to clear away when the last process in it ends.
//!
//! Root makes a mount namespace. Anybody else, and a root without the capability, makes a user namespace for it, in which every id
//! is its own, and gives up the power that came with it before the command starts.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode as ModeBits, stat};
use nix::unistd::{chdir, getegid, geteuid, mkdir, pivot_root};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::host::mount::{Calls, Layering, Lower, MountError, MountMode, bind, failed, remount};
use crate::host::system::errno::IntoErrno as _;

/// The two kinds of namespace that let a process mount something that nobody else sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Namespace {
    /// A mount namespace alone: takes `CAP_SYS_ADMIN`.
    Mount,
    /// A user namespace with a mount namespace in it: takes a machine that allows it.
    User,
}

impl Namespace {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount namespace",
            Self::User => "user namespace",
        }
    }
}

/// What a command is to see.
#[derive(Clone, Copy, Debug)]
pub struct MountRequest<'s> {
    /// The directories to be seen at the target, lowest first; for [`Namespace::Mount`], opened since it was entered.
    pub lowers: &'s [Lower],
    /// Where, an absolute path.
    pub target: &'s Path,
    /// Whether what is at the target now stays visible below the directories.
    pub keeps_host: bool,
    /// Whether what is written there goes to memory.
    pub is_writable: bool,
    /// The function's code, and where it is to be seen too.
    pub task: Option<(&'s Path, &'s Path)>,
    /// What the mount calls its source.
    pub source: &'s str,
    /// The newest calls to use.
    pub calls: Calls,
}

/// What was made of a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct MountedLayers {
    /// Why the function's code is not where it was wanted, if it is not.
    pub without_task: Option<MountError>,
}

impl MountRequest<'_> {
    /// Tries in a child process whether a namespace can be entered and everything mounted in it. This process must have one
    /// thread.
    ///
    /// # Errors
    ///
    /// The call that failed.
    pub fn try_out(&self, namespace: Namespace) -> Result<(), MountError> {
        MountError::from_child(|| {
            enter(namespace).and_then(|()| self.mount_all(namespace).map(drop))
        })
    }

    /// Enters a user namespace in which everything is mounted.
    ///
    /// What such a namespace changes in a process cannot be changed back, and with nothing mounted in it a command would only
    /// have less power. So a child goes ahead and does everything, and this process follows it there. It must have one thread.
    ///
    /// # Errors
    ///
    /// The call that failed; this process is where it was, unless it failed to follow.
    pub fn mount_all_and_enter(&self) -> Result<MountedLayers, MountError> {
        let here = Here::now();
        let (mounted, namespaces) = MountError::from_child(|| {
            enter(Namespace::User)?;
            let namespaces = EnteredNamespaces::of_this_process()?;
            let mounted = self.mount_all(Namespace::User)?;
            let is_here = here.as_ref().is_some_and(Here::is_found);
            Ok((mounted, is_here.then_some(namespaces)))
        })?;
        let (Some(namespaces), Some(here)) = (namespaces, here) else {
            // Who follows another leaves the working directory, and this one is not found again: it is covered now, or was moved.
            enter(Namespace::User)?;
            return self.mount_all(Namespace::User);
        };
        namespaces.enter()?;
        chdir(&here.path).map_err(failed("chdir(2)"))?;
        Ok(mounted)
    }

    /// Mounts everything in the namespace that was entered.
    ///
    /// # Errors
    ///
    /// The call that failed; what was mounted before it is left to the namespace's end.
    pub fn mount_all(&self, namespace: Namespace) -> Result<MountedLayers, MountError> {
        let target = resolved(self.target)?;
        let mut missing = Vec::new();
        if !is_made(&target) {
            missing.push(target.as_path());
        }
        let task = self
            .task
            .map(|(code, place)| (code.canonicalize(), resolved(place)));
        if let Some((_, Ok(place))) = &task
            && !is_made(place)
        {
            missing.push(place);
        }
        let mut without_task = None;
        if let Err(error) = rebuild_root(&missing) {
            if missing.contains(&target.as_path()) {
                return Err(error);
            }
            without_task = Some(error);
        }
        self.mount_layers(&target, namespace)?;
        if let (Some((code, place)), None) = (task, &without_task) {
            without_task = (|| {
                let code = code.map_err(|error| MountError::of_io("realpath(3)", &error))?;
                let code = Lower::open(code).map_err(failed("open(2)"))?;
                bind(&code, &place?, self.calls)
            })()
            .err();
        }
        Ok(MountedLayers { without_task })
    }

    fn mount_layers(&self, target: &Path, namespace: Namespace) -> Result<(), MountError> {
        let host = self.keeps_host.then(|| Lower::open(target)).transpose();
        let host = host.map_err(failed("open(2) of the target"))?;
        let reopened: Vec<Lower>;
        let layers = match namespace {
            Namespace::Mount => self.lowers,
            Namespace::User => {
                let again: Result<_, Errno> = self.lowers.iter().map(Lower::reopen).collect();
                reopened = again.map_err(failed("open(2) of a directory"))?;
                &reopened
            }
        };
        let lowers: Vec<&Lower> = host.iter().chain(layers).collect();
        let layering = Layering {
            lowers: &lowers,
            is_writable: self.is_writable,
            is_in_user_namespace: namespace == Namespace::User,
            source: self.source,
            calls: self.calls,
        };
        layering.attach(target)
    }
}

/// A user namespace and the mount namespace in it, held by their descriptors.
struct EnteredNamespaces {
    user: OwnedFd,
    mounts: OwnedFd,
}

impl EnteredNamespaces {
    fn of_this_process() -> Result<Self, MountError> {
        let opened = |file| {
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            open(file, flags, ModeBits::empty()).map_err(failed("open(2) of a namespace"))
        };
        Ok(Self {
            user: opened("/proc/self/ns/user")?,
            mounts: opened("/proc/self/ns/mnt")?,
        })
    }

    /// Brings this process into them, to their root.
    fn enter(self) -> Result<(), MountError> {
        let step = failed("setns(2)");
        setns(self.user, CloneFlags::CLONE_NEWUSER)
            .and_then(|()| setns(self.mounts, CloneFlags::CLONE_NEWNS))
            .map_err(step)
    }
}

/// A working directory: its path, and which one it is.
struct Here {
    path: PathBuf,
    identity: (u64, u64),
}

impl Here {
    fn now() -> Option<Self> {
        Some(Self {
            path: std::env::current_dir().ok()?,
            identity: Self::identity()?,
        })
    }

    fn identity() -> Option<(u64, u64)> {
        let about = stat(".").ok()?;
        Some((about.st_dev, about.st_ino))
    }

    /// Whether its path leads to it, for this process, which goes there.
    fn is_found(&self) -> bool {
        chdir(&self.path).is_ok() && Self::identity() == Some(self.identity)
    }
}

/// Leaves the mount namespace of the caller for one in which mounts of the caller's still appear, and ours only for us. When this
/// fails, the process may be in another namespace all the same.
///
/// This process must have one thread.
///
/// # Errors
///
/// The call that failed.
pub fn enter(namespace: Namespace) -> Result<(), MountError> {
    let (user, group) = (geteuid(), getegid());
    match namespace {
        Namespace::Mount => {
            unshare(CloneFlags::CLONE_NEWNS).map_err(failed("unshare(2) of CLONE_NEWNS"))?;
        }
        Namespace::User => {
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                .map_err(failed("unshare(2) of CLONE_NEWUSER"))?;
            // Linux before 3.19 has no such file, and asks for nothing.
            match fs::write("/proc/self/setgroups", "deny") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(MountError::of_io("write(2) to setgroups", &error));
                }
                _ => {}
            }
            for (file, id, step) in [
                ("/proc/self/uid_map", user.as_raw(), "write(2) to uid_map"),
                ("/proc/self/gid_map", group.as_raw(), "write(2) to gid_map"),
            ] {
                fs::write(file, format!("{id} {id} 1"))
                    .map_err(|error| MountError::of_io(step, &error))?;
            }
        }
    }
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    match mount(None::<&str>, "/", None::<&str>, slave, None::<&str>) {
        // The root is no mount, as in a chroot; no harm is done if what it lies on is nobody else's.
        Err(Errno::EINVAL) if shares_nothing() => Ok(()),
        answer => answer.map_err(failed("mount(2) with MS_SLAVE")),
    }
}

/// Whether nothing that is mounted here would be seen in another namespace (`proc_pid_mountinfo(5)`).
fn shares_nothing() -> bool {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let shared = b" shared:";
    !mounts.is_empty() && !mounts.windows(shared.len()).any(|window| window == shared)
}

/// The path with the links in it followed, also where its last component does not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, MountError> {
    let failed = |error: io::Error| MountError::of_io("realpath(3) of the target", &error);
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(failed(error));
            };
            Ok(resolved(parent)?.join(name))
        }
        answer => answer.map_err(failed),
    }
}

/// Whether there is a directory, made now if that is allowed.
fn is_made(path: &Path) -> bool {
    path.is_dir() || make_directory(path, 0o755).is_ok()
}

/// Makes the missing directories visible where they cannot be made: in a new root in memory, which shows everything of the old one.
///
/// # Errors
///
/// The call that failed; the root may then be half of what it was.
fn rebuild_root(missing: &[&Path]) -> Result<(), MountError> {
    if missing.is_empty() {
        return Ok(());
    }
    let here = std::env::current_dir();
    let listed = |error: io::Error| MountError::of_io("readdir(3)", &error);
    let mut entries = fs::read_dir("/").map_err(listed)?.flatten();
    // Any directory will do to mount on for a moment: the new root takes the mount away from there.
    let stand = entries
        .find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .ok_or_else(|| MountError::new("readdir(3)", Errno::ENOENT))?
        .path();
    crate::host::mount::empty(&stand, "slashopt:root", MountMode::Writable, Calls::Classic)?;
    chdir(&stand).map_err(failed("chdir(2)"))?;
    for name in ["old", "new"] {
        mkdir(name, ModeBits::from_bits_truncate(0o755)).map_err(failed("mkdir(2)"))?;
    }
    pivot_root(".", "old").map_err(failed("pivot_root(2)"))?;
    chdir("/").map_err(failed("chdir(2)"))?;
    let (old, new) = (Path::new("/old"), Path::new("/new"));
    show(new, new, MsFlags::MS_BIND)?;
    mirror(old, new, Path::new("/"), missing)?;
    remount(new, MsFlags::MS_RDONLY)?;
    chdir(new).map_err(failed("chdir(2)"))?;
    pivot_root(".", ".").map_err(failed("pivot_root(2)"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(failed("umount(2)"))?;
    chdir("/").map_err(failed("chdir(2)"))?;
    if let Ok(here) = here {
        chdir(&here).map_err(failed("chdir(2)"))?;
    }
    Ok(())
}

fn show(what: &Path, at: &Path, flags: MsFlags) -> Result<(), MountError> {
    mount(Some(what), at, None::<&str>, flags, None::<&str>)
        .map_err(failed("mount(2) with MS_BIND"))
}

/// Shows the content of one directory in another. A directory that misses something is made anew; all else is bound.
fn mirror(old: &Path, new: &Path, place: &Path, missing: &[&Path]) -> Result<(), MountError> {
    let failed = |step| move |error: io::Error| MountError::of_io(step, &error);
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(old).map_err(failed("readdir(3)"))? {
        let entry = entry.map_err(failed("readdir(3)"))?;
        let kind = entry.file_type().map_err(failed("lstat(2)"))?;
        let name = entry.file_name();
        let (from, to, path) = (old.join(&name), new.join(&name), place.join(&name));
        names.push(name);
        if kind.is_symlink() {
            let copied = fs::read_link(&from).and_then(|target| symlink(target, &to));
            copied.map_err(failed("symlink(2)"))?;
        } else if kind.is_dir() && missing.iter().any(|target| target.starts_with(&path)) {
            let mode = fs::metadata(&from).map(|about| about.mode());
            make_directory(&to, mode.unwrap_or(0o755)).map_err(failed("mkdir(2)"))?;
            mirror(&from, &to, &path, missing)?;
        } else {
            if kind.is_dir() {
                make_directory(&to, 0o755).map_err(failed("mkdir(2)"))?;
            } else {
                fs::File::create(&to).map_err(failed("open(2) in the new root"))?;
            }
            show(&from, &to, MsFlags::MS_BIND | MsFlags::MS_REC)?;
        }
    }
    for target in missing {
        let mut at = new.to_path_buf();
        let rest = target.strip_prefix(place).map(Path::components);
        for (depth, component) in rest.into_iter().flatten().enumerate() {
            if depth == 0 && names.iter().any(|name| component.as_os_str() == name) {
                break;
            }
            at.push(component);
            if !at.is_dir() {
                make_directory(&at, 0o755).map_err(failed("mkdir(2)"))?;
            }
        }
    }
    Ok(())
}

/// Makes a directory of this mode, whatever the umask.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
}

/// Gives up every capability, and the chance to get one back by starting a program: the power that a user namespace gave.
///
/// # Errors
///
/// The call that failed.
pub fn drop_power() -> Result<(), MountError> {
    for number in 0..64 {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel has no more of them.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(MountError::new("prctl(2)", error.into_errno())),
        }
    }
    if let Err(error) = clear_ambient_capability_set() {
        tracing::debug!(%error, "no ambient capabilities");
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(failed("capset(2)"))
}
