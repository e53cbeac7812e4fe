//! Content that lies where no runtime looks for it.

use std::collections::BTreeMap;

use super::facts::FileFacts;
use super::finding::Severity;
use super::python::split;
use super::rule::{Findings, Rule};
use super::subject::{File, Subject};
use crate::layer::LayerId;
use crate::path::Escaped;
use crate::runtime::Family;

pub(super) static PYTHON_PACKAGE_NOT_SEARCHED: Rule = Rule {
    id: "python-package-not-searched",
    severity: Severity::Error,
    summary: "Python packages where Python does not look",
    explanation: "\
Of a layer, Lambda's Python searches `python` and `python/lib/pythonX.Y/site-packages` and nothing else (AWS Lambda Developer Guide, \
\"Packaging your layer content\"). Packages at the top of the archive, in a `site-packages` of their own or one folder too deep are extracted \
and never found: \"Unable to import module: No module named ...\". The usual causes are an archive of the folder's content instead of the \
folder, or of the folder that holds it.",
    says: Some("Unable to import module '...': No module named '...'"),
    cure: "put them below `python`: `pip install --target python ...; zip -r layer.zip python`",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Python) {
            return;
        }
        let mut folders: BTreeMap<&[u8], Vec<&File>> = BTreeMap::new();
        for file in subject.regular_files() {
            if let Some(folder) = python_folder(file.path.as_bytes())
                && is_misplaced(folder)
            {
                folders.entry(folder).or_default().push(file);
            }
        }
        let has_proper = subject.files.iter().any(|file| {
            file.path.as_bytes().starts_with(b"python/")
                && python_folder(file.path.as_bytes()).is_some_and(|folder| !is_misplaced(folder))
        });
        for (folder, files) in folders {
            report_folder(subject, folder, &files, "package", has_proper, findings);
        }
    },
};

/// The folder that a Python package lies in, by a file that only packages have.
fn python_folder(path: &[u8]) -> Option<&[u8]> {
    let (package, name) = split(path)?;
    let package_name = package.rsplit(|&byte| byte == b'/').next()?;
    let is_record = matches!(name, b"METADATA" | b"PKG-INFO")
        && (package_name.ends_with(b".dist-info") || package_name.ends_with(b".egg-info"));
    // A package without metadata, directly at the top.
    let is_top_package = name == b"__init__.py" && !package.contains(&b'/') && package != b"python";
    (is_record || is_top_package).then(|| split(package).map_or(&b""[..], |(folder, _)| folder))
}

/// What a folder is called, as far as it says that Python packages are meant to be found in it.
#[derive(Clone, Copy)]
enum Called {
    Python,
    /// `python3.12`.
    Version,
    /// `site-packages`, `dist-packages`.
    Site,
    /// `lib`, `lib64`, `Lib`.
    Library,
    /// `venv`, `.venv`.
    Virtual,
    Else,
}

impl Called {
    fn of(name: &[u8]) -> Self {
        match name {
            b"python" => Self::Python,
            b"site-packages" | b"dist-packages" => Self::Site,
            b"lib" | b"lib64" | b"Lib" => Self::Library,
            b"venv" | b".venv" | b"env" | b"virtualenv" => Self::Virtual,
            _ => match name.strip_prefix(b"python") {
                Some(version) if version.iter().all(|&b| b.is_ascii_digit() || b == b'.') => {
                    Self::Version
                }
                _ => Self::Else,
            },
        }
    }
}

/// Whether packages in this folder are meant to be found and are not. Other folders belong to a package that carries others, or
/// to a program that knows them.
fn is_misplaced(folder: &[u8]) -> bool {
    use Called::{Library, Python, Site, Version, Virtual};
    let parts = folder.split(|&byte| byte == b'/');
    let names: Vec<Called> = parts
        .filter(|part| !part.is_empty())
        .map(Called::of)
        .collect();
    match names.as_slice() {
        []
        | [Site | Version]
        | [_, Python]
        | [Python | Version | Library, Site]
        | [Python | Library, Version]
        | [Python, Library | Version, Site]
        | [Library, Version, Site]
        | [Virtual, Library, Version, Site] => true,
        [Python, Library, Version, Site] => !folder.starts_with(b"python/lib/"),
        _ => false,
    }
}

pub(super) static NODE_MODULES_NOT_SEARCHED: Rule = Rule {
    id: "node-modules-not-searched",
    severity: Severity::Error,
    summary: "Node.js packages where Node.js does not look",
    explanation: "\
Of a layer, Lambda's Node.js searches `nodejs/node_modules` and `nodejs/nodeNN/node_modules` and nothing else (AWS Lambda Developer Guide, \
\"Packaging your layer content\"). A `node_modules` at the top of the archive, or one folder too deep, is extracted and never found: \"Cannot \
find module\".",
    says: Some("Runtime.ImportModuleError: Error: Cannot find module '...'"),
    cure: "put it below `nodejs`: `mkdir nodejs; mv node_modules nodejs/; zip -r layer.zip nodejs`",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Node) {
            return;
        }
        let mut folders: BTreeMap<&[u8], Vec<&File>> = BTreeMap::new();
        for file in subject.regular_files() {
            let Some((package, b"package.json")) = split(file.path.as_bytes()) else {
                continue;
            };
            let end = package
                .windows(b"node_modules/".len())
                .position(|window| window == b"node_modules/");
            let folder = end.and_then(|end| package.get(..end));
            if let Some(folder) = folder
                && is_node_misplaced(folder)
            {
                let folder = package.get(..folder.len() + b"node_modules".len());
                folders
                    .entry(folder.unwrap_or_default())
                    .or_default()
                    .push(file);
            }
        }
        let has_proper = subject
            .files
            .iter()
            .any(|file| file.path.as_bytes().starts_with(b"nodejs/node_modules/"));
        for (folder, files) in folders {
            report_folder(
                subject,
                folder,
                &files,
                "`package.json`",
                has_proper,
                findings,
            );
        }
    },
};

