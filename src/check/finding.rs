//! One thing that is wrong, and how much that matters.

use std::borrow::Cow;
use std::fmt;

use crate::layer::LayerId;
use crate::path::LayerPath;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It misleads, or breaks sometimes.
    Warning,
    /// It would fail in the cloud, or be refused there.
    Error,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One thing that a rule found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The id of the rule.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The layer at fault; `None` when it is the stack as a whole.
    pub layer: Option<LayerId>,
    /// The path at fault; `None` when it is no single one.
    pub path: Option<LayerPath>,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Cow<'static, str>,
}
