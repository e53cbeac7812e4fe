//! What AWS refuses because it is too much, or named twice.

use super::finding::Severity;
use super::rule::Rule;
use crate::layer::LayerId;
use crate::quota::QuotaExceeded;

pub(super) static QUOTA_EXCEEDED: Rule = Rule {
    id: "quota-exceeded",
    severity: Severity::Error,
    summary: "more than AWS allows",
    explanation: "\
A function has at most five layers, and it and all its layers unzip to at most 262144000 bytes (250 MB) together. The sum counts: a file \
that a later layer overrides counts twice. One archive must unzip to less than that by itself. AWS refuses the function, or the layer \
already, with the sentence that the finding quotes (AWS Lambda Developer Guide, \"Lambda quotas\").",
    says: None,
    cure: "leave out what the runtime has already and what is only needed to build, or merge layers into one: overridden files go",
    needs_runtime: false,
    judge: |subject, findings| {
        for quota in subject.quotas {
            let layer = match quota {
                QuotaExceeded::SameLayer(..) => continue,
                QuotaExceeded::Archive { layer } => {
                    u16::try_from(layer.saturating_sub(1)).ok().map(LayerId)
                }
                QuotaExceeded::Layers
                | QuotaExceeded::AllLayers
                | QuotaExceeded::Zipped
                | QuotaExceeded::FunctionAndLayers(_) => None,
            };
            findings.add(layer, None, format!("Lambda says: {quota}"));
        }
    },
};

pub(super) static SAME_LAYER_TWICE: Rule = Rule {
    id: "same-layer-twice",
    severity: Severity::Error,
    summary: "one layer that is named twice",
    explanation: "\
A function can name a layer once, whatever the version: AWS refuses the same layer twice, also in the identical version, with the \
sentence that the finding quotes. It would change nothing either: the files are already there.",
    says: None,
    cure: "name the layer once, at the place where it should override the ones before it",
    needs_runtime: false,
    judge: |subject, findings| {
        for quota in subject.quotas {
            if matches!(quota, QuotaExceeded::SameLayer(..)) {
                findings.add(None, None, format!("Lambda says: {quota}"));
            }
        }
    },
};
