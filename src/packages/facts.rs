//! What the content of a file says about a package: which files are worth reading, and what is made of their bytes.

use std::collections::HashMap;

use super::headers::headers;
use super::jar::Jar;
use super::json::Value;
use crate::elf::Elf;
use crate::entry::Kind;
use crate::layer::{Layer, LayerNodeId, LayerStack};
use crate::merge::Origin;
use crate::path::LayerPath;

/// What one file says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// `METADATA` or `PKG-INFO` of a Python distribution (PEP 345 and its successors).
    Distribution {
        /// `Name`.
        name: String,
        /// `Version`.
        version: Option<String>,
    },
    /// `RECORD` (PEP 376, PEP 627), or `installed-files.txt` of an `.egg-info`: the files of a distribution.
    Record(Vec<Recorded>),
    /// `top_level.txt`: the modules of a distribution.
    TopLevel(Vec<String>),
    /// `package.json`.
    Manifest(Manifest),
    /// A jar.
    Jar(Jar),
    /// A gemspec as `RubyGems` writes it when it installs a gem.
    Gem(Gem),
    /// A shared library.
    Library {
        /// `DT_SONAME`.
        soname: Option<String>,
    },
}

/// A file that a `RECORD` names.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// As it stands there: relative to the directory that the `.dist-info` lies in, maybe upwards.
    pub path: Vec<u8>,
    /// Its size, if it is said.
    pub size: Option<u64>,
}

/// What of a `package.json` matters to whoever requires the package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// `name`.
    pub name: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `main`.
    pub main: Option<String>,
    /// `exports`, unless it is absent or null.
    pub exports: Option<Value>,
}

/// What a gemspec says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gem {
    /// The gem's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its platform, unless it runs on any: `x86_64-linux`.
    pub platform: Option<String>,
    /// The directories below the gem's that are searched, usually `lib`.
    pub require_paths: Vec<String>,
}

impl Gem {
    /// The name of the gem's directory: `nokogiri-1.18.0-x86_64-linux`.
    pub fn full_name(&self) -> String {
        match &self.platform {
            Some(platform) => format!("{}-{}-{platform}", self.name, self.version),
            None => format!("{}-{}", self.name, self.version),
        }
    }
}

/// What was read of a stack, by the file that says it.
pub type Facts = HashMap<Origin, Fact>;

/// The files of a stack whose content says something about a package, in the order of layers and nodes.
pub fn wanted(stack: &LayerStack) -> Vec<Origin> {
    let files = stack.in_merge_order().flat_map(|(id, layer)| {
        let wanted = layer.node_ids().filter(|&node| is_wanted(layer, node));
        wanted.map(move |node| Origin { layer: id, node })
    });
    files.collect()
}

pub(super) fn is_wanted(layer: &Layer, node: LayerNodeId) -> bool {
    if layer.kind(node) != Kind::File {
        return false;
    }
    let parent = layer.parent(node);
    let parent_name = layer.name(parent);
    match layer.name(node) {
        b"METADATA" | b"RECORD" => parent_name.ends_with(b".dist-info"),
        b"PKG-INFO" | b"installed-files.txt" => parent_name.ends_with(b".egg-info"),
        b"top_level.txt" => {
            parent_name.ends_with(b".dist-info") || parent_name.ends_with(b".egg-info")
        }
        b"package.json" => {
            let above = layer.parent(parent);
            let above_name = layer.name(above);
            above_name == b"node_modules"
                || above_name.starts_with(b"@")
                    && layer.name(layer.parent(above)) == b"node_modules"
        }
        name if name.ends_with(b".gemspec") => parent_name == b"specifications",
        name if name.ends_with(b".egg-info") => true,
        name if name.ends_with(b".jar") => layer.path(parent).as_bytes() == b"java/lib",
        name if is_library_name(name) => layer.path(parent).as_bytes() == b"lib",
        _ => false,
    }
}

/// `libz.so`, `libz.so.1.3.1`.
pub(super) fn is_library_name(name: &[u8]) -> bool {
    let Some(place) = name.windows(3).position(|window| window == b".so") else {
        return false;
    };
    matches!(name.get(place + 3), None | Some(b'.'))
}

