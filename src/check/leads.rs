//! Where a path or a link leads in Lambda, links on the way followed.

use super::subject::Subject;
use crate::entry::Kind;
use crate::merge::NodeId;

/// Links followed on one way before it counts as a loop, as in `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// Where a link, or a path, leads in Lambda.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Leads {
    /// To this node, which is no link.
    To(NodeId),
    /// Out of the root, where nobody knows here what there is.
    Outside,
    /// To nothing, or round in a loop.
    Nowhere,
}

/// Where the link at a node leads.
pub(super) fn lead(subject: &Subject<'_>, link: NodeId) -> Leads {
    follow(subject, link, &mut 0)
}

/// Where a path leads that is relative to the root.
pub(super) fn lead_path(subject: &Subject<'_>, path: &[u8]) -> Leads {
    walk(subject, NodeId::ROOT, path, &mut 0)
}

/// Where a path leads that is relative to a directory.
pub(super) fn lead_path_from(subject: &Subject<'_>, directory: NodeId, path: &[u8]) -> Leads {
    walk(subject, directory, path, &mut 0)
}

impl Subject<'_> {
    /// The node that a path from the root leads to, links inside the root followed.
    pub(super) fn resolve(&self, path: &[u8]) -> Option<NodeId> {
        match lead_path(self, path) {
            Leads::To(node) => Some(node),
            Leads::Outside | Leads::Nowhere => None,
        }
    }

    /// What stands directly in a directory of the tree, links on the way to it followed; sorted by name.
    pub fn children(&self, directory: &str) -> Vec<NodeId> {
        self.resolve(directory.as_bytes())
            .map(|node| self.tree.sorted_children(node))
            .unwrap_or_default()
    }
}

fn follow(subject: &Subject<'_>, link: NodeId, links: &mut usize) -> Leads {
    let tree = subject.tree;
    *links += 1;
    if *links > MAX_LINKS {
        return Leads::Nowhere;
    }
    let Some(target) = tree.target_of(tree.provider(link)) else {
        return Leads::Nowhere;
    };
    match target.strip_prefix(b"/") {
        None => walk(subject, tree.parent(link), target, links),
        Some(absolute) => match absolute.strip_prefix(b"opt") {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                walk(subject, NodeId::ROOT, rest, links)
            }
            _ => Leads::Outside,
        },
    }
}

fn walk(subject: &Subject<'_>, from: NodeId, path: &[u8], links: &mut usize) -> Leads {
    let tree = subject.tree;
    let mut at = from;
    for component in path.split(|&byte| byte == b'/') {
        // Also before a `.` or the nothing behind a final slash (`path_resolution(7)`).
        if tree.kind(at) != Kind::Directory {
            return Leads::Nowhere;
        }
        if component.is_empty() || component == b"." {
            continue;
        }
        if component == b".." {
            if at == NodeId::ROOT {
                return Leads::Outside;
            }
            at = tree.parent(at);
            continue;
        }
        let Some(child) = subject.child(at, component) else {
            return Leads::Nowhere;
        };
        at = if tree.kind(child) == Kind::Symlink {
            match follow(subject, child, links) {
                Leads::To(node) => node,
                elsewhere => return elsewhere,
            }
        } else {
            child
        };
    }
    Leads::To(at)
}
