//! What is asked for, judged: whether the service's model allows its parameters, and who may ask at all.
//!
//! Clients check next to nothing of it themselves, only what is required and lower bounds, so every bad value comes here, and is
//! refused in the service's words.

use super::archive_source::ArchiveSource;
use super::arn::{self, LayerArn, VersionArn};
use super::call::{Call, Fields, ListCall, PermissionFields, PublishFields};
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::policy::{ACTION, Principal, Statement};
use super::runtimes;
use super::version::{Filter, Marker};
use super::violations::{Named, Violations, is_architecture};

/// Bytes of the largest request: 50 MiB of an archive in base64, and 256 KiB for the rest (an answer of 2024-10).
pub const MAX_BODY_BYTES: u64 = 70_167_211;
/// Items of a page where the caller does not say.
pub const PAGE_ITEMS: usize = 50;

/// A request that the service would carry out, or refuse for what it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Publish a version.
    Publish(Publish),
    /// Get a version.
    Get(VersionArn),
    /// Get a layer of the service itself: nobody has any here.
    GetOfTheService,
    /// List layers.
    ListLayers(Listing),
    /// List versions of a layer.
    ListVersions(LayerArn, Listing),
    /// Delete a version.
    Delete(VersionArn),
    /// Add a statement to a version's policy, if its revision is the one named.
    AddPermission(VersionArn, Statement, Option<String>),
    /// Get a version's policy.
    GetPolicy(VersionArn),
    /// Remove a statement, if the policy's revision is the one named.
    RemovePermission(VersionArn, String, Option<String>),
}

/// A version to be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publish {
    /// The layer.
    pub layer: LayerArn,
    /// Empty where none was given.
    pub description: String,
    /// The licence.
    pub license_info: Option<String>,
    /// In the order given.
    pub compatible_runtimes: Option<Vec<String>>,
    /// In the order given.
    pub compatible_architectures: Option<Vec<String>>,
    /// Where the archive is.
    pub content: ArchiveSource,
}

/// Which page of a listing is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing {
    /// What it shows.
    pub filter: Filter,
    /// What was shown last.
    pub after: Option<String>,
    /// Items of the page at most, at least 1.
    pub items: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            after: None,
            items: PAGE_ITEMS,
        }
    }
}

impl Request {
    /// Judges a call and its body: every parameter by the service's model, and whether a caller of another account may ask for
    /// it at all. Getting a version is not decided here, as its policy may allow it.
    ///
    /// # Errors
    ///
    /// The service's answer.
    pub fn judge(call: Call, fields: Fields, caller: &Caller) -> Result<Self, ApiError> {
        match call {
            Call::Publish { name } => publish(&name, fields, caller).map(Self::Publish),
            Call::Get { name, version } => {
                let arn = version_arn(&name, &version, caller)?;
                not_below_one(&arn)?;
                Ok(Self::Get(arn))
            }
            Call::GetByArn { arn } => get_by_arn(arn.as_deref(), caller),
            Call::ListLayers(list) => listing(list).map(Self::ListLayers),
            Call::ListVersions { name, list } => {
                let mut violations = Violations::default();
                let layer = violations.layer(&name);
                let listing = judge_list(list, &mut violations);
                violations.finish()?;
                let layer = layer_of(layer, caller)?;
                owned(&layer, &layer, caller, "lambda:ListLayerVersions")?;
                Ok(Self::ListVersions(layer, listing?))
            }
            Call::Delete { name, version } => {
                let arn = version_arn(&name, &version, caller)?;
                not_below_one(&arn)?;
                owned(&arn.layer, &arn, caller, "lambda:DeleteLayerVersion")?;
                Ok(Self::Delete(arn))
            }
            Call::AddPermission {
                name,
                version,
                revision,
            } => add_permission(&name, &version, revision, fields, caller),
            Call::GetPolicy { name, version } => {
                let arn = version_arn(&name, &version, caller)?;
                owned(&arn.layer, &arn, caller, "lambda:GetLayerVersionPolicy")?;
                Ok(Self::GetPolicy(arn))
            }
            Call::RemovePermission {
                name,
                version,
                sid,
                revision,
            } => {
                let mut violations = Violations::default();
                let layer = violations.layer(&name);
                let number = violations.version(&version);
                violations.sid(Some(&sid));
                violations.finish()?;
                let arn = VersionArn {
                    layer: layer_of(layer, caller)?,
                    version: number,
                };
                owned(
                    &arn.layer,
                    &arn,
                    caller,
                    "lambda:RemoveLayerVersionPermission",
                )?;
                Ok(Self::RemovePermission(arn, sid, revision))
            }
        }
    }
}

