//! The naive model: what merging layers means, by the most obvious code there is. A map from path to node, changed entry by entry
//! and layer by layer. It is slow, it looks at everything again and again, and it shares no thought with the program.
//!
//! It takes layers that are fit to be merged: no unsafe names, no kinds that contradict each other within one layer, and a name
//! that comes twice in one layer comes with the same kind, content and mode.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::tree::{DOS_EPOCH, Node, Tree};

/// A path from the root down; the root is empty. Sorted by component, so that what is below a directory follows it.
pub(crate) type Path = Vec<Vec<u8>>;

/// What an entry makes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Object {
    Directory,
    File(Vec<u8>),
    Link(Vec<u8>),
}

impl Object {
    /// Whether both are directories, both files, or both links.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// An entry as an archive holds it: the name as written, the mode with whatever bits it has, both times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) object: Object,
    pub(crate) mode: Option<u32>,
    /// DOS date and DOS time.
    pub(crate) dos: (u16, u16),
    pub(crate) extended: Option<i32>,
}

/// What is to be done with a conflict of kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnTypeConflict {
    Replace,
    Follow,
}

/// How an object and the one that replaced it differ, the gravest last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    Identical,
    Mode,
    Content,
    Type,
}

/// The components of a name: empty ones and `.` do not count.
pub(crate) fn components(name: &[u8]) -> Path {
    name.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

/// Seconds since 1970 of a DOS date and time read as UTC; 1980-01-01 if there is no such moment.
fn dos_seconds((date, time): (u16, u16)) -> i64 {
    let year = 1980 + i64::from(date >> 9);
    let month = usize::from(date >> 5 & 15);
    let day = i64::from(date & 31);
    let (hour, minute, second) = (time >> 11, time >> 5 & 63, (time & 31) * 2);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = |year| {
        let february = if is_leap(year) { 29 } else { 28 };
        [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    };
    let is_real = (1..=12).contains(&month)
        && (1..=lengths(year)[month - 1]).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_real {
        return DOS_EPOCH;
    }
    let days = (1970..year)
        .map(|year| lengths(year).iter().sum::<i64>())
        .sum::<i64>()
        + lengths(year)[..month - 1].iter().sum::<i64>()
        + day
        - 1;
    days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)
}

impl Entry {
    fn time(&self) -> i64 {
        self.extended
            .map_or_else(|| dos_seconds(self.dos), i64::from)
    }

    /// The nine bits that the object gets.
    fn mode_on_disk(&self) -> u32 {
        let is_directory = self.object == Object::Directory;
        let usual = if is_directory { 0o755 } else { 0o644 };
        let mode = self.mode.map_or(usual, |mode| mode & 0o777);
        if is_directory && mode & 0o555 != 0o555 {
            0o755
        } else {
            mode
        }
    }
}

/// An object in the merged tree.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Placed {
    object: Object,
    mode: u32,
    time: i64,
    /// The layer whose entry it is.
    layer: usize,
}

/// The tree so far, and what was lost on the way.
#[derive(Clone, Debug)]
pub(crate) struct Merge {
    policy: OnTypeConflict,
    placed: BTreeMap<Path, Placed>,
    /// The same before the layer in hand.
    lower_layers: BTreeMap<Path, Placed>,
    /// The same with everything that the layer in hand brings, wherever it follows links to: only to see whether that matters.
    with_whole_layer: BTreeMap<Path, Placed>,
    /// For each path that something was replaced at, or that lay below such a place: the gravest class.
    collisions: BTreeMap<Path, Class>,
    /// Paths at which one kind replaced another.
    type_conflicts: BTreeSet<Path>,
    /// A layer reached the same place by two ways, gave the root a mode, or brought itself what a link leads to, so that the
    /// order of its entries would matter: only `Follow` does, and the contract does not say what then counts.
    is_ambiguous: bool,
}

