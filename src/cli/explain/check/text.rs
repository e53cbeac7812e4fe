//! What `check` found, for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use slashopt::check::{Finding, Outcome, RULES, Rule, Severity, find};
use slashopt::layer::LayerStack;

use crate::cli::output::json as shape;
use crate::cli::output::report::Paint;
use crate::cli::output::words::{Listing, count, legend};

/// How many findings of one rule are named where not all are asked for.
const CAP: usize = 10;
/// How wide an explanation is printed.
const WIDTH: usize = 96;

/// A result, and what it was found in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) checked: &'a Outcome,
    pub(crate) stack: &'a LayerStack,
    /// Files and links in the merged tree.
    pub(crate) files: usize,
}

/// Findings grouped by severity and rule, then the totals in one line.
pub(crate) fn text(shown: &Shown<'_>, listing: Listing, paint: Paint) -> String {
    let mut text = String::new();
    let findings = &shown.checked.findings;
    if !findings.is_empty() && shown.stack.len() > 1 {
        text.push_str(&legend(shown.stack));
        text.push('\n');
    }
    for group in
        findings.chunk_by(|one, other| (one.rule, one.severity) == (other.rule, other.severity))
    {
        put_group(&mut text, group, shown.stack, listing, paint);
    }
    let _ = writeln!(text, "{}", totals(shown));
    text
}

fn put_group(
    text: &mut String,
    group: &[Finding],
    stack: &LayerStack,
    listing: Listing,
    paint: Paint,
) {
    let Some(first) = group.first() else {
        return;
    };
    let rule = find(first.rule);
    let summary = rule.map_or("", |rule| rule.summary);
    let severity = first.severity.to_string();
    let severity = match first.severity {
        Severity::Error => paint.red(&severity),
        Severity::Warning => paint.yellow(&severity),
        Severity::Note => severity,
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{severity}: {} [{}]", paint.bold(summary), first.rule);
    let named = listing.cap(CAP);
    for finding in group.iter().take(named) {
        let mut place = String::new();
        if let Some(path) = &finding.path {
            let _ = write!(place, "{path}");
        }
        if let Some(layer) = finding.layer.filter(|_| stack.len() > 1) {
            let separator = if place.is_empty() { "" } else { " " };
            let _ = write!(place, "{separator}(layer {})", layer.number());
        }
        let separator = if place.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "  {place}{separator}{}", finding.message);
    }
    if group.len() > named {
        let _ = writeln!(text, "  … and {} more (--all)", group.len() - named);
    }
    if let Some(says) = rule.and_then(|rule| rule.says) {
        let _ = writeln!(text, "  Lambda says: {says}");
    }
    let mut cures: Vec<&str> = group
        .iter()
        .take(named)
        .map(|finding| &*finding.help)
        .collect();
    cures.sort_unstable();
    cures.dedup();
    for cure in cures {
        let _ = writeln!(text, "  help: {cure}");
    }
    text.push('\n');
}

fn totals(shown: &Shown<'_>) -> String {
    let of = format!(
        "{} of {}",
        count(shown.files, "file"),
        count(shown.stack.len(), "layer")
    );
    let judged = count(shown.checked.judged, "rule");
    if shown.checked.findings.is_empty() {
        return format!("nothing found: {judged}, {of}");
    }
    let counts =
        Severity::ALL.map(|severity| count(shown.checked.count(severity), &severity.to_string()));
    format!("{}: {judged}, {of}", counts.join(", "))
}

/// The JSON object of the contract.
pub(crate) fn json(shown: &Shown<'_>) -> Value {
    let findings: Vec<Value> = shown.checked.findings.iter().map(finding_json).collect();
    let summary: Map<String, Value> = Severity::ALL
        .into_iter()
        .map(|severity| (severity.to_string(), shown.checked.count(severity).into()))
        .collect();
    let skipped: Vec<&str> = shown.checked.skipped.iter().map(|rule| rule.id).collect();
    json!({
        "schema_version": shape::SCHEMA_VERSION,
        "findings": findings,
        "summary": summary,
        "skipped_rules": skipped,
    })
}

pub(crate) fn finding_json(finding: &Finding) -> Value {
    let mut object = Map::new();
    object.insert("rule".to_owned(), finding.rule.into());
    object.insert("severity".to_owned(), finding.severity.to_string().into());
    let layer = finding.layer.map(slashopt::layer::LayerId::number);
    object.insert("layer".to_owned(), layer.into());
    match &finding.path {
        Some(path) => shape::put_bytes(&mut object, "path", path.as_bytes()),
        None => drop(object.insert("path".to_owned(), Value::Null)),
    }
    object.insert("message".to_owned(), message(finding).into());
    object.insert("help".to_owned(), (*finding.help).into());
    Value::Object(object)
}

/// The message with Lambda's own sentence, for readers that see one finding at a time.
pub(crate) fn message(finding: &Finding) -> String {
    match find(finding.rule).and_then(|rule| rule.says) {
        Some(says) => format!("{} (Lambda says: {says})", finding.message),
        None => finding.message.clone(),
    }
}

/// A line a rule.
pub(crate) fn listed_rules(rules: &[&Rule]) -> String {
    let widest = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for rule in rules {
        let severity = rule.severity.to_string();
        let _ = writeln!(text, "{:widest$}  {severity:7}  {}", rule.id, rule.summary);
    }
    text
}

/// A rule with its reasons.
pub(crate) fn explained(rule: &Rule) -> String {
    let mut text = format!("{} ({})\n{}\n\n", rule.id, rule.severity, rule.summary);
    text.push_str(&wrapped(rule.explanation));
    if let Some(says) = rule.says {
        text.push('\n');
        text.push_str(&wrapped(&format!("Lambda says: \"{says}\"")));
    }
    text.push('\n');
    text.push_str(&wrapped(&format!("Cure: {}.", rule.cure)));
    if rule.needs_runtime {
        text.push_str("\nThis rule is judged for a runtime: name one with --runtime.\n");
    }
    text
}

/// The rules as JSON.
pub(crate) fn rules_json(rules: &[&Rule]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "severity": rule.severity.to_string(),
                "summary": rule.summary,
                "explanation": rule.explanation,
                "lambda_says": rule.says,
                "help": rule.cure,
                "needs_runtime": rule.needs_runtime,
            })
        })
        .collect();
    json!({ "schema_version": shape::SCHEMA_VERSION, "rules": rules })
}

/// A paragraph in lines that can be read.
fn wrapped(paragraph: &str) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in paragraph.split(' ') {
        let letters = word.chars().count();
        if width > 0 && width + 1 + letters > WIDTH {
            text.push('\n');
            width = 0;
        }
        if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += letters;
    }
    text.push('\n');
    text
}