/// Whether a `node_modules` in this folder (which ends in `/`, or is empty) is meant to be found and is not.
fn is_node_misplaced(folder: &[u8]) -> bool {
    let is_version = |name: &[u8]| {
        name.strip_prefix(b"node")
            .is_some_and(|version| version.iter().all(u8::is_ascii_digit))
    };
    match folder {
        b"" => true,
        _ => match folder.strip_suffix(b"/") {
            Some(b"nodejs") | None => false,
            Some(one) if !one.contains(&b'/') => is_version(one) || one == b"node.js",
            Some(deeper) => split(deeper).is_some_and(|(above, name)| {
                name == b"nodejs" && !above.contains(&b'/')
                    || above != b"nodejs" && is_version(name) && above.ends_with(b"/nodejs")
            }),
        },
    }
}

pub(super) static JAR_NOT_SEARCHED: Rule = Rule {
    id: "jar-not-searched",
    severity: Severity::Warning,
    summary: "jars where Java does not look",
    explanation: "\
Of a layer, Lambda's Java loads the files directly in `java/lib` whose names end in `.jar`, in lower case. Folders below it are not \
searched, nor are `java`, `lib` or the top of the archive (AWS Lambda Developer Guide, \"Packaging your layer content\"; \
CustomerClassLoader in AWS's runtime interface client). Jars that something names itself, such as Java agents, may lie anywhere.",
    says: None,
    cure: "put the jars directly into `java/lib`",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Java) {
            return;
        }
        for file in subject.regular_files() {
            let path = file.path.as_bytes();
            if !path.to_ascii_lowercase().ends_with(b".jar") || contains(path, b"agent") {
                continue;
            }
            let folder = split(path).map_or(&b""[..], |(folder, _)| folder);
            let message = match folder {
                b"java/lib" if path.ends_with(b".jar") => continue,
                b"java/lib" => "only names in `.jar`, in lower case, are loaded",
                b"" => "it lies at the top of the layer, not in `java/lib`",
                b"lib" | b"java" => "it does not lie in `java/lib`",
                _ if folder.starts_with(b"java/lib/") => {
                    "folders below `java/lib` are not searched"
                }
                _ if folder.ends_with(b"/java/lib")
                    && folder.split(|&byte| byte == b'/').count() == 3 =>
                {
                    "it lies a folder too deep"
                }
                _ => continue,
            };
            findings.at(file, message);
        }
    },
};

pub(super) static NESTED_ARCHIVE: Rule = Rule {
    id: "nested-archive",
    severity: Severity::Warning,
    summary: "zip archives in a layer, which nobody unpacks",
    explanation: "\
Lambda extracts the layer's archive and nothing inside it. A layer that holds nothing but another archive was packed twice, as it happens \
with archives that a build or a download page has zipped already; a zip among other things at the top, or where a runtime looks for \
packages, is mostly a leftover.",
    says: None,
    cure: "use the inner archive as the layer, or unpack it where its content belongs",
    needs_runtime: false,
    judge: |subject, findings| {
        let mut contents: BTreeMap<LayerId, (usize, Vec<&File>)> = BTreeMap::new();
        for file in &subject.files {
            let (count, archives) = contents.entry(file.origin.layer).or_default();
            *count += 1;
            let is_named_so = file.path.as_bytes().to_ascii_lowercase().ends_with(b".zip");
            if is_named_so && subject.facts(file.origin) == Some(&FileFacts::Archive) {
                archives.push(file);
            }
        }
        for (count, archives) in contents.into_values() {
            let is_only = archives.len() == count;
            for archive in archives {
                let folder = split(archive.path.as_bytes()).map_or(&b""[..], |(folder, _)| folder);
                if is_only {
                    findings.at(archive, "the layer holds nothing else: it was packed twice");
                } else if SEARCHED.contains(&folder) {
                    findings.at(archive, "nobody unpacks it");
                }
            }
        }
    },
};

/// The folders in which an archive is most likely a layer, or a package, that should have been unpacked.
const SEARCHED: [&[u8]; 7] = [
    b"",
    b"bin",
    b"java/lib",
    b"lib",
    b"nodejs",
    b"nodejs/node_modules",
    b"python",
];

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

/// One finding for all packages of a folder. It fails for sure only where the runtime is known and finds nothing else either.
pub(super) fn report_folder(
    subject: &Subject<'_>,
    folder: &[u8],
    files: &[&File],
    what: &str,
    has_proper: bool,
    findings: &mut Findings,
) {
    let Some(first) = files.first() else {
        return;
    };
    let place = if folder.is_empty() {
        "at the top of the layer".to_owned()
    } else {
        format!("in `{}`", Escaped(folder))
    };
    let more = match files.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    findings.at(
        first,
        format!("this {what}{more} {place}: not on the search path"),
    );
    if has_proper || subject.runtime.is_none() {
        findings.only(Severity::Warning);
    }
}
