//! The names of layers and of their versions, as the service writes them.
//!
//! The patterns are those of the service's model (`LayerNameOrArn`, `LayerVersionArn`).

use std::fmt;
use std::str::FromStr;

/// Characters of the longest name.
pub const MAX_NAME_CHARACTERS: usize = 140;

/// Text that is none of the names here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAName {
    /// Neither a name nor the ARN of a layer.
    #[error(
        "it is neither a layer's name, which has at most 140 letters, digits, `-` and `_`, nor a layer's ARN"
    )]
    Layer,
    /// Not the ARN of a version.
    #[error("it is not the ARN of a layer version")]
    Version,
    /// Not an account.
    #[error("an account has 12 digits")]
    Account,
    /// Not a region.
    #[error("it is not the name of a region, such as `us-east-1`")]
    Region,
}

/// An account: twelve digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Account(String);

impl Account {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Account {
    /// 000000000000, which stands for whoever says nothing about accounts.
    fn default() -> Self {
        Self("0".repeat(12))
    }
}

impl FromStr for Account {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName::Account)
        }
    }
}

/// A region, such as `us-east-1`: a name of that form, whether AWS has it or not.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region(String);

impl Region {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that AWS has the region in.
    pub fn partition(&self) -> &'static str {
        const PARTITIONS: [(&str, &str); 7] = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("us-isob-", "aws-iso-b"),
            ("us-isof-", "aws-iso-f"),
            ("us-iso-", "aws-iso"),
            ("eu-isoe-", "aws-iso-e"),
            ("eusc-", "aws-eusc"),
        ];
        PARTITIONS
            .iter()
            .find(|(beginning, _)| self.0.starts_with(beginning))
            .map_or("aws", |(_, partition)| partition)
    }
}

impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl FromStr for Region {
    type Err = NotAName;

    /// `(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}`
    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_letters =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let parts: Vec<&str> = text
            .strip_prefix("eusc-")
            .unwrap_or(text)
            .split('-')
            .collect();
        let (area, middle, place, number) = match parts[..] {
            [area, place, number] => (area, None, place, number),
            [area, middle, place, number] => (area, Some(middle), place, number),
            _ => return Err(NotAName::Region),
        };
        let is_isolated = |middle: &str| {
            middle == "gov"
                || middle
                    .strip_prefix("iso")
                    .is_some_and(|rest| rest.is_empty() || rest.len() == 1 && is_letters(rest))
        };
        let is_region = area.len() == 2
            && is_letters(area)
            && middle.is_none_or(is_isolated)
            && is_letters(place)
            && number.len() == 1
            && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_region {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName::Region)
        }
    }
}

/// The name of a layer: 1 to 140 of `[a-zA-Z0-9-_]`, so it is also a safe name for a file.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerName(String);

impl LayerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_name = (1..=MAX_NAME_CHARACTERS).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName::Layer)
        }
    }
}

/// A layer: whose, where, and its name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LayerArn {
    /// Where it is.
    pub region: Region,
    /// Whose it is.
    pub account: Account,
    /// What it is called.
    pub name: LayerName,
}

impl fmt::Display for LayerArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "arn:{}:lambda:{}:{}:layer:{}",
            self.region.partition(),
            self.region.0,
            self.account.0,
            self.name.0
        )
    }
}

impl FromStr for LayerArn {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let (layer, version) = split(text).ok_or(NotAName::Layer)?;
        if version.is_some() {
            return Err(NotAName::Layer);
        }
        Ok(layer)
    }
}

/// A version of a layer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VersionArn {
    /// The layer.
    pub layer: LayerArn,
    /// The version, which is at least 1 where it exists.
    pub version: i64,
}

impl fmt::Display for VersionArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.layer, self.version)
    }
}

impl FromStr for VersionArn {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let Some((layer, Some(version))) = split(text) else {
            return Err(NotAName::Version);
        };
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAName::Version);
        }
        // The pattern allows any number of digits; one that no version has stands for all of them.
        let version = version.parse().unwrap_or(i64::MAX);
        Ok(Self { layer, version })
    }
}

