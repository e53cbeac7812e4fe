//! How records are written: numbers and counted bytes one after the other, a mark of the format first and a checksum last.
//! What was cut short, overwritten with zeros or written by another version does not read.

use crate::digest::{DIGEST_BYTES, Digest};

use crate::host::system::checksum;
use crate::path::LayerPath;

/// The first bytes of everything written: which record it is, in which version.
pub(in crate::host) type Mark = [u8; 8];

/// Up to so many bytes a checksum is made byte by byte: in a virtual machine the fast one takes longer to find out what this
/// processor can do. A start reads only records, of a kilobyte; a manifest has megabytes.
const SMALL_BYTES: usize = 16 << 10;

/// The CRC-32 of zip and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    if bytes.len() > SMALL_BYTES {
        return checksum::crc32(0, bytes);
    }
    crc32_of_few(bytes)
}

fn crc32_of_few(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte: u32 = 0;
        while byte < 256 {
            let mut rest = byte;
            let mut bit = 0;
            while bit < 8 {
                rest = (rest >> 1) ^ (0xEDB8_8320 * (rest & 1));
                bit += 1;
            }
            table[byte as usize] = rest;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

/// Writes a record.
pub(in crate::host) struct Encoder(Vec<u8>);

impl Encoder {
    pub(in crate::host) fn new(mark: Mark) -> Self {
        Self(mark.to_vec())
    }

    pub(in crate::host) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(in crate::host) fn count(&mut self, count: usize) -> &mut Self {
        self.number(count as u64)
    }

    pub(in crate::host) fn signed(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(in crate::host) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(in crate::host) fn optional(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        self.flag(bytes.is_some());
        self.bytes(bytes.unwrap_or_default())
    }

    pub(in crate::host) fn flag(&mut self, flag: bool) -> &mut Self {
        self.0.push(u8::from(flag));
        self
    }

    pub(in crate::host) fn digest(&mut self, digest: Digest) -> &mut Self {
        self.0.extend_from_slice(&digest.0);
        self
    }

    /// A list: how many, then each.
    pub(in crate::host) fn list<T>(
        &mut self,
        items: &[T],
        write: impl Fn(&mut Self, &T),
    ) -> &mut Self {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
        self
    }

    /// The record, checksum included.
    pub(in crate::host) fn finish(mut self) -> Vec<u8> {
        let checksum = crc32(&self.0);
        self.0.extend_from_slice(&checksum.to_le_bytes());
        self.0
    }
}

/// Reads a record. Every answer is `None` from the first thing on that is not there.
pub(in crate::host) struct Decoder<'b>(&'b [u8]);

impl<'b> Decoder<'b> {
    /// Judges mark and checksum.
    pub(in crate::host) fn new(record: &'b [u8], mark: Mark) -> Option<Self> {
        let (body, checksum) = record.split_last_chunk::<4>()?;
        if crc32(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        body.strip_prefix(&mark).map(Self)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(in crate::host) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(in crate::host) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(in crate::host) fn signed(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(in crate::host) fn bytes(&mut self) -> Option<&'b [u8]> {
        let count = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    #[expect(
        clippy::option_option,
        reason = "whether it reads, and whether anything is there"
    )]
    pub(in crate::host) fn optional(&mut self) -> Option<Option<&'b [u8]>> {
        let is_there = self.flag()?;
        let bytes = self.bytes()?;
        Some(is_there.then_some(bytes))
    }

    pub(in crate::host) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// A path that was judged before it was written.
    pub(in crate::host) fn path(&mut self) -> Option<LayerPath> {
        let mut path = LayerPath::root();
        for component in self.bytes()?.split(|&byte| byte == b'/') {
            path.push(component);
        }
        Some(path)
    }

    pub(in crate::host) fn flag(&mut self) -> Option<bool> {
        let [flag] = self.array()?;
        match flag {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(in crate::host) fn digest(&mut self) -> Option<Digest> {
        self.array::<DIGEST_BYTES>().map(Digest)
    }

    /// A list. Its count is believed item by item.
    pub(in crate::host) fn list<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.number()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    /// That nothing follows.
    pub(in crate::host) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_and_many_have_the_same_checksum() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * SMALL_BYTES).collect();
        for length in [0, 1, 255, SMALL_BYTES, SMALL_BYTES + 1, bytes.len()] {
            let few = crc32_of_few(&bytes[..length]);
            assert_eq!(few, checksum::crc32(0, &bytes[..length]));
            assert_eq!(few, crc32(&bytes[..length]));
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_no_part_of_it_is() {
        let mark = *b"test   1";
        let mut encoder = Encoder::new(mark);
        encoder
            .number(7)
            .signed(-7)
            .bytes(b"seven")
            .optional(None)
            .optional(Some(b""))
            .flag(true)
            .digest(Digest([7; 32]))
            .list(&[1, 2], |encoder, &item| {
                encoder.number(item);
            });
        let record = encoder.finish();
        let read = |record: &[u8], mark| {
            let mut decoder = Decoder::new(record, mark)?;
            let read = (
                decoder.number()?,
                decoder.signed()?,
                decoder.text()?,
                decoder.optional()?.map(<[u8]>::to_vec),
                decoder.optional()?.map(<[u8]>::to_vec),
                decoder.flag()?,
                decoder.digest()?,
                decoder.list(Decoder::number)?,
            );
            decoder.end().map(|()| read)
        };
        let expected = (
            7,
            -7,
            "seven".to_owned(),
            None,
            Some(Vec::new()),
            true,
            Digest([7; 32]),
            vec![1, 2],
        );
        assert_eq!(read(&record, mark), Some(expected));
        assert_eq!(read(&record, *b"test   2"), None);
        for length in 0..record.len() {
            let mut damaged = record.clone();
            if let Some(byte) = damaged.get_mut(length) {
                *byte ^= 1;
            }
            assert_eq!(read(&damaged, mark), None, "{length} flipped");
            assert_eq!(read(record.get(..length).unwrap_or_default(), mark), None);
        }
    }
}
