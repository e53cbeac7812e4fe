//! Mounts directories on a target: none as an empty file system, one as a bind, several as an overlay.
//!
//! This is the one place for the mount API of Linux 5.2 and later, in which a file system is configured through a descriptor and the
//! kernel says in words what it dislikes. What a kernel or a filter does not have is done by older means:
//!
//! | what | since | then |
//! |---|---|---|
//! | `lowerdir+` by descriptor | 6.13 | `lowerdir+` by a name of at most 255 bytes |
//! | `lowerdir+` | 6.8 | `mount(2)` with all names in one page of options |
//! | `mount_setattr(2)` | 5.12 | `mount(2)` with `MS_REMOUNT` |
//! | `fsopen(2)`, `open_tree(2)` | 5.2 | `mount(2)` |
//!
//! Everything is mounted `nosuid,nodev`, and read-only before anybody can see it.

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{Mode as ModeBits, fchmod, fstat, futimens, mkdirat};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::sys::time::TimeSpec;
use nix::unistd::fchdir;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    open_tree,
};

use super::child::attempt;

/// Directories are made for everybody to enter, as `/opt` is.
const OPEN_TO_ALL: ModeBits = ModeBits::from_bits_truncate(0o755);
/// 1980-01-01T00:00:00Z: the time of a root that no layer dates, as when it is extracted.
const DOS_EPOCH: TimeSpec = TimeSpec::new(315_532_800, 0);
/// What is mounted can give nobody another identity and opens no device.
const TAME: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Bytes of all names in the options of `mount(2)`, which are one page.
const MAX_NAMES_BYTES: usize = 4096 - 64;

/// How far back the calls go that are used: the newest that the kernel has, unless a test wants to see the others.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Calls {
    /// `mount(2)` alone.
    Classic,
    /// A file system is configured by strings.
    Strings,
    /// Lower directories are given by descriptor.
    #[default]
    Descriptors,
}

impl Calls {
    /// The calls of this name: `classic`, `strings`, `descriptors`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "classic" => Some(Self::Classic),
            "strings" => Some(Self::Strings),
            "descriptors" => Some(Self::Descriptors),
            _ => None,
        }
    }
}

/// A directory to be mounted, lowest first in every list.
#[derive(Debug)]
pub struct Lower {
    /// The directory, opened in the mount namespace in which it is to be mounted: the kernel takes no other.
    pub directory: OwnedFd,
    /// Where it is.
    pub path: PathBuf,
}

impl Lower {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Errno> {
        let path = path.into();
        Ok(Self {
            directory: open_place(&path)?,
            path,
        })
    }

    /// Opens the same directory once more, in the mount namespace that the process has entered since.
    ///
    /// # Errors
    ///
    /// `ESTALE` when there is another directory at its path by now; else what the kernel says.
    pub fn reopen(&self) -> Result<Self, Errno> {
        let again = Self::open(&self.path)?;
        let (before, after) = (fstat(&self.directory)?, fstat(&again.directory)?);
        if (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino) {
            Ok(again)
        } else {
            Err(Errno::ESTALE)
        }
    }
}

/// What is to be mounted.
#[derive(Clone, Copy, Debug)]
pub struct Layering<'l> {
    /// The directories, lowest first.
    pub lowers: &'l [Lower],
    /// Whether what is written goes to memory; else nothing can be written.
    pub is_writable: bool,
    /// Whether the process has its rights from a user namespace of its own.
    pub is_in_user_namespace: bool,
    /// What the mount calls its source, for whoever reads `/proc/self/mountinfo`.
    pub source: &'l str,
    /// The newest calls to use.
    pub calls: Calls,
}

/// Why something could not be mounted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct MountError {
    /// The call that failed, as a manual page names it.
    pub step: Cow<'static, str>,
    /// Its error.
    pub errno: Errno,
    /// What the kernel logged for the file system, one sentence each.
    pub log: Vec<String>,
}

impl MountError {
    /// A call that failed without a word.
    pub fn new(step: &'static str, errno: impl Into<Errno>) -> Self {
        Self {
            step: Cow::Borrowed(step),
            errno: errno.into(),
            log: Vec::new(),
        }
    }
}

impl MountError {
    /// The same with the error that std made of one.
    pub(super) fn of_io(step: &'static str, error: &std::io::Error) -> Self {
        Self::new(
            step,
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        )
    }

    /// As bytes, for another process.
    fn to_bytes(&self) -> Vec<u8> {
        let number = (self.errno as i32).to_string();
        let mut lines = vec![number, self.step.to_string()];
        lines.extend(self.log.iter().cloned());
        lines.join("\n").into_bytes()
    }

    /// What a child process has found out: nothing to say, or this error.
    pub(super) fn from_child(work: impl FnOnce() -> Result<(), Self>) -> Result<(), Self> {
        let told = attempt(|| match work() {
            Ok(()) => b"0".to_vec(),
            Err(error) => error.to_bytes(),
        })
        .map_err(|error| Self::new("fork(2)", error))?;
        match (told.death, told.bytes.as_slice()) {
            (Some(death), _) => Err(Self {
                log: vec![death],
                ..Self::new("fork(2)", Errno::ECHILD)
            }),
            (None, b"0") => Ok(()),
            (None, error) => Err(Self::from_bytes(error)),
        }
    }

