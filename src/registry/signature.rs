//! AWS Signature Version 4, as a service checks it.
//!
//! From the AWS documentation, *Create a signed AWS API request*. What was signed is put together again from the request as it
//! came, and signed with the caller's secret key: only who has that key gets the same signature. Lambda's requests carry it in the
//! header `Authorization`; signatures in the query are not read.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

use super::error::{ApiError, Code};
use crate::digest::Digest;
use crate::timestamp::Timestamp;

/// The only algorithm there is.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The service that a request has to be signed for.
const SERVICE: &str = "lambda";
/// Seconds between the clocks of a caller and the service.
const MAX_SKEW_SECONDS: i64 = 5 * 60;

/// What a signature keeps as it is: the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same in a path.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The header `Authorization`, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Authorization {
    /// Whose key.
    pub access_key_id: String,
    /// `20261122`.
    date: String,
    /// The region that is asked.
    pub region: String,
    /// The service that is asked.
    service: String,
    /// In the order in which they were signed.
    signed_headers: Vec<String>,
    /// 64 hex digits, if it is one.
    signature: String,
}

/// A request as it came, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct Received<'r> {
    /// `GET`.
    pub method: &'r str,
    /// The path.
    pub path: &'r str,
    /// The query without its question mark.
    pub query: &'r str,
    /// Names in lower case and values, in the order in which they came.
    pub headers: &'r [(&'r str, &'r [u8])],
}

impl Received<'_> {
    /// The values of a header, joined as a signature has them; `None` if there is none of that name.
    fn header(&self, name: &str) -> Option<String> {
        let values: Vec<String> = self
            .headers
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| {
                let text = String::from_utf8_lossy(value);
                text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// The query in the order and the form that is signed.
    fn canonical_query(&self) -> String {
        let encode = |text: &str| {
            let decoded: Vec<u8> = percent_decode_str(text).collect();
            percent_encode(&decoded, RESERVED).to_string()
        };
        let mut pairs: Vec<(String, String)> = self
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (encode(key), encode(value)))
            .collect();
        pairs.sort_unstable();
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join("&")
    }

    /// The path as it is signed: without empty and relative parts, and encoded once more.
    fn canonical_path(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let end = if self.path.ends_with('/') && !parts.is_empty() {
            "/"
        } else {
            ""
        };
        let path = format!("/{}{end}", parts.join("/"));
        percent_encode(path.as_bytes(), RESERVED_IN_PATH).to_string()
    }
}

impl Authorization {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// [`Code::IncompleteSignature`], with what is missing.
    pub fn parse(header: &str) -> Result<Self, ApiError> {
        let incomplete = |why: &str| ApiError::new(Code::IncompleteSignature, why);
        let Some(rest) = header.strip_prefix(ALGORITHM) else {
            return Err(incomplete(
                "Authorization header requires 'AWS4-HMAC-SHA256' as its algorithm.",
            ));
        };
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => {}
            }
        }
        let missing = |name: &str| {
            incomplete(&format!(
                "Authorization header requires '{name}' parameter."
            ))
        };
        let credential = credential.ok_or_else(|| missing("Credential"))?;
        let signed_headers = signed_headers.ok_or_else(|| missing("SignedHeaders"))?;
        let signature = signature.ok_or_else(|| missing("Signature"))?;
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (end, service, region, date, access_key_id) = (next(), next(), next(), next(), next());
        if end != "aws4_request" || access_key_id.is_empty() {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        }
        Ok(Self {
            access_key_id,
            date,
            region,
            service,
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
        })
    }

    /// Whether the request is for this service and for now: what can be said before its body is there. Gives the moment at which
    /// it was signed.
    ///
    /// # Errors
    ///
    /// The service's answer.
    pub fn judge_scope(
        &self,
        received: &Received<'_>,
        now: Timestamp,
    ) -> Result<Timestamp, ApiError> {
        let wrong = |why: String| ApiError::new(Code::InvalidSignature, why);
        let signed_at = received.header("x-amz-date").ok_or_else(|| {
            ApiError::new(
                Code::IncompleteSignature,
                "Authorization header requires existence of a 'X-Amz-Date' header.",
            )
        })?;
        let signed_at = Timestamp::from_basic(&signed_at).ok_or_else(|| {
            ApiError::new(
                Code::IncompleteSignature,
                "Date must be in ISO-8601 'basic format'.",
            )
        })?;
        if self.service != SERVICE {
            return Err(wrong(format!(
                "Credential should be scoped to correct service: '{SERVICE}'."
            )));
        }
        if !signed_at.to_basic().starts_with(&self.date) || self.date.len() != 8 {
            return Err(wrong(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.".to_owned(),
            ));
        }
        if !self.signed_headers.iter().any(|name| name == "host") {
            return Err(wrong(
                "'Host' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        let (earliest, latest) = (now.0 - MAX_SKEW_SECONDS, now.0 + MAX_SKEW_SECONDS);
        if signed_at.0 < earliest {
            return Err(wrong(format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                signed_at.to_basic(),
                Timestamp(earliest).to_basic(),
                now.to_basic()
            )));
        }
        if signed_at.0 > latest {
            return Err(wrong(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                signed_at.to_basic(),
                Timestamp(latest).to_basic(),
                now.to_basic()
            )));
        }
        Ok(signed_at)
    }

    /// Whether who signed the request has this secret key; `body` is the digest of all of the body.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSignature`], in the service's words, and nothing about why.
    pub fn verify(
        &self,
        received: &Received<'_>,
        signed_at: Timestamp,
        body: &Digest,
        secret: &str,
    ) -> Result<(), ApiError> {
        let mut canonical = format!(
            "{}\n{}\n{}\n",
            received.method,
            received.canonical_path(),
            received.canonical_query()
        );
        for name in &self.signed_headers {
            let value = received.header(name).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(
            canonical,
            "\n{}\n{}",
            self.signed_headers.join(";"),
            body.hex()
        );
        let scope = format!("{}/{}/{SERVICE}/aws4_request", self.date, self.region);
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{scope}\n{}",
            signed_at.to_basic(),
            Digest(Sha256::digest(&canonical).into()).hex()
        );
        let key = [&self.date, &self.region, SERVICE, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
                sign(&key, part.as_bytes()).to_vec()
            });
        // Compared in constant time, so that nobody learns a signature digit by digit.
        let is_right = Digest::from_hex(self.signature.as_bytes())
            .is_ok_and(|signature| is_signed(&key, to_sign.as_bytes(), &signature.0));
        if is_right {
            return Ok(());
        }
        Err(ApiError::new(
            Code::InvalidSignature,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ))
    }
}

