//! Who else may get a version: its policy.
//!
//! From the Lambda Developer Guide, *Granting layer access to other accounts*, and recorded answers.

use std::fmt::Write as _;

use super::arn::{Account, VersionArn};
use super::caller::Caller;
use super::error::{ApiError, Code};

/// The only thing that can be allowed.
pub const ACTION: &str = "lambda:GetLayerVersion";
/// Bytes of the longest document (quota *Resource-based policy size*).
pub const MAX_DOCUMENT_BYTES: usize = 20_480;

/// Whom a statement means.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Principal {
    /// `*`: everybody, or everybody of an organization.
    Everybody,
    /// Everybody of an account.
    Account(Account),
}

impl Principal {
    /// Reads `\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        if let Ok(account) = text.parse() {
            return Some(Self::Account(account));
        }
        let rest = text.strip_prefix("arn:aws")?.strip_suffix(":root")?;
        let (partition, account) = rest.split_once(":iam::")?;
        let is_partition = partition
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        let account = account.parse().ok()?;
        is_partition.then_some(Self::Account(account))
    }
}

/// One permission.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// Its name: `[a-zA-Z0-9-_]+`.
    pub sid: String,
    /// Whom it means.
    pub principal: Principal,
    /// Only those of this organization: `o-[a-z0-9]{10,32}`.
    pub organization: Option<String>,
}

impl Statement {
    /// The statement as it stands in the document about `version`.
    pub fn to_json(&self, version: &VersionArn) -> String {
        // No value here has a character that JSON would escape: all were judged by their patterns.
        let principal = match &self.principal {
            Principal::Everybody => "\"*\"".to_owned(),
            Principal::Account(account) => format!(
                "{{\"AWS\":\"arn:{}:iam::{}:root\"}}",
                version.layer.region.partition(),
                account.as_str()
            ),
        };
        let mut json = format!(
            "{{\"Sid\":\"{}\",\"Effect\":\"Allow\",\"Principal\":{principal},\"Action\":\"{ACTION}\",\"Resource\":\"{version}\"",
            self.sid
        );
        if let Some(organization) = &self.organization {
            // Writing to a string does not fail.
            let _ = write!(
                json,
                ",\"Condition\":{{\"StringEquals\":{{\"aws:PrincipalOrgID\":\"{organization}\"}}}}"
            );
        }
        json.push('}');
        json
    }

    fn allows(&self, caller: &Caller) -> bool {
        let is_meant = match &self.principal {
            Principal::Everybody => true,
            Principal::Account(account) => *account == caller.account,
        };
        is_meant && (self.organization.is_none() || self.organization == caller.organization)
    }
}

/// The policy of one version. Each change makes a new one with another revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// A UUID.
    pub revision_id: String,
    /// In the order in which they were added.
    pub statements: Vec<Statement>,
}

impl Policy {
    /// The document, in one line.
    pub fn to_json(&self, version: &VersionArn) -> String {
        let statements: Vec<String> = self
            .statements
            .iter()
            .map(|statement| statement.to_json(version))
            .collect();
        format!(
            "{{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[{}]}}",
            statements.join(",")
        )
    }

