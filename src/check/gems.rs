//! Ruby gems that lie where Ruby does not look for them.

use std::collections::BTreeMap;

use super::finding::Severity;
use super::folders::report_folder;
use super::python::split;
use super::rule::Rule;
use super::subject::File;
use crate::runtime::Family;

pub(super) static GEM_NOT_SEARCHED: Rule = Rule {
    id: "ruby-gem-not-searched",
    severity: Severity::Error,
    summary: "Ruby gems where Ruby does not look",
    explanation: "\
Of a layer, Lambda's Ruby searches the gems in `ruby/gems/X.Y.0` and the files in `ruby/lib` and nothing else (AWS Lambda Developer Guide, \
\"Packaging your layer content\"). Bundler installs into `ruby/X.Y.0`, the other way round, so what it made has to be moved before it is \
packed; otherwise the gems are extracted and never found: \"cannot load such file\".",
    says: Some("cannot load such file -- ... (LoadError)"),
    cure: "move them: `mkdir -p ruby/gems; mv vendor/bundle/ruby/X.Y.0 ruby/gems/`, or `gem install --install-dir ruby/gems/X.Y.0`",
    needs_runtime: false,
    judge: |subject, findings| {
        if !subject.may_be(Family::Ruby) {
            return;
        }
        let mut folders: BTreeMap<&[u8], Vec<&File>> = BTreeMap::new();
        let mut has_proper = false;
        for file in subject.regular_files() {
            let Some(home) = gem_home(file.path.as_bytes()) else {
                continue;
            };
            has_proper |= home.starts_with(b"ruby/gems/");
            if is_misplaced(home) {
                folders.entry(home).or_default().push(file);
            }
        }
        for (folder, files) in folders {
            report_folder(subject, folder, &files, "gem", has_proper, findings);
        }
    },
};

/// The folder that gems are installed into, by the specification of one.
fn gem_home(path: &[u8]) -> Option<&[u8]> {
    let (folder, name) = split(path)?;
    if !name.ends_with(b".gemspec") {
        return None;
    }
    let (home, last) = split(folder).unwrap_or((b"", folder));
    (last == b"specifications").then_some(home)
}

/// Whether gems in this folder are meant to be found and are not. A Ruby that a layer brings itself has its own in `lib/ruby`.
fn is_misplaced(home: &[u8]) -> bool {
    let is_version = |name: &[u8]| {
        name.first().is_some_and(u8::is_ascii_digit)
            && name
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let names: Vec<&[u8]> = home.split(|&byte| byte == b'/').collect();
    match names.as_slice() {
        [one] => matches!(*one, b"" | b"ruby" | b"gems") || is_version(one),
        [b"ruby", b"gems"] => true,
        [b"ruby" | b"gems", version] | [b"vendor", b"bundle", b"ruby", version] => {
            is_version(version)
        }
        [folder, b"ruby", b"gems", version] => *folder != b"lib" && is_version(version),
        _ => false,
    }
}
