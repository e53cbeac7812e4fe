//! Reads the bytes of one object and verifies them on the way: local header, size, CRC-32, and what follows the data.
//!
//! Every byte is judged from the copy that is used: nothing is read twice, so nothing can change between check and use.

use std::fs::File;
use std::io;

use super::entry_place::{Form, Reading};
use super::inflate::{Inflater, StreamInflater};
use super::window::Input;
use crate::archive::{Archive, BrokenRule, Entry, Method, Refusal};
use crate::host::error::{HostError, LayerLabel};
use crate::host::system::budget::{Budget, Grant};
use crate::host::system::checksum::crc32;
use crate::host::system::pages::Pages;

/// Bytes of buffers that a reader keeps, half of them for input: what is smaller, nearly everything, needs no allocation. More
/// would be more small pages to make: what is larger goes through huge ones.
const KEPT_BYTES: usize = 512 << 10;
/// With less than this nothing can be read.
const LEAST_BYTES: usize = 128 << 10;
/// Larger buffers are kept for the next large entry up to this size, so that their pages need not be made again.
const RETAINED_BYTES: usize = 32 << 20;
/// Programs, the largest things in layers, deflate to a half or a third; even text stays below this.
const PLAUSIBLE_RATIO: u64 = 64;
/// What follows an entry and is looked at: a data descriptor, padding. More than this counts as bytes of no entry.
const REST_BYTES: u64 = 64 << 10;

/// Reads objects one after the other; each thread has its own.
#[derive(Debug)]
pub struct Reader<'b> {
    budget: &'b Budget,
    _kept: Option<Grant<'b>>,
    kept_bytes: usize,
    inflater: Option<Inflater>,
    pub(super) input: Input,
    output: Pages,
    large: Option<Buffers<'b>>,
    /// What `--lenient` waived since the last time it was taken away.
    pub waived: Vec<Refusal>,
}

/// Buffers for one large entry.
#[derive(Debug)]
struct Buffers<'b> {
    _grant: Grant<'b>,
    input: Input,
    output: Pages,
}

impl<'b> Reader<'b> {
    /// A reader that takes what it keeps from `budget`: less than it would like if little is left.
    pub fn new(budget: &'b Budget) -> Self {
        let mut kept_bytes = KEPT_BYTES;
        // A quarter of what is left at the most, so that many readers share a small budget.
        while kept_bytes > LEAST_BYTES && kept_bytes > budget.left() / 4 {
            kept_bytes /= 2;
        }
        Self {
            budget,
            _kept: budget.take(kept_bytes),
            kept_bytes,
            inflater: None,
            input: Input::new(kept_bytes / 2),
            output: Pages::EMPTY,
            large: None,
            waived: Vec::new(),
        }
    }

    /// Whether an entry was read ahead already.
    pub fn holds(&self, file: &File, entry: &Entry) -> bool {
        self.input.holds(file, entry.header_offset, entry.boundary)
    }

