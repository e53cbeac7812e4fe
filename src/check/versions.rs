//! Packages that are installed for another version of the runtime's language.

use std::collections::HashSet;

use super::finding::Severity;
use super::native::Grouped;
use super::rule::Rule;
use super::subject::Subject;
use crate::entry::Kind;
use crate::layer::LayerId;
use crate::merge::NodeId;
use crate::runtime::{Family, Runtime};

pub(super) static FOLDER_OF_ANOTHER_VERSION: Rule = Rule {
    id: "folder-of-another-version",
    severity: Severity::Error,
    summary: "packages in the folder of another version, where the runtime does not look",
    explanation: "\
Of the folders that name a version a runtime searches its own alone: python3.12 looks into python/lib/python3.12/site-packages, nodejs22.x \
into nodejs/node22/node_modules, ruby3.4 into ruby/gems/3.4.0; what lies in another one is not there for it (AWS Lambda \
Developer Guide, \"Layer paths for each Lambda runtime\"). A layer that has folders for several versions is no mistake while one of \
them is the runtime's.",
    says: None,
    cure: "install the packages for the runtime's version, into its folder",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, places)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, VersionFolders::of(runtime)?)))
        else {
            return;
        };
        let own = places.versioned(subject, places.own.as_bytes());
        let own_layers: HashSet<LayerId> = own
            .map(|node| subject.tree.layers(node).into_iter().collect())
            .unwrap_or_default();
        let unversioned_layers = places.layers_without_version(subject);
        for directory in subject.children(places.parent) {
            let name = subject.tree.name(directory);
            if name == places.own.as_bytes() || !places.is_of_version(name) {
                continue;
            }
            let Some(folder) = places.versioned(subject, name) else {
                continue;
            };
            if subject.tree.kind(folder) != Kind::Directory {
                continue;
            }
            for layer in subject.tree.layers(folder) {
                if own_layers.contains(&layer) {
                    continue;
                }
                findings.add(
                    layer,
                    subject.tree.path(folder),
                    format!(
                        "{runtime} does not look here; it looks in {}",
                        places.searched()
                    ),
                );
                findings.with_help(places.cure(runtime));
                if unversioned_layers.contains(&layer) {
                    findings.only(Severity::Warning);
                }
            }
        }
    },
};

pub(super) static EXTENSION_OF_ANOTHER_PYTHON: Rule = Rule {
    id: "extension-of-another-python",
    severity: Severity::Error,
    summary: "native Python modules that are compiled for another Python",
    explanation: "\
The name of a native module says for which Python it is: `a.cpython-311-x86_64-linux-gnu.so` is imported by Python 3.11 alone, \
`a.abi3.so` by any later one (PEP 3149). For another Python the module is not there: \"No module named 'a'\", and with \
numpy and its like a longer message that means the same. What has the same module in Python beside it still works, only slower: \
that is a warning.",
    says: Some("Unable to import module"),
    cure: "install with the runtime's own version: `pip install --python-version … --only-binary=:all:`",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, minor)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, runtime.python_minor()?)))
        else {
            return;
        };
        let is_searched = |path: &[u8]| {
            path.starts_with(b"python/")
                && (!path.starts_with(b"python/lib/python")
                    || path.starts_with(format!("python/lib/python3.{minor}/").as_bytes()))
        };
        let modules = || {
            subject.files.iter().filter_map(|file| {
                let path = file.path.as_bytes();
                Some((file, native_module(path)?)).filter(|_| is_searched(path))
            })
        };
        let fitting: HashSet<&[u8]> = modules()
            .filter(|(_, (_, tag))| matches!(tag, Tag::Any) || *tag == Tag::CPython(minor))
            .map(|(_, (module, _))| module)
            .collect();
        let mut wrong = Grouped::default();
        let mut slower = Grouped::default();
        for (file, (module, tag)) in modules() {
            let of = match tag {
                Tag::CPython(other) if other != minor => format!("Python 3.{other}"),
                Tag::Other => "another Python".to_owned(),
                _ => continue,
            };
            if fitting.contains(module) {
                continue;
            }
            let in_python = [module, b".py"].concat();
            if subject.resolve(&in_python).is_some() {
                slower.note(file, of);
            } else {
                wrong.note(file, of);
            }
        }
        let help = format!(
            "install for the runtime: `pip install --python-version 3.{minor} --only-binary=:all: --target python …`"
        );
        let message = |of: &String| format!("it is for {of}, and {runtime} cannot import it");
        wrong.tell(findings, message, |_| Some(help.clone()));
        slower.tell_at_most(Severity::Warning, findings, message, |_| Some(help.clone()));
    },
};

/// Where a language's runtimes look, and how folders for its other versions are named.
struct VersionFolders {
    family: Family,
    /// The directory that has a child for each version.
    parent: &'static str,
    /// The child for the runtime's own version.
    own: String,
    /// What is below that child.
    below: &'static str,
    /// The folder for every version.
    unversioned: Option<&'static str>,
}

