//! The two decoders, each behind a safe function.
//!
//! What fits in memory goes through libdeflate in one piece: with input and output whole it is about twice as fast as any
//! decoder that streams. What does not fit goes through zlib-rs.

use std::ptr::NonNull;

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_deflate_decompress_ex,
    libdeflate_free_decompressor,
};

use crate::archive::BrokenRule;

/// `LIBDEFLATE_SUCCESS` and `LIBDEFLATE_INSUFFICIENT_SPACE` of `enum libdeflate_result`.
const SUCCESS: u32 = 0;
const INSUFFICIENT_SPACE: u32 = 3;

/// A libdeflate decompressor: tables that are used again for every stream.
#[derive(Debug)]
pub(super) struct Inflater(NonNull<libdeflate_decompressor>);

// SAFETY: a decompressor is memory that it owns alone; nothing in it belongs to a thread.
#[expect(unsafe_code, reason = "the decoder is a C library")]
unsafe impl Send for Inflater {}

impl Inflater {
    /// `None` when there is no memory.
    #[expect(unsafe_code, reason = "the decoder is a C library")]
    pub(super) fn new() -> Option<Self> {
        // SAFETY: it takes no argument and returns null or a decompressor that is ours.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Inflates all of `input`, which must fill all of `output`.
    #[expect(unsafe_code, reason = "the decoder is a C library")]
    pub(super) fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), BrokenRule> {
        let (mut consumed, mut produced) = (0, 0);
        // SAFETY: the decompressor is live and borrowed mutably; each pointer is valid for the length given with it, for
        // reading and for writing; the two results are written to variables of ours.
        let result = unsafe {
            libdeflate_deflate_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut consumed,
                &raw mut produced,
            )
        };
        match result {
            SUCCESS if produced != output.len() => Err(BrokenRule::Size(output.len() as u64)),
            SUCCESS if consumed != input.len() => Err(BrokenRule::DeflateSlack),
            SUCCESS => Ok(()),
            INSUFFICIENT_SPACE => Err(BrokenRule::Size(output.len() as u64)),
            _ => Err(BrokenRule::Inflate),
        }
    }
}

impl Drop for Inflater {
    #[expect(unsafe_code, reason = "the decoder is a C library")]
    fn drop(&mut self) {
        // SAFETY: it was allocated by the library, is freed once, and not used again.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

/// A stream that is inflated piece by piece, for what does not fit in memory.
pub(super) struct StreamInflater {
    state: zlib_rs::Inflate,
    output: Vec<u8>,
    is_done: bool,
}

impl StreamInflater {
    /// Raw deflate with its full window (RFC 1951: 32 KiB), and `output_bytes` of room.
    pub(super) fn new(output_bytes: usize) -> Self {
        Self {
            state: zlib_rs::Inflate::new(false, 15),
            output: vec![0; output_bytes],
            is_done: false,
        }
    }

    /// Inflates `input`, the next piece, handing out what comes of it; no more than `limit` bytes in total.
    pub(super) fn feed<E: From<BrokenRule>>(
        &mut self,
        mut input: &[u8],
        limit: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            if self.is_done {
                return if input.is_empty() {
                    Ok(())
                } else {
                    Err(BrokenRule::DeflateSlack.into())
                };
            }
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status =
                self.state
                    .decompress(input, &mut self.output, zlib_rs::InflateFlush::NoFlush);
            let consumed = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
            let produced =
                usize::try_from(self.state.total_out() - before_out).unwrap_or(usize::MAX);
            if self.state.total_out() > limit {
                return Err(BrokenRule::Size(limit).into());
            }
            sink(self.output.get(..produced).unwrap_or_default())?;
            input = input.get(consumed..).unwrap_or_default();
            match status {
                Ok(zlib_rs::Status::StreamEnd) => self.is_done = true,
                // Without progress there is nothing left in this piece: the rest of the stream comes with the next one.
                Ok(_) | Err(zlib_rs::InflateError::NeedDict { .. })
                    if consumed == 0 && produced == 0 =>
                {
                    return if input.is_empty() {
                        Ok(())
                    } else {
                        Err(BrokenRule::Inflate.into())
                    };
                }
                Ok(_) => {}
                Err(_) => return Err(BrokenRule::Inflate.into()),
            }
        }
    }

    /// Whether the stream came to its end.
    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }
}
