//! Why something could not be mounted: which call, which error, and what the kernel said.

use std::borrow::Cow;
use std::fmt;

use nix::errno::Errno;

use crate::host::child::{Leaving, attempt};

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

    /// As bytes, for another process.
    fn to_bytes(&self) -> Vec<u8> {
        let number = (self.errno as i32).to_string();
        let mut lines = vec![number, self.step.to_string()];
        lines.extend(self.log.iter().cloned());
        lines.join("\n").into_bytes()
    }

    /// What a child process has found out: nothing to say, so that it is leaving, or this error.
    pub(in crate::host) fn from_child(
        work: impl FnOnce() -> Result<(), Self>,
    ) -> Result<Leaving, Self> {
        let of_fork = |error: Errno| Self::new("fork(2)", error);
        let (told, child) = attempt(|| match work() {
            Ok(()) => b"0".to_vec(),
            Err(error) => error.to_bytes(),
        })
        .map_err(of_fork)?;
        if told == b"0" {
            return Ok(child);
        }
        match child.death().map_err(of_fork)? {
            Some(death) => Err(Self {
                log: vec![death],
                ..of_fork(Errno::ECHILD)
            }),
            None => Err(Self::from_bytes(&told)),
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

pub(in crate::host) fn failed<E: IntoErrno>(step: &'static str) -> impl FnOnce(E) -> MountError {
    move |error| MountError::new(step, error.into_errno())
}

/// The two crates' numbers for one thing.
pub(in crate::host) trait IntoErrno {
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
pub(super) fn is_missing(error: &MountError) -> bool {
    error.errno == Errno::ENOSYS || error.errno == Errno::EPERM && error.log.is_empty()
}