/// Whether this is `arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+`, a layer of the service itself, which nobody else has.
pub fn is_of_the_service(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["arn", partition, "lambda", "", "", "awslayer", name]
        if is_word(partition, b"-") && is_word(name, b"-_"))
}

fn is_word(text: &str, also: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
}

/// An ARN's layer, and what stands behind it.
fn split(text: &str) -> Option<(LayerArn, Option<&str>)> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    if next()? != "arn" {
        return None;
    }
    let partition = next()?;
    // `(aws[a-zA-Z-]*)?`: it may be empty.
    let is_partition = partition.is_empty()
        || partition.strip_prefix("aws").is_some_and(|rest| {
            rest.bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        });
    if !is_partition || next()? != "lambda" {
        return None;
    }
    let region = next()?.parse().ok()?;
    let account = next()?.parse().ok()?;
    if next()? != "layer" {
        return None;
    }
    let name = next()?.parse().ok()?;
    let version = next();
    let layer = LayerArn {
        region,
        account,
        name,
    };
    next().is_none().then_some((layer, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_what_the_services_pattern_says() {
        for (text, version) in [
            ("arn:aws:lambda:us-east-1:123456789012:layer:my-layer:1", 1),
            ("arn:aws-cn:lambda:cn-north-1:123456789012:layer:a_b:20", 20),
            ("arn:aws:lambda:us-gov-west-1:123456789012:layer:a:0", 0),
            (
                "arn::lambda:eusc-de-east-1:123456789012:layer:a:99999999999999999999",
                i64::MAX,
            ),
        ] {
            let parsed = text.parse::<VersionArn>();
            assert_eq!(parsed.map(|arn| arn.version), Ok(version), "{text}");
        }
        for text in [
            "arn:aws:lambda:us-east-1:123456789012:layer:my-layer",
            "arn:aws:lambda:us-east-1:123456789012:layer:my-layer:",
            "arn:aws:lambda:us-east-1:123456789012:layer:my-layer:-1",
            "arn:aws:lambda:us-east-1:123456789012:layer:my-layer:1:1",
            "arn:aws:lambda:us-east-1:12345678901:layer:my-layer:1",
            "arn:aws:lambda:us-east-12:123456789012:layer:my-layer:1",
            "arn:aws:s3:us-east-1:123456789012:layer:my-layer:1",
            "arn:gcp:lambda:us-east-1:123456789012:layer:my-layer:1",
            "my-layer:1",
            "",
        ] {
            assert_eq!(text.parse::<VersionArn>(), Err(NotAName::Version), "{text}");
        }
    }

    #[test]
    fn an_arn_is_written_with_the_partition_of_its_region() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-iso-west-1", "aws-iso"),
        ] {
            let layer = LayerArn {
                region: region.parse().unwrap_or_default(),
                account: Account::default(),
                name: LayerName("x".to_owned()),
            };
            assert_eq!(
                layer.to_string(),
                format!("arn:{partition}:lambda:{region}:000000000000:layer:x")
            );
            assert_eq!(layer.to_string().parse(), Ok(layer));
        }
    }

    #[test]
    fn names_have_at_most_140_harmless_characters() {
        assert!("a-B_9".parse::<LayerName>().is_ok());
        assert!("a".repeat(140).parse::<LayerName>().is_ok());
        for bad in ["", "a.b", "../a", "a b", "a:1", "\u{e9}"] {
            assert!(bad.parse::<LayerName>().is_err(), "{bad}");
        }
        assert!("a".repeat(141).parse::<LayerName>().is_err());
    }

    #[test]
    fn the_services_own_layers_are_recognised() {
        assert!(is_of_the_service(
            "arn:aws:lambda:::awslayer:AmazonLinux1803"
        ));
        assert!(!is_of_the_service(
            "arn:aws:lambda:us-east-1::awslayer:AmazonLinux1803"
        ));
    }
}