    /// Reads the entries of a run, which begins with `first`, in one piece: as many as lie beside one another and are not too
    /// much together.
    pub fn read_ahead<'e>(
        &mut self,
        file: &File,
        first: &Entry,
        run: impl Iterator<Item = &'e Entry>,
    ) {
        self.input.read_ahead(file, first, run);
    }

    /// Hands the verified data of entry `index` of an archive to `sink`.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub fn read_entry(
        &mut self,
        file: &File,
        archive: &Archive,
        index: u32,
        place: &LayerLabel,
        sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        self.read_form(file, archive, index, place, Form::Content, sink)
    }

    /// Hands the data of entry `index` to `sink` as the archive keeps it, deflated or stored, and verifies all the same what
    /// it unpacks to: both come from the same copy.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub fn read_kept(
        &mut self,
        file: &File,
        archive: &Archive,
        index: u32,
        place: &LayerLabel,
        sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        self.read_form(file, archive, index, place, Form::Kept, sink)
    }

    fn read_form(
        &mut self,
        file: &File,
        archive: &Archive,
        index: u32,
        place: &LayerLabel,
        form: Form,
        sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let entry = *archive.entry(index);
        let span_bytes = entry.boundary - entry.header_offset;
        let half = self.kept_bytes as u64 / 2;
        let reading = Reading {
            file,
            archive,
            entry: &entry,
            index,
            place,
            form,
        };
        if span_bytes <= half && entry.uncompressed_bytes <= half {
            return self.read_whole(&reading, sink);
        }
        // What unpacks to so much more than it is, no program does. It streams well, and costs no memory if it is a bomb.
        let is_plausible = entry.uncompressed_bytes <= RETAINED_BYTES as u64
            || entry.uncompressed_bytes / PLAUSIBLE_RATIO <= entry.compressed_bytes;
        // A long rest is not read into memory with the data.
        let is_dense = span_bytes <= entry.compressed_bytes.saturating_add(2 * REST_BYTES);
        if entry.method == Method::Deflated
            && is_plausible
            && is_dense
            && let Some(mut buffers) = self.large_buffers(span_bytes, entry.uncompressed_bytes)
        {
            // They take the place of the kept ones for the time of one entry.
            self.swap(&mut buffers);
            let result = self.read_whole(&reading, sink);
            self.swap(&mut buffers);
            if buffers.input.len() + buffers.output.len() <= RETAINED_BYTES {
                self.large = Some(buffers);
            }
            return result;
        }
        self.read_stream(&reading, sink)
    }

    /// Buffers that hold so much: those of the entry before, if they do, else new ones, if the budget and the machine allow.
    fn large_buffers(&mut self, input_bytes: u64, output_bytes: u64) -> Option<Buffers<'b>> {
        let mut input_bytes = usize::try_from(input_bytes).ok()?;
        let mut output_bytes = usize::try_from(output_bytes).ok()?;
        // What is too small makes room for what is not, and for what is too small for neither: else two entries, of which each
        // is longer in another way, would take turns in having new ones made.
        if let Some(buffers) = self.large.take() {
            let (input, output) = (buffers.input.len(), buffers.output.len());
            if input_bytes <= input && output_bytes <= output {
                return Some(buffers);
            }
            (input_bytes, output_bytes) = (input_bytes.max(input), output_bytes.max(output));
        }
        let bytes = Pages::weight(input_bytes)?.checked_add(Pages::weight(output_bytes)?)?;
        Some(Buffers {
            _grant: self.budget.take(bytes)?,
            input: Input::of(Pages::zeroed(input_bytes).ok()?, input_bytes),
            output: Pages::zeroed(output_bytes).ok()?,
        })
    }

    fn swap(&mut self, buffers: &mut Buffers<'_>) {
        std::mem::swap(&mut self.input, &mut buffers.input);
        std::mem::swap(&mut self.output, &mut buffers.output);
    }

    /// Judges the local header of an entry and what follows its data, but not the data: an entry that makes nothing is not worth
    /// inflating.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub fn verify_headers(
        &mut self,
        file: &File,
        archive: &Archive,
        index: u32,
        place: &LayerLabel,
    ) -> Result<(), HostError> {
        let entry = *archive.entry(index);
        let reading = Reading {
            file,
            archive,
            entry: &entry,
            index,
            place,
            form: Form::Content,
        };
        let data_start = self.header(&reading)?;
        self.rest(
            &reading,
            entry.header_offset + data_start + entry.compressed_bytes,
        )
    }

    /// An entry that fits in memory: everything up to the next one in one read.
    fn read_whole(
        &mut self,
        reading: &Reading<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let Reading {
            file,
            archive,
            entry,
            index,
            ..
        } = *reading;
        let bytes = self
            .input
            .bytes(file, entry.header_offset, entry.boundary)
            .map_err(|error| reading.failed(error))?;
        let local = archive
            .judge_local(index, bytes)
            .map_err(|refusal| reading.refused(refusal))?;
        // That the data ends before the boundary was judged with the header.
        let data_stop =
            local.data_start + usize::try_from(entry.compressed_bytes).unwrap_or(usize::MAX);
        let (data, rest) = (
            bytes.get(local.data_start..data_stop).unwrap_or_default(),
            bytes.get(data_stop..).unwrap_or_default(),
        );
        // No more of it is looked at than when the entry is streamed: memory must not decide what is accepted.
        let seen = usize::try_from(REST_BYTES).unwrap_or(usize::MAX);
        let waived = archive
            .judge_rest(index, rest.get(..seen).unwrap_or(rest), rest.len() as u64)
            .map_err(|refusal| reading.refused(refusal))?;
        self.waived.extend(local.waived.into_iter().chain(waived));
        let content = match entry.method {
            Method::Stored => data,
            Method::Deflated => {
                let bytes = usize::try_from(entry.uncompressed_bytes).unwrap_or(usize::MAX);
                self.output
                    .grow(bytes, self.kept_bytes / 2)
                    .map_err(|error| reading.failed(error))?;
                let output = self.output.get_mut(..bytes).unwrap_or_default();
                // Some writers deflate nothing to nothing.
                if !data.is_empty() || bytes > 0 {
                    let inflater = match &mut self.inflater {
                        Some(inflater) => inflater,
                        none => none
                            .insert(Inflater::new().ok_or_else(|| {
                                reading.failed(io::ErrorKind::OutOfMemory.into())
                            })?),
                    };
                    inflater
                        .inflate(data, output)
                        .map_err(|rule| reading.broken(rule))?;
                }
                output
            }
        };
        reading.judge_crc(crc32(0, content))?;
        sink(match reading.form {
            Form::Content => content,
            Form::Kept => data,
        })
    }

    /// An entry that does not fit: header, data piece by piece, rest.
    fn read_stream(
        &mut self,
        reading: &Reading<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let Reading { file, entry, .. } = *reading;
        let data_start = self.header(reading)?;
        let start = entry.header_offset + data_start;
        let stop = start + entry.compressed_bytes;
        let piece_bytes = self.kept_bytes.max(LEAST_BYTES) / 2;
        // Some writers deflate nothing to nothing.
        let is_nothing = entry.compressed_bytes == 0 && entry.uncompressed_bytes == 0;
        let mut stream = (entry.method == Method::Deflated && !is_nothing)
            .then(|| StreamInflater::new(piece_bytes));
        let (mut crc, mut produced, mut at) = (0, 0_u64, start);
        while at < stop {
            let next = stop.min(at + piece_bytes as u64);
            let piece = self
                .input
                .bytes(file, at, next)
                .map_err(|error| reading.failed(error))?;
            let mut deliver = |bytes: &[u8]| {
                crc = crc32(crc, bytes);
                produced += bytes.len() as u64;
                match reading.form {
                    Form::Content => sink(bytes).map_err(Failed::Host),
                    Form::Kept => Ok(()),
                }
            };
            match &mut stream {
                Some(stream) => stream.feed(piece, entry.uncompressed_bytes, &mut deliver),
                None => deliver(piece),
            }
            .map_err(|failed| match failed {
                Failed::Host(error) => error,
                Failed::BrokenRule(rule) => reading.broken(rule),
            })?;
            if reading.form == Form::Kept {
                sink(piece)?;
            }
            at = next;
        }
        if stream.is_some_and(|stream| !stream.is_done()) {
            return Err(reading.broken(BrokenRule::Inflate));
        }
        if produced != entry.uncompressed_bytes {
            return Err(reading.broken(BrokenRule::Size(entry.uncompressed_bytes)));
        }
        reading.judge_crc(crc)?;
        self.rest(reading, stop)
    }

    /// Reads and judges the local header alone; how many bytes it has.
    fn header(&mut self, reading: &Reading<'_>) -> Result<u64, HostError> {
        let Reading {
            file,
            archive,
            entry,
            index,
            ..
        } = *reading;
        let stop = entry.header_offset + entry.longest_header();
        let bytes = self
            .input
            .bytes(file, entry.header_offset, stop)
            .map_err(|error| reading.failed(error))?;
        let local = archive
            .judge_local(index, bytes)
            .map_err(|refusal| reading.refused(refusal))?;
        self.waived.extend(local.waived);
        Ok(local.data_start as u64)
    }

    /// Reads and judges what lies between the data, which ends at `start`, and the next entry.
    fn rest(&mut self, reading: &Reading<'_>, start: u64) -> Result<(), HostError> {
        let Reading {
            file,
            archive,
            entry,
            index,
            ..
        } = *reading;
        let stop = entry.boundary.min(start + REST_BYTES);
        let bytes = self
            .input
            .bytes(file, start, stop)
            .map_err(|error| reading.failed(error))?;
        let waived = archive
            .judge_rest(index, bytes, entry.boundary - start)
            .map_err(|refusal| reading.refused(refusal))?;
        self.waived.extend(waived);
        Ok(())
    }
}

/// Why a piece was not delivered.
enum Failed {
    Host(HostError),
    BrokenRule(BrokenRule),
}

impl From<BrokenRule> for Failed {
    fn from(rule: BrokenRule) -> Self {
        Self::BrokenRule(rule)
    }
}
