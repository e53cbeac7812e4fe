//! Collisions as a person reads them: totals, packages, conflicts of kind, then the remaining files by directory.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use slashopt::collisions::{Class, Collision};
use slashopt::entry::Kind;
use slashopt::merge::Origin;
use slashopt::path::{Escaped, LayerPath};

use super::packages::Contests;
use super::report::CollisionReport;
use crate::cli::output::report::Paint;
use crate::cli::output::words::{Listing, count, count_bytes, legend, listed};

/// How many conflicts of kind are listed where not all are asked for.
const CONFLICTS: usize = 20;
/// How many directories.
const DIRECTORIES: usize = 10;
/// How many files of one directory.
const FILES: usize = 5;

pub(crate) fn text(found: CollisionReport<'_>, listing: Listing, paint: Paint) -> String {
    let mut text = totals(found);
    text.push_str(&legend(&found.loaded.stack));
    if let Some(runtime) = found.runtime {
        let assumed = if found.is_assumed {
            ", assumed from the folders of the layers (--runtime)"
        } else {
            ""
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "runtime: {runtime}{assumed}");
    }
    text.push_str(&Contests(found).to_text(listing, paint));
    put_conflicts(&mut text, found, listing, paint);
    put_files(&mut text, found, listing, paint);
    text
}

/// One line, also where there is nothing.
fn totals(found: CollisionReport<'_>) -> String {
    let counts = found.collisions.counts;
    let paths = match found.collisions.all.len() {
        1 => "1 path collides".to_owned(),
        all => format!("{all} paths collide"),
    };
    let classes: Vec<String> = Class::ALL
        .into_iter()
        .rev()
        .map(|class| format!("{} {class}", counts.of(class)))
        .collect();
    format!(
        "{paths} in {}: {}\n",
        count(found.loaded.stack.len(), "layer"),
        classes.join(", ")
    )
}

fn put_conflicts(text: &mut String, found: CollisionReport<'_>, listing: Listing, paint: Paint) {
    let conflicts: Vec<&Collision> = found
        .collisions
        .all
        .iter()
        .filter(|collision| collision.class == Class::Type)
        .collect();
    if conflicts.is_empty() {
        return;
    }
    let paths: HashSet<&[u8]> = conflicts
        .iter()
        .map(|conflict| conflict.path.as_bytes())
        .collect();
    let mut tops = Vec::new();
    let mut below: HashMap<&[u8], Vec<&Collision>> = HashMap::new();
    for conflict in conflicts {
        let mut above = parents(conflict.path.as_bytes());
        match above.find(|path| paths.contains(path)) {
            Some(top) => below.entry(top).or_default().push(conflict),
            None => tops.push(conflict),
        }
    }
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "\n{}",
        paint.bold("type conflicts: an object of another kind took the path")
    );
    let cap = listing.cap(CONFLICTS);
    for top in tops.iter().take(cap) {
        let lost = below
            .get(top.path.as_bytes())
            .map_or(&[][..], Vec::as_slice);
        let with_it = match lost.len() {
            0 => String::new(),
            paths => format!(", with {} below it", count(paths, "path")),
        };
        let sides = sides(found, top);
        let _ = writeln!(text, "  {} {}: {sides}{with_it}", paint.red("!"), top.path);
        for conflict in lost.iter().filter(|_| listing == Listing::All) {
            let sides = self::sides(found, conflict);
            let _ = writeln!(text, "      {}: {sides}", conflict.path);
        }
    }
    if tops.len() > cap {
        let _ = writeln!(text, "  … and {} more (--all)", tops.len() - cap);
    }
}

