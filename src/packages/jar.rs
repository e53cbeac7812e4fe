//! What a jar says of itself: its coordinates, its version, its classes.

use super::headers::headers;
use crate::archive::ArchiveInMemory;

/// How much of a manifest or of a `pom.properties` is read: none that somebody wrote is longer.
const MAX_TEXT_BYTES: u64 = 256 << 10;
/// How many `pom.properties` are read. A jar that other jars were unpacked into has one for each.
const MAX_COORDINATES: usize = 256;

/// The Maven coordinates in a `pom.properties`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Coordinates {
    /// `groupId`.
    pub group: String,
    /// `artifactId`.
    pub artifact: String,
    /// `version`.
    pub version: String,
}

/// What was read of a jar.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Jar {
    /// One for each `META-INF/maven/…/pom.properties`, in the jar's order.
    pub coordinates: Vec<Coordinates>,
    /// `Implementation-Title`, or `Bundle-SymbolicName`, of the manifest.
    pub title: Option<String>,
    /// `Implementation-Version`, or `Bundle-Version`, of the manifest.
    pub version: Option<String>,
    /// The names of its classes as they stand in the jar without `.class`, sorted. Left out are what several jars may have
    /// without harm, `module-info` and `package-info`, and the versions for newer releases of Java.
    pub classes: Vec<Box<str>>,
}

impl Jar {
    /// Reads a jar; `None` if it is no archive.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        // Whether the jar is a good archive, Java decides; here it is only listed.
        let content = ArchiveInMemory::open(bytes)?;
        let mut jar = Self::default();
        for (entry, index) in content.archive.entries().iter().zip(0..) {
            let Ok(name) = std::str::from_utf8(content.archive.name(entry)) else {
                continue;
            };
            if let Some(class) = name.strip_suffix(".class") {
                let is_shared = matches!(
                    class.rsplit('/').next(),
                    Some("module-info" | "package-info")
                );
                if !is_shared && !class.starts_with("META-INF/") {
                    jar.classes.push(class.into());
                }
            } else if name == "META-INF/MANIFEST.MF" {
                let text = text_of(&content, index).unwrap_or_default();
                let main = headers(&text);
                let value = |name: &str| {
                    main.iter()
                        .find(|(known, _)| known.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value.clone())
                };
                let symbolic = value("Bundle-SymbolicName")
                    .map(|name| name.split(';').next().unwrap_or_default().trim().to_owned());
                jar.title = value("Implementation-Title").or(symbolic);
                jar.version = value("Implementation-Version").or(value("Bundle-Version"));
            } else if name.starts_with("META-INF/maven/")
                && name.ends_with("/pom.properties")
                && jar.coordinates.len() < MAX_COORDINATES
            {
                let text = text_of(&content, index);
                jar.coordinates
                    .extend(text.as_deref().and_then(coordinates));
            }
        }
        jar.classes.sort_unstable();
        jar.classes.dedup();
        Some(jar)
    }

    /// The coordinates that are the jar's own: those whose artifact the file is named for, or the only ones.
    pub fn own_coordinates(&self, file_name: &str) -> Option<&Coordinates> {
        let named = self
            .coordinates
            .iter()
            .filter(|coordinates| file_name.starts_with(&coordinates.artifact))
            .max_by_key(|coordinates| coordinates.artifact.len());
        match (named, self.coordinates.as_slice()) {
            (Some(own), _) | (None, [own]) => Some(own),
            _ => None,
        }
    }
}

fn coordinates(text: &str) -> Option<Coordinates> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    Some(Coordinates {
        group: value("groupId")?,
        artifact: value("artifactId")?,
        version: value("version")?,
    })
}

/// The text of a small entry.
fn text_of(content: &ArchiveInMemory<'_>, index: u32) -> Option<String> {
    let entry = content.archive.entry(index);
    if entry.uncompressed_bytes > MAX_TEXT_BYTES {
        return None;
    }
    let mut text = vec![0; usize::try_from(entry.uncompressed_bytes).ok()?];
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let count = content.read(index, &mut text, &mut inflate)?;
    text.truncate(count);
    Some(String::from_utf8_lossy(&text).into_owned())
}