    /// From the bytes of another process of ours.
    fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(str::to_owned);
        let number = lines.next().and_then(|number| number.parse().ok());
        Self {
            errno: Errno::from_raw(number.unwrap_or(0)),
            step: Cow::Owned(lines.next().unwrap_or_default()),
            log: lines.collect(),
        }
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.step, self.errno.desc())?;
        if !self.log.is_empty() {
            write!(out, " (the kernel says: {})", self.log.join("; "))?;
        }
        Ok(())
    }
}

pub(super) fn failed<E: IntoErrno>(step: &'static str) -> impl FnOnce(E) -> MountError {
    move |error| MountError::new(step, error.into_errno())
}

/// The two crates' numbers for one thing.
pub(super) trait IntoErrno {
    fn into_errno(self) -> Errno;
}

impl IntoErrno for Errno {
    fn into_errno(self) -> Errno {
        self
    }
}

impl IntoErrno for rustix::io::Errno {
    fn into_errno(self) -> Errno {
        Errno::from_raw(self.raw_os_error())
    }
}

/// A call that this kernel, or a filter before it, does not know. A filter that is older than the call forbids it, and may well
/// allow `mount(2)`.
fn is_missing(error: &MountError) -> bool {
    error.errno == Errno::ENOSYS || error.errno == Errno::EPERM && error.log.is_empty()
}

/// Opens a directory to be mounted, or mounted on.
///
/// # Errors
///
/// What the kernel says.
pub fn open_place(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, ModeBits::empty())
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
            [] => empty(target, self.source, false, self.calls),
            [only] => bind(only, target, self.calls),
            _ => self.overlay(target, None),
        }
    }

    /// Mounts a file system in memory, and over it one that writes there what is written to it.
    fn attach_writable(&self, target: &Path) -> Result<(), MountError> {
        empty(target, self.source, true, self.calls)?;
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

    fn overlay(&self, target: &Path, writable: Option<[&Lower; 2]>) -> Result<(), MountError> {
        if self.calls > Calls::Classic {
            match self.overlay_by_descriptor(target, writable) {
                // EINVAL without a word: this kernel does not know the option.
                Err(error) if is_missing(&error) || is_unknown_option(&error) => {}
                answer => return answer,
            }
        }
        self.overlay_by_options(target, writable)
    }

    fn overlay_by_descriptor(
        &self,
        target: &Path,
        writable: Option<[&Lower; 2]>,
    ) -> Result<(), MountError> {
        let overlay = FileSystem::open("overlay", self.source)?;
        // The one order that differs: a list of layers begins with the lowest, this one with the topmost.
        for lower in self.lowers.iter().rev() {
            overlay.set_directory("lowerdir+", lower, self.calls)?;
        }
        if let Some([upper, work]) = writable {
            overlay.set_directory("upperdir", upper, self.calls)?;
            overlay.set_directory("workdir", work, self.calls)?;
            for option in self.options_of_writable() {
                overlay.set(option)?;
            }
        }
        // One device number for all files, also where the directories are on several file systems; not in every kernel.
        if let Err(error) = fsconfig_set_string(&overlay.descriptor, "xino", "auto") {
            tracing::debug!(%error, "no xino");
        }
        let attributes = if writable.is_some() {
            MountAttrFlags::empty()
        } else {
            MountAttrFlags::MOUNT_ATTR_RDONLY
        };
        overlay.mount(target, attributes)
    }

    /// Attributes that a user without rights may set. Not `volatile`: it saves nothing in memory, and leaves a mark that keeps
    /// the directories from being mounted again.
    fn options_of_writable(&self) -> &'static [&'static str] {
        if self.is_in_user_namespace {
            &["userxattr"]
        } else {
            &[]
        }
    }

    fn overlay_by_options(
        &self,
        target: &Path,
        writable: Option<[&Lower; 2]>,
    ) -> Result<(), MountError> {
        let here = open_place(Path::new(".")).map_err(failed("open(2)"))?;
        let (parent, names) = self.names_for_options();
        let mut options = b"lowerdir=".to_vec();
        options.extend(names.join(&b':'));
        if let Some([upper, work]) = writable {
            options.extend([b",upperdir=", magic_link(upper).as_bytes()].concat());
            options.extend([b",workdir=", magic_link(work).as_bytes()].concat());
            for option in self.options_of_writable() {
                options.extend([b",", option.as_bytes()].concat());
            }
        }
        let target_there = target
            .canonicalize()
            .map_err(|error| MountError::of_io("realpath(3)", &error))?;
        if let Some(parent) = parent {
            fchdir(open_place(parent).map_err(failed("open(2)"))?).map_err(failed("fchdir(2)"))?;
        }
        let flags = if writable.is_some() {
            TAME
        } else {
            TAME | MsFlags::MS_RDONLY
        };
        let mounted = classic(self.source, &target_there, "overlay", flags, &options);
        fchdir(here).map_err(failed("fchdir(2)"))?;
        mounted
    }

    /// The lower directories, topmost first, as short as they can be named without a character that means something there: by
    /// their names in the directory that they all lie in, which then is to be the working directory, or by their descriptors.
    fn names_for_options(&self) -> (Option<&Path>, Vec<Vec<u8>>) {
        let lowers = self.lowers.iter().rev();
        let names = lowers.clone().map(|lower| {
            let name = lower.path.file_name()?.as_bytes();
            let is_plain = !name.iter().any(|byte| b":,\\".contains(byte));
            is_plain.then(|| name.to_vec())
        });
        match (self.common_parent(), names.collect::<Option<Vec<_>>>()) {
            (Some(parent), Some(names)) if names.concat().len() + names.len() < MAX_NAMES_BYTES => {
                (Some(parent), names)
            }
            _ => (
                None,
                lowers.map(|lower| magic_link(lower).into_bytes()).collect(),
            ),
        }
    }

    /// The directory that all lower directories are in, if one is.
    fn common_parent(&self) -> Option<&Path> {
        let mut parents = self.lowers.iter().map(|lower| lower.path.parent());
        let first = parents.next()??;
        parents.all(|parent| parent == Some(first)).then_some(first)
    }
}

