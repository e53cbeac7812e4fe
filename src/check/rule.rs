//! What a rule is, and where it puts what it finds.

use std::borrow::Cow;

use super::finding::{Finding, Severity};
use super::subject::{File, Subject};
use crate::layer::LayerId;
use crate::path::LayerPath;

/// One rule. Its texts are for people: short sentences, which name AWS's own where it has one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, in kebab-case. It is part of the contract: `--allow`, `--deny` and other programs use it.
    pub id: &'static str,
    /// What its findings are worth; a single finding may be worth less.
    pub severity: Severity,
    /// What it finds, as a heading over its findings: one line, lower case, no full stop.
    pub summary: &'static str,
    /// Why that matters: the reason, what Lambda does, its sentence where it is known, and the source.
    pub explanation: &'static str,
    /// What Lambda itself says then, word for word, where that is known.
    pub says: Option<&'static str>,
    /// What to do, for findings that know nothing better: one line, lower case, no full stop.
    pub cure: &'static str,
    /// Whether it can only be judged for a known runtime.
    pub needs_runtime: bool,
    /// Appends what it finds in the subject.
    pub(crate) judge: fn(&Subject<'_>, &mut Findings),
}

impl Rule {
    /// Everything that it finds in a subject.
    pub(super) fn findings(&'static self, subject: &Subject<'_>) -> Vec<Finding> {
        let mut findings = Findings {
            rule: self,
            found: Vec::new(),
        };
        (self.judge)(subject, &mut findings);
        findings.found
    }
}

/// Where a rule puts what it finds.
#[derive(Debug)]
pub(crate) struct Findings {
    rule: &'static Rule,
    found: Vec<Finding>,
}

impl Findings {
    /// Adds a finding with the severity and the cure of the rule.
    pub(crate) fn add(
        &mut self,
        layer: impl Into<Option<LayerId>>,
        path: impl Into<Option<LayerPath>>,
        message: impl Into<String>,
    ) {
        self.found.push(Finding {
            rule: self.rule.id,
            severity: self.rule.severity,
            layer: layer.into(),
            path: path.into(),
            message: message.into(),
            help: Cow::Borrowed(self.rule.cure),
        });
    }

    /// Adds a finding at a file of the merged tree.
    pub(crate) fn at(&mut self, file: &File, message: impl Into<String>) {
        self.add(file.origin.layer, file.path.clone(), message);
    }

    /// Gives the finding that was added last another cure.
    pub(crate) fn with_help(&mut self, help: impl Into<Cow<'static, str>>) {
        if let Some(last) = self.found.last_mut() {
            last.help = help.into();
        }
    }

    /// Makes the finding that was added last worth less than others of its rule.
    pub(crate) fn only(&mut self, severity: Severity) {
        if let Some(last) = self.found.last_mut() {
            last.severity = last.severity.min(severity);
        }
    }
}
