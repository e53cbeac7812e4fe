//! Why a request is not answered as it asks.

use super::upload::UploadError;
use crate::host::store::StoreError;
use crate::registry::{ApiError, Code};

/// Why a request has no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<UploadError> for Refused {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Api(error) => Self::Api(error),
            UploadError::Io(source) => Self::Store(StoreError::Directory {
                operation: "keep the archive",
                source,
            }),
        }
    }
}

impl Refused {
    pub(super) fn into_error(self) -> ApiError {
        match self {
            Self::Api(error) => error,
            Self::Store(error) => {
                // Where it is, and what is wrong with it, is for who runs this server.
                tracing::error!(%error, "the store failed");
                ApiError::new(Code::Service, "The store of this registry failed.")
            }
        }
    }
}