/// Merges layers, the first is lowest.
pub(crate) fn merge(layers: &[Vec<Entry>], policy: OnTypeConflict) -> Merge {
    let mut merge = Merge {
        policy,
        placed: BTreeMap::new(),
        lower_layers: BTreeMap::new(),
        with_whole_layer: BTreeMap::new(),
        collisions: BTreeMap::new(),
        type_conflicts: BTreeSet::new(),
        is_ambiguous: false,
    };
    for (number, layer) in layers.iter().enumerate() {
        merge.lower_layers = merge.placed.clone();
        merge.with_whole_layer = merge.placed.clone();
        for (path, object) in provided(layer) {
            let (mode, time) = (0, 0);
            let brought = Placed {
                object,
                mode,
                time,
                layer: number,
            };
            let there = merge
                .with_whole_layer
                .entry(path)
                .or_insert(brought.clone());
            // A link that is to be followed stays.
            if !matches!(there.object, Object::Link(_)) {
                *there = brought;
            }
        }
        for entry in last_of_each_path(layer) {
            merge.put(entry, number);
        }
    }
    merge
}

/// Of entries for the same path in one archive the last one counts.
pub(crate) fn last_of_each_path(layer: &[Entry]) -> Vec<&Entry> {
    let is_last = |(position, entry): &(usize, &Entry)| {
        !layer[position + 1..]
            .iter()
            .any(|later| components(&later.name) == components(&entry.name))
    };
    let all = layer.iter().enumerate();
    all.filter(is_last).map(|(_, entry)| entry).collect()
}

impl Merge {
    fn put(&mut self, entry: &Entry, layer: usize) {
        let path = components(&entry.name);
        let Some((name, parents)) = path.split_last() else {
            return; // An entry for the root itself.
        };
        let mut place = Path::new();
        for parent in parents {
            place = self.directory_at(&place, parent, layer);
        }
        if entry.object == Object::Directory {
            let place = self.directory_at(&place, name, layer);
            match self.placed.get_mut(&place) {
                Some(directory) => {
                    directory.mode = entry.mode_on_disk();
                    directory.time = entry.time();
                    directory.layer = layer;
                }
                None => self.is_ambiguous = true, // A link led to the root.
            }
        } else {
            place.push(name.clone());
            let placed = Placed {
                object: entry.object.clone(),
                mode: entry.mode_on_disk(),
                time: entry.time(),
                layer,
            };
            self.place(place, placed);
        }
    }

    /// Where the directory `name` of the directory `parent` is, made if it is not there yet.
    fn directory_at(&mut self, parent: &Path, name: &[u8], layer: usize) -> Path {
        let mut path = parent.clone();
        path.push(name.to_vec());
        match self.placed.get(&path).map(|placed| &placed.object) {
            Some(Object::Directory) => return path,
            Some(Object::Link(_)) if self.policy == OnTypeConflict::Follow => {
                let place = directory_behind(&self.placed, &path);
                self.is_ambiguous |= place != directory_behind(&self.lower_layers, &path)
                    || place != directory_behind(&self.with_whole_layer, &path);
                if let Some(place) = place {
                    return place;
                }
            }
            _ => {}
        }
        let implied = Placed {
            object: Object::Directory,
            mode: 0o755,
            time: DOS_EPOCH,
            layer,
        };
        self.place(path.clone(), implied);
        path
    }

    /// Puts an object at a place, whatever was there.
    fn place(&mut self, path: Path, placed: Placed) {
        if let Some(old) = self.placed.get(&path).cloned() {
            self.is_ambiguous |= old.layer == placed.layer;
            let class = class_of(&old, &placed);
            self.note(&path, class);
            if class == Class::Type {
                self.type_conflicts.insert(path.clone());
                for below in self.below(&path) {
                    self.note(&below, Class::Type);
                    let lost = self.placed.remove(&below);
                    self.is_ambiguous |= lost.is_some_and(|lost| lost.layer == placed.layer);
                }
            }
        }
        self.placed.insert(path, placed);
    }

