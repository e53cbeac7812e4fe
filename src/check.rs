//! What would fail or mislead in the cloud, found before a layer is published: rules, each with an id, a severity, a reason
//! and a cure, judged over one stack.
//!
//! [`check`] runs the rules of [`RULES`] over a [`Subject`]: the merged tree, what its files hold ([`facts`]), and the function
//! that is meant to use it. A rule is a value ([`Rule`]) and knows nothing of the others; a rule or a small family of like ones
//! is a file in this folder. A new rule is a new static and a line in [`RULES`].
//!
//! Nothing here reads a file: whoever asks has every file read once, verified, and hands its bytes to [`facts::look`].

mod alternatives;
mod bootstrap;
mod bytecode;
mod conflicts;
mod es_modules;
mod extensions;
pub mod facts;
mod finding;
mod folders;
mod gems;
mod interpreters;
mod java;
mod leads;
mod links;
mod modes;
mod names;
mod native;
mod packages;
mod python;
mod quotas;
mod rule;
mod runtime_sdk;
mod search_order;
mod search_paths;
mod subject;
mod versions;
mod waived;
mod wrapper;

pub use finding::{Finding, Severity};
pub use rule::Rule;
pub use subject::{Configuration, File, Subject};

/// Every rule, in the order in which findings are told: what AWS refuses, what does not start, what is not found, what misleads.
pub static RULES: &[&Rule] = &[
    &quotas::QUOTA_EXCEEDED,
    &quotas::SAME_LAYER_TWICE,
    &modes::UNREADABLE_FILE,
    &bootstrap::BOOTSTRAP_NOT_EXECUTABLE,
    &bootstrap::BOOTSTRAP_IS_DIRECTORY,
    &bootstrap::BOOTSTRAP_IGNORED,
    &extensions::EXTENSION_NOT_EXECUTABLE,
    &extensions::EXTENSION_IS_DIRECTORY,
    &extensions::EXTENSION_OVERRIDDEN,
    &extensions::TOO_MANY_EXTENSIONS,
    &extensions::EXTENSIONS_DISABLED,
    &wrapper::WRAPPER_MISSING,
    &wrapper::WRAPPER_NOT_EXECUTABLE,
    &wrapper::WRAPPER_UNSUPPORTED,
    &search_paths::LAYERS_NOT_SEARCHED,
    &modes::COMMAND_NOT_EXECUTABLE,
    &interpreters::CARRIAGE_RETURN,
    &interpreters::MISSING_INTERPRETER,
    &native::WRONG_ARCHITECTURE,
    &native::MUSL,
    &native::NEWER_SYSTEM,
    &native::ADDON_OF_ANOTHER_NODE,
    &java::NEWER_CLASSES,
    &modes::SPECIAL_MODE_BITS,
    &versions::FOLDER_OF_ANOTHER_VERSION,
    &versions::EXTENSION_OF_ANOTHER_PYTHON,
    &bytecode::UNLOADABLE_BYTECODE,
    &folders::PYTHON_PACKAGE_NOT_SEARCHED,
    &folders::NODE_MODULES_NOT_SEARCHED,
    &gems::GEM_NOT_SEARCHED,
    &folders::JAR_NOT_SEARCHED,
    &folders::NESTED_ARCHIVE,
    &es_modules::ES_MODULE_NOT_FOUND,
    &search_order::LATER_LAYER_NOT_FOUND,
    &packages::TWO_DISTRIBUTIONS,
    &packages::PACKAGE_HALF_REPLACED,
    &runtime_sdk::RUNTIME_SDK_SHADOWED,
    &python::PTH_FILE,
    &bytecode::STALE_BYTECODE,
    &names::BACKSLASH_IN_NAME,
    &names::CASE_CLASH,
    &names::JUNK_FILE,
    &links::DANGLING_LINK,
    &links::LINK_LEAVES_OPT,
    &links::LINK_STORED_AS_TEXT,
    &conflicts::TYPE_CONFLICT,
    &waived::ACCEPTED_BY_LENIENT,
];

/// The rule of that id.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// What the user makes of the rules.
#[derive(Clone, Debug, Default)]
pub struct RuleLevels {
    /// Every finding is an error.
    pub denies_all: bool,
    /// The ids of the rules whose findings are errors.
    pub denied: Vec<&'static str>,
    /// The ids of the rules that are not judged; they beat the denied ones.
    pub allowed: Vec<&'static str>,
}

impl RuleLevels {
    fn is_denied(&self, rule: &Rule) -> bool {
        self.denies_all || self.denied.contains(&rule.id)
    }
}

/// What the rules made of a subject.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// What was found: the worst first, then in the order of [`RULES`], then by path and layer.
    pub findings: Vec<Finding>,
    /// How many rules were judged.
    pub judged: usize,
    /// The rules that could not be judged, because no runtime is known.
    pub skipped: Vec<&'static Rule>,
}

impl Outcome {
    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of_severity = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(of_severity).count()
    }
}

/// Judges every rule that the policy does not allow to be broken.
pub fn check(subject: &Subject<'_>, levels: &RuleLevels) -> Outcome {
    let mut outcome = Outcome::default();
    let judged = RULES
        .iter()
        .filter(|rule| !levels.allowed.contains(&rule.id));
    for &rule in judged {
        if rule.needs_runtime && subject.runtime.is_none() {
            outcome.skipped.push(rule);
            continue;
        }
        outcome.judged += 1;
        let mut found = rule.findings(subject);
        if levels.is_denied(rule) {
            for finding in &mut found {
                finding.severity = Severity::Error;
            }
        }
        found.sort_by(|one, other| {
            (&one.path, one.layer, &one.message).cmp(&(&other.path, other.layer, &other.message))
        });
        outcome.findings.append(&mut found);
    }
    // Stable: within a severity the order of the rules stays.
    outcome
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    outcome
}
