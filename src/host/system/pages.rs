//! Memory straight from the kernel, for buffers that are large and filled from their first byte on.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// What most processors map with one entry instead of 512.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// The longest buffer that is not worth a huge page.
const MOST_SMALL_BYTES: usize = HUGE_PAGE_BYTES / 2;

/// A buffer. A large one begins at a huge page and has only such, where the kernel gives them: one costs as much as forty small
/// ones, 0.07 to 0.09 ms, and holds as much as 512.
#[derive(Debug)]
pub(in crate::host) struct Pages {
    mapping: NonNull<c_void>,
    /// None at all of an empty buffer.
    mapping_bytes: usize,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it is memory that it owns alone; nothing in it belongs to a thread.
#[expect(unsafe_code, reason = "mapped memory is known by its address")]
unsafe impl Send for Pages {}

impl Pages {
    /// A buffer without a byte.
    pub(in crate::host) const EMPTY: Self = Self {
        mapping: NonNull::dangling(),
        mapping_bytes: 0,
        start: NonNull::dangling(),
        bytes: 0,
    };

    /// How much memory a buffer of `bytes` takes once all of it was written to.
    pub(in crate::host) const fn weight(bytes: usize) -> Option<usize> {
        if bytes <= MOST_SMALL_BYTES {
            return Some(bytes);
        }
        bytes.checked_next_multiple_of(HUGE_PAGE_BYTES)
    }

    /// A buffer of zeros, `bytes` or a little more. Memory is taken only when it is written to.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` answers: `ENOMEM`, as a rule.
    #[expect(unsafe_code, reason = "mmap(2) and madvise(2) have no safe form")]
    pub(in crate::host) fn zeroed(bytes: usize) -> Result<Self, Errno> {
        let bytes = Self::weight(bytes).ok_or(Errno::ENOMEM)?;
        let is_large = bytes >= HUGE_PAGE_BYTES;
        // What the beginning is moved by is never touched.
        let room = if is_large { HUGE_PAGE_BYTES } else { 0 };
        let mapping_bytes = bytes.checked_add(room).ok_or(Errno::ENOMEM)?;
        let Some(mapping_bytes) = NonZeroUsize::new(mapping_bytes) else {
            return Ok(Self::EMPTY);
        };
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses an address where nothing is.
        let mapping =
            unsafe { mmap_anonymous(None, mapping_bytes, access, MapFlags::MAP_PRIVATE) }?;
        let skip = match mapping.align_offset(HUGE_PAGE_BYTES) {
            skip if is_large && skip < HUGE_PAGE_BYTES => skip,
            _ => 0,
        };
        // SAFETY: `skip` is at most `room`, so that `bytes` bytes of the mapping follow.
        let start = unsafe { mapping.byte_add(skip) };
        if is_large {
            // SAFETY: the range is within what was just mapped, and the advice changes nothing but how it is backed.
            let advised = unsafe { madvise(start, bytes, MmapAdvise::MADV_HUGEPAGE) };
            if let Err(error) = advised {
                tracing::trace!(%error, "no huge pages");
            }
        }
        Ok(Self {
            mapping,
            mapping_bytes: mapping_bytes.get(),
            start: start.cast(),
            bytes,
        })
    }

    /// Makes the buffer at least so long, and at once as long as it may be kept: pages that are not touched cost nothing, growing
    /// step by step does. What it held is not needed.
    ///
    /// # Errors
    ///
    /// As [`Pages::zeroed`].
    pub(in crate::host) fn grow(&mut self, bytes: usize, kept_bytes: usize) -> io::Result<()> {
        if self.bytes < bytes {
            *self = Self::zeroed(bytes.max(kept_bytes))?;
        }
        Ok(())
    }
}

impl Deref for Pages {
    type Target = [u8];

    #[expect(unsafe_code, reason = "a slice of mapped memory has no safe form")]
    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes are mapped, zeroed and nobody else's as long as the value is there; of none, any address will do.
        unsafe { NonNull::slice_from_raw_parts(self.start, self.bytes).as_ref() }
    }
}

impl DerefMut for Pages {
    #[expect(unsafe_code, reason = "a slice of mapped memory has no safe form")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and they are borrowed as the value is.
        unsafe { NonNull::slice_from_raw_parts(self.start, self.bytes).as_mut() }
    }
}

impl Drop for Pages {
    #[expect(unsafe_code, reason = "munmap(2) has no safe form")]
    fn drop(&mut self) {
        if self.mapping_bytes == 0 {
            return;
        }
        // SAFETY: it was mapped with this length, and nobody borrows it any more.
        if let Err(error) = unsafe { munmap(self.mapping, self.mapping_bytes) } {
            tracing::debug!(%error, "cannot give a buffer back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_was_asked_for_and_begins_with_zeros() {
        for bytes in [0, 1, 4097, 1 << 20, (1 << 20) + 1, 2 << 20, (6 << 20) + 1] {
            let Ok(mut pages) = Pages::zeroed(bytes) else {
                unreachable!("there is memory");
            };
            assert!(pages.len() >= bytes, "{bytes}");
            assert_eq!(Some(pages.len()), Pages::weight(bytes));
            assert!(pages.iter().all(|&byte| byte == 0), "{bytes}");
            pages.fill(1);
            let is_aligned = pages.as_ptr().addr().is_multiple_of(HUGE_PAGE_BYTES);
            assert!(is_aligned || bytes <= MOST_SMALL_BYTES, "{bytes}");
        }
        assert!(Pages::EMPTY.is_empty());
    }

    #[test]
    fn what_no_machine_has_is_an_error() {
        for bytes in [usize::MAX, usize::MAX - (3 << 20), usize::MAX / 2] {
            assert!(Pages::zeroed(bytes).is_err(), "{bytes}");
        }
    }
}
