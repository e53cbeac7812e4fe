//! `check`: each rule on layers that break it and on layers that do not, and how findings are told.

mod content_judges;
mod formats;
mod judges;
mod layers;
mod native;
mod packages;
mod policy;
mod properties;
mod rules;
mod versions;

use serde_json::Value;

use crate::support::command::Sandbox;
use crate::support::zip::Archive;

/// A sandbox in which `1.zip`, `2.zip`, … are these layers, and the arguments that check them.
pub(crate) fn stack(layers: impl IntoIterator<Item = Archive>) -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let mut arguments = vec!["check".to_owned()];
    for (number, layer) in layers.into_iter().enumerate() {
        let name = format!("{}.zip", number + 1);
        sandbox.archive(&name, &layer);
        arguments.push(name);
    }
    (sandbox, arguments)
}

/// What `check` says in JSON, whatever its status is; 0 exactly when there is no error.
#[track_caller]
pub(crate) fn checked(sandbox: &Sandbox, arguments: &[String], more: &[&str]) -> Value {
    let arguments = arguments.iter().map(String::as_str);
    let arguments = arguments.chain(more.iter().copied());
    let finished = sandbox.slashopt(arguments.chain(["--format", "json"]));
    let status = finished.code().expect("it ended by itself");
    let json = finished.status(status).json();
    let errors = json["summary"]["error"].as_u64().expect("a count");
    assert_eq!(status, i32::from(errors > 0), "{json:#}");
    json
}

/// What one rule finds: `severity path: message`, a line each.
#[track_caller]
pub(crate) fn found(
    rule: &str,
    layers: impl IntoIterator<Item = Archive>,
    more: &[&str],
) -> Vec<String> {
    let (sandbox, arguments) = stack(layers);
    of_rule(rule, &checked(&sandbox, &arguments, more))
}

/// The findings of one rule.
pub(crate) fn of_rule(rule: &str, json: &Value) -> Vec<String> {
    let findings = json["findings"].as_array().expect("a list");
    let of_rule = findings.iter().filter(|finding| finding["rule"] == rule);
    of_rule
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or("-").to_owned();
            format!("{} {}: {}", text("severity"), text("path"), text("message"))
        })
        .collect()
}

/// The rule finds exactly this many things, each of which contains what is named.
#[track_caller]
pub(crate) fn assert_found(
    rule: &str,
    layers: impl IntoIterator<Item = Archive>,
    more: &[&str],
    expected: &[&str],
) {
    let found = found(rule, layers, more);
    let is_each = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.contains(expected));
    assert!(is_each, "{rule}: expected {expected:#?}, found {found:#?}");
}

/// The rule finds nothing.
#[track_caller]
pub(crate) fn assert_silent(rule: &str, layers: impl IntoIterator<Item = Archive>, more: &[&str]) {
    assert_found(rule, layers, more, &[]);
}
