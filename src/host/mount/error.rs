//! Why something could not be mounted: which call, which error, and what the kernel said.

use std::borrow::Cow;
use std::fmt;

use nix::errno::Errno;

use crate::host::system::child::attempt;
use crate::host::system::errno::IntoErrno;

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

    /// The same with the error that std made of one.
    pub(in crate::host) fn of_io(step: &'static str, error: &std::io::Error) -> Self {
        Self::new(
            step,
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        )
    }

    /// What a child process makes of something that would change this process for good; it must have one thread.
    pub(in crate::host) fn from_child<T>(
        work: impl FnOnce() -> Result<T, Self>,
    ) -> Result<T, Self> {
        attempt(work)
            .map_err(|error| Self::new("clone(2)", error))?
            .unwrap_or_else(|death| {
                Err(Self {
                    log: vec![death],
                    ..Self::new("clone(2)", Errno::ECHILD)
                })
            })
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

pub(in crate::host) fn failed<E: IntoErrno>(step: &'static str) -> impl FnOnce(E) -> MountError {
    move |error| MountError::new(step, error.into_errno())
}

/// A call that this kernel, or a filter before it, does not know. A filter that is older than the call forbids it, and may well
/// allow `mount(2)`.
pub(super) fn is_missing(error: &MountError) -> bool {
    error.errno == Errno::ENOSYS || error.errno == Errno::EPERM && error.log.is_empty()
}
