//! `/opt/extensions`: every file in it is a program that Lambda starts.

use super::finding::Severity;
use super::leads::{Leads, lead};
use super::modes::mode_of;
use super::rule::Rule;
use super::subject::{Subject, is_executable};
use crate::entry::Kind;
use crate::merge::NodeId;

/// How many extensions can register (AWS Lambda Developer Guide, *Using the Lambda Extensions API*; `MaxAgentsAllowed` in
/// AWS's runtime interface emulator).
const MOST_EXTENSIONS: usize = 10;
/// The file that switches all extensions off (`internal/lambda/extensions` in AWS's runtime interface emulator).
const SWITCH_OFF: &str = "disable-extensions-jwigqn8j";

/// What Lambda starts: whatever lies in the directory and is no directory itself.
fn extensions<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = NodeId> + 's {
    let is_started = |node: &NodeId| subject.tree.kind(*node) != Kind::Directory;
    subject
        .children("extensions")
        .into_iter()
        .filter(is_started)
}

pub(super) static EXTENSION_NOT_EXECUTABLE: Rule = Rule {
    id: "extension-not-executable",
    severity: Severity::Error,
    summary: "files in extensions that cannot be executed",
    explanation: "\
Lambda \"looks for extensions in the /opt/extensions/ directory, interprets each file as an executable bootstrap for launching the \
extension, and starts all extensions in parallel\" (AWS Lambda Developer Guide, \"Using the Lambda Extensions API\"). One file that cannot be \
executed, a README too, and the function fails at every start: errorType Extension.LaunchError, \"Error: fork/exec /opt/extensions/NAME: \
permission denied\".",
    says: Some("Error: fork/exec /opt/extensions/NAME: permission denied (Extension.LaunchError)"),
    cure: "`chmod +x extensions/*` before packing with a tool that keeps modes, and keep other files out of that folder",
    needs_runtime: false,
    judge: |subject, findings| {
        for node in extensions(subject) {
            let origin = subject.tree.provider(node);
            let path = subject.tree.path(node);
            let target = match subject.tree.kind(node) {
                Kind::Symlink => match lead(subject, node) {
                    Leads::To(target) => target,
                    // Whether it can be executed depends on the function's own code.
                    Leads::Outside => continue,
                    Leads::Nowhere => {
                        findings.add(origin.layer, path, "the link leads nowhere");
                        continue;
                    }
                },
                _ => node,
            };
            let object = subject.tree.object(target);
            if object.kind == Kind::Directory {
                findings.add(origin.layer, path, "the link leads to a directory");
            } else if !is_executable(&object) {
                let mode = mode_of(subject, subject.tree.provider(target));
                findings.add(origin.layer, path, format!("{mode}: nobody may execute it"));
            }
        }
    },
};

pub(super) static EXTENSION_IS_DIRECTORY: Rule = Rule {
    id: "extension-is-directory",
    severity: Severity::Warning,
    summary: "directories in extensions, into which Lambda does not look",
    explanation: "\
Lambda starts the files directly in /opt/extensions and passes over directories. An extension one level deeper is not started, and \
nothing says so.",
    says: None,
    cure: "put the program directly into extensions, and what belongs to it elsewhere in the layer",
    needs_runtime: false,
    judge: |subject, findings| {
        for node in subject.children("extensions") {
            if subject.tree.kind(node) == Kind::Directory {
                let layer = subject.tree.layers(node).first().copied();
                let message = "it is a directory: nothing in it is started";
                findings.add(layer, subject.tree.path(node), message);
            }
        }
    },
};

pub(super) static TOO_MANY_EXTENSIONS: Rule = Rule {
    id: "too-many-extensions",
    severity: Severity::Error,
    summary: "more extensions than can register",
    explanation: "\
\"You can register up to 10 extensions for a function\" (AWS Lambda Developer Guide, \"Configuring extensions\"). Lambda starts every file in \
/opt/extensions; the eleventh is refused when it registers, which ends it and with it the function's start. Extensions of several layers \
come together in the same folder, and those inside the runtime's process count too.",
    says: None,
    cure: "leave out the layers whose extensions the function does not need",
    needs_runtime: false,
    judge: |subject, findings| {
        let count = extensions(subject).count();
        if count > MOST_EXTENSIONS {
            findings.add(
                None,
                None,
                format!("{count} extensions would be started, and {MOST_EXTENSIONS} can register"),
            );
        }
    },
};

pub(super) static EXTENSION_OVERRIDDEN: Rule = Rule {
    id: "extension-overridden",
    severity: Severity::Warning,
    summary: "extensions that another layer's of the same name replaces",
    explanation: "\
An extension is known by the name of its file in /opt/extensions. If two layers bring different ones under one name, the later layer wins \
and the other extension is never started; nothing says so.",
    says: None,
    cure: "rename one of them, if both should run, or leave out the layer that loses",
    needs_runtime: false,
    judge: |subject, findings| {
        let tree = subject.tree;
        let Some(folder) = subject.resolve(b"extensions") else {
            return;
        };
        tree.shadowed(|shadowed| {
            if shadowed.node != shadowed.winner || tree.parent(shadowed.node) != folder {
                return;
            }
            let winner = tree.object(shadowed.winner);
            let layer = tree.provider(shadowed.winner).layer;
            for &loser in &shadowed.losers {
                let lost = tree.object_of(loser);
                // A layer that is a directory does not know the checksum.
                let is_same = lost.size == winner.size && lost.crc32 == winner.crc32;
                if lost.kind != Kind::Directory && !is_same {
                    let message = format!("that of layer {} is not started", loser.layer.number());
                    findings.add(layer, tree.path(shadowed.node), message);
                }
            }
        });
    },
};

pub(super) static EXTENSIONS_DISABLED: Rule = Rule {
    id: "extensions-disabled",
    severity: Severity::Warning,
    summary: "a file that switches all extensions off",
    explanation: "\
If /opt/disable-extensions-jwigqn8j exists, Lambda starts no extension at all, of no layer. The name is that of AWS's own switch \
(internal/lambda/extensions in AWS's runtime interface emulator); it is not documented.",
    says: None,
    cure: "remove the file, unless no extension should run",
    needs_runtime: false,
    judge: |subject, findings| {
        let Some(node) = subject.resolve(SWITCH_OFF.as_bytes()) else {
            return;
        };
        let names: Vec<String> = extensions(subject)
            .take(MOST_EXTENSIONS)
            .map(|node| crate::path::Escaped(subject.tree.name(node)).to_string())
            .collect();
        let layer = subject.tree.provider(node).layer;
        if names.is_empty() {
            findings.add(
                layer,
                subject.tree.path(node),
                "no extension would be started",
            );
            findings.only(Severity::Note);
        } else {
            let message = format!("these are not started: {}", names.join(", "));
            findings.add(layer, subject.tree.path(node), message);
        }
    },
};
