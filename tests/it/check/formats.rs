//! How findings are told: text that is read top-down, JSON, SARIF that its schema accepts, GitHub's annotations.

use std::path::Path;

use serde_json::{Value, json};

use crate::check::{checked, stack};
use crate::support::command::{Sandbox, skip_without, without_colours};
use crate::support::machine::tool;
use crate::support::project::output;
use crate::support::zip::{Archive, archive, file, link};

/// A layer that breaks rules of each severity, and one that overrides part of it.
fn bad() -> [Archive; 2] {
    [
        archive([
            file("secret", "").mode(0o600),
            link("lib/a", "gone"),
            file(".DS_Store", ""),
            file(b"odd,\xff:%", "").mode(0o600),
        ]),
        archive([file("fine", "")]),
    ]
}

#[test]
fn text_is_grouped_by_severity_and_rule_and_ends_in_totals() {
    let (sandbox, arguments) = stack(bad());
    let told = sandbox.slashopt(&arguments).status(1);
    let expected = "\
layer 1: 1.zip
layer 2: 2.zip

error: files that Lambda's user cannot read [unreadable-file]
  odd,\\xff:% (layer 1): its mode is 0600: others may not read it
  secret (layer 1): its mode is 0600: others may not read it
  Lambda says: Layer conversion failed: Some files do not have read permissions
  help: make everything readable before it is packed: `chmod -R a+rX .`

warning: links that lead nowhere [dangling-link]
  lib/a (layer 1): `gone` does not exist in the layers
  help: add what it leads to, remove the link, or make it relative (`ln -sr`)

note: what the packing system left behind [junk-file]
  .DS_Store (layer 1): it has no use in Lambda
  help: leave them out: `zip -r layer.zip . -x '__MACOSX/*' '*.DS_Store' '*/._*'`

2 errors, 1 warning, 1 note: ";
    assert!(told.stdout().starts_with(expected), "{}", told.stdout());
    let last = told.stdout().lines().last().unwrap_or_default();
    assert!(last.ends_with("rules, 5 files of 2 layers"), "{last}");
}

#[test]
fn colour_is_never_the_only_sign() {
    let (sandbox, arguments) = stack(bad());
    let printed = |when: &str| {
        let arguments = arguments.iter().map(String::as_str);
        let told = sandbox.slashopt(arguments.chain(["--color", when]));
        told.status(1).stdout().to_owned()
    };
    let coloured = printed("always");
    assert!(
        coloured.contains("\x1b[31merror\x1b[0m: ")
            && coloured.contains("\x1b[33mwarning\x1b[0m: "),
        "{coloured}"
    );
    assert_eq!(without_colours(&coloured), printed("never"));
    assert_eq!(printed("auto"), printed("never"), "to a pipe");
}

#[test]
fn nothing_found_is_one_line() {
    let (sandbox, arguments) = stack([archive([file("python/a.py", "")])]);
    let told = sandbox.slashopt(&arguments).success();
    assert_eq!(told.stdout().lines().count(), 1);
    assert!(
        told.stdout().starts_with("nothing found: "),
        "{}",
        told.stdout()
    );
}

#[test]
fn long_lists_are_capped_and_the_rest_is_counted() {
    let unreadable = (0..15).map(|i| file(format!("f{i:02}"), "").mode(0o600));
    let (sandbox, mut arguments) = stack([archive(unreadable)]);
    let told = sandbox.slashopt(&arguments).status(1);
    assert!(told.stdout().contains("  f09: "), "{}", told.stdout());
    assert!(!told.stdout().contains("  f10: "), "{}", told.stdout());
    assert!(told.stdout().contains("  … and 5 more (--all)\n"));
    assert!(told.stdout().contains("15 errors"));
    arguments.push("--all".to_owned());
    let told = sandbox.slashopt(&arguments).status(1);
    assert!(told.stdout().contains("  f14: "));
    assert!(!told.stdout().contains("more (--all)"));
}

#[test]
fn json_has_the_keys_of_the_contract_and_loses_no_byte() {
    let (sandbox, arguments) = stack(bad());
    let json = checked(&sandbox, &arguments, &[]);
    assert_eq!(json["schema_version"], 1);
    assert_eq!(
        json["summary"],
        json!({"error": 2, "warning": 1, "note": 1})
    );
    let first = &json["findings"][0];
    assert_eq!(
        *first,
        json!({
            "rule": "unreadable-file",
            "severity": "error",
            "layer": 1,
            "path": "odd,\u{fffd}:%",
            "path_bytes": "b2RkLP86JQ==",
            "message": "its mode is 0600: others may not read it (Lambda says: Layer conversion failed: Some files do not have read permissions)",
            "help": "make everything readable before it is packed: `chmod -R a+rX .`",
        })
    );
    let (sandbox, arguments) = stack((0..6).map(|i| archive([file(format!("{i}"), "")])));
    let json = checked(&sandbox, &arguments, &[]);
    assert_eq!(json["findings"][0]["layer"], Value::Null);
    assert_eq!(json["findings"][0]["path"], Value::Null);
}

