//! `/opt/bootstrap`, the runtime that a layer brings for OS-only functions.

use super::finding::Severity;
use super::modes::mode_of;
use super::rule::Rule;
use super::subject::is_executable;
use crate::entry::Kind;
use crate::runtime::Family;

const BOOTSTRAP: &[u8] = b"bootstrap";

pub(super) static BOOTSTRAP_NOT_EXECUTABLE: Rule = Rule {
    id: "bootstrap-not-executable",
    severity: Severity::Error,
    summary: "a bootstrap that nobody may execute",
    explanation: "\
An OS-only function (provided.*) starts the file `bootstrap` of its own code, and if there is none, that of its layers. Lambda takes the \
first that is there and does not ask whether it can be executed; starting it then fails with \"fork/exec /opt/bootstrap: permission \
denied\". The bit gets lost when the archive is packed on Windows, or by a tool that writes no modes (AWS Lambda Developer Guide, \
\"Building a custom runtime\").",
    says: None,
    cure: "`chmod +x bootstrap` before packing, with a tool that keeps modes: `zip -r`",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Provided) {
            return;
        }
        let Some(node) = subject.resolve(BOOTSTRAP) else {
            return;
        };
        let object = subject.tree.object(node);
        if object.kind == Kind::File && !is_executable(&object) {
            let origin = subject.tree.provider(node);
            let message = format!("{}: nobody may execute it", mode_of(subject, origin));
            findings.add(origin.layer, subject.tree.path(node), message);
        }
    },
};

pub(super) static BOOTSTRAP_IS_DIRECTORY: Rule = Rule {
    id: "bootstrap-is-directory",
    severity: Severity::Error,
    summary: "a directory where the bootstrap belongs",
    explanation: "\
Lambda looks for a file `bootstrap` in /var/task and /opt and passes over directories. If the function brings none itself, it does not \
start.",
    says: Some("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
    cure: "put the program itself at `bootstrap`, at the top of the layer",
    needs_runtime: false,
    judge: |subject, findings| {
        let directory = subject
            .resolve(BOOTSTRAP)
            .filter(|&node| subject.tree.kind(node) == Kind::Directory);
        if let Some(node) = directory.filter(|_| subject.may_be(Family::Provided)) {
            let layer = subject.tree.layers(node).first().copied();
            findings.add(layer, subject.tree.path(node), "it is a directory");
        }
    },
};

pub(super) static BOOTSTRAP_IGNORED: Rule = Rule {
    id: "bootstrap-ignored",
    severity: Severity::Note,
    summary: "a bootstrap that a managed runtime does not start",
    explanation: "\
Managed runtimes start /var/runtime/bootstrap, their own. A `bootstrap` in a layer is for OS-only runtimes (provided.*) and does nothing \
here.",
    says: None,
    cure: "use an OS-only runtime, or AWS_LAMBDA_EXEC_WRAPPER to run something before the function",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some(runtime) = subject
            .runtime
            .filter(|runtime| runtime.family != Family::Provided)
        else {
            return;
        };
        let bootstrap = subject
            .files
            .iter()
            .find(|file| file.path.as_bytes() == BOOTSTRAP);
        if let Some(file) = bootstrap {
            findings.at(file, format!("{} starts its own", runtime.identifier));
        }
    },
};
