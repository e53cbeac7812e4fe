//! What to do about several packages of one name: which one to take out of which layer, as a command where there is one.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use super::contents::Contents;
use super::{Ecosystem, Package, PackageId, PackageSet, Packages, State};
use crate::layer::{LayerForm, LayerId, LayerNodeId, LayerStack};

/// More arguments than this nobody pastes: the layer is better built again.
const MAX_ARGUMENTS: usize = 16;

/// How several packages of one name become one.
#[derive(Clone, Debug, Eq, PartialEq)]
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

impl Packages {
    /// How one package of a set comes to be alone and whole; `None` where one is.
    ///
    /// The one to keep is that of the highest layer, as a later layer is meant to override: where it does not win, it is in a
    /// folder that is searched later, or has a name that is loaded later. A package without metadata may be a few files over
    /// the whole one, so that is kept only if all are so.
    pub fn cure(&self, set: &PackageSet, stack: &LayerStack) -> Option<Cure> {
        if set.state == State::Clean {
            return None;
        }
        let winner = set.winner?;
        let there: Vec<(PackageId, &Package)> = set
            .members
            .iter()
            .filter_map(|&id| Some((id, self.get(id)?)))
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
                    place(keeper.layer, stack),
                    keeper.display_name
                ),
                command: None,
            });
        }
        let removed: Vec<String> = others
            .iter()
            .map(|(_, package)| {
                let place = place(package.layer, stack);
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
            .map(|(id, package)| self.removal(*id, package, stack))
            .collect();
        Some(Cure {
            advice,
            command: commands
                .filter(|commands| !commands.is_empty())
                .map(|commands| commands.join(" && ")),
        })
    }

    /// The command that takes a package out of its layer, and nothing else.
    fn removal(&self, id: PackageId, package: &Package, stack: &LayerStack) -> Option<String> {
        let layer = stack.get(package.layer)?;
        if layer.source == "-" {
            return None;
        }
        let contents = Contents::new(package.layer, layer);
        let mut removed: HashMap<LayerNodeId, usize> = HashMap::new();
        for &file in &package.files {
            let is_shared = self.all.iter().zip(0..).any(|(other, index)| {
                PackageId(index) != id
                    && other.layer == package.layer
                    && other.ecosystem == package.ecosystem
                    && other.files.binary_search(&file).is_ok()
            });
            if !is_shared {
                let mut at = file;
                *removed.entry(at).or_default() += 1;
                while at != LayerNodeId::ROOT {
                    at = layer.parent(at);
                    *removed.entry(at).or_default() += 1;
                }
            }
        }
        let mut arguments = Vec::new();
        cover(&contents, LayerNodeId::ROOT, &removed, &mut arguments);
        if arguments.is_empty() || arguments.len() > MAX_ARGUMENTS {
            return None;
        }
        let mut command = match layer.form {
            LayerForm::Archive(_) => format!("zip -d {}", quoted(&layer.source)),
            LayerForm::Directory(_) => "rm -r".to_owned(),
        };
        for node in arguments {
            let path = contents.path(node);
            let path = std::str::from_utf8(path.as_bytes()).ok()?;
            let argument = match layer.form {
                LayerForm::Archive(_) if contents.is_directory(node) => {
                    format!("{}/*", pattern(path))
                }
                LayerForm::Archive(_) => pattern(path),
                LayerForm::Directory(_) => {
                    format!("{}/{path}", layer.source.trim_end_matches('/'))
                }
            };
            command.push(' ');
            command.push_str(&quoted(&argument));
        }
        Some(command)
    }
}

/// The topmost nodes below which everything is removed.
fn cover(
    contents: &Contents<'_>,
    directory: LayerNodeId,
    removed: &HashMap<LayerNodeId, usize>,
    arguments: &mut Vec<LayerNodeId>,
) {
    for &child in contents.children(directory) {
        let Some(&count) = removed.get(&child) else {
            continue;
        };
        if !contents.is_directory(child) {
            arguments.push(child);
            continue;
        }
        let mut files = Vec::new();
        contents.files_below(child, &|_| true, &mut files);
        if files.len() == count {
            arguments.push(child);
        } else {
            cover(contents, child, removed, arguments);
        }
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
    let source = stack.get(id).map_or("", |layer| layer.source.as_str());
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
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