/// HMAC-SHA-256.
pub fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    hmac(key, message).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// Whether that is the HMAC-SHA-256 of the message; takes the same time whatever differs.
pub fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    hmac(key, message).is_some_and(|mac| mac.verify_slice(signature).is_ok())
}

/// `None` never comes: keys of any length are taken.
fn hmac(key: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const NOW: Timestamp = Timestamp(1_440_938_160);
    /// What botocore 1.44.8 signs for the request below.
    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=e00c8fcbaddd5c3eba9fbbba8883d83b56baff9aee9f5b09eca03b680d9438d1";

    const HEADERS: &[(&str, &[u8])] = &[
        ("host", b"127.0.0.1:4566"),
        ("x-amz-date", b"20150830T123600Z"),
    ];
    const REQUEST: Received<'static> = Received {
        method: "GET",
        path: "/2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Amy-layer/versions",
        query: "Marker=m%3D%2F&CompatibleRuntime=python3.12&MaxItems=5",
        headers: HEADERS,
    };

    fn empty() -> Digest {
        Digest(Sha256::digest(b"").into())
    }

    fn verify(header: &str, request: &Received<'_>, secret: &str) -> Result<(), ApiError> {
        let authorization = Authorization::parse(header)?;
        let signed_at = authorization.judge_scope(request, NOW)?;
        authorization.verify(request, signed_at, &empty(), secret)
    }

    #[test]
    fn what_botocore_signed_is_right_and_nothing_else_is() {
        assert_eq!(verify(HEADER, &REQUEST, SECRET), Ok(()));
        let refused = |header: &str, request: &Received<'_>, secret: &str| {
            let error = verify(header, request, secret).err();
            assert_eq!(
                error.map(|error| error.code),
                Some(Code::InvalidSignature),
                "{header} {request:?}"
            );
        };
        refused(HEADER, &REQUEST, "another secret");
        for (from, to) in [("Signature=", "Signature=0"), ("us-east-1", "eu-west-1")] {
            refused(&HEADER.replace(from, to), &REQUEST, SECRET);
        }
        for request in [
            Received {
                method: "DELETE",
                ..REQUEST
            },
            Received {
                path: "/2018-10-31/layers",
                ..REQUEST
            },
            Received {
                query: "",
                ..REQUEST
            },
            Received {
                headers: &[
                    ("host", b"127.0.0.1:4567"),
                    ("x-amz-date", b"20150830T123600Z"),
                ],
                ..REQUEST
            },
        ] {
            refused(HEADER, &request, SECRET);
        }
    }

    #[test]
    fn a_signature_holds_for_five_minutes_and_for_this_service() {
        let judge = |header: &str, now| {
            let authorization = Authorization::parse(header)?;
            authorization.judge_scope(&REQUEST, Timestamp(now))
        };
        assert!(judge(HEADER, NOW.0 + 300).is_ok());
        assert!(judge(HEADER, NOW.0 - 300).is_ok());
        for (header, now, message) in [
            (
                HEADER.to_owned(),
                NOW.0 + 301,
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)",
            ),
            (
                HEADER.to_owned(),
                NOW.0 - 301,
                "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)",
            ),
            (
                HEADER.replace("/lambda/", "/s3/"),
                NOW.0,
                "Credential should be scoped to correct service: 'lambda'.",
            ),
            (
                HEADER.replace("host;", ""),
                NOW.0,
                "'Host' must be a 'SignedHeader' in the AWS Authorization.",
            ),
        ] {
            assert_eq!(
                judge(&header, now).err(),
                Some(ApiError::new(Code::InvalidSignature, message))
            );
        }
    }

    #[test]
    fn what_is_no_signature_is_incomplete() {
        for header in [
            "",
            "Basic dXNlcjpwYXNz",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request",
            "AWS4-HMAC-SHA256 Credential=aws4_request, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/lambda/aws3_request, SignedHeaders=host, Signature=0",
        ] {
            let error = Authorization::parse(header).err();
            assert_eq!(
                error.map(|error| error.code),
                Some(Code::IncompleteSignature),
                "{header}"
            );
        }
    }
}