fn publish(name: &str, fields: Fields, caller: &Caller) -> Result<Publish, ApiError> {
    let fields = match fields {
        Fields::Publish(fields) => fields,
        Fields::None | Fields::Permission(_) => PublishFields::default(),
    };
    let mut violations = Violations::default();
    // Runtimes come before architectures in a recorded answer; the order of the others is not known.
    violations.runtimes(fields.compatible_runtimes.as_deref());
    violations.architectures(fields.compatible_architectures.as_deref());
    let layer = violations.layer(name);
    let description = fields.description.unwrap_or_default();
    violations.at_most("description", &description, 256);
    if let Some(license) = &fields.license_info {
        violations.at_most("licenseInfo", license, 512);
        violations.line("licenseInfo", license);
    }
    let content = violations.content(fields.content);
    violations.finish()?;
    let layer = layer_of(layer, caller)?;
    owned(&layer, &layer, caller, "lambda:PublishLayerVersion")?;
    let content = content.ok_or_else(|| {
        ApiError::new(
            Code::InvalidParameterValue,
            "Please provide a source for the layer content.",
        )
    })?;
    Ok(Publish {
        layer,
        description,
        license_info: fields.license_info,
        compatible_runtimes: fields.compatible_runtimes,
        compatible_architectures: fields.compatible_architectures,
        content,
    })
}

fn add_permission(
    name: &str,
    version: &str,
    revision: Option<String>,
    fields: Fields,
    caller: &Caller,
) -> Result<Request, ApiError> {
    let fields = match fields {
        Fields::Permission(fields) => fields,
        Fields::None | Fields::Publish(_) => PermissionFields::default(),
    };
    let mut violations = Violations::default();
    let layer = violations.layer(name);
    let number = violations.version(version);
    violations.sid(fields.sid.as_deref());
    match fields.action.as_deref() {
        None => violations.missing("action"),
        Some(ACTION) => {}
        Some(action) => violations.pattern("action", action, ACTION),
    }
    let principal = match fields.principal.as_deref() {
        None => {
            violations.missing("principal");
            None
        }
        Some(text) => {
            let principal = Principal::parse(text);
            if principal.is_none() {
                violations.pattern(
                    "principal",
                    text,
                    r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root",
                );
            }
            principal
        }
    };
    if let Some(organization) = &fields.organization
        && !is_organization(organization)
    {
        violations.pattern("organizationId", organization, "o-[a-z0-9]{10,32}");
    }
    violations.finish()?;
    let arn = VersionArn {
        layer: layer_of(layer, caller)?,
        version: number,
    };
    owned(&arn.layer, &arn, caller, "lambda:AddLayerVersionPermission")?;
    let statement = Statement {
        sid: fields.sid.unwrap_or_default(),
        // What could not be read was refused above.
        principal: principal.unwrap_or(Principal::Everybody),
        organization: fields.organization,
    };
    Ok(Request::AddPermission(arn, statement, revision))
}

fn get_by_arn(text: Option<&str>, caller: &Caller) -> Result<Request, ApiError> {
    const PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)";
    let mut violations = Violations::default();
    let Some(text) = text else {
        violations.missing("arn");
        return violations.finish().map(|()| Request::GetOfTheService);
    };
    if arn::is_of_the_service(text) {
        return Ok(Request::GetOfTheService);
    }
    let parsed = text.parse::<VersionArn>();
    if parsed.is_err() {
        violations.pattern("arn", text, PATTERN);
    }
    violations.finish()?;
    let arn = parsed.map_err(|_| ApiError::no_such_resource())?;
    in_region(&arn.layer, caller)?;
    not_below_one(&arn)?;
    Ok(Request::Get(arn))
}

