//! Layers that disagree on what a path is.

use super::finding::Severity;
use super::rule::Rule;
use crate::merge::Shadowed;

pub(super) static TYPE_CONFLICT: Rule = Rule {
    id: "type-conflict",
    severity: Severity::Warning,
    summary: "layers that disagree on whether a path is a file, a directory or a link",
    explanation: "\
The later layer wins a path that two layers bring. When the earlier one has a directory there and the later one a file or a link, \
everything below the directory is gone; when a link to a directory meets a directory, the two do not merge. AWS does not document what \
its own extraction does then, so the root may even differ from the one that is made here.",
    says: None,
    cure: "rename the path in one of the layers; `slashopt which PATH LAYER...` shows both sides",
    needs_runtime: false,
    judge: |subject, findings| {
        let tree = subject.tree;
        let mut below = std::collections::HashMap::new();
        let mut conflicts: Vec<Shadowed> = Vec::new();
        tree.shadowed(|shadowed| {
            if shadowed.node == shadowed.winner {
                conflicts.push(shadowed);
            } else {
                *below.entry(shadowed.winner).or_insert(0_usize) += 1;
            }
        });
        for conflict in conflicts {
            let winner = tree.provider(conflict.winner).layer;
            let kind = tree.kind(conflict.winner);
            let differing = |loser: &&crate::merge::Origin| tree.object_of(**loser).kind != kind;
            let Some(&loser) = conflict.losers.iter().find(differing) else {
                continue;
            };
            let lost = match below.get(&conflict.winner) {
                Some(1) => ", and with it what lies below it".to_owned(),
                Some(count) => format!(", and with it {count} objects below it"),
                None => String::new(),
            };
            findings.add(
                winner,
                tree.path(conflict.winner),
                format!(
                    "a {kind} that replaces the {} of layer {}{lost}",
                    tree.object_of(loser).kind,
                    loser.layer.number()
                ),
            );
        }
    },
};
