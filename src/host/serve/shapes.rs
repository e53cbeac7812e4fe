//! Requests and answers as JSON, in the service's names, and the file of keys.

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::host::store::Page;
use crate::registry::call::{ContentFields, PermissionFields, PublishFields};
use crate::registry::error::MessageKey;
use crate::registry::{ApiError, Code, LayerVersion};

/// The body of `PublishLayerVersion`; the archive was taken out of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishShape {
    description: Option<String>,
    license_info: Option<String>,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
    content: Option<ContentShape>,
}

#[derive(Deserialize)]
struct ContentShape {
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3Key")]
    key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    object_version: Option<String>,
    #[serde(rename = "S3ObjectStorageMode")]
    storage_mode: Option<String>,
}

/// The body of `AddLayerVersionPermission`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PermissionShape {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    organization_id: Option<String>,
}

/// A file of keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysShape {
    #[serde(default)]
    pub(super) key: Vec<KeyShape>,
}

/// One key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyShape {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) account: String,
    pub(super) organization: Option<String>,
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new(Code::Serialization, error.to_string()))
}

/// Reads what is left of a body of `PublishLayerVersion`.
///
/// # Errors
///
/// [`Code::Serialization`].
pub(super) fn publish(rest: &[u8], has_zip_file: bool) -> Result<PublishFields, ApiError> {
    let shape: PublishShape = parse(rest)?;
    Ok(PublishFields {
        description: shape.description,
        license_info: shape.license_info,
        compatible_runtimes: shape.compatible_runtimes,
        compatible_architectures: shape.compatible_architectures,
        content: shape.content.map(|content| ContentFields {
            has_zip_file,
            bucket: content.bucket,
            key: content.key,
            object_version: content.object_version,
            storage_mode: content.storage_mode,
        }),
    })
}

/// Reads a body of `AddLayerVersionPermission`.
///
/// # Errors
///
/// [`Code::Serialization`].
pub(super) fn permission(body: &[u8]) -> Result<PermissionFields, ApiError> {
    let shape = if body.is_empty() {
        PermissionShape::default()
    } else {
        parse(body)?
    };
    Ok(PermissionFields {
        sid: shape.statement_id,
        action: shape.action,
        principal: shape.principal,
        organization: shape.organization_id,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StoredContent<'v> {
    location: &'v str,
    code_sha256: String,
    code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<StoredContent<'v>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_arn: Option<String>,
    layer_version_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'v str>,
    created_date: String,
    #[serde(rename = "Version")]
    number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible_runtimes: Option<&'v [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible_architectures: Option<&'v [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_info: Option<&'v str>,
}

impl<'v> Version<'v> {
    /// A version as it stands in a list: no content, and no description where none was given.
    fn in_a_list(version: &'v LayerVersion) -> Self {
        Self {
            content: None,
            layer_arn: None,
            layer_version_arn: version.arn.to_string(),
            description: Some(version.description.as_str()).filter(|text| !text.is_empty()),
            created_date: version.created_date(),
            number: version.arn.version,
            compatible_runtimes: version.compatible_runtimes.as_deref(),
            compatible_architectures: version.compatible_architectures.as_deref(),
            license_info: version.license_info.as_deref(),
        }
    }
}

/// One version, and where its archive is.
pub(super) fn version(version: &LayerVersion, location: &str) -> Vec<u8> {
    let digest = base64::engine::general_purpose::STANDARD.encode(version.code_sha256.0);
    to_json(&Version {
        content: Some(StoredContent {
            location,
            code_sha256: digest,
            code_size: version.code_size,
        }),
        layer_arn: Some(version.arn.layer.to_string()),
        description: Some(&version.description),
        ..Version::in_a_list(version)
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layers<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    layers: Vec<Layer<'v>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer<'v> {
    #[serde(rename = "LayerName")]
    name: &'v str,
    #[serde(rename = "LayerArn")]
    arn: String,
    latest_matching_version: Version<'v>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    layer_versions: Vec<Version<'v>>,
}

/// A page of layers.
pub(super) fn layers(page: &Page) -> Vec<u8> {
    to_json(&Layers {
        next_marker: page.next.as_ref().map(ToString::to_string),
        layers: page
            .items
            .iter()
            .map(|version| Layer {
                name: version.arn.layer.name.as_str(),
                arn: version.arn.layer.to_string(),
                latest_matching_version: Version::in_a_list(version),
            })
            .collect(),
    })
}

/// A page of versions.
pub(super) fn versions(page: &Page) -> Vec<u8> {
    to_json(&Versions {
        next_marker: page.next.as_ref().map(ToString::to_string),
        layer_versions: page
            .items
            .iter()
            .map(|version| Version::in_a_list(version))
            .collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyAnswer<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'p str>,
    revision_id: &'p str,
}

/// A statement that was added. It is a document inside a string, as the service sends it.
pub(super) fn statement(json: &str, revision_id: &str) -> Vec<u8> {
    to_json(&PolicyAnswer {
        statement: Some(json),
        policy: None,
        revision_id,
    })
}

/// A policy, in the same form.
pub(super) fn policy(json: &str, revision_id: &str) -> Vec<u8> {
    to_json(&PolicyAnswer {
        statement: None,
        policy: Some(json),
        revision_id,
    })
}

#[derive(Serialize)]
struct Refusal<'e> {
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    capital: Option<&'e str>,
    #[serde(rename = "message", skip_serializing_if = "Option::is_none")]
    small: Option<&'e str>,
}

/// An error; its type goes into a header.
pub(super) fn error(error: &ApiError) -> Vec<u8> {
    let key = error.code.message_key();
    let is_capital = matches!(key, MessageKey::Capital | MessageKey::CapitalWithType);
    let has_type = matches!(key, MessageKey::CapitalWithType | MessageKey::SmallWithType);
    let whose = if error.code == Code::Service {
        "Service"
    } else {
        "User"
    };
    let message = error.message.as_str();
    to_json(&Refusal {
        kind: has_type.then_some(whose),
        capital: is_capital.then_some(message),
        small: (!is_capital).then_some(message),
    })
}

/// Nothing here has a form that JSON has not.
fn to_json(shape: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(shape).unwrap_or_default()
}
