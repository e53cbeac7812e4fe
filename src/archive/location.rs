//! Where the central directory lies: the records at the end of an archive.

use super::records::{
    DIRECTORY_HEADER_BYTES, END_RECORD, END_RECORD_BYTES, EndRecord, ZIP64_END_RECORD_BYTES,
    ZIP64_LOCATOR_BYTES, Zip64EndRecord, Zip64Locator, contains_signature,
};
use super::rules::{BrokenRule, Refusal, Strictness};

/// How many of the last bytes of an archive [`DirectoryLocation::find`] wants: the end records, the longest comment, and as
/// much NUL padding again (tape-minded writers fill blocks of 10 KiB).
pub const TAIL_BYTES: usize =
    END_RECORD_BYTES + ZIP64_LOCATOR_BYTES + ZIP64_END_RECORD_BYTES + 2 * 0xffff;
/// The longest central directory that is read: a million entries need less than half of it.
pub const MAX_DIRECTORY_BYTES: u64 = 256 << 20;

/// A central directory header with the longest name, extra fields and comment.
const LONGEST_DIRECTORY_HEADER_BYTES: u64 = DIRECTORY_HEADER_BYTES as u64 + 3 * 0xffff;

/// A central directory of so many bytes is read whatever it says of itself.
const WORTH_COUNTING_BYTES: u64 = 16 << 20;

/// Where the central directory of an archive lies.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DirectoryLocation {
    /// Its first byte, counted from the start of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many entries the end record counts.
    pub entries: u64,
    /// Bytes before the first entry, to be added to every offset in the archive; 0 unless lenient.
    pub prepended_bytes: u64,
    /// What was waived.
    pub waived: Vec<Refusal>,
}

impl DirectoryLocation {
    /// Finds the central directory from the last [`TAIL_BYTES`] (or fewer, if the file is shorter) of a file.
    ///
    /// # Errors
    ///
    /// The rule that the end of the archive breaks.
    pub fn find(tail: &[u8], file_bytes: u64, strictness: Strictness) -> Result<Self, Refusal> {
        let mut waived = Vec::new();
        let (place, end) = find_end_record(tail, file_bytes, strictness, &mut waived)?;
        // A signature may also begin in the last fields of the record and end in the comment: who searches from the end of the
        // file would find that one.
        let record = tail.get(place + 1..place + END_RECORD_BYTES + end.comment.len());
        if record.is_none_or(contains_signature) {
            return Err(Refusal::archive(BrokenRule::SignatureInComment));
        }
        let tail_offset = file_bytes - tail.len() as u64;
        let zip64 = zip64_end_record(tail, place)?;
        let (end_offset, entries, bytes, offset) = match &zip64 {
            None => (
                tail_offset + place as u64,
                end.entries.into(),
                end.directory_bytes.into(),
                end.directory_offset.into(),
            ),
            Some((record, _, record_place)) => (
                tail_offset + *record_place as u64,
                record.entries,
                record.directory_bytes,
                record.directory_offset,
            ),
        };
        let zip64_says_first_disk = zip64.is_some();
        if !(is_first_disk(end.disk, zip64_says_first_disk)
            && is_first_disk(end.directory_disk, zip64_says_first_disk))
            || end.entries_on_disk != end.entries
        {
            return Err(Refusal::archive(BrokenRule::SeveralDisks));
        }
        if bytes > MAX_DIRECTORY_BYTES {
            return Err(Refusal::archive(BrokenRule::DirectoryTooLarge(bytes)));
        }
        let prepended_bytes = end_offset
            .checked_sub(bytes)
            .and_then(|start| start.checked_sub(offset))
            .ok_or_else(|| Refusal::archive(BrokenRule::DirectoryRange))?;
        // Known before a byte of it is read into memory; below that, counting the entries says it better.
        if bytes
            > entries
                .saturating_mul(LONGEST_DIRECTORY_HEADER_BYTES)
                .max(WORTH_COUNTING_BYTES)
        {
            let why = "it is longer than its entries can be";
            return Err(Refusal::archive(BrokenRule::DirectoryDamaged(why)));
        }
        if prepended_bytes > 0 {
            Refusal::archive(BrokenRule::PrependedBytes(prepended_bytes))
                .waive(strictness, &mut waived)?;
        }
        if let Some((record, locator, record_place)) = &zip64 {
            judge_zip64(
                &end,
                record,
                locator,
                tail_offset + *record_place as u64,
                prepended_bytes,
            )
            .map_err(|why| Refusal::archive(BrokenRule::Zip64(why)))?;
        }
        Ok(Self {
            offset: end_offset - bytes,
            bytes,
            entries,
            prepended_bytes,
            waived,
        })
    }
}

