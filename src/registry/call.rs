//! Which operation a request is for, by its method and path, and what it holds, not judged.

/// The version of the API, the first segment of every path.
const API: &str = "2018-10-31";

/// An operation as it was called: what stands in path and query, not judged.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// `PublishLayerVersion`; its other parameters are in the body.
    Publish {
        /// `LayerName`.
        name: String,
    },
    /// `GetLayerVersion`.
    Get {
        /// `LayerName`.
        name: String,
        /// `VersionNumber`.
        version: String,
    },
    /// `GetLayerVersionByArn`.
    GetByArn {
        /// `Arn`.
        arn: Option<String>,
    },
    /// `ListLayers`.
    ListLayers(ListCall),
    /// `ListLayerVersions`.
    ListVersions {
        /// `LayerName`.
        name: String,
        /// The rest.
        list: ListCall,
    },
    /// `DeleteLayerVersion`.
    Delete {
        /// `LayerName`.
        name: String,
        /// `VersionNumber`.
        version: String,
    },
    /// `AddLayerVersionPermission`; its other parameters are in the body.
    AddPermission {
        /// `LayerName`.
        name: String,
        /// `VersionNumber`.
        version: String,
        /// `RevisionId`, which stands in the query here too.
        revision: Option<String>,
    },
    /// `GetLayerVersionPolicy`.
    GetPolicy {
        /// `LayerName`.
        name: String,
        /// `VersionNumber`.
        version: String,
    },
    /// `RemoveLayerVersionPermission`.
    RemovePermission {
        /// `LayerName`.
        name: String,
        /// `VersionNumber`.
        version: String,
        /// `StatementId`.
        sid: String,
        /// `RevisionId`.
        revision: Option<String>,
    },
}

/// The parameters that both listings have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListCall {
    /// `CompatibleRuntime`.
    pub runtime: Option<String>,
    /// `CompatibleArchitecture`.
    pub architecture: Option<String>,
    /// `Marker`.
    pub marker: Option<String>,
    /// `MaxItems`.
    pub max_items: Option<String>,
}

impl Call {
    /// Which operation this is; `None` for what is none on layers. Segments and parameters are decoded.
    pub fn route(method: &str, path: &[String], query: &[(String, String)]) -> Option<Self> {
        let parameter = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let list = || ListCall {
            runtime: parameter("CompatibleRuntime"),
            architecture: parameter("CompatibleArchitecture"),
            marker: parameter("Marker"),
            max_items: parameter("MaxItems"),
        };
        let (root, rest) = path.split_at_checked(2)?;
        if root != [API, "layers"] {
            return None;
        }
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let call = match (method, &rest[..]) {
            // One path for two operations: only this parameter tells them apart.
            ("GET", [] | [""]) if parameter("find").as_deref() == Some("LayerVersion") => {
                Self::GetByArn {
                    arn: parameter("Arn"),
                }
            }
            ("GET", [] | [""]) => Self::ListLayers(list()),
            ("POST", [name, "versions"]) => Self::Publish {
                name: (*name).to_owned(),
            },
            ("GET", [name, "versions"]) => Self::ListVersions {
                name: (*name).to_owned(),
                list: list(),
            },
            ("GET", [name, "versions", version]) => Self::Get {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            },
            ("DELETE", [name, "versions", version]) => Self::Delete {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            },
            ("POST", [name, "versions", version, "policy"]) => Self::AddPermission {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                revision: parameter("RevisionId"),
            },
            ("GET", [name, "versions", version, "policy"]) => Self::GetPolicy {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            },
            ("DELETE", [name, "versions", version, "policy", sid]) => Self::RemovePermission {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                sid: (*sid).to_owned(),
                revision: parameter("RevisionId"),
            },
            _ => return None,
        };
        Some(call)
    }
}

/// The body of `PublishLayerVersion` without the archive itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublishFields {
    /// `Description`.
    pub description: Option<String>,
    /// `LicenseInfo`.
    pub license_info: Option<String>,
    /// `CompatibleRuntimes`.
    pub compatible_runtimes: Option<Vec<String>>,
    /// `CompatibleArchitectures`.
    pub compatible_architectures: Option<Vec<String>>,
    /// `Content`.
    pub content: Option<ContentFields>,
}

/// `Content` of `PublishLayerVersion`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContentFields {
    /// Whether `ZipFile` was there.
    pub has_zip_file: bool,
    /// `S3Bucket`.
    pub bucket: Option<String>,
    /// `S3Key`.
    pub key: Option<String>,
    /// `S3ObjectVersion`.
    pub object_version: Option<String>,
    /// `S3ObjectStorageMode`; whichever it is, the archive is copied.
    pub storage_mode: Option<String>,
}

/// The body of `AddLayerVersionPermission`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PermissionFields {
    /// `StatementId`.
    pub sid: Option<String>,
    /// `Action`.
    pub action: Option<String>,
    /// `Principal`.
    pub principal: Option<String>,
    /// `OrganizationId`.
    pub organization: Option<String>,
}

/// What came in the body of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fields {
    /// Nothing that matters.
    None,
    /// A permission.
    Permission(PermissionFields),
    /// A version.
    Publish(PublishFields),
}
