//! The difference of two sides as a person reads it: totals, packages, files, sizes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use slashopt::diff::{Aspect, Difference, Happened, PackageChange, explained_files};
use slashopt::entry::Kind;
use slashopt::host::read::stack::LoadedStack;
use slashopt::merge::MergedTree;
use slashopt::packages::Package;
use slashopt::path::{Escaped, LayerPath};

use super::compared::{Compared, Item, described, object};
use crate::cli::output::report::Paint;
use crate::cli::output::words::{Listing, count, count_bytes, legend};

/// How many packages are listed where not all are asked for.
const PACKAGES: usize = 40;
/// How many files, or directories that came or went whole.
const FILES: usize = 40;

pub(crate) fn text(compared: Compared<'_>, listing: Listing, paint: Paint) -> String {
    let mut text = totals(compared);
    put_layers(&mut text, "left", compared.left);
    put_layers(&mut text, "right", compared.right);
    put_packages(&mut text, compared, listing, paint);
    put_files(&mut text, compared, listing, paint);
    put_sizes(&mut text, compared, paint);
    text
}

/// One line, also where there is nothing.
fn totals(compared: Compared<'_>) -> String {
    let counts = |count: &dyn Fn(Happened) -> usize| {
        format!(
            "{} added, {} removed, {} changed",
            count(Happened::Added),
            count(Happened::Removed),
            count(Happened::Changed)
        )
    };
    let sizes = compared.diff.total;
    let verdict = if compared.is_same() { "the same: " } else { "" };
    format!(
        "{verdict}packages: {}; files: {}; {}\n",
        counts(&|happened| compared.packages_that(happened).count()),
        counts(&|happened| compared.files_that(happened).count()),
        growth(sizes.left, sizes.right)
    )
}

fn put_layers(text: &mut String, side: &str, loaded: &LoadedStack) {
    for line in legend(&loaded.stack).lines() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{side}: {line}");
    }
}

fn put_packages(text: &mut String, compared: Compared<'_>, listing: Listing, paint: Paint) {
    if compared.changes.is_empty() {
        return;
    }
    let cap = listing.cap(PACKAGES);
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{}", paint.bold("packages"));
    for change in compared.changes.iter().take(cap) {
        let line = package_line(compared, change);
        let _ = writeln!(text, "  {}", signed(change.happened(), &line, paint));
    }
    if compared.changes.len() > cap {
        let more = compared.changes.len() - cap;
        let _ = writeln!(text, "  … and {more} more (--all)");
    }
}

fn package_line(compared: Compared<'_>, change: &PackageChange) -> String {
    let (before, after) = compared.versions(change);
    let before: Vec<&Package> = before.collect();
    let after: Vec<&Package> = after.collect();
    let name = after.first().or(before.first());
    let name = name.map_or(&*change.name, |package| &package.display_name);
    let known = |packages: &[&Package]| {
        let versions: BTreeSet<&str> = packages
            .iter()
            .map(|package| package.version.as_deref().unwrap_or("no version"))
            .collect();
        versions.into_iter().collect::<Vec<_>>().join(", ")
    };
    let versions = match change.happened() {
        Happened::Added => known(&after),
        Happened::Removed => known(&before),
        Happened::Changed => format!("{} -> {}", known(&before), known(&after)),
    };
    if versions == "no version" {
        return format!("{} {name}", change.ecosystem);
    }
    format!("{} {name}: {versions}", change.ecosystem)
}

