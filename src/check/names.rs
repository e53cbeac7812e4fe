//! Names that mean something else on another system.

use std::collections::BTreeMap;

use super::finding::Severity;
use super::rule::Rule;
use super::subject::Subject;
use crate::layer::LayerNodeId;
use crate::merge::{NodeId, Origin};
use crate::path::Escaped;

pub(super) static BACKSLASH_IN_NAME: Rule = Rule {
    id: "backslash-in-name",
    severity: Severity::Error,
    summary: "names with a backslash, which is no separator in Lambda",
    explanation: "\
The zip format separates directories by `/` (APPNOTE 4.4.17.1). Some tools on Windows write `\\`, and Lambda takes that for an ordinary \
character: instead of a folder `python` with a file in it there is one file called `python\\requests.py`, directly in /opt, where nothing \
looks for it.",
    says: None,
    cure: "pack with a tool that writes `/`: `tar -a -c -f layer.zip *`, 7-Zip, or Compress-Archive of PowerShell 7",
    needs_runtime: false,
    judge: |subject, findings| {
        for (layer, content) in subject.stack.in_merge_order() {
            for node in content.node_ids() {
                let name = content.name(node);
                if !name.contains(&b'\\') {
                    continue;
                }
                findings.add(layer, content.path(node), "it is one name, not a path");
                // What systemd and a few others name so on purpose: `dev-disk\x2dby`.
                if name
                    .windows(2)
                    .all(|pair| pair[0] != b'\\' || pair[1] == b'x')
                {
                    findings.only(Severity::Note);
                }
            }
        }
    },
};

pub(super) static CASE_CLASH: Rule = Rule {
    id: "case-clash",
    severity: Severity::Warning,
    summary: "names that differ only in case",
    explanation: "\
Lambda's file system distinguishes case: `Lib` and `lib` are two folders there. On macOS and Windows they are one, so what was tried \
there is not what runs. Where the two names come from different layers, one was most likely meant to override or to extend the other and \
does not.",
    says: None,
    cure: "rename one of them, so that both are the same or differ by more",
    needs_runtime: false,
    judge: |subject, findings| {
        let mut directories = vec![NodeId::ROOT];
        while let Some(directory) = directories.pop() {
            let mut names: BTreeMap<Vec<u8>, Vec<NodeId>> = BTreeMap::new();
            for child in subject.tree.children(directory) {
                let folded = folded(subject.tree.name(child));
                names.entry(folded).or_default().push(child);
                directories.push(child);
            }
            for mut alike in names.into_values().filter(|alike| alike.len() > 1) {
                alike.sort_by_key(|&node| subject.tree.name(node));
                report_alike(subject, &alike, findings);
            }
        }
    },
};

fn report_alike(subject: &Subject<'_>, alike: &[NodeId], findings: &mut super::rule::Findings) {
    let [first, others @ ..] = alike else {
        return;
    };
    let layers = |node| subject.tree.layers(node);
    let of_first = layers(*first);
    for &other in others {
        let of_other = layers(other);
        let name = Escaped(subject.tree.name(*first));
        let message = format!("there is also `{name}`");
        findings.add(of_other.last().copied(), subject.tree.path(other), message);
        if of_first == of_other {
            findings.only(Severity::Note);
        }
    }
}

/// The name as a file system compares it that ignores case.
fn folded(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => name.to_ascii_lowercase(),
    }
}

pub(super) static JUNK_FILE: Rule = Rule {
    id: "junk-file",
    severity: Severity::Note,
    summary: "what the packing system left behind",
    explanation: "\
`__MACOSX`, `.DS_Store`, `._NAME`, `Thumbs.db` and `desktop.ini` are written by the file managers of macOS and Windows. They do no harm and \
are of no use; they count against the quota and make every archive different.",
    says: None,
    cure: "leave them out: `zip -r layer.zip . -x '__MACOSX/*' '*.DS_Store' '*/._*'`",
    needs_runtime: false,
    judge: |subject, findings| {
        for (layer, content) in subject.stack.in_merge_order() {
            let mut below = 0;
            let mut folder = None;
            for node in content.node_ids() {
                let name = content.name(node);
                let is_junk = matches!(name, b".DS_Store" | b"Thumbs.db" | b"desktop.ini")
                    || name.starts_with(b"._");
                if name == b"__MACOSX" {
                    folder = Some(content.path(node));
                } else if is_below(subject, Origin { layer, node }) {
                    below += 1;
                } else if is_junk {
                    findings.add(layer, content.path(node), "it has no use in Lambda");
                }
            }
            if let Some(path) = folder {
                let entries = if below == 1 { "entry" } else { "entries" };
                findings.add(
                    layer,
                    path,
                    format!("{below} {entries} of no use in Lambda"),
                );
            }
        }
    },
};

/// Whether it lies below a folder that macOS adds to archives.
fn is_below(subject: &Subject<'_>, origin: Origin) -> bool {
    let layer = subject.stack.layer(origin.layer);
    let mut at = origin.node;
    while at != LayerNodeId::ROOT {
        at = layer.parent(at);
        if layer.name(at) == b"__MACOSX" {
            return true;
        }
    }
    false
}
