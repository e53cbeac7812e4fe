//! A directory that nothing leads out of: every path is resolved below it, by the kernel, without following a link.
//!
//! `openat2(2)` does it in one call since Linux 5.6. Where it is missing, or a sandbox forbids it, each component is opened on
//! its own, with the same result.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{
    FchmodatFlags, Mode as ModeBits, UtimensatFlags, fchmod, fchmodat, futimens, mkdirat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::symlinkat;

use crate::entry::Mode;
use crate::timestamp::Timestamp;

/// How paths are resolved, chosen once for the process: what the kernel can do does not change while it runs.
static LACKS_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Makes this process resolve paths component by component, as on a kernel without `openat2(2)`.
pub fn without_openat2() {
    LACKS_OPENAT2.store(true, Ordering::Relaxed);
}

/// Makes a system call again for as long as a signal cuts it short.
pub(in crate::host) fn uninterrupted<T>(
    mut call: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// A directory that paths are resolved below.
#[derive(Debug)]
pub struct Root<Fd> {
    directory: Fd,
}

impl<Fd: AsFd> Root<Fd> {
    /// Takes an open directory.
    pub const fn new(directory: Fd) -> Self {
        Self { directory }
    }

    /// The directory itself.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// `ELOOP` when there is a link on the way or at the end, whatever `openat2(2)` answers else.
    pub fn open_file(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)
    }

    /// Opens a directory so that its content can be listed and its mode set; an empty path is the root itself.
    ///
    /// # Errors
    ///
    /// As [`Root::open_file`].
    pub fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(or_itself(path), OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    /// Opens a directory only to name what lies in it; an empty path is the root itself.
    ///
    /// # Errors
    ///
    /// As [`Root::open_file`].
    pub fn enter(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(or_itself(path), OFlag::O_PATH | OFlag::O_DIRECTORY)
    }

    fn open(&self, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if !LACKS_OPENAT2.load(Ordering::Relaxed) {
            let resolve = ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS;
            let how = OpenHow::new().flags(flags).resolve(resolve);
            match uninterrupted(|| openat2(&self.directory, path, how)) {
                // EAGAIN: something was renamed meanwhile, and the kernel could not be sure. EPERM: what a seccomp filter
                // answers that does not know the call.
                Err(Errno::ENOSYS | Errno::EPERM) => without_openat2(),
                Err(Errno::EAGAIN) => {}
                answer => return answer,
            }
        }
        self.walk(path, flags)
    }

    /// Opens the path component by component, never through a link.
    fn walk(&self, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut components = path
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty());
        let last = components.next_back().ok_or(Errno::ENOENT)?;
        let mut at: Option<OwnedFd> = None;
        let go = |at: &Option<OwnedFd>, component: &[u8], flags| {
            let mode = ModeBits::empty();
            if component == b".." {
                return Err(Errno::EXDEV);
            }
            match at {
                Some(at) => uninterrupted(|| openat(at, component, flags, mode)),
                None => uninterrupted(|| openat(&self.directory, component, flags, mode)),
            }
        };
        for component in components {
            at = Some(go(&at, component, directory)?);
        }
        go(&at, last, flags)
    }
}

impl<'s> Root<BorrowedFd<'s>> {
    /// The directory itself, for as long as it is open.
    pub const fn directory(&self) -> BorrowedFd<'s> {
        self.directory
    }

    /// A directory that belongs to somebody else.
    pub fn borrow<Fd: AsFd>(directory: &'s Fd) -> Self {
        Self {
            directory: directory.as_fd(),
        }
    }
}

