//! Permission bits that do not do in Lambda what they do on the machine that packed the layer.

use std::collections::HashSet;

use super::facts::FileFacts;
use super::finding::Severity;
use super::rule::Rule;
use super::subject::{Subject, is_executable};
use crate::entry::Kind;
use crate::merge::Origin;

pub(super) static UNREADABLE_FILE: Rule = Rule {
    id: "unreadable-file",
    severity: Severity::Error,
    summary: "files that Lambda's user cannot read",
    explanation: "\
A function runs as an ordinary user, and everything in /opt belongs to root. A file keeps the mode that its archive gives it, so \
one that others may not read (0600, 0640) cannot be opened: the import fails with EACCES, or Lambda refuses the layer already. \
Directories are safe: Lambda makes those that nobody can enter 0755. AWS asks for 644 for files and 755 for directories and \
executables (AWS Lambda Developer Guide, \"Working with .zip file archives for Python Lambda functions\").",
    says: Some("Layer conversion failed: Some files do not have read permissions"),
    cure: "make everything readable before it is packed: `chmod -R a+rX .`",
    needs_runtime: false,
    judge: |subject, findings| {
        let is_unreadable =
            |origin: &Origin| subject.tree.object_of(*origin).mode.bits() & 0o004 == 0;
        let mut unreadable = Subject::contents(subject.stack);
        unreadable.retain(is_unreadable);
        if unreadable.is_empty() {
            return;
        }
        let visible: HashSet<Origin> = subject.files.iter().map(|file| file.origin).collect();
        for origin in unreadable {
            let object = subject.tree.object_of(origin);
            let is_hidden = !visible.contains(&origin);
            let hidden = if is_hidden {
                "; a later layer overrides it, but this one alone may be refused"
            } else {
                ""
            };
            findings.add(
                origin.layer,
                path_of(subject, origin),
                format!(
                    "its mode is {}: others may not read it{hidden}",
                    object.mode
                ),
            );
            if is_hidden {
                findings.only(Severity::Warning);
            }
        }
    },
};

pub(super) static COMMAND_NOT_EXECUTABLE: Rule = Rule {
    id: "command-not-executable",
    severity: Severity::Warning,
    summary: "commands in bin that nobody may execute",
    explanation: "\
/opt/bin is the last directory in PATH, so programs in it are meant to be started by name. Lambda keeps the mode that the archive \
gives, and an archive that was packed on Windows gives none: its files can be read and not executed. The shell then says \
\"Permission denied\", exec fails with EACCES.",
    says: None,
    cure: "set the bit before packing, with a tool that keeps it: `chmod +x bin/*`, then `zip -r`",
    needs_runtime: false,
    judge: |subject, findings| {
        for node in subject.children("bin") {
            let object = subject.tree.object(node);
            if object.kind != Kind::File || is_executable(&object) {
                continue;
            }
            let origin = subject.tree.provider(node);
            let is_program = match subject.facts(origin) {
                Some(FileFacts::Elf(_) | FileFacts::Script(_)) => true,
                // Text and data that lie beside programs have an ending; programs that nobody knows have none.
                _ if subject.tree.name(node).contains(&b'.') => continue,
                _ => false,
            };
            findings.add(
                origin.layer,
                subject.tree.path(node),
                format!("{}: nobody may execute it", mode_of(subject, origin)),
            );
            if !is_program {
                findings.only(Severity::Note);
            }
        }
    },
};

pub(super) static SPECIAL_MODE_BITS: Rule = Rule {
    id: "special-mode-bits",
    severity: Severity::Warning,
    summary: "set-id bits that are lost",
    explanation: "\
A set-user-ID or set-group-ID program runs with its owner's rights. What Lambda does with these bits is not documented; nothing in a \
function may change its user, and the programs that make layers into roots, this one too, strip them. A program that relies on them \
(ping, sudo, fusermount) does not work from a layer.",
    says: None,
    cure: "use a program that needs no other user's rights, and clear the bits: `chmod ug-s FILE`",
    needs_runtime: false,
    judge: |subject, findings| {
        for origin in Subject::contents(subject.stack) {
            let layer = subject.stack.layer(origin.layer);
            let bits = layer.special_bits(origin.node);
            let what = match (bits & 0o4000 != 0, bits & 0o2000 != 0) {
                (false, false) => continue,
                (true, false) => "set-user-ID",
                (false, true) => "set-group-ID",
                (true, true) => "set-user-ID and set-group-ID",
            };
            findings.add(
                origin.layer,
                path_of(subject, origin),
                format!("{what} is dropped: it runs as Lambda's user"),
            );
        }
    },
};

fn path_of(subject: &Subject<'_>, origin: Origin) -> crate::path::LayerPath {
    subject.stack.layer(origin.layer).path(origin.node)
}

/// The mode in words that say where it comes from.
pub(super) fn mode_of(subject: &Subject<'_>, origin: Origin) -> String {
    let layer = subject.stack.layer(origin.layer);
    if layer.has_no_mode(origin.node) {
        "the archive gives it no mode".to_owned()
    } else {
        format!("its mode is {}", subject.tree.object_of(origin).mode)
    }
}
