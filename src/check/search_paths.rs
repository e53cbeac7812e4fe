//! Variables of the function that take the layers' folders off the search paths.

use super::finding::Severity;
use super::rule::Rule;
use super::subject::Subject;
use crate::path::Escaped;
use crate::runtime::Family;

pub(super) static LAYERS_NOT_SEARCHED: Rule = Rule {
    id: "layers-not-searched",
    severity: Severity::Error,
    summary: "variables of the function that take layers off a search path",
    explanation: "\
A value that the function configures replaces Lambda's own whole. With a PYTHONPATH, even an empty one, the bootstrap adds no folder of a \
layer to sys.path; with a NODE_PATH that is not empty it does not set its own; a PATH or LD_LIBRARY_PATH without /opt/bin or /opt/lib \
hides the layers' commands and libraries; GEM_PATH and RUBYLIB likewise. Values are not expanded: `$PATH` stays as it is written (AWS \
Lambda Developer Guide, \"Working with Lambda environment variables\").",
    says: None,
    cure: "do not set it, or name the layers' folders in it, as `slashopt env --target lambda` prints them",
    needs_runtime: false,
    judge: |subject, findings| {
        for searched in SEARCHED {
            if !searched.family.is_none_or(|family| subject.may_be(family)) {
                continue;
            }
            let Some(value) = subject.configured(searched.variable) else {
                continue;
            };
            // Node's bootstrap takes an empty value for none.
            if value.is_empty() && searched.variable == "NODE_PATH" {
                continue;
            }
            let is_named = value
                .split(|&byte| byte == b':')
                .filter_map(|entry| entry.strip_prefix(b"/opt/"))
                .any(|entry| entry.starts_with(searched.folder.as_bytes()));
            if is_named || !holds_files(subject, searched.folder) {
                continue;
            }
            let (variable, folder) = (searched.variable, searched.folder);
            let value = Escaped(value);
            let message = format!("{variable} is `{value}`: nothing below `{folder}` is found");
            findings.add(None, None, message);
        }
    },
};

/// A variable that finds the folder of layers, in functions of a family or in all.
struct Searched {
    variable: &'static str,
    folder: &'static str,
    family: Option<Family>,
}

const SEARCHED: [Searched; 6] = [
    Searched {
        variable: "PATH",
        folder: "bin",
        family: None,
    },
    Searched {
        variable: "LD_LIBRARY_PATH",
        folder: "lib",
        family: None,
    },
    Searched {
        variable: "PYTHONPATH",
        folder: "python",
        family: Some(Family::Python),
    },
    Searched {
        variable: "NODE_PATH",
        folder: "nodejs",
        family: Some(Family::Node),
    },
    Searched {
        variable: "GEM_PATH",
        folder: "ruby/gems",
        family: Some(Family::Ruby),
    },
    Searched {
        variable: "RUBYLIB",
        folder: "ruby/lib",
        family: Some(Family::Ruby),
    },
];

fn holds_files(subject: &Subject<'_>, folder: &str) -> bool {
    subject.files.iter().any(|file| {
        file.path
            .as_bytes()
            .strip_prefix(folder.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"/"))
    })
}