    fn below(&self, path: &Path) -> Vec<Path> {
        let all = self.placed.keys();
        all.filter(|other| other.len() > path.len() && other.starts_with(path))
            .cloned()
            .collect()
    }

    fn note(&mut self, path: &Path, class: Class) {
        let noted = self.collisions.entry(path.clone()).or_insert(class);
        *noted = class.max(*noted);
    }

    /// The tree that must appear on disk.
    pub(crate) fn tree(&self) -> Tree {
        let root = Node::Directory {
            mode: 0o755,
            mtime: DOS_EPOCH,
        };
        let mut tree = Tree([(Vec::new(), root)].into());
        for (path, placed) in &self.placed {
            let (mode, mtime) = (placed.mode, placed.time);
            let node = match placed.object.clone() {
                Object::Directory => Node::Directory { mode, mtime },
                Object::File(bytes) => Node::File { mode, mtime, bytes },
                Object::Link(target) => Node::Link { target, mtime },
            };
            tree.0.insert(path.join(&b'/'), node);
        }
        tree
    }

    /// How many paths collide in this class. A path at which several objects were replaced counts once, in its gravest class.
    pub(crate) fn collisions(&self, class: Class) -> u64 {
        let classes = self.collisions.values();
        classes.filter(|found| **found == class).count() as u64
    }

    /// The class of every path that collides.
    pub(crate) fn classes(&self) -> BTreeMap<Vec<u8>, Class> {
        let classes = self.collisions.iter();
        classes
            .map(|(path, class)| (path.join(&b'/'), *class))
            .collect()
    }

    /// Whether `--on-type-conflict error` must refuse.
    pub(crate) fn has_type_conflict(&self) -> bool {
        !self.type_conflicts.is_empty()
    }

    /// Whether the contract leaves open what the tree is.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

/// The directory that the link at this path leads to, if it leads to one inside the root in at most forty steps.
fn directory_behind(placed: &BTreeMap<Path, Placed>, link: &Path) -> Option<Path> {
    let mut place = link[..link.len() - 1].to_vec();
    let mut ahead = vec![link.last()?.clone()];
    let mut steps = 0;
    while !ahead.is_empty() {
        let next = ahead.remove(0);
        if next.is_empty() || next == b"." {
            continue;
        }
        if next == b".." {
            place.pop()?; // Above the root is outside.
            continue;
        }
        place.push(next);
        match &placed.get(&place)?.object {
            Object::Directory => {}
            Object::File(_) => return None,
            Object::Link(target) => {
                steps += 1;
                if steps > 40 {
                    return None;
                }
                place.pop();
                let mut target: Path = target
                    .split(|&byte| byte == b'/')
                    .map(<[u8]>::to_vec)
                    .collect();
                if target[0].is_empty() {
                    // Absolute: the root is seen at /opt, everything else is outside.
                    if target.get(1).map(Vec::as_slice) != Some(b"opt") {
                        return None;
                    }
                    target.drain(..2);
                    place.clear();
                }
                target.append(&mut ahead);
                ahead = target;
            }
        }
    }
    Some(place)
}

fn class_of(old: &Placed, new: &Placed) -> Class {
    if !old.object.is_like(&new.object) {
        Class::Type
    } else if old.object != new.object {
        Class::Content
    } else if matches!(old.object, Object::File(_)) && old.mode != new.mode {
        Class::Mode
    } else {
        Class::Identical
    }
}

/// Every path that a layer provides, its implied directories too, with what is there.
pub(crate) fn provided(layer: &[Entry]) -> BTreeMap<Path, Object> {
    let mut paths = BTreeMap::new();
    for entry in layer {
        let path = components(&entry.name);
        for length in 1..path.len() {
            paths.insert(path[..length].to_vec(), Object::Directory);
        }
        if !path.is_empty() {
            paths.insert(path, entry.object.clone());
        }
    }
    paths
}

/// The model judged by hand, case by case: a model that is wrong would make a wrong program right.
mod by_hand {
    use super::*;

