//! The packages that several layers bring, in words and as JSON: which version wins, what is left of the others, what to do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use slashopt::collisions::{Class, Counts};
use slashopt::entry::{Kind, Object};
use slashopt::merge::Origin;
use slashopt::packages::{
    Cure, Ecosystem, Package, PackageId, PackageSet, SetState, SharedClasses,
};

use super::report::CollisionReport;
use crate::cli::output::json::version_json;
use crate::cli::output::report::Paint;
use crate::cli::output::words::{Listing, count, count_bytes, listed};

/// How many packages are told where not all are asked for.
const CAP: usize = 20;

/// The packages of which there are several.
#[derive(Clone, Copy)]
pub(crate) struct Contests<'a>(pub(crate) CollisionReport<'a>);

/// One name, and the packages of that name.
#[derive(Clone, Copy)]
struct Contest<'a> {
    set: &'a PackageSet,
    /// Its position among all sets.
    index: usize,
    /// The paths that collide in it.
    counts: Counts,
    is_harmless: bool,
}

impl<'a> Contests<'a> {
    fn all(self) -> impl Iterator<Item = Contest<'a>> {
        let CollisionReport {
            packages,
            explanation,
            ..
        } = self.0;
        let known = explanation.counts.iter().zip(&explanation.is_harmless);
        packages
            .sets
            .iter()
            .zip(known)
            .enumerate()
            .filter(|(_, (set, _))| set.is_contested())
            .map(|(index, (set, (&counts, &is_harmless)))| Contest {
                set,
                index,
                counts,
                is_harmless,
            })
    }

    /// A paragraph a package, the gravest first; those that are the same everywhere are counted. Empty if there are none.
    pub(crate) fn to_text(self, listing: Listing, paint: Paint) -> String {
        let (harmless, mut told): (Vec<_>, Vec<_>) =
            self.all().partition(|contest| contest.is_harmless);
        told.sort_by_key(|contest| std::cmp::Reverse(contest.set.state));
        let jars = self.jars_of_several_names();
        if told.is_empty() && harmless.is_empty() && jars.is_empty() {
            return String::new();
        }
        let cap = listing.cap(CAP);
        let mut text = format!("\n{}\n", paint.bold("packages"));
        for &contest in told.iter().take(cap) {
            self.put(&mut text, contest, paint);
        }
        for shared in jars.iter().take(cap) {
            self.put_shared(&mut text, shared);
        }
        let hidden = told.len().saturating_sub(cap) + jars.len().saturating_sub(cap);
        // Writing to a string does not fail.
        if hidden > 0 {
            let _ = writeln!(text, "  … and {hidden} more (--all)");
        }
        if listing == Listing::All {
            for &contest in &harmless {
                self.put(&mut text, contest, paint);
            }
        } else if let Some(first) = harmless.first() {
            let others = match harmless.len() {
                1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            let _ = writeln!(
                text,
                "  the same in several layers: {} {}{others}",
                first.set.ecosystem,
                self.name(first.set)
            );
        }
        text
    }

    fn put(self, text: &mut String, contest: Contest<'a>, paint: Paint) {
        let set = contest.set;
        let state = format!("{:8}", set.state.to_string());
        let state = match set.state {
            SetState::Mixed => paint.red(&state),
            SetState::Parallel => paint.yellow(&state),
            SetState::Clean => state,
        };
        let members: Vec<String> = self
            .members(set)
            .map(|(_, package)| self.member(set, package))
            .collect();
        let told = match (self.winner(set), members.split_first()) {
            (Some(_), Some((winner, losers))) => {
                let over = if set.state == SetState::Parallel {
                    "found before"
                } else {
                    "over"
                };
                format!("{winner} {over} {}", listed(losers))
            }
            _ => members.join(" and "),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {state} {} {}: {told}",
            set.ecosystem,
            self.name(set)
        );
        for line in self.details(contest) {
            let _ = writeln!(text, "           {line}");
        }
    }

    /// What else there is to say of a set.
    fn details(self, contest: Contest<'a>) -> Vec<String> {
        let set = contest.set;
        let mut lines = Vec::new();
        let first = set.members.first().map(|&id| self.0.packages.package(id));
        if contest.is_harmless {
            lines.push("the same version with the same files".to_owned());
        } else if set.winner.is_none() {
            lines.push("nothing of it is left: other files took its place".to_owned());
        } else if self.winner(set).is_none() {
            lines.push("the runtime decides which one is found (--runtime)".to_owned());
        }
        if let (Some(runtime), Some(package)) = (self.0.runtime, first)
            && package.position.is_none()
            && !package.is_private
        {
            lines.push(format!("{runtime} does not look in {}", package.folder));
        }
        let versions = self.members(set).map(|(_, package)| &package.version);
        let mut versions: Vec<_> = versions.collect();
        versions.dedup();
        if matches!(versions.as_slice(), [Some(_)]) {
            let example = self.example(contest, Class::Content);
            lines.extend(
                example.map(|example| format!("the same version, but other bytes in {example}")),
            );
        }
        if !is_single(set) {
            let example = self.example(contest, Class::Mode);
            lines.extend(example.map(|example| format!("another mode in {example}")));
        }
        if let Some(left) = self.leftovers(set) {
            lines.push(left);
        }
        if let Some(cure) = self.cure(set) {
            lines.push(format!("cure: {}", cure.advice));
            lines.extend(cure.command.map(|command| format!("  {command}")));
        }
        lines
    }

    /// `3 files, such as …`: the paths of a class that a set explains.
    fn example(self, contest: Contest<'a>, class: Class) -> Option<String> {
        let explained = self.0.explanation.set_of.iter();
        let (first, _) = self
            .0
            .collisions
            .all
            .iter()
            .zip(explained)
            .find(|(collision, set)| **set == Some(contest.index) && collision.class == class)?;
        Some(match contest.counts.of(class) {
            1 => first.path.to_string(),
            several => format!("{several} files, such as {}", first.path),
        })
    }

    fn cure(self, set: &PackageSet) -> Option<Cure> {
        self.winner(set)?;
        self.0.cures.of(set)
    }

    /// `3 files of the others are left among it, such as …`, code first.
    fn leftovers(self, set: &PackageSet) -> Option<String> {
        let example = set
            .leftovers
            .iter()
            .min_by_key(|leftover| leftover.is_metadata)?;
        let layer = self.0.loaded.stack.layer(example.file.layer);
        let code = set.leftovers.iter().filter(|left| !left.is_metadata);
        let what = match code.count() {
            0 => "metadata only".to_owned(),
            code => format!("{code} of them code"),
        };
        Some(format!(
            "left of what lost: {} ({what}), such as {}",
            count(set.leftovers.len(), "file"),
            layer.path(example.file.node)
        ))
    }

    fn members(self, set: &'a PackageSet) -> impl Iterator<Item = (PackageId, &'a Package)> {
        let packages = self.0.packages;
        let members = set.members.iter();
        members.map(move |&id| (id, packages.package(id)))
    }

    /// Who wins, where that is known: without a runtime only within one folder.
    fn winner(self, set: &'a PackageSet) -> Option<&'a Package> {
        let winner = self.0.packages.package(set.winner?);
        let is_decided = self.0.runtime.is_some()
            || self
                .members(set)
                .all(|(_, package)| package.folder == winner.folder);
        is_decided.then_some(winner)
    }

    fn name(self, set: &'a PackageSet) -> &'a str {
        self.members(set)
            .next()
            .map_or(&*set.name, |(_, package)| &package.display_name)
    }

    /// `1.2.3 (layer 2)`, with what tells the member from the others of its set.
    fn member(self, set: &'a PackageSet, package: &Package) -> String {
        let layer = format!("layer {}", package.layer.number());
        let mut parts = Vec::new();
        if let Some(version) = &package.version {
            parts.push(layer.clone());
            if let Some(place) = self.place(set, package) {
                parts.push(place);
            }
            return format!("{version} ({})", parts.join(", "));
        }
        parts.extend(self.place(set, package));
        if let Some(object) = self.object(package).filter(|_| is_single(set)) {
            parts.push(match object.kind {
                Kind::Symlink => "link".to_owned(),
                _ => count_bytes(object.size),
            });
            let mut modes: Vec<_> = self
                .members(set)
                .filter_map(|(_, other)| Some(self.object(other)?.mode.bits()))
                .collect();
            modes.dedup();
            if modes.len() > 1 && object.kind == Kind::File {
                parts.push(object.mode.to_string());
            }
        }
        if parts.is_empty() {
            return layer;
        }
        format!("{layer} ({})", parts.join(", "))
    }

    /// Where it lies, if not all of its set lie there.
    fn place(self, set: &'a PackageSet, package: &Package) -> Option<String> {
        if self
            .members(set)
            .any(|(_, other)| other.folder != package.folder)
        {
            return Some(package.folder.to_string());
        }
        let has_own_path = matches!(
            package.ecosystem,
            Ecosystem::Java | Ecosystem::Library | Ecosystem::Node
        );
        let is_elsewhere = self
            .members(set)
            .any(|(_, other)| other.path != package.path);
        (has_own_path && is_elsewhere).then(|| package.path.to_string())
    }

    /// What the one file of a package is.
    fn object(self, package: &Package) -> Option<Object> {
        let &node = package.files.first()?;
        let layer = package.layer;
        Some(self.0.tree.object_of(Origin { layer, node }))
    }

    /// Jars that share classes though they are no versions of one another.
    fn jars_of_several_names(self) -> Vec<&'a SharedClasses> {
        let name = |id| &self.0.packages.package(id).name;
        let shared = self.0.packages.shared_classes.iter();
        shared
            .filter(|shared| name(shared.winner) != name(shared.loser))
            .collect()
    }

    fn put_shared(self, text: &mut String, shared: &SharedClasses) {
        let jar = |id| {
            let package = self.0.packages.package(id);
            format!("{} (layer {})", package.path, package.layer.number())
        };
        let classes = if shared.count == 1 {
            "class"
        } else {
            "classes"
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {:8} java {} before {}\n           both have {} {classes}, such as {}",
            SetState::Parallel.to_string(),
            jar(shared.winner),
            jar(shared.loser),
            shared.count,
            shared.example
        );
    }

    pub(crate) fn to_json(self) -> Value {
        let sets = self.all().map(|Contest { set, .. }| {
            let versions: Vec<Value> = self
                .members(set)
                .map(|(_, package)| version_json(package))
                .collect();
            json!({
                "ecosystem": set.ecosystem.to_string(),
                "name": self.name(set),
                "key": set.name,
                "versions": versions,
                "winner": self.winner(set).map(version_json),
                "state": set.state.to_string(),
                "cure": self.cure(set).map(|cure| cure.to_string()),
            })
        });
        Value::Array(sets.collect())
    }

    pub(crate) fn shared_classes_json(self) -> Value {
        let jar = |id| version_json(self.0.packages.package(id));
        let shared = self.0.packages.shared_classes.iter().map(|shared| {
            json!({
                "winner": jar(shared.winner),
                "loser": jar(shared.loser),
                "classes": shared.count,
                "example": shared.example,
            })
        });
        Value::Array(shared.collect())
    }
}

/// Whether its packages are one file each.
fn is_single(set: &PackageSet) -> bool {
    matches!(
        set.ecosystem,
        Ecosystem::Library | Ecosystem::Command | Ecosystem::Extension
    )
}
