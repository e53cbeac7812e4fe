//! One bound on the memory of all buffers of the process, whatever the archives hold.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of buffers, input and output, for the whole process.
const DEFAULT_BYTES: usize = 256 << 20;

/// What is left to be taken. It is shared by the threads; nobody waits for it: what cannot be granted streams instead.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Default for Budget {
    /// 256 MiB, or a quarter of what the control group allows where that is less.
    fn default() -> Self {
        let limit = memory_max().map_or(DEFAULT_BYTES, |bytes| {
            usize::try_from(bytes / 4).unwrap_or(DEFAULT_BYTES)
        });
        Self::new(limit.min(DEFAULT_BYTES))
    }
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes `bytes` until the grant is dropped; `None` when fewer are left.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Grant<'_>> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .ok()?;
        Some(Grant {
            budget: self,
            bytes,
        })
    }
}

/// Bytes taken from a [`Budget`].
#[derive(Debug)]
#[must_use = "the bytes are given back when it is dropped"]
pub struct Grant<'b> {
    budget: &'b Budget,
    bytes: usize,
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// The smallest `memory.max` of the control groups that this process is in (`cgroups(7)`, version 2, or version 1's
/// `memory.limit_in_bytes`); `None` when there is none, or it cannot be read.
fn memory_max() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut smallest = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            controllers if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path is often that of the host while the mount shows only our own group: both are looked at.
        let ancestors = std::path::Path::new(path)
            .ancestors()
            .map(|group| group.to_string_lossy().into_owned());
        for group in ancestors {
            let limit =
                std::fs::read_to_string(format!("{mount}{}/{file}", group.trim_end_matches('/')))
                    .ok()
                    .and_then(|text| text.trim().parse::<u64>().ok());
            smallest = match (smallest, limit) {
                (Some(smallest), Some(limit)) => Some(std::cmp::min(smallest, limit)),
                (one, other) => one.or(other),
            };
        }
    }
    smallest
}

/// So many threads, or one for each processor that may be used: never more than the limit of open files has some for.
pub fn thread_count(wanted: Option<u16>) -> usize {
    let wanted = match wanted {
        Some(wanted) => wanted.into(),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    wanted.clamp(1, most_threads())
}

/// How many threads the limit of open files allows: each has three open at a time, and half of them are for layers, the
/// destination, and whatever the caller left open.
pub fn most_threads() -> usize {
    const EACH: u64 = 3;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let threads = limit.map_or(u64::MAX, |limit| limit / 2 / EACH);
    usize::try_from(threads).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_when_the_grant_is_dropped() {
        let budget = Budget::new(10);
        let grant = budget.take(6);
        assert!(grant.is_some());
        assert!(budget.take(5).is_none());
        drop(grant);
        assert_eq!(budget.left(), 10);
    }
}
