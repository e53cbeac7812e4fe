//! Whose requests are answered: everybody's, or those signed with a key that is known.

use std::collections::HashMap;
use std::fmt;

use super::shapes::KeysShape;
use crate::digest::Digest;
use crate::registry::request::is_organization;
use crate::registry::signature::{Authorization, Received};
use crate::registry::{Account, ApiError, Caller, Code};
use crate::timestamp::Timestamp;

/// The keys that callers sign with.
#[derive(Debug, Default)]
pub struct Keys(HashMap<String, Key>);

struct Key {
    secret: String,
    account: Account,
    organization: Option<String>,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret is shown to nobody.
        formatter
            .debug_struct("Key")
            .field("account", &self.account)
            .field("organization", &self.organization)
            .finish_non_exhaustive()
    }
}

/// Why a file of keys is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It is not TOML, or has other fields.
    #[error("{0}")]
    Form(String),
    /// An account is none.
    #[error("key {number} (`{access_key_id}`): `account` is not 12 digits")]
    Account {
        /// Which key, counted from 1.
        number: usize,
        /// Its name.
        access_key_id: String,
    },
    /// Two keys have one name.
    #[error("key {number} (`{access_key_id}`): another key has this `access_key_id`")]
    Twice {
        /// Which key, counted from 1.
        number: usize,
        /// Its name.
        access_key_id: String,
    },
    /// A name or a secret has no characters.
    #[error(
        "key {number} (`{access_key_id}`): `access_key_id` and `secret_access_key` cannot be empty"
    )]
    Empty {
        /// Which key, counted from 1.
        number: usize,
        /// Its name.
        access_key_id: String,
    },
    /// An organization is none, and would never match.
    #[error(
        "key {number} (`{access_key_id}`): `organization` is not `o-` and 10 to 32 small letters and digits"
    )]
    Organization {
        /// Which key, counted from 1.
        number: usize,
        /// Its name.
        access_key_id: String,
    },
    /// There is none.
    #[error("it has no `[[key]]`")]
    None,
}

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and with which key. No message has a secret in it.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let file: KeysShape = toml::from_str(text).map_err(|error| {
            // The whole message quotes the line, and with it a secret.
            let line = error.span().map_or_else(String::new, |span| {
                let before = text.get(..span.start).unwrap_or_default();
                format!("line {}: ", before.matches('\n').count() + 1)
            });
            // A value of another type is quoted too.
            let message = error.message();
            let message = match message.find(", expected ") {
                Some(at) if message.starts_with("invalid ") => {
                    message.get(at + 2..).unwrap_or_default()
                }
                _ => message,
            };
            KeysError::Form(format!("{line}{message}"))
        })?;
        let mut keys = HashMap::new();
        for (number, shape) in (1..).zip(file.key) {
            let access_key_id = shape.access_key_id;
            if access_key_id.is_empty() || shape.secret_access_key.is_empty() {
                return Err(KeysError::Empty {
                    number,
                    access_key_id,
                });
            }
            let Ok(account) = shape.account.parse() else {
                return Err(KeysError::Account {
                    number,
                    access_key_id,
                });
            };
            if let Some(organization) = &shape.organization
                && !is_organization(organization)
            {
                return Err(KeysError::Organization {
                    number,
                    access_key_id,
                });
            }
            let key = Key {
                secret: shape.secret_access_key,
                account,
                organization: shape.organization,
            };
            if keys.insert(access_key_id.clone(), key).is_some() {
                return Err(KeysError::Twice {
                    number,
                    access_key_id,
                });
            }
        }
        if keys.is_empty() {
            return Err(KeysError::None);
        }
        Ok(Self(keys))
    }

    /// Whether none are known, so that signatures are not verified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who sends a request, as far as can be told before its body is there. Without keys a 12-digit access key id is the account,
    /// and whoever says nothing is `anybody`.
    ///
    /// # Errors
    ///
    /// The service's answer.
    pub(super) fn identify(
        &self,
        received: &Received<'_>,
        authorization: Option<&str>,
        anybody: &Caller,
        now: Timestamp,
    ) -> Result<Identity<'_>, ApiError> {
        let Some(header) = authorization else {
            if !self.is_empty() {
                return Err(ApiError::new(
                    Code::MissingAuthenticationToken,
                    "Missing Authentication Token",
                ));
            }
            return Ok(Identity {
                caller: anybody.clone(),
                unverified: None,
            });
        };
        let authorization = Authorization::parse(header)?;
        let region = authorization.region.parse().map_err(|_| {
            ApiError::new(
                Code::InvalidSignature,
                "Credential should be scoped to a valid region.",
            )
        })?;
        if self.is_empty() {
            let account = authorization.access_key_id.parse();
            let account = account.unwrap_or_else(|_| anybody.account.clone());
            return Ok(Identity {
                caller: Caller {
                    account,
                    region,
                    organization: None,
                },
                unverified: None,
            });
        }
        let key = self.0.get(&authorization.access_key_id).ok_or_else(|| {
            ApiError::new(
                Code::UnrecognizedClient,
                "The security token included in the request is invalid.",
            )
        })?;
        let signed_at = authorization.judge_scope(received, now)?;
        Ok(Identity {
            caller: Caller {
                account: key.account.clone(),
                region,
                organization: key.organization.clone(),
            },
            unverified: Some(Unverified {
                authorization,
                signed_at,
                secret: &key.secret,
            }),
        })
    }
}

/// Who sends a request.
pub(super) struct Identity<'k> {
    /// Who it says it is.
    pub(super) caller: Caller,
    /// What is still to be proved, once the body is there.
    pub(super) unverified: Option<Unverified<'k>>,
}

/// A signature that is not verified yet.
pub(super) struct Unverified<'k> {
    authorization: Authorization,
    signed_at: Timestamp,
    secret: &'k str,
}

impl Unverified<'_> {
    /// # Errors
    ///
    /// Somebody else signed it, or something else.
    pub(super) fn verify(&self, received: &Received<'_>, body: &Digest) -> Result<(), ApiError> {
        self.authorization
            .verify(received, self.signed_at, body, self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_says_what_is_wrong_and_no_secret() {
        let key = "[[key]]\naccess_key_id = \"a\"\nsecret_access_key = \"SECRET\"\naccount = \"111111111111\"\n";
        assert!(Keys::parse(key).is_ok_and(|keys| !keys.is_empty()));
        for (text, expected) in [
            (String::new(), "it has no `[[key]]`"),
            (
                format!("{key}{key}"),
                "key 2 (`a`): another key has this `access_key_id`",
            ),
            (
                key.replace("111111111111", "1"),
                "key 1 (`a`): `account` is not 12 digits",
            ),
            (
                key.replace("SECRET", ""),
                "key 1 (`a`): `access_key_id` and `secret_access_key` cannot be empty",
            ),
            (
                key.replace("[[key]]", "[[keys]]"),
                "line 1: unknown field `keys`, expected `key`",
            ),
            (key.replace("\"SECRET\"", "SECRET"), "line 3: "),
            (
                key.replace("account", "acount"),
                "line 4: unknown field `acount`",
            ),
        ] {
            let error = Keys::parse(&text).map_err(|error| error.to_string());
            let error = error.err().unwrap_or_default();
            assert!(error.starts_with(expected), "{text}: {error}");
            let has_secret = error.contains("SECRET") || error.contains("1234");
            assert!(!has_secret, "{error}");
        }
    }
}
