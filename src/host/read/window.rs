//! What was read last of a file: a window, which is not read again for what lies in it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use crate::archive::Entry;
use crate::host::system::pages::Pages;

/// How far reading ahead goes: the entries of a directory mostly lie beside one another.
const READ_AHEAD_BYTES: u64 = 256 << 10;
/// What of it may be wasted on entries that are not wanted.
const READ_AHEAD_GAP_BYTES: u64 = 4 << 10;

/// A buffer, and which bytes of which file it holds.
#[derive(Debug)]
pub(super) struct Input {
    buffer: Pages,
    /// How long the buffer is at least, once it is there.
    kept_bytes: usize,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    file: i32,
    start: u64,
    stop: u64,
}

impl Input {
    /// What holds nothing yet.
    pub(super) const fn new(kept_bytes: usize) -> Self {
        Self::of(Pages::EMPTY, kept_bytes)
    }

    /// The same with a buffer.
    pub(super) const fn of(buffer: Pages, kept_bytes: usize) -> Self {
        Self {
            buffer,
            kept_bytes,
            window: None,
        }
    }

    /// How many bytes can be held without another buffer.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether these bytes of the file are there already.
    pub(super) fn holds(&self, file: &File, start: u64, stop: u64) -> bool {
        self.window.is_some_and(|window| {
            window.file == file.as_raw_fd() && window.start <= start && stop <= window.stop
        })
    }

    /// Reads the entries of a run, which begins with `first`, in one piece: as many as lie beside one another and are not too
    /// much together.
    pub(super) fn read_ahead<'e>(
        &mut self,
        file: &File,
        first: &Entry,
        run: impl Iterator<Item = &'e Entry>,
    ) {
        let most = READ_AHEAD_BYTES.min(self.kept_bytes as u64);
        let start = first.header_offset;
        let mut stop = start;
        for entry in run {
            if entry.header_offset < stop
                || entry.header_offset > stop + READ_AHEAD_GAP_BYTES
                || entry.boundary - start > most
            {
                break;
            }
            stop = entry.boundary;
        }
        if stop > start {
            // An error is found again, and reported, when the entry itself is read.
            drop(self.fill(file, start, stop));
        }
    }

    fn fill(&mut self, file: &File, start: u64, stop: u64) -> io::Result<()> {
        self.window = None;
        let bytes = usize::try_from(stop - start).unwrap_or(usize::MAX);
        self.buffer.grow(bytes, self.kept_bytes)?;
        file.read_exact_at(self.buffer.get_mut(..bytes).unwrap_or_default(), start)?;
        self.window = Some(Window {
            file: file.as_raw_fd(),
            start,
            stop,
        });
        Ok(())
    }

    /// The bytes of the file from `start` to `stop`, read now if they are not there yet.
    ///
    /// # Errors
    ///
    /// Why they cannot be read; `UnexpectedEof` where the file ends before them.
    pub(super) fn bytes(&mut self, file: &File, start: u64, stop: u64) -> io::Result<&[u8]> {
        if !self.holds(file, start, stop) {
            self.fill(file, start, stop)?;
        }
        let skip = self.window.map_or(0, |window| start - window.start);
        // A window is as long as the buffer at the most, which is in memory.
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = usize::try_from(stop - start).unwrap_or(usize::MAX);
        let stop = skip.saturating_add(bytes);
        Ok(self.buffer.get(skip..stop).unwrap_or_default())
    }

    /// A buffer of the length that is kept, for bytes of something else.
    ///
    /// # Errors
    ///
    /// That there is no memory.
    pub(super) fn emptied(&mut self) -> io::Result<&mut [u8]> {
        self.window = None;
        self.buffer.grow(self.kept_bytes, self.kept_bytes)?;
        Ok(self.buffer.get_mut(..self.kept_bytes).unwrap_or_default())
    }
}