    /// Whether it lets the caller get the version.
    pub fn allows(&self, caller: &Caller) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.allows(caller))
    }

    /// The policy with one more statement; `before` is the present one, and `revision` what the caller takes for it. A name that
    /// is there already is told before a stale revision: nobody has recorded what the service does.
    ///
    /// # Errors
    ///
    /// What forbids it, in the service's words.
    pub fn with(
        before: Option<&Self>,
        version: &VersionArn,
        statement: Statement,
        revision: Option<&str>,
        new_revision: String,
    ) -> Result<Self, ApiError> {
        let mut statements = before.map_or_else(Vec::new, |policy| policy.statements.clone());
        if statements.iter().any(|other| other.sid == statement.sid) {
            return Err(ApiError::new(
                Code::ResourceConflict,
                format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    statement.sid
                ),
            ));
        }
        judge_revision(before, revision)?;
        statements.push(statement);
        let policy = Self {
            revision_id: new_revision,
            statements,
        };
        let bytes = policy.to_json(version).len();
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(ApiError::new(
                Code::PolicyLengthExceeded,
                format!(
                    "The final policy size ({bytes}) is bigger than the limit ({MAX_DOCUMENT_BYTES})."
                ),
            ));
        }
        Ok(policy)
    }

    /// The policy without the statement of this name. One without statements is none; nobody has recorded otherwise.
    ///
    /// # Errors
    ///
    /// What forbids it, in the service's words.
    pub fn without(
        before: Option<&Self>,
        sid: &str,
        revision: Option<&str>,
        new_revision: String,
    ) -> Result<Self, ApiError> {
        let before = present(before)?;
        judge_revision(Some(before), revision)?;
        let mut statements = before.statements.clone();
        statements.retain(|statement| statement.sid != sid);
        if statements.len() == before.statements.len() {
            return Err(ApiError::new(
                Code::ResourceNotFound,
                format!("Statement {sid} is not found in resource policy."),
            ));
        }
        Ok(Self {
            revision_id: new_revision,
            statements,
        })
    }
}

/// The policy, if there is one to speak of.
///
/// # Errors
///
/// The service's sentence that there is none.
pub fn present(policy: Option<&Policy>) -> Result<&Policy, ApiError> {
    policy
        .filter(|policy| !policy.statements.is_empty())
        .ok_or_else(|| {
            ApiError::new(
                Code::ResourceNotFound,
                "No policy is associated with the given resource.",
            )
        })
}

