//! Links to archives: whoever has one gets that archive without credentials, for ten minutes.
//!
//! They are signed with the store's secret, so that every server of a store takes the links of all others.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::digest::Digest;
use crate::registry::LayerVersion;
use crate::registry::signature::{is_signed, sign};
use crate::timestamp::Timestamp;

/// What the path of a link begins with.
pub(super) const ROOT: &str = "/snapshots/";
/// Seconds that a link holds, as the service's do.
const EXPIRES_SECONDS: i64 = 600;
/// Seconds that the clock of another server of the store may be ahead.
const MAX_SKEW_SECONDS: i64 = 60;

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BadLink {
    Expired,
    NotSigned,
}

/// Makes links and knows its own.
pub(super) struct Links {
    secret: Vec<u8>,
}

impl fmt::Debug for Links {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Links").finish_non_exhaustive()
    }
}

impl Links {
    pub(super) const fn new(secret: Vec<u8>) -> Self {
        Self { secret }
    }

    /// Path and query of the link to a version's archive.
    pub(super) fn to(&self, version: &LayerVersion, now: Timestamp) -> String {
        let path = format!(
            "{ROOT}{}/{}-{}",
            version.arn.layer.account.as_str(),
            version.arn.layer.name.as_str(),
            version.code_sha256.hex()
        );
        let date = now.to_basic();
        let signature = Digest(sign(&self.secret, signed(&path, &date).as_bytes())).hex();
        format!(
            "{path}?X-Amz-Date={date}&X-Amz-Expires={EXPIRES_SECONDS}&X-Amz-Signature={signature}"
        )
    }

    /// The archive that a link leads to.
    pub(super) fn follow(
        &self,
        path: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<Digest, BadLink> {
        let parameter = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
        };
        let date = parameter("X-Amz-Date").ok_or(BadLink::NotSigned)?;
        let signature = parameter("X-Amz-Signature").ok_or(BadLink::NotSigned)?;
        let signature = Digest::from_hex(signature.as_bytes()).map_err(|_| BadLink::NotSigned)?;
        if !is_signed(&self.secret, signed(path, &date).as_bytes(), &signature.0) {
            return Err(BadLink::NotSigned);
        }
        // What is signed is ours, and so of the right form.
        let made = Timestamp::from_basic(&date).ok_or(BadLink::NotSigned)?;
        let age = now.0 - made.0;
        if !(-MAX_SKEW_SECONDS..EXPIRES_SECONDS).contains(&age) {
            return Err(BadLink::Expired);
        }
        let digest = path.rsplit('-').next().unwrap_or_default();
        Digest::from_hex(digest.as_bytes()).map_err(|_| BadLink::NotSigned)
    }
}

fn signed(path: &str, date: &str) -> String {
    format!("{path}\n{date}\n{EXPIRES_SECONDS}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::version::sample;

    #[test]
    fn a_link_holds_for_ten_minutes_and_for_one_archive() {
        let version = sample("arn:aws:lambda:us-east-1:123456789012:layer:my-layer:1");
        let links = Links::new(vec![1; 32]);
        let now = Timestamp(1_700_000_000);
        let link = links.to(&version, now);
        let (path, query) = link.split_once('?').unwrap_or_default();
        let follow =
            |path: &str, query: &str, later| links.follow(path, query, Timestamp(now.0 + later));
        assert_eq!(follow(path, query, 0), Ok(version.code_sha256));
        assert_eq!(follow(path, query, 599), Ok(version.code_sha256));
        assert_eq!(follow(path, query, 600), Err(BadLink::Expired));
        let other = path.replace("my-layer", "other");
        assert_eq!(follow(&other, query, 0), Err(BadLink::NotSigned));
        let other = path.replace(&version.code_sha256.hex(), &Digest([8; 32]).hex());
        assert_eq!(follow(&other, query, 0), Err(BadLink::NotSigned));
        let longer = query.replace(&now.to_basic(), &Timestamp(now.0 + 60).to_basic());
        assert_eq!(follow(path, &longer, 0), Err(BadLink::NotSigned));
        for query in [
            "",
            "X-Amz-Date=&X-Amz-Signature=",
            "X-Amz-Signature=%ff&X-Amz-Date=%",
        ] {
            assert_eq!(follow(path, query, 0), Err(BadLink::NotSigned));
        }
        let stranger = Links::new(vec![2; 32]);
        assert_eq!(stranger.follow(path, query, now), Err(BadLink::NotSigned));
    }
}