    fn entry(name: &str, object: Object) -> Entry {
        Entry {
            name: name.into(),
            object,
            mode: None,
            dos: (0, 0),
            extended: Some(7),
        }
    }

    fn dir(name: &str) -> Entry {
        entry(name, Object::Directory)
    }

    fn text(name: &str, content: &str) -> Entry {
        entry(name, Object::File(content.into()))
    }

    fn link(name: &str, target: &str) -> Entry {
        entry(name, Object::Link(target.into()))
    }

    fn mode(mut entry: Entry, mode: u32) -> Entry {
        entry.mode = Some(mode);
        entry
    }

    fn replace(layers: &[Vec<Entry>]) -> Merge {
        merge(layers, OnTypeConflict::Replace)
    }

    fn follow(layers: &[Vec<Entry>]) -> Merge {
        merge(layers, OnTypeConflict::Follow)
    }

    fn counts(merge: &Merge) -> [u64; 4] {
        [Class::Identical, Class::Mode, Class::Content, Class::Type]
            .map(|class| merge.collisions(class))
    }

    #[test]
    fn names_lose_empty_and_dot_components_and_keep_everything_else() {
        assert_eq!(components(b"./a//b/./c/"), components(b"a/b/c"));
        assert_eq!(
            components(b"a\\b/\xff "),
            [b"a\\b".to_vec(), b"\xff ".to_vec()]
        );
        assert!(components(b"././/").is_empty());
    }

    #[test]
    fn dos_times_are_utc_and_impossible_ones_are_1980() {
        use crate::support::zip::{USUAL_SECONDS, USUAL_TIME, dos};
        assert_eq!(dos_seconds(USUAL_TIME), USUAL_SECONDS);
        assert_eq!(dos_seconds(dos(1980, 1, 1, 0, 0, 0)), DOS_EPOCH);
        assert_eq!(dos_seconds(dos(2000, 2, 29, 23, 59, 58)), 951_868_798);
        assert_eq!(dos_seconds(dos(2107, 12, 31, 23, 59, 58)), 4_354_819_198);
        for impossible in [
            (0, 0),
            dos(2001, 2, 29, 0, 0, 0),
            dos(2024, 13, 1, 0, 0, 0),
            dos(2024, 4, 31, 0, 0, 0),
            dos(2024, 1, 1, 24, 0, 0),
            dos(2024, 1, 1, 0, 60, 0),
            dos(2024, 1, 1, 0, 0, 60),
            (u16::MAX, u16::MAX),
        ] {
            assert_eq!(dos_seconds(impossible), DOS_EPOCH, "{impossible:?}");
        }
    }

    #[test]
    fn modes_keep_nine_bits_and_only_directories_are_made_readable() {
        let of = |entry: Entry| entry.mode_on_disk();
        assert_eq!(of(text("f", "")), 0o644);
        assert_eq!(of(dir("d/")), 0o755);
        assert_eq!(of(mode(text("f", ""), 0o6000)), 0);
        assert_eq!(of(mode(text("f", ""), 0o4751)), 0o751);
        assert_eq!(of(mode(dir("d/"), 0o700)), 0o755);
        assert_eq!(of(mode(dir("d/"), 0o1777)), 0o777);
        assert_eq!(of(mode(dir("d/"), 0o555)), 0o555);
        assert_eq!(of(mode(dir("d/"), 0o554)), 0o755);
    }

    #[test]
    fn a_later_file_replaces_and_is_classed_by_what_differs() {
        let merged = replace(&[
            vec![
                text("same", "x"),
                mode(text("mode", "x"), 0o600),
                text("bytes", "x"),
            ],
            vec![
                text("same", "x"),
                mode(text("mode", "x"), 0o700),
                text("bytes", "y"),
            ],
        ]);
        assert_eq!(counts(&merged), [1, 1, 1, 0]);
        assert_eq!(merged.tree().text("bytes"), "y");
        assert_eq!(merged.tree().mode("mode"), "0700");
        assert!(!merged.has_type_conflict());
    }