/// The one end record whose comment ends where the file does, NUL padding aside; when lenient, else the last one that can be.
fn find_end_record<'a>(
    tail: &'a [u8],
    file_bytes: u64,
    strictness: Strictness,
    waived: &mut Vec<Refusal>,
) -> Result<(usize, EndRecord<'a>), Refusal> {
    if file_bytes == 0 {
        return Err(Refusal::archive(BrokenRule::EmptyFile));
    }
    let padding_starts = tail
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let mut found = None;
    let mut followed = None;
    for place in end_signatures(tail) {
        let Some(end) = tail.get(place..).and_then(EndRecord::parse) else {
            continue;
        };
        let stop = place + END_RECORD_BYTES + end.comment.len();
        if stop >= padding_starts {
            if found.replace((place, end)).is_some() {
                return Err(Refusal::archive(BrokenRule::SeveralEndRecords));
            }
        } else if followed.is_none() {
            followed = Some((place, end, (tail.len() - stop) as u64));
        }
    }
    if let Some(found) = found {
        return Ok(found);
    }
    let Some((place, end, trailing_bytes)) = followed else {
        return Err(Refusal::archive(BrokenRule::NotAZip));
    };
    Refusal::archive(BrokenRule::TrailingBytes(trailing_bytes)).waive(strictness, waived)?;
    Ok((place, end))
}

/// Where an end record may begin, the last place first. Its signature ends in two bytes that are rare as a pair, and a block that
/// has none is told at a few instructions.
fn end_signatures(tail: &[u8]) -> impl Iterator<Item = usize> {
    const BLOCK_BYTES: usize = 256;
    let [.., third, fourth] = END_RECORD.to_le_bytes();
    let is_pair = move |(&one, &other): (&u8, &u8)| (one ^ third) | (other ^ fourth) == 0;
    let has_pair = move |&start: &usize| {
        let firsts = tail.get(start..tail.len().min(start + BLOCK_BYTES));
        let seconds = tail.get(start + 1..).unwrap_or_default();
        let pairs = firsts.unwrap_or_default().iter().zip(seconds);
        pairs.fold(false, |any, pair| any | is_pair(pair))
    };
    let blocks = (0..tail.len()).step_by(BLOCK_BYTES).rev().filter(has_pair);
    let pairs = blocks.flat_map(move |start| {
        let is_there = move |&place: &usize| tail.get(place..place + 2) == Some(&[third, fourth]);
        (start..start + BLOCK_BYTES).rev().filter(is_there)
    });
    pairs.filter_map(|pair| pair.checked_sub(2))
}

/// The zip64 end record and its locator, which stand directly before the end record at `end_place` when they are there at
/// all. They are looked for whatever the end record says, because readers differ in that.
fn zip64_end_record(
    tail: &[u8],
    end_place: usize,
) -> Result<Option<(Zip64EndRecord, Zip64Locator, usize)>, Refusal> {
    let locator = end_place
        .checked_sub(ZIP64_LOCATOR_BYTES)
        .and_then(|place| Some((place, Zip64Locator::parse(tail.get(place..end_place)?)?)));
    let Some((locator_place, locator)) = locator else {
        return Ok(None);
    };
    let record = locator_place
        .checked_sub(ZIP64_END_RECORD_BYTES)
        .and_then(|place| {
            Some((
                Zip64EndRecord::parse(tail.get(place..locator_place)?)?,
                place,
            ))
        });
    match record {
        Some((record, place)) => Ok(Some((record, locator, place))),
        None => Err(Refusal::archive(BrokenRule::Zip64(
            "the record does not stand directly before its locator",
        ))),
    }
}

fn judge_zip64(
    end: &EndRecord<'_>,
    record: &Zip64EndRecord,
    locator: &Zip64Locator,
    record_offset: u64,
    prepended_bytes: u64,
) -> Result<(), &'static str> {
    if locator.record_offset.checked_add(prepended_bytes) != Some(record_offset) {
        return Err("the locator points elsewhere than to the record");
    }
    if record.remaining_bytes != ZIP64_END_RECORD_BYTES as u64 - 12 {
        return Err("the record has extensible data");
    }
    if record.disk != 0
        || record.directory_disk != 0
        || locator.disk != 0
        || locator.disks > 1
        || record.entries_on_disk != record.entries
    {
        return Err("they speak of several disks");
    }
    let agree = is_saturated_or_equal(end.entries.into(), 0xffff, record.entries)
        && is_saturated_or_equal(
            end.directory_bytes.into(),
            0xffff_ffff,
            record.directory_bytes,
        )
        && is_saturated_or_equal(
            end.directory_offset.into(),
            0xffff_ffff,
            record.directory_offset,
        );
    if agree {
        Ok(())
    } else {
        Err("the end record gives other values")
    }
}

const fn is_saturated_or_equal(short: u64, saturated: u64, long: u64) -> bool {
    short == saturated || short == long
}

const fn is_first_disk(disk: u16, has_zip64: bool) -> bool {
    disk == 0 || has_zip64 && disk == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_signature_is_found_wherever_it_begins_and_the_last_one_first() {
        let signature = END_RECORD.to_le_bytes();
        for begins in 0..600 {
            let mut tail = vec![b'P'; 604];
            tail[begins..begins + 4].copy_from_slice(&signature);
            assert_eq!(end_signatures(&tail).collect::<Vec<_>>(), [begins]);
        }
        let tail = signature.repeat(200);
        let places: Vec<usize> = (0..200).map(|nth| nth * 4).rev().collect();
        assert_eq!(end_signatures(&tail).collect::<Vec<_>>(), places);
        for few in 0..signature.len() {
            assert_eq!(end_signatures(&signature[..few]).count(), 0);
        }
    }
}
