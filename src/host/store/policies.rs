//! Policies: each change creates the next revision.

use object_store::path::Path as Key;

use super::error::StoreError;
use super::open::{Store, new_uuid, numbered};
use super::shapes::{PolicyShape, from_bytes, to_bytes};
use super::versions::folder_of;
use crate::registry::{ApiError, Policy, VersionArn};

impl Store {
    /// The policy of a version, whether that is there or not.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn policy(&self, arn: &VersionArn) -> Result<Option<Policy>, StoreError> {
        let folder = policies_of(arn);
        let number = self.highest(&folder).await?;
        self.read_policy(&folder, number).await
    }

    /// Changes the policy of a version. Of several who change it at once each sees what the one before made.
    ///
    /// # Errors
    ///
    /// What the store answers, or, inside, why `change` refuses.
    pub async fn change_policy(
        &self,
        arn: &VersionArn,
        change: impl Fn(Option<&Policy>, String) -> Result<Policy, ApiError>,
    ) -> Result<Result<Policy, ApiError>, StoreError> {
        let folder = policies_of(arn);
        let revision_id = new_uuid()?;
        loop {
            let number = self.highest(&folder).await?;
            let before = self.read_policy(&folder, number).await?;
            if let Some(policy) = &before
                && policy.revision_id == revision_id
            {
                // It was created, and only the answer was lost.
                return Ok(Ok(policy.clone()));
            }
            let after = match change(before.as_ref(), revision_id.clone()) {
                Ok(after) => after,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let bytes = to_bytes(&PolicyShape::from(&after));
            if self.create(&numbered(&folder, number + 1), bytes).await? {
                self.remember_highest(&folder, number + 1);
                return Ok(Ok(after));
            }
        }
    }

    async fn read_policy(&self, folder: &Key, number: u64) -> Result<Option<Policy>, StoreError> {
        if number == 0 {
            return Ok(None);
        }
        let key = numbered(folder, number);
        let damaged = || StoreError::Damaged {
            key: key.to_string(),
        };
        let bytes = self.read(&key).await?.ok_or_else(damaged)?;
        let policy = from_bytes::<PolicyShape>(&bytes).and_then(PolicyShape::into_policy);
        policy.map(Some).ok_or_else(damaged)
    }
}

fn policies_of(arn: &VersionArn) -> Key {
    folder_of(&arn.layer)
        .join("policy")
        .join(arn.version.to_string())
}
