//! Whether an archive is one that the service would take as a layer.

use super::Archive;
use crate::archive::{Refusal, Strictness};
use crate::host::HostError;
use crate::host::budget::Budget;
use crate::host::source::{LoadOptions, verify_archive};
use crate::plan::Limits;
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
        let layer = verify_archive(file, name, options, budget).map_err(|error| match error {
            HostError::Limit(_) => Unpublishable::Api(ApiError::unzipped_too_large()),
            error => Unpublishable::Archive(error),
        })?;
        if layer.entries() == 0 {
            return Err(Unpublishable::Api(ApiError::empty_zip()));
        }
        Ok(layer.admitted().cloned().collect())
    }
}
