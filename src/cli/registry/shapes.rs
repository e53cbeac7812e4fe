//! Versions and policies as they are printed.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Value, json};

use slashopt::registry::LayerVersion;

/// The digest as AWS writes it.
pub(super) fn code_sha256(version: &LayerVersion) -> String {
    base64::engine::general_purpose::STANDARD.encode(version.code_sha256.0)
}

/// A version as JSON.
pub(super) fn version(version: &LayerVersion) -> Value {
    json!({
        "layer_name": version.arn.layer.name.as_str(),
        "version": version.arn.version,
        "layer_arn": version.arn.layer.to_string(),
        "layer_version_arn": version.arn.to_string(),
        "created_date": version.created_date(),
        "code_sha256": code_sha256(version),
        "code_size": version.code_size,
        "description": version.description,
        "license_info": version.license_info,
        "compatible_runtimes": version.compatible_runtimes,
        "compatible_architectures": version.compatible_architectures,
    })
}

/// A version in several lines.
pub(super) fn text(version: &LayerVersion) -> String {
    let list = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.join(", "));
    let lines = [
        ("arn", Some(version.arn.to_string())),
        ("created", Some(version.created_date())),
        ("sha256", Some(version.code_sha256.hex())),
        ("bytes", Some(version.code_size.to_string())),
        ("description", Some(version.description.clone())),
        ("license", version.license_info.clone()),
        ("runtimes", list(&version.compatible_runtimes)),
        ("architectures", list(&version.compatible_architectures)),
    ];
    let mut text = String::new();
    for (label, value) in lines {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{label}: {value}");
        }
    }
    text
}

/// A version in one line of a list.
pub(super) fn line(version: &LayerVersion) -> String {
    let name = format!(
        "{}:{}",
        version.arn.layer.name.as_str(),
        version.arn.version
    );
    let runtimes = version.compatible_runtimes.as_deref().unwrap_or_default();
    let line = format!(
        "{name:<32} {} {:>11}  {}  {}",
        version.created_date().get(..19).unwrap_or_default(),
        version.code_size,
        runtimes.join(","),
        version.description.lines().next().unwrap_or_default()
    );
    format!("{}\n", line.trim_end())
}
