//! Buckets of S3, and of what speaks like it.
//!
//! Keys, region and endpoint are those of every AWS tool: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
//! `AWS_REGION`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or what the machine's role gives.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

/// How long a request is tried again that a service does not answer, or not well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bucket, seen from a prefix.
pub(super) fn connect(bucket: &str, prefix: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    connect_to(bucket, prefix, endpoint)
}

/// The same at an endpoint, where one is named.
pub(in crate::host) fn connect_to(
    bucket: &str,
    prefix: &str,
    endpoint: Option<String>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    // The first one wins, and every one is the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(RetryConfig {
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        })
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if let Some(endpoint) = endpoint {
        // Who names such an endpoint means it: it is a service of this machine or this network.
        builder = builder
            .with_allow_http(endpoint.starts_with("http://"))
            .with_endpoint(endpoint);
    }
    let bucket = builder.build()?;
    Ok(if prefix.is_empty() {
        Arc::new(bucket)
    } else {
        Arc::new(PrefixStore::new(bucket, prefix))
    })
}
