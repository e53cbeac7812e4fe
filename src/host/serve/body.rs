//! The body of a request: an archive goes to a file, the rest to memory, and nobody may take too much or too long.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use super::refused::Refused;
use super::shapes;
use super::upload::{self, Upload};
use crate::digest::Digest;
use crate::host::store::Spool;
use crate::registry::call::{Call, Fields};
use crate::registry::request::MAX_BODY_BYTES;
use crate::registry::{ApiError, Code};

/// Bytes of a body that holds no archive.
const MAX_SMALL_BODY_BYTES: u64 = 256 << 10;
/// Bytes that are still read of a body that is too long: clients that are not listened to do not listen either.
const MAX_IGNORED_BYTES: u64 = 4 * MAX_BODY_BYTES;
/// How long a body may take that is short.
const BODY_PATIENCE: Duration = Duration::from_secs(20);
/// For each of so many bytes that came, it may take a second more.
const BODY_BYTES_A_SECOND: u64 = 64 << 10;

/// What came of a body.
pub(super) struct Taken {
    small: Vec<u8>,
    upload: Option<Upload<Spool>>,
    hash: Option<Sha256>,
}

impl Taken {
    /// For a body whose archive, if it takes one, goes to `archive`, and whose digest is wanted where it is signed.
    pub(super) fn new(archive: Option<Spool>, is_signed: bool) -> Self {
        Self {
            small: Vec::new(),
            upload: archive.map(Upload::new),
            hash: is_signed.then(Sha256::new),
        }
    }

    /// Takes all of it. Of one that is refused the rest is read and forgotten, since clients speak first and listen then.
    pub(super) async fn take(
        &mut self,
        mut body: Incoming,
        headers: &HeaderMap,
    ) -> Result<(), Refused> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > self.limit()) {
            // Who asks first is not told to send it.
            if !headers.contains_key(header::EXPECT) {
                ignore(body).await;
            }
            return Err(self.too_large());
        }
        let mut pace = Pace::new();
        while let Some(bytes) = pace.next(&mut body).await? {
            if let Err(refused) = self.take_part(&bytes, &pace) {
                ignore(body).await;
                return Err(refused);
            }
        }
        Ok(())
    }

    fn take_part(&mut self, bytes: &[u8], pace: &Pace) -> Result<(), Refused> {
        if pace.bytes > self.limit() {
            return Err(self.too_large());
        }
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if let Some(upload) = &mut self.upload {
            upload.push(bytes)?;
        } else {
            self.small.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Bytes that the body may have.
    const fn limit(&self) -> u64 {
        if self.upload.is_some() {
            MAX_BODY_BYTES
        } else {
            MAX_SMALL_BODY_BYTES
        }
    }

    fn too_large(&self) -> Refused {
        // No other operation has a body that could be.
        let operation = if self.upload.is_some() {
            upload::OPERATION
        } else {
            "AddLayerVersionPermission"
        };
        ApiError::body_too_large(operation, self.limit()).into()
    }

    /// The digest of the body, where somebody wants to know it.
    pub(super) fn digest(&self) -> Digest {
        Digest(self.hash.clone().unwrap_or_default().finalize().into())
    }

    pub(super) fn into_fields(self, call: &Call) -> Result<(Fields, Option<Spool>), ApiError> {
        if let Some(upload) = self.upload {
            let (rest, spool) = upload.finish();
            let fields = shapes::publish(&rest, spool.is_some())?;
            return Ok((Fields::Publish(fields), spool));
        }
        let fields = match call {
            Call::AddPermission { .. } => Fields::Permission(shapes::permission(&self.small)?),
            _ => Fields::None,
        };
        Ok((fields, None))
    }
}

/// Reads a body and forgets it, as far as that is worth it.
pub(super) async fn ignore(mut body: Incoming) {
    let mut pace = Pace::new();
    while let Ok(Some(_)) = pace.next(&mut body).await {
        if pace.bytes > MAX_IGNORED_BYTES {
            return;
        }
    }
}

/// How fast a body comes: who sends too slowly is not waited for.
struct Pace {
    start: Instant,
    bytes: u64,
}

impl Pace {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            bytes: 0,
        }
    }

    async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, ApiError> {
        let incomplete = || ApiError::new(Code::Serialization, "the body ended before its end");
        loop {
            let allowed = BODY_PATIENCE + Duration::from_secs(self.bytes / BODY_BYTES_A_SECOND);
            let left = allowed.saturating_sub(self.start.elapsed());
            let frame = tokio::time::timeout(left, body.frame()).await;
            let frame = frame
                .map_err(|_| ApiError::new(Code::Serialization, "the body comes too slowly"))?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(bytes) = frame.map_err(|_| incomplete())?.into_data() {
                self.bytes += bytes.len() as u64;
                return Ok(Some(bytes));
            }
        }
    }
}
