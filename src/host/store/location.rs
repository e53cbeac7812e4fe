//! Where a store is, as it is written.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a store is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket, and what all keys in it begin with.
    #[cfg(feature = "s3")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// Without slashes around it; may be empty.
        prefix: String,
    },
}

impl Location {
    /// Reads `s3://bucket/prefix`, or a path.
    ///
    /// # Errors
    ///
    /// Why it is no place for a store.
    pub fn parse(text: &Path) -> Result<Self, &'static str> {
        let Some(rest) = text.to_str().and_then(|text| text.strip_prefix("s3://")) else {
            return Ok(Self::Directory(text.to_owned()));
        };
        if rest.is_empty() || rest.starts_with('/') {
            return Err("it names no bucket");
        }
        #[cfg(feature = "s3")]
        {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(Self::Bucket {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            })
        }
        #[cfg(not(feature = "s3"))]
        Err("this build has no `s3` feature")
    }

    /// The directory that it is, if it is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            #[cfg(feature = "s3")]
            Self::Bucket { .. } => None,
        }
    }

    /// Whether an object in a bucket is one of this store's.
    #[cfg_attr(
        not(feature = "s3"),
        expect(unused_variables, reason = "no store is in a bucket then")
    )]
    pub fn holds(&self, bucket: &str, key: &str) -> bool {
        match self {
            Self::Directory(_) => false,
            #[cfg(feature = "s3")]
            Self::Bucket {
                bucket: own,
                prefix,
            } => {
                let rest = key.strip_prefix(prefix.as_str());
                own == bucket && rest.is_some_and(|rest| prefix.is_empty() || rest.starts_with('/'))
            }
        }
    }

    /// Whether reaching it takes a network.
    pub const fn is_remote(&self) -> bool {
        match self {
            Self::Directory(_) => false,
            #[cfg(feature = "s3")]
            Self::Bucket { .. } => true,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(formatter, "{}", path.display()),
            #[cfg(feature = "s3")]
            Self::Bucket { bucket, prefix } => write!(formatter, "s3://{bucket}/{prefix}"),
        }
    }
}
