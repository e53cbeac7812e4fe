//! Reads the object that a layer of a stack brought, wherever the layer comes from.

use std::fs::File;
use std::io;
use std::io::Read as _;

use nix::errno::Errno;

use super::stack::LoadedStack;
use crate::host::error::HostError;
use crate::host::read::entry::Reader;
use crate::host::read::stack::OpenLayer;
use crate::host::system::checksum::crc32;
use crate::host::system::root::{Root, open_whatever_the_mode};
use crate::merge::Origin;

impl Reader<'_> {
    /// Hands the verified bytes of the file that a layer brought to `sink`, in one piece or in several. When it fails, `sink`
    /// may have been given bytes that are not to be trusted.
    ///
    /// # Errors
    ///
    /// What is wrong with the entry, what failed to be read, or what `sink` answers.
    pub fn read(
        &mut self,
        loaded: &LoadedStack,
        origin: Origin,
        sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        match loaded.open(origin.layer) {
            OpenLayer::Archive { archive, file } => {
                let entry = loaded.entry_of(origin);
                self.read_entry(file, archive, entry, loaded.label(origin.layer), sink)
            }
            directory @ (OpenLayer::Directory(_) | OpenLayer::Tree(_)) => {
                self.read_listed(loaded, origin, directory, sink)
            }
        }
    }

    /// A file of a directory that serves as a layer.
    fn read_listed(
        &mut self,
        loaded: &LoadedStack,
        origin: Origin,
        directory: OpenLayer<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let layer = loaded.stack.layer(origin.layer);
        let path = layer.path(origin.node);
        let failed = |error: io::Error| {
            let place = loaded.label(origin.layer);
            place.failed_at("read it", &format!("`{path}`"), error)
        };
        let changed = || failed(io::Error::other("it changed after it was examined"));
        let object = layer.object(origin.node);
        let root = Root::borrow(&directory);
        let opened = match root.open_file(path.as_bytes()) {
            Err(Errno::EACCES) if matches!(directory, OpenLayer::Tree(_)) => {
                open_whatever_the_mode(&root, path.as_bytes(), object.mode)
            }
            other => other,
        };
        let mut file = File::from(opened.map_err(|error| failed(error.into()))?);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() != object.size {
            return Err(changed());
        }
        let buffer = self.input.emptied().map_err(failed)?;
        let (mut crc, mut read_bytes) = (0, 0);
        loop {
            let count = file.read(buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            let piece = buffer.get(..count).unwrap_or_default();
            crc = crc32(crc, piece);
            read_bytes += count as u64;
            if read_bytes > object.size {
                return Err(changed());
            }
            sink(piece)?;
        }
        if read_bytes != object.size || object.crc32.is_some_and(|known| known != crc) {
            return Err(changed());
        }
        Ok(())
    }
}
