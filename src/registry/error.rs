//! What the service answers where it refuses: type, status and sentence.

use std::fmt;

/// The type of an error, by the service's own name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Code {
    /// Somebody else's, and not shared.
    AccessDenied,
    /// A signature that lacks something.
    IncompleteSignature,
    /// A parameter means nothing, or the archive is none.
    InvalidParameterValue,
    /// A signature that is not the caller's.
    InvalidSignature,
    /// No credentials at all.
    MissingAuthenticationToken,
    /// A policy would become too long.
    PolicyLengthExceeded,
    /// A revision that is not the newest.
    PreconditionFailed,
    /// Too many bytes.
    RequestEntityTooLarge,
    /// A statement that is there already.
    ResourceConflict,
    /// Not there.
    ResourceNotFound,
    /// A body that is no JSON, or of other types.
    Serialization,
    /// The store does not answer.
    Service,
    /// More at once than are served.
    TooManyRequests,
    /// Credentials that nobody has.
    UnrecognizedClient,
    /// Not an operation on layers.
    UnknownOperation,
    /// A parameter breaks the service's model.
    Validation,
}

/// Where the body of an error has its message; users of SDKs see the difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKey {
    /// `Message`, beside `"Type": "User"`.
    CapitalWithType,
    /// `message`, beside `"Type": "User"`.
    SmallWithType,
    /// `message` alone.
    Small,
    /// `Message` alone.
    Capital,
}

impl Code {
    /// The name that goes into the header `x-amzn-ErrorType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InvalidParameterValue => "InvalidParameterValueException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::PolicyLengthExceeded => "PolicyLengthExceededException",
            Self::PreconditionFailed => "PreconditionFailedException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::ResourceConflict => "ResourceConflictException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Serialization => "SerializationException",
            Self::Service => "ServiceException",
            Self::TooManyRequests => "TooManyRequestsException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Validation => "ValidationException",
        }
    }

    /// The status of the answer. Clients send a request again after a 5xx, so no fault of theirs has one.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidParameterValue
            | Self::PolicyLengthExceeded
            | Self::Serialization
            | Self::Validation => 400,
            Self::AccessDenied
            | Self::IncompleteSignature
            | Self::InvalidSignature
            | Self::MissingAuthenticationToken
            | Self::UnrecognizedClient => 403,
            Self::ResourceNotFound | Self::UnknownOperation => 404,
            Self::ResourceConflict => 409,
            Self::PreconditionFailed => 412,
            Self::RequestEntityTooLarge => 413,
            Self::TooManyRequests => 429,
            Self::Service => 503,
        }
    }

    /// Where the message stands.
    pub const fn message_key(self) -> MessageKey {
        match self {
            Self::ResourceNotFound | Self::Service => MessageKey::CapitalWithType,
            Self::InvalidParameterValue
            | Self::PolicyLengthExceeded
            | Self::PreconditionFailed
            | Self::RequestEntityTooLarge
            | Self::ResourceConflict
            | Self::Serialization
            | Self::TooManyRequests => MessageKey::SmallWithType,
            Self::IncompleteSignature
            | Self::InvalidSignature
            | Self::MissingAuthenticationToken
            | Self::UnrecognizedClient
            | Self::UnknownOperation
            | Self::Validation => MessageKey::Small,
            Self::AccessDenied => MessageKey::Capital,
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ApiError {
    /// Its type.
    pub code: Code,
    /// The sentence.
    pub message: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// A refusal of this type with this sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Get: the caller's own account has no such version.
    pub fn no_such_resource() -> Self {
        Self::new(
            Code::ResourceNotFound,
            "The resource you requested does not exist.",
        )
    }

    /// What was uploaded is not an archive.
    pub fn not_a_zip() -> Self {
        Self::new(
            Code::InvalidParameterValue,
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        )
    }

    /// The archive holds nothing.
    pub fn empty_zip() -> Self {
        Self::new(
            Code::InvalidParameterValue,
            "Uploaded file must be a non-empty zip",
        )
    }

    /// The archive unzips to too much.
    pub fn unzipped_too_large() -> Self {
        Self::new(
            Code::InvalidParameterValue,
            "Unzipped size must be smaller than 262144000 bytes",
        )
    }

    /// The body of an operation has more bytes than it may have.
    pub fn body_too_large(operation: &str, limit: u64) -> Self {
        Self::new(
            Code::RequestEntityTooLarge,
            format!("Request must be smaller than {limit} bytes for the {operation} operation"),
        )
    }

    /// More is asked for at once than is served.
    pub fn rate_exceeded() -> Self {
        Self::new(Code::TooManyRequests, "Rate exceeded")
    }

    /// Publish from S3: what S3 answered.
    pub fn get_object(code: &str, message: &str) -> Self {
        Self::new(
            Code::InvalidParameterValue,
            format!(
                "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_store_is_a_reason_to_try_again() {
        for code in [
            Code::AccessDenied,
            Code::InvalidParameterValue,
            Code::InvalidSignature,
            Code::PreconditionFailed,
            Code::RequestEntityTooLarge,
            Code::ResourceConflict,
            Code::ResourceNotFound,
            Code::Serialization,
            Code::UnknownOperation,
            Code::Validation,
        ] {
            assert!((400..500).contains(&code.status()), "{code:?}");
        }
        assert_eq!(Code::Service.status(), 503);
    }

    #[test]
    fn the_message_stands_where_each_type_has_it() {
        assert_eq!(
            Code::ResourceNotFound.message_key(),
            MessageKey::CapitalWithType
        );
        assert_eq!(
            Code::InvalidParameterValue.message_key(),
            MessageKey::SmallWithType
        );
        assert_eq!(Code::Validation.message_key(), MessageKey::Small);
    }
}
