//! Who signed a request.

use super::arn::{Account, LayerArn, Region};

/// Who asks: an account, in a region.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The account, which owns what it publishes.
    pub account: Account,
    /// The region that is asked; it has layers of its own.
    pub region: Region,
    /// The organization that the account belongs to, if it does.
    pub organization: Option<String>,
}

impl Caller {
    /// The one whose layer it is, for whom the store itself is open.
    pub fn owner_of(layer: &LayerArn) -> Self {
        Self {
            account: layer.account.clone(),
            region: layer.region.clone(),
            organization: None,
        }
    }

    /// How the service calls this caller where it denies something.
    pub fn arn(&self) -> String {
        format!(
            "arn:{}:iam::{}:root",
            self.region.partition(),
            self.account.as_str()
        )
    }
}