    #[test]
    fn directories_merge_and_only_an_explicit_entry_changes_them() {
        let merged = replace(&[
            vec![mode(dir("d/"), 0o775), text("d/a", "")],
            vec![text("d/b", "")],
        ]);
        assert_eq!(merged.tree().paths(), ["d", "d/a", "d/b"]);
        assert_eq!(merged.tree().mode("d"), "0775");
        assert_eq!(merged.tree().mtime("d"), 7);
        assert_eq!(counts(&merged), [0; 4]);
        let merged = replace(&[vec![text("d/a", "")], vec![mode(dir("d/"), 0o775)]]);
        assert_eq!(merged.tree().mode("d"), "0775");
    }

    #[test]
    fn a_file_between_two_directories_hides_the_lower_one_for_good() {
        let merged = replace(&[
            vec![text("d/e/low", "")],
            vec![text("d", "")],
            vec![text("d/high", "")],
        ]);
        assert_eq!(merged.tree().paths(), ["d", "d/high"]);
        assert_eq!(merged.tree().mtime("d"), DOS_EPOCH);
        assert_eq!(counts(&merged), [0, 0, 0, 3], "d, d/e and d/e/low");
    }

    #[test]
    fn a_directory_over_a_link_replaces_it_or_follows_it() {
        let layers = [
            vec![link("lib64", "lib"), text("lib/a", "")],
            vec![mode(dir("lib64/"), 0o775), text("lib64/b", "")],
        ];
        let replaced = replace(&layers);
        assert_eq!(
            replaced.tree().paths(),
            ["lib", "lib/a", "lib64", "lib64/b"]
        );
        assert_eq!(counts(&replaced), [0, 0, 0, 1]);
        let followed = follow(&layers);
        assert_eq!(followed.tree().paths(), ["lib", "lib/a", "lib/b", "lib64"]);
        assert_eq!(followed.tree().mode("lib"), "0775");
        assert_eq!(counts(&followed), [0; 4]);
        assert!(!followed.is_ambiguous());
    }

    #[test]
    fn links_are_followed_only_to_directories_inside_the_root() {
        for (target, below) in [
            ("real", "real/x"),
            ("./real/", "real/x"),
            ("/opt/real", "real/x"),
            ("other", "real/x"),
            ("real/../real", "real/x"),
            ("real/up/real", "real/x"),
            ("missing", "l/x"),
            ("l", "l/x"),
            ("../opt/real", "l/x"),
            ("/tmp/real", "l/x"),
            ("/optional", "l/x"),
            ("file", "l/x"),
            ("file/..", "l/x"),
            ("missing/../real", "l/x"),
        ] {
            let merged = follow(&[
                vec![
                    link("l", target),
                    link("other", "/opt/real"),
                    dir("real/"),
                    link("real/up", ".."),
                    text("file", ""),
                ],
                vec![text("l/x", "")],
            ]);
            assert!(merged.tree().has(below), "{target}: {:?}", merged.tree());
        }
    }

    #[test]
    fn two_ways_to_one_place_in_one_layer_are_ambiguous() {
        let low = vec![link("l", "d"), dir("d/")];
        assert!(follow(&[low.clone(), vec![text("l/x", "1"), text("d/x", "2")]]).is_ambiguous());
        assert!(!follow(&[low, vec![text("l/x", "1"), text("d/y", "2")]]).is_ambiguous());
    }

    #[test]
    fn the_last_of_two_equal_names_counts_and_is_no_collision() {
        let mut later = text("./f", "x");
        later.extended = Some(9);
        let merged = replace(&[vec![text("f", "x"), later]]);
        assert_eq!(merged.tree().mtime("f"), 9);
        assert_eq!(counts(&merged), [0; 4]);
    }
}
