//! Compiled Python that does not serve, or cannot be loaded.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::facts::{Bytecode, FileFacts, Validation};
use super::finding::Severity;
use super::rule::Rule;
use super::subject::{File, Subject};
use crate::entry::Object;
use crate::layer::LayerId;
use crate::path::{Escaped, LayerPath};
use crate::platform::python_minor_of_magic;
use crate::runtime::Runtime;

pub(super) static STALE_BYTECODE: Rule = Rule {
    id: "stale-bytecode",
    severity: Severity::Warning,
    summary: "compiled Python that is compiled again at each cold start",
    explanation: "\
Python keeps compiled modules in __pycache__, each with the time and the size of its source; where these, or the version of Python, do \
not fit, the source is compiled again. /opt is read-only, so the result is lost and the work is done at every cold start. Two \
things make every one of them stale: archives whose entries have a fixed date, as SAM CLI and many reproducible builds write them \
(the .pyc records the time before), or only even seconds, as zip without its extended timestamps does; and another Python. Hash-based .pyc files (PEP 552) do not look at times, and the \
unchecked ones not at the source at all. With the Serverless Framework importing took 40 to 47 % less time once its .pyc files were valid \
(serverless/serverless#13889). Without any .pyc it is the same work; AWS advises to leave __pycache__ out where it would not fit.",
    says: None,
    cure: "compile with the runtime's Python: `python3 -m compileall --invalidation-mode unchecked-hash python`, or keep the times \
           of the files, or leave out every __pycache__",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, minor)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, runtime.python_minor()?)))
        else {
            return;
        };
        for (layer, modules) in modules(subject, runtime, minor) {
            let all = modules.len();
            let stale = |wanted: Fit| modules.values().filter(move |module| module.fit == wanted);
            let of_another_source = stale(Fit::AnotherSource).count();
            let of_another_python = stale(Fit::AnotherPython).count();
            let count = of_another_source + of_another_python;
            let Some(first) = stale(Fit::AnotherSource)
                .chain(stale(Fit::AnotherPython))
                .next()
            else {
                continue;
            };
            let mut why = Vec::new();
            if of_another_source > 0 {
                why.push(format!(
                    "{of_another_source} record another time or size than the source has"
                ));
            }
            if of_another_python > 0 {
                why.push(format!("{of_another_python} are of another Python"));
            }
            findings.add(
                layer,
                first.path.clone(),
                format!(
                    "the .pyc files of {count} of {all} modules do not fit, so {runtime} compiles them at each cold start: {}; {}",
                    why.join(", "),
                    first.why
                ),
            );
            findings.with_help(format!(
                "`python3.{minor} -m compileall -f -q --invalidation-mode unchecked-hash python` before packing, or leave out \
                 every __pycache__"
            ));
            // What few modules cost is not worth a word, and most layers leave a stray one.
            if count * 20 < sources(subject, layer) {
                findings.only(Severity::Note);
            }
        }
    },
};

pub(super) static UNLOADABLE_BYTECODE: Rule = Rule {
    id: "bytecode-of-another-python",
    severity: Severity::Error,
    summary: "modules that are there as bytecode alone, of another Python",
    explanation: "\
A .pyc that lies where its source would lie is imported in its place, and there is nothing to compile again where it does not fit: \
Python says \"ImportError: bad magic number\". Each minor version of Python has bytecode of its own.",
    says: None,
    cure: "ship the sources, or compile with the runtime's own Python: `python3 -m compileall -b python`",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, minor)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, runtime.python_minor()?)))
        else {
            return;
        };
        for (file, bytecode) in bytecode_files(subject, minor) {
            let path = file.path.as_bytes();
            let source = path.strip_suffix(b"c").unwrap_or(path);
            let of = python_minor_of_magic(bytecode.magic);
            if folder(path).ends_with(b"/__pycache__")
                || subject.resolve(source).is_some()
                || of.is_none_or(|of| of == minor)
            {
                continue;
            }
            let of = of.unwrap_or_default();
            findings.at(
                file,
                format!("its bytecode is of Python 3.{of}, its source is not there, and {runtime} cannot import it"),
            );
        }
    },
};

/// How well a module's compiled files fit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    AnotherPython,
    AnotherSource,
    Fits,
}

/// A module's best compiled file.
struct Module {
    path: LayerPath,
    fit: Fit,
    why: String,
}