fn judge_revision(policy: Option<&Policy>, revision: Option<&str>) -> Result<(), ApiError> {
    let latest = policy.map(|policy| policy.revision_id.as_str());
    if revision.is_some() && revision != latest {
        return Err(ApiError::new(
            Code::PreconditionFailed,
            "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> VersionArn {
        "arn:aws:lambda:us-east-1:111111111111:layer:my-layer:1"
            .parse()
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn statement(sid: &str, principal: &str, organization: Option<&str>) -> Statement {
        Statement {
            sid: sid.to_owned(),
            principal: Principal::parse(principal).unwrap_or(Principal::Everybody),
            organization: organization.map(str::to_owned),
        }
    }

    fn caller(account: &str, organization: Option<&str>) -> Caller {
        Caller {
            account: account.parse().unwrap_or_default(),
            region: super::super::Region::default(),
            organization: organization.map(str::to_owned),
        }
    }

    #[track_caller]
    fn refused(outcome: Result<Policy, ApiError>) -> (u16, &'static str, String) {
        match outcome {
            Ok(policy) => panic!("it was done: {policy:?}"),
            Err(error) => (error.code.status(), error.code.name(), error.message),
        }
    }

    #[test]
    fn the_document_is_the_services() {
        let policy = Policy {
            revision_id: "r1".to_owned(),
            statements: vec![
                statement("s1", "*", None),
                statement("s2", "222222222222", None),
                statement("s3", "*", Some("o-t194hfs8cz")),
            ],
        };
        let arn = version();
        assert_eq!(
            policy.to_json(&arn),
            format!(
                "{{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[\
                 {{\"Sid\":\"s1\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"lambda:GetLayerVersion\",\"Resource\":\"{arn}\"}},\
                 {{\"Sid\":\"s2\",\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"arn:aws:iam::222222222222:root\"}},\"Action\":\"lambda:GetLayerVersion\",\"Resource\":\"{arn}\"}},\
                 {{\"Sid\":\"s3\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"lambda:GetLayerVersion\",\"Resource\":\"{arn}\",\"Condition\":{{\"StringEquals\":{{\"aws:PrincipalOrgID\":\"o-t194hfs8cz\"}}}}}}]}}"
            )
        );
    }

    #[test]
    fn principals_are_accounts_everybody_and_roots() {
        let account = |digits: &str| digits.parse().ok().map(Principal::Account);
        assert_eq!(Principal::parse("*"), Some(Principal::Everybody));
        assert_eq!(Principal::parse("222222222222"), account("222222222222"));
        assert_eq!(
            Principal::parse("arn:aws-cn:iam::222222222222:root"),
            account("222222222222")
        );
        for bad in [
            "",
            "**",
            "22222222222",
            "arn:aws:iam::222222222222:user/x",
            "arn:gcp:iam::222222222222:root",
            "arn:aws\":iam::222222222222:root",
        ] {
            assert_eq!(Principal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn statements_are_added_once_and_by_who_knows_the_revision() {
        let arn = version();
        let first = Policy::with(
            None,
            &arn,
            statement("s1", "*", None),
            None,
            "r1".to_owned(),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            refused(Policy::with(
                Some(&first),
                &arn,
                statement("s1", "*", None),
                None,
                "r2".to_owned()
            )),
            (
                409,
                "ResourceConflictException",
                "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement.".to_owned()
            )
        );
        let stale = (
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id".to_owned(),
        );
        assert_eq!(
            refused(Policy::with(
                Some(&first),
                &arn,
                statement("s2", "*", None),
                Some("r0"),
                "r2".to_owned()
            )),
            stale
        );
        assert_eq!(
            refused(Policy::without(
                Some(&first),
                "s1",
                Some("r0"),
                "r2".to_owned()
            )),
            stale
        );
        let second = Policy::with(
            Some(&first),
            &arn,
            statement("s2", "222222222222", None),
            Some("r1"),
            "r2".to_owned(),
        );
        assert_eq!(
            second
                .as_ref()
                .map(|policy| policy.revision_id.as_str())
                .ok(),
            Some("r2")
        );
        let third = second
            .and_then(|policy| Policy::without(Some(&policy), "s1", Some("r2"), "r3".to_owned()));
        assert_eq!(
            third.map(|policy| policy.statements),
            Ok(vec![statement("s2", "222222222222", None)])
        );
    }

    #[test]
    fn what_is_not_there_cannot_be_removed() {
        let none = (
            404,
            "ResourceNotFoundException",
            "No policy is associated with the given resource.".to_owned(),
        );
        assert_eq!(
            refused(Policy::without(None, "s1", None, "r".to_owned())),
            none
        );
        let policy = Policy {
            revision_id: "r1".to_owned(),
            statements: vec![statement("s1", "*", None)],
        };
        assert_eq!(
            refused(Policy::without(
                Some(&policy),
                "doesnotexist",
                None,
                "r2".to_owned()
            )),
            (
                404,
                "ResourceNotFoundException",
                "Statement doesnotexist is not found in resource policy.".to_owned()
            )
        );
        let empty = Policy::without(Some(&policy), "s1", None, "r2".to_owned()).ok();
        assert!(present(empty.as_ref()).is_err());
    }

    #[test]
    fn a_policy_has_at_most_20480_bytes() {
        let arn = version();
        let mut policy = None;
        let mut number = 0;
        let error = loop {
            let sid = format!("{number:0100}");
            match Policy::with(
                policy.as_ref(),
                &arn,
                statement(&sid, "*", None),
                None,
                "r".to_owned(),
            ) {
                Ok(next) => policy = Some(next),
                Err(error) => break error,
            }
            number += 1;
        };
        assert_eq!(error.code.name(), "PolicyLengthExceededException");
        assert_eq!(error.code.status(), 400);
        assert!(
            error.message.starts_with("The final policy size (20")
                && error
                    .message
                    .ends_with(") is bigger than the limit (20480)."),
            "{error}"
        );
        assert!(policy.is_some_and(|policy| policy.to_json(&arn).len() <= 20_480));
    }

    #[test]
    fn it_allows_whom_it_names() {
        let other = caller("222222222222", None);
        let member = caller("333333333333", Some("o-t194hfs8cz"));
        for (statement, allows_other, allows_member) in [
            (statement("s", "*", None), true, true),
            (statement("s", "222222222222", None), true, false),
            (statement("s", "*", Some("o-t194hfs8cz")), false, true),
            (
                statement("s", "222222222222", Some("o-t194hfs8cz")),
                false,
                false,
            ),
        ] {
            let policy = Policy {
                revision_id: String::new(),
                statements: vec![statement],
            };
            assert_eq!(policy.allows(&other), allows_other, "{policy:?}");
            assert_eq!(policy.allows(&member), allows_member, "{policy:?}");
        }
    }
}
