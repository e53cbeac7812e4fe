//! What `extract` says: the JSON object, the warnings, what collisions and AWS's quotas do to the exit status, the limits.

use serde_json::{Value, json};

use crate::support::command::Sandbox;
use crate::support::zip::{Archive, archive, directory, file, link};

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A sandbox in which `1.zip`, `2.zip`, … are these layers.
fn layers(layers: impl IntoIterator<Item = Archive>) -> Sandbox {
    let sandbox = Sandbox::new();
    for (number, layer) in layers.into_iter().enumerate() {
        sandbox.archive(&format!("{}.zip", number + 1), &layer);
    }
    sandbox
}

/// `n` layers that have nothing in common.
fn different_layers(n: usize) -> (Sandbox, Vec<String>) {
    let sandbox = layers((0..n).map(|number| archive([file(format!("f{number}"), "")])));
    let names = (1..=n).map(|number| format!("{number}.zip"));
    (sandbox, names.collect())
}

mod json_output {
    use super::*;

    #[test]
    fn the_object_has_the_keys_of_the_contract() {
        let first = archive([
            file("same", "x"),
            file("mode", "x"),
            file("content", "x"),
            file("type/below", "x"),
            directory("empty/"),
            link("l", "same"),
        ]);
        let second = archive([
            file("same", "x"),
            file("mode", "x").mode(0o600),
            file("content", "longer"),
            file("type", "x"),
        ]);
        let (size, entries) = (first.bytes().len(), 6);
        let sandbox = layers([first, second]);
        let arguments = [
            "extract", "1.zip", "2.zip", "--into", "opt", "--format", "json",
        ];
        let json = sandbox.slashopt(arguments).success().json();
        assert_eq!(
            keys(&json),
            [
                "bytes",
                "collisions",
                "directories",
                "files",
                "layers",
                "root",
                "schema_version",
                "symlinks",
                "warnings"
            ]
        );
        assert_eq!(json["schema_version"], 1);
        assert!(
            json["root"]
                .as_str()
                .is_some_and(|root| root.ends_with("opt"))
        );
        assert_eq!(json["files"], 4);
        assert_eq!(json["directories"], 1, "the root does not count");
        assert_eq!(json["symlinks"], 1);
        assert_eq!(json["bytes"], 1 + 1 + 6 + 1, "of the files in the root");
        assert_eq!(
            json["collisions"],
            json!({"identical": 1, "mode": 1, "content": 1, "type": 2}),
            "`type` and what lay below it"
        );
        assert!(json["warnings"].is_array());
        let first = &json["layers"][0];
        assert_eq!(
            keys(first),
            [
                "code_sha256",
                "code_size",
                "entries",
                "index",
                "source",
                "unzipped_size"
            ]
        );
        assert_eq!(first["index"], 1);
        assert_eq!(first["source"], "1.zip");
        assert_eq!(first["code_size"], size);
        assert_eq!(first["entries"], entries);
        assert_eq!(json["layers"][1]["index"], 2);
        assert_eq!(json["layers"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn the_layers_digest_is_null_or_its_code_sha256() {
        let sandbox = layers([archive([])]);
        let arguments = ["extract", "1.zip", "--into", "opt", "--format", "json"];
        let json = sandbox.slashopt(arguments).success().json();
        let digest = &json["layers"][0]["code_sha256"];
        // `openssl dgst -sha256 -binary | base64` of the 22 bytes of an empty archive.
        let known = "hznHbmgfkAkjuQDJ3w73XPQh05yrtUZQxLmtGbanbYU=";
        assert!(digest.is_null() || digest == known, "{digest}");
    }

    #[test]
    fn json_is_the_same_every_time() {
        let sandbox = layers([
            archive([file("a", "1"), file("b", "")]),
            archive([file("a", "2")]),
        ]);
        let arguments = [
            "extract",
            "1.zip",
            "2.zip",
            "--into",
            "opt",
            "--format",
            "json",
            "--dry-run",
        ];
        let first = sandbox.slashopt(arguments).success();
        let second = sandbox.slashopt(arguments).success();
        assert_eq!(first.stdout(), second.stdout());
    }

    #[test]
    fn a_second_run_gives_an_object_too() {
        let sandbox = layers([archive([file("a", "1")])]);
        let arguments = ["extract", "1.zip", "--into", "opt", "--format", "json"];
        let first = sandbox.slashopt(arguments).success().json();
        let second = sandbox.slashopt(arguments).success().json();
        assert_eq!(keys(&first), keys(&second));
    }

    #[test]
    fn a_failure_is_an_object_on_stdout_and_text_on_stderr() {
        let sandbox = layers([archive([]), archive([file("dir/../../up", "")])]);
        let checked = sandbox
            .slashopt([
                "extract", "1.zip", "2.zip", "--into", "opt", "--format", "json",
            ])
            .status(3)
            .has_hint();
        let json = checked.json();
        assert_eq!(keys(&json), ["error", "schema_version"]);
        assert_eq!(json["schema_version"], 1);
        let error = &json["error"];
        assert_eq!(keys(error), ["code", "entry", "hint", "layer", "message"]);
        assert!(error["code"].as_str().is_some_and(|code| !code.is_empty()));
        assert_eq!(error["layer"], 2);
        assert_eq!(error["entry"], "dir/../../up");
        for key in ["message", "hint"] {
            let text = error[key].as_str().expect("a text");
            assert!(checked.stderr().contains(text), "{text:?} is not in stderr");
        }
    }

    #[test]
    fn a_failure_without_a_layer_has_null_for_it() {
        let sandbox = layers([archive([])]);
        sandbox.mkdir("opt", 0o755);
        sandbox.write("opt/precious", "");
        let checked = sandbox
            .slashopt(["extract", "1.zip", "--into", "opt", "--format", "json"])
            .failure();
        let error = &checked.json()["error"];
        assert!(
            error["layer"].is_null() && error["entry"].is_null(),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_format_is_wrong_usage() {
        let sandbox = layers([archive([])]);
        sandbox
            .slashopt(["extract", "1.zip", "--into", "opt", "--format", "yaml"])
            .status(2);
        assert!(!sandbox.everything().has("opt"));
    }
}

mod warnings {
    use super::*;

    const UNREADABLE: &str = "2 files are unreadable to Lambda's user";

    fn secrets() -> Sandbox {
        layers([
            archive([
                file("a", "").mode(0o600),
                file("b", "").mode(0o400),
                file("readable", "").mode(0o644),
                file("replaced", "").mode(0o600),
                file("replaced-too", "").mode(0o600),
            ]),
            archive([file("replaced", ""), file("replaced-too", "")]),
        ])
    }

    #[test]
    fn files_that_lambda_cannot_read_are_counted_in_a_warning() {
        let sandbox = secrets();
        sandbox
            .slashopt(["extract", "1.zip", "2.zip", "--into", "opt"])
            .success()
            .stderr_contains("warning: ")
            .stderr_contains(UNREADABLE);
    }

    #[test]
    fn quiet_hides_warnings() {
        let sandbox = secrets();
        let checked = sandbox
            .slashopt(["extract", "1.zip", "2.zip", "--into", "opt", "--quiet"])
            .success();
        assert_eq!(checked.stderr(), "");
    }

    #[test]
    fn warnings_are_in_the_json_object() {
        let sandbox = secrets();
        let checked = sandbox
            .slashopt([
                "extract", "1.zip", "2.zip", "--into", "opt", "--format", "json",
            ])
            .success();
        let json = checked.json();
        let warnings = json["warnings"].as_array().expect("a list");
        assert!(
            warnings
                .iter()
                .any(|warning| warning.to_string().contains(UNREADABLE)),
            "{json:#}"
        );
    }

    #[test]
    fn ordinary_layers_give_no_warning() {
        let sandbox = layers([
            archive([
                file("python/a.py", "").deflated(),
                directory("python/"),
                link("l", "python/a.py"),
            ]),
            archive([file("bin/tool", "").mode(0o755)]),
        ]);
        sandbox
            .slashopt(["extract", "1.zip", "2.zip", "--into", "opt"])
            .success()
            .stderr_lacks("warning");
    }
}

mod collisions {
    use super::*;

    /// Layers that collide only in this way.
    fn colliding(class: &str) -> Sandbox {
        let upper = match class {
            "identical" => file("f", "x").extended(5),
            "mode" => file("f", "x").mode(0o600),
            "content" => file("f", "y"),
            _ => directory("f/"),
        };
        layers([
            archive([file("f", "x"), directory("d/")]),
            archive([upper, directory("d/")]),
        ])
    }

    #[test]
    fn error_builds_nothing_and_says_which_path() {
        for class in ["mode", "content", "type"] {
            let sandbox = colliding(class);
            let before = sandbox.everything();
            sandbox
                .slashopt([
                    "extract",
                    "1.zip",
                    "2.zip",
                    "--into",
                    "opt",
                    "--on-collision",
                    "error",
                ])
                .status(1)
                .stderr_contains("`f`");
            sandbox.everything().assert_is(&before);
        }
    }

    #[test]
    fn identical_objects_and_directories_are_no_error() {
        let sandbox = colliding("identical");
        sandbox
            .slashopt([
                "extract",
                "1.zip",
                "2.zip",
                "--into",
                "opt",
                "--on-collision",
                "error",
            ])
            .success();
        assert!(sandbox.everything().has("opt/f"));
    }

    #[test]
    fn a_conflict_of_kinds_is_warned_of_unless_allowed() {
        let sandbox = colliding("type");
        let run = |into: &str, flags: &[&str]| {
            let arguments = ["extract", "1.zip", "2.zip", "--into", into];
            sandbox.slashopt(arguments.iter().chain(flags)).success()
        };
        run("default", &[])
            .stderr_contains("warning: ")
            .stderr_contains("`f`");
        run("warn", &["--on-collision", "warn"]).stderr_contains("`f`");
        run("allow", &["--on-collision", "allow"]).stderr_lacks("`f`");
    }

    #[test]
    fn the_warning_is_one_line_and_names_three_paths() {
        let names = ["p1", "p2", "p3", "p4", "p5"];
        let sandbox = layers([
            archive(names.map(|name| file(name, ""))),
            archive(names.map(|name| directory(format!("{name}/")))),
        ]);
        let checked = sandbox
            .slashopt(["extract", "1.zip", "2.zip", "--into", "opt"])
            .success();
        let lines: Vec<&str> = checked
            .stderr()
            .lines()
            .filter(|line| line.contains("p1"))
            .collect();
        assert_eq!(lines.len(), 1, "{}", checked.stderr());
        let count = names
            .iter()
            .filter(|name| checked.stderr().contains(**name))
            .count();
        assert_eq!(count, 3, "{}", checked.stderr());
    }
}

mod quotas {
    use super::*;

    const TWICE: &str = "versions of the same layer";
    const FIVE: &str = "Cannot reference more than 5 layers.";

    #[test]
    fn six_layers_are_warned_of_and_extracted() {
        let (sandbox, names) = different_layers(6);
        for (into, flags) in [("default", &[][..]), ("warn", &["--quota", "warn"])] {
            let arguments = ["extract", "--into", into];
            let arguments = arguments
                .iter()
                .chain(flags)
                .map(|argument| (*argument).to_owned());
            sandbox
                .slashopt(arguments.chain(names.clone()))
                .success()
                .stderr_contains(FIVE);
            assert_eq!(sandbox.tree(into).count("file"), 6);
        }
    }

    #[test]
    fn six_layers_are_refused_when_quotas_are_errors() {
        let (sandbox, names) = different_layers(6);
        let before = sandbox.everything();
        let arguments = ["extract", "--into", "opt", "--quota", "error"].map(String::from);
        sandbox
            .slashopt(arguments.into_iter().chain(names))
            .status(3)
            .stderr_contains(FIVE)
            .has_hint();
        sandbox.everything().assert_is(&before);
    }

    #[test]
    fn five_layers_are_within_the_quota() {
        let (sandbox, names) = different_layers(5);
        let arguments = ["extract", "--into", "opt", "--quota", "error"].map(String::from);
        sandbox
            .slashopt(arguments.into_iter().chain(names))
            .success();
    }

    #[test]
    fn quotas_can_be_off() {
        let (sandbox, names) = different_layers(6);
        let arguments = ["extract", "--into", "opt", "--quota", "off"].map(String::from);
        sandbox
            .slashopt(arguments.into_iter().chain(names))
            .success()
            .stderr_lacks(FIVE);
    }

    #[test]
    fn the_same_layer_twice_is_against_the_quota() {
        let sandbox = layers([archive([file("a", "1")]), archive([file("a", "2")])]);
        let run = |into: &str, quota: &str| {
            sandbox.slashopt([
                "extract", "1.zip", "2.zip", "1.zip", "--into", into, "--quota", quota,
            ])
        };
        run("refused", "error").status(3).stderr_contains(TWICE);
        assert!(!sandbox.everything().has("refused"));
        run("warned", "warn").success().stderr_contains(TWICE);
        assert_eq!(
            sandbox.tree("warned").text("a"),
            "1",
            "and merged as it was said"
        );
        run("off", "off").success().stderr_lacks(TWICE);
    }
}

mod limits {
    use super::*;

    #[test]
    fn more_bytes_than_allowed_are_refused_before_anything_is_written() {
        let sandbox = layers([
            archive([file("a", [0; 600])]),
            archive([file("b", [0; 600]).deflated()]),
        ]);
        let before = sandbox.everything();
        let run = |limit: &str| {
            sandbox.slashopt([
                "extract",
                "1.zip",
                "2.zip",
                "--into",
                "opt",
                "--max-bytes",
                limit,
            ])
        };
        run("1199")
            .status(3)
            .has_hint()
            .stderr_contains("--max-bytes");
        sandbox.everything().assert_is(&before);
        run("1200").success();
    }

    #[test]
    fn more_entries_than_allowed_are_refused() {
        let sandbox = layers([
            archive([file("a", ""), file("b", "")]),
            archive([file("c", "")]),
        ]);
        let before = sandbox.everything();
        let run = |limit: &str| {
            sandbox.slashopt([
                "extract",
                "1.zip",
                "2.zip",
                "--into",
                "opt",
                "--max-entries",
                limit,
            ])
        };
        run("2")
            .status(3)
            .has_hint()
            .stderr_contains("--max-entries");
        sandbox.everything().assert_is(&before);
        run("3").success();
    }

    #[test]
    fn what_is_overridden_counts_too() {
        let sandbox = layers([
            archive([file("a", [0; 600])]),
            archive([file("a", [1; 600])]),
        ]);
        sandbox
            .slashopt([
                "extract",
                "1.zip",
                "2.zip",
                "--into",
                "opt",
                "--max-bytes",
                "1000",
            ])
            .status(3);
    }
}

mod usage {
    use super::*;

    #[test]
    fn wrong_usage_is_status_2_and_does_nothing() {
        let sandbox = layers([archive([file("a", "")])]);
        let before = sandbox.everything();
        for arguments in [
            &["extract", "1.zip"][..],
            &["extract", "--into", "opt"],
            &["extract", "1.zip", "--into", "opt", "--no-such-flag"],
            &[
                "extract",
                "1.zip",
                "--into",
                "opt",
                "--on-type-conflict",
                "merge",
            ],
            &[
                "extract",
                "1.zip",
                "--into",
                "opt",
                "--on-collision",
                "ignore",
            ],
            &["extract", "1.zip", "--into", "opt", "--quota", "maybe"],
            &["extract", "1.zip", "--into", "opt", "--threads", "0"],
            &["extract", "1.zip", "--into", "opt", "--max-bytes", "-1"],
            &["extract", "1.zip", "--into", "opt", "--replace=all"],
            &["no-such-command"],
            &[],
        ] {
            sandbox.slashopt(arguments).status(2);
            sandbox.everything().assert_is(&before);
        }
    }

    #[test]
    fn nothing_is_coloured_without_a_terminal() {
        let sandbox = layers([archive([file("a", "")])]);
        let checked = sandbox
            .slashopt(["extract", "1.zip", "--into", "opt"])
            .success();
        assert!(
            !checked.stderr().contains("panicked"),
            "{}",
            checked.stderr()
        );
        assert!(
            !checked.stdout().contains('\u{1b}'),
            "no colour without a terminal"
        );
        assert!(
            !checked.stderr().contains('\u{1b}'),
            "no colour without a terminal"
        );
    }
}