/// The modules of each layer that have compiled files beside their source.
fn modules(
    subject: &Subject<'_>,
    runtime: &Runtime,
    minor: u16,
) -> BTreeMap<LayerId, BTreeMap<Vec<u8>, Module>> {
    let mut found: BTreeMap<LayerId, BTreeMap<Vec<u8>, Module>> = BTreeMap::new();
    for (file, bytecode) in bytecode_files(subject, minor) {
        let path = file.path.as_bytes();
        let folder = folder(path);
        let Some(source_folder) = folder.strip_suffix(b"__pycache__") else {
            continue;
        };
        let name = path.get(folder.len() + 1..).unwrap_or_default();
        let mut parts = name.rsplitn(3, |&byte| byte == b'.').skip(1);
        // Those compiled for `python -O` have one more part, and are not looked at.
        let (Some(tag), Some(module)) = (parts.next(), parts.next()) else {
            continue;
        };
        let Some(version) = tag.strip_prefix(b"cpython-3") else {
            continue;
        };
        let source_path = [source_folder, module, b".py"].concat();
        let Some(source) = subject.resolve(&source_path) else {
            continue;
        };
        let object = subject.tree.object(source);
        let is_of_python = version == minor.to_string().as_bytes();
        let (fit, why) = if is_of_python {
            judge(bytecode, &object, runtime, minor)
        } else {
            let why = format!("this one is of Python 3.{}", Escaped(version));
            (Fit::AnotherPython, why)
        };
        let module = Module {
            path: file.path.clone(),
            fit,
            why,
        };
        match found
            .entry(file.origin.layer)
            .or_default()
            .entry(source_path)
        {
            Entry::Vacant(place) => {
                place.insert(module);
            }
            Entry::Occupied(mut best) if best.get().fit < fit => {
                best.insert(module);
            }
            Entry::Occupied(_) => {}
        }
    }
    found
}

/// Whether the runtime takes compiled code for that of its source, as `importlib._bootstrap_external` decides it.
fn judge(bytecode: &Bytecode, source: &Object, runtime: &Runtime, minor: u16) -> (Fit, String) {
    let is_of_python = match runtime.python_magic() {
        Some(magic) => bytecode.magic == magic,
        None => python_minor_of_magic(bytecode.magic) == Some(minor),
    };
    if !is_of_python {
        let why = format!("this one has the magic number {}", bytecode.magic);
        return (Fit::AnotherPython, why);
    }
    let Validation::Timestamp { modified, size } = bytecode.validation else {
        return (Fit::Fits, String::new());
    };
    // Both are kept modulo 2^32.
    let low = |value: i64| u32::try_from(value & 0xffff_ffff).unwrap_or_default();
    if modified != low(source.modified.0) {
        let recorded = crate::timestamp::Timestamp(modified.into());
        let why = format!(
            "this one says {recorded}, and its source is of {}",
            source.modified
        );
        (Fit::AnotherSource, why)
    } else if u64::from(size) != source.size & 0xffff_ffff {
        let why = format!(
            "this one says {size} bytes, and its source has {}",
            source.size
        );
        (Fit::AnotherSource, why)
    } else {
        (Fit::Fits, String::new())
    }
}

/// How many sources a layer has for Python.
fn sources(subject: &Subject<'_>, layer: LayerId) -> usize {
    let is_source = |file: &&File| {
        let path = file.path.as_bytes();
        file.origin.layer == layer && path.starts_with(b"python/") && path.ends_with(b".py")
    };
    subject.regular_files().filter(is_source).count()
}

/// The compiled files in the folders that this Python searches.
fn bytecode_files<'s>(
    subject: &'s Subject<'_>,
    minor: u16,
) -> impl Iterator<Item = (&'s File, &'s Bytecode)> {
    let own = format!("python/lib/python3.{minor}/");
    subject.regular_files().filter_map(move |file| {
        let path = file.path.as_bytes();
        let is_searched = path.starts_with(own.as_bytes())
            || path.starts_with(b"python/") && !path.starts_with(b"python/lib/python");
        match subject.facts(file.origin)? {
            FileFacts::Bytecode(bytecode) if is_searched => Some((file, bytecode)),
            _ => None,
        }
    })
}

/// What a path says before its last component.
fn folder(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.get(..end).unwrap_or_default()
}