/// Reads one of the files that [`wanted`] names, or its first bytes; `None` where it says nothing, or is not what its name
/// promises.
pub fn read(path: &LayerPath, bytes: &[u8]) -> Option<Fact> {
    let name = path.components().next_back()?;
    match name {
        b"METADATA" | b"PKG-INFO" => distribution(bytes),
        b"RECORD" => Some(Fact::Record(record(bytes))),
        b"installed-files.txt" => Some(Fact::Record(installed_files(path, bytes))),
        b"top_level.txt" => Some(Fact::TopLevel(
            String::from_utf8_lossy(bytes)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        )),
        b"package.json" => {
            let value = Value::parse(bytes)?;
            let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            Some(Fact::Manifest(Manifest {
                name: text("name"),
                version: text("version"),
                main: text("main"),
                exports: value
                    .get("exports")
                    .filter(|exports| **exports != Value::Null)
                    .cloned(),
            }))
        }
        name if name.ends_with(b".egg-info") => distribution(bytes),
        name if name.ends_with(b".gemspec") => gem(bytes),
        name if name.ends_with(b".jar") => Jar::read(bytes).map(Fact::Jar),
        name if is_library_name(name) => Elf::parse(bytes).map(|elf| Fact::Library {
            soname: elf
                .soname
                .map(|soname| String::from_utf8_lossy(soname).into_owned()),
        }),
        _ => None,
    }
}

fn distribution(bytes: &[u8]) -> Option<Fact> {
    let text = String::from_utf8_lossy(bytes);
    let headers = headers(&text);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    };
    Some(Fact::Distribution {
        name: value("Name").filter(|name| !name.is_empty())?,
        version: value("Version"),
    })
}

/// The lines of a `RECORD`: comma-separated values with `"` around fields that need it.
fn record(bytes: &[u8]) -> Vec<Recorded> {
    let lines = bytes.split(|&byte| byte == b'\n');
    let recorded = lines.filter_map(|line| {
        let line = line.trim_ascii();
        let (path, rest) = match line.strip_prefix(b"\"") {
            None => {
                let end = line.iter().position(|&byte| byte == b',');
                let (path, rest) = line.split_at(end.unwrap_or(line.len()));
                (path.to_vec(), rest)
            }
            Some(mut rest) => {
                let mut path = Vec::new();
                loop {
                    rest = match rest {
                        [b'"', b'"', after @ ..] => {
                            path.push(b'"');
                            after
                        }
                        [b'"', after @ ..] => break (path, after),
                        [byte, after @ ..] => {
                            path.push(*byte);
                            after
                        }
                        [] => break (path, rest),
                    };
                }
            }
        };
        let size = rest.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| size.parse().ok());
        (!path.is_empty()).then_some(Recorded { path, size })
    });
    recorded.collect()
}

/// `installed-files.txt` is relative to the `.egg-info` itself: brought to the form of a `RECORD`.
fn installed_files(path: &LayerPath, bytes: &[u8]) -> Vec<Recorded> {
    let egg_info = path.components().nth_back(1).unwrap_or_default();
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| Recorded {
            path: match line.strip_prefix(b"../") {
                Some(beside) => beside.to_vec(),
                None => [egg_info, b"/", line].concat(),
            },
            size: None,
        })
        .collect()
}

/// The comment at the head of a gemspec that `RubyGems` wrote: `# stub: NAME VERSION PLATFORM PATH\0PATH`
/// (`Gem::StubSpecification`).
fn gem(bytes: &[u8]) -> Option<Fact> {
    let text = String::from_utf8_lossy(bytes);
    let stub = text
        .lines()
        .take(4)
        .find_map(|line| line.strip_prefix("# stub: "))?;
    let mut fields = stub.splitn(4, ' ');
    let name = fields.next()?.to_owned();
    let version = fields.next()?.to_owned();
    let platform = fields.next().filter(|&platform| platform != "ruby");
    let paths = fields.next().unwrap_or("lib");
    Some(Fact::Gem(Gem {
        name,
        version,
        platform: platform.map(str::to_owned),
        require_paths: paths.split('\0').map(str::to_owned).collect(),
    }))
}
