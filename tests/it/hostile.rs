//! What becomes of odd and hostile archives: a table of them, each with its verdict, held by the program itself, and by three
//! other readers wherever the verdict is that all readers see the same.

mod judges;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use slashopt::archive::{BrokenRule, Strictness};
use slashopt::host::error::HostError;
use slashopt::host::read::entry::Reader;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::{LoadedStack, OpenLayer};
use slashopt::host::system::budget::Budget;
use slashopt::layer::LayerId;

use crate::support::command::{Checked, Sandbox};
use crate::support::zip::{archive, file};
use table::{Case, Verdict};

/// Extracts three layers; the second one is the case's.
const EXTRACT: [&str; 6] = [
    "extract", "base.zip", "deps.zip", "top.zip", "--into", "opt",
];

fn sandbox(case: &Case) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.archive("base.zip", &archive([file("base", "good")]));
    sandbox.archive("top.zip", &archive([file("top", "good")]));
    sandbox.write("deps.zip", &case.bytes);
    sandbox
}

/// Runs every case and says of all that fail which they are and how.
#[track_caller]
fn hold(cases: &[Case], check: impl Fn(&Case)) {
    let failed: Vec<&str> = cases
        .iter()
        .filter(|case| catch_unwind(AssertUnwindSafe(|| check(case))).is_err())
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "{} fail: {failed:#?}", failed.len());
}

fn gets_its_verdict(case: &Case) {
    for (lenient, verdict) in [(None, &case.strict), (Some("--lenient"), &case.lenient)] {
        let sandbox = sandbox(case);
        let arguments = || EXTRACT.into_iter().chain(lenient);
        let told = match verdict {
            Verdict::Accepted => {
                let done = sandbox.slashopt(arguments()).success();
                done.stderr_lacks("accepted by --lenient")
            }
            Verdict::Warned(why) => {
                let done = sandbox.slashopt(arguments()).success();
                let warned = done.stderr().lines().any(|line| {
                    line.starts_with("warning: layer 2 of 3")
                        && line.contains(why)
                        && line.ends_with("(accepted by --lenient)")
                        && is_named(line, case.entry.as_deref())
                });
                assert!(warned, "no warning says {why:?}:\n{}", done.stderr());
                done
            }
            Verdict::Refused(why) => is_refused(&sandbox, case, lenient, why),
        };
        let is_there = sandbox.path("opt").is_dir();
        assert_eq!(
            is_there,
            !matches!(verdict, Verdict::Refused(_)),
            "{}",
            told.stderr()
        );
    }
}

/// Whether a message names this entry, and none if there is none to be named.
fn is_named(message: &str, entry: Option<&str>) -> bool {
    match entry {
        Some(entry) => {
            message.contains(&format!("(`deps.zip`): entry `{entry}`: "))
                || message.contains(&format!("layer 2 of 3: entry `{entry}`: "))
        }
        None => !message.contains("entry `"),
    }
}

/// The archive is refused as the table says, in text and in JSON, and nothing is left behind; where the index decides, nothing
/// was made either, not even for a moment.
fn is_refused(sandbox: &Sandbox, case: &Case, lenient: Option<&str>, why: &str) -> Checked {
    let before = sandbox.everything();
    let touched = || fs::metadata(sandbox.work()).and_then(|metadata| metadata.modified());
    let touched_before = touched().expect("the directory is there");
    let told = sandbox
        .slashopt(EXTRACT.into_iter().chain(lenient))
        .status(3)
        .stderr_contains("layer 2 of 3 (`deps.zip`): ")
        .stderr_contains(why)
        .has_hint();
    let may_be_lenient = lenient.is_none() && matches!(case.lenient, Verdict::Warned(_));
    let hint = told
        .stderr()
        .lines()
        .find(|line| line.starts_with("hint: "));
    if may_be_lenient {
        assert!(
            hint.is_some_and(|hint| hint.contains("--lenient")),
            "{}",
            told.stderr()
        );
    } else if lenient.is_some() || case.lenient == case.strict {
        assert!(
            hint.is_some_and(|hint| !hint.contains("--lenient")),
            "{}",
            told.stderr()
        );
    }
    // Under leniency another rule may be the one that is broken, by an entry of its own.
    let is_the_tables = lenient.is_none() || case.lenient == case.strict;
    assert!(
        !is_the_tables || is_named(told.stderr(), case.entry.as_deref()),
        "another entry than {:?} is named:\n{}",
        case.entry,
        told.stderr()
    );
    let arguments = EXTRACT
        .into_iter()
        .chain(lenient)
        .chain(["--format", "json"]);
    let json = sandbox.slashopt(arguments).status(3).json();
    let error = &json["error"];
    assert_eq!(error["code"], "layer_refused");
    assert_eq!(error["layer"], 2);
    if is_the_tables {
        assert_eq!(error["entry"].as_str(), case.entry.as_deref(), "{json}");
    }
    sandbox.everything().assert_is(&before);
    if case.is_early && is_the_tables {
        let touched_after = touched().expect("the directory is there");
        assert_eq!(
            touched_after, touched_before,
            "something was made beside the destination"
        );
    }
    told
}

