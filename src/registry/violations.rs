//! What breaks the service's model, in the service's sentences.

use super::archive_source::ArchiveSource;
use super::arn::{self, LayerArn, LayerName};
use super::call::ContentFields;
use super::error::{ApiError, Code};
use super::runtimes;

/// Characters of a value that are repeated to who sent it.
const MAX_SHOWN_CHARACTERS: usize = 1024;

/// What `LayerName` may hold.
pub(super) enum Named {
    Name(LayerName),
    Arn(LayerArn),
}

pub(super) fn is_architecture(text: &str) -> bool {
    matches!(text, "x86_64" | "arm64")
}

/// What breaks the model, collected so that all of it is told at once.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<String>);

impl Violations {
    pub(super) fn value(&mut self, member: &str, value: &str, constraint: &str) {
        let shown: String = match value.char_indices().nth(MAX_SHOWN_CHARACTERS) {
            Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
            None => value.to_owned(),
        };
        self.0.push(format!(
            "Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}"
        ));
    }

    pub(super) fn pattern(&mut self, member: &str, value: &str, pattern: &str) {
        let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
        self.value(member, value, &constraint);
    }

    pub(super) fn missing(&mut self, member: &str) {
        self.0.push(format!(
            "Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ));
    }

    pub(super) fn at_most(&mut self, member: &str, value: &str, most: usize) {
        if value.chars().count() > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            self.value(member, value, &constraint);
        }
    }

    pub(super) fn at_least(&mut self, member: &str, value: &str, least: usize) {
        if value.chars().count() < least {
            let constraint = format!("Member must have length greater than or equal to {least}");
            self.value(member, value, &constraint);
        }
    }

    /// `.*`, where the dot is no end of a line.
    pub(super) fn line(&mut self, member: &str, value: &str) {
        if value.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.pattern(member, value, ".*");
        }
    }

    pub(super) fn layer(&mut self, text: &str) -> Option<Named> {
        const PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+";
        if let Ok(name) = text.parse() {
            return Some(Named::Name(name));
        }
        if let Ok(arn) = text.parse() {
            return Some(Named::Arn(arn));
        }
        let is_only_too_long = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !text.is_empty();
        if is_only_too_long {
            self.at_most("layerName", text, arn::MAX_NAME_CHARACTERS);
        } else {
            self.pattern("layerName", text, PATTERN);
        }
        None
    }

    pub(super) fn version(&mut self, text: &str) -> i64 {
        text.parse().unwrap_or_else(|_| {
            self.value("versionNumber", text, "Member must be a number");
            0
        })
    }

    pub(super) fn sid(&mut self, sid: Option<&str>) {
        let Some(sid) = sid else {
            return self.missing("statementId");
        };
        self.at_least("statementId", sid, 1);
        self.at_most("statementId", sid, 100);
        let is_word = sid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_word {
            self.pattern("statementId", sid, "([a-zA-Z0-9-_]+)");
        }
    }

    pub(super) fn runtimes(&mut self, runtimes: Option<&[String]>) {
        let Some(runtimes) = runtimes else { return };
        let shown = format!("[{}]", runtimes.join(", "));
        if runtimes.len() > 15 {
            self.value(
                "compatibleRuntimes",
                &shown,
                "Member must have length less than or equal to 15",
            );
        }
        if !runtimes.iter().all(|runtime| runtimes::is_known(runtime)) {
            let constraint = format!(
                "Member must satisfy enum value set: {}",
                runtimes::PUBLISHED
            );
            self.value("compatibleRuntimes", &shown, &constraint);
        }
    }

    pub(super) fn architectures(&mut self, architectures: Option<&[String]>) {
        let Some(architectures) = architectures else {
            return;
        };
        let shown = format!("[{}]", architectures.join(", "));
        if architectures.len() > 2 {
            self.value(
                "compatibleArchitectures",
                &shown,
                "Member must have length less than or equal to 2",
            );
        }
        if !architectures.iter().all(|name| is_architecture(name)) {
            self.value(
                "compatibleArchitectures",
                &shown,
                "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            );
        }
    }

    pub(super) fn content(&mut self, content: Option<ContentFields>) -> Option<ArchiveSource> {
        let Some(content) = content else {
            self.missing("content");
            return None;
        };
        if let Some(mode) = &content.storage_mode
            && mode != "COPY"
            && mode != "REFERENCE"
        {
            self.value(
                "content.s3ObjectStorageMode",
                mode,
                "Member must satisfy enum value set: [COPY, REFERENCE]",
            );
        }
        if content.has_zip_file {
            return Some(ArchiveSource::Uploaded);
        }
        let (Some(bucket), Some(key)) = (content.bucket, content.key) else {
            return None;
        };
        self.at_least("content.s3Bucket", &bucket, 3);
        self.at_most("content.s3Bucket", &bucket, 63);
        let is_bucket = bucket
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            && !bucket.ends_with('.');
        if !is_bucket {
            self.pattern("content.s3Bucket", &bucket, r"[0-9A-Za-z\.\-_]*(?<!\.)");
        }
        self.at_least("content.s3Key", &key, 1);
        self.at_most("content.s3Key", &key, 1024);
        self.line("content.s3Key", &key);
        Some(ArchiveSource::Object {
            bucket,
            key,
            version: content.object_version,
        })
    }

    /// # Errors
    ///
    /// All of them in one sentence.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let noun = if count == 1 { "error" } else { "errors" };
        Err(ApiError::new(
            Code::Validation,
            format!("{count} validation {noun} detected: {}", self.0.join("; ")),
        ))
    }
}
