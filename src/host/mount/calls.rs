//! The calls themselves, old and new.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::mount::MsFlags;
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_fd,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::error::{MountError, failed};
use super::lower::{Calls, Lower, open_place};
use crate::host::system::errno::IntoErrno as _;

/// What is mounted can give nobody another identity and opens no device.
pub(super) const TAME: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Without `/proc` nothing can be named by its descriptor.
pub(super) fn has_magic_links() -> bool {
    Path::new("/proc/self/fd").exists()
}

pub(super) fn magic_link(lower: &Lower) -> String {
    format!("/proc/self/fd/{}", lower.directory.as_raw_fd())
}
/// A file system that is being configured.
pub(super) struct FileSystem {
    pub(super) descriptor: OwnedFd,
}

impl FileSystem {
    pub(super) fn open(kind: &str, source: &str) -> Result<Self, MountError> {
        let descriptor = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen(2)"))?;
        let opened = Self { descriptor };
        fsconfig_set_string(&opened.descriptor, "source", source)
            .map_err(|error| opened.failed("fsconfig(2) of the source", error))?;
        Ok(opened)
    }

    pub(super) fn set(&self, flag: &str) -> Result<(), MountError> {
        fsconfig_set_flag(&self.descriptor, flag)
            .map_err(|error| self.failed("fsconfig(2) of an option", error))
    }

    pub(super) fn set_directory(
        &self,
        key: &str,
        lower: &Lower,
        calls: Calls,
    ) -> Result<(), MountError> {
        if calls == Calls::Descriptors
            && fsconfig_set_fd(&self.descriptor, key, &lower.directory).is_ok()
        {
            return Ok(());
        }
        // The refusal of the descriptor is no news.
        drop(self.log());
        // The path, where it is short enough, for whoever reads what is mounted.
        fsconfig_set_string(&self.descriptor, key, &lower.path)
            .or_else(|_| fsconfig_set_string(&self.descriptor, key, magic_link(lower)))
            .map_err(|error| self.failed("fsconfig(2) of a directory", error))
    }

    /// Creates it and mounts it.
    pub(super) fn mount(
        &self,
        target: &Path,
        attributes: MountAttrFlags,
    ) -> Result<(), MountError> {
        attach(&self.detached(attributes)?, target)
    }

    /// Creates it, mounted nowhere yet.
    pub(super) fn detached(&self, attributes: MountAttrFlags) -> Result<OwnedFd, MountError> {
        fsconfig_create(&self.descriptor)
            .map_err(|error| self.failed("fsconfig(2) to create it", error))?;
        let tame = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(
            &self.descriptor,
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes | tame,
        )
        .map_err(|error| self.failed("fsmount(2)", error))
    }

    pub(super) fn failed(&self, step: &'static str, error: rustix::io::Errno) -> MountError {
        MountError {
            log: self.log(),
            ..MountError::new(step, error.into_errno())
        }
    }

    /// What the kernel wrote about this file system so far: lines that begin with `e `, `w ` or `i `.
    fn log(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 512];
        // One message for each read(2), ENODATA after the last.
        while let Ok(bytes @ 1..) = rustix::io::read(&self.descriptor, &mut buffer[..]) {
            let text = String::from_utf8_lossy(buffer.get(..bytes).unwrap_or_default());
            let text = text.trim_end();
            let text = text.split_once(' ').map_or(text, |(_, text)| text);
            lines.push(text.to_owned());
        }
        lines
    }
}

/// Puts a mount that is nowhere yet on a directory.
pub(super) fn attach(detached: &OwnedFd, target: &Path) -> Result<(), MountError> {
    let target = open_place(target).map_err(failed("open(2) of the target"))?;
    move_mount(
        detached,
        "",
        &target,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
    .map_err(failed("move_mount(2)"))
}
/// Adds flags to a mount. Those that it has stay: a user namespace must not take away what its owner did not set.
pub(in crate::host) fn remount(target: &Path, flags: MsFlags) -> Result<(), MountError> {
    let place = open_place(target).map_err(failed("open(2) of the target"))?;
    let there = fstatvfs(&place).map_or(StatVfsMountFlags::empty(), |about| about.f_flag);
    let mut kept = MsFlags::empty();
    for (flag, kept_flag) in [
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ] {
        if there.contains(flag) {
            kept |= kept_flag;
        }
    }
    nix::mount::mount(
        None::<&str>,
        target,
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | TAME | flags | kept,
        None::<&str>,
    )
    .map_err(failed("mount(2) with MS_REMOUNT"))
}

pub(super) fn classic(
    source: &str,
    target: &Path,
    kind: &str,
    flags: MsFlags,
    options: &[u8],
) -> Result<(), MountError> {
    // The kernel reads one page and cuts what is longer, without a word.
    if options.len() >= 4096 {
        return Err(MountError::new("mount(2) with all names", Errno::E2BIG));
    }
    nix::mount::mount(
        Some(source),
        target,
        Some(kind),
        flags,
        Some(OsStr::from_bytes(options)),
    )
    .map_err(failed("mount(2)"))
}

/// `struct mount_attr`, `mount_setattr(2)`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Makes a mount that is not attached yet read-only and harmless.
#[expect(unsafe_code, reason = "no crate of ours has mount_setattr(2)")]
pub(super) fn set_read_only(mount: &OwnedFd) -> Result<(), MountError> {
    let wanted = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attributes = MountAttributes {
        set: wanted.bits().into(),
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let path = CString::default();
    // SAFETY: the path ends in NUL, the structure has the layout and the size that are told, and the kernel writes to neither.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            path.as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    Errno::result(answer)
        .map(drop)
        .map_err(failed("mount_setattr(2)"))
}
