//! What the user makes of the rules: denied, allowed, listed, explained; and what decides the exit status.

use serde_json::Value;

use crate::check::{checked, of_rule, stack};
use crate::support::command::Sandbox;
use crate::support::zip::{Field, archive, directory, file, link};

#[test]
fn the_status_is_1_for_errors_only() {
    let (sandbox, arguments) = stack([archive([link("a", "b"), file("x.pth", "")])]);
    sandbox.slashopt(&arguments).success();
    let (sandbox, arguments) = stack([archive([file("a", "").mode(0o600)])]);
    sandbox.slashopt(&arguments).status(1);
}

#[test]
fn a_denied_rule_makes_errors_and_an_allowed_one_is_not_judged() {
    let (sandbox, arguments) = stack([archive([link("a", "b"), file(".DS_Store", "")])]);
    let severities = |more: &[&str]| {
        let json = checked(&sandbox, &arguments, more);
        let summary = &json["summary"];
        ["error", "warning", "note"].map(|severity| summary[severity].as_u64().expect("a count"))
    };
    assert_eq!(severities(&[]), [0, 1, 1]);
    assert_eq!(severities(&["--deny", "dangling-link"]), [1, 0, 1]);
    assert_eq!(severities(&["--deny", "all"]), [2, 0, 0]);
    assert_eq!(
        severities(&["--deny", "all", "--allow", "dangling-link"]),
        [1, 0, 0]
    );
    assert_eq!(
        severities(&["--allow", "junk-file", "--allow", "dangling-link"]),
        [0, 0, 0]
    );
}

#[test]
fn an_unknown_rule_is_wrong_usage_and_the_nearest_is_suggested() {
    let (sandbox, arguments) = stack([archive([file("a", "")])]);
    for flag in ["--deny", "--allow", "--explain"] {
        let mut arguments = arguments.clone();
        arguments.extend([flag.to_owned(), "unreadable-files".to_owned()]);
        let told = sandbox.slashopt(&arguments).status(2).has_hint();
        told.stderr_contains("there is no rule `unreadable-files`")
            .stderr_contains("did you mean `unreadable-file`?");
    }
    let told = sandbox.slashopt(["check", "--explain", "zzz"]).status(2);
    told.has_hint().stderr_contains("--list-rules");
    // `all` is no rule that could be allowed: that would be no check.
    sandbox
        .slashopt(["check", "1.zip", "--allow", "all"])
        .status(2);
}

#[test]
fn every_rule_is_listed_and_explained_without_a_layer() {
    let sandbox = Sandbox::new();
    let json = sandbox
        .slashopt(["check", "--list-rules", "--format", "json"])
        .success()
        .json();
    let rules = json["rules"].as_array().expect("a list");
    let listed = sandbox.slashopt(["check", "--list-rules"]).success();
    assert_eq!(listed.stdout().lines().count(), rules.len());
    let mut ids = Vec::new();
    for rule in rules {
        let text = |key: &str| rule[key].as_str().expect("text").to_owned();
        let id = text("id");
        assert!(listed.stdout().contains(&format!("{id} ")), "{id}");
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(id.chars().all(is_kebab), "{id}");
        for key in ["summary", "help"] {
            let text = text(key);
            assert!(
                !text.ends_with('.') && !text.contains('\n'),
                "{id}: {key}: {text}"
            );
        }
        let explanation = text("explanation");
        assert!(explanation.len() > 120, "{id}: {explanation}");
        let explained = sandbox.slashopt(["check", "--explain", &id]).success();
        let first_word = explanation.split(' ').next().expect("a word");
        assert!(explained.stdout().contains(first_word), "{id}");
        assert!(
            explained
                .stdout()
                .lines()
                .all(|line| line.chars().count() <= 130),
            "{id}"
        );
        ids.push(id);
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "each id is one rule's");
}

