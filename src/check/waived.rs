//! What was accepted only because the user asked for leniency.

use super::finding::Severity;
use super::rule::Rule;
use crate::path::LayerPath;

pub(super) static ACCEPTED_BY_LENIENT: Rule = Rule {
    id: "accepted-by-lenient",
    severity: Severity::Warning,
    summary: "what --lenient accepted, and other readers may read differently",
    explanation: "\
An archive that two programs could read differently is refused: nobody knows which of the readings Lambda would choose. With --lenient \
what is ambiguous but harmless is accepted, the central directory is believed, and of two entries of one name the last one wins. Lambda \
may do the same, or answer \"Could not unzip uploaded file. Please check your file, then try to upload again.\"",
    says: None,
    cure: "pack the layer again with a tool that writes plain archives: `zip -r layer.zip .`",
    needs_runtime: false,
    judge: |subject, findings| {
        let in_index = subject
            .stack
            .in_merge_order()
            .flat_map(|(layer, content)| content.waived().map(move |refusal| (layer, refusal)));
        let in_contents = subject
            .waived
            .iter()
            .map(|(layer, refusal)| (*layer, refusal));
        for (layer, refusal) in in_index.chain(in_contents) {
            let path = refusal
                .entry
                .as_ref()
                .and_then(|entry| LayerPath::parse(&entry.name).ok());
            findings.add(layer, path, refusal.rule.to_string());
        }
    },
};