/// Without `/proc` nothing can be named by its descriptor.
fn has_magic_links() -> bool {
    Path::new("/proc/self/fd").exists()
}

fn magic_link(lower: &Lower) -> String {
    format!("/proc/self/fd/{}", lower.directory.as_raw_fd())
}

/// Whether a file system refused an option that it does not know, rather than what was given for it.
fn is_unknown_option(error: &MountError) -> bool {
    let is_of_options = error.step.starts_with("fsconfig(2) of");
    error.errno == Errno::EINVAL && is_of_options
}

/// A file system that is being configured.
struct FileSystem {
    descriptor: OwnedFd,
}

impl FileSystem {
    fn open(kind: &str, source: &str) -> Result<Self, MountError> {
        let descriptor = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen(2)"))?;
        let opened = Self { descriptor };
        fsconfig_set_string(&opened.descriptor, "source", source)
            .map_err(|error| opened.failed("fsconfig(2) of the source", error))?;
        Ok(opened)
    }

    fn set(&self, flag: &str) -> Result<(), MountError> {
        fsconfig_set_flag(&self.descriptor, flag)
            .map_err(|error| self.failed("fsconfig(2) of an option", error))
    }

    fn set_directory(&self, key: &str, lower: &Lower, calls: Calls) -> Result<(), MountError> {
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
    fn mount(&self, target: &Path, attributes: MountAttrFlags) -> Result<(), MountError> {
        attach(&self.detached(attributes)?, target)
    }

    /// Creates it, mounted nowhere yet.
    fn detached(&self, attributes: MountAttrFlags) -> Result<OwnedFd, MountError> {
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

    fn failed(&self, step: &'static str, error: rustix::io::Errno) -> MountError {
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
fn attach(detached: &OwnedFd, target: &Path) -> Result<(), MountError> {
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

/// Mounts an empty file system in memory, dated like any root of ours.
///
/// # Errors
///
/// The call that failed.
pub fn empty(
    target: &Path,
    source: &str,
    is_writable: bool,
    calls: Calls,
) -> Result<(), MountError> {
    if calls > Calls::Classic {
        match empty_before_it_is_seen(target, source, is_writable) {
            Err(error) if is_missing(&error) => {}
            answer => return answer,
        }
    }
    classic(source, target, "tmpfs", TAME, b"mode=0755")?;
    if let Err(error) = date(target) {
        tracing::debug!(%error, "the empty root has the time of now");
    }
    if is_writable {
        return Ok(());
    }
    remount(target, MsFlags::MS_RDONLY).inspect_err(|_| take_away(target))
}

fn empty_before_it_is_seen(
    target: &Path,
    source: &str,
    is_writable: bool,
) -> Result<(), MountError> {
    let memory = FileSystem::open("tmpfs", source)?;
    fsconfig_set_string(&memory.descriptor, "mode", "0755")
        .map_err(|error| memory.failed("fsconfig(2) of the mode", error))?;
    let detached = memory.detached(MountAttrFlags::empty())?;
    date_root(detached.as_fd());
    if !is_writable {
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

/// Adds flags to a mount. Those that it has stay: a user namespace must not take away what its owner did not set.
pub(super) fn remount(target: &Path, flags: MsFlags) -> Result<(), MountError> {
    let place = open_place(target).map_err(failed("open(2) of the target"))?;
    let there = fstatvfs(&place).map_or(FsFlags::empty(), |about| about.flags());
    let mut kept = MsFlags::empty();
    for (flag, kept_flag) in [
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
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

fn classic(
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
fn set_read_only(mount: &OwnedFd) -> Result<(), MountError> {
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
