//! CRC-32, as archives and records have it.

use libdeflate_sys::libdeflate_crc32;

/// CRC-32 of `bytes`, going on from `crc32`, which is 0 at the beginning.
#[expect(unsafe_code, reason = "the checksum comes from the same C library")]
pub(in crate::host) fn crc32(crc32: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the pointer is valid for reading that many bytes.
    unsafe { libdeflate_crc32(crc32, bytes.as_ptr().cast(), bytes.len()) }
}
