//! Signals that ask the process to end: noted when they come, obeyed where nothing is half-built.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU, SIGXFSZ};

use super::HostError;

/// What asks a process to end, or tells it that its time is up, and can be caught.
pub(super) const ENDING: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU];

/// The signal that came, if one did. It can be asked from every thread.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From now on SIGINT and its like are noted instead of killing the process; one that the caller ignored
    /// (`nohup`) stays ignored. What cannot be caught is left as it is.
    pub fn install() -> Self {
        let interrupt = Self::default();
        let ignored = ignored_signals();
        for signal in ENDING {
            if ignored & (1 << (signal - 1)) == 0
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

/// The mask of ignored signals (`proc(5)`, `SigIgn`); 0 without `/proc`.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
