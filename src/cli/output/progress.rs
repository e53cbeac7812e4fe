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
            // There is nothing to show until it is known how much there is to do.
            let mut shown: Option<ProgressBar> = None;
            while !is_done.load(Ordering::Relaxed) {
                let total_bytes = progress.total_bytes.load(Ordering::Relaxed);
                if total_bytes > 0 {
                    let new_bar = || ProgressBar::new(total_bytes).with_style(style.clone());
                    let bar = shown.get_or_insert_with(new_bar);
                    bar.set_position(progress.bytes.load(Ordering::Relaxed));
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
            if let Some(bar) = shown {
                bar.finish_and_clear();
            }
        });
        let result = work(&progress);
        is_done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}
