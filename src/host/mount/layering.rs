//! Mounts: several directories one above the other, an empty one, or one alone.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{Mode as ModeBits, fchmod, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, fsconfig_set_string, open_tree};

use super::calls::{
    FileSystem, TAME, attach, classic, has_magic_links, magic_link, remount, set_read_only,
};
use super::error::{MountError, failed, is_missing};
use super::lower::{Calls, Lower, open_place};

/// Directories are made for everybody to enter, as `/opt` is.
const OPEN_TO_ALL: ModeBits = ModeBits::from_bits_truncate(0o755);

/// 1980-01-01T00:00:00Z: the time of a root that no layer dates, as when it is extracted.
const DOS_EPOCH: TimeSpec = TimeSpec::new(315_532_800, 0);

/// Whether what is mounted can be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MountMode {
    /// Nothing can be written.
    ReadOnly,
    /// It can be written, for as long as it is mounted.
    Writable,
}

/// What is to be mounted.
#[derive(Clone, Copy, Debug)]
pub struct Layering<'l> {
    /// The directories, lowest first.
    pub lowers: &'l [&'l Lower],
    /// Whether what is written goes to memory; else nothing can be written.
    pub is_writable: bool,
    /// Whether the process has its rights from a user namespace of its own.
    pub is_in_user_namespace: bool,
    /// What the mount calls its source, for whoever reads `/proc/self/mountinfo`.
    pub source: &'l str,
    /// The newest calls to use.
    pub calls: Calls,
}

impl Layering<'_> {
    /// Mounts on `target`, a directory.
    ///
    /// # Errors
    ///
    /// The call that failed. What was mounted on the way is unmounted.
    pub fn attach(&self, target: &Path) -> Result<(), MountError> {
        match self.lowers {
            _ if self.is_writable => self.attach_writable(target),
            [] => empty(target, self.source, MountMode::ReadOnly, self.calls),
            [only] => bind(only, target, self.calls),
            _ => self.overlay(target, None),
        }
    }

    /// Mounts a file system in memory, and over it one that writes there what is written to it.
    fn attach_writable(&self, target: &Path) -> Result<(), MountError> {
        empty(target, self.source, MountMode::Writable, self.calls)?;
        if self.lowers.is_empty() {
            return Ok(());
        }
        let covered = (|| {
            let memory = open_place(target).map_err(failed("open(2)"))?;
            for name in ["upper", "work"] {
                mkdirat(&memory, name, OPEN_TO_ALL).map_err(failed("mkdir(2)"))?;
            }
            let upper = Lower::open(target.join("upper")).map_err(failed("open(2)"))?;
            let work = Lower::open(target.join("work")).map_err(failed("open(2)"))?;
            date(&upper.path).map_err(failed("utimensat(2)"))?;
            self.overlay(target, Some([&upper, &work]))
        })();
        covered.inspect_err(|_| take_away(target))
    }
}

/// Mounts an empty file system in memory, dated like any root of ours.
///
/// # Errors
///
/// The call that failed.
pub fn empty(target: &Path, source: &str, mode: MountMode, calls: Calls) -> Result<(), MountError> {
    if calls > Calls::Classic {
        match empty_before_it_is_seen(target, source, mode) {
            Err(error) if is_missing(&error) => {}
            answer => return answer,
        }
    }
    classic(source, target, "tmpfs", TAME, b"mode=0755")?;
    if let Err(error) = date(target) {
        tracing::debug!(%error, "the empty root has the time of now");
    }
    if mode == MountMode::Writable {
        return Ok(());
    }
    remount(target, MsFlags::MS_RDONLY).inspect_err(|_| take_away(target))
}

fn empty_before_it_is_seen(target: &Path, source: &str, mode: MountMode) -> Result<(), MountError> {
    let memory = FileSystem::open("tmpfs", source)?;
    fsconfig_set_string(&memory.descriptor, "mode", "0755")
        .map_err(|error| memory.failed("fsconfig(2) of the mode", error))?;
    let detached = memory.detached(MountAttrFlags::empty())?;
    date_root(detached.as_fd());
    if mode == MountMode::ReadOnly {
        set_read_only(&detached)?;
    }
    attach(&detached, target)
}

/// Unmounts what was only half of what was wanted.
fn take_away(target: &Path) {
    if let Err(error) = umount2(target, MntFlags::MNT_DETACH) {
        tracing::debug!(%error, "cannot unmount");
    }
}

fn date(directory: &Path) -> Result<(), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(directory, flags, ModeBits::empty())?;
    fchmod(&directory, OPEN_TO_ALL)?;
    futimens(&directory, &DOS_EPOCH, &DOS_EPOCH)
}

/// A time that cannot be set is no reason to give up.
fn date_root(mount: BorrowedFd<'_>) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dated = nix::fcntl::openat(mount, ".", flags, ModeBits::empty())
        .and_then(|root| futimens(&root, &DOS_EPOCH, &DOS_EPOCH));
    if let Err(error) = dated {
        tracing::debug!(%error, "the empty root has the time of now");
    }
}

/// Shows a directory at another place, read-only.
///
/// # Errors
///
/// The call that failed.
pub fn bind(lower: &Lower, target: &Path, calls: Calls) -> Result<(), MountError> {
    if calls > Calls::Classic {
        match bind_before_it_is_seen(lower, target) {
            Err(error) if is_missing(&error) => {}
            answer => return answer,
        }
    }
    let source = if has_magic_links() {
        PathBuf::from(magic_link(lower))
    } else {
        lower.path.clone()
    };
    nix::mount::mount(
        Some(&source),
        target,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .map_err(failed("mount(2) with MS_BIND"))?;
    remount(target, MsFlags::MS_RDONLY).inspect_err(|_| take_away(target))
}

fn bind_before_it_is_seen(lower: &Lower, target: &Path) -> Result<(), MountError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let cloned = open_tree(&lower.directory, "", flags).map_err(failed("open_tree(2)"))?;
    set_read_only(&cloned)?;
    attach(&cloned, target)
}
