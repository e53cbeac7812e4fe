//! Where archives come from that are published from S3: folders of this machine, or a service that speaks S3.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "s3")]
use object_store::GetOptions;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, GetResult, ObjectStore, ObjectStoreExt as _};

use crate::registry::ApiError;

/// Where the buckets are.
#[derive(Clone, Debug, Default)]
pub enum Objects {
    /// Nowhere: nothing is published from S3.
    #[default]
    None,
    /// A directory with a folder for each bucket.
    Directory(PathBuf),
    /// A service with this URL; credentials are those of every AWS tool.
    #[cfg(feature = "s3")]
    Endpoint(String),
}

impl Objects {
    /// An object.
    ///
    /// # Errors
    ///
    /// The service's answer, with what S3 says.
    pub(super) async fn get(
        &self,
        bucket: &str,
        key: &str,
        version: Option<String>,
    ) -> Result<GetResult, ApiError> {
        let object = Key::parse(key).map_err(|_| no_such_key())?;
        match self {
            Self::None => Err(ApiError::get_object(
                "NoSuchBucket",
                "The specified bucket does not exist. This registry has none: it is told of them with --s3-root or --s3-endpoint",
            )),
            Self::Directory(root) => from_directory(root, bucket, &object, version).await,
            #[cfg(feature = "s3")]
            Self::Endpoint(url) => {
                let bucket = crate::host::store::bucket::connect_to(bucket, "", Some(url.clone()));
                let bucket = bucket.map_err(|error| refused(&error))?;
                from_bucket(&bucket, &object, version).await
            }
        }
    }
}

async fn from_directory(
    root: &Path,
    bucket: &str,
    key: &Key,
    version: Option<String>,
) -> Result<GetResult, ApiError> {
    let no_such_bucket =
        || ApiError::get_object("NoSuchBucket", "The specified bucket does not exist");
    // A name of a bucket has no slash, but it can be `..`.
    let is_inside = !bucket.starts_with('.');
    let folder = root.join(bucket);
    if !is_inside || !folder.is_dir() {
        return Err(no_such_bucket());
    }
    // What is not versioned has this one version.
    if version.is_some_and(|version| version != "null") {
        return Err(ApiError::get_object(
            "NoSuchVersion",
            "The specified version does not exist.",
        ));
    }
    let bucket = LocalFileSystem::new_with_prefix(folder).map_err(|_| no_such_bucket())?;
    let bucket: Arc<dyn ObjectStore> = Arc::new(bucket);
    bucket.get(key).await.map_err(|error| refused(&error))
}

#[cfg(feature = "s3")]
async fn from_bucket(
    bucket: &Arc<dyn ObjectStore>,
    key: &Key,
    version: Option<String>,
) -> Result<GetResult, ApiError> {
    let options = GetOptions {
        version,
        ..GetOptions::default()
    };
    let got = bucket.get_opts(key, options).await;
    got.map_err(|error| refused(&error))
}

fn no_such_key() -> ApiError {
    ApiError::get_object("NoSuchKey", "The specified key does not exist.")
}

/// What S3 said, or what kept it from saying anything.
fn refused(error: &Error) -> ApiError {
    let text = error.to_string();
    for (code, message) in [
        ("NoSuchBucket", "The specified bucket does not exist"),
        ("NoSuchVersion", "The specified version does not exist."),
    ] {
        if text.contains(code) {
            return ApiError::get_object(code, message);
        }
    }
    match error {
        Error::NotFound { .. } => no_such_key(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            ApiError::get_object("AccessDenied", "Access Denied")
        }
        _ => {
            tracing::warn!(%error, "cannot read the object");
            ApiError::get_object("ServiceUnavailable", "Please reduce your request rate.")
        }
    }
}
