//! Mounts that outlive the command that makes them: they carry a mark, and only what carries it is unmounted.
//!
//! The mark is the source of the mount, which `/proc/self/mountinfo` shows. A bind has the source of what it shows, so one lies on
//! an empty file system that is marked.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use super::error::{MountError, failed};
use super::layering::{Layering, MountMode, empty};
use super::lower::{Calls, Lower};

/// What the source of every mount of ours begins with.
const MARK: &str = "slashopt:";
/// The same of what lies below a mount that cannot carry a mark itself.
const BASE: &str = "slashopt-base:";

/// What is mounted at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PersistentMount {
    /// Nothing.
    Nothing,
    /// Something of ours: what it was made of, in a digest.
    Ours(String),
    /// Something else.
    Foreign,
}

/// One line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
#[derive(Debug)]
struct Line {
    id: String,
    parent: String,
    point: PathBuf,
    source: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        let (id, parent) = (fields.next()?, fields.next()?);
        let point = fields.nth(2)?;
        let source = file_system.split(' ').nth(1)?;
        Some(Self {
            id: id.to_owned(),
            parent: parent.to_owned(),
            point: unescaped(point),
            source: source.to_owned(),
        })
    }
}

/// A path in which space, tab, newline and backslash are written in octal.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let number = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(number) = number {
            bytes.push(number);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// What is mounted at a place: the topmost of what is stacked there.
///
/// # Errors
///
/// Why the place, or the list of mounts, cannot be looked at.
pub fn persistent_mount_at(place: &Path) -> io::Result<PersistentMount> {
    let place = place.canonicalize()?;
    let text = fs::read(Path::new("/proc/self/mountinfo"))?;
    Ok(topmost(&String::from_utf8_lossy(&text), &place).0)
}

/// What is topmost at a place, and how many mounts that takes.
fn topmost(mountinfo: &str, place: &Path) -> (PersistentMount, usize) {
    let here: Vec<Line> = mountinfo
        .lines()
        .filter_map(Line::parse)
        .filter(|line| line.point == place)
        .collect();
    let is_covered = |line: &&Line| here.iter().any(|other| other.parent == line.id);
    let Some(top) = here.iter().find(|line| !is_covered(line)) else {
        return (PersistentMount::Nothing, 0);
    };
    if let Some(digest) = top.source.strip_prefix(MARK) {
        return (PersistentMount::Ours(digest.to_owned()), 1);
    }
    let below = here.iter().find(|line| line.id == top.parent);
    match below.and_then(|below| below.source.strip_prefix(BASE)) {
        Some(digest) => (PersistentMount::Ours(digest.to_owned()), 2),
        None => (PersistentMount::Foreign, 0),
    }
}

/// Mounts directories at a place for everybody to see.
///
/// # Errors
///
/// The call that failed; nothing is mounted then.
pub fn mount(lowers: &[Lower], place: &Path, digest: &str, calls: Calls) -> Result<(), MountError> {
    let source = format!("{MARK}{digest}");
    let lowers: Vec<&Lower> = lowers.iter().collect();
    let layering = Layering {
        lowers: &lowers,
        is_writable: false,
        is_in_user_namespace: false,
        source: &source,
        calls,
    };
    if lowers.len() != 1 {
        return layering.attach(place);
    }
    let base = format!("{BASE}{digest}");
    empty(place, &base, MountMode::ReadOnly, calls)?;
    layering.attach(place).inspect_err(|_| {
        if let Err(error) = umount2(place, MntFlags::MNT_DETACH) {
            tracing::debug!(%error, "cannot unmount");
        }
    })
}

/// Why something is not unmounted.
#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    /// It was mounted by somebody else.
    #[error("what is mounted there is not ours")]
    Foreign,
    /// Nothing is mounted there.
    #[error("nothing is mounted there")]
    Nothing,
    /// The place cannot be looked at.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The kernel refuses.
    #[error("{0}")]
    Refused(MountError),
}

impl UnmountError {
    /// Whether a process uses it.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(error) if error.errno == Errno::EBUSY)
    }
}

/// Unmounts what [`mount`] mounted at a place.
///
/// # Errors
///
/// Why not. What is not ours is never unmounted.
pub fn unmount(place: &Path) -> Result<(), UnmountError> {
    let place = place.canonicalize()?;
    let text = fs::read(Path::new("/proc/self/mountinfo"))?;
    let (standing, mounts) = topmost(&String::from_utf8_lossy(&text), &place);
    match standing {
        PersistentMount::Nothing => return Err(UnmountError::Nothing),
        PersistentMount::Foreign => return Err(UnmountError::Foreign),
        PersistentMount::Ours(_) => {}
    }
    for _ in 0..mounts {
        umount2(&place, MntFlags::UMOUNT_NOFOLLOW)
            .map_err(failed("umount(2)"))
            .map_err(UnmountError::Refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
20 1 254:0 / / rw - ext4 /dev/vda rw
30 20 0:30 / /opt ro - overlay slashopt:abc ro
31 20 0:31 / /one\\040layer ro - tmpfs slashopt-base:def ro
32 31 254:0 /trees/x /one\\040layer ro - ext4 /dev/vda rw
33 20 0:33 / /covered ro - overlay slashopt:abc ro
34 33 0:34 / /covered rw - tmpfs tmpfs rw
35 32 0:35 / /one\\040layer/below rw - tmpfs tmpfs rw";

    #[test]
    fn only_what_carries_the_mark_is_ours() {
        let ours = |digest: &str| PersistentMount::Ours(digest.to_owned());
        for (place, expected) in [
            ("/opt", (ours("abc"), 1)),
            ("/one layer", (ours("def"), 2)),
            ("/covered", (PersistentMount::Foreign, 0)),
            ("/", (PersistentMount::Foreign, 0)),
            ("/nothing", (PersistentMount::Nothing, 0)),
            ("/one layer/below", (PersistentMount::Foreign, 0)),
        ] {
            assert_eq!(topmost(MOUNTS, Path::new(place)), expected, "{place}");
        }
    }
}