#[test]
fn threads_do_not_change_what_is_said() {
    let (sandbox, arguments) = stack(bad());
    let one = checked(&sandbox, &arguments, &["--threads", "1"]);
    let many = checked(&sandbox, &arguments, &["--threads", "8"]);
    assert_eq!(one, many);
}

#[test]
fn another_format_is_wrong_usage() {
    let (sandbox, mut arguments) = stack(bad());
    arguments.extend(["--format".to_owned(), "xml".to_owned()]);
    sandbox
        .slashopt(&arguments)
        .status(2)
        .has_hint()
        .stderr_contains("`sarif` or `github`");
}

#[test]
fn github_gets_a_command_a_finding_with_its_escapes() {
    let (sandbox, mut arguments) = stack(bad());
    arguments.extend(["--format".to_owned(), "github".to_owned()]);
    let told = sandbox.slashopt(&arguments).status(1);
    let lines: Vec<&str> = told.stdout().lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with(
            "::error file=1.zip,title=slashopt unreadable-file::odd,\\xff:%25: its mode is 0600"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[2].starts_with("::warning file=1.zip,title=slashopt dangling-link::lib/a: "));
    assert!(lines[3].starts_with("::notice "), "{}", lines[3]);
}

#[test]
fn in_a_directory_the_file_itself_is_annotated() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("layers", 0o755);
    sandbox.mkdir("layers/a,b", 0o755);
    sandbox.write("layers/a,b/.DS_Store", "");
    let arguments = ["check", "./layers/a,b/", "--format"];
    let told = sandbox
        .slashopt(arguments.iter().chain(&["github"]))
        .success();
    let expected = "::notice file=layers/a%2Cb/.DS_Store,title=slashopt junk-file::it has no use";
    assert!(told.stdout().starts_with(expected), "{}", told.stdout());
    let json = sandbox
        .slashopt(arguments.iter().chain(&["sarif"]))
        .success()
        .json();
    let location = &json["runs"][0]["results"][0]["locations"][0];
    assert_eq!(
        location["physicalLocation"]["artifactLocation"]["uri"],
        "layers/a%2Cb/.DS_Store"
    );
}

#[test]
fn sarif_points_at_the_rule_and_the_layer() {
    let (sandbox, mut arguments) = stack(bad());
    arguments.extend(["--format".to_owned(), "sarif".to_owned()]);
    let log = sandbox.slashopt(&arguments).status(1).json();
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("a list");
    assert_eq!(results.len(), 4);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number"));
        let rule = &run["tool"]["driver"]["rules"][index.expect("a small one")];
        assert_eq!(rule["id"], result["ruleId"]);
        let file = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(file, "1.zip");
    }
    assert_eq!(results[0]["level"], "error");
    assert_eq!(
        results[2]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
        "/opt/lib/a"
    );
}

/// The schema of OASIS, as `scripts/judges` has fetched it, and Python's validator for it.
#[test]
fn the_schema_of_oasis_accepts_the_log() {
    let schema = output("judges/sarif-schema-2.1.0.json");
    if !schema.exists() {
        eprintln!(
            "skipped: there is no {}: run scripts/judges",
            schema.display()
        );
        return;
    }
    if skip_without("python3") || !has_validator() {
        return;
    }
    let findings = stack(bad());
    let none = stack([archive([file("a", "")])]);
    let quota = stack((0..6).map(|i| archive([file(format!("{i}"), "")])));
    for (sandbox, mut arguments) in [findings, none, quota] {
        arguments.extend(["--format".to_owned(), "sarif".to_owned()]);
        let finished = sandbox.slashopt(&arguments);
        let log = sandbox.write("log.sarif", &finished.stdout);
        assert_eq!(validate(&schema, &log), Ok(()), "{}", finished.stdout);
        // A validator that accepts everything would prove nothing.
        let broken = finished.stdout.replace("\"level\"", "\"lvl\"");
        let broken = sandbox.write("broken.sarif", broken);
        assert!(
            validate(&schema, &broken).is_err(),
            "it accepts a key that SARIF does not have"
        );
    }
}

fn has_validator() -> bool {
    let import = tool("python3").args(["-c", "import jsonschema"]).output();
    let is_there = import.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("skipped: Python has no jsonschema: run scripts/judges");
    }
    is_there
}

fn validate(schema: &Path, log: &Path) -> Result<(), String> {
    const SCRIPT: &str = "\
import json, jsonschema, sys
schema, log = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.Draft7Validator(schema).validate(log)";
    let output = tool("python3")
        .args(["-c", SCRIPT])
        .args([schema, log])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
