//! Whether an archive is one that the service would take as a layer.

use std::fs::File;

use super::blobs::Archive;
use crate::archive::{Refusal, Strictness};
use crate::host::error::{HostError, LayerLabel};
use crate::host::read::entry::Reader;
use crate::host::read::index::Index;
use crate::host::read::options::LoadOptions;
use crate::host::system::budget::Budget;
use crate::layer::{Layer, LayerForm, NameHasher};
use crate::plan::{LimitExceeded, Limits};
use crate::quota::MAX_UNZIPPED_BYTES;
use crate::registry::{ApiError, Code};

/// Why an archive is not published.
#[derive(Debug, thiserror::Error)]
pub enum Unpublishable {
    /// The service says so in a sentence of its own.
    #[error(transparent)]
    Api(ApiError),
    /// It cannot be unzipped, or not be read.
    #[error(transparent)]
    Archive(HostError),
}

impl From<Unpublishable> for ApiError {
    /// The service has one sentence for all that cannot be unzipped.
    fn from(why: Unpublishable) -> Self {
        match why {
            Unpublishable::Api(error) => error,
            Unpublishable::Archive(error @ HostError::Io { .. }) => {
                Self::new(Code::Service, error.to_string())
            }
            Unpublishable::Archive(error) => {
                tracing::debug!(%error, "not published");
                Self::not_a_zip()
            }
        }
    }
}

impl Archive {
    /// Verifies every entry, as something that nobody could unzip is not worth keeping, and gives what was waived. The archive is
    /// named as `name`.
    ///
    /// # Errors
    ///
    /// [`Unpublishable`].
    pub fn judge(&self, name: &str, budget: &Budget) -> Result<Vec<Refusal>, Unpublishable> {
        let options = LoadOptions {
            strictness: Strictness::Lenient,
            limits: Limits {
                max_bytes: MAX_UNZIPPED_BYTES - 1,
                ..Limits::default()
            },
            ..LoadOptions::default()
        };
        let file = self.file().map_err(|source| {
            Unpublishable::Archive(HostError::Io {
                operation: "open the archive again",
                place: name.to_owned(),
                layer: None,
                source,
            })
        })?;
        let layer = verify_archive(&file, name, options, budget).map_err(|error| match error {
            HostError::Limit(_) => Unpublishable::Api(ApiError::unzipped_too_large()),
            error => Unpublishable::Archive(error),
        })?;
        if layer.entries() == 0 {
            return Err(Unpublishable::Api(ApiError::empty_zip()));
        }
        Ok(layer.waived().cloned().collect())
    }
}

/// Judges an archive that is no layer of a stack yet, and verifies every entry of it: what nobody could unzip is not worth
/// keeping. The layer is named as `name` if it is refused.
///
/// # Errors
///
/// The rule that it breaks, or the limit that it exceeds; nothing is inflated beyond `limits`.
fn verify_archive(
    file: &File,
    name: &str,
    options: LoadOptions<'_>,
    budget: &Budget,
) -> Result<Layer, HostError> {
    let place = LayerLabel {
        number: 1,
        of: 1,
        source: name.to_owned(),
    };
    let Index { mut layer, .. } = Index::read(file, &place, options, budget, &NameHasher::new())?;
    let unzipped_bytes = layer.unzipped_bytes;
    if unzipped_bytes > options.limits.max_bytes {
        return Err(HostError::Limit(LimitExceeded::Bytes {
            bytes: unzipped_bytes,
            limit: options.limits.max_bytes,
        }));
    }
    let LayerForm::Archive(archive) = &layer.form else {
        return Ok(layer);
    };
    let mut reader = Reader::new(budget);
    for (index, _) in (0..).zip(archive.entries()) {
        reader.read_entry(file, archive, index, &place, |_| Ok(()))?;
    }
    layer.waive(reader.waived);
    Ok(layer)
}