fn put_files(text: &mut String, found: CollisionReport<'_>, listing: Listing, paint: Paint) {
    let explained = found.explanation.set_of.iter();
    let matter = found.collisions.all.iter().zip(explained);
    let matter = matter
        .filter(|(collision, _)| matches!(collision.class, Class::Mode | Class::Content))
        .map(|(collision, set)| (collision, set.is_some()));
    let (listed, counted): (Vec<_>, Vec<_>) =
        matter.partition(|&(_, is_explained)| listing == Listing::All || !is_explained);
    // By directory, and not by bytes: `a-b/c` would stand between `a/b` and `a/c`.
    let mut files: Vec<&Collision> = listed.into_iter().map(|(collision, _)| collision).collect();
    files.sort_by_key(|collision| split(&collision.path));
    let directory = |collision: &Collision| split(&collision.path).0.to_vec();
    let groups: Vec<&[&Collision]> = files
        .chunk_by(|one, other| directory(one) == directory(other))
        .collect();
    let identical = found.collisions.counts.identical;
    if groups.is_empty() && counted.is_empty() && identical == 0 {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{}", paint.bold("files"));
    let (directories, files) = (listing.cap(DIRECTORIES), listing.cap(FILES));
    for group in groups.iter().take(directories) {
        put_directory(text, found, group, files);
    }
    let hidden: Vec<usize> = groups
        .iter()
        .skip(directories)
        .map(|group| group.len())
        .collect();
    if !hidden.is_empty() {
        let more: usize = hidden.iter().sum();
        let among = match hidden.len() {
            1 => "1 directory".to_owned(),
            several => format!("{several} directories"),
        };
        let _ = writeln!(text, "  … and {more} more in {among} (--all)");
    }
    if !counted.is_empty() {
        let paths = count(counted.len(), "path");
        let _ = writeln!(text, "  of the packages above: {paths} (--all)");
    }
    if identical > 0 {
        let _ = writeln!(text, "  identical: {}", count(identical, "path"));
    }
}

/// The collisions of one directory.
fn put_directory(text: &mut String, found: CollisionReport<'_>, group: &[&Collision], most: usize) {
    let Some(first) = group.first() else {
        return;
    };
    let indent = match split(&first.path).0 {
        // What lies in the root stands for itself.
        [] => "  ",
        directory => {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {}/", Escaped(directory));
            "    "
        }
    };
    for collision in group.iter().take(most) {
        let name = Escaped(split(&collision.path).1);
        let class = collision.class.to_string();
        let sides = sides(found, collision);
        let _ = writeln!(text, "{indent}{class:7}  {name}: {sides}");
    }
    if group.len() > most {
        let _ = writeln!(text, "{indent}… and {} more (--all)", group.len() - most);
    }
}

/// `layer 2 (12 bytes) over layer 1 (10 bytes)`, with modes where they differ.
fn sides(found: CollisionReport<'_>, collision: &Collision) -> String {
    let mode = |origin: Origin| found.tree.object_of(origin).mode;
    let of_winner = mode(collision.winner);
    let names_mode = collision
        .shadowed
        .iter()
        .any(|&loser| mode(loser) != of_winner && collision.class != Class::Type);
    let losers: Vec<String> = collision
        .shadowed
        .iter()
        .map(|&loser| side(found, loser, names_mode))
        .collect();
    let winner = side(found, collision.winner, names_mode);
    // What replaced a directory above stands elsewhere.
    let layer = found.loaded.stack.layer(collision.winner.layer);
    let path = layer.path(collision.winner.node);
    let at = if path != collision.path && collision.class == Class::Type {
        format!(", {path},")
    } else {
        String::new()
    };
    format!("{winner}{at} over {}", listed(&losers))
}

fn side(found: CollisionReport<'_>, origin: Origin, names_mode: bool) -> String {
    let object = found.tree.object_of(origin);
    let mut what = match object.kind {
        Kind::Directory => "directory".to_owned(),
        Kind::File => count_bytes(object.size),
        Kind::Symlink => {
            let target = found.tree.target_of(origin).unwrap_or_default();
            format!("link to {}", Escaped(target))
        }
    };
    if names_mode && object.kind == Kind::File {
        let _ = write!(what, ", {}", object.mode);
    }
    format!("layer {} ({what})", origin.layer.number())
}

/// The directory that a path lies in, and its name in it.
fn split(path: &LayerPath) -> (&[u8], &[u8]) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (
            bytes.get(..slash).unwrap_or_default(),
            bytes.get(slash + 1..).unwrap_or_default(),
        ),
        None => (&[], bytes),
    }
}

/// The directories that a path lies in, from the top.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    slashes.filter_map(|(slash, _)| path.get(..slash))
}
