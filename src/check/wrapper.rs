//! `AWS_LAMBDA_EXEC_WRAPPER`: a program of a layer that starts the runtime in its place.

use super::facts::FileFacts;
use super::finding::Severity;
use super::leads::{Leads, lead_path};
use super::modes::mode_of;
use super::rule::Rule;
use super::subject::{Subject, is_executable};
use crate::entry::Kind;
use crate::merge::NodeId;
use crate::path::Escaped;
use crate::runtime::Family;

const VARIABLE: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// The wrapper's path below `/opt`, where it is one; the bootstraps take an empty value for none.
fn wrapper<'a>(subject: &Subject<'a>) -> Option<&'a [u8]> {
    subject.configured(VARIABLE)?.strip_prefix(b"/opt/")
}

fn node_of(subject: &Subject<'_>) -> Option<NodeId> {
    match lead_path(subject, wrapper(subject)?) {
        Leads::To(node) => Some(node),
        Leads::Nowhere | Leads::Outside => None,
    }
}

pub(super) static WRAPPER_MISSING: Rule = Rule {
    id: "wrapper-missing",
    severity: Severity::Error,
    summary: "AWS_LAMBDA_EXEC_WRAPPER names no file",
    explanation: "\
The bootstraps of the managed runtimes hand everything to the program that AWS_LAMBDA_EXEC_WRAPPER names. If there is no regular file at \
that path they say so and end with status 127: no invocation works (AWS Lambda Developer Guide, \"Modifying the runtime environment\").",
    says: Some("<path>: does not exist"),
    cure: "correct the variable, or add the layer that brings the wrapper",
    needs_runtime: false,
    judge: |subject, findings| {
        let (Some(value), Some(path)) = (subject.configured(VARIABLE), wrapper(subject)) else {
            return;
        };
        let shown = Escaped(value);
        match lead_path(subject, path) {
            Leads::To(node) if subject.tree.kind(node) == Kind::Directory => {
                let layer = subject.tree.layers(node).first().copied();
                let message = format!("`{shown}` is a directory");
                findings.add(layer, subject.tree.path(node), message);
            }
            Leads::Nowhere => {
                findings.add(None, None, format!("no layer brings `{shown}`"));
                let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let mut alike = subject
                    .regular_files()
                    .filter(|file| file.path.components().next_back() == Some(name));
                if let Some(file) = alike.next() {
                    findings.with_help(format!("there is `/opt/{}`: is that the one?", file.path));
                }
            }
            Leads::To(_) | Leads::Outside => {}
        }
    },
};

pub(super) static WRAPPER_NOT_EXECUTABLE: Rule = Rule {
    id: "wrapper-not-executable",
    severity: Severity::Error,
    summary: "wrappers that nobody may execute",
    explanation: "\
The program that AWS_LAMBDA_EXEC_WRAPPER names is started by the runtime's bootstrap. If it has no execute bit, the bootstrap says so and \
ends with status 126: no invocation works. Scripts at the top of a layer are nearly always made for that variable, so they are looked at \
even where nobody says how the function is configured.",
    says: Some("<path>: is not an executable"),
    cure: "`chmod +x` the wrapper before packing, with a tool that keeps modes: `zip -r`",
    needs_runtime: false,
    judge: |subject, findings| {
        let configured = node_of(subject);
        let node = configured.filter(|&node| {
            let object = subject.tree.object(node);
            object.kind == Kind::File && !is_executable(&object)
        });
        if let Some(node) = node {
            let origin = subject.tree.provider(node);
            let message = format!("{}: the function would not start", mode_of(subject, origin));
            findings.add(origin.layer, subject.tree.path(node), message);
        }
        for file in subject.regular_files() {
            let is_at_top = file.path.components().count() == 1;
            let is_script = matches!(subject.facts(file.origin), Some(FileFacts::Script(_)));
            // An ending is what scripts have that are read by an interpreter; the bootstrap has a rule of its own.
            let is_named_so =
                !file.path.as_bytes().contains(&b'.') || file.path.as_bytes().ends_with(b".sh");
            if is_at_top
                && is_script
                && is_named_so
                && !is_executable(&file.object)
                && Some(file.node) != configured
                && file.path.as_bytes() != b"bootstrap"
            {
                let mode = mode_of(subject, file.origin);
                findings.at(file, format!("{mode}: it could not serve as a wrapper"));
                findings.only(Severity::Warning);
            }
        }
    },
};

pub(super) static WRAPPER_UNSUPPORTED: Rule = Rule {
    id: "wrapper-unsupported",
    severity: Severity::Warning,
    summary: "AWS_LAMBDA_EXEC_WRAPPER with an OS-only runtime",
    explanation: "\
\"Wrapper scripts are not supported on OS-only runtimes\" (AWS Lambda Developer Guide, \"Modifying the runtime environment\"): it is the \
bootstraps of the managed runtimes that read the variable. A function on provided.* starts without its wrapper, and what that would have \
set up is missing.",
    says: None,
    cure: "do in the function's own bootstrap what the wrapper does, or use a managed runtime",
    needs_runtime: true,
    judge: |subject, findings| {
        let value = subject.configured(VARIABLE).unwrap_or_default();
        if let Some(runtime) = subject.runtime
            && runtime.family == Family::Provided
            && !value.is_empty()
        {
            let (value, runtime) = (Escaped(value), runtime.identifier);
            findings.add(None, None, format!("{runtime} does not start `{value}`"));
        }
    },
};
