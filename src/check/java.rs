//! Classes that are newer than the runtime's Java.

use super::facts::{ClassGroup, FileFacts};
use super::finding::Severity;
use super::rule::Rule;
use crate::path::Escaped;

pub(super) static NEWER_CLASSES: Rule = Rule {
    id: "newer-java-classes",
    severity: Severity::Error,
    summary: "classes that are compiled for a newer Java than the runtime's",
    explanation: "\
A class file names the oldest Java that loads it; an older one throws java.lang.UnsupportedClassVersionError when the class is \
first used. Classes below META-INF/versions are only looked at by the Java that they are for, and module-info.class by no Java 8, so \
neither counts. Where a jar has a few newer classes among many older ones, they mostly serve newer Javas and are never loaded in \
old ones: that is a warning.",
    says: Some(
        "java.lang.UnsupportedClassVersionError: … has been compiled by a more recent version of the Java Runtime",
    ),
    cure: "take an older release of the library, compile with `--release` of the runtime's Java, or choose a newer runtime",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some((runtime, newest)) = subject
            .runtime
            .and_then(|runtime| Some((runtime, runtime.class_file_major()?)))
        else {
            return;
        };
        for file in subject.regular_files() {
            let Some(FileFacts::Jar(jar)) = subject.facts(file.origin) else {
                continue;
            };
            // The only place where jars of a layer are looked for.
            let is_searched = file
                .path
                .as_bytes()
                .strip_prefix(b"java/lib/")
                .is_some_and(|name| !name.contains(&b'/'));
            let newer = |group: &&ClassGroup| group.major > newest;
            let Some(example) = jar
                .classes
                .iter()
                .filter(newer)
                .max_by_key(|group| group.count)
            else {
                continue;
            };
            let count: usize = jar
                .classes
                .iter()
                .filter(newer)
                .map(|group| group.count)
                .sum();
            let all: usize = jar.classes.iter().map(|group| group.count).sum();
            let how_many = if count == all {
                "its classes are".to_owned()
            } else {
                format!("{count} of its {all} classes are")
            };
            findings.at(
                file,
                format!(
                    "{how_many} for Java {} or newer, and {runtime} has Java {}: {}",
                    example.major - 44,
                    runtime.version,
                    Escaped(&example.example)
                ),
            );
            if count * 2 < all || !is_searched {
                findings.only(Severity::Warning);
            }
        }
    },
};
