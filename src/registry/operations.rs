//! What is decided once the store has been asked: whether the caller may have it, and whether it is there.

use super::arn::VersionArn;
use super::caller::Caller;
use super::error::{ApiError, Code};
use super::policy::{ACTION, Policy};
use super::version::{LayerVersion, VersionState};

/// Whether a caller gets a version; `policy` is asked for only where the caller is not the owner.
///
/// A version that never was looks denied to a stranger, as users report it; one that was shared and is deleted is said to be
/// gone. A layer of the caller's own that has the same name is never meant.
///
/// # Errors
///
/// The service's answer.
pub fn get(
    caller: &Caller,
    arn: &VersionArn,
    found: VersionState,
    policy: Option<&Policy>,
) -> Result<Box<LayerVersion>, ApiError> {
    let may =
        arn.layer.account == caller.account || policy.is_some_and(|policy| policy.allows(caller));
    match found {
        VersionState::Present(version) if may => Ok(version),
        VersionState::Absent | VersionState::Deleted if may => Err(ApiError::no_such_resource()),
        _ => Err(denied(caller, ACTION, arn)),
    }
}

/// What has to be there before its policy is spoken of.
///
/// # Errors
///
/// The service's answer.
pub fn must_exist(arn: &VersionArn, found: VersionState) -> Result<Box<LayerVersion>, ApiError> {
    match found {
        VersionState::Present(version) => Ok(version),
        VersionState::Absent | VersionState::Deleted => Err(ApiError::new(
            Code::ResourceNotFound,
            format!("Layer version {arn} does not exist."),
        )),
    }
}

/// The answer to whom nothing allows it.
pub fn denied(caller: &Caller, action: &str, resource: &impl std::fmt::Display) -> ApiError {
    ApiError::new(
        Code::AccessDenied,
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no resource-based policy allows the {action} action",
            caller.arn()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Principal, Statement};
    use super::super::version::sample;
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:111111111111:layer:my-layer:1";

    fn caller(account: &str) -> Caller {
        Caller {
            account: account.parse().unwrap_or_default(),
            region: super::super::Region::default(),
            organization: None,
        }
    }

    fn for_everybody() -> Policy {
        Policy {
            revision_id: "r".to_owned(),
            statements: vec![Statement {
                sid: "s".to_owned(),
                principal: Principal::Everybody,
                organization: None,
            }],
        }
    }

    #[test]
    fn the_owner_needs_no_policy() {
        let arn = sample(ARN).arn;
        let owner = caller("111111111111");
        assert!(
            get(
                &owner,
                &arn,
                VersionState::Present(Box::new(sample(ARN))),
                None
            )
            .is_ok()
        );
        for found in [VersionState::Absent, VersionState::Deleted] {
            let answer = get(&owner, &arn, found, None);
            assert_eq!(answer.err(), Some(ApiError::no_such_resource()));
        }
    }

    #[test]
    fn a_stranger_needs_one_and_is_told_nothing_else() {
        let arn = sample(ARN).arn;
        let stranger = caller("222222222222");
        let policy = for_everybody();
        let there = || VersionState::Present(Box::new(sample(ARN)));
        for (found, policy) in [
            (there(), None),
            (VersionState::Absent, None),
            (VersionState::Deleted, None),
        ] {
            let answer = get(&stranger, &arn, found, policy);
            let error = answer.err();
            assert_eq!(error.as_ref().map(|error| error.code.status()), Some(403));
            assert_eq!(
                error.map(|error| error.message).as_deref(),
                Some(
                    "User: arn:aws:iam::222222222222:root is not authorized to perform: lambda:GetLayerVersion on resource: arn:aws:lambda:us-east-1:111111111111:layer:my-layer:1 because no resource-based policy allows the lambda:GetLayerVersion action"
                )
            );
        }
        assert!(get(&stranger, &arn, there(), Some(&policy)).is_ok());
        let gone = get(&stranger, &arn, VersionState::Deleted, Some(&policy));
        assert_eq!(gone.err(), Some(ApiError::no_such_resource()));
    }

    #[test]
    fn policies_are_those_of_versions_that_exist() {
        let error = must_exist(&sample(ARN).arn, VersionState::Deleted).err();
        assert_eq!(
            error,
            Some(ApiError::new(
                Code::ResourceNotFound,
                "Layer version arn:aws:lambda:us-east-1:111111111111:layer:my-layer:1 does not exist."
            ))
        );
    }
}
