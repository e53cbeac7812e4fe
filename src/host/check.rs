//! Judges what a stack would do in the cloud: reads every entry, then asks the rules.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use rayon::ThreadPool;

use crate::archive::Refusal;
use crate::check::facts::{FileBytes, FileFacts, look};
use crate::check::{Configuration, Finding, Outcome, RuleLevels, Subject};
use crate::host::error::HostError;
use crate::host::read::input::LayerInput;
use crate::host::read::inspect::{Inspected, inspect_all};
use crate::host::read::options::LoadOptions;
use crate::host::read::stack::LoadedStack;
use crate::host::system::budget::Budget;
use crate::layer::LayerId;
use crate::merge::{MergedTree, Origin};
use crate::packages::{Facts, Packages};
use crate::plan::OnTypeConflict;
use crate::quota::QuotaExceeded;
use crate::runtime::{Architecture, Runtime};
use crate::{check, packages};

/// Every entry of a stack, read and verified: what the rules ask of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StackContents {
    /// What the rules want to know of files.
    pub facts: HashMap<Origin, FileFacts>,
    /// What the files of packages say.
    pub of_packages: Facts,
    /// What `--lenient` waived while they were read.
    pub waived: Vec<(LayerId, Refusal)>,
}

/// Reads and verifies every entry of every layer, those that others override too.
///
/// # Errors
///
/// What is wrong with the lowest entry, or why it cannot be read.
pub fn read_everything(loaded: &LoadedStack, budget: &Budget) -> Result<StackContents, HostError> {
    let origins = Subject::contents(&loaded.stack);
    let wanted: HashSet<Origin> = packages::wanted(&loaded.stack).into_iter().collect();
    let Inspected { made, waived } = inspect_all(loaded, &origins, budget, |origin, content| {
        let layer = loaded.stack.layer(origin.layer);
        let path = layer.path(origin.node);
        let bytes = FileBytes {
            bytes: content.bytes,
            is_whole: content.is_whole,
        };
        let of_packages = wanted
            .contains(&origin)
            .then(|| packages::read(&path, content.bytes))
            .flatten();
        (look(&path, bytes), of_packages)
    })?;
    let mut contents = StackContents {
        facts: HashMap::new(),
        of_packages: Facts::new(),
        waived,
    };
    for (origin, (facts, of_packages)) in origins.into_iter().zip(made) {
        contents.facts.extend(facts.map(|facts| (origin, facts)));
        let of_packages = of_packages.map(|fact| (origin, fact));
        contents.of_packages.extend(of_packages);
    }
    Ok(contents)
}

/// A stack that the rules have judged.
#[derive(Debug)]
#[non_exhaustive]
pub struct JudgedStack {
    /// What they found.
    pub outcome: Outcome,
    /// In how many files they looked.
    pub files: usize,
    /// The packages that are installed in the root.
    pub packages: Packages,
}

/// Asks the rules what would fail or mislead.
pub fn judge(
    tree: &MergedTree<'_>,
    contents: &StackContents,
    configuration: Configuration<'_>,
    quotas: &[QuotaExceeded],
    levels: &RuleLevels,
) -> JudgedStack {
    let packages = Packages::of(tree, &contents.of_packages, configuration.runtime);
    let mut subject = Subject::new(tree, &contents.facts, configuration);
    subject.quotas = quotas;
    subject.packages = Some(&packages);
    subject.waived = &contents.waived;
    let (outcome, files) = (check::check(&subject, levels), subject.files.len());
    drop(subject);
    JudgedStack {
        outcome,
        files,
        packages,
    }
}

/// What the rules find in one archive, whatever the quotas.
///
/// # Errors
///
/// What is wrong with the archive, or why it cannot be read.
pub fn findings(
    archive: &File,
    runtime: Option<&'static Runtime>,
    architecture: Architecture,
    pool: &ThreadPool,
    budget: &Budget,
) -> Result<Vec<Finding>, HostError> {
    let file = archive
        .try_clone()
        .map_err(|error| HostError::io("look at it", "the archive", error))?;
    let input = LayerInput::Open {
        name: "the archive".to_owned(),
        file: Arc::new(file),
    };
    pool.install(|| {
        let loaded = LoadedStack::load(&[input], LoadOptions::default(), budget)?;
        let contents = read_everything(&loaded, budget)?;
        let linked = OnTypeConflict::default().linked_directory();
        let tree = MergedTree::merge(&loaded.stack, linked);
        let configuration = Configuration {
            runtime,
            architecture,
            variables: &[],
        };
        let judged = judge(&tree, &contents, configuration, &[], &RuleLevels::default());
        Ok(judged.outcome.findings)
    })
}