#[test]
fn an_archive_ends_where_and_as_it_should() {
    hold(&table::the_end_of_the_archive(), gets_its_verdict);
}

#[test]
fn zip64_says_what_it_was_asked_for_and_nothing_else() {
    hold(&table::zip64(), gets_its_verdict);
}

#[test]
fn the_index_says_one_thing_to_all_readers() {
    hold(&table::the_index(), gets_its_verdict);
}

#[test]
fn no_name_leaves_the_root_or_the_terminal_in_disorder() {
    hold(&table::names(), gets_its_verdict);
}

#[test]
fn kinds_and_sizes_are_possible_ones() {
    hold(&table::kinds_and_sizes(), gets_its_verdict);
}

#[test]
fn no_two_entries_contradict_one_another() {
    hold(&table::several_entries(), gets_its_verdict);
}

#[test]
fn local_headers_and_what_follows_the_data_agree_with_the_index() {
    hold(&table::local_headers(), gets_its_verdict);
}

#[test]
fn data_is_what_was_announced() {
    hold(&table::data(), gets_its_verdict);
}

#[test]
fn what_is_odd_but_valid_is_read_without_a_word() {
    hold(&table::odd_but_valid(), gets_its_verdict);
}

#[test]
fn what_is_accepted_is_read_alike_by_others() {
    judges::agree(&table::all());
}

/// The rule that an archive breaks, from the library itself: its index first, then every entry.
fn broken_rule(path: &Path) -> Option<BrokenRule> {
    let budget = Budget::new(64 << 20);
    let refused = |error| match error {
        HostError::Refused { refusal, .. } => Some(refusal.rule),
        _ => None,
    };
    let options = LoadOptions {
        strictness: Strictness::Strict,
        ..LoadOptions::default()
    };
    let loaded = match LoadedStack::load(&[LayerInput::Path(path.into())], options, &budget) {
        Ok(loaded) => loaded,
        Err(error) => return refused(error),
    };
    let first = LayerId(0);
    let OpenLayer::Archive { archive, file } = loaded.open(first) else {
        return None;
    };
    let mut reader = Reader::new(&budget);
    (0..)
        .take(archive.entries().len())
        .find_map(|index| {
            let place = loaded.label(first);
            reader
                .read_entry(file, archive, index, place, |_| Ok(()))
                .err()
        })
        .and_then(refused)
}

/// The names of an enum's variants, from its source: nothing else knows those that no test has met.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(source),
    )
    .expect("our source is text");
    let body = text
        .split_once(&format!("pub enum {name} {{"))
        .and_then(|(_, rest)| rest.split_once("\n}\n"))
        .expect("the enum is there")
        .0;
    // Variants stand four columns in; attributes, comments and fields do not begin with a capital there.
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(first_word)
        .collect()
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric())
        .collect()
}

#[test]
fn every_rule_has_its_archive() {
    let sandbox = Sandbox::new();
    let (mut rules, mut names) = (BTreeSet::new(), BTreeSet::new());
    for case in table::all() {
        let Some(rule) = broken_rule(&sandbox.write("a.zip", &case.bytes)) else {
            continue;
        };
        let Verdict::Refused(why) = case.strict else {
            panic!("{}: the library refuses it: {rule}", case.name);
        };
        assert!(rule.to_string().contains(why), "{}: {rule}", case.name);
        assert_eq!(
            rule.is_harmless(),
            case.lenient != case.strict,
            "{}: {rule}",
            case.name
        );
        rules.insert(first_word(&format!("{rule:?}")));
        if let BrokenRule::Name(error) = rule {
            names.insert(first_word(&format!("{error:?}")));
        }
    }
    assert_eq!(rules, variants("archive/rules.rs", "BrokenRule"));
    assert_eq!(names, variants("path.rs", "NameError"));
}
