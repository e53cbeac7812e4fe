//! Symbolic links that lead nowhere, lead out, or are none.

use super::facts::FileFacts;
use super::facts::link_text::is_usual_place;
use super::finding::Severity;
use super::leads::{Leads, lead, lead_path, lead_path_from};
use super::rule::Rule;
use crate::path::Escaped;

pub(super) static DANGLING_LINK: Rule = Rule {
    id: "dangling-link",
    severity: Severity::Warning,
    summary: "links that lead nowhere",
    explanation: "\
Lambda keeps symbolic links as they are. One whose target no layer brings cannot be opened: \"No such file or directory\". Mostly the \
target lies in a part that was left out, in another layer that is not named here, or the link was made with the path of the machine that \
built the layer.",
    says: None,
    cure: "add what it leads to, remove the link, or make it relative (`ln -sr`)",
    needs_runtime: false,
    judge: |subject, findings| {
        for link in subject.links() {
            if lead(subject, link.node) == Leads::Nowhere {
                let target = subject.tree.target_of(link.origin).unwrap_or_default();
                findings.at(
                    link,
                    format!("`{}` does not exist in the layers", Escaped(target)),
                );
            }
        }
    },
};

pub(super) static LINK_LEAVES_OPT: Rule = Rule {
    id: "link-leaves-opt",
    severity: Severity::Warning,
    summary: "links that lead out of /opt",
    explanation: "\
Lambda keeps a link whatever its target. Below /var/task (the function's own code), /tmp, /var/runtime and /var/lang such links have their \
use, if what they lead to is there; they cannot be judged from the layers alone. Any other target is most likely a path of the machine that \
built the layer.",
    says: None,
    cure: "make it relative (`ln -sr`) if the target belongs into the layer",
    needs_runtime: false,
    judge: |subject, findings| {
        for link in subject.links() {
            let target = subject.tree.target_of(link.origin).unwrap_or_default();
            if !subject.tree.leaves_root(link.node) {
                continue;
            }
            findings.at(link, format!("it leads to `{}`", Escaped(target)));
            let is_of_lambda = [
                "/var/task",
                "/tmp",
                "/var/runtime",
                "/var/lang",
                "/dev",
                "/proc",
            ]
            .iter()
            .any(|place| {
                target
                    .strip_prefix(place.as_bytes())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            });
            if is_of_lambda {
                findings.only(Severity::Note);
            }
        }
    },
};

pub(super) static LINK_STORED_AS_TEXT: Rule = Rule {
    id: "link-stored-as-text",
    severity: Severity::Error,
    summary: "links that were packed as small texts",
    explanation: "\
A tool that does not know symbolic links (git on Windows, many a script) stores the target as the content of an ordinary file. The \
loader then says \"file too short\" of such a library, and a command becomes a script of one word.",
    says: None,
    cure: "pack on Linux, with links kept: `zip -r -y layer.zip .`",
    needs_runtime: false,
    judge: |subject, findings| {
        for file in subject.regular_files() {
            let Some(FileFacts::LinkText(target)) = subject.facts(file.origin) else {
                continue;
            };
            let parent = subject.tree.parent(file.node);
            let leads = match target.strip_prefix(b"/opt/") {
                Some(rest) => lead_path(subject, rest),
                None if target.starts_with(b"/") => Leads::Outside,
                None => lead_path_from(subject, parent, target),
            };
            let is_usual = is_usual_place(&file.path);
            match leads {
                Leads::To(node) if node != file.node && node != parent => {
                    let target = Escaped(target);
                    findings.at(
                        file,
                        format!("its content is the path `{target}`, which exists"),
                    );
                    if !is_usual {
                        findings.only(Severity::Warning);
                    }
                }
                Leads::Nowhere | Leads::Outside
                    if is_usual && names_library(file.path.as_bytes()) =>
                {
                    let target = Escaped(target);
                    findings.at(
                        file,
                        format!("its content is the text `{target}`, not a library"),
                    );
                }
                _ => {}
            }
        }
    },
};

fn names_library(path: &[u8]) -> bool {
    path.windows(3).any(|window| window == b".so")
}
