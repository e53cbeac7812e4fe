//! What Python does at its start because of what a layer holds.

use super::finding::Severity;
use super::rule::Rule;
use crate::runtime::Family;

pub(super) static PTH_FILE: Rule = Rule {
    id: "pth-file",
    severity: Severity::Note,
    summary: "`.pth` files, which Python reads at its start",
    explanation: "\
Lambda's bootstrap adds the layers' folders with `site.addsitedir`, so each `.pth` file directly in /opt/python or \
/opt/python/lib/pythonX.Y/site-packages is read at every cold start: its lines become directories on sys.path, and lines that begin with \
`import` are executed. A Python that is only given PYTHONPATH does not do that, so a layer that relies on it works in Lambda and not \
there; and one that was made for another version (`*-nspkg.pth`) breaks packages in Lambda only.",
    says: None,
    cure: "keep it if the package needs it; to try the layer elsewhere, call `site.addsitedir` as Lambda does",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Python) {
            return;
        }
        let version = subject.runtime.map(|runtime| runtime.version);
        for file in &subject.files {
            let Some((folder, name)) = split(file.path.as_bytes()) else {
                continue;
            };
            if name.ends_with(b".pth") && is_site_folder(folder, version) {
                findings.at(file, "Lambda runs it, PYTHONPATH alone does not");
            }
        }
    },
};

/// Whether Lambda adds this folder to `sys.path`, for that version or for any.
pub(super) fn is_site_folder(folder: &[u8], version: Option<&str>) -> bool {
    if folder == b"python" {
        return true;
    }
    let of = folder
        .strip_prefix(b"python/lib/python")
        .and_then(|rest| rest.strip_suffix(b"/site-packages"));
    of.is_some_and(|found| {
        version.map_or_else(
            || {
                found
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
            },
            |version| found == version.as_bytes(),
        )
    })
}

/// A path as its directory and its name; `None` for what lies in the root.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|&byte| byte == b'/')?;
    Some((path.get(..slash)?, path.get(slash + 1..)?))
}
