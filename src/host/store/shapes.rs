//! The objects of a store, as they are written. Other versions of this program read them too.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::registry::{LayerVersion, Policy, Principal, Statement, VersionArn};

/// `versions/<n>`.
#[derive(Deserialize, Serialize)]
pub(super) struct VersionShape {
    arn: String,
    /// Who created the object, so that one whose answer was lost knows its own.
    pub(super) publication: String,
    created: i64,
    code_sha256: String,
    code_size: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    license_info: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compatible_runtimes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compatible_architectures: Option<Vec<String>>,
}

impl VersionShape {
    pub(super) fn new(version: &LayerVersion, publication: &str) -> Self {
        Self {
            arn: version.arn.to_string(),
            publication: publication.to_owned(),
            created: version.created,
            code_sha256: version.code_sha256.hex(),
            code_size: version.code_size,
            description: version.description.clone(),
            license_info: version.license_info.clone(),
            compatible_runtimes: version.compatible_runtimes.clone(),
            compatible_architectures: version.compatible_architectures.clone(),
        }
    }

    pub(super) fn into_version(self) -> Option<LayerVersion> {
        Some(LayerVersion {
            arn: self.arn.parse::<VersionArn>().ok()?,
            description: self.description,
            license_info: self.license_info,
            compatible_runtimes: self.compatible_runtimes,
            compatible_architectures: self.compatible_architectures,
            created: self.created,
            code_sha256: Digest::from_hex(self.code_sha256.as_bytes()).ok()?,
            code_size: self.code_size,
        })
    }
}

/// `deleted/<n>`.
#[derive(Deserialize, Serialize)]
pub(super) struct DeletedShape {
    /// Milliseconds since 1970.
    pub(super) deleted: i64,
}

/// `policy/<n>/<revision>`.
#[derive(Deserialize, Serialize)]
pub(super) struct PolicyShape {
    pub(super) revision_id: String,
    statements: Vec<StatementShape>,
}

#[derive(Deserialize, Serialize)]
struct StatementShape {
    sid: String,
    /// An account, or `*`.
    principal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
}

impl From<&Policy> for PolicyShape {
    fn from(policy: &Policy) -> Self {
        let statements = policy.statements.iter().map(|statement| StatementShape {
            sid: statement.sid.clone(),
            principal: match &statement.principal {
                Principal::Everybody => "*".to_owned(),
                Principal::Account(account) => account.as_str().to_owned(),
            },
            organization: statement.organization.clone(),
        });
        Self {
            revision_id: policy.revision_id.clone(),
            statements: statements.collect(),
        }
    }
}

impl PolicyShape {
    pub(super) fn into_policy(self) -> Option<Policy> {
        let statements = self.statements.into_iter().map(|statement| {
            Some(Statement {
                sid: statement.sid,
                principal: Principal::parse(&statement.principal)?,
                organization: statement.organization,
            })
        });
        Some(Policy {
            revision_id: self.revision_id,
            statements: statements.collect::<Option<_>>()?,
        })
    }
}

/// An object's bytes, as they are written.
pub(super) fn to_bytes(shape: &impl Serialize) -> Vec<u8> {
    // Strings and numbers alone cannot fail to be JSON.
    let mut bytes = serde_json::to_vec(shape).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// What was written; `None` if it is something else.
pub(super) fn from_bytes<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
