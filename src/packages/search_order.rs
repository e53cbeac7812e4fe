//! Where a runtime looks for the packages of an ecosystem, and in which order.

use std::collections::BTreeMap;

use super::package::Ecosystem;
use crate::merge::MergedTree;
use crate::path::LayerPath;
use crate::runtime::Runtime;

impl Ecosystem {
    /// The variable that a runtime searches it by; none for extensions, which Lambda starts itself.
    pub(super) const fn variable(self) -> Option<&'static str> {
        match self {
            Self::Python => Some("PYTHONPATH"),
            Self::Node => Some("NODE_PATH"),
            Self::Java => Some("CLASSPATH"),
            Self::Ruby => Some("GEM_PATH"),
            Self::Library => Some("LD_LIBRARY_PATH"),
            Self::Command => Some("PATH"),
            Self::Extension => None,
        }
    }
}

/// The folders that a runtime searches through one variable, in its order, as they are in a merged tree: where links on the
/// way lead, as with `ruby/gems/3.4.0 -> 3.3.0`; as they are named where there is nothing.
pub(crate) fn searched(tree: &MergedTree<'_>, runtime: &Runtime, variable: &str) -> Vec<LayerPath> {
    let folders = runtime.searched_folders().into_iter();
    folders
        .filter(|searched| searched.variable == variable)
        .filter_map(|searched| {
            let named = LayerPath::parse(searched.folder.as_bytes()).ok()?;
            Some(tree.resolve(&named).map_or(named, |node| tree.path(node)))
        })
        .collect()
}

/// The search order of every ecosystem.
pub(super) struct SearchOrder {
    /// The folders of each, unless any runtime's count.
    folders: Option<BTreeMap<Ecosystem, Vec<LayerPath>>>,
}

impl SearchOrder {
    /// The order of a runtime. Without one it is that in which any runtime of the language would look: the folder with a
    /// version first.
    pub(super) fn of(tree: &MergedTree<'_>, runtime: Option<&Runtime>) -> Self {
        let folders = runtime.map(|runtime| {
            let all = Ecosystem::ALL.into_iter();
            all.filter_map(|ecosystem| {
                Some((ecosystem, searched(tree, runtime, ecosystem.variable()?)))
            })
            .collect()
        });
        Self { folders }
    }

    /// Where a folder stands in the search order of an ecosystem; `None` if nobody looks there.
    pub(super) fn position(&self, ecosystem: Ecosystem, folder: &LayerPath) -> Option<usize> {
        match &self.folders {
            Some(folders) if ecosystem != Ecosystem::Extension => folders
                .get(&ecosystem)?
                .iter()
                .position(|searched| searched == folder),
            _ => position_anywhere(ecosystem, std::str::from_utf8(folder.as_bytes()).ok()?),
        }
    }
}

/// Whether some runtime searches a folder for the packages of an ecosystem.
pub(super) fn is_searched(ecosystem: Ecosystem, folder: &LayerPath) -> bool {
    std::str::from_utf8(folder.as_bytes())
        .is_ok_and(|folder| position_anywhere(ecosystem, folder).is_some())
}

fn position_anywhere(ecosystem: Ecosystem, folder: &str) -> Option<usize> {
    let is_between = |prefix: &str, suffix: &str| {
        folder
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|version| !version.is_empty() && !version.contains('/'))
    };
    let folders = match ecosystem {
        Ecosystem::Python => [
            is_between("python/lib/python", "/site-packages"),
            folder == "python",
        ],
        Ecosystem::Node => [
            is_between("nodejs/node", "/node_modules"),
            folder == "nodejs/node_modules",
        ],
        Ecosystem::Java => [folder == "java/lib", false],
        Ecosystem::Ruby => [is_between("ruby/gems/", ".0"), false],
        Ecosystem::Library => [folder == "lib", false],
        Ecosystem::Command => [folder == "bin", false],
        Ecosystem::Extension => [folder == "extensions", false],
    };
    folders.iter().position(|&is_it| is_it)
}

/// The order of Java's `String.compareTo`, by which Lambda's class loader sorts jars: UTF-16 code units, so that characters
/// above U+FFFF come before U+E000.
pub(crate) fn java_order(name: &[u8]) -> Vec<u16> {
    String::from_utf8_lossy(name).encode_utf16().collect()
}

/// The order of `Gem::Version`: numbers as numbers, a segment with letters (a prerelease) before any number.
pub(crate) fn gem_order(version: &str) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let drop_zeros = |segments: &mut Vec<Segment>| {
        while segments.last() == Some(&Segment::Number(0)) {
            segments.pop();
        }
    };
    for part in version.replace('-', ".pre.").split('.') {
        let mut rest = part;
        while !rest.is_empty() {
            let is_digit = rest.starts_with(|first: char| first.is_ascii_digit());
            let end = rest
                .find(|character: char| character.is_ascii_digit() != is_digit)
                .unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            match run.parse() {
                Ok(number) if is_digit => segments.push(Segment::Number(number)),
                _ => {
                    // 1.0.0.rc1 is 1.rc1.
                    if !segments
                        .iter()
                        .any(|segment| matches!(segment, Segment::Letters(_)))
                    {
                        drop_zeros(&mut segments);
                    }
                    segments.push(Segment::Letters(run.to_owned()));
                }
            }
            rest = after;
        }
    }
    // 1.0 is 1; and with an end that sorts between letters and numbers, 1.rc1 is before 1, and 1 before 1.0.1.
    drop_zeros(&mut segments);
    segments.push(Segment::End);
    segments
}

/// A part of a gem's version.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Segment {
    Letters(String),
    End,
    Number(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gems_sort_as_rubygems_sorts_them() {
        let sorted = [
            "0.9",
            "1.0.0.alpha",
            "1.0.0.rc1",
            "1.0.0.rc2",
            "1.0",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
        ];
        for pair in sorted.windows(2) {
            let [lower, higher] = pair else { continue };
            assert!(gem_order(lower) < gem_order(higher), "{lower} < {higher}");
        }
        assert_eq!(gem_order("1"), gem_order("1.0.0"));
    }

    #[test]
    fn without_a_runtime_every_layout_of_a_language_is_searched() {
        for (ecosystem, folder, expected) in [
            (
                Ecosystem::Python,
                "python/lib/python3.12/site-packages",
                Some(0),
            ),
            (Ecosystem::Python, "python", Some(1)),
            (Ecosystem::Python, "awscli", None),
            (Ecosystem::Node, "nodejs/node22/node_modules", Some(0)),
            (Ecosystem::Node, "nodejs/node_modules", Some(1)),
            (Ecosystem::Node, "nodejs/node_modules/a/node_modules", None),
            (Ecosystem::Ruby, "ruby/gems/3.4.0", Some(0)),
            (Ecosystem::Extension, "extensions", Some(0)),
        ] {
            assert_eq!(position_anywhere(ecosystem, folder), expected, "{folder}");
        }
    }
}
