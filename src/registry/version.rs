//! What is kept of a version, and which versions a listing shows.

use std::fmt;
use std::str::FromStr;

use super::arn::VersionArn;
use crate::digest::Digest;
use crate::timestamp::Timestamp;

/// Text that no page gave out as its marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no marker")]
pub struct NotAMarker;

/// A version as it was published. Nothing of it ever changes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LayerVersion {
    /// Which one.
    pub arn: VersionArn,
    /// Empty where none was given.
    pub description: String,
    /// The licence.
    pub license_info: Option<String>,
    /// In the order given; `None` is not the same as none of them.
    pub compatible_runtimes: Option<Vec<String>>,
    /// In the order given.
    pub compatible_architectures: Option<Vec<String>>,
    /// Milliseconds since 1970 in UTC.
    pub created: i64,
    /// What was uploaded.
    pub code_sha256: Digest,
    /// Bytes of it.
    pub code_size: u64,
}

impl LayerVersion {
    /// When it was published, as the service writes it: `2018-11-14T23:03:52.894+0000`.
    pub fn created_date(&self) -> String {
        let seconds = Timestamp(self.created.div_euclid(1000)).to_string();
        format!(
            "{}.{:03}+0000",
            seconds.trim_end_matches('Z'),
            self.created.rem_euclid(1000)
        )
    }
}

/// What is known of a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VersionState {
    /// Its number was never given away.
    Absent,
    /// It was there once.
    Deleted,
    /// It is there.
    Present(Box<LayerVersion>),
}

/// Which versions a listing is to show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Only those that name this runtime.
    pub runtime: Option<String>,
    /// Only those that name this architecture; one that names none does not match.
    pub architecture: Option<String>,
}

impl Filter {
    /// Whether it shows this one.
    pub fn matches(&self, version: &LayerVersion) -> bool {
        let names = |wanted: &Option<String>, named: &Option<Vec<String>>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| named.as_ref().is_some_and(|named| named.contains(wanted)))
        };
        names(&self.runtime, &version.compatible_runtimes)
            && names(&self.architecture, &version.compatible_architectures)
    }
}

/// Where a page of a listing begins. Clients carry it from one page to the next as it is.
///
/// It names what was shown last and not a position, so that nothing is shown twice or left out whatever is published or deleted
/// between two pages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker(pub String);

impl fmt::Display for Marker {
    /// Hexadecimal digits: safe in a URL, and nothing that a client would want to make itself.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .bytes()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for Marker {
    type Err = NotAMarker;

    fn from_str(text: &str) -> Result<Self, NotAMarker> {
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let is_pair = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let pair = std::str::from_utf8(pair).ok().filter(|_| is_pair)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or(NotAMarker)?;
        String::from_utf8(bytes)
            .ok()
            .filter(|place| !place.is_empty())
            .map(Self)
            .ok_or(NotAMarker)
    }
}

#[cfg(test)]
pub(crate) fn sample(arn: &str) -> LayerVersion {
    LayerVersion {
        arn: arn.parse().unwrap_or_else(|error| panic!("{arn}: {error}")),
        description: String::new(),
        license_info: None,
        compatible_runtimes: None,
        compatible_architectures: None,
        created: 1_542_236_632_894,
        code_sha256: Digest([7; 32]),
        code_size: 169,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:layer:my-layer:1";

    #[test]
    fn dates_have_three_digits_of_a_second_and_an_offset() {
        let mut version = sample(ARN);
        assert_eq!(version.created_date(), "2018-11-14T23:03:52.894+0000");
        version.created = 1_542_236_632_007;
        assert_eq!(version.created_date(), "2018-11-14T23:03:52.007+0000");
    }

    #[test]
    fn a_filter_wants_to_be_named() {
        let mut version = sample(ARN);
        let arm = Filter {
            architecture: Some("arm64".to_owned()),
            ..Filter::default()
        };
        assert!(Filter::default().matches(&version));
        assert!(!arm.matches(&version), "no architecture is not every one");
        version.compatible_architectures = Some(vec!["x86_64".to_owned(), "arm64".to_owned()]);
        assert!(arm.matches(&version));
        let python = Filter {
            runtime: Some("python3.12".to_owned()),
            ..arm
        };
        assert!(!python.matches(&version));
    }

    #[test]
    fn markers_come_back_as_they_went() {
        let marker = Marker("my-layer".to_owned());
        assert_eq!(marker.to_string().parse(), Ok(marker));
        for bad in ["", "6", "zz", "ff", "+1"] {
            assert!(bad.parse::<Marker>().is_err(), "{bad}");
        }
    }
}
