//! A layer as people type it.

use super::arn::{LayerArn, NotAName, VersionArn};
use super::caller::Caller;

/// A layer as people type it: `NAME`, `NAME:VERSION`, or an ARN with or without a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// The layer.
    pub layer: LayerArn,
    /// The version; the newest one where none is named.
    pub version: Option<i64>,
}

impl Reference {
    /// Reads one; a name alone is one of the caller's own layers.
    ///
    /// # Errors
    ///
    /// [`NotAName::Layer`].
    pub fn parse(text: &str, caller: &Caller) -> Result<Self, NotAName> {
        if let Ok(VersionArn { layer, version }) = text.parse() {
            return Ok(Self {
                layer,
                version: Some(version),
            });
        }
        if let Ok(layer) = text.parse() {
            return Ok(Self {
                layer,
                version: None,
            });
        }
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let version = match version {
            Some(digits) if is_number(digits) => Some(digits.parse().map_err(|_| NotAName::Layer)?),
            Some(_) => return Err(NotAName::Layer),
            None => None,
        };
        Ok(Self {
            layer: LayerArn {
                region: caller.region.clone(),
                account: caller.account.clone(),
                name: name.parse()?,
            },
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arn::{Account, Region};
    use super::*;

    #[test]
    fn a_reference_is_a_name_or_an_arn_with_or_without_a_version() {
        let caller = Caller {
            account: Account::default(),
            region: Region::default(),
            organization: None,
        };
        let arn = "arn:aws:lambda:us-east-1:000000000000:layer:x";
        for (text, version) in [
            ("x".to_owned(), None),
            ("x:7".to_owned(), Some(7)),
            (arn.to_owned(), None),
            (format!("{arn}:7"), Some(7)),
        ] {
            let parsed = Reference::parse(&text, &caller);
            let parsed = parsed.map(|parsed| (parsed.layer.to_string(), parsed.version));
            assert_eq!(parsed, Ok((arn.to_owned(), version)), "{text}");
        }
        for bad in [
            "",
            "x:",
            "x:y",
            "x:1:2",
            "x:-1",
            "a/b",
            "x.zip",
            "sha256:00",
        ] {
            let is_number = bad == "sha256:00";
            assert_eq!(Reference::parse(bad, &caller).is_ok(), is_number, "{bad}");
        }
    }
}
