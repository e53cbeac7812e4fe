//! Signals that ask the process to end: noted when they come, obeyed where nothing is half-built.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::libc::{self, SIG_IGN, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU, SIGXFSZ};

use crate::host::error::HostError;

/// What asks a process to end, or tells it that its time is up, and can be caught.
pub(super) const ENDING: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU];

/// The signal that came, if one did. It can be asked from every thread.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From now on SIGINT and its like are noted instead of killing the process; one that the caller ignored
    /// (`nohup`) stays ignored. What cannot be caught is left as it is.
    #[must_use]
    pub fn install() -> Self {
        let interrupt = Self::default();
        for signal in ENDING {
            if !is_ignored(signal)
                && let Ok(number) = usize::try_from(signal)
                && let Err(error) =
                    signal_hook::flag::register_usize(signal, Arc::clone(&interrupt.0), number)
            {
                tracing::debug!(signal, %error, "cannot catch");
            }
        }
        // A file that grows over the limit is an error of the write, to be told and cleaned up after, no reason to die. With
        // a handler, unlike with `SIG_IGN`, a program that is started later is not affected.
        let unused = Arc::new(AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(SIGXFSZ, unused) {
            tracing::debug!(signal = SIGXFSZ, %error, "cannot catch");
        }
        interrupt
    }

    /// Asks whether to go on.
    ///
    /// # Errors
    ///
    /// [`HostError::Interrupted`] when a signal came.
    pub fn check(&self) -> Result<(), HostError> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(HostError::Interrupted(
                i32::try_from(signal).unwrap_or(SIGTERM),
            )),
        }
    }
}

/// Ends the process as the signal would have ended it without us.
pub fn die_of(signal: i32) {
    if let Err(error) = signal_hook::low_level::emulate_default_handler(signal) {
        tracing::debug!(signal, %error, "cannot die of it");
    }
}

/// Whether the caller wants a signal to be ignored.
#[expect(unsafe_code, reason = "sigaction(2) has no safe form that only asks")]
pub(super) fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeros is a value of the structure, and the kernel fills it in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == SIG_IGN
    }
}
