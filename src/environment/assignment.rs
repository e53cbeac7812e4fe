//! `NAME=VALUE`, as a user types it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// A name with a value: `NAME=VALUE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assignment {
    pub(super) name: OsString,
    pub(super) value: OsString,
}

/// Text that assigns nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot read the assignment: {text:?}: it is not of the form NAME=VALUE")]
pub struct AssignmentError {
    /// The text as given.
    pub text: OsString,
}

impl Assignment {
    /// Whether this is the variable that it sets.
    pub(super) fn names(&self, variable: &str) -> bool {
        self.name == variable
    }

    /// Parses `NAME=VALUE`; the value is everything behind the first `=` and may be empty.
    ///
    /// # Errors
    /// When there is no `=`, no name before it, or a NUL, which no environment can hold.
    pub fn parse(text: &OsStr) -> Result<Self, AssignmentError> {
        let bytes = text.as_bytes();
        let error = || AssignmentError {
            text: text.to_owned(),
        };
        let equals = bytes
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(error)?;
        let (name, value) = bytes.split_at(equals);
        if name.is_empty() || bytes.contains(&0) {
            return Err(error());
        }
        let value = value.get(1..).unwrap_or_default();
        Ok(Self {
            name: OsString::from_vec(name.to_vec()),
            value: OsString::from_vec(value.to_vec()),
        })
    }

    /// The name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &OsStr {
        &self.value
    }
}