#[test]
fn rules_that_need_a_runtime_are_named_when_there_is_none() {
    let (sandbox, arguments) =
        stack([archive([file("nodejs/node20/node_modules/a/index.js", "")])]);
    let told = sandbox.slashopt(&arguments).success();
    let told = told
        .stderr_contains("without a runtime")
        .stderr_contains("es-module-not-found")
        .stderr_contains("`--runtime nodejs20.x`");
    assert_eq!(told.stderr().lines().count(), 1, "it is one line");
    let json = checked(&sandbox, &arguments, &[]);
    let skipped = json["skipped_rules"].as_array().expect("a list");
    assert!(skipped.contains(&Value::from("es-module-not-found")));
    let json = checked(&sandbox, &arguments, &["--runtime", "nodejs20.x"]);
    assert_eq!(json["skipped_rules"], Value::Array(Vec::new()));
}

#[test]
fn the_runtime_may_come_from_where_the_program_runs() {
    let (sandbox, arguments) = stack([archive([file("bootstrap", "#!/bin/sh\n").mode(0o755)])]);
    let here = sandbox
        .command(
            arguments
                .iter()
                .map(String::as_str)
                .chain(["--format", "json"]),
        )
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")
        .run()
        .success();
    assert_eq!(of_rule("bootstrap-ignored", &here.json()).len(), 1);
    let mut unknown = arguments;
    unknown.extend(["--runtime".to_owned(), "python3.99".to_owned()]);
    sandbox.slashopt(&unknown).status(2).has_hint();
}

#[test]
fn what_aws_reserves_cannot_be_configured() {
    let (sandbox, mut arguments) = stack([archive([file("a", "")])]);
    arguments.extend(["--set".to_owned(), "AWS_REGION=x".to_owned()]);
    let told = sandbox.slashopt(&arguments).status(2).has_hint();
    told.stderr_contains("Reserved keys used in this request: AWS_REGION");
}

#[test]
fn an_architecture_has_one_of_two_names() {
    let (sandbox, mut arguments) = stack([archive([file("a", "")])]);
    arguments.extend(["--architecture".to_owned(), "aarch64".to_owned()]);
    sandbox
        .slashopt(&arguments)
        .status(2)
        .stderr_contains("did you mean arm64?");
}

#[test]
fn damage_is_found_in_every_entry_the_hidden_ones_too() {
    let damaged = file("a", "hidden").in_both(Field::Crc, 1);
    let (sandbox, arguments) = stack([archive([damaged]), archive([file("a", "winner")])]);
    let told = sandbox.slashopt(&arguments).status(3).has_hint();
    told.stderr_contains("layer 1 of 2 (`1.zip`)")
        .stderr_contains("CRC-32");
    // Of two entries of one name the last one wins; the first is read all the same.
    let first = file("a", "hidden").in_both(Field::Crc, 1);
    let (sandbox, mut arguments) = stack([archive([first, file("a", "winner")])]);
    arguments.push("--lenient".to_owned());
    let told = sandbox.slashopt(&arguments).status(3);
    told.stderr_contains("CRC-32");
}

#[test]
fn of_several_bad_entries_the_first_is_named_whatever_it_is() {
    let directory = directory("d/").local_name("e/");
    let damaged = file("a", "x").in_both(Field::Crc, 1);
    for (entries, expected) in [
        ([directory.clone(), damaged.clone()], "entry `d/`"),
        ([damaged, directory], "entry `a`"),
    ] {
        let (sandbox, arguments) = stack([archive(entries)]);
        sandbox
            .slashopt(&arguments)
            .status(3)
            .stderr_contains(expected);
    }
}

#[test]
fn what_is_waived_of_a_directory_is_told_too() {
    let layer = archive([directory("d/").local_name("e/")]);
    let (sandbox, arguments) = stack([layer]);
    sandbox.slashopt(&arguments).status(3);
    let json = checked(&sandbox, &arguments, &["--lenient"]);
    let found = of_rule("accepted-by-lenient", &json);
    assert_eq!(found, ["warning d: the local header names `e/`"]);
}