fn version_arn(name: &str, version: &str, caller: &Caller) -> Result<VersionArn, ApiError> {
    let mut violations = Violations::default();
    let layer = violations.layer(name);
    let number = violations.version(version);
    violations.finish()?;
    Ok(VersionArn {
        layer: layer_of(layer, caller)?,
        version: number,
    })
}

fn not_below_one(arn: &VersionArn) -> Result<(), ApiError> {
    if arn.version < 1 {
        return Err(ApiError::new(
            Code::InvalidParameterValue,
            "Layer Version Cannot be less than 1",
        ));
    }
    Ok(())
}

fn layer_of(named: Option<Named>, caller: &Caller) -> Result<LayerArn, ApiError> {
    match named {
        Some(Named::Arn(arn)) => in_region(&arn, caller).map(|()| arn),
        Some(Named::Name(name)) => Ok(LayerArn {
            region: caller.region.clone(),
            account: caller.account.clone(),
            name,
        }),
        // A name that is none was refused before.
        None => Err(ApiError::no_such_resource()),
    }
}

fn in_region(layer: &LayerArn, caller: &Caller) -> Result<(), ApiError> {
    if layer.region == caller.region {
        return Ok(());
    }
    Err(ApiError::new(
        Code::InvalidParameterValue,
        format!("Invalid Layer name: {layer}"),
    ))
}

/// Only the owner may do what no policy can allow.
fn owned(
    layer: &LayerArn,
    resource: &impl std::fmt::Display,
    caller: &Caller,
    action: &str,
) -> Result<(), ApiError> {
    if layer.account == caller.account {
        return Ok(());
    }
    Err(super::operations::denied(caller, action, resource))
}

fn listing(list: ListCall) -> Result<Listing, ApiError> {
    let mut violations = Violations::default();
    let listing = judge_list(list, &mut violations);
    violations.finish()?;
    listing
}

/// What breaks the model goes to `violations`, what else is wrong into the result.
fn judge_list(list: ListCall, violations: &mut Violations) -> Result<Listing, ApiError> {
    if let Some(runtime) = &list.runtime
        && !runtimes::is_known(runtime)
    {
        violations.value(
            "compatibleRuntime",
            runtime,
            &format!("Member must satisfy enum value set: {}", runtimes::LISTED),
        );
    }
    if let Some(architecture) = &list.architecture
        && !is_architecture(architecture)
    {
        violations.value(
            "compatibleArchitecture",
            architecture,
            "Member must satisfy enum value set: [x86_64, arm64]",
        );
    }
    let items = match list.max_items.as_deref() {
        None => PAGE_ITEMS,
        Some(text) => match text.parse::<i64>() {
            Ok(items) if items < 1 => {
                violations.value(
                    "maxItems",
                    text,
                    "Member must have value greater than or equal to 1",
                );
                PAGE_ITEMS
            }
            Ok(items) => usize::try_from(items)
                .ok()
                .filter(|&items| items <= PAGE_ITEMS)
                .unwrap_or_else(|| {
                    violations.value(
                        "maxItems",
                        text,
                        "Member must have value less than or equal to 50",
                    );
                    PAGE_ITEMS
                }),
            Err(_) => {
                violations.value("maxItems", text, "Member must be a number");
                PAGE_ITEMS
            }
        },
    };
    let after = match list.marker.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse::<Marker>().map_err(|_| invalid_marker())?.0),
    };
    Ok(Listing {
        filter: Filter {
            runtime: list.runtime,
            architecture: list.architecture,
        },
        after,
        items,
    })
}

/// A marker that no page gave out.
pub fn invalid_marker() -> ApiError {
    ApiError::new(Code::InvalidParameterValue, "Invalid marker")
}

/// Whether it is the name of an organization: `o-[a-z0-9]{10,32}`.
pub fn is_organization(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|rest| {
        (10..=32).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