fn put_files(text: &mut String, compared: Compared<'_>, listing: Listing, paint: Paint) {
    let (before, after) = compared.packages;
    let (left, right) = explained_files(compared.changes, before, after);
    let is_explained = |difference: &&Difference| {
        let is_left = |node| left.contains(&compared.trees.left.provider(node));
        let is_right = |node| right.contains(&compared.trees.right.provider(node));
        difference.left.is_none_or(is_left)
            && difference.right.is_none_or(is_right)
            && !difference.aspects.contains(&Aspect::Kind)
    };
    let (explained, told): (Vec<&Difference>, Vec<&Difference>) = compared
        .diff
        .all
        .iter()
        .partition(|difference| listing == Listing::First && is_explained(difference));
    if explained.is_empty() && told.is_empty() {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{}", paint.bold("files"));
    let items = if listing == Listing::All {
        told.into_iter().map(Item::One).collect()
    } else {
        rolled_up(compared, &told)
    };
    let cap = listing.cap(FILES);
    for item in items.iter().take(cap) {
        let line = match item {
            Item::One(difference) => signed(
                difference.happened(),
                &format!("{}: {}", difference.path, told_of(compared, difference)),
                paint,
            ),
            Item::Whole {
                happened,
                path,
                files,
                bytes,
            } => signed(
                *happened,
                &format!(
                    "{}/: {}, {}",
                    Escaped(path),
                    count(*files, "file"),
                    count_bytes(*bytes)
                ),
                paint,
            ),
        };
        let _ = writeln!(text, "  {line}");
    }
    if items.len() > cap {
        let _ = writeln!(text, "  … and {} more (--all)", items.len() - cap);
    }
    if !explained.is_empty() {
        let paths = count(explained.len(), "path");
        let _ = writeln!(text, "  of the packages above: {paths} (--all)");
    }
}

/// Gathers what came or went with a whole directory, the topmost that only one side has.
fn rolled_up<'d>(compared: Compared<'_>, told: &[&'d Difference]) -> Vec<Item<'d>> {
    let mut items: Vec<Item<'d>> = Vec::new();
    for &difference in told {
        let other = match difference.happened() {
            Happened::Added => compared.trees.left,
            Happened::Removed => compared.trees.right,
            Happened::Changed => {
                items.push(Item::One(difference));
                continue;
            }
        };
        let bytes = object(compared, difference).map_or(0, |(object, _)| match object.kind {
            Kind::File => object.size,
            Kind::Directory | Kind::Symlink => 0,
        });
        match items.last_mut() {
            Some(Item::Whole {
                happened,
                path,
                files,
                bytes: sum,
            }) if *happened == difference.happened() && is_below(&difference.path, path) => {
                *files += 1;
                *sum = sum.saturating_add(bytes);
                continue;
            }
            _ => {}
        }
        items.push(match missing_directory(other, &difference.path) {
            Some(path) => Item::Whole {
                happened: difference.happened(),
                path,
                files: 1,
                bytes,
            },
            None => Item::One(difference),
        });
    }
    items
}

/// The topmost directory above a path that a tree does not have.
fn missing_directory<'p>(tree: &MergedTree<'_>, path: &'p LayerPath) -> Option<&'p [u8]> {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    let mut above = slashes.filter_map(|(slash, _)| bytes.get(..slash));
    above.find(|directory| {
        let node = LayerPath::parse(directory)
            .ok()
            .and_then(|at| tree.find(&at));
        node.is_none_or(|node| tree.kind(node) != Kind::Directory)
    })
}

fn is_below(path: &LayerPath, directory: &[u8]) -> bool {
    let rest = path.as_bytes().strip_prefix(directory);
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// What there is to say of a difference.
fn told_of(compared: Compared<'_>, difference: &Difference) -> String {
    let (Some(left), Some(right)) = (difference.left, difference.right) else {
        return object(compared, difference).map_or_else(
            String::new,
            |(object, what)| match object.kind {
                Kind::Directory => "empty directory".to_owned(),
                _ => what,
            },
        );
    };
    let (before, after) = (
        compared.trees.left.object(left),
        compared.trees.right.object(right),
    );
    let told = difference.aspects.iter().map(|aspect| match aspect {
        Aspect::Kind | Aspect::Target => format!(
            "{} -> {}",
            described(compared.trees.left, left),
            described(compared.trees.right, right)
        ),
        Aspect::Content if before.size == after.size => {
            format!("other content, {}", count_bytes(after.size))
        }
        Aspect::Content => growth(before.size, after.size),
        Aspect::Mode => format!("mode {} -> {}", before.mode, after.mode),
        Aspect::Time => format!("time {} -> {}", before.modified, after.modified),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn put_sizes(text: &mut String, compared: Compared<'_>, paint: Paint) {
    let tops = compared.diff.by_top.iter();
    let changed: Vec<_> = tops
        .filter(|(_, sizes)| sizes.left != sizes.right)
        .collect();
    if changed.is_empty() {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{}", paint.bold("sizes"));
    for (path, sizes) in changed {
        let happened = match (sizes.left, sizes.right) {
            (0, _) => Happened::Added,
            (_, 0) => Happened::Removed,
            _ => Happened::Changed,
        };
        let name = if path.as_bytes().is_empty() {
            "files in the root".to_owned()
        } else {
            format!("{path}/")
        };
        let line = format!("{name}: {}", growth(sizes.left, sizes.right));
        let _ = writeln!(text, "  {}", signed(happened, &line, paint));
    }
}

/// `10 -> 12 bytes (+2)`.
fn growth(left: u64, right: u64) -> String {
    let bytes = count_bytes(right);
    match right.checked_sub(left) {
        Some(0) => bytes,
        Some(more) => format!("{left} -> {bytes} (+{more})"),
        None => format!("{left} -> {bytes} (-{})", left - right),
    }
}

/// A line with the sign of what happened, and its colour.
fn signed(happened: Happened, line: &str, paint: Paint) -> String {
    match happened {
        Happened::Added => paint.green(&format!("+ {line}")),
        Happened::Removed => paint.red(&format!("- {line}")),
        Happened::Changed => paint.yellow(&format!("~ {line}")),
    }
}
