//! The AWS SDK that a runtime brings, and layers that replace a part of it.

use std::collections::BTreeMap;

use super::facts::FileFacts;
use super::finding::Severity;
use super::packages::{described, found_in};
use super::rule::Rule;
use super::subject::Subject;
use crate::layer::LayerId;
use crate::packages::{Ecosystem, Package, Packages};
use crate::path::{Escaped, LayerPath};
use crate::runtime::Family;

pub(super) static RUNTIME_SDK_SHADOWED: Rule = Rule {
    id: "runtime-sdk-shadowed",
    severity: Severity::Warning,
    summary: "a part of the runtime's own AWS SDK is replaced",
    explanation: "\
The Python runtimes bring boto3 with botocore and urllib3, the Node.js runtimes since nodejs18.x the AWS SDK for JavaScript v3, and AWS \
renews them without notice. Layers are searched before them. A layer that brings one part puts it under the other parts of the \
runtime's: boto3 calls what its own botocore has, botocore imports what urllib3 2 no longer has (psf/requests#6438), and a client of the \
JavaScript SDK is loaded with the runtime's version of what it needs. It works or fails as the runtime changes.",
    says: None,
    cure: "bring the whole SDK in one layer, or none of it",
    needs_runtime: true,
    judge: |subject, findings| {
        let (Some(runtime), Some(packages)) = (subject.runtime, subject.packages) else {
            return;
        };
        match runtime.family {
            Family::Python => {
                for (layer, package, message, help) in shadowed_python(subject, packages) {
                    findings.add(layer, package.path.clone(), message);
                    findings.with_help(help);
                }
            }
            Family::Node => {
                // Before it there is nothing to mix with: what is missing is missing.
                let has_v3 = runtime
                    .version
                    .parse::<u16>()
                    .is_ok_and(|major| major >= 18);
                for (layer, parts) in incomplete_node(subject, packages) {
                    let Some((path, message)) = parts.first else {
                        continue;
                    };
                    let from = if has_v3 {
                        "which the runtime's own SDK then provides, in its version"
                    } else {
                        "which is nowhere"
                    };
                    let more = match parts.count {
                        1 => String::new(),
                        count => format!("; and {} more", count - 1),
                    };
                    findings.add(layer, path, format!("{message}, {from}{more}"));
                    findings.with_help(
                        "run `npm install` for the whole SDK client, and pack all of node_modules",
                    );
                }
            }
            _ => {}
        }
    },
};

type Shadowing<'p> = (LayerId, &'p Package, String, &'static str);

fn shadowed_python<'p>(subject: &Subject<'_>, packages: &'p Packages) -> Vec<Shadowing<'p>> {
    let first = |name: &str| {
        found_in(packages, Ecosystem::Python)
            .filter(|(_, package)| package.name == name && package.standing > 0)
            .min_by_key(|(_, package)| package.position)
    };
    let mut found = Vec::new();
    let (boto3, botocore, urllib3) = (first("boto3"), first("botocore"), first("urllib3"));
    for (one, other, name, help) in [
        (
            botocore,
            boto3,
            "boto3",
            "add the boto3 that fits: `pip install --target python boto3`, or remove botocore",
        ),
        (
            boto3,
            botocore,
            "botocore",
            "add the botocore that fits: `pip install --target python boto3`, or remove boto3",
        ),
    ] {
        if let (Some((layer, package)), None) = (one, other) {
            let message = format!(
                "{} is here and no {name}: it is loaded with the {name} of the runtime",
                described(package)
            );
            found.push((layer, package, message, help));
        }
    }
    // botocore for Python 3.9 and older asks for urllib3 1.26, for newer ones it takes both.
    let wants_first = subject
        .runtime
        .and_then(crate::runtime::Runtime::python_minor)
        .is_some_and(|minor| minor < 10);
    if let (Some((layer, package)), None) = (urllib3, botocore)
        && wants_first
        && package
            .version
            .as_deref()
            .is_some_and(|version| version.starts_with("2."))
    {
        let message = format!(
            "{} is loaded by the runtime's botocore, which is made for urllib3 1.26 there",
            described(package)
        );
        let help = "install `urllib3<2`, or bring boto3 in the layer as well";
        found.push((layer, package, message, help));
    }
    found
}

/// The packages of the SDK in one layer that need others.
#[derive(Default)]
struct Incomplete {
    first: Option<(LayerPath, String)>,
    count: usize,
}

/// The packages of the SDK for JavaScript that need others of it which no layer brings.
fn incomplete_node(subject: &Subject<'_>, packages: &Packages) -> BTreeMap<LayerId, Incomplete> {
    let mut found: BTreeMap<LayerId, Incomplete> = BTreeMap::new();
    for (layer, package) in found_in(packages, Ecosystem::Node) {
        if !is_of_sdk(package.name.as_bytes()) {
            continue;
        }
        let manifest = [package.path.as_bytes(), b"/package.json"].concat();
        let Some(FileFacts::Manifest(manifest)) = subject
            .resolve(&manifest)
            .and_then(|node| subject.facts(subject.tree.provider(node)))
        else {
            continue;
        };
        let missing = manifest
            .required
            .iter()
            .find(|name| is_of_sdk(name) && !is_found_from(subject, package.path.as_bytes(), name));
        if let Some(missing) = missing {
            let incomplete = found.entry(layer).or_default();
            incomplete.count += 1;
            incomplete.first.get_or_insert_with(|| {
                let message = format!("{} needs {}", described(package), Escaped(missing));
                (package.path.clone(), message)
            });
        }
    }
    found
}

fn is_of_sdk(name: &[u8]) -> bool {
    name.starts_with(b"@aws-sdk/") || name.starts_with(b"@smithy/")
}

/// Whether Node.js finds a package from a directory: in a `node_modules` of it or above, or in a folder of the layers (Node.js,
/// *Modules*, "Loading from `node_modules` folders").
fn is_found_from(subject: &Subject<'_>, directory: &[u8], name: &[u8]) -> bool {
    let mut above = vec![directory];
    let slashes = (0..directory.len())
        .rev()
        .filter(|&at| directory.get(at) == Some(&b'/'));
    above.extend(slashes.filter_map(|at| directory.get(..at)));
    let own = subject
        .runtime
        .map(|runtime| format!("nodejs/node{}", runtime.version))
        .unwrap_or_default();
    above.extend([own.as_bytes(), b"nodejs"]);
    above.iter().any(|directory| {
        let path = [*directory, b"/node_modules/", name].concat();
        subject.resolve(&path).is_some()
    })
}