impl VersionFolders {
    fn of(runtime: &Runtime) -> Option<Self> {
        let version = runtime.version;
        let (parent, own, below, unversioned) = match runtime.family {
            Family::Python => (
                "python/lib",
                format!("python{version}"),
                "site-packages",
                Some("python"),
            ),
            Family::Node => (
                "nodejs",
                format!("node{version}"),
                "node_modules",
                Some("nodejs/node_modules"),
            ),
            Family::Ruby => ("ruby/gems", runtime.ruby_api()?, "", None),
            _ => return None,
        };
        Some(Self {
            family: runtime.family,
            parent,
            own,
            below,
            unversioned,
        })
    }

    fn is_of_version(&self, name: &[u8]) -> bool {
        let version = match self.family {
            Family::Python => name.strip_prefix(b"python"),
            Family::Node => name.strip_prefix(b"node"),
            _ => Some(name),
        };
        version.is_some_and(|version| {
            version.first().is_some_and(u8::is_ascii_digit)
                && version
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
    }

    /// The folder of packages for the version whose directory has that name.
    fn versioned(&self, subject: &Subject<'_>, name: &[u8]) -> Option<NodeId> {
        let path = [
            self.parent.as_bytes(),
            b"/",
            name,
            b"/",
            self.below.as_bytes(),
        ]
        .concat();
        subject.resolve(&path)
    }

    /// The layers that have packages in the folder for every version.
    fn layers_without_version(&self, subject: &Subject<'_>) -> HashSet<LayerId> {
        let Some(folder) = self.unversioned else {
            return HashSet::new();
        };
        subject
            .children(folder)
            .into_iter()
            // Beside the packages pip puts the commands that they bring, and `lib` holds the folders with a version.
            .filter(|&node| !matches!(subject.tree.name(node), b"lib" | b"bin"))
            .flat_map(|node| subject.tree.layers(node))
            .collect()
    }

    fn cure(&self, runtime: &Runtime) -> String {
        let install = format!(
            "install the packages with {runtime} into {}/{}",
            self.parent, self.own
        );
        match self.unversioned {
            Some(folder) => format!("{install}, or, if none has native code, into {folder}"),
            None => install,
        }
    }

    fn searched(&self) -> String {
        let own = format!("{}/{}", self.parent, self.own);
        let own = if self.below.is_empty() {
            own
        } else {
            format!("{own}/{}", self.below)
        };
        match self.unversioned {
            Some(folder) => format!("{own} and in {folder}"),
            None => own,
        }
    }
}

/// For which Python a native module is (PEP 3149).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tag {
    /// Each, or any later one: it has no tag, or that of the stable ABI.
    Any,
    /// This minor version of `CPython` 3.
    CPython(u16),
    /// `PyPy`, or a build of `CPython` with another ABI.
    Other,
}

/// The path of a native module without its tag, and the tag.
fn native_module(path: &[u8]) -> Option<(&[u8], Tag)> {
    let stem = path.strip_suffix(b".so")?;
    let name_start = path.iter().rposition(|&byte| byte == b'/')? + 1;
    let dot = stem.iter().rposition(|&byte| byte == b'.');
    let Some(dot) = dot.filter(|&dot| dot >= name_start) else {
        return Some((stem, Tag::Any));
    };
    let tag = match stem.get(dot + 1..)? {
        b"abi3" => Tag::Any,
        tag if tag.starts_with(b"pypy") => Tag::Other,
        tag => {
            // Anything else is no tag but part of a name, as in `libz.1.so`.
            let version = tag.strip_prefix(b"cpython-")?;
            let version = version.split(|&byte| byte == b'-').next()?;
            // 3.7 and older marked the way in which memory was allocated.
            let version = version.strip_suffix(b"m").unwrap_or(version);
            match version.strip_prefix(b"3").map(std::str::from_utf8) {
                Some(Ok(minor)) => minor.parse().map_or(Tag::Other, Tag::CPython),
                _ => Tag::Other,
            }
        }
    };
    Some((stem.get(..dot)?, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_native_module_says_its_python() {
        for (path, module, tag) in [
            (
                "python/a/b.cpython-312-x86_64-linux-gnu.so",
                "python/a/b",
                Tag::CPython(12),
            ),
            (
                "python/a/b.cpython-36m-x86_64-linux-gnu.so",
                "python/a/b",
                Tag::CPython(6),
            ),
            // Without the global lock: another ABI.
            (
                "python/a/b.cpython-313t-x86_64-linux-gnu.so",
                "python/a/b",
                Tag::Other,
            ),
            ("python/a/b.abi3.so", "python/a/b", Tag::Any),
            ("python/a.d/b.so", "python/a.d/b", Tag::Any),
            (
                "python/a/b.pypy39-pp73-x86_64-linux-gnu.so",
                "python/a/b",
                Tag::Other,
            ),
        ] {
            let expected = Some((module.as_bytes(), tag));
            assert_eq!(native_module(path.as_bytes()), expected, "{path}");
        }
        for path in ["python/a/libz.1.so", "python/a/b.py", "python/a/libz.so.1"] {
            assert_eq!(native_module(path.as_bytes()), None, "{path}");
        }
    }
}
