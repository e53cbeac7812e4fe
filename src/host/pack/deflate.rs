//! The two encoders, each behind a safe function.
//!
//! What is small goes through libdeflate in one piece: at the same ratio it is twice as fast as any encoder that streams. What
//! is large is cut into blocks, which all threads deflate at once with zlib-rs, each with the end of the block before as its
//! dictionary, so that hardly anything is lost by the cut. Where the border lies depends on the size alone, never on the
//! machine: the same file becomes the same bytes everywhere.

use std::ptr::NonNull;

use libdeflate_sys::{
    libdeflate_alloc_compressor, libdeflate_compressor, libdeflate_deflate_compress,
    libdeflate_deflate_compress_bound, libdeflate_free_compressor,
};

/// Files up to this size are deflated in one piece.
pub(super) const WHOLE_BYTES: u64 = 8 << 20;
/// What a larger file is cut into.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;
/// How far back deflate can refer (RFC 1951).
pub(super) const WINDOW_BYTES: u64 = 32 << 10;

/// How hard to try: libdeflate's levels, 1 to 12.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Level(u8);

impl Level {
    /// The lowest and the highest.
    pub const RANGE: std::ops::RangeInclusive<u8> = 1..=12;

    /// The nearest level that there is.
    pub fn new(level: u8) -> Self {
        Self(level.clamp(*Self::RANGE.start(), *Self::RANGE.end()))
    }
}

impl Default for Level {
    /// Smaller than what `zip -9` makes, at twice its speed; beyond it each per cent costs several times the time.
    fn default() -> Self {
        Self(9)
    }
}

/// A libdeflate compressor: tables that are used again for every file.
#[derive(Debug)]
pub(super) struct Deflater(NonNull<libdeflate_compressor>);

// SAFETY: a compressor is memory that it owns alone; nothing in it belongs to a thread.
#[expect(unsafe_code, reason = "the encoder is a C library")]
unsafe impl Send for Deflater {}

impl Deflater {
    /// `None` when there is no memory.
    #[expect(unsafe_code, reason = "the encoder is a C library")]
    pub(super) fn new(level: Level) -> Option<Self> {
        // SAFETY: it takes a number and returns null or a compressor that is ours.
        NonNull::new(unsafe { libdeflate_alloc_compressor(level.0.into()) }).map(Self)
    }

    /// Deflates all of `input`; `None` when the result would not be smaller.
    #[expect(unsafe_code, reason = "the encoder is a C library")]
    pub(super) fn deflate(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the compressor is live and borrowed mutably.
        let bound = unsafe { libdeflate_deflate_compress_bound(self.0.as_ptr(), input.len()) };
        let mut output = vec![0; bound];
        // SAFETY: the compressor is live and borrowed mutably; each pointer is valid for the length given with it, for
        // reading and for writing.
        let bytes = unsafe {
            libdeflate_deflate_compress(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
            )
        };
        if bytes == 0 || bytes >= input.len() {
            return None;
        }
        output.truncate(bytes);
        output.shrink_to_fit();
        Some(output)
    }
}

impl Drop for Deflater {
    #[expect(unsafe_code, reason = "the encoder is a C library")]
    fn drop(&mut self) {
        // SAFETY: it was allocated by the library, is freed once, and not used again.
        unsafe { libdeflate_free_compressor(self.0.as_ptr()) }
    }
}

/// Deflates one block of a larger file, of which `before` is what precedes it, at most [`WINDOW_BYTES`]. The results, one after
/// the other, are one deflate stream. `None` when the encoder fails, which it has no reason to.
pub(super) fn deflate_block(
    level: Level,
    before: &[u8],
    block: &[u8],
    is_last: bool,
) -> Option<Vec<u8>> {
    let mut stream = zlib_rs::Deflate::new(level.0.min(9).into(), false, 15);
    if !before.is_empty() {
        stream.set_dictionary(before).ok()?;
    }
    // What cannot be compressed grows by five bytes each few KiB, and a flush takes a few more.
    let mut output = vec![0; block.len() + block.len() / 256 + 1024];
    // A flush that is not the end leaves whole bytes, so that the next block can follow.
    let flush = if is_last {
        zlib_rs::DeflateFlush::Finish
    } else {
        zlib_rs::DeflateFlush::SyncFlush
    };
    let status = stream.compress(block, &mut output, flush).ok()?;
    let is_whole = stream.total_in() == block.len() as u64;
    if !is_whole || is_last != (status == zlib_rs::Status::StreamEnd) {
        return None;
    }
    output.truncate(usize::try_from(stream.total_out()).ok()?);
    output.shrink_to_fit();
    Some(output)
}

/// The CRC-32 of two pieces one after the other, from those of each.
pub(super) fn joined_crc32(first: u32, second: u32, second_bytes: u64) -> u32 {
    zlib_rs::crc32::crc32_combine(first, second, second_bytes)
}
