//! What to do about several packages of one name: which one to take out of which layer, as a command where there is one.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use super::package::{Ecosystem, Package, PackageId};
use super::sets::{PackageSet, Packages, SetState};
use crate::entry::Kind;
use crate::layer::{Layer, LayerForm, LayerId, LayerNodeId, LayerStack};
use crate::path::{Escaped, LayerPath};

/// More arguments than this nobody pastes: the layer is better built again.
const MAX_ARGUMENTS: usize = 16;

/// How several packages of one name become one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cure {
    /// What to do, as a sentence without its full stop.
    pub advice: String,
    /// Commands that do it, for a shell; none where the layer has to be built again, or is no file.
    pub command: Option<String>,
}

impl fmt::Display for Cure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.advice)?;
        match &self.command {
            Some(command) => write!(formatter, ": {command}"),
            None => Ok(()),
        }
    }
}

/// What all cures of a stack need to know.
#[derive(Debug)]
pub struct Cures<'a> {
    packages: &'a Packages,
    stack: &'a LayerStack,
    /// Of each layer, how many packages each of its files belongs to.
    owners: Vec<Vec<u32>>,
    /// Of each layer, how many files lie at and below each of its nodes.
    below: Vec<Vec<usize>>,
}

impl<'a> Cures<'a> {
    /// Counts the files of each layer once.
    pub fn new(packages: &'a Packages, stack: &'a LayerStack) -> Self {
        let nodes = |layer: &Layer| layer.node_ids().len();
        let layers = stack.in_merge_order();
        let mut owners: Vec<Vec<u32>> = layers.map(|(_, layer)| vec![0; nodes(layer)]).collect();
        for package in &packages.all {
            let owners = &mut owners[usize::from(package.layer.0)];
            for file in &package.files {
                owners[file.0 as usize] += 1;
            }
        }
        let below = stack.in_merge_order().map(|(_, layer)| {
            let is_file = |node: LayerNodeId| layer.kind(node) != Kind::Directory;
            let mut below: Vec<usize> = layer.node_ids().map(|node| is_file(node).into()).collect();
            // Children come behind their directory.
            for node in (1..nodes(layer)).rev() {
                let id = LayerNodeId(u32::try_from(node).unwrap_or(u32::MAX));
                below[layer.parent(id).0 as usize] += below[node];
            }
            below
        });
        Self {
            packages,
            stack,
            owners,
            below: below.collect(),
        }
    }

    /// How one package of a set comes to be alone and whole; `None` where one is.
    ///
    /// The one to keep is that of the highest layer, as a later layer is meant to override: where it does not win, it is in a
    /// folder that is searched later, or has a name that is loaded later. A package without metadata may be a few files over
    /// the whole one, so that is kept only if all are so.
    pub fn of(&self, set: &PackageSet) -> Option<Cure> {
        if set.state == SetState::Clean {
            return None;
        }
        let winner = set.winner?;
        let there: Vec<(PackageId, &Package)> = set
            .members
            .iter()
            .map(|&id| (id, self.packages.package(id)))
            .filter(|(id, package)| {
                package.standing > 0 || set.leftovers.iter().any(|left| left.package == *id)
            })
            .collect();
        // Of several in one layer the one that would be found.
        let (kept, keeper) = there.iter().rev().copied().max_by_key(|(_, package)| {
            let may_be_a_part = matches!(package.ecosystem, Ecosystem::Python | Ecosystem::Node)
                && package.version.is_none();
            (!may_be_a_part, package.layer)
        })?;
        let others = there.into_iter().filter(|&(id, _)| id != kept);
        let others: Vec<(PackageId, &Package)> = others.collect();
        // Of two installations over one another neither is whole, if the record of the better one does not fit.
        let is_half = keeper.lacking > 0
            && others
                .iter()
                .any(|(_, other)| other.layer == keeper.layer && other.folder == keeper.folder);
        if is_half {
            return Some(Cure {
                advice: format!(
                    "build {} again with one version of {}, in an empty directory",
                    place(keeper.layer, self.stack),
                    keeper.display_name
                ),
                command: None,
            });
        }
        let removed: Vec<String> = others
            .iter()
            .map(|(_, package)| {
                let place = place(package.layer, self.stack);
                format!("{} from {place}", described(package))
            })
            .collect();
        let mut advice = format!("remove {}", removed.join(" and "));
        if kept != winner {
            let layer = keeper.layer.number();
            let found = described(keeper);
            // Writing to a string does not fail.
            let _ = write!(advice, ", so that {found} of layer {layer} is found");
        }
        let commands: Option<Vec<String>> = others
            .iter()
            .map(|(_, package)| self.removal(package))
            .collect();
        Some(Cure {
            advice,
            command: commands
                .filter(|commands| !commands.is_empty())
                .map(|commands| commands.join(" && ")),
        })
    }

