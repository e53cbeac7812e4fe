//! Packages that are there twice, or in part.

use super::finding::Severity;
use super::rule::{Findings, Rule};
use super::subject::Subject;
use crate::layer::LayerId;
use crate::packages::{Ecosystem, Package, PackageSet, Packages};

pub(super) static TWO_DISTRIBUTIONS: Rule = Rule {
    id: "two-distributions",
    severity: Severity::Warning,
    summary: "Python packages that one layer has in two versions",
    explanation: "\
`pip install --target` into a folder that is not empty leaves what was there: the metadata of both versions stand side by side, and the \
modules are a mixture. importlib.metadata takes one of the two by chance, so a package that asks for the version of another one \
(OpenTelemetry does) refuses to start although the right code is there.",
    says: None,
    cure: "build the layer again in an empty directory",
    needs_runtime: false,
    judge: |subject, findings| {
        let Some(packages) = subject.packages else {
            return;
        };
        for set in packages.contested() {
            let members: Vec<&Package> = members(packages, set)
                .filter(|package| package.ecosystem == Ecosystem::Python)
                .collect();
            for (place, package) in members.iter().enumerate() {
                let is_beside = |other: &&&Package| {
                    other.layer == package.layer
                        && other.folder == package.folder
                        && other.version != package.version
                };
                // Told once, at the one that is found.
                let before = members.get(..place).unwrap_or_default();
                if before.iter().any(|other| is_beside(&other)) {
                    continue;
                }
                let beside: Vec<String> = members
                    .iter()
                    .skip(place + 1)
                    .filter(is_beside)
                    .map(|other| described(other))
                    .collect();
                if !beside.is_empty() {
                    findings.add(
                        package.layer,
                        package.path.clone(),
                        format!("{} stands beside {}", described(package), beside.join(", ")),
                    );
                    add_cure(subject, set, findings);
                }
            }
        }
    },
};

pub(super) static PACKAGE_HALF_REPLACED: Rule = Rule {
    id: "package-half-replaced",
    severity: Severity::Warning,
    summary: "packages of which a later layer replaces a part",
    explanation: "\
Layers are merged file by file. Where two have a package in two versions, the files of the later one win, and those that only the earlier \
one has stay: modules that the new version dropped can still be imported and find the rest of their version gone, and the \
metadata of both say that both are installed. Nothing in Lambda removes them.",
    says: None,
    cure: "let one layer bring the package, or remove it from the earlier one",
    needs_runtime: false,
    judge: |subject, findings| {
        let Some(packages) = subject.packages else {
            return;
        };
        for set in packages.contested() {
            let Some(winner) = set.winner.map(|id| packages.package(id)) else {
                continue;
            };
            for (id, loser) in set.members.iter().map(|&id| (id, packages.package(id))) {
                // The same version twice is no mixture: some of its files were left out of one of them.
                let is_same = loser.version.is_some() && loser.version == winner.version;
                let left = || set.leftovers.iter().filter(move |left| left.package == id);
                if loser.layer == winner.layer || is_same || left().next().is_none() {
                    continue;
                }
                let code = left().filter(|left| !left.is_metadata).count();
                let first = left()
                    .find(|left| !left.is_metadata)
                    .or_else(|| left().next())
                    .map(|left| {
                        let layer = subject.stack.layer(left.file.layer);
                        layer.path(left.file.node)
                    });
                let what = match code {
                    0 => "its metadata".to_owned(),
                    1 => "a file of it".to_owned(),
                    _ => format!("{code} files of it"),
                };
                findings.add(
                    loser.layer,
                    first,
                    format!(
                        "{} is replaced by {} of layer {}, and {what} {} left",
                        described(loser),
                        described(winner),
                        winner.layer.number(),
                        if code > 1 { "are" } else { "is" },
                    ),
                );
                if code == 0 {
                    findings.only(Severity::Note);
                }
                add_cure(subject, set, findings);
            }
        }
    },
};

fn members<'p>(packages: &'p Packages, set: &'p PackageSet) -> impl Iterator<Item = &'p Package> {
    set.members.iter().map(|&id| packages.package(id))
}

pub(super) fn described(package: &Package) -> String {
    match &package.version {
        Some(version) => format!("{} {version}", package.display_name),
        None => package.display_name.clone(),
    }
}

/// Gives the finding that was added last the cure of its set, where there is one.
pub(super) fn add_cure(subject: &Subject<'_>, set: &PackageSet, findings: &mut Findings) {
    if let Some(cure) = subject.cures().and_then(|cures| cures.of(set)) {
        findings.with_help(cure.to_string());
    }
}

/// The packages of a layer that the runtime finds by name.
pub(super) fn found_in(
    packages: &Packages,
    ecosystem: Ecosystem,
) -> impl Iterator<Item = (LayerId, &Package)> {
    packages
        .all
        .iter()
        .filter(move |package| package.ecosystem == ecosystem && package.position.is_some())
        .map(|package| (package.layer, package))
}