/// What the root itself is called from within.
const fn or_itself(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

/// Creates a directory. Its mode is `mode` less the process's umask.
///
/// # Errors
///
/// `EEXIST` when something is there, whatever `mkdirat(2)` answers else.
pub fn create_directory(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    let mode = ModeBits::from_bits_truncate(mode.bits().into());
    uninterrupted(|| mkdirat(&parent, name, mode))
}

/// Creates a file that must not exist yet, for writing. Its mode is `mode` less the process's umask. A name leads nowhere but into
/// its directory, and no link is followed, so that this needs no more of the kernel than `openat(2)`.
///
/// # Errors
///
/// `EEXIST` when something is there, whatever `openat(2)` answers else.
pub fn create_file(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = ModeBits::from_bits_truncate(mode.bits().into());
    uninterrupted(|| openat(&parent, name, flags, mode))
}

/// Creates a link and sets its own time.
///
/// # Errors
///
/// Whatever `symlinkat(2)` or `utimensat(2)` answers.
pub fn create_symlink(
    parent: impl AsFd,
    name: &[u8],
    target: &[u8],
    modified: Timestamp,
) -> Result<(), Errno> {
    uninterrupted(|| symlinkat(target, &parent, name))?;
    set_modified_at(parent, name, modified)
}

/// Sets the time of last modification of what lies directly in a directory; of a link itself, not of what it leads to.
///
/// # Errors
///
/// Whatever `utimensat(2)` answers.
pub fn set_modified_at(parent: impl AsFd, name: &[u8], modified: Timestamp) -> Result<(), Errno> {
    let (accessed, modified) = times(modified);
    let own = UtimensatFlags::NoFollowSymlink;
    uninterrupted(|| utimensat(&parent, name, &accessed, &modified, own))
}

/// Sets the mode of an open file or directory, exactly.
///
/// # Errors
///
/// Whatever `fchmod(2)` answers.
pub fn set_mode(file: impl AsFd, mode: Mode) -> Result<(), Errno> {
    let mode = ModeBits::from_bits_truncate(mode.bits().into());
    uninterrupted(|| fchmod(&file, mode))
}

/// Sets the time of last modification of an open file or directory; the time of last access becomes the same.
///
/// # Errors
///
/// Whatever `futimens(2)` answers.
pub fn set_modified(file: impl AsFd, modified: Timestamp) -> Result<(), Errno> {
    let (accessed, modified) = times(modified);
    uninterrupted(|| futimens(&file, &accessed, &modified))
}

const fn times(modified: Timestamp) -> (TimeSpec, TimeSpec) {
    (TimeSpec::new(modified.0, 0), TimeSpec::new(modified.0, 0))
}

/// What `fstatat(2)` says of a name, links not followed; `None` when there is nothing.
///
/// # Errors
///
/// Whatever else it answers.
pub fn examine(
    directory: impl AsFd,
    name: &[u8],
) -> Result<Option<nix::sys::stat::FileStat>, Errno> {
    let own = AtFlags::AT_SYMLINK_NOFOLLOW;
    match uninterrupted(|| nix::sys::stat::fstatat(&directory, name, own)) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory, in no order, `.` and `..` left out.
///
/// # Errors
///
/// Whatever `getdents64(2)` answers.
pub fn names_in(directory: OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    list(&mut Dir::from_fd(directory)?)
}

/// The same of a directory that is needed afterwards.
///
/// # Errors
///
/// As [`names_in`].
pub(in crate::host) fn list_names(directory: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    names_in(open_directory(directory, b".")?)
}

/// The same of a directory that stays open.
///
/// # Errors
///
/// As [`names_in`].
pub(super) fn list(directory: &mut Dir) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Opens a file of ours that its mode does not let us read: for the moment of opening it does.
pub(in crate::host) fn open_whatever_the_mode(
    root: &Root<BorrowedFd<'_>>,
    path: &[u8],
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let (parent, name) = split_path(path);
    let parent = root.open_directory(parent)?;
    let set = |bits: u16| {
        let mode = ModeBits::from_bits_truncate(bits.into());
        uninterrupted(|| fchmodat(&parent, name, mode, FchmodatFlags::FollowSymlink))
    };
    set(mode.bits() | 0o400)?;
    let answer = root.open_file(path);
    set(mode.bits())?;
    answer
}

/// The path of the directory that something lies in, and its name there.
pub(in crate::host) fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (
            path.get(..slash).unwrap_or_default(),
            path.get(slash + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

/// Opens a directory that lies directly in another one, to list it or to set its mode.
///
/// # Errors
///
/// Whatever `openat(2)` answers; `ELOOP` or `ENOTDIR` for a link.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    uninterrupted(|| openat(&parent, name, flags, ModeBits::empty()))
}
