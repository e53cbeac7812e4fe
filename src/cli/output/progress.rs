//! A bar that shows how far the work is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use slashopt::host::extract::extraction::Progress;

/// Shows how far the work is while it is done, if that takes long enough to be seen.
pub(crate) fn with_progress<T>(is_shown: bool, work: impl FnOnce(&Progress) -> T) -> T {
    let progress = Progress::default();
    if !is_shown {
        return work(&progress);
    }
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            // The template is a constant; without one the bar is plain.
            let style =
                ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            std::thread::park_timeout(Duration::from_millis(200));
            let bar = ProgressBar::new(0).with_style(style);
            while !is_done.load(Ordering::Relaxed) {
                bar.set_length(progress.total_bytes.load(Ordering::Relaxed));
                bar.set_position(progress.bytes.load(Ordering::Relaxed));
                std::thread::park_timeout(Duration::from_millis(50));
            }
            bar.finish_and_clear();
        });
        let result = work(&progress);
        is_done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}
