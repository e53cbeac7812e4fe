//! Where an archive is that a request publishes.

/// Where an archive to be published is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ArchiveSource {
    /// It came with the request.
    Uploaded,
    /// In S3.
    Object {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
        /// Its version.
        version: Option<String>,
    },
}
