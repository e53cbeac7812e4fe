//! What `check` found, for machines that annotate code: SARIF 2.1.0 and GitHub's workflow commands.
//!
//! Both point at files of a repository. A file in a directory that serves as layer is one; a file in an archive is none, so
//! the archive itself is annotated and the message names the file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use slashopt::check::{Finding, RULES, Severity};
use slashopt::layer::LayerForm;

use super::text::{Shown, message};

/// The file of the repository that a finding is about.
fn file_of(shown: &Shown<'_>, finding: &Finding) -> Option<Vec<u8>> {
    let layer = shown.stack.layer(finding.layer?);
    let mut file = layer.path.clone()?.into_bytes();
    if let (LayerForm::Directory(_), Some(path)) = (&layer.form, &finding.path) {
        while file.last() == Some(&b'/') {
            file.pop();
        }
        file.push(b'/');
        file.extend_from_slice(path.as_bytes());
    }
    Some(file.strip_prefix(b"./").map(<[u8]>::to_vec).unwrap_or(file))
}

/// The message with the place that the annotation cannot express, and the cure.
fn told(shown: &Shown<'_>, finding: &Finding) -> String {
    let mut text = String::new();
    let is_in_archive = finding
        .layer
        .map(|layer| shown.stack.layer(layer))
        .is_some_and(|layer| matches!(layer.form, LayerForm::Archive(_)));
    if let Some(path) = finding
        .path
        .as_ref()
        .filter(|_| is_in_archive || finding.layer.is_none())
    {
        // Writing to a string does not fail.
        let _ = write!(text, "{path}: ");
    }
    let _ = write!(text, "{}; help: {}", message(finding), finding.help);
    text
}

// ---- GitHub -----------------------------------------------------------------------------------------------------------

/// A workflow command a finding (GitHub Docs, *Workflow commands for GitHub Actions*).
pub(crate) fn github(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    for finding in &shown.checked.findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let file = file_of(shown, finding).map_or_else(String::new, |file| {
            format!("file={},", property(&String::from_utf8_lossy(&file)))
        });
        let title = property(&format!("slashopt {}", finding.rule));
        let data = data(&told(shown, finding));
        let _ = writeln!(text, "::{command} {file}title={title}::{data}");
    }
    text
}

/// As `@actions/core` escapes what follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As it escapes the value of a property, which ends at a comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

// ---- SARIF ------------------------------------------------------------------------------------------------------------

/// A log with one run (OASIS, *Static Analysis Results Interchange Format Version 2.1.0*).
pub(crate) fn sarif(shown: &Shown<'_>) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "fullDescription": { "text": rule.explanation },
                "help": { "text": rule.cure },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results = shown.checked.findings.iter();
    let results: Vec<Value> = results.map(|finding| result(shown, finding)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "slashopt",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(shown: &Shown<'_>, finding: &Finding) -> Value {
    let mut location = serde_json::Map::new();
    if let Some(file) = file_of(shown, finding) {
        // Readers that annotate code want a line, also of what has none.
        location.insert(
            "physicalLocation".to_owned(),
            json!({
                "artifactLocation": { "uri": uri(&file) },
                "region": { "startLine": 1 },
            }),
        );
    }
    if let Some(path) = &finding.path {
        location.insert(
            "logicalLocations".to_owned(),
            json!([{ "fullyQualifiedName": format!("/opt/{path}"), "kind": "resource" }]),
        );
    }
    let locations: Vec<Value> = if location.is_empty() {
        Vec::new()
    } else {
        vec![Value::Object(location)]
    };
    let index = RULES.iter().position(|rule| rule.id == finding.rule);
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": told(shown, finding) },
        "locations": locations,
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A file as a URI reference (RFC 3986): relative unless the path is absolute.
fn uri(file: &[u8]) -> String {
    let mut uri = String::from(if file.starts_with(b"/") {
        "file://"
    } else {
        ""
    });
    for &byte in file {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_command_or_a_property_is_escaped() {
        assert_eq!(data("50%\r\nof: a,b"), "50%25%0D%0Aof: a,b");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    #[test]
    fn names_become_uris() {
        assert_eq!(uri(b"layers/a b#1.zip"), "layers/a%20b%231.zip");
        assert_eq!(uri(b"/tmp/caf\xc3\xa9.zip"), "file:///tmp/caf%C3%A9.zip");
    }
}