    /// The command that takes a package out of its layer, and nothing else.
    fn removal(&self, package: &Package) -> Option<String> {
        let layer = self.stack.layer(package.layer);
        let place = layer.path.as_deref()?;
        if place.contains(char::is_control) {
            return None;
        }
        // What begins with a dash would be taken for an option.
        let here = if place.starts_with('-') { "./" } else { "" };
        let place = format!("{here}{place}");
        let mut arguments: Vec<(LayerPath, bool)> = self
            .topmost(layer, package)
            .into_iter()
            .map(|node| (layer.path(node), layer.kind(node) == Kind::Directory))
            .collect();
        arguments.sort_unstable();
        if arguments.is_empty() || arguments.len() > MAX_ARGUMENTS {
            return None;
        }
        let mut command = match layer.form {
            LayerForm::Archive(_) => format!("zip -d {}", quoted(&place)),
            LayerForm::Directory(_) => "rm -r".to_owned(),
        };
        for (path, is_directory) in arguments {
            let path = std::str::from_utf8(path.as_bytes()).ok()?;
            let argument = match layer.form {
                LayerForm::Archive(_) if is_directory => format!("{}/*", pattern(path)),
                LayerForm::Archive(_) => pattern(path),
                LayerForm::Directory(_) => {
                    format!("{}/{path}", place.trim_end_matches('/'))
                }
            };
            command.push(' ');
            command.push_str(&quoted(&argument));
        }
        Some(command)
    }

    /// The nodes below which everything is of this package alone, none below another, and never the root.
    fn topmost(&self, layer: &Layer, package: &Package) -> HashSet<LayerNodeId> {
        let index = usize::from(package.layer.0);
        let (owners, below) = (&self.owners[index], &self.below[index]);
        let own = package
            .files
            .iter()
            .copied()
            .filter(|file| owners[file.0 as usize] == 1);
        let mut removed: HashMap<LayerNodeId, usize> = HashMap::new();
        for file in own.clone() {
            let mut at = file;
            while at != LayerNodeId::ROOT {
                *removed.entry(at).or_default() += 1;
                at = layer.parent(at);
            }
        }
        let is_covered = |node: LayerNodeId| removed.get(&node) == Some(&below[node.0 as usize]);
        let topmost = own.map(|file| {
            let mut at = file;
            while layer.parent(at) != LayerNodeId::ROOT && is_covered(layer.parent(at)) {
                at = layer.parent(at);
            }
            at
        });
        topmost.collect()
    }
}

fn described(package: &Package) -> String {
    match &package.version {
        Some(version) => format!("{} {version}", package.display_name),
        None => package.display_name.clone(),
    }
}

/// ``layer 2 of 3 (`deps.zip`)``.
fn place(id: LayerId, stack: &LayerStack) -> String {
    let source = Escaped(stack.layer(id).source.as_bytes());
    format!("layer {} of {} (`{source}`)", id.number(), stack.len())
}

/// A path as a pattern of `zip -d`, which matches it alone.
fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// A word of a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+=:@%,".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
