//! Packages that the runtime finds in another folder first.

use super::finding::Severity;
use super::packages::{add_cure, described};
use super::rule::Rule;
use crate::packages::{Ecosystem, Package};

pub(super) static LATER_LAYER_NOT_FOUND: Rule = Rule {
    id: "package-found-elsewhere-first",
    severity: Severity::Warning,
    summary: "packages of a later layer that are not found, because another folder is searched first",
    explanation: "\
A later layer overrides an earlier one path by path. A runtime searches several folders of the layers, one after the other: Python \
`python/lib/pythonX.Y/site-packages` before `python`, Node.js `nodejs/nodeNN/node_modules` before `nodejs/node_modules`, Java the jars of \
`java/lib` by their names. So the package of a later layer does not win where an earlier layer has another version in a folder, or under \
a name, that comes first: the older version is loaded, whatever the order of the layers.",
    says: None,
    cure: "put both into the same folder, or leave the package out of the layer that should lose",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some(packages) = subject.packages else {
            return;
        };
        for set in packages.contested() {
            let is_of_language = matches!(
                set.ecosystem,
                Ecosystem::Python | Ecosystem::Node | Ecosystem::Java
            );
            let Some(winner) = set.winner.map(|id| packages.package(id)) else {
                continue;
            };
            let is_passed_over = |package: &&Package| {
                package.layer > winner.layer
                    && package.position.is_some()
                    && !package.is_private
                    && package.version.is_some()
                    && package.version != winner.version
                    && (package.folder != winner.folder || set.ecosystem == Ecosystem::Java)
            };
            let members = set.members.iter().map(|&id| packages.package(id));
            for package in members
                .filter(|_| is_of_language && !winner.is_private)
                .filter(is_passed_over)
            {
                let message = format!(
                    "{} is not found: {} of layer {} comes first, in `{}`",
                    described(package),
                    described(winner),
                    winner.layer.number(),
                    if winner.ecosystem == Ecosystem::Java {
                        &winner.path
                    } else {
                        &winner.folder
                    },
                );
                findings.add(package.layer, package.path.clone(), message);
                add_cure(subject, set, findings);
            }
        }
    },
};
