//! What a layer is read from, and how that is opened: once, and never by its name again.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::Seek as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::Digest;
use crate::host::error::LayerLabel;

/// Where a layer is to be read from.
#[derive(Clone, Debug)]
pub enum LayerInput {
    /// A tree in the cache.
    Cached {
        /// What the user called it.
        name: String,
        /// The digest of the layer that it is of.
        digest: Digest,
    },
    /// A zip file or a directory of which somebody says what its digest is: that is believed to look it up, and verified when
    /// it is read.
    Expected {
        /// What the user called it.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
    /// A zip file that is open already.
    Open {
        /// What the user called it.
        name: String,
        /// The file.
        file: Arc<File>,
    },
    /// A zip file or a directory.
    Path(PathBuf),
    /// A zip on standard input.
    Stdin,
}

impl LayerInput {
    /// What the user called it.
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Cached { name, .. } | Self::Expected { name, .. } | Self::Open { name, .. } => {
                name.clone()
            }
            Self::Stdin => "-".to_owned(),
        }
    }

    /// How people name each of these layers.
    pub(in crate::host) fn labels(inputs: &[Self]) -> Vec<LayerLabel> {
        let place = |(input, number): (&Self, usize)| LayerLabel {
            number,
            of: inputs.len(),
            source: input.name(),
        };
        inputs.iter().zip(1..).map(place).collect()
    }
}

pub(in crate::host) fn open(input: &LayerInput) -> io::Result<File> {
    let path = match input {
        LayerInput::Cached { .. } => return Err(io::ErrorKind::NotFound.into()),
        LayerInput::Expected { path, .. } | LayerInput::Path(path) => path,
        LayerInput::Open { file, .. } => return file.try_clone(),
        LayerInput::Stdin => return spool_stdin(),
    };
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    let reason = "it is neither a file nor a directory";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Standard input as a file that nobody else can open: an index stands at the end of an archive, so it has to be there whole.
pub(in crate::host) fn spool_stdin() -> io::Result<File> {
    let mut spooled = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut spooled)?;
    spooled.rewind()?;
    Ok(spooled)
}
