//! Why a store did not do what was asked.

use std::io;

use object_store::path::Path as Key;

use crate::digest::Digest;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An object is not what we write.
    #[error("`{key}`: it is damaged, or of a later version")]
    Damaged {
        /// Which one.
        key: String,
    },
    /// Of several who created an object at once the store does not say who did.
    #[error("`{key}`: the store says that it is there, and does not give it")]
    Undecided {
        /// Which one.
        key: String,
    },
    /// An archive is not where a version says.
    #[error("the archive `{digest}` is gone")]
    Gone {
        /// Which one.
        digest: Digest,
    },
    /// The directory cannot be made or read.
    #[error("cannot {operation}: {source}")]
    Directory {
        /// What was attempted.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no store.
    #[error("there is no registry")]
    Missing,
    /// It does not do what every guarantee rests on.
    #[error("the store ignores `If-None-Match`, so two could be given the same number")]
    NotConditional,
    /// The store refused or could not be reached.
    #[error("cannot {operation} `{key}`: {source}")]
    Object {
        /// What was attempted.
        operation: &'static str,
        /// On which object.
        key: String,
        /// Why it failed.
        source: object_store::Error,
    },
}

impl StoreError {
    pub(super) fn object(
        operation: &'static str,
        key: &Key,
    ) -> impl FnOnce(object_store::Error) -> Self + use<> {
        let key = key.to_string();
        move |source| Self::Object {
            operation,
            key,
            source,
        }
    }
}
